//! The command from beginning to end: sample, search, confirm, remember.
//!
//! The budget holds for all of it. A tenth at most goes into looking at the tree, some runs into finding out how much of
//! it fits; of the rest three fifths go to `pack` where `unpack` is tuned too, and three fifths of each share to the
//! search, two to the confirmation.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use carrack_engine::control::Escaped;
use carrack_engine::error::{Error, ErrorKind, Result};
use carrack_measure::cache;
use carrack_measure::host::{self, Host};
use carrack_measure::tune::choose::{confirm, finalists, judge};
use carrack_measure::tune::grid::DEFAULT;
use carrack_measure::tune::halving::{Plan, search};
use carrack_measure::tune::ledger::{End, Ledger, Trouble};

use super::args::{Knob, Operation, TuneArgs};
use super::document::Document;
use super::lab::{Bench, Lab, Scratch};
use super::outcome::{Input, Outcome};
use super::progress::Show;
use super::remembered;
use super::sample::{Sample, Source, weight_for};
use super::space::{Defaults, Space};
use super::store::{Entry, Key, Method, Store};
use crate::cmd::count;
use crate::exit::Exit;
use crate::output::Ui;
use crate::size::Human;

/// A share of the budget has room for so many runs of the defaults, if the tree is large enough.
const RUNS: u32 = 120;
/// What an exhaustive search takes for one run, about.
const EXHAUSTIVE_RUN: Duration = Duration::from_millis(400);
/// The part of the budget that the last run ends in; the rest is for clearing up.
const ENDS_AT: f64 = 0.97;
/// Pack's part where unpack is tuned too.
const PACK: f64 = 0.6;
/// Unpacking is slower, and what was unpacked must be removed; there are few settings to try. So many runs are enough.
const RUNS_UNPACK: u32 = 50;
/// The search's part; the rest is the confirmation's.
const SEARCH: f64 = 0.6;
/// A run of unpack, with the removal of what it wrote, takes so many times as long as one of pack, at a guess.
const UNPACK_TO_PACK: f64 = 3.0;
/// So often is the size of the sample adapted.
const ATTEMPTS: u32 = 3;
/// A sample of this weight is not made smaller, bytes: starting a process takes as long.
const WEIGHT_MIN: u64 = 2 << 20;

/// Searches, and remembers what is found.
pub(super) fn run(args: &TuneArgs, ui: &Ui) -> Result<Exit> {
    let began = Instant::now();
    let store = remembered::store()?;
    // What cannot be remembered need not be searched for.
    remembered::load(&store)?;
    store.check()?;
    let operations = operations(args, ui)?;
    let defaults = Defaults::of_this_machine();
    let program = std::env::current_exe()
        .map_err(|error| Error::with(ErrorKind::Input, "cannot find this program, which every run starts", error))?;
    let cancel = ui.signals.install_patient()?;
    let scratch = Scratch::find(args.work.as_deref(), args.inputs.first().map(PathBuf::as_path))?;
    let show = Show::new(ui, args.exhaustive.is_none().then_some(args.budget));
    let lab = Lab { program, scratch: &scratch, cache: args.cache, cancel, began, show: &show };
    let place = args.inputs.first().map_or(scratch.path(), PathBuf::as_path);
    let host = Host::look(place, scratch.path());
    let tuner = Tuner { args, lab: &lab, store: &store, defaults: &defaults, host: &host };
    let mut outcomes = Vec::new();
    let result = tuner.all(&operations, &mut outcomes);
    show.finish();
    // What was found for one operation is not lost because the other one failed.
    tuner.conclude(&outcomes, ui)?;
    result?;
    Ok(match ui.signals.caught() {
        Some(signal) if outcomes.iter().any(|outcome| outcome.stopped) => Exit::Signal(signal),
        _ => Exit::Done,
    })
}

/// What is tuned: `--only` may leave nothing of unpack, which is no reason not to tune pack.
fn operations(args: &TuneArgs, ui: &Ui) -> Result<Vec<Operation>> {
    let mut operations = args.operations.operations().to_vec();
    let threads = args.only.is_empty() || args.only.contains(&Knob::Threads);
    if operations.len() > 1 && !threads {
        operations.retain(|operation| *operation == Operation::Pack);
        ui.note("pack alone is tuned: unpack has --threads only");
    }
    Ok(operations)
}

