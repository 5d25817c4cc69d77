//! The little SVG that the charts are made of: the frame, axes, marks with their words, labels that keep apart.
//!
//! Why not a crate for plots: the page must change its colours with the reader's (CSS variables), show the values of each
//! mark, stay legible on a telephone (so text keeps its size and panels move, instead of one picture that shrinks), plot
//! percentiles by 1 / (1 − q), and say how many marks it should have. `plotters` writes fixed colours and no `<title>`;
//! `charming` and `plotly` draw with a JavaScript library that the page would have to carry or fetch; `kuva` has colours
//! and titles, but is 155,000 lines for the half dozen marks needed here, and places its legends itself. `maud` makes the
//! markup: it escapes every text and attribute that a document brings.

use maud::{Markup, html};

use super::scale::Tick;

/// Width of a panel, in the units of its own paper, which are CSS pixels on a telephone 390 wide.
pub(super) const WIDTH: f64 = 352.0;

/// Width of a character of the labels, whose size is 11: generously, as readers have fonts of many widths.
const CHARACTER: f64 = 6.8;
/// How much wider bold ones are.
const BOLD: f64 = 1.12;

/// A place with one digit after the point: more only makes the page longer.
pub(super) fn px(place: f64) -> f64 {
    (place * 10.0).round() / 10.0
}

/// About how wide a label is.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * CHARACTER
}

/// About how wide a label of an axis is, which is a little smaller.
pub(super) fn tick_width(text: &str) -> f64 {
    text_width(text) * 0.93
}

/// About how wide a bold label is.
pub(super) fn bold_width(text: &str) -> f64 {
    text_width(text) * BOLD
}

/// A drawing that is not yet in a page.
#[derive(Debug)]
pub(super) struct Drawing {
    /// Height of the paper.
    pub(super) height: f64,
    /// How many marks the data asks for: counted from the data, not from the drawing.
    pub(super) points: usize,
    /// What it shows, for those who cannot see it.
    pub(super) label: String,
    /// What is on the paper.
    pub(super) body: Markup,
}

impl Drawing {
    /// The whole element. `id` is unique in the page.
    pub(super) fn svg(&self, id: &str, width: f64) -> Markup {
        let view = format!("0 0 {} {}", px(width), px(self.height));
        let size = format!("max-width:{}px", px(width * 1.3));
        html! {
            svg id=(id) viewBox=(view) style=(size) role="img" aria-label=(self.label) data-points=(self.points) {
                (self.body)
            }
        }
    }
}

/// A mark: what the pointer can ask for its values. The page counts these.
pub(super) fn mark(hue: &str, tip: &str, body: &Markup) -> Markup {
    html! { g class={ "m " (hue) } { title { (tip) } (body) } }
}

/// The shape that stands for somebody, so that colour is not all that tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    Ring,
}

impl Shape {
    /// This shape around a place, about 2 × `r` wide.
    pub(super) fn draw(self, x: f64, y: f64, r: f64) -> Markup {
        let path = |points: &[(f64, f64)]| polygon(points.iter().map(|(dx, dy)| (x + dx * r, y + dy * r)));
        match self {
            Shape::Circle => html! { circle cx=(px(x)) cy=(px(y)) r=(px(r)) {} },
            Shape::Ring => html! { circle.ring cx=(px(x)) cy=(px(y)) r=(px(r - 0.6)) {} },
            Shape::Square => path(&[(-0.88, -0.88), (0.88, -0.88), (0.88, 0.88), (-0.88, 0.88)]),
            Shape::Triangle => path(&[(0.0, -1.15), (1.1, 0.85), (-1.1, 0.85)]),
            Shape::Diamond => path(&[(0.0, -1.2), (1.2, 0.0), (0.0, 1.2), (-1.2, 0.0)]),
        }
    }
}

fn polygon(points: impl Iterator<Item = (f64, f64)>) -> Markup {
    let points: Vec<String> = points.map(|(x, y)| format!("{},{}", px(x), px(y))).collect();
    html! { polygon points=(points.join(" ")) {} }
}

