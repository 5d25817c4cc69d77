//! Rows put together again from the directories of frames.
//!
//! In: the records of all intact frames, and which blocks there are. Out: the rows whose contents are all there, in order of
//! path, each below a folder; and which others there were, with the reason why they are lost.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::container::directory::{Chunk, DirectoryReader, Record};
use crate::container::error::ContainerError;
use crate::container::frame::FrameKind;
use crate::entry::{Entry, Extent, Kind, Row};
use crate::index::BlockRow;
use crate::index::rules::check_extents;

/// Permissions of a folder whose own record is lost.
const FOLDER_MODE: u32 = 0o755;

/// What the directories told.
#[derive(Default)]
pub(super) struct Records {
    entries: BTreeMap<u32, Entry>,
    chunks: HashMap<u32, Vec<Chunk>>,
}

/// What can be put together.
#[derive(Default)]
pub(super) struct Assembled {
    /// In order of path; digests are missing, hard links name rows of this list.
    pub entries: Vec<Entry>,
    /// Paths that are lost, and why.
    pub lost: Vec<(Vec<u8>, String)>,
    /// Folders whose own records are lost.
    pub made_up: Vec<Vec<u8>>,
}

impl Records {
    /// Takes all records of a directory, up to the first that cannot be read.
    ///
    /// # Errors
    /// What is wrong with that one.
    pub(super) fn add_all(&mut self, directory: &[u8]) -> Result<(), ContainerError> {
        let mut reader = DirectoryReader::new(directory);
        while let Some(record) = reader.next() {
            self.add(record?);
        }
        Ok(())
    }

    /// Takes a record. The first of two about one row counts: directories come in the order in which they were written.
    fn add(&mut self, record: Record<'_>) {
        match record {
            Record::Entry(row, entry) => {
                self.entries.entry(row).or_insert_with(|| Entry::from(&entry));
            }
            Record::Chunk(chunk) => self.chunks.entry(chunk.row).or_default().push(chunk),
        }
    }

    /// Takes the rows of an index, in place of all that directories told.
    pub(super) fn of_index(rows: Vec<Entry>) -> Vec<(u32, Entry)> {
        rows.into_iter().zip(0..).map(|(entry, row)| (row, entry)).collect()
    }

    /// The rows, each file with the extents that its chunks tell.
    pub(super) fn into_rows(self, lost: &mut Vec<(Vec<u8>, String)>) -> Vec<(u32, Entry)> {
        let Self { entries, mut chunks } = self;
        let mut rows = Vec::with_capacity(entries.len());
        for (row, mut entry) in entries {
            let mut chunks = chunks.remove(&row).unwrap_or_default();
            match extents(&entry, &mut chunks) {
                Ok(extents) => {
                    entry.extents = extents;
                    rows.push((row, entry));
                }
                Err(why) => lost.push((entry.path, why)),
            }
        }
        rows
    }
}

/// Where the bytes of a file lie, if its chunks tell it of all of them.
fn extents(entry: &Entry, chunks: &mut [Chunk]) -> Result<Vec<Extent>, String> {
    chunks.sort_unstable_by_key(|chunk| chunk.file_offset);
    let mut holes = entry.holes.iter().peekable();
    let (mut at, mut extents) = (0u64, Vec::with_capacity(chunks.len()));
    let mut chunks = chunks.iter().peekable();
    loop {
        if let Some(hole) = holes.next_if(|hole| hole.offset == at) {
            at = at.saturating_add(hole.len);
        } else if let Some(chunk) = chunks.next_if(|chunk| chunk.file_offset == at) {
            extents.push(Extent { block: chunk.block, offset: chunk.offset, len: chunk.len });
            at = at.saturating_add(chunk.len.into());
        } else {
            break;
        }
    }
    if entry.kind == Kind::File && at != entry.size || chunks.peek().is_some() {
        return Err(format!("where its bytes lie is known up to byte {at} of {} only", entry.size));
    }
    Ok(extents)
}

