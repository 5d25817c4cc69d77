//! What a process under measurement does: one step, and its report as one JSON object on standard output.
//!
//! What flows in: a [`Task`], as arguments. What flows out: one of the reports, or a message on standard error and exit
//! code 2. The process that measures starts these and reads what the kernel says about them.

mod contents;
mod report;
mod task;

pub use report::{Compared, Complaint, Counted, Packed, Point, Sampled, StageTimes, Times};
pub use report::{Unpacked, VerdictTimes, Verified};
pub(crate) use task::{CODECS, codec};
pub use task::{PackTask, Settings, Task};

use std::process::Command;

use serde::de::DeserializeOwned;

use carrack_measure::error::{Context, Failure, Result};
use carrack_measure::process::{self, Stdout, Usage};

/// Runs a task in a process of its own.
///
/// # Errors
/// When the process cannot be started, fails, or answers something else than it should.
pub fn run<T: DeserializeOwned>(task: &Task) -> Result<(Usage, T)> {
    let own = std::env::current_exe().doing("find this program")?;
    let mut command = Command::new(own);
    command.arg("child").args(task.args());
    let ran = process::run(vec![command], Stdout::Capture).doing("start a process to measure")?;
    if !ran.ok() {
        return Err(Failure::new(format!("{} failed: {}", task.name(), ran.ending())));
    }
    let report = serde_json::from_slice(&ran.stdout).doing(format!("read what {} reported", task.name()))?;
    Ok((ran.usage, report))
}
