//! What came of a search, in words and as an entry to remember.

use carrack_measure::cache::Cache;
use carrack_measure::tune::choose::{Finalist, ROUNDS_MIN, Verdict};
use carrack_measure::tune::grid::DEFAULT;
use carrack_measure::tune::ledger::Ledger;

use super::args::Operation;
use super::settings::Settings;
use super::space::Space;
use super::store::{Entry, Evidence, Method};
use super::survey::Amount;
use crate::size::Human;
use crate::time::Utc;

/// What was packed or unpacked in every run.
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) paths: Vec<String>,
    pub(super) amount: Amount,
    pub(super) sampled: bool,
}

/// What came of the search for one operation.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) operation: Operation,
    pub(super) cache: Cache,
    pub(super) method: Method,
    pub(super) input: Input,
    pub(super) filesystem: String,
    pub(super) space: Space,
    pub(super) search: Ledger,
    pub(super) confirmation: Ledger,
    /// The fastest first.
    pub(super) finalists: Vec<Finalist>,
    pub(super) verdict: Verdict,
    /// Whether somebody ended it early.
    pub(super) stopped: bool,
    pub(super) not_held: u64,
}

impl Outcome {
    /// The candidate that is better than the defaults, if one is.
    pub(super) fn chosen(&self) -> Option<usize> {
        match self.verdict {
            Verdict::Better(candidate) => Some(candidate),
            Verdict::AsGood | Verdict::Undecided | Verdict::TooFewRounds => None,
        }
    }

    /// Whether there is something to remember.
    pub(super) fn is_decided(&self) -> bool {
        matches!(self.verdict, Verdict::Better(_) | Verdict::AsGood)
    }

    /// The verdict for people.
    pub(super) fn words(&self) -> String {
        let longer = match self.stopped {
            true => "it was stopped early",
            false => "a longer --budget may tell",
        };
        match self.verdict {
            Verdict::Better(candidate) => {
                format!("{} is better: {}", self.space.settings(candidate), self.found(candidate))
            }
            Verdict::AsGood => match self.finalists.first() {
                Some(best) => format!(
                    "the defaults are as good as anything tried here; the best, {}: {}",
                    self.space.settings(best.candidate),
                    self.found(best.candidate)
                ),
                None => "the defaults are as good as anything tried here: nothing else works".to_owned(),
            },
            Verdict::Undecided => match self.finalists.first() {
                Some(best) => format!(
                    "undecided, so the defaults stay: too much noise for {}: {}; {longer}",
                    self.space.settings(best.candidate),
                    self.found(best.candidate)
                ),
                None => format!("undecided, so the defaults stay; {longer}"),
            },
            Verdict::TooFewRounds => format!(
                "undecided, so the defaults stay: {} of at least {ROUNDS_MIN} rounds beside the defaults were run; {longer}",
                self.confirmation.rounds()
            ),
        }
    }

    /// What was found for a finalist.
    fn found(&self, candidate: usize) -> String {
        let Some(one) = self.finalists.iter().find(|one| one.candidate == candidate) else { return String::new() };
        let ratio = &one.to_default;
        let memory = self.confirmation.memory_bytes(DEFAULT).unwrap_or(0);
        format!(
            "{:.3} [{:.3}, {:.3}] of the defaults' time in {} rounds, {} of memory ({} by default)",
            ratio.mean,
            ratio.low,
            ratio.high,
            ratio.rounds.len(),
            Human(one.memory_bytes),
            Human(memory)
        )
    }

    /// How far what halving had found is from the best of all, where both are known.
    pub(super) fn against_halving(&self, before: Option<&Entry>) -> Option<String> {
        let before = before.filter(|_| self.method == Method::Exhaustive)?;
        if before.method != Method::Halving {
            return None;
        }
        let candidate = self.space.find(&before.settings)?;
        let own = self.search.median_ratio(candidate)?;
        let (best, fastest) = *self.search.ranked(0..self.space.grid.len()).first()?;
        Some(format!(
            "halving had chosen {} on {}: {:.3} times as long as the fastest of all, {}",
            before.settings,
            before.date,
            own / fastest,
            self.space.settings(best)
        ))
    }

    /// What to remember; `now_ns` is the time, ns since 1970-01-01 UTC.
    pub(super) fn entry(&self, host: &str, now_ns: i64) -> Entry {
        let candidate = self.chosen();
        // Where the defaults stay, the best of the others is the evidence.
        let shown = candidate.or(self.finalists.first().map(|best| best.candidate));
        let finalist = self.finalists.iter().find(|one| Some(one.candidate) == shown);
        let ratio = finalist.map(|one| &one.to_default);
        let default_memory_bytes = self.confirmation.memory_bytes(DEFAULT).unwrap_or(0);
        Entry {
            host: host.to_owned(),
            filesystem: self.filesystem.clone(),
            operation: self.operation,
            cache: self.cache,
            method: self.method,
            verdict: self.words(),
            carrack: env!("CARGO_PKG_VERSION").to_owned(),
            date: Utc(now_ns).to_string(),
            settings: candidate.map_or_else(Settings::default, |candidate| self.space.settings(candidate)),
            evidence: Evidence {
                ratio: ratio.map_or(1.0, |ratio| ratio.mean),
                low: ratio.map_or(1.0, |ratio| ratio.low),
                high: ratio.map_or(1.0, |ratio| ratio.high),
                rounds: u64::from(self.confirmation.rounds()),
                runs: self.search.runs(),
                memory_bytes: finalist.map_or(default_memory_bytes, |one| one.memory_bytes),
                default_memory_bytes,
                inputs: self.input.paths.clone(),
                files: self.input.amount.files,
                bytes: self.input.amount.bytes,
                sampled: self.input.sampled,
            },
        }
    }
}
