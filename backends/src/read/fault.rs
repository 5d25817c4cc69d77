//! A backend that does harm on purpose, around any other: for tests of everything that reads.
//!
//! What flows in: requests for the inner backend, and [`Rules`] that say which of them go wrong and how. What flows
//! out: completions as a failing disk, a busy machine or a changing file would give them. What it does not know: where
//! the bytes come from.
//!
//! The same rules, seed and order of submission do the same harm to the same requests, whatever the inner backend. In
//! which order shuffled completions come out also depends on the order in which the inner backend finishes them.
//! Bytes that the contract leaves unspecified are overwritten, so that nobody gets away with using them.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Caps, Completion, Op, ReadBackend, Request};
use crate::arena::Arena;
use crate::clock::now_ns;
use crate::path::PathTable;
use crate::witness::{Time, Witness};

/// How many finished reads are kept back to be shuffled.
const WINDOW: usize = 8;
/// What unspecified bytes are overwritten with.
const GARBAGE: u8 = 0xdd;

/// Which requests a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// All requests for the file of this archive path.
    Path(Vec<u8>),
    /// The request that was taken as the nth, counted from zero over the life of the backend.
    Nth(u64),
    /// The request that was taken as the nth, and all after it.
    From(u64),
    /// Each request with a chance of one in so many, drawn from the seed.
    OneIn(u32),
    /// Every request.
    Always,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// The read fails with this error number of the operating system (EIO, EINTR, …).
    Errno(i32),
    /// The file is not there: the read fails with ENOENT and there is no witness.
    Vanish,
    /// At most so many bytes are read, as if the file had ended there for a moment. The witness does not show it.
    Short(u32),
    /// The file ends at this byte (if it did not end before), and the witness shows it.
    Shrink(u64),
    /// The witness shows a file that is so many bytes longer. What was read is what was there before.
    Grow(u64),
    /// The witness shows later times and nothing else.
    Touch,
    /// There is no witness, as if `fstat` had failed.
    NoWitness,
    /// The completion is held back for so long, and everything behind it.
    Sleep(Duration),
    /// The completion is held back until so many others have been handed out or nothing else is in flight.
    Late(u32),
}

/// What [`Fault`] does and to whom. Without rules, nothing.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// State of what is drawn for chances: one draw a request and rule, so that nothing else can shift them.
    chance: u64,
    /// State of what is drawn for the order.
    order: u64,
    shuffled: bool,
}

#[derive(Clone, Debug)]
struct Rule {
    when: When,
    harm: Harm,
    /// How often it still applies.
    left: u64,
}

impl Rules {
    /// No rules yet; `seed` decides what is left to chance.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { chance: seed, order: !seed, ..Self::default() }
    }

    /// Adds a rule that always applies. All rules that fit a request do their harm, in the order of adding.
    #[must_use]
    pub fn rule(self, when: When, harm: Harm) -> Self {
        self.times(u64::MAX, when, harm)
    }

    /// Adds a rule that applies only the first `count` times. For [`When::Path`], one time is one reading of the
    /// file: a whole read, or all ranges up to the one marked `last`.
    #[must_use]
    pub fn times(mut self, count: u64, when: When, harm: Harm) -> Self {
        self.rules.push(Rule { when, harm, left: count });
        self
    }

    /// Lets completions come out of order, by the seed.
    #[must_use]
    pub fn shuffled(mut self) -> Self {
        self.shuffled = true;
        self
    }

    /// What happens to the request taken as the nth; draws and counts down.
    fn harms(&mut self, nth: u64, op: Op, path: &[u8]) -> Vec<Harm> {
        let mut harms = Vec::new();
        for rule in &mut self.rules {
            let fits = match &rule.when {
                When::Path(wanted) => wanted == path,
                When::Nth(wanted) => *wanted == nth,
                When::From(first) => *first <= nth,
                When::OneIn(many) => next_random(&mut self.chance).is_multiple_of(u64::from(*many).max(1)),
                When::Always => true,
            };
            if !fits || rule.left == 0 {
                continue;
            }
            harms.push(rule.harm);
            let more_to_come = matches!(rule.when, When::Path(_)) && matches!(op, Op::Range { last: false, .. });
            if !more_to_come {
                rule.left -= 1;
            }
        }
        harms
    }
}

