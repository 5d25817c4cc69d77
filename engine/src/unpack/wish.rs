//! What is to be unpacked.
//!
//! In: the rows of an archive, patterns. Out: folders, files, links and special files, each in the order of the rows.
//! What it does not know: where they are written.

use std::collections::BTreeMap;

use crate::archive::Archive;
use crate::entry::{Device, Kind, Row};
use crate::error::Result;
use crate::index::{Batch, Scratch};
use crate::restore::{Wanted, Workers};
use crate::select::Selection;

/// What is to be done, but for the contents of files, in the order of the rows.
#[derive(Default)]
pub(super) struct Wish {
    pub(super) entries: u64,
    pub(super) folders: Vec<Folder>,
    pub(super) wanted: Wanted,
    pub(super) others: Vec<Other>,
}

impl Wish {
    /// Goes through the rows of an archive once, decoded by `workers`, and notes what `patterns` select.
    ///
    /// # Errors
    /// When a pattern matches nothing, or the index is damaged.
    pub(super) fn gather(archive: &Archive, workers: &Workers, patterns: Vec<String>) -> Result<Self> {
        let mut selection = Selection::new(patterns);
        let mut wish = Self::default();
        // Folders on the way to the current row that nothing selected has needed so far.
        let mut on_the_way: Vec<Folder> = Vec::new();
        let mut promoted: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        let mut selected_files = RowSet::default();
        let mut scratch = Scratch::default();
        let each = |batch: &Batch, at: usize| {
            let (number, row) = (batch.number(at), &batch.row(at, &mut scratch));
            // In byte order, `a.txt` stands between `a` and `a/b`: all of them begin with `a`, and nothing later does.
            on_the_way.retain(|folder| row.path.starts_with(&folder.path));
            let selected = selection.takes(row.path);
            if row.kind == Kind::Dir {
                on_the_way.push(Folder::of(row));
            }
            if !selected {
                return Ok(());
            }
            wish.entries += 1;
            let needed =
                on_the_way.extract_if(.., |folder| folder.path == row.path || is_below(row.path, &folder.path));
            wish.folders.extend(needed);
            match (row.kind, row.hardlink) {
                (Kind::Dir, _) => {}
                (Kind::File, _) => {
                    selected_files.insert(number);
                    wish.wanted.push(number, row);
                }
                (Kind::Hardlink, Some(first)) => {
                    if selected_files.contains(first) {
                        let target = archive.row_path(first)?;
                        wish.others.push(Other::hardlink(row, target));
                    } else if let Some(target) = promoted.get(&first) {
                        wish.others.push(Other::hardlink(row, target.clone()));
                    } else {
                        // The name that carries the contents is not wanted: this one carries them instead.
                        let mut entry = archive.row(first)?;
                        entry.path = row.path.to_vec();
                        wish.wanted.push(first, &entry.row());
                        promoted.insert(first, row.path.to_vec());
                    }
                }
                _ => wish.others.push(Other::of(row)),
            }
            Ok(())
        };
        archive.for_each_with(workers, |_| (), each, Ok)?;
        selection.check()?;
        wish.wanted.sort();
        Ok(wish)
    }
}

/// A folder, and the metadata that it gets in the end.
pub(super) struct Folder {
    pub(super) path: Vec<u8>,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    pub(super) mtime_ns: i64,
}

impl Folder {
    fn of(row: &Row<'_>) -> Self {
        Self { path: row.path.to_vec(), mode: row.mode, owner: (row.uid, row.gid), mtime_ns: row.mtime_ns }
    }
}

/// A link or a special file.
pub(super) struct Other {
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    pub(super) mtime_ns: i64,
    pub(super) target: Vec<u8>,
    pub(super) device: Option<Device>,
}

impl Other {
    fn of(row: &Row<'_>) -> Self {
        Self {
            path: row.path.to_vec(),
            kind: row.kind,
            mode: row.mode,
            owner: (row.uid, row.gid),
            mtime_ns: row.mtime_ns,
            target: row.link_target.unwrap_or_default().to_vec(),
            device: row.device,
        }
    }

    fn hardlink(row: &Row<'_>, target: Vec<u8>) -> Self {
        Self { target, ..Self::of(row) }
    }
}

/// A set of row numbers, one bit each.
#[derive(Default)]
struct RowSet(Vec<u64>);

impl RowSet {
    fn insert(&mut self, row: u32) {
        let word = row as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (row % 64);
    }

    fn contains(&self, row: u32) -> bool {
        self.0.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }
}

fn is_below(path: &[u8], folder: &[u8]) -> bool {
    folder.is_empty() || (path.starts_with(folder) && path.get(folder.len()) == Some(&b'/'))
}
