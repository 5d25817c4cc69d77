//! Verifies an archive: every byte of it, and every file in it.

use std::sync::Arc;

use crate::archive::Archive;
use crate::budget::restore_threads;
use crate::control::{Control, Escaped};
use crate::error::{ErrorKind, Result};
use crate::index::{envelope, rules};
use crate::restore::{self, Job, Wanted, Workers};
use crate::stages::{Clock, Stages};
use crate::unpack::restore_error;

/// How to verify.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Number of threads that decode and hash; as many as there are cores when `None`.
    pub threads: Option<usize>,
    /// Bytes of memory that the process may take at its peak, the program itself included: threads become fewer until
    /// everything fits, unless they were asked for. No limit when `None`.
    pub memory_limit: Option<u64>,
    /// Whether to record how long each stage takes: [`VerifyReport::stages`]. Without, no clock is read for it.
    pub stats: bool,
    /// Progress and cancellation.
    pub control: Control,
}

impl Default for VerifyOptions {
    /// As many threads as there are cores; stages are recorded.
    fn default() -> Self {
        Self { threads: None, memory_limit: None, stats: true, control: Control::default() }
    }
}

/// What was checked, and what is wrong.
#[derive(Clone, Debug)]
pub struct VerifyReport {
    /// Rows that were checked.
    pub entries: u64,
    /// Files whose content was checked against its digest.
    pub files: u64,
    /// Bytes of content of all files.
    pub bytes: u64,
    /// Frames that were checked and are right.
    pub blocks: u64,
    /// What is wrong: one sentence each, with the place, what was expected and what was found. Empty when all is well.
    pub damage: Vec<String>,
    /// Paths of files that are lost because of it.
    pub lost: Vec<Vec<u8>>,
    /// How long each stage took, and what the run waited for; empty without [`VerifyOptions::stats`].
    pub stages: Stages,
}

impl Archive {
    /// Checks every byte: the envelope, every frame, every row, and the content of every file against its digest.
    ///
    /// # Errors
    /// When the archive cannot be read, its index is damaged, or the run was cancelled. All other damage is in the
    /// report.
    pub fn verify(&self, options: &VerifyOptions) -> Result<VerifyReport> {
        let threads = restore_threads(self, options.threads, options.memory_limit)?;
        let mut damage = Vec::new();
        if let Err(error) = envelope::check_gaps(&**self.source(), self.index()) {
            let error = self.error(error);
            if error.kind() == ErrorKind::Input {
                return Err(error);
            }
            damage.push(error.to_string());
        }
        let wanted = Arc::new(self.all_files()?);
        let workers = Workers::start(threads).map_err(|error| restore_error(self, error))?;
        let outcome = restore::run(&Job {
            source: Arc::clone(self.source()),
            index: Arc::clone(self.index()),
            wanted: Arc::clone(&wanted),
            tree: None,
            same_owner: false,
            all_frames: true,
            workers: &workers,
            control: options.control.clone(),
            clock: Clock::new(options.stats),
        })
        .map_err(|error| restore_error(self, error))?;
        damage.extend(self.name_each(outcome.damage));
        Ok(VerifyReport {
            entries: self.len(),
            files: wanted.files().len() as u64,
            bytes: wanted.bytes(),
            blocks: outcome.frames,
            damage,
            lost: outcome.lost.iter().map(|(file, _)| wanted.path(*file).to_vec()).collect(),
            stages: outcome.stages,
        })
    }

    /// Every file, with every extent checked to lie inside its block.
    fn all_files(&self) -> Result<Wanted> {
        let mut lens = Vec::new();
        self.blocks(&mut |block| {
            lens.push(block.raw_len);
            Ok(())
        })?;
        let mut wanted = Wanted::new();
        self.for_each(&mut |number, row| {
            rules::check_extents(row, |block| lens.get(block as usize).copied())
                .map_err(|fault| self.damaged(&format!("{}: {fault}", Escaped(row.path))))?;
            wanted.push(number, row);
            Ok(())
        })?;
        wanted.sort();
        Ok(wanted)
    }
}