/// The next number of a SplitMix64 sequence.
fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Wraps a backend and harms what it reads. See the [module](self).
///
/// Deliberate deviations from the [contract](super) are those of the rules alone; buffers, tags and counts stay right.
#[derive(Debug)]
pub struct Fault {
    inner: Box<dyn ReadBackend>,
    rules: Rules,
    caps: Caps,
    paths: Option<Arc<PathTable>>,
    /// Requests taken so far.
    taken: u64,
    /// Harm to come, by the arena offset of the buffer: no two requests in flight have the same.
    planned: HashMap<usize, Vec<Harm>>,
    held: Vec<Held>,
    scratch: Vec<Completion>,
}

/// A finished read that has not been handed out, and how many others must go first.
#[derive(Debug)]
struct Held {
    completion: Completion,
    wait_for: u32,
}

impl Fault {
    /// Puts `rules` around `inner`, which must not be attached yet.
    #[must_use]
    pub fn new(inner: Box<dyn ReadBackend>, rules: Rules) -> Self {
        let caps = Caps { name: "fault", ..inner.caps().clone() };
        Self {
            inner,
            rules,
            caps,
            paths: None,
            taken: 0,
            planned: HashMap::new(),
            held: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Fetches from the inner backend, does the harm, and holds the result.
    fn pull(&mut self, need: usize, timeout: Option<Duration>) -> io::Result<()> {
        let ahead = if self.rules.shuffled && need > 0 { WINDOW } else { 0 };
        let min = need.saturating_add(ahead).min(self.inner.in_flight());
        self.inner.reap(min, timeout, &mut self.scratch)?;
        for mut completion in self.scratch.drain(..) {
            let harms = self.planned.remove(&completion.buf.arena_offset()).unwrap_or_default();
            let mut wait_for = 0;
            for harm in harms {
                if let Harm::Late(others) = harm {
                    wait_for = others;
                }
                apply(harm, &mut completion);
            }
            self.held.push(Held { completion, wait_for });
        }
        Ok(())
    }

    /// Hands out what may go: at least `need` if there is as much, all if nothing has to be kept for shuffling.
    fn release(&mut self, need: usize, out: &mut Vec<Completion>) -> usize {
        let mut released = 0;
        loop {
            let all_here = self.inner.in_flight() == 0;
            let keep = if self.rules.shuffled && !all_here { WINDOW } else { 0 };
            if self.held.is_empty() || released >= need && self.held.len() <= keep {
                return released;
            }
            let ready: Vec<usize> = (0..self.held.len()).filter(|&i| self.held[i].wait_for == 0).collect();
            let index = match ready.len() {
                // Nothing else is in flight: whoever waits for the fewest goes.
                0 if all_here => (0..self.held.len()).min_by_key(|&i| self.held[i].wait_for).unwrap_or(0),
                0 => return released,
                n if self.rules.shuffled => ready[(next_random(&mut self.rules.order) % n as u64) as usize],
                _ => ready[0],
            };
            out.push(self.take_out(index));
            released += 1;
        }
    }

    fn take_out(&mut self, index: usize) -> Completion {
        let mut completion = self.held.remove(index).completion;
        for held in &mut self.held {
            held.wait_for = held.wait_for.saturating_sub(1);
        }
        // Out of turn, but the witness of a file is still on the range that is handed out last.
        if matches!(completion.op, Op::Range { .. }) && completion.witness.is_some() {
            let path = completion.op.path();
            let same_file = |other: &Op| matches!(other, Op::Range { .. }) && other.path() == path;
            if let Some(later) = self.held.iter_mut().find(|held| same_file(&held.completion.op)) {
                later.completion.witness = completion.witness.take();
            }
        }
        completion.stamps.completed_ns = now_ns();
        completion
    }
}

/// Does one harm to one finished read.
fn apply(harm: Harm, completion: &mut Completion) {
    let offset = match completion.op {
        Op::Whole { .. } => 0,
        Op::Range { offset, .. } => offset,
    };
    match harm {
        Harm::Errno(number) => fail(completion, number),
        Harm::Vanish => {
            fail(completion, rustix::io::Errno::NOENT.raw_os_error());
            completion.witness = None;
        }
        Harm::Short(most) => cut(completion, u64::from(most)),
        Harm::Shrink(end) => {
            cut(completion, end.saturating_sub(offset));
            change(completion, |witness| witness.size = witness.size.min(end));
        }
        Harm::Grow(bytes) => change(completion, |witness| witness.size = witness.size.saturating_add(bytes)),
        Harm::Touch => change(completion, |_| ()),
        Harm::NoWitness => completion.witness = None,
        Harm::Sleep(duration) => std::thread::sleep(duration),
        Harm::Late(_) => {}
    }
}

fn fail(completion: &mut Completion, errno: i32) {
    completion.result = Err(io::Error::from_raw_os_error(errno));
    completion.buf.fill(GARBAGE);
}

fn cut(completion: &mut Completion, most: u64) {
    if let Ok(filled) = &mut completion.result {
        *filled = (*filled).min(u32::try_from(most).unwrap_or(u32::MAX));
        completion.buf[*filled as usize..].fill(GARBAGE);
    }
}

/// Changes the witness as any change of a file does: the times move on.
fn change(completion: &mut Completion, how: impl FnOnce(&mut Witness)) {
    if let Some(witness) = &mut completion.witness {
        how(witness);
        witness.mtime = next_moment(witness.mtime);
        witness.ctime = next_moment(witness.ctime);
    }
}

fn next_moment(time: Time) -> Time {
    match time.nsec {
        999_999_999 => Time { sec: time.sec.saturating_add(1), nsec: 0 },
        nsec => Time { nsec: nsec + 1, ..time },
    }
}

impl ReadBackend for Fault {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn attach(&mut self, arena: &Arc<Arena>, paths: &Arc<PathTable>) -> io::Result<()> {
        self.inner.attach(arena, paths)?;
        self.caps = Caps { name: "fault", ..self.inner.caps().clone() };
        self.paths = Some(Arc::clone(paths));
        Ok(())
    }

    fn submit(&mut self, queue: &mut VecDeque<Request>) -> io::Result<usize> {
        let paths = self.paths.as_ref().ok_or_else(super::pread::not_attached)?;
        // What is held back here counts as in flight, though the inner backend has room for more already.
        let room = self.caps.depth.saturating_sub(self.in_flight());
        let mut batch: VecDeque<Request> = queue.drain(..room.min(queue.len())).collect();
        let asked: Vec<(Op, usize)> = batch.iter().map(|request| (request.op, request.buf.arena_offset())).collect();
        let result = self.inner.submit(&mut batch);
        while let Some(refused) = batch.pop_back() {
            queue.push_front(refused);
        }
        let taken = result?;
        for &(op, place) in &asked[..taken] {
            let harms = self.rules.harms(self.taken, op, paths.path(op.path()));
            self.taken += 1;
            if !harms.is_empty() {
                self.planned.insert(place, harms);
            }
        }
        Ok(taken)
    }

    fn reap(&mut self, min: usize, timeout: Option<Duration>, out: &mut Vec<Completion>) -> io::Result<usize> {
        let wanted = min.min(self.in_flight());
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut added = 0;
        loop {
            let need = wanted - added.min(wanted);
            if self.inner.in_flight() > 0 {
                let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                self.pull(need, left)?;
            }
            added += self.release(need, out);
            let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if added >= wanted || late {
                return Ok(added);
            }
        }
    }

    fn in_flight(&self) -> usize {
        self.inner.in_flight() + self.held.len()
    }
}

#[cfg(test)]
mod tests;
