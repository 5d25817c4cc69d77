//! Opens the index of an archive: seal, footer, manifest, lists of batches. Nothing else is read, whatever the size.

use super::batch::Batch;
use super::blocks::BlockRow;
use super::footer::{END_MAGIC, Footer};
use super::kept::{self, KEPT_BYTES, Kept};
use super::manifest::{BATCHES_KEY, BLOCKS_KEY, BatchEntry, MANIFEST_KEY, Manifest, Place, first_paths, places, root};
use super::{IndexError, Result, schema};
use crate::container::error::{Hex, from_hex};
use crate::container::head::{ARROW_MAGIC, HEAD};
use crate::container::seal::{SEAL_LEN, Seal, TRAILER_LEN};
use crate::container::{ArchiveId, Source, align};
use crate::digest::Digest;
use crate::limits::{FOOTER_LEN_MAX, FRAMES_MAX, ROWS_MAX};

/// How much is read from the end at first, bytes: seal and footer of most archives.
const FIRST_READ_LEN: u64 = 64 << 10;

/// The index of an archive. Holds no source: whoever asks for rows hands the same source in again.
#[derive(Debug)]
pub struct Index {
    pub(super) seal: Seal,
    pub(super) seal_offset: u64,
    pub(super) end: u64,
    pub(super) manifest: Manifest,
    pub(super) root: Digest,
    pub(super) blocks_table: Digest,
    pub(super) entries: Vec<Place>,
    pub(super) first_paths: Vec<Vec<u8>>,
    pub(super) blocks: Vec<Place>,
    pub(super) entries_kept: Kept<Batch>,
    pub(super) blocks_kept: Kept<Vec<BlockRow>>,
}

impl Index {
    /// Opens the index at the end of a source.
    ///
    /// # Errors
    /// [`IndexError::NotAnArchive`], [`IndexError::NewerVersion`], [`IndexError::Truncated`],
    /// [`IndexError::Damaged`], [`IndexError::Unsupported`] or [`IndexError::Io`].
    pub fn open(source: &dyn Source) -> Result<Self> {
        Self::open_at(source, source.len())
    }

    /// Opens the index that ends at `end`.
    pub(super) fn open_at(source: &dyn Source, end: u64) -> Result<Self> {
        let tail = read_tail(source, end)?;
        let (seal_bytes, footer) = tail.split_first_chunk::<SEAL_LEN>().expect("read_tail reads a seal first");
        let seal_offset = end - tail.len() as u64;
        let footer_offset = seal_offset + SEAL_LEN as u64;
        let seal = Seal::decode(seal_bytes, seal_offset).map_err(|error| blame(source, error))?;
        let flatbuffer = &footer[..footer.len() - TRAILER_LEN];
        if seal.footer_len as usize != flatbuffer.len() {
            let expected = format!("a footer of {} bytes", seal.footer_len);
            return Err(IndexError::damaged("footer length", end - TRAILER_LEN as u64, expected, flatbuffer.len()));
        }
        check_digest("footer", footer, &seal.digest, footer_offset)?;
        Self::from_footer(seal, seal_offset, end, flatbuffer)
    }

    /// Reads a footer that the seal proves.
    fn from_footer(seal: Seal, seal_offset: u64, end: u64, flatbuffer: &[u8]) -> Result<Self> {
        let at = seal_offset + SEAL_LEN as u64;
        let footer = Footer::parse(flatbuffer, &schema::ENTRIES, at)?;
        let manifest: Manifest = json("manifest", footer.value(MANIFEST_KEY)?, at)?;
        let entries: Vec<BatchEntry<String>> = json("list of entries batches", footer.value(BATCHES_KEY)?, at)?;
        let blocks: Vec<BatchEntry<u64>> = json("list of blocks batches", footer.value(BLOCKS_KEY)?, at)?;

        let (entry_places, entries_end) = places("list of entries batches", &entries, seal.entries_offset, at)?;
        check_same("end of the entries batches", at, &seal_offset, &end_of_stream_end(entries_end))?;
        let arrow: Vec<_> = footer.blocks.iter().map(|b| (b.offset, u64::from(b.metadata_len) + b.body_len)).collect();
        let listed: Vec<_> = entry_places.iter().map(|place| (place.offset, place.len)).collect();
        if arrow != listed {
            return Err(IndexError::damaged(
                "footer",
                at,
                "the same batches in Arrow's list and the manifest's",
                "others",
            ));
        }
        let blocks_start = seal.blocks_offset + schema::BLOCKS_HEAD.len() as u64;
        let (block_places, blocks_end) = places("list of blocks batches", &blocks, blocks_start, at)?;
        if blocks_end > seal.blocks_offset + seal.blocks_len {
            return Err(IndexError::damaged("list of blocks batches", at, "batches inside the table", blocks_end));
        }
        for (batch, place) in blocks.iter().zip(&block_places) {
            check_same("first seq of a blocks batch", at, &place.first_row, &batch.first)?;
        }
        let (entries_bytes, blocks_bytes) = kept::shares(KEPT_BYTES);
        let index = Self {
            root: digest_of("root digest", &manifest.root, at)?,
            blocks_table: digest_of("digest of the blocks table", &manifest.blocks_table, at)?,
            seal,
            seal_offset,
            end,
            manifest,
            entries: entry_places,
            first_paths: first_paths(entries, at)?,
            blocks: block_places,
            entries_kept: Kept::new(entries_bytes),
            blocks_kept: Kept::new(blocks_bytes),
        };
        index.check_manifest(at)?;
        Ok(index)
    }

