//! The floors: what Carrack must not fall behind, judged by medians. Pure.

use carrack_measure::cache::Cache;
use carrack_measure::stats::Ratio;
use serde::Serialize;

use super::contenders::{Contender, Peer};
use super::document::Measured;
use super::rounds::Outcome;
use super::rows::{Input, Operation, Row, VERY_MANY};

/// A floor, and what was found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Floor {
    pub(super) name: String,
    /// Of `limit` and `value`: nothing for a ratio.
    pub(super) unit: &'static str,
    /// The value must not exceed this.
    pub(super) limit: f64,
    pub(super) value: Option<f64>,
    /// 95% interval of the paired ratios, where it is one.
    pub(super) low: Option<f64>,
    pub(super) high: Option<f64>,
    /// `None`: something that it needs was not measured.
    pub(super) held: Option<bool>,
}

impl Floor {
    fn new(name: impl Into<String>, unit: &'static str, limit: f64, value: Option<f64>) -> Self {
        let held = value.map(|value| value <= limit);
        Self { name: name.into(), unit, limit, value, low: None, high: None, held }
    }

    fn between(mut self, ratio: Option<Ratio>) -> Self {
        (self.low, self.high) = ratio.map(|ratio| (ratio.low, ratio.high)).unzip();
        self
    }
}

/// All floors: those of time and size on the first input that is not the one with very many files, the others on that.
pub(super) fn floors(
    rows: &[Row],
    inputs: &[Input],
    measured: &[Measured],
    outcome: &Outcome,
    seed: u64,
) -> Vec<Floor> {
    let tree = inputs.iter().position(|input| input.name != VERY_MANY);
    let many = inputs.iter().position(|input| input.name == VERY_MANY);
    let find = |input: Option<usize>, operation, contender| {
        let is = |row: &Row| {
            (Some(row.input), row.cache, row.operation, row.contender) == (input, Cache::Hot, operation, contender)
        };
        rows.iter().position(is)
    };
    let tar = Contender::Peer(Peer::TarZstd);
    let [ours, theirs, naive] = [Contender::Carrack, tar, Contender::Naive].map(|by| find(tree, Operation::Pack, by));
    let [unpack, untar] = [Contender::Carrack, tar].map(|by| find(tree, Operation::Unpack, by));
    let of_many = |operation| find(many, operation, Contender::Carrack).map(|at| &measured[at]);
    let wall = |at: Option<usize>| Some(measured[at?].wall.as_ref()?.median);
    let walls = |a, b| Some(wall(a)? / wall(b)?);
    let sizes = |a: Option<usize>, b: Option<usize>| {
        Some(measured[a?].archive_bytes? as f64 / measured[b?].archive_bytes? as f64)
    };
    let paired = |a: Option<usize>, b: Option<usize>| super::judge::ratio(outcome, a?, b?, seed);
    let peak = |operation| Some(of_many(operation)?.peak.as_ref()?.max / 1e6);
    let files = many.map_or(0, |many| inputs[many].files);
    let cat = of_many(Operation::Cat).and_then(|row| Some(row.wall.as_ref()?.median / 1e6));
    vec![
        Floor::new("pack: wall, carrack / tar | zstd", "", 0.85, walls(ours, theirs)).between(paired(ours, theirs)),
        Floor::new("pack: archive bytes, carrack / tar | zstd", "", 1.05, sizes(ours, theirs)),
        Floor::new("pack: wall, carrack / naive", "", 1.0, walls(ours, naive)).between(paired(ours, naive)),
        Floor::new("unpack: wall, carrack / zstd | tar", "", 0.9, walls(unpack, untar)).between(paired(unpack, untar)),
        Floor::new(format!("peak memory, pack, {files} files"), "MB", 350.0, peak(Operation::Pack)),
        Floor::new(format!("peak memory, verify, {files} files"), "MB", 350.0, peak(Operation::Verify)),
        Floor::new(format!("cat of one file out of {files}, median"), "ms", 20.0, cat),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::{contest, judged};
    use super::*;

    #[test]
    fn floors_are_judged_by_medians_and_what_is_missing_is_not_held() {
        let walls: &[(&str, &[u64])] = &[
            ("source/hot/pack/tar|zstd", &[100, 100, 1000]),
            ("source/hot/pack/carrack", &[80, 80, 500]),
            ("source/hot/unpack/tar|zstd", &[100]),
            ("source/hot/unpack/carrack", &[95]),
            ("tiny/hot/pack/carrack", &[1]),
            ("tiny/hot/cat/carrack", &[19_000_000, 21_000_000, 20_000_000]),
        ];
        let (rows, inputs, outcome) = contest(walls);
        let floors = floors(&rows, &inputs, &judged(walls), &outcome, 1);
        let held: Vec<Option<bool>> = floors.iter().map(|floor| floor.held).collect();
        assert_eq!(held, [Some(true), Some(true), None, Some(false), Some(false), None, Some(true)]);
        assert!(floors[0].low.is_some() && floors[3].low.is_none(), "one round has no interval");
        assert_eq!((floors[0].value, floors[4].value), (Some(0.8), Some(400.0)));
    }
}
