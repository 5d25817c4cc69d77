//! The tables of `carrack-bench compare`.

use std::fmt::Write as _;

use carrack_measure::stats::{Ratio, Summary};
use carrack_measure::table::{Align, Grid};
use carrack_measure::units::{megabytes, rate, time};

use super::contenders::Contender;
use super::document::{Document, Measured, Roofline};
use super::floors::Floor;
use super::judge::Verdict;
use super::rows::{Input, Operation};

use Align::{Left, Right};

/// Width of the bars, columns.
const BAR: usize = 12;

pub(super) fn text(document: &Document) -> String {
    let mut text = String::new();
    let settings = &document.settings;
    let _ = writeln!(text, "{}", document.host.line());
    if !document.host.optimised {
        text.push_str("Built without optimisation: these numbers say nothing.\n");
    }
    let _ = writeln!(
        text,
        "{} rounds in random order, one discarded before them, zstd level {}, whole processes. to base: wall time \
         divided by that of the row that it is compared with, paired by round, with a 95% interval.",
        settings.rounds, settings.level
    );
    if let Some(stopped) = &document.stopped {
        let _ = writeln!(text, "NOT COMPLETE: {stopped}.");
    }
    if settings.removed_each_round {
        text.push_str("Unpacked trees were removed after each round, for want of room; that may slow what follows.\n");
    }
    let key = |row: &Measured| (row.input.clone(), row.cache, row.operation);
    for group in document.rows.chunk_by(|a, b| key(a) == key(b)) {
        text.push_str(&group_text(document, group));
    }
    let rooflines: String = document.rooflines.iter().map(roofline).collect();
    let _ = write!(text, "\n{rooflines}{}{}", if rooflines.is_empty() { "" } else { "\n" }, floors(&document.floors));
    text.push_str(&remarks(document));
    text
}

fn group_text(document: &Document, group: &[Measured]) -> String {
    let Some(first) = group.first() else { return String::new() };
    let input = document.inputs.iter().find(|input| input.name == first.input);
    let mut text = format!("\n{}, {}, {}", first.operation, first.input, first.cache);
    if let Some(input) = input {
        let _ = write!(text, ": {} files, {} MB", input.files, megabytes(input.bytes));
    }
    if matches!(first.operation, Operation::Pack | Operation::Unpack) {
        text.push_str(if first.synced { ", output durable when the clock stops" } else { ", output not synced" });
    }
    let mut grid = Grid::new(&[
        ("by", Left),
        ("MB/s", Right),
        ("", Left),
        ("wall", Right),
        ("quarters", Right),
        ("cpu", Right),
        ("peak MB", Right),
        ("archive MB", Right),
        ("eff", Right),
        ("to base [95%]", Right),
        ("", Left),
    ]);
    let speeds: Vec<Option<f64>> = group.iter().map(|row| speed(row, input)).collect();
    let fastest = speeds.iter().flatten().copied().fold(0.0, f64::max);
    for (row, speed) in group.iter().zip(speeds) {
        grid.row(cells(row, speed, fastest));
    }
    format!("{text}\n{}", grid.text())
}

/// MB of content a second; `cat` reads one file only.
fn speed(row: &Measured, input: Option<&Input>) -> Option<f64> {
    let wall = row.wall.as_ref().filter(|_| row.operation != Operation::Cat)?;
    Some(rate(input?.bytes, wall.median as u64))
}

fn cells(row: &Measured, speed: Option<f64>, fastest: f64) -> Vec<String> {
    let Some(wall) = &row.wall else {
        let mut cells = vec![row.contender.to_string()];
        cells.resize(10, "-".to_owned());
        cells[2] = String::new();
        cells.push(if row.failed.is_some() { "FAILED" } else { "not measured" }.to_owned());
        return cells;
    };
    let ns = |value: f64| time(value as u64);
    let shown = |value: &Option<Summary>, show: &dyn Fn(&Summary) -> String| value.as_ref().map_or_else(dash, show);
    let verdict = row.to_base.as_ref().map_or("", |ratio| Verdict::of(ratio).words());
    vec![
        row.contender.to_string(),
        speed.map_or_else(dash, |speed| format!("{speed:.0}")),
        speed.map_or_else(String::new, |speed| bar(speed / fastest)),
        ns(wall.median),
        format!("{} - {}", ns(wall.quarter), ns(wall.three_quarters)),
        shown(&row.cpu, &|cpu| ns(cpu.median)),
        shown(&row.peak, &|peak| format!("{:.0}", peak.max / 1e6)),
        row.archive_bytes.map_or_else(dash, |bytes| format!("{:.2}", bytes as f64 / 1e6)),
        row.efficiency.map_or_else(dash, |share| format!("{share:.2}")),
        row.to_base.as_ref().map_or_else(dash, interval),
        if row.failed.is_some() { "FAILED".to_owned() } else { verdict.to_owned() },
    ]
}

