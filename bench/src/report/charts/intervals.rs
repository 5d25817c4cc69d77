//! Ratios with their intervals, around a line at 1.

use maud::{Markup, html};

use super::super::facts::{Interval, Intervals};
use super::super::scale::Scale;
use super::super::svg::{Drawing, WIDTH, axis_below, bold_width, line, mark, px, text, text_width};
use super::super::words::{clipped, interval, round_number};
use super::{listed, look};

const ROW: f64 = 21.0;
const TOP: f64 = 4.0;
const BELOW: f64 = 20.0;
const LABEL: usize = 17;

/// One panel.
pub(in crate::report) fn draw(panel: &Intervals) -> Drawing {
    let labels = panel.rows.iter().map(|row| text_width(&clipped(&row.label, LABEL)));
    let left = labels.fold(36.0, f64::max) + 10.0;
    let widths = panel.rows.iter().map(|row| bold_width(&words(row)));
    let right = WIDTH - widths.fold(24.0, f64::max) - 8.0;
    let ends = panel.rows.iter().flat_map(|row| [row.low, row.mean, row.high]).chain([1.0]);
    let ends: Vec<f64> = ends.collect();
    let most = ends.iter().copied().fold(1.0, f64::max);
    let least = ends.iter().copied().fold(1.0, f64::min);
    // Some peers take many times as long: straight, they would leave all others no room.
    let wide = most / least > 3.0;
    let scale = if wide { Scale::log(ends, (left, right)) } else { Scale::around(ends, (left, right)) };
    let bottom = TOP + ROW * panel.rows.len() as f64;
    let ticks = scale.ticks(3.0, tick);
    let body = html! {
        (axis_below(&ticks, TOP, bottom, WIDTH))
        (line("one", (scale.at(1.0), TOP - 2.0), (scale.at(1.0), bottom + 2.0)))
        @for (at, row) in panel.rows.iter().enumerate() {
            (one(row, &scale, TOP + ROW * (at as f64 + 0.5), left))
        }
    };
    let label = listed(&panel.title, panel.rows.iter().map(|row| format!("{} {}", row.label, words(row))));
    Drawing { height: bottom + BELOW, points: panel.rows.len(), label, body }
}

/// A tick is a round number: no zeros at its end.
fn tick(value: f64) -> String {
    round_number((value * 1e6).round() / 1e6)
}

fn words(row: &Interval) -> String {
    interval(row.mean, row.low, row.high)
}

fn one(row: &Interval, scale: &Scale, y: f64, left: f64) -> Markup {
    let (hue, shape) = look(&row.contender);
    let [low, mean, high] = [row.low, row.mean, row.high].map(|value| scale.at(value));
    let value = if row.holds_one() { "end value" } else { "end value strong" };
    let body = html! {
        rect.hit x="0" y=(px(y - ROW / 2.0)) width=(WIDTH) height=(ROW) {}
        (text("end", left - 10.0, y + 3.9, &clipped(&row.label, LABEL)))
        (line("span", (low, y), (high, y)))
        (line("span", (low, y - 3.5), (low, y + 3.5)))
        (line("span", (high, y - 3.5), (high, y + 3.5)))
        (shape.draw(mean, y, 4.0))
        (text(value, WIDTH, y + 3.9, &words(row)))
    };
    mark(hue, &row.tip, &body)
}
