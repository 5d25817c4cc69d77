//! The memory budget of unpacking and verifying: how many threads fit under a limit, and how much the tables may take.
//!
//! In: what the index says of frames and files, a limit. Out: [`Restoring`], or an error that says what is needed. An archive
//! can name any number of files with paths of any length, so what their tables really take is held against the limit too,
//! while they are made.

use super::Mib;
use crate::archive::Archive;
use crate::codec::{CodecId, Filters};
use crate::error::{Error, ErrorKind, Result};
use crate::pack::threads;

/// What unpacking and verifying hold for each file of an archive: what is wanted of it, its path, where its bytes lie.
const FILE: u64 = 150;
/// The program, one batch of rows and one of blocks, decoded, bytes.
const BASE: u64 = 24 << 20;
/// How much of that is there for batches of rows, bytes.
const BATCHES: u64 = 4 << 20;

/// What a run that reads an archive may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restoring {
    /// Number of threads.
    pub(crate) threads: usize,
    /// The limit, and how much of it the tables of what is wanted may take, bytes.
    tables: Option<(u64, u64)>,
}

/// The longest of all frames.
#[derive(Clone, Copy, Debug, Default)]
struct Longest {
    /// As stored, bytes.
    frame: u64,
    /// Decoded, bytes.
    block: u64,
    /// What decoding takes besides, bytes: for blocks whose bytes were shuffled, and for LZMA's dictionary.
    spare: u64,
}

impl Longest {
    fn of(archive: &Archive) -> Result<Self> {
        let mut longest = Self::default();
        let all = archive.index().for_each_block(&**archive.source(), |row| {
            longest.frame = longest.frame.max(row.frame_len);
            longest.block = longest.block.max(u64::from(row.raw_len));
            let len = row.raw_len as usize;
            let dictionary = if row.codec == CodecId::LZMA.0 { len.next_power_of_two() } else { 0 };
            longest.spare = longest.spare.max((Filters(row.filters).spare_len(len) + dictionary) as u64);
            Ok(())
        });
        all.map_err(|error| archive.error(error))?;
        Ok(longest)
    }

    /// Bytes that so many threads need, tables left aside. Two frames a worker and one more (`restore/mod.rs`); a worker has a
    /// block, a directory and a context, and another block where [`spare`](Self::spare) says so.
    fn needed(&self, threads: usize) -> u64 {
        let threads = threads as u64;
        let frames = threads.saturating_mul(2).saturating_add(1).saturating_mul(self.frame);
        let workers = threads.saturating_mul(self.block + self.spare + (3 << 20));
        BASE.saturating_add(frames).saturating_add(workers)
    }
}

impl Restoring {
    /// So many threads, and no limit.
    pub(crate) const fn unbounded(threads: usize) -> Self {
        Self { threads, tables: None }
    }

    /// As many threads as there are cores, or as were asked for, or as fit under the limit.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when 0 threads are wanted, or not even the least fits under the limit; what reading the blocks
    /// table says.
    pub(crate) fn plan(archive: &Archive, wanted: Option<usize>, limit: Option<u64>) -> Result<Self> {
        let most = threads(wanted)?;
        let Some(limit) = limit else { return Ok(Self::unbounded(most)) };
        let longest = Longest::of(archive)?;
        let files = archive.summary().files;
        let tables = files.saturating_mul(FILE);
        let needed = |threads| longest.needed(threads).saturating_add(tables);
        let least = if wanted.is_some() { most } else { 1 };
        if let Some(threads) = (least..=most).rev().find(|&threads| needed(threads) <= limit) {
            return Ok(Self { threads, tables: Some((limit, limit - longest.needed(threads))) });
        }
        let help = if least > 1 { "raise the limit, or ask for fewer threads" } else { "raise the limit" };
        let text = format!(
            "a memory limit of {}: at least {} are needed: {} for the program, {} for the tables of {files} files, the rest \
             for {least} thread(s) with blocks of {}; {help}",
            Mib(limit),
            Mib(needed(least)),
            Mib(BASE),
            Mib(tables),
            Mib(longest.block),
        );
        Err(Error::new(ErrorKind::Usage, text))
    }

    /// Checks what the tables take, bytes, while they are made: paths and lists can be longer than files mostly have them.
    /// `batch` is what a batch of rows takes decoded, with what is made of it: each worker may have one, and there is one more.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] when that is more than fits under the limit.
    pub(crate) fn check_tables(&self, archive: &Archive, bytes: u64, batch: u64) -> Result<()> {
        let batches = batch.saturating_mul(self.threads as u64 + 1).saturating_sub(BATCHES);
        match self.tables {
            Some((limit, most)) if bytes.saturating_add(batches) > most => {
                let name = archive.name();
                let text = format!(
                    "{name}: a memory limit of {}: its entries take more than the {} that are left for them; raise the limit",
                    Mib(limit),
                    Mib(most),
                );
                Err(Error::new(ErrorKind::Usage, text))
            }
            _ => Ok(()),
        }
    }
}
