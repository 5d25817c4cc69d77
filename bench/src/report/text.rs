//! The same facts for a terminal: compact tables with small bars.

use std::fmt::Write as _;

use carrack_measure::table::{Align, Grid};

use super::facts::{Bars, Curves, Facts, Heat, Intervals, Scatter, Shares};
use super::words::{binary_bytes, clipped, interval, percent, ratio, time};

/// Width of a bar, in characters.
const BAR: usize = 24;
/// Names and reasons beyond this are cut.
const NAME: usize = 44;

/// Everything, section by section; sections without data are left out, as the headlines say what to run.
pub(super) fn text(facts: &Facts) -> String {
    let mut text = String::new();
    for headline in &facts.headlines {
        let _ = writeln!(text, "{} {}: {}", plain(&headline.figure), plain(&headline.what), plain(&headline.detail));
    }
    let parts = [
        ("Time / time of the peer [95%]", facts.ratios.iter().map(intervals).collect()),
        ("MB/s side by side: median of the rounds", facts.compared.iter().map(bars).collect()),
        ("MB/s, every corpus and backend, one run each", facts.packed.iter().map(bars).collect()),
        ("Time against size; * is on the front", facts.scatters.iter().map(scatter).collect()),
        ("Share of all services, and the verdict", facts.shares.iter().map(shares).collect()),
        ("Latency by stage", facts.curves.iter().map(stages).collect()),
        ("Efficiency: codec time / wall time", facts.efficiency.iter().map(bars).collect()),
        (
            "Tuner: median / best median; [ ] is chosen",
            facts.trials.iter().flat_map(|trials| &trials.maps).map(heat).collect(),
        ),
        ("A/A: time / time of itself [95%]", facts.noise.iter().map(intervals).collect()),
        ("A planted delay: time / time without it [95%]", facts.planted.iter().map(intervals).collect::<Vec<String>>()),
    ];
    for (title, tables) in parts.into_iter().filter(|(_, tables)| !tables.is_empty()) {
        let _ = write!(text, "\n{title}\n\n{}", tables.join("\n"));
    }
    if !facts.floors.is_empty() {
        let _ = write!(text, "\nFloors\n\n{}", floors(&facts.floors));
    }
    if !facts.problems.is_empty() {
        text.push_str("\nWhat did not hold\n\n");
        for problem in &facts.problems {
            let _ = writeln!(text, "{}: {}", plain(&problem.place), plain(&problem.what));
        }
    }
    text
}

/// Without what would move the cursor or colour the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn name(text: &str) -> String {
    clipped(&plain(text), NAME)
}

/// A bar of eighths.
fn bar(share: f64) -> String {
    let eighths = (share.clamp(0.0, 1.0) * (BAR * 8) as f64).round() as usize;
    let rest = [None, Some('▏'), Some('▎'), Some('▍'), Some('▌'), Some('▋'), Some('▊'), Some('▉')][eighths % 8];
    "█".repeat(eighths / 8).chars().chain(rest).collect()
}

fn floors(floors: &[[String; 5]]) -> String {
    use Align::{Left, Right};
    let columns = [("verdict", Left), ("floor", Left), ("found", Right), ("at most", Right), ("95% interval", Right)];
    let mut grid = Grid::new(&columns);
    for floor in floors {
        grid.row(floor.iter().map(|cell| clipped(&plain(cell), 2 * NAME)));
    }
    grid.text()
}

fn bars(panel: &Bars) -> String {
    let mut grid = Grid::new(&[(&name(&panel.title), Align::Left), ("", Align::Right), ("", Align::Left)]);
    let most = panel.rows.iter().filter_map(|row| row.value).fold(f64::MIN_POSITIVE, f64::max);
    for row in &panel.rows {
        match row.value {
            Some(value) => grid.row([name(&row.label), plain(&row.words), bar(value / most)]),
            None => grid.row([name(&row.label), "–".to_owned(), name(&row.words)]),
        }
    }
    grid.text()
}

