//! The tables of `carrack-bench floors`.

use std::fmt::Write as _;

use super::document::{Document, Input};
use super::judge::{Floor, JobSummary, Verdict};
use carrack_measure::table::{Align, Grid};
use carrack_measure::units::{megabytes, rate, time};

use Align::{Left, Right};

pub(super) fn text(document: &Document) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}", document.host.line());
    if !document.host.optimised {
        text.push_str("Built without optimisation: these numbers say nothing.\n");
    }
    let shown =
        |input: &Input| format!("{}: {} files, {} MB", input.path.display(), input.files, megabytes(input.bytes));
    let inputs = [Some(&document.inputs.tree), document.inputs.tiny.as_ref()];
    let inputs: Vec<String> = inputs.into_iter().flatten().map(shown).collect();
    let _ = writeln!(text, "{}", inputs.join("; "));
    let _ = match &document.peers.missing {
        None => writeln!(text, "peers: {}", document.peers.versions.join("; ")),
        Some(missing) => writeln!(text, "peers: not measured: {missing}"),
    };
    let _ = writeln!(
        text,
        "{} rounds in random order, one discarded before them, page cache warm, zstd level {}, whole processes.\n",
        document.rounds, document.level
    );
    text.push_str(&jobs(document));
    text.push('\n');
    text.push_str(&floors(&document.floors));
    for summary in document.summaries.iter().filter(|summary| summary.cold_runs > 0) {
        let (cold, count) = (summary.cold_runs, summary.wall.count);
        let _ = writeln!(text, "{}: not warm: {cold} of {count} runs had to read from the disk", summary.job);
    }
    for (job, failure) in &document.outcome.failures {
        let _ = writeln!(text, "{job}: FAILED: {failure}");
    }
    text
}

fn jobs(document: &Document) -> String {
    let mut grid = Grid::new(&[
        ("job", Left),
        ("output", Left),
        ("MB/s", Right),
        ("wall, median", Right),
        ("quarters", Right),
        ("min - max", Right),
        ("user+sys", Right),
        ("peak MB", Right),
        ("archive MB", Right),
        ("wall / peer [95%]", Right),
    ]);
    for summary in &document.summaries {
        grid.row(job(document, summary));
    }
    grid.text()
}

fn job(document: &Document, summary: &JobSummary) -> Vec<String> {
    let ns = |value: f64| time(value as u64);
    let wall = &summary.wall;
    let tiny = document.inputs.tiny.as_ref().filter(|_| summary.job.is_about_tiny());
    let bytes = tiny.unwrap_or(&document.inputs.tree).bytes;
    let output = match (summary.job.is_pack() || summary.job.is_unpack(), summary.synced) {
        (false, _) => "-",
        (true, true) => "synced",
        (true, false) => "not synced",
    };
    let throughput = summary.archive_bytes.is_some() || summary.job.is_unpack();
    vec![
        summary.job.to_string(),
        output.to_owned(),
        if throughput { format!("{:.0}", rate(bytes, wall.median as u64)) } else { "-".to_owned() },
        ns(wall.median),
        format!("{} - {}", ns(wall.quarter), ns(wall.three_quarters)),
        format!("{} - {}", ns(wall.min), ns(wall.max)),
        ns(summary.cpu.median),
        format!("{:.0}", summary.peak.max / 1e6),
        summary.archive_bytes.map_or_else(|| "-".to_owned(), |bytes| format!("{:.2}", bytes as f64 / 1e6)),
        summary
            .to_peer
            .as_ref()
            .map_or_else(|| "-".to_owned(), |ratio| format!("{:.3} [{:.3}, {:.3}]", ratio.mean, ratio.low, ratio.high)),
    ]
}

fn floors(floors: &[Floor]) -> String {
    let mut grid =
        Grid::new(&[("floor", Left), ("at most", Right), ("found", Right), ("95% of paired", Right), ("", Left)]);
    for floor in floors {
        let digits = if floor.unit.is_empty() { 3 } else { 1 };
        let shown = |value: f64| format!("{value:.digits$} {}", floor.unit).trim_end().to_owned();
        let verdict = match floor.verdict {
            Verdict::Pass => "PASS",
            Verdict::Miss => "MISS",
            Verdict::Unmeasured => "not measured",
        };
        grid.row([
            floor.what.clone(),
            shown(floor.limit),
            floor.value.map_or_else(|| "-".to_owned(), shown),
            floor.interval.map_or_else(|| "-".to_owned(), |(low, high)| format!("{low:.3} - {high:.3}")),
            verdict.to_owned(),
        ]);
    }
    grid.text()
}
