//! The rounds: in each one every row runs once, in an order drawn anew, so that whatever disturbs the machine disturbs all
//! alike; the first round does not count.
//!
//! In: rows, a place. Out: [`Outcome`], also when somebody stopped it: then with what there is.

use std::collections::{HashMap, HashSet};

use carrack_fixtures::rng::Rng;
use carrack_measure::cache::Cache;
use carrack_measure::error::{Failure, Result};
use carrack_measure::progress::Progress;
use carrack_measure::stats::shuffle;
use carrack_measure::units::time;

use super::contenders::Contender;
use super::place::{Place, Run, Turn};
use super::rows::{Operation, Row};

/// A run, and when it was.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// From 1.
    pub(super) round: u32,
    /// How many rows ran before it in this round.
    pub(super) place: usize,
    /// Place of its row among all rows.
    pub(super) row: usize,
    pub(super) run: Run,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) samples: Vec<Sample>,
    /// Rows that failed, and why.
    pub(super) failures: HashMap<usize, String>,
    /// Complete rounds that count.
    pub(super) rounds: u32,
    /// The signal that ended it early.
    pub(super) stopped: Option<i32>,
}

/// How many rounds, and in which order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    pub(super) count: u32,
    pub(super) seed: u64,
    /// There is no room for the trees of all rounds: they are removed after each.
    pub(super) clear: bool,
}

/// How many files `cat` reads in a round, each with a process of its own.
const CATS: usize = 5;

/// Steps of all rounds, as a progress bar counts them.
pub(super) fn steps(rows: &[Row], rounds: u32) -> u64 {
    (u64::from(rounds) + 2) * rows.len() as u64
}

/// Makes ready what the rows need, then runs all rounds.
///
/// # Errors
/// When the place itself breaks (the disk is full, a child of our own fails). What fails of a row is in the outcome.
pub(super) fn contest(place: &mut Place<'_>, rows: &[Row], rounds: Rounds, progress: &Progress) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    let result = prepare(place, rows, &mut outcome, progress).and_then(|()| {
        let mut contest = Contest { place, rows, rounds, rng: Rng::new(rounds.seed), warm: HashSet::new(), progress };
        for round in 0..=rounds.count {
            contest.round(round, &mut outcome)?;
            outcome.rounds = round;
            if rounds.clear {
                progress.begin("removing what was unpacked");
                contest.place.clear(rows, round)?;
            }
        }
        Ok(())
    });
    match result {
        Err(failure) if failure.signal().is_some() => outcome.stopped = failure.signal(),
        other => other?,
    }
    Ok(outcome)
}

/// Archives to unpack, and how long planted delays must be.
fn prepare(place: &mut Place<'_>, rows: &[Row], outcome: &mut Outcome, progress: &Progress) -> Result<()> {
    for (at, row) in rows.iter().enumerate() {
        place.work.check()?;
        progress.begin(&format!("getting ready: {}", row.id));
        if let Some(missing) = &row.missing {
            outcome.failures.insert(at, missing.clone());
        } else if let Err(failure) = place.prepare(row).and_then(|()| place.calibrate(row)) {
            fail(place, outcome, at, row, &failure, progress)?;
        }
        progress.done(1);
    }
    Ok(())
}

/// A row that fails is not run again; but somebody who wants an end makes all rows fail.
fn fail(
    place: &Place<'_>,
    outcome: &mut Outcome,
    at: usize,
    row: &Row,
    failure: &Failure,
    progress: &Progress,
) -> Result<()> {
    place.work.check()?;
    progress.line(&format!("{}: FAILED: {failure}", row.id));
    outcome.failures.insert(at, failure.to_string());
    Ok(())
}

/// What goes on from round to round.
struct Contest<'a, 'b> {
    place: &'a Place<'b>,
    rows: &'a [Row],
    rounds: Rounds,
    rng: Rng,
    /// Programs that ran since the last cold run threw them out of memory.
    warm: HashSet<(Contender, Operation)>,
    progress: &'a Progress,
}

impl Contest<'_, '_> {
    fn round(&mut self, round: u32, outcome: &mut Outcome) -> Result<()> {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        shuffle(&mut order, &mut self.rng);
        // Cold runs need nothing of what was before them, but disturb what comes after.
        order.sort_by_key(|at| self.rows[*at].cache == Cache::Cold);
        let seed = self.rng.bits();
        for (nth, at) in order.into_iter().enumerate() {
            let row = &self.rows[at];
            self.place.work.check()?;
            self.progress.begin(&format!("round {round} of {}: {}", self.rounds.count, row.id));
            if !outcome.failures.contains_key(&at) {
                match self.run(row, round, seed) {
                    Ok(runs) if round > 0 => {
                        outcome.samples.extend(runs.into_iter().map(|run| Sample { round, place: nth, row: at, run }));
                    }
                    Ok(_) => {}
                    Err(failure) => fail(self.place, outcome, at, row, &failure, self.progress)?,
                }
            }
            self.progress.done(1);
        }
        self.progress.plain(&line(outcome, self.rows, round));
        Ok(())
    }

    fn run(&mut self, row: &Row, round: u32, seed: u64) -> Result<Vec<Run>> {
        let cats = row.operation == Operation::Cat;
        let paths = if cats { self.place.draw(row.input, CATS, seed)? } else { Vec::new() };
        if row.cache == Cache::Cold {
            self.warm.clear();
        } else if self.rows.iter().any(|row| row.cache == Cache::Cold)
            && self.warm.insert((row.contender, row.operation))
        {
            self.place.run(row, Turn { round, rehearsal: true }, &paths)?;
        }
        self.place.run(row, Turn::of(round), &paths)
    }
}

fn line(outcome: &Outcome, rows: &[Row], round: u32) -> String {
    if round == 0 {
        return "round 0 done: it does not count".to_owned();
    }
    let ours = outcome.samples.iter().filter(|sample| sample.round == round);
    let ours = ours.filter(|sample| matches!(rows[sample.row].contender, Contender::Carrack));
    let walls = ours.map(|sample| format!("{} {}", rows[sample.row].id, time(sample.run.usage.wall_ns)));
    format!("round {round} done: {}", walls.collect::<Vec<_>>().join(", "))
}