/// A straight line of a class.
pub(super) fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Markup {
    html! { line class=(class) x1=(px(from.0)) y1=(px(from.1)) x2=(px(to.0)) y2=(px(to.1)) {} }
}

/// A word at a place; the class says how it is aligned.
pub(super) fn text(class: &str, x: f64, y: f64, words: &str) -> Markup {
    html! { text class=(class) x=(px(x)) y=(px(y)) { (words) } }
}

/// The path through these places.
pub(super) fn path(points: &[(f64, f64)]) -> String {
    let step = |(at, (x, y)): (usize, &(f64, f64))| format!("{}{} {}", if at == 0 { 'M' } else { 'L' }, px(*x), px(*y));
    points.iter().enumerate().map(step).collect()
}

/// Vertical lines at the ticks between two heights, with labels below the lower one. Labels that would touch the one
/// before are left out, their lines are not.
pub(super) fn axis_below(ticks: &[Tick], top: f64, bottom: f64, right: f64) -> Markup {
    let mut free = f64::NEG_INFINITY;
    let labels: Vec<(f64, &Tick)> = ticks
        .iter()
        .filter_map(|tick| {
            let half = tick_width(&tick.label) / 2.0;
            let at = tick.at.min(right - half).max(half);
            (at - half >= free).then(|| {
                free = at + half + 5.0;
                (at, tick)
            })
        })
        .collect();
    html! {
        @for tick in ticks { (line("grid", (tick.at, top), (tick.at, bottom))) }
        @for (at, tick) in labels { (text("tick mid", at, bottom + 14.0, &tick.label)) }
    }
}

/// Horizontal lines at the ticks between two edges, with labels left of the left one.
pub(super) fn axis_left(ticks: &[Tick], left: f64, right: f64) -> Markup {
    html! {
        @for tick in ticks {
            (line("grid", (left, tick.at), (right, tick.at)))
            (text("tick end", left - 6.0, tick.at + 3.8, &tick.label))
        }
    }
}

/// Moves places apart until neighbours are `gap` from one another, within the limits where there is room; the order of
/// the answer is that of the question.
pub(super) fn spread(places: &[f64], gap: f64, limits: (f64, f64)) -> Vec<f64> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by(|a, b| places[*a].total_cmp(&places[*b]));
    let mut spread = places.to_vec();
    let mut least = limits.0;
    for &at in &order {
        spread[at] = spread[at].max(least);
        least = spread[at] + gap;
    }
    let mut most = limits.1;
    for &at in order.iter().rev() {
        spread[at] = spread[at].min(most);
        most = spread[at] - gap;
    }
    spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_from_outside_is_escaped() {
        let evil = "\"><script>alert('1')</script>&";
        let body = mark(evil, evil, &text(evil, 1.0, 2.0, evil));
        let drawing = Drawing { height: 10.0, points: 1, label: evil.to_owned(), body };
        let svg = drawing.svg(evil, WIDTH).into_string();
        assert!(!svg.contains("<script") && !svg.contains("\"><s"), "{svg}");
        assert_eq!(svg.matches("&lt;script&gt;").count(), 6, "{svg}");
    }

    #[test]
    fn labels_keep_apart_and_in_order() {
        let moved = spread(&[50.0, 51.0, 10.0, 52.0], 12.0, (0.0, 70.0));
        assert_eq!(moved, [46.0, 58.0, 10.0, 70.0]);
        assert_eq!(spread(&[], 12.0, (0.0, 1.0)), [0.0; 0]);
    }

    #[test]
    fn crowded_ticks_lose_their_words_but_not_their_lines() {
        let ticks: Vec<Tick> =
            (0..20).map(|at| Tick { at: f64::from(at) * 10.0, label: "100 MB/s".to_owned() }).collect();
        let svg = axis_below(&ticks, 0.0, 100.0, WIDTH).into_string();
        assert_eq!(svg.matches("<line").count(), 20);
        assert!((2..=5).contains(&svg.matches("<text").count()), "{svg}");
    }

    #[test]
    fn paths_have_a_corner_for_each_point() {
        assert_eq!(path(&[(0.0, 1.26), (2.0, 3.0)]), "M0 1.3L2 3");
        assert_eq!(path(&[]), "");
    }
}
