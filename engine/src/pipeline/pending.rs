//! What is known of files whose rows cannot be emitted yet, because files come in another order than rows.
//!
//! In: the body of each file, in the order of the plan. Out: the same bodies, in order of row. Memory: 56 bytes a file and
//! 12 an extent, taken when the run begins and kept to its end.

use super::Job;
use super::rows::Body;
use crate::digest::Digest;
use crate::entry::Extent;

/// The body of a file.
struct Kept {
    digest: Digest,
    size: u64,
    /// Where its extents begin.
    extents: u64,
    /// How many there are.
    count: u32,
    row: u32,
}

const _: () = assert!(size_of::<Kept>() == 56);

/// Bytes that so many files take that come out of the order of rows and have so many chunks.
#[must_use]
pub fn bytes_for(files: u64, chunks: u64) -> u64 {
    files * size_of::<Kept>() as u64 + chunks * size_of::<Extent>() as u64
}

pub(super) struct Pending {
    files: Vec<Kept>,
    extents: Vec<Extent>,
}

impl Pending {
    /// With room for all files of a plan.
    pub(super) fn new(job: &Job) -> Self {
        let (files, chunks) = (job.plan.files() as usize, job.plan.chunks().len());
        Self { files: Vec::with_capacity(files), extents: Vec::with_capacity(chunks) }
    }

    /// Keeps the body of a row.
    pub(super) fn push(&mut self, row: u32, body: &Body<'_>) {
        let &Body { digest, extents, size } = body;
        let count = u32::try_from(extents.len()).expect("there are fewer than 2^32 chunks");
        self.files.push(Kept { digest, size, extents: self.extents.len() as u64, count, row });
        self.extents.extend_from_slice(extents);
    }

    /// To be called when every body is there, before any is asked for.
    pub(super) fn sort(&mut self) {
        self.files.sort_unstable_by_key(|file| file.row);
    }

    /// The body of a row; `None` when the file could not be read.
    pub(super) fn get(&self, row: u32) -> Option<Body<'_>> {
        let at = self.files.binary_search_by_key(&row, |file| file.row).ok()?;
        Some(self.body(&self.files[at]))
    }

    fn body(&self, file: &Kept) -> Body<'_> {
        let start = file.extents as usize;
        Body { digest: file.digest, extents: &self.extents[start..start + file.count as usize], size: file.size }
    }
}
