//! Who is confirmed, and what the confirmation proves.
//!
//! In: the ledger of a search. Out: the few best measured again side by side with the default, and a verdict. It does
//! not know what is done with it.

use carrack_fixtures::rng::{Rng, seed_of};

use super::ledger::{End, Ledger, Subject};
use crate::stats::Ratio;

/// How many candidates are confirmed at most, beside the default.
pub const FINALISTS: usize = 3;

/// With fewer paired rounds than this, an interval drawn from them is too narrow to be believed.
pub const ROUNDS_MIN: u32 = 6;

/// More rounds than this make no interval much narrower.
pub const ROUNDS_MAX: u32 = 30;

/// A setting counts as better when its whole interval lies below this ratio: less is not worth leaving the defaults for.
pub const WORTH: f64 = 0.99;

/// The defaults count as equally good when the best one's interval does not reach below this ratio.
pub const AS_GOOD: f64 = 0.95;

/// By how much an interval is widened before it counts as proof: the best of three finalists was also lucky. (Bonferroni:
/// the normal quantile of 1 − 0.025/3 is 1.22 times that of 1 − 0.025.)
const CAUTION: f64 = 1.22;

/// Peaks of memory that differ by less than this factor are equal: pages are not counted that exactly.
const SAME_MEMORY: f64 = 1.05;

/// A candidate that was measured again.
#[derive(Clone, Debug, PartialEq)]
pub struct Finalist {
    /// Its number.
    pub candidate: usize,
    /// Its time to that of the default, over the rounds of the confirmation alone.
    pub to_default: Ratio,
    /// Its peak of memory, median, bytes.
    pub memory_bytes: u64,
}

/// What is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This candidate is better than the default.
    Better(usize),
    /// Nothing that was tried is better than the default.
    AsGood,
    /// The interval is too wide to tell.
    Undecided,
    /// There were too few rounds to say anything.
    TooFewRounds,
}

/// Whom to confirm: the fastest, and of those about as fast as the first the one that takes least memory.
#[must_use]
pub fn finalists(search: &Ledger, candidates: usize) -> Vec<usize> {
    let ranked = search.ranked(1..candidates);
    let Some(&(_, fastest)) = ranked.first() else { return Vec::new() };
    let mut chosen: Vec<usize> = ranked.iter().take(FINALISTS - 1).map(|&(candidate, _)| candidate).collect();
    let near = ranked.iter().filter(|(candidate, ratio)| *ratio <= fastest / AS_GOOD && !chosen.contains(candidate));
    let near = near.min_by_key(|(candidate, _)| search.memory_bytes(*candidate));
    chosen.extend(near.or(ranked.get(FINALISTS - 1)).map(|&(candidate, _)| candidate));
    chosen
}

/// Runs finalists and the default side by side until the time is up by the subject's clock, or [`ROUNDS_MAX`] rounds.
pub fn confirm(
    finalists: &[usize],
    candidates: usize,
    deadline_ns: u64,
    seed: u64,
    subject: &mut dyn Subject,
) -> (Ledger, Option<End>) {
    let mut ledger = Ledger::new(candidates);
    let mut rng = Rng::new(seed_of(&[seed, 1]));
    while ledger.rounds() < ROUNDS_MAX {
        // Half a round would not count.
        let round_ns = ledger.typical_ns().unwrap_or(0).saturating_mul(finalists.len() as u64 + 1);
        let end = if subject.now_ns().saturating_add(round_ns) > deadline_ns {
            Err(End::Time)
        } else {
            ledger.round(0, finalists, deadline_ns, &mut rng, subject)
        };
        if let Err(end) = end {
            return (ledger, Some(end));
        }
    }
    (ledger, None)
}

/// What the rounds of a confirmation prove, and about whom; the fastest first.
#[must_use]
pub fn judge(confirmation: &Ledger, finalists: &[usize], seed: u64) -> (Vec<Finalist>, Verdict) {
    let finalist = |&candidate: &usize| {
        let to_default = confirmation.ratio(candidate, seed).filter(|_| confirmation.failed(candidate).is_none())?;
        Some(Finalist { candidate, to_default, memory_bytes: confirmation.memory_bytes(candidate)? })
    };
    let mut found: Vec<Finalist> = finalists.iter().filter_map(finalist).collect();
    found.sort_by(|a, b| a.to_default.mean.total_cmp(&b.to_default.mean));
    let slower = |one: usize, other: usize| confirmation.is_slower(one, other, seed);
    let all_failed = !finalists.is_empty() && finalists.iter().all(|&at| confirmation.failed(at).is_some());
    let verdict = verdict(&found, all_failed, slower);
    (found, verdict)
}

