//! What is known of files whose rows cannot be emitted yet, because files come in another order than rows.
//!
//! In: the body of each file, in the order of the plan. Out: the same bodies, in order of row. Memory: 56 bytes a file and
//! 12 an extent, kept to the end of the run.

use super::Job;
use super::rows::Body;
use crate::dedup::PieceSizes;
use crate::digest::Digest;
use crate::entry::Extent;
use crate::plan::Plan;

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

/// Bytes that so many files take that come out of the order of rows and have so many extents.
#[must_use]
pub fn bytes_for(files: u64, extents: u64) -> u64 {
    files * size_of::<Kept>() as u64 + extents * size_of::<Extent>() as u64
}

/// As many extents as the files of a plan may have: each chunk has one, or at most one a piece that it is cut into.
#[must_use]
pub fn extents_most(plan: &Plan, pieces: Option<PieceSizes>) -> u64 {
    match pieces {
        None => plan.chunks().len() as u64,
        Some(sizes) => plan.chunks().iter().map(|chunk| sizes.expected(chunk.data_len())).sum(),
    }
}

pub(super) struct Pending {
    files: Vec<Kept>,
    extents: Vec<Extent>,
}

impl Pending {
    /// With room for all files of a plan, and for as many extents as they may have: room that is not needed is never
    /// touched, and a list that grew would be held twice meanwhile.
    pub(super) fn new(job: &Job) -> Self {
        let extents = extents_most(&job.plan, job.pieces);
        let mut pending = Self { files: Vec::with_capacity(job.plan.files() as usize), extents: Vec::new() };
        // Where so much is not to be had at once, it may be enough for what there really is.
        let _ = pending.extents.try_reserve_exact(usize::try_from(extents).unwrap_or(usize::MAX));
        pending
    }

    /// Keeps the body of a row.
    pub(super) fn push(&mut self, row: u32, body: &Body<'_>) {
        let &Body { digest, extents, size } = body;
        let count = u32::try_from(extents.len()).expect("a file of so many extents has no room in the index");
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
