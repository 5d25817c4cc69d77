//! Rows by path, by number and in order; blocks by seq. Each look-up reads at most the one batch it needs, and those that were
//! used last are kept.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::batch::{Batch, Scratch};
use super::blocks::{BlockRow, rows_of};
use super::kept::{self, Weight};
use super::manifest::{Counts, Place};
use super::open::{Index, check_digest};
use super::rules::Sequence;
use super::{IndexError, Result, message, schema};
use crate::container::Source;
use crate::entry::Row;

/// A row that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its number in the whole table.
    pub number: u64,
    /// Its place in the batch.
    pub at: usize,
    /// The batch.
    pub batch: Arc<Batch>,
}

impl Found {
    /// The row itself.
    pub fn row<'r>(&'r self, scratch: &'r mut Scratch) -> Row<'r> {
        self.batch.row(self.at, scratch)
    }
}

impl Index {
    /// Finds the row of a path.
    ///
    /// # Errors
    /// What reading a batch says; nothing is wrong with a path that is not there.
    pub fn find(&self, source: &dyn Source, path: &[u8]) -> Result<Option<Found>> {
        // The batch whose first path is the last one not above `path`.
        let Some(batch_number) = self.first_paths.partition_point(|first| first.as_slice() <= path).checked_sub(1)
        else {
            return Ok(None);
        };
        let batch = self.batch(source, batch_number)?;
        let at = batch.lower_bound(path);
        if at == batch.len() || batch.path(at) != path {
            return Ok(None);
        }
        Ok(Some(Found { number: batch.first_row() + at as u64, at, batch }))
    }

    /// The row of that number.
    ///
    /// # Errors
    /// What reading a batch says; [`IndexError::Damaged`] when there is no such row.
    pub fn row(&self, source: &dyn Source, number: u64) -> Result<Found> {
        let batch_number = batch_with(&self.entries, number)
            .ok_or_else(|| IndexError::damaged("row", 0, format_args!("a row below {}", self.rows()), number))?;
        let batch = self.batch(source, batch_number)?;
        let at = (number - batch.first_row()) as usize;
        Ok(Found { number, at, batch })
    }

    /// Number of the first row whose path is not below `path` in byte order.
    ///
    /// # Errors
    /// What reading a batch says.
    pub fn lower_bound(&self, source: &dyn Source, path: &[u8]) -> Result<u64> {
        match self.first_paths.partition_point(|first| first.as_slice() < path).checked_sub(1) {
            None => Ok(0),
            Some(batch_number) => {
                let batch = self.batch(source, batch_number)?;
                Ok(batch.first_row() + batch.lower_bound(path) as u64)
            }
        }
    }

    /// Numbers of all rows below a folder, at any depth, without the folder itself; of the whole archive for the empty
    /// path.
    ///
    /// # Errors
    /// What reading a batch says.
    pub fn below(&self, source: &dyn Source, folder: &[u8]) -> Result<Range<u64>> {
        if folder.is_empty() {
            let root_row = self.first_paths.first().is_some_and(Vec::is_empty);
            return Ok(u64::from(root_row)..self.rows());
        }
        // Paths below `a` are those from `a/` up to `a0`: `0` follows `/`.
        let mut bound = [folder, b"/"].concat();
        let start = self.lower_bound(source, &bound)?;
        if let Some(last) = bound.last_mut() {
            *last = b'0';
        }
        Ok(start..self.lower_bound(source, &bound)?)
    }

    /// All rows in order, checked against one another as they come.
    #[must_use]
    pub fn entries<'a>(&'a self, source: &'a dyn Source) -> Rows<'a> {
        Rows { order: Some(Order::default()), ..self.entries_in(source, 0..self.rows()) }
    }

    /// The rows of a range in order. Each is checked alone and against its neighbours, but not against rows outside.
    #[must_use]
    pub fn entries_in<'a>(&'a self, source: &'a dyn Source, range: Range<u64>) -> Rows<'a> {
        let range = range.start..range.end.min(self.rows());
        Rows { index: self, source, range, batch: None, scratch: Scratch::default(), order: None }
    }

    /// What the blocks table knows of the frame of that seq.
    ///
    /// # Errors
    /// What reading a batch says; [`IndexError::Damaged`] when there is no such frame.
    pub fn block(&self, source: &dyn Source, seq: u64) -> Result<BlockRow> {
        let batch_number = self.blocks_batch(seq)?;
        let rows = self.blocks_kept.get(batch_number, || self.read_blocks(source, batch_number))?;
        Ok(rows[(seq - self.blocks[batch_number].first_row) as usize])
    }

    /// The frames from a seq on, for those who go through many of them in order: of all rows, one batch at a time is held.
    #[must_use]
    pub fn blocks<'a>(&'a self, source: &'a dyn Source) -> Blocks<'a> {
        Blocks { index: self, source, batch: None }
    }

    /// Keeps at most so many bytes of decoded rows for later look-ups; [`KEPT_BYTES`](kept::KEPT_BYTES) by default.
    pub fn keep(&self, bytes: usize) {
        let (entries, blocks) = kept::shares(bytes);
        self.entries_kept.keep(entries);
        self.blocks_kept.keep(blocks);
    }

    /// Calls `each` for every row of the blocks table, in order of seq.
    ///
    /// # Errors
    /// What reading a batch or `each` says.
    pub fn for_each_block(&self, source: &dyn Source, mut each: impl FnMut(&BlockRow) -> Result<()>) -> Result<()> {
        (0..self.blocks.len()).try_for_each(|number| self.read_blocks(source, number)?.iter().try_for_each(&mut each))
    }

    /// The batch that holds the row of a frame.
    fn blocks_batch(&self, seq: u64) -> Result<usize> {
        batch_with(&self.blocks, seq)
            .ok_or_else(|| IndexError::damaged("block", 0, format_args!("a seq below {}", self.frames()), seq))
    }

