//! What is stored only once: the choice, and what it comes to for a plan and a memory limit.

use crate::budget::{Mib, Tables, Wish};
use crate::codec::Codec;
use crate::dedup::PieceSizes;
use crate::entry::Entries;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::Plan;

/// What is stored only once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Dedup {
    /// Nothing: every file is stored in full.
    None,
    /// Files with equal contents, and equal parts of files larger than a block, where they begin at multiples of a block.
    #[default]
    File,
    /// Equal pieces of files, wherever they lie: contents are cut where they say so themselves.
    Chunk,
}

impl Dedup {
    /// Its name in options and in the manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Dedup::None => "none",
            Dedup::File => "file",
            Dedup::Chunk => "chunk",
        }
    }

    /// What is stored once where nothing is asked for: pieces where their cost does not show beside the codec's.
    #[must_use]
    pub fn default_for(codec: Codec) -> Self {
        match codec {
            Codec::Zstd { level } if level >= CHUNK_LEVEL => Dedup::Chunk,
            _ => Dedup::File,
        }
    }

    /// The pieces that contents are cut into, `mean` bytes long on average, or as long as suits the plan.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a length that cannot be, or one given where nothing is cut.
    pub(crate) fn pieces(self, mean: Option<u32>, total_bytes: u64) -> Result<Option<PieceSizes>> {
        match (self, mean) {
            (Dedup::Chunk, None) => Ok(Some(PieceSizes::default_for(total_bytes))),
            (Dedup::Chunk, Some(mean)) => match PieceSizes::new(mean) {
                Ok(sizes) => Ok(Some(sizes)),
                Err(error) => Err(Error::new(ErrorKind::Usage, error.to_string())),
            },
            (_, None) => Ok(None),
            (_, Some(_)) => {
                let text = format!("a chunk size needs --dedup chunk: with --dedup {} no file is cut", self.name());
                Err(Error::new(ErrorKind::Usage, text))
            }
        }
    }
}

/// The level of zstd from which on cutting and hashing pieces costs little beside it: `docs/dedup.md`.
const CHUNK_LEVEL: i32 = 6;

/// Pieces of at least the length of `pieces`, such that their table takes no more than a quarter of the memory limit;
/// says so when they had to be longer.
pub(super) fn within(wish: &Wish, pieces: PieceSizes, entries: &Entries, plan: &Plan) -> (PieceSizes, Option<String>) {
    let Some(limit) = wish.limit else { return (pieces, None) };
    let mut sizes = pieces;
    while Tables::known_bytes(plan, Some(sizes)) > limit / 4
        && let Some(longer) = sizes.longer().filter(|longer| longer.mean() <= wish.block_size)
    {
        sizes = longer;
    }
    let note = (sizes != pieces).then(|| {
        format!(
            "a memory limit of {}: contents of {} entries are cut into pieces of {}, not {}, so that the table of pieces \
             fits; fewer duplicates may be found",
            Mib(limit),
            entries.len(),
            Mib(sizes.mean().into()),
            Mib(pieces.mean().into()),
        )
    });
    (sizes, note)
}
