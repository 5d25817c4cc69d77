//! Packing time against archive size. The front joins those that nobody beats in both; Carrack's own front is drawn beside it,
//! and a line joins the levels of everybody else.

use maud::{Markup, html};

use super::super::facts::{Dot, Scatter};
use super::super::scale::{Scale, whole_percent};
use super::super::svg::{Drawing, axis_below, axis_left, bold_width, line, mark, path, px, text, text_width};
use super::super::words::{clipped, percent, short_time, time};
use super::{listed, look};

const LEFT: f64 = 40.0;
const TOP: f64 = 10.0;
/// Half the height of a label.
const HALF: f64 = 6.5;

/// A stretch of paper that is taken: left, top, right, bottom.
type Box4 = (f64, f64, f64, f64);

/// One panel, `width` wide.
pub(in crate::report) fn draw(scatter: &Scatter, width: f64) -> Drawing {
    let height = if width > 450.0 { 330.0 } else { 290.0 };
    let (right, bottom) = (width - 8.0, height - 24.0);
    let x = Scale::log(scatter.dots.iter().map(|dot| dot.ns), (LEFT + 8.0, right));
    let y = Scale::around(scatter.dots.iter().map(|dot| dot.share), (bottom - 6.0, TOP + 6.0));
    let places: Vec<(f64, f64)> = scatter.dots.iter().map(|dot| (x.at(dot.ns), y.at(dot.share))).collect();
    let mut front: Vec<(f64, f64)> =
        scatter.dots.iter().zip(&places).filter(|(dot, _)| dot.front).map(|(_, place)| *place).collect();
    front.sort_by(|a, b| a.0.total_cmp(&b.0));
    let front = steps(&front);
    let series = series(scatter, &places);
    // Lines from point to point cross the paper; only stairs are kept free of labels.
    let stairs: Vec<&[(f64, f64)]> = series.iter().filter(|line| line.is_ours).map(|line| &line.places[..]).collect();
    let stairs = [&[&front[..]], &stairs[..]].concat();
    let labels = place_labels(scatter, &places, &stairs, (LEFT + 2.0, TOP, right, bottom));
    let body = html! {
        (axis_left(&y.ticks(5.0, whole_percent), LEFT, right))
        (axis_below(&x.ticks(6.0, short_time), TOP, bottom, width))
        path.front d=(path(&front)) {}
        @for line in &series { path class={ "series " (line.hue) } d=(path(&line.places)) {} }
        @for (place, label) in places.iter().zip(&labels) { (leader(*place, label.as_ref())) }
        @for ((dot, place), label) in scatter.dots.iter().zip(&places).zip(&labels) { (one(dot, *place, label.as_ref())) }
    };
    let said = scatter.dots.iter().map(|dot| {
        let front = if dot.front { ", on the front" } else { "" };
        format!("{} {}, {}{front}", dot.label, time(dot.ns), percent(dot.share))
    });
    Drawing { height, points: scatter.dots.len(), label: listed(&scatter.title, said), body }
}

/// What joins the points of one series.
#[derive(Debug)]
struct Series {
    is_ours: bool,
    hue: &'static str,
    places: Vec<(f64, f64)>,
}

/// A line for each series of several points, from the fastest on: stairs over its own front for Carrack, which is what can be had of
/// it, and from point to point for everybody else.
fn series(scatter: &Scatter, places: &[(f64, f64)]) -> Vec<Series> {
    let mut names: Vec<&str> = Vec::new();
    for dot in &scatter.dots {
        if !names.contains(&dot.series.as_str()) {
            names.push(&dot.series);
        }
    }
    let line = |name: &str| {
        let is_ours = name == "carrack";
        let of_it = |dot: &Dot| dot.series == name && (dot.own_front || !is_ours);
        let mut line: Vec<_> =
            scatter.dots.iter().zip(places).filter(|(dot, _)| of_it(dot)).map(|(_, place)| *place).collect();
        line.sort_by(|a, b| a.0.total_cmp(&b.0));
        (line.len() > 1).then(|| Series {
            is_ours,
            hue: look(name).0,
            places: if is_ours { steps(&line) } else { line },
        })
    };
    names.into_iter().filter_map(line).collect()
}

/// The front as stairs: to the right of a point its size can be had, up to the next.
fn steps(front: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut steps: Vec<(f64, f64)> = Vec::new();
    for place in front {
        if let Some(before) = steps.last() {
            steps.push((place.0, before.1));
        }
        steps.push(*place);
    }
    steps
}

fn one(dot: &Dot, (x, y): (f64, f64), label: Option<&Label>) -> Markup {
    let (hue, shape) = look(&dot.series);
    let strong = if dot.front { "strong" } else { "soft" };
    let radius = if dot.contender == "carrack" { 5.5 } else { 4.2 };
    let body = html! {
        circle.hit cx=(px(x)) cy=(px(y)) r="9" {}
        (shape.draw(x, y, radius))
        @if let Some(label) = label { (text(strong, label.x, label.y + 3.8, &label.words)) }
    };
    mark(hue, &dot.tip, &body)
}

/// Where a label begins and where its middle line lies.
#[derive(Debug)]
struct Label {
    x: f64,
    y: f64,
    words: String,
    /// So far away that a line has to lead to it.
    far: bool,
}

fn leader(place: (f64, f64), label: Option<&Label>) -> Markup {
    let Some(label) = label.filter(|label| label.far) else { return html! {} };
    let end = label.x + text_width(&label.words);
    let near = place.0.clamp(label.x, end);
    html! { (line("leader", place, (near, label.y + if label.y > place.1 { -HALF + 1.0 } else { HALF - 1.0 }))) }
}

