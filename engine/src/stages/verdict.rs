//! What a run waited for: a rule from measured times to one of four words.
//!
//! Every run has a reader, workers, and somebody who writes: the coordinator when packing, the workers themselves on the
//! way back. Whoever was busy all the time is what the others waited for. In steps, the first that decides:
//!
//! 1. The one with the greatest busy share is looked at. Below [`BUSY`] nothing stands out: balanced.
//! 2. When it leads the others by [`LEAD`] or more, the run was bound by it.
//! 3. When the workers are among those within [`LEAD`] of the greatest share and, on average, [`BACKLOG`] tasks or more
//!    waited for each of them, then work was always at hand and they were what the run waited for.
//! 4. Else: balanced.
//!
//! On the way back workers decode and write. When the run was bound by them, the part that leads by [`LEAD`] or more
//! gives the word; without such a lead: balanced.

use std::fmt;

use serde::{Serialize, Serializer};

/// Least busy share of whoever binds a run.
pub const BUSY: f64 = 0.5;
/// Lead of its busy share over those of the others.
pub const LEAD: f64 = 0.1;
/// Mean number of tasks that wait for each worker, from which on work counts as always at hand.
pub const BACKLOG: f64 = 1.0;

/// What was measured. All times in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// How long the stages ran.
    pub wall_ns: u64,
    /// Number of workers.
    pub threads: usize,
    /// The reader had reads to make, or to wait for: all its time but that of waiting for an empty slot or buffer.
    pub reader_ns: u64,
    /// The workers hashed, compressed, decoded or encoded: the sum of all of them.
    pub codec_ns: u64,
    /// Who wrote, and how long.
    pub sink: SinkTime,
    /// Tasks lay ready and waited for a worker: the sum over all tasks.
    pub backlog_ns: u64,
}

/// Who writes, and how long, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkTime {
    /// Packing: the coordinator.
    Coordinator {
        /// It did not wait for events.
        busy_ns: u64,
        /// Part of it: it appended to the sink.
        commit_ns: u64,
    },
    /// The way back: the workers, besides decoding.
    Workers {
        /// They created, wrote and closed files.
        write_ns: u64,
    },
}

/// What a run was bound by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// Reading.
    Reader,
    /// Computing: hashing, compressing, decoding.
    Codec,
    /// Writing; when packing also what else the coordinator does.
    Sink,
    /// Nothing stands out.
    Balanced,
}

impl Bound {
    /// Its name in tables and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Bound::Reader => "reader-bound",
            Bound::Codec => "codec-bound",
            Bound::Sink => "sink-bound",
            Bound::Balanced => "balanced",
        }
    }
}

impl Serialize for Bound {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What a run waited for, and the figures that say so. Shares are of the time that the stages ran, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The word.
    pub bound: Bound,
    /// Busy share of the reader.
    pub reader_share: f64,
    /// Mean busy share of the workers.
    pub workers_share: f64,
    /// Part of `workers_share`: computing.
    pub codec_share: f64,
    /// Share of writing: appending to the sink when packing; on the way back the part of `workers_share` that is writing.
    pub sink_share: f64,
    /// Busy share of the coordinator, which includes `sink_share`; `None` on the way back, which has none.
    pub coordinator_share: Option<f64>,
    /// How many tasks waited for a worker, on average.
    pub backlog: f64,
}

/// Judges a run by the rule at the head of this file. The same figures give the same verdict.
#[must_use]
pub fn verdict(busy: &Busy) -> Verdict {
    let wall = busy.wall_ns.max(1) as f64;
    let threads = busy.threads.max(1) as f64;
    let share = |ns: u64| (ns as f64 / wall).min(1.0);
    let share_of_workers = |ns: u64| (ns as f64 / (wall * threads)).min(1.0);
    let codec_share = share_of_workers(busy.codec_ns);
    let (workers_share, sink_share, coordinator_share) = match busy.sink {
        SinkTime::Coordinator { busy_ns, commit_ns } => (codec_share, share(commit_ns), Some(share(busy_ns))),
        SinkTime::Workers { write_ns } => {
            (share_of_workers(busy.codec_ns.saturating_add(write_ns)), share_of_workers(write_ns), None)
        }
    };
    let mut verdict = Verdict {
        bound: Bound::Balanced,
        reader_share: share(busy.reader_ns),
        workers_share,
        codec_share,
        sink_share,
        coordinator_share,
        backlog: busy.backlog_ns as f64 / wall,
    };
    verdict.bound = bound(&verdict, threads);
    verdict
}

fn bound(figures: &Verdict, threads: f64) -> Bound {
    let workers = figures.workers_share;
    let mut shares = [
        (figures.reader_share, Bound::Reader),
        (workers, Bound::Codec),
        (figures.coordinator_share.unwrap_or(0.0), Bound::Sink),
    ];
    shares.sort_by(|a, b| b.0.total_cmp(&a.0));
    let [first, second, _] = shares;
    let bound = if first.0 < BUSY {
        Bound::Balanced
    } else if leads(first.0, second.0) {
        first.1
    } else if !leads(first.0, workers) && figures.backlog >= BACKLOG * threads {
        Bound::Codec
    } else {
        Bound::Balanced
    };
    if bound == Bound::Codec && figures.coordinator_share.is_none() {
        return parts_of_workers(figures);
    }
    bound
}