fn intervals(panel: &Intervals) -> String {
    let mut grid = Grid::new(&[(&name(&panel.title), Align::Left), ("", Align::Left), ("", Align::Left)]);
    let most = panel.rows.iter().map(|row| row.mean).fold(1.0, f64::max);
    for row in &panel.rows {
        let verdict = if row.holds_one() { "  holds 1" } else { "" };
        let words = format!("{}{verdict}", interval(row.mean, row.low, row.high));
        grid.row([name(&row.label), words, bar(row.mean / most)]);
    }
    grid.text()
}

fn scatter(panel: &Scatter) -> String {
    let title = name(&panel.title);
    let mut grid = Grid::new(&[
        (&title, Align::Left),
        ("wall", Align::Right),
        ("archive / content", Align::Right),
        ("", Align::Left),
    ]);
    let mut dots: Vec<_> = panel.dots.iter().collect();
    dots.sort_by(|a, b| a.ns.total_cmp(&b.ns));
    for dot in dots {
        let front = if dot.front { "*" } else { "" };
        grid.row([name(&dot.label), time(dot.ns), percent(dot.share), front.to_owned()]);
    }
    grid.text()
}

fn shares(panel: &Shares) -> String {
    let title = name(&panel.title);
    let stages: Vec<String> = panel.stages.iter().map(|stage| name(stage)).collect();
    let mut columns = vec![(title.as_str(), Align::Left), ("verdict", Align::Left)];
    columns.extend(stages.iter().map(|stage| (stage.as_str(), Align::Right)));
    let mut grid = Grid::new(&columns);
    for row in &panel.rows {
        let share = |number: usize| {
            let part = row.parts.iter().find(|(at, ..)| *at == number);
            part.map_or_else(|| "–".to_owned(), |(_, share, _)| percent(*share))
        };
        let parts = (0..panel.stages.len()).map(share);
        grid.row([name(&row.backend), name(&row.verdict)].into_iter().chain(parts));
    }
    grid.text()
}

fn stages(set: &Curves) -> String {
    use Align::{Left, Right};
    let title = name(&format!("{} {}", set.operation, set.of));
    let mut grid = Grid::new(&[
        (&title, Left),
        ("kind", Left),
        ("one", Left),
        ("by", Left),
        ("samples", Right),
        ("50%", Right),
        ("90%", Right),
        ("99%", Right),
        ("99.9%", Right),
        ("max", Right),
        ("total", Right),
    ]);
    for row in &set.rows {
        grid.row(row.words.iter().chain(&row.cells).map(|cell| name(cell)));
    }
    grid.text()
}

fn heat(map: &Heat) -> String {
    let sizes: Vec<String> = map.columns.iter().map(|size| binary_bytes(*size)).collect();
    let title = format!("{}: slots", name(&map.io));
    let mut columns = vec![(title.as_str(), Align::Right)];
    columns.extend(sizes.iter().map(|size| (size.as_str(), Align::Right)));
    let mut grid = Grid::new(&columns);
    for (at, slots) in map.rows.iter().enumerate() {
        let cell = |column: usize| {
            let found = map.cells.iter().find(|cell| (cell.row, cell.column) == (at, column));
            match found {
                Some(cell) if cell.chosen => format!("[{}]", ratio(cell.ratio)),
                Some(cell) => ratio(cell.ratio),
                None => String::new(),
            }
        };
        grid.row([format!("{slots}")].into_iter().chain((0..map.columns.len()).map(cell)));
    }
    grid.text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_end_within_an_eighth_of_a_character() {
        assert_eq!(bar(1.0).chars().count(), BAR);
        assert_eq!(bar(0.5), "█".repeat(BAR / 2));
        assert_eq!(bar(1.0 / (BAR * 8) as f64), "▏");
        assert_eq!([bar(0.0), bar(-1.0), bar(f64::NAN)], ["", "", ""]);
        assert_eq!(bar(9e9).chars().count(), BAR);
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        assert_eq!(name("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