    fn read_blocks(&self, source: &dyn Source, batch_number: usize) -> Result<Vec<BlockRow>> {
        let what = "blocks batch";
        let place = &self.blocks[batch_number];
        let bytes = source.bytes(what, place.offset, place.len)?;
        check_digest(what, &bytes, &place.digest, place.offset)?;
        let batch = message::decode(what, bytes, place.offset, &schema::BLOCKS, place.rows)?;
        let rows = rows_of(&batch, place.first_row, place.offset)?;
        match rows.last() {
            Some(last) if last.offset + last.frame_len > self.seal.blocks_offset => {
                let expected = format!("frames in front of the tables at {}", self.seal.blocks_offset);
                Err(IndexError::damaged(what, place.offset, expected, last.offset + last.frame_len))
            }
            _ => Ok(rows),
        }
    }

    fn batch(&self, source: &dyn Source, batch_number: usize) -> Result<Arc<Batch>> {
        self.entries_kept.get(batch_number, || self.entries_batch(source, batch_number))
    }

    /// How many batches the entries table has.
    #[must_use]
    pub fn entries_batches(&self) -> usize {
        self.entries.len()
    }

    /// Reads a batch of the entries table, in which each row is checked alone and against its neighbours. [`Order`] checks
    /// the rest.
    ///
    /// # Errors
    /// What reading it says.
    ///
    /// # Panics
    /// When there is no such batch.
    pub fn entries_batch(&self, source: &dyn Source, batch_number: usize) -> Result<Batch> {
        let next = self.first_paths.get(batch_number + 1).map(Vec::as_slice);
        Batch::read(source, self.entries[batch_number], &self.first_paths[batch_number], next)
    }
}

/// The batch that holds a row.
fn batch_with(places: &[Place], row: u64) -> Option<usize> {
    let at = places.partition_point(|place| place.first_row <= row).checked_sub(1)?;
    (row - places[at].first_row < u64::from(places[at].rows)).then_some(at)
}

impl Weight for Vec<BlockRow> {
    fn bytes(&self) -> usize {
        self.capacity() * size_of::<BlockRow>()
    }
}

/// Rows of the blocks table for somebody who goes through it.
pub struct Blocks<'a> {
    index: &'a Index,
    source: &'a dyn Source,
    batch: Option<(usize, Vec<BlockRow>)>,
}

impl fmt::Debug for Blocks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks").field("batch", &self.batch.as_ref().map(|batch| batch.0)).finish_non_exhaustive()
    }
}

impl Blocks<'_> {
    /// What the table knows of the frame of that seq: at once when the one asked for before stands near it.
    ///
    /// # Errors
    /// As [`Index::block`].
    pub fn get(&mut self, seq: u64) -> Result<BlockRow> {
        let number = self.index.blocks_batch(seq)?;
        let rows = match self.batch.take().filter(|(held, _)| *held == number) {
            Some((_, rows)) => rows,
            None => self.index.read_blocks(self.source, number)?,
        };
        let row = rows[(seq - self.index.blocks[number].first_row) as usize];
        self.batch = Some((number, rows));
        Ok(row)
    }
}

/// Checks all rows of an index against those before, and their sums in the end.
#[derive(Debug, Default)]
pub struct Order {
    sequence: Sequence,
    rows: u64,
    counts: Counts,
}

impl Order {
    /// Checks the next row, which stands in `batch`; its [outline](Batch::outline) will do.
    ///
    /// # Errors
    /// [`IndexError::Damaged`]: the first rule that it breaks; after the last row, sums that are not those of the manifest.
    pub fn check(&mut self, index: &Index, row: &Row<'_>, batch: &Batch) -> Result<()> {
        self.sequence.check(row).map_err(|fault| fault.at(batch.offset()))?;
        self.counts.add(row);
        self.rows += 1;
        let expected = &index.manifest.counts;
        if self.rows == index.rows() && self.counts != *expected {
            let (expected, found) = (format_args!("{expected:?}"), format_args!("{:?}", self.counts));
            return Err(IndexError::damaged("counts", index.seal_offset, expected, found));
        }
        Ok(())
    }
}

/// Rows in order. Not an `Iterator`: each row borrows memory that serves the next one again.
pub struct Rows<'a> {
    index: &'a Index,
    source: &'a dyn Source,
    range: Range<u64>,
    batch: Option<Batch>,
    scratch: Scratch,
    order: Option<Order>,
}

impl fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("range", &self.range).finish_non_exhaustive()
    }
}

impl Rows<'_> {
    /// The next row and its number.
    ///
    /// # Errors
    /// What reading a batch says; a rule that the row breaks. Behind an error there is no next row.
    pub fn next_row(&mut self) -> Result<Option<(u64, Row<'_>)>> {
        if self.range.is_empty() {
            return Ok(None);
        }
        let number = self.range.start;
        // An error ends the rows: only a row that is handed out moves the start on.
        let end = std::mem::replace(&mut self.range.end, number);
        if self.batch.as_ref().is_none_or(|batch| number - batch.first_row() >= batch.len() as u64) {
            self.batch = None;
            let batch_number = batch_with(&self.index.entries, number)
                .ok_or_else(|| IndexError::damaged("row", 0, "a row of the table", number))?;
            self.batch = Some(self.index.entries_batch(self.source, batch_number)?);
        }
        let batch = self.batch.as_ref().expect("read just before");
        let row = batch.row((number - batch.first_row()) as usize, &mut self.scratch);
        if let Some(order) = &mut self.order {
            order.check(self.index, &row, batch)?;
        }
        self.range = number + 1..end;
        Ok(Some((number, row)))
    }
}