/// Which part of the workers' time a run on the way back was bound by.
fn parts_of_workers(figures: &Verdict) -> Bound {
    let (codec, sink) = (figures.codec_share, figures.sink_share);
    if leads(codec, sink) {
        Bound::Codec
    } else if leads(sink, codec) {
        Bound::Sink
    } else {
        Bound::Balanced
    }
}

/// Compared in thousandths, so that 90% leads 80% whatever binary fractions make of it.
fn leads(share: f64, other: f64) -> bool {
    ((share - other) * 1000.0).round() >= LEAD * 1000.0
}

impl fmt::Display for Verdict {
    /// One line: `codec-bound: workers busy 94%, reader 31%, coordinator 12% (commit 8%); 3.1 tasks …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| (share * 100.0).round();
        let [reader, workers, codec, sink] =
            [self.reader_share, self.workers_share, self.codec_share, self.sink_share].map(percent);
        write!(f, "{}: workers busy {workers}%", self.bound.name())?;
        match self.coordinator_share.map(percent) {
            Some(busy) => write!(f, ", reader {reader}%, coordinator {busy}% (commit {sink}%)")?,
            None => write!(f, " (computing {codec}%, writing {sink}%), reader {reader}%")?,
        }
        write!(f, "; {:.1} tasks waited for a worker on average", self.backlog)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Percent of a second, with two workers.
    fn packing(reader: u64, workers: u64, coordinator: u64, backlog: u64) -> Busy {
        let percent = |percent: u64| percent * 10_000_000;
        let sink = SinkTime::Coordinator { busy_ns: percent(coordinator), commit_ns: percent(coordinator / 2) };
        Busy {
            wall_ns: percent(100),
            threads: 2,
            reader_ns: percent(reader),
            codec_ns: percent(2 * workers),
            sink,
            backlog_ns: percent(backlog),
        }
    }

    fn back(reader: u64, decode: u64, write: u64, backlog: u64) -> Busy {
        let busy = packing(reader, decode, 0, backlog);
        Busy { sink: SinkTime::Workers { write_ns: write * 2 * 10_000_000 }, ..busy }
    }

    #[test]
    fn whoever_leads_binds() {
        let table = [
            (packing(98, 40, 10, 0), Bound::Reader),
            (packing(31, 94, 12, 600), Bound::Codec),
            (packing(31, 94, 12, 0), Bound::Codec),
            (packing(40, 50, 97, 0), Bound::Sink),
            (packing(90, 80, 10, 0), Bound::Reader),
            (packing(91, 82, 10, 0), Bound::Balanced),
            (packing(49, 10, 10, 0), Bound::Balanced),
            (packing(50, 10, 10, 0), Bound::Reader),
            (packing(0, 0, 0, 0), Bound::Balanced),
        ];
        for (busy, bound) in table {
            assert_eq!(verdict(&busy).bound, bound, "{busy:?}");
        }
    }

    #[test]
    fn work_that_piles_up_before_busy_workers_says_that_they_bind() {
        // Two workers: from two waiting tasks on.
        assert_eq!(verdict(&packing(95, 92, 10, 200)).bound, Bound::Codec);
        assert_eq!(verdict(&packing(95, 92, 10, 199)).bound, Bound::Balanced);
        assert_eq!(verdict(&packing(10, 92, 95, 300)).bound, Bound::Codec);
        // Workers who are not near the greatest share have time for what waits.
        assert_eq!(verdict(&packing(95, 60, 94, 900)).bound, Bound::Balanced);
        assert_eq!(verdict(&packing(45, 44, 10, 900)).bound, Bound::Balanced);
    }

    #[test]
    fn on_the_way_back_the_workers_parts_decide() {
        let table = [
            (back(97, 40, 20, 0), Bound::Reader),
            (back(20, 80, 15, 0), Bound::Codec),
            (back(20, 15, 80, 0), Bound::Sink),
            (back(20, 50, 46, 0), Bound::Balanced),
            (back(92, 20, 70, 300), Bound::Sink),
            (back(92, 20, 70, 0), Bound::Balanced),
            (back(30, 20, 20, 0), Bound::Balanced),
            (back(30, 60, 0, 0), Bound::Codec),
        ];
        for (busy, bound) in table {
            assert_eq!(verdict(&busy).bound, bound, "{busy:?}");
        }
    }

    #[test]
    fn figures_are_shares_and_nothing_divides_by_zero() {
        let found = verdict(&packing(30, 94, 12, 310));
        assert_eq!((found.reader_share, found.workers_share, found.coordinator_share), (0.3, 0.94, Some(0.12)));
        assert_eq!((found.codec_share, found.sink_share, found.backlog), (0.94, 0.06, 3.1));
        assert_eq!(
            found.to_string(),
            "codec-bound: workers busy 94%, reader 30%, coordinator 12% (commit 6%); 3.1 tasks waited for a worker on \
             average"
        );
        let text = verdict(&back(20, 15, 80, 0)).to_string();
        assert!(
            text.starts_with("sink-bound: workers busy 95% (computing 15%, writing 80%), reader 20%; 0.0 "),
            "{text}"
        );
        let zero = Busy { wall_ns: 0, threads: 0, ..packing(1, 1, 1, 1) };
        assert!([verdict(&zero).reader_share, verdict(&zero).workers_share].iter().all(|share| *share == 1.0));
        assert_eq!(serde_json::to_value(found).unwrap()["bound"], "codec-bound");
    }
}
