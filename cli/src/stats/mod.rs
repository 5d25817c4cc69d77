//! How long the stages of a run took. What flows in: the engine's rows and verdict. What flows out: a table on standard
//! error, two files in a folder, or the verdict alone. What this module does not know: what the stages are.

mod files;
mod table;

use std::io::Write;
use std::time::Duration;

use carrack_engine::error::Result;
use carrack_engine::stages::Stages;

use crate::args::StatsArgs;
use crate::output::Ui;
use files::Folder;
use table::Table;

/// What was run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Pack,
    Unpack,
    Verify,
}

impl Operation {
    /// Its name in JSON and at the beginning of file names.
    fn name(self) -> &'static str {
        match self {
            Operation::Pack => "pack",
            Operation::Unpack => "unpack",
            Operation::Verify => "verify",
        }
    }
}

/// What is to be told about the stages of a run.
#[derive(Debug)]
pub(crate) struct Stats {
    table: bool,
    folder: Option<Folder>,
    verdict: bool,
}

impl Stats {
    /// Makes the folder that was asked for: before the run, so that nobody waits for hours to hear that it cannot be had.
    ///
    /// # Errors
    /// Of kind `Output`: there can be no such folder, or nothing can be written into it.
    pub(crate) fn resolve(args: &StatsArgs, operation: Operation, ui: &Ui) -> Result<Self> {
        let folder = args.stats_out.as_deref().map(|path| Folder::make(path, operation)).transpose()?;
        Ok(Self { table: args.stats, folder, verdict: ui.verbose })
    }

    /// Whether anything is. If not, the run need not look at the clock.
    pub(crate) fn are_wanted(&self) -> bool {
        self.table || self.verdict || self.folder.is_some()
    }

    /// Tells it. `notes` are what the run had to do without; `took` is the time of the whole operation.
    ///
    /// # Errors
    /// Of kind `Output`: a file cannot be written. What was run is done all the same.
    pub(crate) fn tell(&self, ui: &Ui, stages: &Stages, notes: &[String], took: Duration) -> Result<()> {
        if self.table {
            // Not a message: its lines are ours, and nobody is left to be told when standard error fails.
            let _ = std::io::stderr().lock().write_all(Table(stages).to_string().as_bytes());
        } else if self.verdict
            && let Some(verdict) = &stages.verdict
        {
            ui.note(verdict);
        }
        if let Some(folder) = &self.folder {
            let written = folder.write(stages, notes, took)?;
            ui.note(format_args!("times of the stages: {written}"));
        }
        Ok(())
    }
}
