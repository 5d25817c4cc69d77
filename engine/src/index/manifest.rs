//! Facts about the whole archive, and the places of its batches: JSON in the metadata of the Arrow footer.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::encode::EncodedBatch;
use super::{IndexError, Result};
use crate::container::ArchiveId;
use crate::container::error::{from_hex, vec_from_hex};
use crate::container::head::HEAD;
use crate::digest::Digest;
use crate::entry::{Kind, Row, flags};
use crate::limits::{ALIGN, BATCH_LEN_MAX, BATCH_ROWS};

/// Key of the manifest in the footer's metadata.
pub(super) const MANIFEST_KEY: &str = "carrack.manifest";
/// Key of the places of the entries batches.
pub(super) const BATCHES_KEY: &str = "carrack.batches";
/// Key of the places of the batches in the blocks table.
pub(super) const BLOCKS_KEY: &str = "carrack.blocks";
/// BLAKE3 derive-key context of the root digest.
const ROOT_CONTEXT: &str = "carrack 1 root";

/// Facts about the whole archive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the format.
    pub format: u16,
    /// The archive's id, in hexadecimal digits.
    pub archive_id: String,
    /// What the writer was asked for; free for the writer to fill, never needed to read the archive.
    pub options: Map<String, Value>,
    /// Sums over the entries table.
    pub counts: Counts,
    /// Sums over the blocks table.
    pub frames: Frames,
    /// BLAKE3 of the whole blocks table, in hexadecimal digits.
    pub blocks_table: String,
    /// The root digest, in hexadecimal digits: proves everything.
    pub root: String,
}

/// Sums over rows of entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows.
    pub entries: u64,
    /// Files with contents of their own.
    pub files: u64,
    /// Folders.
    pub dirs: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Further names of files.
    pub hardlinks: u64,
    /// Named pipes.
    pub fifos: u64,
    /// Sockets.
    pub sockets: u64,
    /// Character and block devices.
    pub devices: u64,
    /// Files that changed while they were read.
    pub changed: u64,
    /// Sum of the sizes of files, bytes.
    pub bytes: u64,
}

impl Counts {
    /// Counts a row.
    pub fn add(&mut self, row: &Row<'_>) {
        self.entries += 1;
        let kind = match row.kind {
            Kind::File => &mut self.files,
            Kind::Dir => &mut self.dirs,
            Kind::Symlink => &mut self.symlinks,
            Kind::Hardlink => &mut self.hardlinks,
            Kind::Fifo => &mut self.fifos,
            Kind::Socket => &mut self.sockets,
            Kind::CharDevice | Kind::BlockDevice => &mut self.devices,
        };
        *kind += 1;
        self.changed += u64::from(row.flags & flags::CHANGED != 0);
        if row.kind == Kind::File {
            self.bytes = self.bytes.saturating_add(row.size);
        }
    }

    /// Adds other sums to these.
    pub fn merge(&mut self, other: &Self) {
        self.entries += other.entries;
        self.files += other.files;
        self.dirs += other.dirs;
        self.symlinks += other.symlinks;
        self.hardlinks += other.hardlinks;
        self.fifos += other.fifos;
        self.sockets += other.sockets;
        self.devices += other.devices;
        self.changed += other.changed;
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// Sums over frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frames {
    /// Frames of all kinds.
    pub count: u64,
    /// Sum of the payloads' uncompressed lengths, bytes.
    pub raw_bytes: u64,
    /// Sum of the payloads' stored lengths, bytes.
    pub stored_bytes: u64,
}

/// The place of one batch. `F` is what its first row is known by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BatchEntry<F> {
    pub(super) offset: u64,
    pub(super) len: u64,
    pub(super) rows: u32,
    pub(super) first: F,
    pub(super) digest: String,
}

/// The place of one batch, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where the message begins in the archive, bytes.
    pub(super) offset: u64,
    /// Its length, bytes.
    pub(super) len: u64,
    /// Number of its first row in the table.
    pub(super) first_row: u64,
    /// Number of rows.
    pub(super) rows: u32,
    /// BLAKE3 of the message.
    pub(super) digest: Digest,
}

impl<F> BatchEntry<F> {
    pub(super) fn of(batch: &EncodedBatch, offset: u64, first: F) -> Self {
        let len = batch.bytes.len() as u64;
        Self { offset, len, rows: batch.rows, first, digest: batch.digest.to_string() }
    }
}

