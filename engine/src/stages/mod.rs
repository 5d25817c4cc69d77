//! How long each stage took, and what the run waited for.
//!
//! In: durations, recorded by each thread for itself and merged at the end. Out: one row a stage ([`StageRow`]), its
//! histogram, and a [`Verdict`]. It does not know what the stages do; which there are is in [`Step`], and
//! `docs/stats.md` explains them to users.
//!
//! Recording a sample takes no lock and allocates nothing (a thread's first sample of a stage allocates its histogram,
//! some 40 KB). A [`Clock`] that is off is never read, and a [`Recorder`] of such a clock holds nothing.

mod recorder;
mod rows;
mod step;
mod verdict;

pub use hdrhistogram::Histogram;
pub use recorder::{Clock, Recorder};
pub use rows::{CurvePoint, QUANTILES, StageRow, Stages};
pub use step::{Kind, Step, Unit};
pub use verdict::{BACKLOG, BUSY, Bound, Busy, LEAD, SinkTime, Verdict, verdict};
