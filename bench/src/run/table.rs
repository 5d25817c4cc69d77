//! The table of `carrack-bench run`.

use std::fmt::Write as _;

use super::document::Document;
use super::row::{Row, Step};
use crate::child::{CODECS, Packed, StageTimes};
use crate::contender::Contender;
use carrack_measure::table::{Align, Grid};
use carrack_measure::units::{megabytes, rate, seconds, time};

/// The stages whose times have a column.
const STAGES: [&str; 3] = ["read", "compress", "commit"];

fn grid(rows: &[Row]) -> Grid {
    use Align::{Left, Right};
    let mut grid = Grid::new(&[
        ("corpus", Left),
        ("by", Left),
        ("content\nMB", Right),
        ("pack\nMB/s", Right),
        ("eff", Right),
        ("ratio", Right),
        ("wall\ns", Right),
        ("user\ns", Right),
        ("sys\ns", Right),
        ("peak\nMB", Right),
        ("read\np50/p99/max", Right),
        ("compress\np50/p99/max", Right),
        ("commit\np50/p99/max", Right),
        ("verify\nMB/s", Right),
        ("unpack\nMB/s", Right),
        ("", Left),
    ]);
    let mut corpus = "";
    for row in rows {
        let first = corpus != row.corpus;
        corpus = &row.corpus;
        grid.row(cells(row, first));
    }
    grid
}

pub(super) fn text(document: &Document) -> String {
    let mut text = String::new();
    let sync = if document.sync { "durable when done" } else { "not synced" };
    let _ = writeln!(text, "{}", document.host.line());
    let level = if document.settings.codec == CODECS[0] {
        format!(" level {}", document.settings.level)
    } else {
        String::new()
    };
    let _ = writeln!(
        text,
        "Pack: MB of content in, wall, user and system time of the whole process, archives {sync}, page cache warm, {}{level}.\n\
         ratio = content / archive; eff = digests and codec alone, in memory on as many threads, / wall.\n",
        document.settings.codec
    );
    text.push_str(&grid(&document.rows).text());
    text.push_str(&remarks(document));
    text
}

fn cells(row: &Row, first: bool) -> Vec<String> {
    let corpus = if first { row.corpus.clone() } else { String::new() };
    let mut cells = vec![corpus, row.contender.to_string()];
    let Some(pack) = &row.pack else {
        cells.resize(15, "-".to_owned());
        cells.push(if row.unavailable.is_some() { "unavailable" } else { "FAILED" }.to_owned());
        return cells;
    };
    let (usage, report) = (&pack.usage, &pack.report);
    cells.extend([
        megabytes(report.bytes),
        format!("{:.0}", rate(report.bytes, usage.wall_ns)),
        row.efficiency.map_or("-".to_owned(), |share| format!("{share:.2}")),
        format!("{:.2}", report.bytes as f64 / report.archive_bytes.max(1) as f64),
        seconds(usage.wall_ns),
        seconds(usage.user_ns),
        seconds(usage.system_ns),
        megabytes(usage.peak_bytes),
    ]);
    cells.extend(STAGES.map(|stage| stage_cell(pack, stage)));
    let speed = |wall: Option<u64>| wall.map_or("-".to_owned(), |ns| format!("{:.0}", rate(report.bytes, ns)));
    cells.push(speed(row.verify.as_ref().map(|step| step.usage.wall_ns)));
    cells.push(speed(row.unpack.as_ref().map(|step| step.usage.wall_ns)));
    cells.push(if row.failures.is_empty() { String::new() } else { "FAILED".to_owned() });
    cells
}

fn stage_cell(pack: &Step<Packed>, stage: &str) -> String {
    let short = |ns: u64| time(ns).replace(' ', "");
    let shown = |row: &StageTimes| format!("{}/{}/{}", short(row.p50_ns), short(row.p99_ns), short(row.max_ns));
    pack.report.times.stages.iter().find(|row| row.stage == stage).map_or_else(|| "-".to_owned(), shown)
}

/// What the table has no room for.
fn remarks(document: &Document) -> String {
    let mut lines: Vec<String> = Vec::new();
    for row in &document.rows {
        if let Some(reason) = &row.unavailable {
            lines.push(format!("{}: unavailable: {reason}", row.contender));
        }
        if let Some(pack) = row.pack.as_ref().filter(|pack| pack.usage.is_cold(pack.report.bytes)) {
            let read = megabytes(pack.usage.disk_read_bytes);
            lines.push(format!("{} {}: not warm: {read} MB came from the disk", row.corpus, row.contender));
        }
        for note in row.pack.iter().flat_map(|pack| &pack.report.notes) {
            // A backend says its name itself, and says the same of every corpus.
            let of_corpus = row.contender == Contender::Naive;
            lines.push(if of_corpus { format!("{} naive: {note}", row.corpus) } else { note.clone() });
        }
        if row.unreadable > 0 {
            let count = row.unreadable;
            lines.push(format!("{}: {count} paths may not be read by this user and were not compared", row.corpus));
        }
        lines.extend(row.failures.iter().map(|what| format!("{} {}: FAILED: {what}", row.corpus, row.contender)));
    }
    let mut seen = std::collections::HashSet::new();
    lines.retain(|line| seen.insert(line.clone()));
    if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::{Counted, Times, Verified};
    use carrack_measure::process::Usage;

    fn packed() -> Step<Packed> {
        let stages = STAGES.map(|stage| StageTimes {
            stage: stage.to_owned(),
            kind: "service".to_owned(),
            unit: "block".to_owned(),
            count: 9,
            p50_ns: 999_000,
            p90_ns: 999_000,
            p99_ns: 999_000_000,
            p999_ns: 999_000_000,
            max_ns: 12_300_000,
            total_ns: 1,
            share: Some(0.25),
            curve: Vec::new(),
        });
        let report = Packed {
            entries: 4,
            files: 3,
            bytes: 1_317_000_000,
            archive_bytes: 658_500_000,
            blocks: 2,
            duplicate_bytes: 0,
            backend: "pread".to_owned(),
            notes: Vec::new(),
            warnings: Counted::default(),
            root: String::new(),
            times: Times { stages: stages.to_vec(), ..Times::default() },
        };
        let usage = Usage {
            wall_ns: 11_000_000_000,
            user_ns: 20_000_000_000,
            system_ns: 10_500_000_000,
            peak_bytes: 123_000_000,
            ..Usage::default()
        };
        Step { usage, report }
    }

    #[test]
    fn a_wide_row_fits_160_columns() {
        let mut row = Row::new("versions", "uring".parse().unwrap());
        row.pack = Some(packed());
        row.efficiency = Some(0.8249);
        row.verify = Some(Step {
            usage: Usage { wall_ns: 1_000_000_000, ..Usage::default() },
            report: Verified { files: 3, bytes: 1, blocks: 2, damage: Counted::default(), times: Times::default() },
        });
        let cells = cells(&row, true);
        let text = grid(&[row]).text();
        let width = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        assert!(width <= 160, "{width} columns:\n{text}");
        assert_eq!(cells[2..10], ["1317", "120", "0.82", "2.00", "11.00", "20.00", "10.50", "123"]);
        assert_eq!(cells[10], "999µs/999ms/12.3ms");
    }

    #[test]
    fn a_row_without_numbers_says_why() {
        let mut row = Row::new("tiny", "uring".parse().unwrap());
        row.unavailable = Some("no".to_owned());
        assert_eq!(cells(&row, false).last().unwrap(), "unavailable");
        row.unavailable = None;
        assert_eq!(cells(&row, false).last().unwrap(), "FAILED");
    }
}
