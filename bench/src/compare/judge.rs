//! From samples to summaries, ratios and verdicts. Pure.

use carrack_measure::stats::{Ratio, Summary};

use super::contenders::Contender;
use super::document::{Measured, Noise, Roofline};
use super::place::Synced;
use super::rounds::{Outcome, Sample};
use super::rows::{Input, Operation, Row};

/// What can be said after all rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Faster,
    Slower,
    /// The interval holds 1.
    NoDifference,
}

impl Verdict {
    pub(super) fn of(to_base: &Ratio) -> Self {
        match to_base {
            ratio if ratio.holds(1.0) => Verdict::NoDifference,
            ratio if ratio.mean < 1.0 => Verdict::Faster,
            _ => Verdict::Slower,
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Verdict::Faster => "faster",
            Verdict::Slower => "slower",
            Verdict::NoDifference => "no difference shown",
        }
    }
}

/// What all rows come to.
pub(super) fn measured(
    rows: &[Row],
    inputs: &[Input],
    outcome: &Outcome,
    rooflines: &[Roofline],
    synced: Synced,
    seed: u64,
) -> Vec<Measured> {
    let one = |(at, row): (usize, &Row)| {
        let samples: Vec<&Sample> = outcome.samples.iter().filter(|sample| sample.row == at).collect();
        let of = |value: fn(&Sample) -> u64| Summary::of(samples.iter().map(|sample| value(sample) as f64));
        // Where the kernel says nothing of one run, it says nothing of any.
        let known = |value: fn(&Sample) -> Option<u64>| {
            let values: Option<Vec<u64>> = samples.iter().map(|sample| value(sample)).collect();
            Summary::of(values?.into_iter().map(|value| value as f64))
        };
        let input = &inputs[row.input];
        let wall = of(|sample| sample.run.usage.wall_ns);
        let roofline = rooflines.iter().find(|roofline| roofline.input == input.name);
        let is_packed = row.operation == Operation::Pack && row.contender.has_roofline();
        let codec = roofline.filter(|_| is_packed).map(|roofline| roofline.codec_ns.median);
        Measured {
            id: row.id.clone(),
            input: input.name.clone(),
            cache: row.cache,
            operation: row.operation,
            contender: row.contender,
            command: samples.first().map(|sample| sample.run.command.clone()),
            synced: synced.covers(row.operation),
            cpu: of(|sample| sample.run.usage.user_ns + sample.run.usage.system_ns),
            peak: of(|sample| sample.run.usage.peak_bytes),
            read: known(|sample| sample.run.usage.read_bytes),
            written: known(|sample| sample.run.usage.written_bytes),
            archive_bytes: samples.iter().find_map(|sample| sample.run.archive_bytes),
            base: row.base.map(|base| rows[base].id.clone()),
            to_base: row.base.and_then(|base| ratio(outcome, at, base, seed)),
            efficiency: codec.zip(wall.as_ref()).map(|(codec, wall)| codec / wall.median),
            not_held: samples.iter().filter(|sample| !sample.run.cache.held).count(),
            failed: outcome.failures.get(&at).cloned(),
            wall,
        }
    };
    rows.iter().enumerate().map(one).collect()
}

/// Wall times of two rows, round by round; `None` when fewer than two rounds have both.
pub(super) fn ratio(outcome: &Outcome, a: usize, b: usize, seed: u64) -> Option<Ratio> {
    let of = |row: usize| outcome.samples.iter().filter(move |sample| sample.row == row);
    let pair = |sample: &Sample| {
        let other = of(b).find(|other| other.round == sample.round)?;
        Some((sample.run.usage.wall_ns as f64, other.run.usage.wall_ns as f64))
    };
    Ratio::of(&of(a).filter_map(pair).collect::<Vec<_>>(), seed)
}