/// Finds each label the nearest free place around its point: those of the front and of Carrack choose first. One that
/// finds none is left out; its point still tells its name. Carrack's single backends lie so close together that their
/// labels may not go far.
fn place_labels(scatter: &Scatter, places: &[(f64, f64)], stairs: &[&[(f64, f64)]], paper: Box4) -> Vec<Option<Label>> {
    let around = |(x, y): (f64, f64)| (x - 6.0, y - 6.0, x + 6.0, y + 6.0);
    let between = |step: &[(f64, f64)]| {
        let ((a, b), (c, d)) = (step[0], step[1]);
        (a.min(c) - 1.0, b.min(d) - 1.0, a.max(c) + 1.0, b.max(d) + 1.0)
    };
    let mut taken: Vec<Box4> = places.iter().map(|place| around(*place)).collect();
    taken.extend(stairs.iter().flat_map(|stairs| stairs.windows(2)).map(between));
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|at| (scatter.dots[*at].contender != "carrack", !scatter.dots[*at].front));
    let mut labels: Vec<Option<Label>> = places.iter().map(|_| None).collect();
    for at in order {
        let words = clipped(&scatter.dots[at].label, 16);

        let width = if scatter.dots[at].front { bold_width(&words) } else { text_width(&words) };
        let near_only = scatter.dots[at].contender.starts_with("carrack --io ");
        let found = candidates(places[at], width).find(|(area, far)| {
            !(near_only && *far) && inside(*area, paper) && !taken.iter().any(|other| overlap(*area, *other))
        });
        if let Some((area, far)) = found {
            taken.push(area);
            labels[at] = Some(Label { x: area.0, y: f64::midpoint(area.1, area.3), words, far });
        }
    }
    labels
}

/// Areas around a point, the nearest first.
fn candidates((x, y): (f64, f64), width: f64) -> impl Iterator<Item = (Box4, bool)> {
    [9.0, 16.0, 25.0, 36.0, 48.0].into_iter().flat_map(move |away| {
        let slant = away * 0.75;
        let left_tops = [
            (x + away, y - HALF),
            (x - width / 2.0, y - away - HALF * 1.7),
            (x - away - width, y - HALF),
            (x - width / 2.0, y + away - HALF * 0.3),
            (x + slant, y - slant - HALF * 1.4),
            (x + slant, y + slant - HALF * 0.6),
            (x - slant - width, y - slant - HALF * 1.4),
            (x - slant - width, y + slant - HALF * 0.6),
        ];
        left_tops.map(|(left, top)| ((left, top, left + width, top + 2.0 * HALF), away > 10.0))
    })
}

fn inside(area: Box4, paper: Box4) -> bool {
    area.0 >= paper.0 && area.1 >= paper.1 && area.2 <= paper.2 && area.3 <= paper.3
}

fn overlap(a: Box4, b: Box4) -> bool {
    a.0 < b.2 && b.0 < a.2 && a.1 < b.3 && b.1 < a.3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crowd(count: usize) -> Scatter {
        let dot = |at: usize| Dot {
            label: format!("contender {at}"),
            contender: "x".to_owned(),
            series: "x".to_owned(),
            ns: 1e9 + at as f64 * 1e6,
            share: 0.3,
            front: false,
            own_front: false,
            tip: String::new(),
        };
        Scatter { title: String::new(), dots: (0..count).map(dot).collect() }
    }

    #[test]
    fn labels_never_lie_upon_one_another_or_outside() {
        let scatter = crowd(60);
        let places: Vec<(f64, f64)> = (0..60).map(|at| (150.0 + f64::from(at) * 0.5, 150.0)).collect();
        let labels = place_labels(&scatter, &places, &[&[(0.0, 155.0), (400.0, 155.0)]], (42.0, 10.0, 344.0, 266.0));
        let areas: Vec<Box4> = labels
            .iter()
            .flatten()
            .map(|label| (label.x, label.y - HALF, label.x + text_width(&label.words), label.y + HALF))
            .collect();
        assert!((4..60).contains(&areas.len()), "{} of 60 found a place", areas.len());
        assert!(areas.iter().all(|area| area.3 <= 154.0 || area.1 >= 156.0), "upon the stairs: {areas:?}");
        for (at, area) in areas.iter().enumerate() {
            assert!(inside(*area, (42.0, 10.0, 344.0, 266.0)), "{area:?}");
            assert!(areas[..at].iter().all(|other| !overlap(*area, *other)), "{area:?}");
        }
    }

    #[test]
    fn a_series_is_joined_and_carracks_is_its_front() {
        let mut scatter = crowd(6);
        for (at, (series, own)) in
            [("carrack", true), ("carrack", false), ("carrack", true), ("tar", true), ("tar", false), ("naive", true)]
                .into_iter()
                .enumerate()
        {
            (scatter.dots[at].series, scatter.dots[at].own_front) = (series.to_owned(), own);
        }
        let places = [(1.0, 9.0), (2.0, 9.5), (3.0, 5.0), (7.0, 1.0), (6.0, 2.0), (4.0, 4.0)];
        let found: Vec<_> = series(&scatter, &places).into_iter().map(|line| (line.hue, line.places)).collect();
        let ours = ("h-carrack", vec![(1.0, 9.0), (3.0, 9.0), (3.0, 5.0)]);
        assert_eq!(found, [ours, ("h-peer", vec![(6.0, 2.0), (7.0, 1.0)])]);
    }

    #[test]
    fn the_front_is_drawn_as_stairs() {
        assert_eq!(steps(&[(1.0, 9.0), (3.0, 5.0)]), [(1.0, 9.0), (3.0, 9.0), (3.0, 5.0)]);
        assert!(steps(&[]).is_empty());
    }
}