/// Whether an interval, widened, lies below what is worth while.
fn is_better(ratio: &Ratio) -> bool {
    ratio.mean * (ratio.high / ratio.mean).powf(CAUTION) < WORTH
}

/// `is_slower(a, b)`: whether a is proved to be slower than b.
fn verdict(found: &[Finalist], all_failed: bool, is_slower: impl Fn(usize, usize) -> bool) -> Verdict {
    let Some(best) = found.first() else {
        // Where everything else fails, the default is as good as it gets.
        return if all_failed { Verdict::AsGood } else { Verdict::TooFewRounds };
    };
    if best.to_default.rounds.len() < ROUNDS_MIN as usize {
        return Verdict::TooFewRounds;
    }
    if !is_better(&best.to_default) {
        return if best.to_default.low >= AS_GOOD { Verdict::AsGood } else { Verdict::Undecided };
    }
    // Who reaches the best one may be equally good, and must be better than the default in its own right.
    let reaches = |one: &&Finalist| one.to_default.low <= best.to_default.high && is_better(&one.to_default);
    let equals = found.iter().filter(reaches).filter(|one| !is_slower(one.candidate, best.candidate));
    let equals: Vec<_> = equals.collect();
    let least = equals.iter().map(|one| one.memory_bytes).min().unwrap_or(0);
    let small = |one: &&&Finalist| one.memory_bytes as f64 <= least as f64 * SAME_MEMORY;
    // In order of speed: the first small one is the fastest of them.
    Verdict::Better(equals.iter().find(small).map_or(best.candidate, |one| one.candidate))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finalist(candidate: usize, mean: f64, spread: f64, memory_bytes: u64) -> Finalist {
        let to_default = Ratio { rounds: vec![mean; 10], mean, low: mean - spread, high: mean + spread };
        Finalist { candidate, to_default, memory_bytes }
    }

    #[test]
    fn among_equals_the_smaller_memory_wins() {
        let found = [finalist(4, 0.80, 0.03, 900), finalist(2, 0.82, 0.03, 500), finalist(7, 0.95, 0.02, 100)];
        assert_eq!(verdict(&found, false, |_, _| false), Verdict::Better(2));
        // Intervals that touch are not enough where the rounds themselves tell the two apart.
        assert_eq!(verdict(&found, false, |one, other| (one, other) == (2, 4)), Verdict::Better(4));
        // Memory that hardly differs does not count.
        let found = [finalist(4, 0.80, 0.03, 510), finalist(2, 0.82, 0.03, 500)];
        assert_eq!(verdict(&found, false, |_, _| false), Verdict::Better(4));
    }

    #[test]
    fn who_is_not_proved_better_is_not_chosen_for_its_memory() {
        let found = [finalist(4, 0.90, 0.05, 900), finalist(2, 0.95, 0.10, 500)];
        assert_eq!(verdict(&found, false, |_, _| false), Verdict::Better(4));
    }

    #[test]
    fn wide_intervals_decide_nothing() {
        let verdict = |found: &[Finalist], failed| verdict(found, failed, |_, _| false);
        assert_eq!(verdict(&[finalist(1, 0.9, 0.2, 1)], false), Verdict::Undecided);
        assert_eq!(verdict(&[finalist(1, 0.9, 0.08, 1)], false), Verdict::Undecided, "too close to call");
        assert_eq!(verdict(&[finalist(1, 0.99, 0.03, 1)], false), Verdict::AsGood);
        assert_eq!(verdict(&[finalist(1, 1.2, 0.1, 1)], false), Verdict::AsGood);
        assert_eq!(verdict(&[], true), Verdict::AsGood);
        assert_eq!(verdict(&[], false), Verdict::TooFewRounds);
        let mut short = finalist(1, 0.5, 0.01, 1);
        short.to_default.rounds.truncate(ROUNDS_MIN as usize - 1);
        assert_eq!(verdict(&[short], false), Verdict::TooFewRounds);
    }
}
