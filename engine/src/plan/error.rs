//! Why there is no plan.

use std::fmt;

use crate::limits;

/// Why there is no plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// The block size is no power of two or outside the limits.
    BlockSize(u32),
    /// A row claims more bytes than a file can have.
    FileSize {
        /// The row.
        row: u32,
        /// Its size, bytes.
        size: u64,
    },
    /// The holes of a row are empty, unordered, touching, not on multiples of 4096 bytes, or beyond its end.
    Holes {
        /// The row.
        row: u32,
        /// Offset in the file of the first bad hole, bytes.
        offset: u64,
    },
    /// The files add up to more bytes than 2⁶⁴.
    TooManyBytes,
    /// There are more than 2³² chunks, or no memory for them.
    TooManyChunks(u64),
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            PlanError::BlockSize(size) => write!(
                f,
                "block size {size}: expected a power of two from {} to {} bytes",
                limits::BLOCK_SIZE_MIN,
                limits::BLOCK_SIZE_MAX
            ),
            PlanError::FileSize { row, size } => {
                write!(f, "row {row} has {size} bytes: expected at most {}", limits::FILE_SIZE_MAX)
            }
            PlanError::Holes { row, offset } => write!(
                f,
                "row {row} has a bad hole at offset {offset}: expected holes in order, apart, on multiples of 4096 \
                 bytes and within the file"
            ),
            PlanError::TooManyBytes => f.write_str("the files add up to more than 2^64 bytes"),
            PlanError::TooManyChunks(chunks) => {
                write!(f, "{chunks} chunks are too many to plan; choose larger blocks or pack less at once")
            }
        }
    }
}

impl std::error::Error for PlanError {}
