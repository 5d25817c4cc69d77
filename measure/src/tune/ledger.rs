//! Runs by rounds. In: a subject that runs candidates. Out: what each run cost, and ratios to the default of the same
//! round. It does not decide who runs.

use carrack_fixtures::rng::Rng;

use super::grid::DEFAULT;
use crate::stats::{Ratio, Summary, shuffle};

/// What one run cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// From start to end, ns; more than 0.
    pub wall_ns: u64,
    /// Largest resident set, bytes.
    pub peak_bytes: u64,
}

/// Why a run has no cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// This candidate does not work here, in the words of whoever ran it.
    Failed(String),
    /// Somebody wants an end.
    Stopped,
}

/// Why no further rounds can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The time is up.
    Time,
    /// Somebody wants an end.
    Stopped,
    /// The default does not work: there is nothing to compare with.
    DefaultFailed(String),
}

/// What is measured, and the clock by which its time is counted.
pub trait Subject {
    /// Runs a candidate once.
    ///
    /// # Errors
    /// When it fails, or somebody wants an end.
    fn run(&mut self, candidate: usize) -> Result<Cost, Trouble>;

    /// The time now, ns since whenever; with all that belongs to a run, such as clearing up after it.
    fn now_ns(&self) -> u64;
}

/// One run.
#[derive(Clone, Copy, Debug)]
struct Run {
    round: u32,
    cost: Cost,
}

/// All about one candidate.
#[derive(Clone, Debug, Default)]
struct Record {
    runs: Vec<Run>,
    rung: Option<u32>,
    failed: Option<String>,
}

/// Every run of a search or of a confirmation.
#[derive(Clone, Debug)]
pub struct Ledger {
    records: Vec<Record>,
    rounds: u32,
    runs: u64,
    spent_ns: u64,
}

impl Ledger {
    /// An empty one, for so many candidates.
    #[must_use]
    pub fn new(candidates: usize) -> Self {
        Self { records: vec![Record::default(); candidates], rounds: 0, runs: 0, spent_ns: 0 }
    }

    /// Runs the default and these candidates once each, in an order drawn anew; who has failed before is left out.
    ///
    /// # Errors
    /// When no further round can be run. What was run of this one counts.
    pub fn round(
        &mut self,
        rung: u32,
        candidates: &[usize],
        deadline_ns: u64,
        rng: &mut Rng,
        subject: &mut dyn Subject,
    ) -> Result<(), End> {
        let mut order: Vec<usize> = candidates.iter().copied().filter(|&at| self.failed(at).is_none()).collect();
        order.push(DEFAULT);
        shuffle(&mut order, rng);
        for candidate in order {
            if subject.now_ns().saturating_add(self.typical_ns().unwrap_or(0)) > deadline_ns {
                return Err(End::Time);
            }
            let begin = subject.now_ns();
            let record = &mut self.records[candidate];
            record.rung = Some(rung);
            match subject.run(candidate) {
                Ok(cost) => record.runs.push(Run { round: self.rounds, cost }),
                Err(Trouble::Stopped) => return Err(End::Stopped),
                Err(Trouble::Failed(why)) if candidate == DEFAULT => return Err(End::DefaultFailed(why)),
                Err(Trouble::Failed(why)) => record.failed = Some(why),
            }
            self.runs += 1;
            self.spent_ns += subject.now_ns().saturating_sub(begin);
        }
        self.rounds += 1;
        Ok(())
    }

    /// How long a run takes with all that belongs to it, on average, ns; none before the first one.
    #[must_use]
    pub fn typical_ns(&self) -> Option<u64> {
        self.spent_ns.checked_div(self.runs)
    }

