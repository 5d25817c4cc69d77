//! Verifies an archive: every byte of it, and every file in it.

use std::sync::Arc;

use crate::archive::Archive;
use crate::budget::Restoring;
use crate::ceiling::Ceiling;
use crate::container::frame::FrameKind;
use crate::control::{Control, Escaped};
use crate::error::{ErrorKind, Result};
use crate::index::{Batch, Scratch, envelope, rules};
use crate::restore::{self, Job, Policy, Wanted, Workers};
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
    /// How much the archive may come to; it is refused before anything is decoded.
    pub ceiling: Ceiling,
    /// Whether to record how long each stage takes: [`VerifyReport::stages`]. Without, no clock is read for it.
    pub stats: bool,
    /// Progress and cancellation.
    pub control: Control,
}

impl Default for VerifyOptions {
    /// As many threads as there are cores; stages are recorded.
    fn default() -> Self {
        Self {
            threads: None,
            memory_limit: None,
            ceiling: Ceiling::default(),
            stats: true,
            control: Control::default(),
        }
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
    /// When the archive cannot be read or comes to more than is allowed, its index is damaged, or the run was cancelled. All other damage is in the
    /// report.
    pub fn verify(&self, options: &VerifyOptions) -> Result<VerifyReport> {
        options.ceiling.check_summary(self)?;
        let budget = Restoring::plan(self, options.threads, options.memory_limit)?;
        let workers = Workers::start(budget.threads).map_err(|error| restore_error(self, error))?;
        self.prove(&workers, &budget, options)
    }

    /// As [`verify`](Self::verify), by workers of the caller's own, for those who verify many small archives; their number is
    /// not asked about, and neither is the memory.
    ///
    /// # Errors
    /// As [`verify`](Self::verify).
    pub fn verify_with(&self, workers: &Workers, options: &VerifyOptions) -> Result<VerifyReport> {
        options.ceiling.check_summary(self)?;
        self.prove(workers, &Restoring::unbounded(workers.count()), options)
    }

    fn prove(&self, workers: &Workers, budget: &Restoring, options: &VerifyOptions) -> Result<VerifyReport> {
        let mut damage = Vec::new();
        if let Err(error) = envelope::check_gaps(&**self.source(), self.index()) {
            let error = self.error(error);
            if error.kind() == ErrorKind::Input {
                return Err(error);
            }
            damage.push(error.to_string());
        }
        let wanted = Arc::new(self.all_files(workers, budget)?);
        options.ceiling.check_size(self, wanted.bytes())?;
        options.ceiling.check_blocks(self)?;
        let outcome = restore::run(&Job {
            source: Arc::clone(self.source()),
            index: Arc::clone(self.index()),
            wanted: Arc::clone(&wanted),
            tree: None,
            policy: Policy::default(),
            all_frames: true,
            workers,
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
    fn all_files(&self, workers: &Workers, budget: &Restoring) -> Result<Wanted> {
        let mut lens = Vec::new();
        self.index()
            .for_each_block(&**self.source(), |block| {
                lens.push((block.kind == FrameKind::Block).then_some(block.raw_len));
                Ok(())
            })
            .map_err(|error| self.error(error))?;
        let mut wanted = Wanted::new();
        let files = |batch: &Batch| Ok((self.files_of(batch, &lens)?, batch.memory_bytes() as u64));
        self.for_each_with(
            workers,
            files,
            |_, _| Ok(()),
            |files| {
                let (files, batch) = files?;
                let batch = batch + files.memory_bytes();
                wanted.append(files);
                budget.check_tables(self, wanted.memory_bytes(), batch)
            },
        )?;
        wanted.sort();
        Ok(wanted)
    }

    /// The files of one batch of rows.
    fn files_of(&self, batch: &Batch, lens: &[Option<u32>]) -> Result<Wanted> {
        let (mut files, mut scratch) = (Wanted::new(), Scratch::default());
        for at in 0..batch.len() {
            let row = batch.row(at, &mut scratch);
            rules::check_extents(&row, |block| lens.get(block as usize).copied().flatten())
                .map_err(|fault| self.damaged(&format!("{}: {fault}", Escaped(row.path))))?;
            files.push(batch.number(at), &row);
        }
        Ok(files)
    }
}