struct Tuner<'a> {
    args: &'a TuneArgs,
    lab: &'a Lab<'a>,
    store: &'a Store,
    defaults: &'a Defaults,
    host: &'a Host,
}

/// What is to be searched.
struct Task {
    operation: Operation,
    space: Space,
    input: Input,
    filesystem: String,
    /// How long a run of the defaults takes, with all that belongs to it.
    typical: Duration,
    /// When it has to be done, ns since the command began.
    until_ns: u64,
}

impl Tuner<'_> {
    /// One operation after the other; what came of those that were searched is there whatever happens to the others.
    fn all(&self, operations: &[Operation], outcomes: &mut Vec<Outcome>) -> Result<()> {
        self.cache_can_be_had()?;
        let memory = self.host.memory_bytes;
        let space = |&operation| {
            Space::new(operation, &self.args.only, self.defaults.clone(), memory).map(|space| (operation, space))
        };
        let spaces = operations.iter().map(space);
        let spaces: Vec<_> = spaces.collect::<Result<_>>()?;
        let alone = spaces.len() == 1;
        let source = self.source(alone)?;
        let (sample, took) = self.sample(&source, self.run_time(alone))?;
        for (operation, space) in spaces {
            if outcomes.iter().any(|outcome| outcome.stopped) {
                break;
            }
            let until_ns = self.deadline_ns(operation == Operation::Pack && !alone);
            let filesystem = self.filesystem(operation, &source)?;
            let (mut bench, typical, sample) = match operation {
                Operation::Pack => (Bench::pack(self.lab, &sample), took, sample.clone()),
                Operation::Unpack => self.unpack_bench(&source, &sample, took, until_ns)?,
            };
            let input = input_of(&source, &sample);
            let task = Task { operation, space, input, filesystem, typical, until_ns };
            outcomes.push(self.tune(task, &mut bench)?);
        }
        Ok(())
    }

    fn cache_can_be_had(&self) -> Result<()> {
        let refused =
            cache::probe(self.lab.scratch.path()).into_iter().find(|refused| refused.cache == self.args.cache);
        match refused {
            Some(refused) => {
                let message = format!("--cache {} cannot be had here: {}", refused.cache, refused.why);
                Err(Error::new(ErrorKind::Usage, message))
            }
            None => Ok(()),
        }
    }

    /// What one run should take.
    fn run_time(&self, alone: bool) -> Duration {
        let share = if alone { 1.0 } else { PACK };
        self.args.exhaustive.map_or_else(|| self.args.budget.mul_f64(share) / RUNS, |_| EXHAUSTIVE_RUN)
    }

    fn source(&self, alone: bool) -> Result<Source> {
        let (args, folder) = (self.args, self.lab.scratch.path());
        if args.inputs.is_empty() {
            self.lab.show.step("generating a tree to measure with");
            return Source::generated(&folder.join("tree"), weight_for(self.run_time(alone)), args.seed);
        }
        self.lab.show.step("looking at the tree");
        Source::of_user(&args.inputs, args.budget / 10, args.seed)
    }

    /// A sample that a run of the defaults takes about `run` for, and how long it does take.
    fn sample(&self, source: &Source, run: Duration) -> Result<(Sample, Duration)> {
        let mut most = weight_for(run).max(WEIGHT_MIN);
        for attempt in 1.. {
            let sample = source.take(most, &self.lab.scratch.path().join(format!("sample-{attempt}")))?;
            let took = Bench::pack(self.lab, &sample).calibrate()?;
            let room = run.as_secs_f64() / took.as_secs_f64();
            let fits = room >= 0.66 && (room <= 2.0 || !sample.sampled);
            if fits || attempt >= ATTEMPTS || (room < 1.0 && sample.amount.weight() <= WEIGHT_MIN) {
                return Ok((sample, took));
            }
            most = ((sample.amount.weight() as f64 * (0.9 * room).clamp(0.02, 8.0)) as u64).max(WEIGHT_MIN);
        }
        unreachable!("the last attempt returns")
    }

    /// An archive of the sample, or of a part of it where unpacking all would take too long: `packing` is how long a run
    /// of pack takes.
    fn unpack_bench(
        &self,
        source: &Source,
        sample: &Sample,
        packing: Duration,
        until_ns: u64,
    ) -> Result<(Bench<'_>, Duration, Sample)> {
        let left = || Duration::from_nanos(until_ns.saturating_sub(self.lab.elapsed_ns())).as_secs_f64();
        let mut sample = sample.clone();
        let mut typical = packing.mul_f64(UNPACK_TO_PACK);
        // First by what is to be expected, then once more by what is found.
        for attempt in 0..2 {
            let room = left() / f64::from(RUNS_UNPACK) / typical.as_secs_f64();
            let weight = sample.amount.weight();
            if room < 0.7 && self.args.exhaustive.is_none() && weight > WEIGHT_MIN {
                let most = ((weight as f64 * room) as u64).max(WEIGHT_MIN);
                let folder = self.lab.scratch.path().join(format!("sample-unpack-{attempt}"));
                // Nothing that is small enough is no reason to give up: what there is will do.
                sample = source.take(most, &folder).unwrap_or(sample);
            } else if attempt > 0 {
                break;
            }
            let mut bench = self.archived(&sample)?;
            typical = bench.calibrate()?;
        }
        Ok((Bench::unpack(self.lab), typical, sample))
    }

    fn archived(&self, sample: &Sample) -> Result<Bench<'_>> {
        let pack = Bench::pack(self.lab, sample);
        pack.make_archive().map_err(|trouble| pack.failed(trouble))?;
        Ok(Bench::unpack(self.lab))
    }

    fn filesystem(&self, operation: Operation, source: &Source) -> Result<String> {
        let place = match operation {
            Operation::Pack => source.inputs().first().map_or(Path::new("."), PathBuf::as_path),
            // Unpacking is about what is written to.
            Operation::Unpack => self.lab.scratch.path(),
        };
        let filesystem = host::filesystem(place);
        if filesystem.is_empty() {
            let message = format!("{}: the system does not say which file system this is", place.display());
            return Err(Error::new(ErrorKind::Input, message));
        }
        Ok(filesystem)
    }

    /// When the operation has to be done, ns since the command began.
    fn deadline_ns(&self, more_follows: bool) -> u64 {
        if self.args.exhaustive.is_some() {
            return u64::MAX;
        }
        let end = self.args.budget.as_secs_f64() * 1e9 * ENDS_AT;
        let now = self.lab.elapsed_ns() as f64;
        let part = if more_follows { PACK } else { 1.0 };
        (now + (end - now).max(0.0) * part) as u64
    }

    fn tune(&self, task: Task, bench: &mut Bench<'_>) -> Result<Outcome> {
        let Task { operation, space, input, filesystem, typical, until_ns } = task;
        let (seed, candidates) = (self.args.seed, space.grid.len());
        bench.set_candidates((0..candidates).map(|candidate| space.settings(candidate)).collect());
        let name = operation.name();
        let settings = count(candidates as u64 - 1, "setting", "settings");
        self.lab.show.step(&format!("{name}: searching {settings} beside the defaults, {typical:.0?} a run"));
        let (found, end) = search(&space.grid, self.plan(typical, until_ns), seed, bench);
        let mut stopped = self.is_stopped(end, bench)?;
        let mut best = finalists(&found, candidates);
        self.add_former(operation, &filesystem, &space, &mut best);
        let mut confirmation = Ledger::new(candidates);
        if !stopped {
            self.lab.show.step(&format!("{name}: confirming {}", count(best.len() as u64, "setting", "settings")));
            let end;
            (confirmation, end) = confirm(&best, candidates, until_ns, seed, bench);
            stopped = self.is_stopped(end, bench)?;
        }
        let (finalists, verdict) = judge(&confirmation, &best, seed);
        let method = if self.args.exhaustive.is_some() { Method::Exhaustive } else { Method::Halving };
        let (cache, not_held) = (self.args.cache, bench.not_held);
        Ok(Outcome {
            operation,
            cache,
            method,
            input,
            filesystem,
            space,
            search: found,
            confirmation,
            finalists,
            verdict,
            stopped,
            not_held,
        })
    }

    fn plan(&self, typical: Duration, until_ns: u64) -> Plan {
        let now = self.lab.elapsed_ns();
        match self.args.exhaustive {
            Some(rounds) => Plan::Exhaust { rounds },
            None => Plan::Halve {
                deadline_ns: now + (until_ns.saturating_sub(now) as f64 * SEARCH) as u64,
                typical_ns: u64::try_from(typical.as_nanos()).unwrap_or(u64::MAX),
            },
        }
    }

    /// Whether somebody wants an end. That the time is up is none of our worries; that the defaults fail is.
    fn is_stopped(&self, end: Option<End>, bench: &Bench<'_>) -> Result<bool> {
        match end {
            None | Some(End::Time) => Ok(false),
            Some(End::Stopped) => Ok(true),
            Some(End::DefaultFailed(why)) => Err(bench.failed(Trouble::Failed(why))),
        }
    }

    /// What was found before.
    fn former(&self, operation: Operation, filesystem: &str) -> Option<Entry> {
        let memory = self.store.load().ok()??;
        let host = host::key();
        memory.find_cached(Key { host: &host, filesystem, operation }, self.args.cache).cloned()
    }

    /// An exhaustive search confirms what halving had chosen too, so that the two can be compared.
    fn add_former(&self, operation: Operation, filesystem: &str, space: &Space, finalists: &mut Vec<usize>) {
        let former = self.former(operation, filesystem).filter(|_| self.args.exhaustive.is_some());
        let candidate = former.and_then(|former| space.find(&former.settings));
        finalists.extend(candidate.filter(|candidate| *candidate != DEFAULT && !finalists.contains(candidate)));
    }

    /// Says what was found, and remembers it.
    fn conclude(&self, outcomes: &[Outcome], ui: &Ui) -> Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let now_ns = i64::try_from(now).unwrap_or(i64::MAX);
        let key = host::key();
        let formers: Vec<_> = outcomes.iter().map(|one| self.former(one.operation, &one.filesystem)).collect();
        let mut memory = remembered::load(self.store)?;
        for outcome in outcomes.iter().filter(|outcome| outcome.is_decided()) {
            memory.put(outcome.entry(&key, now_ns));
        }
        for (outcome, former) in outcomes.iter().zip(&formers) {
            self.say(outcome, former.as_ref(), ui);
        }
        if outcomes.iter().any(Outcome::is_decided) {
            self.store.save(&memory)?;
            ui.note(format_args!("remembered in {}", self.store.name()));
        }
        if let Some(folder) = &self.args.results {
            let budget = self.args.exhaustive.is_none().then_some(self.args.budget);
            let budget_ns = budget.map(|budget| u64::try_from(budget.as_nanos()).unwrap_or(u64::MAX));
            for outcome in outcomes {
                Document::new(outcome, self.host, self.args.seed, budget_ns).save(folder)?;
            }
        }
        Ok(())
    }

    fn say(&self, outcome: &Outcome, former: Option<&Entry>, ui: &Ui) {
        let name = outcome.operation.name();
        let (input, runs) = (&outcome.input, outcome.search.runs());
        ui.note(format_args!(
            "{name}: {}, {}{}, {}, {}",
            count(input.amount.files, "file", "files"),
            Human(input.amount.bytes),
            if input.sampled { " as a sample" } else { "" },
            outcome.filesystem,
            outcome.cache,
        ));
        ui.note(format_args!(
            "{name}: {} in the grid, {} in the search, {} of confirmation",
            count(outcome.space.grid.len() as u64, "setting", "settings"),
            count(runs, "run", "runs"),
            count(u64::from(outcome.confirmation.rounds()), "round", "rounds"),
        ));
        for candidate in 0..outcome.space.grid.len() {
            let failed = outcome.search.failed(candidate).or(outcome.confirmation.failed(candidate));
            if let Some(why) = failed {
                ui.note(format_args!("{name}: {} failed: {why}", outcome.space.settings(candidate)));
            }
        }
        if outcome.not_held > 0 {
            let runs = count(outcome.not_held, "run", "runs");
            ui.note(format_args!("{name}: {runs} did not begin {}", outcome.cache));
        }
        ui.note(format_args!("{name}: {}", outcome.words()));
        if let Some(line) = outcome.against_halving(former) {
            ui.note(format_args!("{name}: {line}"));
        }
        if let Some(former) = former.filter(|_| !outcome.is_decided()) {
            ui.note(format_args!("{name}: what was found on {} stays: {}", former.date, former.settings));
        }
    }
}

fn input_of(source: &Source, sample: &Sample) -> Input {
    let paths = source.inputs().iter().map(|path| Escaped(path.as_os_str().as_bytes()).to_string()).collect();
    Input { paths, amount: sample.amount, sampled: sample.sampled }
}
