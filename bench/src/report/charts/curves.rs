//! Percentiles of one stage, a line a backend, plotted as HdrHistogram plots them: both axes logarithmic, the lower one
//! by 1 / (1 − quantile), so that each further nine takes the same room.

use maud::{Markup, html};

use super::super::facts::{Group, Kind, Line};
use super::super::scale::{Scale, quantile};
use super::super::svg::{Drawing, WIDTH, axis_below, axis_left, bold_width, mark, path, px, spread, text};
use super::super::words::{clipped, grouped, round_number, short_time, time};
use super::{listed, look};

const HEIGHT: f64 = 196.0;
const LEFT: f64 = 48.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = HEIGHT - 22.0;

/// One panel.
pub(in crate::report) fn draw(of: &str, group: &Group) -> Drawing {
    let names = group.lines.iter().map(|line| bold_width(&clipped(&line.backend, 10)));
    let right = WIDTH - names.fold(20.0, f64::max) - 8.0;
    let times = group.lines.iter().flat_map(|line| line.points.iter().map(|(_, ns)| *ns));
    let y = Scale::log(times, (BOTTOM, TOP));
    let x = Scale::tail(group.lines.iter().map(furthest).fold(0.0, f64::max), (LEFT, right));
    let ends: Vec<f64> =
        group.lines.iter().map(|line| line.points.last().map_or(BOTTOM, |(_, ns)| y.at(*ns))).collect();
    let ends = spread(&ends, 12.0, (TOP + 4.0, BOTTOM));
    let body = html! {
        (axis_left(&y.ticks(5.0, short_time), LEFT, right))
        (axis_below(&x.ticks(8.0, quantile), TOP, BOTTOM, right + 14.0))
        @for (line, end) in group.lines.iter().zip(&ends) { (one(line, group.kind, &x, &y, *end, right)) }
    };
    let said = group.lines.iter().map(|line| {
        let last = line.points.last().map_or_else(String::new, |(_, ns)| time(*ns));
        format!("{} up to {last}", line.backend)
    });
    let points = group.lines.iter().map(|line| line.points.len() + 1).sum();
    Drawing { height: HEIGHT, points, label: listed(&format!("{of}, {}", group.stage), said), body }
}

/// 1 / (1 − q) of the last point. The longest sample, q = 1, is one in twice as many as there are samples, as
/// HdrHistogram has it; but no further than a nine beyond the point before.
fn furthest(line: &Line) -> f64 {
    let inner = line.points.iter().filter(|(q, _)| *q < 1.0).map(|(q, _)| 1.0 / (1.0 - q)).fold(2.0, f64::max);
    (line.count * 2.0).clamp(inner, inner * 10.0)
}

fn one(line: &Line, kind: Kind, x: &Scale, y: &Scale, end: f64, right: f64) -> Markup {
    let (hue, shape) = look(&line.backend);
    let far = 1.0 - 1.0 / furthest(line);
    let at = |&(q, ns): &(f64, f64)| (x.at(q.min(far)), y.at(ns));
    let places: Vec<(f64, f64)> = line.points.iter().map(at).collect();
    let dashed = if kind == Kind::Wait { "curve dashed" } else { "curve" };
    let samples = if line.count == 1.0 { "sample" } else { "samples" };
    let tip = format!("{}: {} {samples}", line.backend, grouped(line.count));
    let whole = html! { path class=(dashed) d=(path(&places)) data-n=(places.len()) {} };
    let last = places.last().copied().unwrap_or((right, end));
    html! {
        (mark(hue, &tip, &whole))
        g class=(hue) {
            @for (place, (q, ns)) in places.iter().zip(&line.points) { (dot(*place, &line.backend, *q, *ns)) }
            (shape.draw(last.0, last.1, 3.6))
            (text("hue", right + 6.0, end + 3.8, &clipped(&line.backend, 10)))
        }
    }
}

/// A small dot; the style gives it room for a finger. There are thousands, so each is one element.
fn dot((x, y): (f64, f64), backend: &str, q: f64, ns: f64) -> Markup {
    let share = if q >= 1.0 { "all".to_owned() } else { format!("{}%", places(q * 100.0)) };
    html! {
        circle.m.dot cx=(px(x)) cy=(px(y)) r="2" { title { (backend) ": " (share) " within " (time(ns)) } }
    }
}

/// As many places as a percentile needs.
fn places(percent: f64) -> String {
    let rounded = (percent * 1e4).round() / 1e4;
    if rounded > 99.0 { rounded.to_string() } else { round_number(rounded) }
}
