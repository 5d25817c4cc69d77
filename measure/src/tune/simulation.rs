//! Whole searches on simulated machines: a cost for each point, noise, drift, spikes, a clock of their own. Seeded: a run
//! gives the same outcome everywhere.

use carrack_fixtures::rng::{Rng, seed_of};

use super::choose::{Verdict, confirm, finalists, judge};
use super::grid::{DEFAULT, Grid};
use super::halving::{Plan, search};
use super::ledger::{Cost, End, Subject, Trouble};

/// What a run of the default takes, ns.
const DEFAULT_NS: f64 = 400e6;

/// The knobs of the real grid: ways to read, slots, slot sizes, threads, direct.
const LEVELS: [u8; 5] = [8, 4, 4, 3, 2];

struct Machine {
    /// True time of each candidate to that of the default.
    truth: Vec<f64>,
    memory: Vec<u64>,
    noise: f64,
    /// How much the machine is slowed by others now, as a logarithm.
    drift: f64,
    rng: Rng,
    now_ns: u64,
    runs_left: u64,
}

/// Between -1 and 1.
fn even(rng: &mut Rng) -> f64 {
    rng.below(1 << 30) as f64 / f64::from(1 << 29) - 1.0
}

/// Nearly normal, with a deviation of 1.
fn normal(rng: &mut Rng) -> f64 {
    (0..12).map(|_| even(rng) / 2.0).sum()
}

impl Machine {
    /// Every level has its factor, up to `effect` to either side; a tenth of that is each pair of levels' own.
    fn new(grid: &Grid, seed: u64, effect: f64, noise: f64) -> Self {
        let mut rng = Rng::new(seed);
        let alone: Vec<Vec<f64>> = grid.levels().iter().map(|&n| shares(n, effect, &mut rng)).collect();
        let logs = |point: &[u8]| {
            let mut sum: f64 = point.iter().zip(&alone).map(|(&level, shares)| shares[usize::from(level)]).sum();
            for (knob, &one) in point.iter().enumerate() {
                for (other, &two) in point.iter().enumerate().skip(knob + 1) {
                    if one != 0 && two != 0 {
                        let parts = [seed, knob as u64, u64::from(one), other as u64, u64::from(two)];
                        sum += 0.1 * effect * even(&mut Rng::new(seed_of(&parts)));
                    }
                }
            }
            sum.exp()
        };
        let truth = (0..grid.len()).map(|at| logs(grid.point(at))).collect();
        let levels = |point: &[u8]| point.iter().map(|&level| u64::from(level)).sum::<u64>();
        let memory = (0..grid.len()).map(|at| (20 << 20) + (8 << (20 + levels(grid.point(at))))).collect();
        Self { truth, memory, noise, drift: 0.0, rng, now_ns: 0, runs_left: u64::MAX }
    }
}

fn shares(levels: u8, effect: f64, rng: &mut Rng) -> Vec<f64> {
    (0..levels).map(|level| if level == 0 { 0.0 } else { effect * even(rng) }).collect()
}

impl Subject for Machine {
    fn run(&mut self, candidate: usize) -> Result<Cost, Trouble> {
        self.runs_left = self.runs_left.checked_sub(1).ok_or(Trouble::Stopped)?;
        // Others come and go: a walk that returns to 0, and now and then a run that something falls upon.
        self.drift = 0.95 * self.drift + 0.01 * normal(&mut self.rng);
        let spike = if self.rng.chance(1, 30) { 0.4 * even(&mut self.rng).abs() } else { 0.0 };
        let noise = self.noise * normal(&mut self.rng);
        let wall = DEFAULT_NS * self.truth[candidate] * (self.drift + spike + noise).exp();
        self.now_ns += (wall + 0.05 * DEFAULT_NS) as u64;
        Ok(Cost { wall_ns: wall as u64, peak_bytes: self.memory[candidate] })
    }

    fn now_ns(&self) -> u64 {
        self.now_ns
    }
}

/// Searches and confirms within so many runs of the default.
fn tune(grid: &Grid, machine: &mut Machine, seed: u64, runs: f64) -> Verdict {
    let until = (runs * DEFAULT_NS) as u64;
    let plan = Plan::Halve { deadline_ns: until * 6 / 10, typical_ns: (1.05 * DEFAULT_NS) as u64 };
    let (ledger, end) = search(grid, plan, seed, machine);
    assert!(matches!(end, None | Some(End::Time)), "{end:?}");
    let best = finalists(&ledger, grid.len());
    let (confirmation, _) = confirm(&best, grid.len(), until, seed, machine);
    assert!(machine.now_ns as f64 <= 1.1 * until as f64, "{} of {until} ns", machine.now_ns);
    judge(&confirmation, &best, seed).1
}

