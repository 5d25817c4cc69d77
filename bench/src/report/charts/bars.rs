//! Horizontal bars from zero, each with the spread of its rounds.

use maud::{Markup, html};

use super::super::facts::{Bar, Bars};
use super::super::scale::{Scale, whole_percent};
use super::super::svg::{Drawing, WIDTH, axis_below, bold_width, line, mark, px, text, text_width};
use super::super::words::{clipped, grouped, round_number};
use super::{listed, look};

const ROW: f64 = 21.0;
const TOP: f64 = 4.0;
const BELOW: f64 = 20.0;

/// What the bars count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Unit {
    /// Megabytes of content a second.
    Rate,
    /// A share of 1.
    Share,
}

/// One panel.
pub(in crate::report) fn draw(bars: &Bars, unit: Unit) -> Drawing {
    let labels = bars.rows.iter().map(|row| bold_width(&clipped(&row.label, 14)));
    let left = labels.fold(36.0, f64::max) + 8.0;
    let words = bars.rows.iter().filter(|row| row.value.is_some()).map(|row| text_width(&row.words));
    let right = WIDTH - words.fold(24.0, f64::max) - 8.0;
    let ends = bars.rows.iter().flat_map(|row| [row.value, row.all.map(|(_, high)| high)]).flatten();
    let ends = ends.chain((unit == Unit::Share).then_some(1.0));
    let scale = Scale::from_zero(ends, (left, right));
    let bottom = TOP + ROW * bars.rows.len() as f64;
    let ticks = scale.ticks(4.0, |value| match unit {
        Unit::Rate => rate_tick(value),
        Unit::Share => whole_percent(value),
    });
    let body = html! {
        (axis_below(&ticks, TOP, bottom, WIDTH))
        @for (at, row) in bars.rows.iter().enumerate() {
            (bar(row, &scale, TOP + ROW * (at as f64 + 0.5), left))
        }
    };
    let label = listed(&bars.title, bars.rows.iter().map(|row| format!("{} {}", row.label, row.words)));
    Drawing { height: bottom + BELOW, points: bars.rows.len(), label, body }
}

fn rate_tick(value: f64) -> String {
    if value < 100.0 { round_number(value) } else { grouped(value) }
}

fn bar(row: &Bar, scale: &Scale, y: f64, left: f64) -> Markup {
    let (hue, _) = look(&row.contender);
    let name = if row.contender == "carrack" { "end strong" } else { "end" };
    let body = html! {
        rect.hit x="0" y=(px(y - ROW / 2.0)) width=(WIDTH) height=(ROW) {}
        (text(name, left - 8.0, y + 3.9, &clipped(&row.label, 14)))
        @if let Some(value) = row.value {
            rect.bar x=(px(left)) y=(px(y - 5.5)) width=(px((scale.at(value) - left).max(1.0))) height="11" rx="1.5" {}
            @if let Some((low, high)) = row.all { (whisker(scale.at(low), scale.at(high), y)) }
            @if let Some((low, high)) = row.half {
                rect.half x=(px(scale.at(low))) y=(px(y - 2.5)) width=(px((scale.at(high) - scale.at(low)).max(1.0)))
                    height="5" {}
            }
            (text("end value", WIDTH, y + 3.9, &row.words))
        } @else {
            @let room = ((WIDTH - left) / text_width("x")) as usize;
            (text("none", left + 2.0, y + 3.9, &clipped(&row.words, room)))
        }
    };
    mark(hue, &row.tip, &body)
}

/// A thin line with short ends.
fn whisker(low: f64, high: f64, y: f64) -> Markup {
    html! {
        (line("whisker", (low, y), (high, y)))
        (line("whisker", (low, y - 3.0), (low, y + 3.0)))
        (line("whisker", (high, y - 3.0), (high, y + 3.0)))
    }
}
