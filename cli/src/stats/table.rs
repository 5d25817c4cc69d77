//! The table of stages and the verdict, as text.

use std::fmt;
use std::time::Duration;

use carrack_engine::stages::Stages;

use crate::time::Took;

/// Shows the stages of a run as a table, and what it waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'a>(pub(super) &'a Stages);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<13} {:<7} {:<7} {:>9}", "stage", "kind", "unit", "count")?;
        writeln!(f, " {:>9} {:>9} {:>9} {:>9} {:>9} {:>6}", "p50", "p90", "p99", "p99.9", "max", "share")?;
        for row in &self.0.rows {
            let (kind, unit) = (row.kind.name(), row.unit.name());
            write!(f, "{:<13} {kind:<7} {unit:<7} {:>9}", row.stage, row.count)?;
            for ns in [row.p50_ns, row.p90_ns, row.p99_ns, row.p999_ns, row.max_ns] {
                write!(f, " {:>9}", Took(Duration::from_nanos(ns)))?;
            }
            let share = row.share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0));
            writeln!(f, " {share:>6}")?;
        }
        writeln!(
            f,
            "(wall-clock times within 1%; share: of the time of all services, over all threads and all reads in flight)"
        )?;
        match &self.0.verdict {
            Some(verdict) => writeln!(f, "{verdict}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use carrack_engine::stages::{Busy, Clock, Recorder, SinkTime, Step};

    use super::*;

    #[test]
    fn a_table_has_a_row_a_stage_and_ends_with_the_verdict() {
        let mut recorder = Recorder::new(Clock::new(true));
        recorder.record(Step::QueueWait, 7);
        for _ in 0..3 {
            recorder.record(Step::Commit, 2_000);
        }
        recorder.record(Step::Compress, 18_000);
        let sink = SinkTime::Coordinator { busy_ns: 6_000, commit_ns: 6_000 };
        let busy = Busy { wall_ns: 20_000, threads: 1, reader_ns: 2_000, codec_ns: 18_000, sink, backlog_ns: 0 };
        let text = Table(&Stages::new(&recorder, &busy, None)).to_string();
        let rows: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1][..6], ["queue_wait", "wait", "request", "1", "7", "ns"]);
        assert_eq!(rows[1].last(), Some(&"-"));
        assert_eq!(rows[2][..6], ["compress", "service", "block", "1", "18.0", "µs"]);
        assert_eq!(rows[2].last(), Some(&"75.0%"));
        assert_eq!(rows[3][..6], ["commit", "service", "frame", "3", "2.0", "µs"]);
        assert!(text.lines().last().unwrap().starts_with("codec-bound: workers busy 90%, reader 10%"), "{text}");
        let width = text.lines().take(4).map(|line| line.chars().count());
        assert!(width.clone().all(|width| width == text.lines().next().unwrap().chars().count()), "{text}");
    }
}