    /// Whole rounds so far.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Runs so far, failed ones too.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.runs
    }

    /// The last rung in which a candidate ran; none if it never did.
    #[must_use]
    pub fn rung(&self, candidate: usize) -> Option<u32> {
        self.records[candidate].rung
    }

    /// Why a candidate failed, if it did.
    #[must_use]
    pub fn failed(&self, candidate: usize) -> Option<&str> {
        self.records[candidate].failed.as_deref()
    }

    /// The times of a candidate's runs, ns, in the order of the runs.
    pub fn walls_ns(&self, candidate: usize) -> impl Iterator<Item = u64> + '_ {
        self.records[candidate].runs.iter().map(|run| run.cost.wall_ns)
    }

    /// A candidate's peak of memory: the median of its runs, bytes.
    #[must_use]
    pub fn memory_bytes(&self, candidate: usize) -> Option<u64> {
        let peaks = self.records[candidate].runs.iter().map(|run| run.cost.peak_bytes as f64);
        Summary::of(peaks).map(|peaks| peaks.median as u64)
    }

    /// Times of two candidates, ns, in the rounds that both ran in.
    fn pairs(&self, one: usize, other: usize) -> Vec<(f64, f64)> {
        let others = &self.records[other].runs;
        let pair = |run: &Run| {
            let other = others.iter().find(|other| other.round == run.round)?;
            Some((run.cost.wall_ns.max(1) as f64, other.cost.wall_ns.max(1) as f64))
        };
        self.records[one].runs.iter().filter_map(pair).collect()
    }

    /// Whether the interval of the ratio of one candidate to the other lies above 1.
    #[must_use]
    pub fn is_slower(&self, one: usize, other: usize, seed: u64) -> bool {
        Ratio::of(&self.pairs(one, other), seed).is_some_and(|ratio| ratio.low > 1.0)
    }

    /// The ratio of a candidate to the default with its interval; none without a common round.
    #[must_use]
    pub fn ratio(&self, candidate: usize, seed: u64) -> Option<Ratio> {
        Ratio::of(&self.pairs(candidate, DEFAULT), seed)
    }

    /// The median of a candidate's ratios to the default: what candidates are ranked by. None without a common round,
    /// or when the candidate failed.
    #[must_use]
    pub fn median_ratio(&self, candidate: usize) -> Option<f64> {
        if self.failed(candidate).is_some() {
            return None;
        }
        Summary::of(self.pairs(candidate, DEFAULT).iter().map(|(own, default)| own / default))
            .map(|ratios| ratios.median)
    }

    /// These candidates that have a ratio, the fastest first.
    #[must_use]
    pub fn ranked(&self, candidates: impl IntoIterator<Item = usize>) -> Vec<(usize, f64)> {
        let ratio = |candidate| Some((candidate, self.median_ratio(candidate)?));
        let mut ranked: Vec<_> = candidates.into_iter().filter_map(ratio).collect();
        ranked.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        ranked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Costs candidate + 1 times a pace that changes from round to round.
    struct Paced {
        now: u64,
        runs: u64,
    }

    impl Subject for Paced {
        fn run(&mut self, candidate: usize) -> Result<Cost, Trouble> {
            if candidate == 3 {
                return Err(Trouble::Failed("no such thing".to_owned()));
            }
            let pace = 100 * (1 + self.runs / 4);
            self.runs += 1;
            let wall_ns = pace * (candidate as u64 + 1);
            self.now += wall_ns;
            Ok(Cost { wall_ns, peak_bytes: 1000 })
        }

        fn now_ns(&self) -> u64 {
            self.now
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round_whatever_the_pace() {
        let (mut ledger, mut rng, mut subject) = (Ledger::new(5), Rng::new(1), Paced { now: 0, runs: 0 });
        for _ in 0..3 {
            // Four runs a round: the pace changes between rounds only.
            ledger.round(0, &[1, 2, 4], u64::MAX, &mut rng, &mut subject).unwrap();
        }
        assert_eq!(ledger.rounds(), 3);
        assert_eq!(ledger.median_ratio(2), Some(3.0));
        assert_eq!(ledger.ranked([4, 2, 1]), [(1, 2.0), (2, 3.0), (4, 5.0)]);
        assert_eq!(ledger.walls_ns(1).collect::<Vec<_>>(), [200, 400, 600]);
        assert_eq!((ledger.rung(1), ledger.rung(3)), (Some(0), None));
    }

    #[test]
    fn who_fails_is_named_and_runs_no_more() {
        let (mut ledger, mut rng, mut subject) = (Ledger::new(4), Rng::new(1), Paced { now: 0, runs: 0 });
        for _ in 0..2 {
            ledger.round(0, &[1, 3], u64::MAX, &mut rng, &mut subject).unwrap();
        }
        assert_eq!(ledger.failed(3), Some("no such thing"));
        assert_eq!((ledger.median_ratio(3), ledger.runs()), (None, 5));
    }

    #[test]
    fn the_time_is_kept() {
        let (mut ledger, mut rng, mut subject) = (Ledger::new(3), Rng::new(1), Paced { now: 0, runs: 0 });
        let end = (0..100).find_map(|_| ledger.round(0, &[1, 2], 5_000, &mut rng, &mut subject).err());
        assert_eq!(end, Some(End::Time));
        assert!(subject.now <= 6_000, "{}", subject.now);
    }
}
