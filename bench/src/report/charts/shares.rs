//! Which stage took which share of the time of all services: a bar of 100% a backend.

use maud::{Markup, html};

use super::super::facts::{ShareRow, Shares};
use super::super::svg::{Drawing, WIDTH, mark, px, text, text_width, tick_width};
use super::super::words::{clipped, percent};
use super::{listed, stage_class};

const ROW: f64 = 40.0;
const KEY: f64 = 17.0;

/// One panel: the key above, then for each backend its name and its verdict over its bar.
pub(in crate::report) fn draw(shares: &Shares) -> Drawing {
    let key = places(&shares.stages);
    let top = key.last().map_or(0.0, |(_, y, _)| y + KEY + 2.0);
    let body = html! {
        @for (at, (x, y, name)) in key.iter().enumerate() {
            rect class={ "part " (stage_class(at)) } x=(px(*x)) y=(px(y + 2.0)) width="9" height="9" rx="2" {}
            (text("tick", x + 13.0, y + 10.5, name))
        }
        @for (at, row) in shares.rows.iter().enumerate() { (one(row, &shares.stages, top + ROW * at as f64)) }
    };
    let said = shares.rows.iter().map(|row| {
        let parts = row.parts.iter().map(|(at, share, _)| format!("{} {}", shares.stages[*at], percent(*share)));
        format!("{} {}: {}", row.backend, row.verdict, parts.collect::<Vec<_>>().join(", "))
    });
    Drawing {
        height: top + ROW * shares.rows.len() as f64,
        points: shares.rows.iter().map(|row| row.parts.len()).sum(),
        label: listed(&shares.title, said),
        body,
    }
}

/// Where the words of the key stand: as many in a line as there is room for.
fn places(stages: &[String]) -> Vec<(f64, f64, String)> {
    let (mut x, mut y) = (0.0, 0.0);
    let place = |name: &String| {
        let name = clipped(name, 20);
        let width = tick_width(&name) + 22.0;
        if x > 0.0 && x + width > WIDTH {
            (x, y) = (0.0, y + KEY);
        }
        let at = (x, y, name);
        x += width;
        at
    };
    stages.iter().map(place).collect()
}

fn one(row: &ShareRow, stages: &[String], y: f64) -> Markup {
    let mut from = 0.0;
    let mut parts = Vec::with_capacity(row.parts.len());
    for (at, share, total) in &row.parts {
        let width = (share.clamp(0.0, 1.0) * WIDTH).min(WIDTH - from);
        let tip =
            format!("{}, {}: {} of all services, {total} over all threads", row.backend, stages[*at], percent(*share));
        parts.push(mark(stage_class(*at), &tip, &part(&stages[*at], (from, width), *share, y + 17.0)));
        from += width;
    }
    let verdict = if row.verdict.is_empty() { "no verdict" } else { row.verdict.as_str() };
    html! {
        (text("strong", 0.0, y + 12.0, &clipped(&row.backend, 20)))
        g { title { (row.figures) } (text("end value", WIDTH, y + 12.0, &clipped(verdict, 24))) }
        @for part in parts { (part) }
    }
}

/// A stretch of the bar, with its name or its share in it where there is room.
fn part(stage: &str, (from, width): (f64, f64), share: f64, y: f64) -> Markup {
    let (long, short) = (format!("{stage} {}", percent(share)), percent(share));
    let fitting = [long, short].into_iter().find(|words| text_width(words) + 6.0 < width);
    html! {
        // A hair of paper parts neighbours.
        rect.part x=(px(from)) y=(px(y)) width=(px((width - 1.0).max(0.6))) height="15" rx="1.5" {}
        @if let Some(words) = fitting { (text("mid inside", from + width / 2.0, y + 11.3, &words)) }
    }
}
