//! The page: one file that needs no other, in the reader's colours, legible on a telephone.
//!
//! In: the facts, and the documents for their heads. Out: HTML. Every text of a document is escaped by `maud`; the only
//! markup that is taken as it is are this program's own style, script and JSON.

mod machine;
mod sections;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Serialize;

use super::document::Documents;
use super::facts::{Facts, Headline, Tone};
use super::svg::{Drawing, WIDTH};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Width of a scatter on a desk.
const WIDE: f64 = 540.0;

/// What the page should hold, for the script in it that counts.
#[derive(Debug, Default, Serialize)]
struct Book {
    charts: Vec<Chart>,
}

/// One drawing.
#[derive(Debug, Serialize)]
struct Chart {
    id: String,
    title: String,
    points: usize,
}

impl Book {
    /// A panel with one drawing.
    fn panel(&mut self, kind: &str, title: &str, unit: &str, drawing: &Drawing) -> Markup {
        let svg = self.draw(kind, title, drawing, WIDTH);
        html! { figure.panel { (caption(title, unit)) (svg) } }
    }

    /// A panel with a drawing for a desk and another for a telephone, of which one is shown.
    fn two(&mut self, kind: &str, title: &str, unit: &str, draw: impl Fn(f64) -> Drawing) -> Markup {
        let wide = self.draw(kind, title, &draw(WIDE), WIDE);
        let narrow = self.draw(kind, title, &draw(WIDTH), WIDTH);
        html! { figure.panel { (caption(title, unit)) div.wide { (wide) } div.narrow { (narrow) } } }
    }

    fn draw(&mut self, kind: &str, title: &str, drawing: &Drawing, width: f64) -> Markup {
        let id = format!("{kind}-{}", self.charts.len());
        let svg = drawing.svg(&id, width);
        self.charts.push(Chart { id, title: title.to_owned(), points: drawing.points });
        svg
    }
}

fn caption(title: &str, unit: &str) -> Markup {
    html! { figcaption { b { (title) } span.unit { (unit) } } }
}

/// The whole page.
pub(super) fn page(documents: &Documents, facts: &Facts) -> String {
    let mut book = Book::default();
    let sections = sections::sections(documents, facts, &mut book);
    let told = serde_json::to_string(&book).unwrap_or_else(|_| "{}".to_owned());
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
                link rel="icon" href="data:,";
                title { "Carrack, measured" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header.top {
                    h1 { "Carrack, " em { "measured" } }
                    button #theme type="button" aria-label="Change between light and dark" { "◐" }
                    p.host { (machine::host_line(documents)) }
                    nav aria-label="Sections" {
                        @for section in &sections { a href={ "#" (section.id) } { (section.title) } }
                    }
                }
                main {
                    div.cards { @for headline in &facts.headlines { (card(headline)) } }
                    @for section in &sections { (section.markup()) }
                }
                div #tip hidden {}
                script #facts type="application/json" { (PreEscaped(harmless(&told))) }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
    .into_string()
}

/// JSON that cannot end the element it stands in: the characters that could are written as escapes.
fn harmless(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn card(headline: &Headline) -> Markup {
    let tone = match headline.tone {
        Tone::Good => "card good",
        Tone::Bad => "card bad",
        Tone::Plain => "card",
        Tone::Missing => "card missing",
    };
    html! {
        div class=(tone) {
            div.figure { (headline.figure) }
            div.what { (headline.what) }
            p { (sections::with_code(&headline.detail)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_cannot_end_its_element() {
        let told = harmless(r#"{"title":"</script><!--&"}"#);
        assert!(!told.contains(['<', '>', '&']), "{told}");
        let value: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(value["title"], "</script><!--&");
    }

    /// Relative luminance and contrast, by WCAG 2.
    fn contrast(a: &str, b: &str) -> f64 {
        let luminance = |colour: &str| {
            let part = |at: usize| {
                let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
                if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// The values of a variable of the style: the light one, the dark one.
    fn both(name: &str) -> [String; 2] {
        let values: Vec<String> = STYLE
            .match_indices(&format!("--{name}:"))
            .map(|(at, found)| STYLE[at + found.len()..].trim_start()[..7].to_owned())
            .collect();
        // The dark ones stand twice: for the reader's setting, and for the button.
        assert!(values.len() == 3 && values[1] == values[2], "{name}: {values:?}");
        [values[0].clone(), values[1].clone()]
    }

    #[test]
    fn colours_stand_out_from_the_paper_in_light_and_in_dark() {
        let paper = both("paper");
        for (name, least) in [
            ("ink", 7.0),
            ("muted", 4.5),
            ("bad", 4.5),
            ("good", 4.5),
            ("carrack", 4.5),
            ("uring", 3.0),
            ("pool", 3.0),
            ("pread", 3.0),
            ("mmap", 3.0),
            ("naive", 3.0),
            ("peer", 3.0),
        ] {
            for (colour, paper) in both(name).iter().zip(&paper) {
                let found = contrast(colour, paper);
                assert!(found >= least, "{name} {colour} on {paper}: {found:.2}, at least {least}");
            }
        }
        for bin in 0..7 {
            let (fills, inks) = (both(&format!("q{bin}")), both(&format!("qt{bin}")));
            for (fill, ink) in fills.iter().zip(&inks) {
                let found = contrast(fill, ink);
                assert!(found >= 4.5, "q{bin} {ink} on {fill}: {found:.2}");
            }
        }
    }
}