/// Keeps the rows whose blocks are there, puts missing folders above them and renumbers hard links.
pub(super) fn assemble(mut rows: Vec<(u32, Entry)>, blocks: &BTreeMap<u64, BlockRow>, found: &mut Assembled) {
    rows.sort_by(|a, b| a.1.path.cmp(&b.1.path));
    let mut kept: Vec<(u32, Entry)> = Vec::with_capacity(rows.len());
    for (row, entry) in rows {
        let why = match kept.last() {
            Some((_, before)) if before.path == entry.path => Some("there is another entry of this name".to_owned()),
            _ => missing(&entry.row(), blocks),
        };
        match why {
            None => kept.push((row, entry)),
            Some(why) => found.lost.push((entry.path, why)),
        }
    }
    let files: HashSet<u32> = kept.iter().filter(|(_, entry)| entry.kind == Kind::File).map(|(row, _)| *row).collect();
    let not_folders: HashSet<Vec<u8>> =
        kept.iter().filter(|(_, entry)| entry.kind != Kind::Dir).map(|(_, entry)| entry.path.clone()).collect();
    kept.retain_mut(|(_, entry)| {
        let why = if entry.hardlink.is_some_and(|first| !files.contains(&first)) {
            "the file that it names is lost"
        } else if parents(&entry.path).any(|parent| not_folders.contains(parent)) {
            "it lies below something that is no folder"
        } else {
            return true;
        };
        found.lost.push((std::mem::take(&mut entry.path), why.to_owned()));
        false
    });
    let folders: HashSet<Vec<u8>> =
        kept.iter().filter(|(_, entry)| entry.kind == Kind::Dir).map(|(_, entry)| entry.path.clone()).collect();
    let mut made_up: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
    for (_, entry) in &kept {
        for parent in parents(&entry.path).filter(|parent| !folders.contains(*parent)) {
            made_up.entry(parent.to_vec()).or_insert_with(|| {
                let Entry { uid, gid, mtime_ns, .. } = *entry;
                Entry::from(&Row { mode: FOLDER_MODE, uid, gid, mtime_ns, ..Row::new(parent, Kind::Dir) })
            });
        }
    }
    found.made_up = made_up.keys().cloned().collect();
    // No row has this number: nothing names a folder.
    kept.extend(made_up.into_values().map(|entry| (u32::MAX, entry)));
    kept.sort_by(|a, b| a.1.path.cmp(&b.1.path));
    let places: HashMap<u32, u32> = kept.iter().zip(0..).map(|((row, _), place)| (*row, place)).collect();
    found.entries = kept
        .into_iter()
        .map(|(_, mut entry)| {
            entry.hardlink = entry.hardlink.and_then(|first| places.get(&first).copied());
            entry
        })
        .collect();
}

/// The folders above a path, the root aside.
fn parents(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| &path[..at])
}

/// What of a file's contents is not there.
fn missing(row: &Row<'_>, blocks: &BTreeMap<u64, BlockRow>) -> Option<String> {
    let block = |seq: u32| blocks.get(&u64::from(seq)).filter(|block| block.kind == FrameKind::Block);
    if let Some(extent) = row.extents.iter().find(|extent| block(extent.block).is_none()) {
        return Some(format!("block {} is damaged or missing", extent.block));
    }
    let dictionary = row.extents.iter().filter_map(|extent| block(extent.block)?.dictionary);
    let is_there = |seq: &u64| blocks.get(seq).is_some_and(|frame| frame.kind == FrameKind::Dictionary);
    if let Some(seq) = dictionary.into_iter().find(|seq| !is_there(seq)) {
        return Some(format!("the dictionary in frame {seq} is damaged or missing"));
    }
    check_extents(row, |seq| block(seq).map(|block| block.raw_len)).err().map(|fault| fault.to_string())
}
