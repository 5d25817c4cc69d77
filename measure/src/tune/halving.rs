//! The search. In: a grid, a subject, a time or a number of rounds. Out: a ledger. It proves nothing: see
//! [`choose`](super::choose).
//!
//! Successive halving (Karnin, Koren and Somekh 2013; Jamieson and Talwalkar 2016): many candidates run once, the better
//! half of them runs on, and so forth, in more and more rounds. Where the time does not allow for every candidate of the
//! grid, the first rung runs a balanced sample, and half of the places of each later rung go to those of the other
//! candidates from which an additive model of all runs so far expects most.

use carrack_fixtures::rng::Rng;

use super::choose::FINALISTS;
use super::grid::{DEFAULT, Grid};
use super::ledger::{End, Ledger, Subject};
use super::model::Model;

/// How long is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// By halving.
    Halve {
        /// When to end by the subject's clock, ns.
        deadline_ns: u64,
        /// How long a run takes with all that belongs to it, ns: measured before.
        typical_ns: u64,
    },
    /// Every candidate of the grid.
    Exhaust {
        /// So often.
        rounds: u32,
    },
}

/// More rounds than so many times the usual ones say little more about who should be dropped.
const TIMES_MAX: u32 = 4;

/// Slower candidates than the default belong to the grid too: so many times as long as the default takes a run on average.
const SLOWER: f64 = 1.25;

/// Searches. The ledger holds whatever was run, also when there is a reason why it ended early.
pub fn search(grid: &Grid, plan: Plan, seed: u64, subject: &mut dyn Subject) -> (Ledger, Option<End>) {
    let mut ledger = Ledger::new(grid.len());
    let end = match plan {
        Plan::Halve { deadline_ns, typical_ns } => {
            let left = deadline_ns.saturating_sub(subject.now_ns());
            let runs = (left as f64 / (typical_ns.max(1) as f64 * SLOWER)) as u64;
            Halving { grid, deadline_ns, rng: Rng::new(seed) }.climb(runs, &mut ledger, subject)
        }
        Plan::Exhaust { rounds } => {
            let mut rng = Rng::new(seed);
            let all: Vec<usize> = (1..grid.len()).collect();
            (0..rounds).try_for_each(|_| ledger.round(0, &all, u64::MAX, &mut rng, subject))
        }
    };
    (ledger, end.err())
}

struct Halving<'a> {
    grid: &'a Grid,
    deadline_ns: u64,
    rng: Rng,
}

impl Halving<'_> {
    fn climb(&mut self, runs: u64, ledger: &mut Ledger, subject: &mut dyn Subject) -> Result<(), End> {
        let (first, times) = first_rung(self.grid.len() - 1, runs);
        let mut racing = self.grid.sample(first, &mut self.rng);
        for rung in 0.. {
            for _ in 0..rounds(rung).saturating_mul(times) {
                ledger.round(rung, &racing, self.deadline_ns, &mut self.rng, subject)?;
            }
            if racing.len() <= FINALISTS {
                break;
            }
            racing = self.survivors(&racing, ledger);
        }
        Ok(())
    }

    /// The better half; part of it gives way to those that promise most.
    fn survivors(&self, racing: &[usize], ledger: &Ledger) -> Vec<usize> {
        let places = racing.len().div_ceil(2);
        let ranked: Vec<usize> = ledger.ranked(racing.iter().copied()).into_iter().map(|(at, _)| at).collect();
        let whole = (0..self.grid.len()).all(|candidate| ledger.rung(candidate).is_some());
        let for_others = if whole { 0 } else { places / 2 };
        let mut kept: Vec<usize> = ranked.into_iter().take(places - for_others).collect();
        let promising = self.promising(ledger, &kept);
        kept.extend(promising.into_iter().take(places - kept.len()));
        kept
    }

    /// All others, the most promising first. Who never ran promises what the model says; who ran, the mean of that and
    /// of what came out, so that one unlucky run is not the end.
    fn promising(&self, ledger: &Ledger, kept: &[usize]) -> Vec<usize> {
        let all = 0..self.grid.len();
        let found = |candidate: usize| {
            let runs = if candidate == DEFAULT { 1 } else { ledger.walls_ns(candidate).count() };
            Some((candidate, ledger.median_ratio(candidate)?, runs))
        };
        let found: Vec<_> = all.clone().filter_map(found).collect();
        let model = Model::fit(self.grid, &found);
        let promise = |candidate: usize| {
            let expected = model.expect(self.grid.point(candidate));
            ledger.median_ratio(candidate).map_or(expected, |found| (found * expected).sqrt())
        };
        let others = all.skip(1).filter(|at| !kept.contains(at) && ledger.failed(*at).is_none());
        let mut others: Vec<_> = others.map(|candidate| (candidate, promise(candidate))).collect();
        others.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
        others.into_iter().map(|(candidate, _)| candidate).collect()
    }
}

/// Rounds of a rung. The first ones look around: those who come through run in every later rung too.
fn rounds(rung: u32) -> u32 {
    1_u32.checked_shl(rung.saturating_sub(1)).unwrap_or(u32::MAX)
}

/// How many candidates the first rung has, out of so many, and how often the rounds of each rung are run, so that all
/// rungs together take no more than so many runs. At least one candidate and once, whatever there is time for; and only
/// once where all are going to be confirmed anyhow.
fn first_rung(candidates: usize, runs: u64) -> (usize, u32) {
    if candidates <= FINALISTS {
        return (candidates, 1);
    }
    let fits = |&first: &usize| runs_of_all_rungs(first) <= runs;
    let first = (1..=candidates).rev().find(fits).unwrap_or(1.min(candidates));
    let times = runs / runs_of_all_rungs(first).max(1);
    (first, u32::try_from(times).unwrap_or(TIMES_MAX).clamp(1, TIMES_MAX))
}

fn runs_of_all_rungs(first: usize) -> u64 {
    let (mut racing, mut runs) = (first as u64, 0);
    for rung in 0.. {
        runs += (racing + 1) * u64::from(rounds(rung));
        if racing <= FINALISTS as u64 {
            break;
        }
        racing = racing.div_ceil(2);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rung_is_as_wide_as_the_time_allows() {
        assert_eq!([0, 1, 2, 3, 4].map(rounds), [1, 1, 2, 4, 8]);
        assert_eq!(runs_of_all_rungs(3), 4);
        assert_eq!(runs_of_all_rungs(12), 13 + 7 + 2 * 4);
        assert_eq!(first_rung(700, 28), (12, 1));
        assert_eq!(first_rung(700, 27).0, 11);
        assert_eq!(first_rung(15, 1000), (15, 4));
        assert_eq!(first_rung(15, 0), (1, 1));
        assert_eq!([0, 3].map(|candidates| first_rung(candidates, 1000)), [(0, 1), (3, 1)]);
    }
}