/// Checks that the batches of a table follow one another without a gap from `start` on, and returns their places and
/// where they end. `at` is where the list stands, for errors alone.
pub(super) fn places<F>(what: &'static str, list: &[BatchEntry<F>], start: u64, at: u64) -> Result<(Vec<Place>, u64)> {
    let damaged = |expected: String, found: String| Err(IndexError::damaged(what, at, expected, found));
    let mut places = Vec::with_capacity(list.len());
    let (mut end, mut first_row) = (start, 0u64);
    for batch in list {
        if batch.offset != end {
            return damaged(format!("a batch at {end}"), batch.offset.to_string());
        }
        if batch.len == 0 || batch.len > BATCH_LEN_MAX || !batch.len.is_multiple_of(ALIGN) {
            return damaged(
                format!("a multiple of 64 up to {BATCH_LEN_MAX}"),
                format!("a batch of {} bytes", batch.len),
            );
        }
        if batch.rows == 0 || batch.rows as usize > BATCH_ROWS {
            return damaged(format!("1 to {BATCH_ROWS} rows"), batch.rows.to_string());
        }
        let Some(digest) = from_hex(&batch.digest) else {
            return damaged("a digest of 64 hexadecimal digits".into(), batch.digest.clone());
        };
        let Some(next) = end.checked_add(batch.len) else {
            return damaged("an end below 2^64".into(), batch.len.to_string());
        };
        places.push(Place { offset: end, len: batch.len, first_row, rows: batch.rows, digest: Digest(digest) });
        end = next;
        first_row += u64::from(batch.rows);
    }
    Ok((places, end))
}

/// The first paths of the entries batches: strictly ascending.
pub(super) fn first_paths(list: Vec<BatchEntry<String>>, at: u64) -> Result<Vec<Vec<u8>>> {
    let what = "list of entries batches";
    let mut paths: Vec<Vec<u8>> = Vec::with_capacity(list.len());
    for batch in list {
        let path = vec_from_hex(&batch.first)
            .ok_or_else(|| IndexError::damaged(what, at, "a path in hexadecimal digits", &batch.first))?;
        if paths.last().is_some_and(|before| *before >= path) {
            return Err(IndexError::damaged(what, at, "paths in ascending order", path.escape_ascii()));
        }
        paths.push(path);
    }
    Ok(paths)
}

/// The root digest: everything hangs on it. The blocks batches hold the digests of all frames, the entries batches
/// those of all files.
pub(super) fn root<'a>(
    archive_id: ArchiveId,
    blocks: impl ExactSizeIterator<Item = &'a Digest>,
    entries: impl ExactSizeIterator<Item = &'a Digest>,
) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(ROOT_CONTEXT);
    hasher.update(&archive_id.0).update(&Digest::of(HEAD).0);
    hasher.update(&(blocks.len() as u64).to_le_bytes());
    for digest in blocks {
        hasher.update(&digest.0);
    }
    hasher.update(&(entries.len() as u64).to_le_bytes());
    for digest in entries {
        hasher.update(&digest.0);
    }
    Digest(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Vec<BatchEntry<u64>> {
        let digest = Digest::of(b"").to_string();
        [(640, 128, 16_384), (768, 64, 3)]
            .map(|(offset, len, rows)| BatchEntry { offset, len, rows, first: 0, digest: digest.clone() })
            .to_vec()
    }

    #[test]
    fn places_follow_from_a_sound_list() {
        let (places, end) = places("list", &list(), 640, 0).unwrap();
        let brief: Vec<_> = places.iter().map(|place| (place.offset, place.len, place.first_row, place.rows)).collect();
        assert_eq!((brief, end), (vec![(640, 128, 0, 16_384), (768, 64, 16_384, 3)], 832));
    }

    #[test]
    fn unsound_lists_are_refused() {
        let changes: [fn(&mut BatchEntry<u64>); 7] = [
            |batch| batch.offset += 64,
            |batch| batch.offset -= 64,
            |batch| batch.len = 0,
            |batch| batch.len = 65,
            |batch| batch.len = BATCH_LEN_MAX + 64,
            |batch| batch.rows = 0,
            |batch| batch.digest.push('0'),
        ];
        for (case, change) in changes.iter().enumerate() {
            let mut list = list();
            change(&mut list[1]);
            assert!(places("list", &list, 640, 0).is_err(), "case {case}");
        }
        assert!(places("list", &list(), 704, 0).is_err());
    }

    #[test]
    fn first_paths_ascend() {
        let batch = |first: &str| BatchEntry { offset: 0, len: 0, rows: 1, first: first.into(), digest: String::new() };
        assert_eq!(first_paths(vec![batch(""), batch("61"), batch("61ff")], 0).unwrap(), [&b""[..], b"a", b"a\xff"]);
        for bad in [["61", "61"], ["62", "61"], ["6", "61"], ["61", "6g"], ["61", "6A"]] {
            assert!(first_paths(bad.map(batch).to_vec(), 0).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_root_tells_the_tables_apart() {
        let digests = [Digest::of(b"a"), Digest::of(b"b")];
        let id = ArchiveId::default();
        let roots = [root(id, digests.iter(), [].iter()), root(id, digests[..1].iter(), digests[1..].iter())];
        assert_ne!(roots[0], roots[1]);
        assert_ne!(root(ArchiveId([1; 16]), digests.iter(), [].iter()), roots[0]);
    }
}
