//! The table of stages. What flows in: counts and times of a run. What flows out: lines on standard error, with how
//! they were measured.

use std::fmt;
use std::time::Duration;

use carrack_engine::stages::Stages;

use crate::time::Took;

/// Shows the stages of a run as a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table<'a>(pub(crate) &'a Stages);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<12} {:>10} {:>10} {:>10} {:>10} {:>10}", "stage", "count", "p50", "p99", "max", "total")?;
        for row in &self.0.rows {
            let [p50, p99, max, total] =
                [row.p50_ns, row.p99_ns, row.max_ns, row.total_ns].map(|ns| Took(Duration::from_nanos(ns)));
            writeln!(f, "{:<12} {:>10} {p50:>10} {p99:>10} {max:>10} {total:>10}", row.stage, row.count)?;
        }
        writeln!(f, "(wall-clock time of each operation of a stage; totals add up over threads)")
    }
}

#[cfg(test)]
mod tests {
    use carrack_engine::stages::StageRow;

    use super::*;

    #[test]
    fn a_table_has_a_row_a_stage() {
        let row = StageRow { stage: "read", count: 7, p50_ns: 1_500, p99_ns: 2_000_000, max_ns: 5, total_ns: 0 };
        let text = Table(&Stages { rows: vec![row] }).to_string();
        let cells: Vec<_> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(cells, ["read", "7", "1.5", "µs", "2.0", "ms", "5", "ns", "0", "ns"]);
        assert!(text.ends_with("threads)\n"));
    }
}
