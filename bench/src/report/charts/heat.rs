//! A map of settings: a cell for each number of slots and slot size, its colour and its number the median relative to
//! the best of all backends.

use maud::{Markup, html};

use super::super::facts::{Cell, Heat};
use super::super::svg::{Drawing, WIDTH, mark, px, text, text_width, tick_width};
use super::super::words::{binary_bytes, clipped, number, ratio};
use super::listed;

const LEFT: f64 = 44.0;
const ROW: f64 = 27.0;
const TOP: f64 = 2.0;
const BELOW: f64 = 32.0;
/// Wider cells would be a picture of nothing.
const WIDEST: f64 = 51.0;

/// Up to which ratio a cell has which class; beyond the last, the last but one's successor.
const BINS: [(f64, &str); 6] = [(1.02, "q0"), (1.05, "q1"), (1.10, "q2"), (1.20, "q3"), (1.50, "q4"), (2.00, "q5")];

/// The class that colours a ratio.
fn class(ratio: f64) -> &'static str {
    BINS.iter().find(|(most, _)| ratio <= *most).map_or("q6", |(_, class)| class)
}

/// One panel: rows of slots, columns of slot sizes.
pub(in crate::report) fn draw(heat: &Heat) -> Drawing {
    let width = ((WIDTH - LEFT) / heat.columns.len().max(1) as f64).min(WIDEST);
    let bottom = TOP + ROW * heat.rows.len() as f64;
    // Every second or third label where columns are narrow.
    let widest = heat.columns.iter().map(|size| tick_width(&binary_bytes(*size))).fold(1.0, f64::max);
    let every = ((widest + 4.0) / width).ceil().max(1.0) as usize;
    let body = html! {
        @for (at, slots) in heat.rows.iter().enumerate() {
            (text("tick end", LEFT - 7.0, TOP + ROW * (at as f64 + 0.5) + 3.8, &whole(*slots)))
        }
        @for (at, size) in heat.columns.iter().enumerate().step_by(every) {
            (text("tick mid", LEFT + width * (at as f64 + 0.5), bottom + 14.0, &binary_bytes(*size)))
        }
        (text("tick", 0.0, bottom + 14.0, "slots"))
        (text("tick mid", LEFT + width * heat.columns.len() as f64 / 2.0, bottom + 28.0, "slot size"))
        // The chosen one last, so that its frame lies above its neighbours.
        @for cell in heat.cells.iter().filter(|cell| !cell.chosen) { (one(cell, width)) }
        @for cell in heat.cells.iter().filter(|cell| cell.chosen) { (one(cell, width)) }
    };
    let said = heat.cells.iter().map(|cell| {
        let (slots, size) = (heat.rows[cell.row], heat.columns[cell.column]);
        format!("{slots} × {} {}{}", binary_bytes(size), ratio(cell.ratio), if cell.chosen { ", chosen" } else { "" })
    });
    Drawing { height: bottom + BELOW, points: heat.cells.len(), label: listed(&heat.io, said), body }
}

fn whole(slots: f64) -> String {
    if slots.fract() == 0.0 && slots.abs() < 1e6 { format!("{slots}") } else { clipped(&number(slots), 7) }
}

fn one(cell: &Cell, width: f64) -> Markup {
    let (x, y) = (LEFT + width * cell.column as f64, TOP + ROW * cell.row as f64);
    let words = ratio(cell.ratio);
    let fits = text_width(&words) + 2.0 <= width;
    let body = html! {
        rect.cell x=(px(x + 0.75)) y=(px(y + 0.75)) width=(px((width - 1.5).max(0.5))) height=(px(ROW - 1.5)) rx="2.5" {}
        @if fits { (text("mid incell", x + width / 2.0, y + ROW / 2.0 + 3.9, &words)) }
        @if cell.default && !cell.chosen {
            rect.default x=(px(x + 2.25)) y=(px(y + 2.25)) width=(px((width - 4.5).max(0.5))) height=(px(ROW - 4.5)) rx="2" {}
        }
        @if cell.chosen {
            rect.chosen x=(px(x + 0.75)) y=(px(y + 0.75)) width=(px((width - 1.5).max(0.5))) height=(px(ROW - 1.5)) rx="2.5" {}
        }
    };
    mark(class(cell.ratio), &cell.tip, &body)
}

/// What the colours mean, for a key beside the maps.
pub(in crate::report) fn key() -> Markup {
    html! {
        span.key { "relative to the best: "
            @for (most, class) in BINS {
                span class={ "swatch " (class) } { "≤ " (format!("{most:.2}")) }
            }
            span class="swatch q6" { "above" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_has_the_class_of_its_bin() {
        let classes = [0.5, 1.0, 1.02, 1.021, 1.2, 2.0, 2.01, 1e18].map(class);
        assert_eq!(classes, ["q0", "q0", "q0", "q1", "q3", "q5", "q6", "q6"]);
    }
}