fn dash() -> String {
    "-".to_owned()
}

pub(super) fn interval(ratio: &Ratio) -> String {
    format!("{:.3} [{:.3}, {:.3}]", ratio.mean, ratio.low, ratio.high)
}

/// A share of the full width, in eighths of a column.
fn bar(share: f64) -> String {
    let eighths = (share.clamp(0.0, 1.0) * (BAR * 8) as f64).round() as usize;
    let part = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    "█".repeat(eighths / 8) + part
}

fn roofline(roofline: &Roofline) -> String {
    let ns = |summary: &Summary| time(summary.median as u64);
    let reads: Vec<String> = roofline.read_ns.iter().map(|(io, read)| format!("{io} {}", ns(read))).collect();
    format!(
        "roofline {}: digests and codec {} on {} threads; reading alone {}; writing {} MB alone {}\n",
        roofline.input,
        ns(&roofline.codec_ns),
        roofline.threads,
        reads.join(", "),
        megabytes(roofline.stored_bytes),
        ns(&roofline.write_ns)
    )
}

fn floors(floors: &[Floor]) -> String {
    let mut grid =
        Grid::new(&[("floor", Left), ("at most", Right), ("found", Right), ("95% of paired", Right), ("", Left)]);
    for floor in floors {
        let digits = if floor.unit.is_empty() { 3 } else { 1 };
        let shown = |value: f64| format!("{value:.digits$} {}", floor.unit).trim_end().to_owned();
        let verdict = match floor.held {
            Some(true) => "PASS",
            Some(false) => "MISS",
            None => "not measured",
        };
        grid.row([
            floor.name.clone(),
            shown(floor.limit),
            floor.value.map_or_else(dash, shown),
            floor.low.zip(floor.high).map_or_else(dash, |(low, high)| format!("{low:.3} - {high:.3}")),
            verdict.to_owned(),
        ]);
    }
    grid.text()
}

/// What the tables have no room for.
fn remarks(document: &Document) -> String {
    let mut lines = Vec::new();
    for found in &document.contenders {
        match (&found.missing, &found.version) {
            (Some(missing), _) => lines.push(format!("{}: not measured: {missing}", found.contender)),
            (None, Some(version)) if matches!(found.contender, Contender::Peer(_) | Contender::Carrack) => {
                lines.push(format!("{}: {version}", found.contender));
            }
            _ => {}
        }
    }
    for refused in &document.caches_refused {
        lines.push(format!("cache state {}: not to be had: {}", refused.cache, refused.why));
    }
    for row in &document.rows {
        if row.not_held > 0 {
            let runs = row.wall.as_ref().map_or(0, |wall| wall.count);
            lines.push(format!("{}: {} of {runs} runs were not {}", row.id, row.not_held, row.cache));
        }
        if let Some(failed) = &row.failed {
            lines.push(format!("{}: FAILED: {failed}", row.id));
        }
    }
    if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::judged;
    use super::*;

    #[test]
    fn bars_grow_by_eighths_of_a_column() {
        assert_eq!(bar(1.0), "█".repeat(BAR));
        assert_eq!(bar(0.0), "");
        assert_eq!(bar(1.0 / 96.0), "▏");
        assert_eq!(bar(0.5 + 7.0 / 96.0), "█".repeat(6) + "▉");
        assert_eq!([bar(f64::NAN), bar(-1.0), bar(9.0)].map(|bar| bar.chars().count()), [0, 0, BAR]);
    }

    #[test]
    fn a_row_says_what_was_found_or_that_nothing_was() {
        let mut all = judged(&[
            ("source/hot/pack/tar|zstd", &[1_000_000_000, 1_000_000_000]),
            ("source/hot/pack/carrack", &[500_000_000, 500_000_000]),
        ]);
        let carrack = all.iter_mut().find(|row| row.id == "source/hot/pack/carrack").unwrap();
        let cells = cells(carrack, Some(50.0), 100.0);
        assert_eq!(cells.len(), 11);
        assert_eq!(cells[..4], ["carrack", "50", "██████", "500 ms"]);
        assert_eq!(cells[9..], ["0.500 [0.500, 0.500]", "faster"]);
        let naive = all.iter().find(|row| row.id == "source/hot/pack/naive").unwrap();
        assert_eq!(super::cells(naive, None, 100.0).last().unwrap(), "not measured");
    }
}