    /// Checks the manifest against seal and lists.
    fn check_manifest(&self, at: u64) -> Result<()> {
        let manifest = &self.manifest;
        check_same("format of the manifest", at, &self.seal.version, &manifest.format)?;
        check_same("archive id of the manifest", at, &self.seal.archive_id.to_string(), &manifest.archive_id)?;
        check_same("number of entries", at, &self.rows(), &manifest.counts.entries)?;
        check_same("number of frames", at, &self.frames(), &manifest.frames.count)?;
        if self.rows() > ROWS_MAX || self.frames() > FRAMES_MAX {
            return Err(IndexError::damaged("tables", at, "fewer than 2^32 rows", self.rows().max(self.frames())));
        }
        let digests = |places: &[Place]| places.iter().map(|place| place.digest).collect::<Vec<_>>();
        let root = root(self.seal.archive_id, digests(&self.blocks).iter(), digests(&self.entries).iter());
        check_same("root digest", at, &root, &self.root)
    }

    /// What the footer says of the whole archive.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The archive's id.
    #[must_use]
    pub fn archive_id(&self) -> ArchiveId {
        self.seal.archive_id
    }

    /// The root digest, which proves everything.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root
    }

    /// The seal.
    #[must_use]
    pub fn seal(&self) -> &Seal {
        &self.seal
    }

    /// Number of rows in the entries table.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.entries.last().map_or(0, |place| place.first_row + u64::from(place.rows))
    }

    /// Number of frames: rows in the blocks table.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.blocks.last().map_or(0, |place| place.first_row + u64::from(place.rows))
    }
}

/// Where the marker behind batches that end at `end`, and its padding, end in turn.
fn end_of_stream_end(end: u64) -> u64 {
    end.saturating_add(crate::limits::ALIGN)
}

/// Reads seal and footer: everything from the seal to `end`.
fn read_tail(source: &dyn Source, end: u64) -> Result<Vec<u8>> {
    let shortest = (HEAD.len() + SEAL_LEN + TRAILER_LEN) as u64;
    if end < shortest {
        let error = IndexError::Truncated { what: "archive", offset: 0, needed: shortest, len: end };
        return Err(blame(source, error));
    }
    let first_len = end.min(FIRST_READ_LEN);
    let first = source.bytes("end of the archive", end - first_len, first_len)?;
    let trailer_offset = end - TRAILER_LEN as u64;
    let (len, magic) = first[first.len() - TRAILER_LEN..].split_at(4);
    if magic != END_MAGIC {
        let (expected, found) = ("ARROW1 (is the archive cut short?)", magic.escape_ascii());
        return Err(blame(source, IndexError::damaged("end of the archive", trailer_offset + 4, expected, found)));
    }
    let footer_len = u32::from_le_bytes([len[0], len[1], len[2], len[3]]);
    let tail_len = u64::from(footer_len) + (SEAL_LEN + TRAILER_LEN) as u64;
    if footer_len > FOOTER_LEN_MAX || tail_len > end || !align::is_aligned(end - tail_len) {
        let expected = "a length that fits the archive";
        return Err(blame(source, IndexError::damaged("footer length", trailer_offset, expected, footer_len)));
    }
    if tail_len <= first_len {
        return Ok(first[(first_len - tail_len) as usize..].to_vec());
    }
    source.bytes("seal and footer", end - tail_len, tail_len)
}

/// The error for an end that is not that of an archive: damage in a file that begins like one, foreign otherwise.
fn blame(source: &dyn Source, error: IndexError) -> IndexError {
    let known = source.len().min(HEAD.len() as u64);
    match source.bytes("head", 0, known) {
        Ok(found) if !found.is_empty() && HEAD.starts_with(&found) => error,
        Ok(found) => {
            let found = &found[..found.len().min(ARROW_MAGIC.len())];
            let found = match found {
                b"" => "no bytes".to_owned(),
                _ if *found == ARROW_MAGIC => "an Arrow file with another schema".to_owned(),
                _ => format!("bytes {}", Hex(found)),
            };
            IndexError::NotAnArchive { found }
        }
        Err(error) => error,
    }
}

pub(super) fn check_digest(what: &'static str, bytes: &[u8], expected: &Digest, offset: u64) -> Result<()> {
    check_same(what, offset, expected, &Digest::of(bytes))
}

pub(super) fn check_same<T: PartialEq + std::fmt::Display>(
    what: &'static str,
    offset: u64,
    expected: &T,
    found: &T,
) -> Result<()> {
    if expected == found { Ok(()) } else { Err(IndexError::damaged(what, offset, expected, found)) }
}

fn json<T: serde::de::DeserializeOwned>(what: &'static str, text: &str, offset: u64) -> Result<T> {
    serde_json::from_str(text).map_err(|error| IndexError::damaged(what, offset, "JSON as the format says", error))
}

fn digest_of(what: &'static str, text: &str, offset: u64) -> Result<Digest> {
    let digest = from_hex(text).map(Digest);
    digest.ok_or_else(|| IndexError::damaged(what, offset, "64 hexadecimal digits", text))
}