fn real_grid() -> Grid {
    Grid::new(&LEVELS, |_| true)
}

#[test]
fn it_finds_the_best_within_a_twentieth_on_nearly_every_machine() {
    let grid = real_grid();
    let mut missed = Vec::new();
    for host in 0..200 {
        let mut machine = Machine::new(&grid, host, 0.15, 0.02);
        let best = machine.truth.iter().copied().fold(f64::INFINITY, f64::min);
        let chosen = match tune(&grid, &mut machine, host, 150.0) {
            Verdict::Better(candidate) => machine.truth[candidate],
            _ => machine.truth[DEFAULT],
        };
        if chosen > 1.05 * best {
            missed.push((host, chosen / best));
        }
    }
    assert!(missed.len() <= 10, "{} of 200 missed: {missed:?}", missed.len());
}

#[test]
fn a_small_grid_is_tried_as_a_whole() {
    let grid = Grid::new(&[1, 4, 4], |_| true);
    let mut missed = 0;
    for host in 0..200 {
        let mut machine = Machine::new(&grid, host, 0.2, 0.03);
        let best = machine.truth.iter().copied().fold(f64::INFINITY, f64::min);
        let chosen = match tune(&grid, &mut machine, host, 150.0) {
            Verdict::Better(candidate) => machine.truth[candidate],
            _ => machine.truth[DEFAULT],
        };
        missed += u32::from(chosen > 1.05 * best);
    }
    assert!(missed <= 10, "{missed} of 200 missed");
}

#[test]
fn noise_is_not_taken_for_a_difference() {
    let grid = real_grid();
    let (mut undecided, mut taken_in) = (0, 0);
    for host in 0..200 {
        // All are alike, and no run is like another.
        let mut machine = Machine::new(&grid, host, 0.0, 0.3);
        match tune(&grid, &mut machine, host, 80.0) {
            Verdict::Better(_) => taken_in += 1,
            Verdict::Undecided | Verdict::TooFewRounds => undecided += 1,
            Verdict::AsGood => {}
        }
    }
    assert!(taken_in <= 10 && undecided >= 100, "taken in {taken_in}, undecided {undecided} of 200");
}

#[test]
fn where_nothing_is_better_the_defaults_stay() {
    let grid = real_grid();
    for host in 0..50 {
        let mut machine = Machine::new(&grid, host, 0.0, 0.01);
        machine.truth.iter_mut().skip(1).for_each(|truth| *truth = 1.1);
        assert_eq!(tune(&grid, &mut machine, host, 200.0), Verdict::AsGood, "{host}");
    }
}

#[test]
fn of_two_that_are_equally_fast_the_smaller_is_chosen() {
    let grid = Grid::new(&[1, 4, 1], |_| true);
    let mut right = 0;
    for host in 0..100 {
        let mut machine = Machine::new(&grid, host, 0.0, 0.02);
        // Level 3 takes twice the memory of level 2.
        machine.truth = vec![1.0, 0.95, 0.8, 0.8];
        right += u32::from(tune(&grid, &mut machine, host, 150.0) == Verdict::Better(2));
    }
    assert!(right >= 90, "{right} of 100");
}

#[test]
fn too_little_time_decides_nothing() {
    let grid = real_grid();
    let mut machine = Machine::new(&grid, 1, 0.15, 0.02);
    assert_eq!(tune(&grid, &mut machine, 1, 8.0), Verdict::TooFewRounds);
}

#[test]
fn a_stop_ends_the_search_at_once_and_keeps_what_is_known() {
    let grid = real_grid();
    let mut machine = Machine::new(&grid, 1, 0.15, 0.02);
    machine.runs_left = 20;
    let plan = Plan::Halve { deadline_ns: 60_000_000_000, typical_ns: DEFAULT_NS as u64 };
    let (ledger, end) = search(&grid, plan, 1, &mut machine);
    assert_eq!((end, ledger.runs()), (Some(End::Stopped), 20));
}

#[test]
fn the_whole_grid_runs_so_many_rounds() {
    let grid = Grid::new(&[2, 3], |_| true);
    let mut machine = Machine::new(&grid, 1, 0.15, 0.02);
    let (ledger, end) = search(&grid, Plan::Exhaust { rounds: 3 }, 1, &mut machine);
    assert_eq!((end, ledger.rounds()), (None, 3));
    assert!((0..6).all(|candidate| ledger.walls_ns(candidate).count() == 3));
}