/// A contender against itself: what the same thing done twice differs by.
pub(super) fn noise(measured: &[Measured]) -> Vec<Noise> {
    let again = measured.iter().filter(|row| row.contender == Contender::Again);
    let noise = again.filter_map(|row| {
        let ratio = row.to_base.clone()?;
        Some(Noise { input: row.input.clone(), cache: row.cache, operation: row.operation, ratio })
    });
    noise.collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::contenders::Found;
    use super::super::place::{Run, Seen};
    use super::super::rows::{Choice, rows};
    use super::*;
    use carrack_measure::cache::Cache;
    use carrack_measure::process::Usage;

    /// Rows of two inputs, and samples with these wall times for the rows of these ids.
    pub(in super::super) fn contest(walls: &[(&str, &[u64])]) -> (Vec<Row>, Vec<Input>, Outcome) {
        let input = |name: &str| Input { name: name.to_owned(), path: name.into(), files: 100_000, bytes: 1 };
        let inputs = vec![input("source"), input("tiny")];
        let names = ["tar|zstd", "naive", "carrack"];
        let found = |name: &str| Found { contender: name.parse().unwrap(), version: None, missing: None };
        let contenders: Vec<Found> = names.into_iter().map(found).collect();
        let rows = rows(&Choice {
            inputs: &inputs,
            caches: &[Cache::Hot],
            operations: &Operation::ALL,
            contenders: &contenders,
            named: false,
            base: contenders[0].contender,
            unpacks_very_many: true,
            plant: None,
        });
        let mut outcome = Outcome::default();
        for (id, walls) in walls {
            let row = rows.iter().position(|row| row.id == *id).unwrap();
            for (at, &wall_ns) in walls.iter().enumerate() {
                let usage = Usage { wall_ns, user_ns: 3, system_ns: 4, peak_bytes: 400_000_000, ..Usage::default() };
                let cache = Seen { resident: Some(1.0), held: at > 0 };
                let run = Run { command: "x".to_owned(), usage, archive_bytes: Some(wall_ns * 10), cache };
                outcome.samples.push(Sample { round: at as u32 + 1, place: 0, row, run });
            }
        }
        (rows, inputs, outcome)
    }

    pub(in super::super) fn judged(walls: &[(&str, &[u64])]) -> Vec<Measured> {
        let (rows, inputs, outcome) = contest(walls);
        let summary = |ns| Summary::of([ns]).unwrap();
        let roofline = Roofline {
            input: "source".to_owned(),
            level: 3,
            threads: 2,
            blocks: 1,
            stored_bytes: 1,
            codec_ns: summary(40.0),
            read_ns: std::collections::BTreeMap::new(),
            write_ns: summary(1.0),
        };
        measured(&rows, &inputs, &outcome, &[roofline], Synced::Pack, 1)
    }

    fn find<'a>(all: &'a [Measured], id: &str) -> &'a Measured {
        all.iter().find(|row| row.id == id).unwrap()
    }

    #[test]
    fn ratios_are_taken_within_rounds_and_say_who_is_faster() {
        // All are three times as slow in every second round: their ratios are not.
        let all = judged(&[
            ("source/hot/pack/tar|zstd", &[100, 300, 100, 300]),
            ("source/hot/pack/carrack", &[50, 150, 50, 150]),
            ("source/hot/pack/carrack (again)", &[51, 147, 51, 147]),
            ("source/hot/pack/naive", &[110, 330, 120, 330]),
        ]);
        let verdict = |id| Verdict::of(find(&all, id).to_base.as_ref().unwrap());
        let carrack = find(&all, "source/hot/pack/carrack");
        assert_eq!(carrack.to_base.as_ref().unwrap().rounds, [0.5; 4]);
        assert_eq!(verdict("source/hot/pack/carrack"), Verdict::Faster);
        assert_eq!(verdict("source/hot/pack/naive"), Verdict::Slower);
        assert_eq!(verdict("source/hot/pack/carrack (again)"), Verdict::NoDifference);
        assert_eq!(noise(&all).len(), 1);
        assert_eq!((carrack.cpu.unwrap().median, carrack.wall.unwrap().max), (7.0, 150.0));
        assert_eq!((carrack.efficiency, carrack.not_held, carrack.archive_bytes), (Some(0.4), 1, Some(500)));
        assert_eq!((carrack.synced, find(&all, "source/hot/unpack/carrack").synced), (true, false));
        assert_eq!(find(&all, "source/hot/pack/tar|zstd").efficiency, None);
    }

    #[test]
    fn what_was_not_measured_has_no_numbers() {
        let all = judged(&[("source/hot/pack/carrack", &[50]), ("source/hot/pack/tar|zstd", &[100])]);
        assert!(find(&all, "source/hot/pack/carrack").to_base.is_none(), "one round says nothing");
        let naive = find(&all, "source/hot/pack/naive");
        assert!(naive.wall.is_none() && naive.to_base.is_none() && naive.command.is_none());
        assert_eq!(naive.base.as_deref(), Some("source/hot/pack/tar|zstd"));
        // The kernel said nothing of bytes through calls.
        assert!(find(&all, "source/hot/pack/carrack").read.is_none());
    }
}
