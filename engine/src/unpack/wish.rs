//! What is to be unpacked.
//!
//! In: the rows of an archive, patterns, new names. Out: folders, files, links and special files, each in the order of the
//! rows, under the paths and with the metadata that they get.
//! What it does not know: where they are written.

use std::borrow::Cow;
use std::collections::BTreeMap;

use carrack_backends::tree::Attributes;

use super::rename::{Renamed, Renames, Taken};
use super::sieve::{Mesh, Sieve, Sieved};
use crate::archive::Archive;
use crate::control::Warning;
use crate::entry::{Device, Kind, Row, Xattr};
use crate::error::Result;
use crate::index::{Batch, Scratch};
use crate::restore::{Meta, Policy, SharedXattrs, Wanted, Workers};
use crate::select::Selection;

/// What is to be done, but for the contents of files, in the order of the rows.
#[derive(Default)]
pub(super) struct Wish {
    pub(super) entries: u64,
    pub(super) folders: Vec<Folder>,
    pub(super) wanted: Wanted,
    pub(super) others: Vec<Other>,
    /// What folders and others take, bytes.
    rest_bytes: u64,
    /// What is not done, and what is not restored of the rest.
    pub(super) warnings: Vec<Warning>,
}

/// Goes through the rows.
struct Gathering<'a> {
    archive: &'a Archive,
    renames: &'a Renames,
    sieve: Sieve,
    /// Where entries are renamed: whose path is whose.
    taken: Taken,
    wish: Wish,
    /// Folders on the way to the current row that nothing selected has needed so far.
    on_the_way: Vec<Folder>,
    /// Where the contents of files went whose own name is not wanted.
    promoted: BTreeMap<u32, Vec<u8>>,
    selected_files: RowSet,
}

impl Wish {
    /// What all of it takes in memory, bytes.
    fn memory_bytes(&self) -> u64 {
        self.rest_bytes + self.wanted.memory_bytes()
    }

    fn push_folder(&mut self, folder: Folder) {
        self.rest_bytes += (size_of::<Folder>() + folder.path.len()) as u64;
        self.folders.push(folder);
    }

    fn push_other(&mut self, other: Other) {
        self.rest_bytes += (size_of::<Other>() + other.path.len() + other.target.len()) as u64;
        self.others.push(other);
    }

    /// Goes through the rows of an archive once, decoded by `workers`, and notes what `patterns` select.
    ///
    /// # Errors
    /// When a pattern matches nothing or the index is damaged, and what `check` says, which after each row gets the number of
    /// entries, and the bytes that what was gathered takes and that the batch of the row does.
    pub(super) fn gather(
        archive: &Archive,
        workers: &Workers,
        patterns: Vec<String>,
        renames: &Renames,
        mesh: Mesh,
        check: &dyn Fn(u64, u64, u64) -> Result<()>,
    ) -> Result<Self> {
        let mut selection = Selection::new(patterns);
        let mut scratch = Scratch::default();
        let mut gathering = Gathering {
            archive,
            renames,
            sieve: Sieve::new(mesh),
            taken: Taken::default(),
            wish: Self::default(),
            on_the_way: Vec::new(),
            promoted: BTreeMap::new(),
            selected_files: RowSet::default(),
        };
        let each = |batch: &Batch, at: usize| {
            let (number, row) = (batch.number(at), &batch.row(at, &mut scratch));
            gathering.row(number, row, selection.takes(row.path))?;
            check(gathering.wish.entries, gathering.wish.memory_bytes(), batch.memory_bytes() as u64)
        };
        archive.for_each_with(workers, |_| (), each, Ok)?;
        selection.check()?;
        Ok(gathering.finish())
    }
}

impl Gathering<'_> {
    fn row(&mut self, number: u32, row: &Row<'_>, selected: bool) -> Result<()> {
        // In byte order, `a.txt` stands between `a` and `a/b`: all of them begin with `a`, and nothing later does.
        self.on_the_way.retain(|folder| row.path.starts_with(&folder.path));
        if row.kind == Kind::Dir {
            self.on_the_way.push(Folder::of(row));
        }
        if !selected {
            return Ok(());
        }
        self.wish.entries += 1;
        let needed: Vec<_> = self
            .on_the_way
            .extract_if(.., |folder| folder.path == row.path || is_below(row.path, &folder.path))
            .collect();
        needed.into_iter().for_each(|folder| self.folder(folder));
        match (row.kind, row.hardlink) {
            (Kind::Dir, _) => {}
            (Kind::File, _) => {
                if let Some(path) = self.place(row.path, false) {
                    self.selected_files.insert(number);
                    self.file(number, &Row { path: &path, ..*row });
                }
            }
            (Kind::Hardlink, Some(first)) => self.hardlink(row, first)?,
            _ => {
                if let Some(path) = self.place(row.path, false) {
                    let sieved = self.sieve.take(row);
                    let target = row.link_target.unwrap_or_default();
                    let target = if self.renames.is_empty() { target.to_vec() } else { self.renames.target(target) };
                    self.wish.push_other(Other::of(row, path.into_owned(), target, sieved));
                }
            }
        }
        Ok(())
    }

    /// Where an entry is written to, if it is.
    fn place<'p>(&mut self, path: &'p [u8], is_folder: bool) -> Option<Cow<'p, [u8]>> {
        if self.renames.is_empty() {
            return Some(path.into());
        }
        match self.renames.path(path) {
            Renamed::To(new) => self.taken.take(&new, path, is_folder).then(|| new.into()),
            Renamed::Gone => None,
            Renamed::Wrong(why) => {
                self.taken.refuse(path, &why);
                None
            }
        }
    }

    /// A folder that something selected needs.
    fn folder(&mut self, mut folder: Folder) {
        if let Some(path) = self.place(&folder.path, true).map(Cow::into_owned) {
            let sieved = self.sieve.take(&folder.row());
            folder.give(path, sieved);
            self.wish.push_folder(folder);
        }
    }

    fn file(&mut self, number: u32, row: &Row<'_>) {
        let Sieved { mode, owner: (uid, gid), xattrs } = self.sieve.take(row);
        self.wish.wanted.push(number, &Row { mode, uid, gid, ..*row });
        if let Some(xattrs) = xattrs {
            self.wish.wanted.attach(&xattrs);
        }
    }

    fn hardlink(&mut self, row: &Row<'_>, first: u32) -> Result<()> {
        let Some(path) = self.place(row.path, false).map(Cow::into_owned) else { return Ok(()) };
        let target = if self.selected_files.contains(first) {
            let path = self.archive.row_path(first)?;
            match self.renames.path(&path) {
                Renamed::To(path) => Some(path),
                Renamed::Gone | Renamed::Wrong(_) => None,
            }
        } else {
            self.promoted.get(&first).cloned()
        };
        if let Some(target) = target {
            let sieved = Sieved { mode: row.mode, owner: (row.uid, row.gid), xattrs: None };
            self.wish.push_other(Other::of(row, path, target, sieved));
        } else {
            // The name that carries the contents is not wanted: this one carries them instead.
            let mut entry = self.archive.row(first)?;
            entry.path.clone_from(&path);
            self.file(first, &entry.row());
            self.promoted.insert(first, path);
        }
        Ok(())
    }

    fn finish(self) -> Wish {
        let mut wish = self.wish;
        wish.folders.extend(self.taken.missing_folders().into_iter().map(Folder::between));
        wish.wanted.sort();
        wish.warnings.extend(self.taken.warnings);
        wish.warnings.extend(self.sieve.into_warnings());
        wish
    }
}

/// A folder, and the metadata that it gets in the end.
pub(super) struct Folder {
    pub(super) path: Vec<u8>,
    mode: u32,
    owner: (u32, u32),
    /// None for a folder that is in no archive.
    mtime_ns: Option<i64>,
    names: [Option<String>; 2],
    xattrs: Vec<Xattr>,
    /// Those of them that are restored.
    restored: SharedXattrs,
}

impl Folder {
    fn of(row: &Row<'_>) -> Self {
        Self {
            path: row.path.to_vec(),
            mode: row.mode,
            owner: (row.uid, row.gid),
            mtime_ns: Some(row.mtime_ns),
            names: [row.owner, row.group].map(|name| name.map(str::to_owned)),
            xattrs: row.xattrs.to_vec(),
            restored: None,
        }
    }

    /// A folder that must be there because of what lies in it, and is in no archive.
    fn between(path: Vec<u8>) -> Self {
        let mode = 0o777 & !carrack_backends::tree::umask();
        Self { path, mode, owner: (0, 0), mtime_ns: None, names: [None, None], xattrs: Vec::new(), restored: None }
    }

    fn row(&self) -> Row<'_> {
        Row {
            mode: self.mode,
            uid: self.owner.0,
            gid: self.owner.1,
            owner: self.names[0].as_deref(),
            group: self.names[1].as_deref(),
            xattrs: &self.xattrs,
            ..Row::new(&self.path, Kind::Dir)
        }
    }

    /// Gives it what is restored of it; what only served to find that out is dropped.
    fn give(&mut self, path: Vec<u8>, sieved: Sieved) {
        let Sieved { mode, owner, xattrs } = sieved;
        (self.path, self.mode, self.owner, self.restored) = (path, mode, owner, xattrs);
        (self.names, self.xattrs) = ([None, None], Vec::new());
    }

    /// What it gets in the end.
    pub(super) fn attributes(&self, policy: &Policy) -> Attributes<'_> {
        let policy = Policy { owner: policy.owner && self.mtime_ns.is_some(), ..*policy };
        let xattrs = self.restored.as_deref().unwrap_or_default();
        policy.attributes(&Meta { mode: self.mode, owner: self.owner, mtime_ns: self.mtime_ns, xattrs })
    }
}

/// A link or a special file.
pub(super) struct Other {
    pub(super) path: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) target: Vec<u8>,
    pub(super) device: Option<Device>,
    mode: u32,
    owner: (u32, u32),
    mtime_ns: i64,
    xattrs: SharedXattrs,
}

impl Other {
    fn of(row: &Row<'_>, path: Vec<u8>, target: Vec<u8>, sieved: Sieved) -> Self {
        let Sieved { mode, owner, xattrs } = sieved;
        Self { path, kind: row.kind, target, device: row.device, mode, owner, mtime_ns: row.mtime_ns, xattrs }
    }

    /// What it is made with.
    pub(super) fn attributes(&self, policy: &Policy) -> Attributes<'_> {
        let xattrs = self.xattrs.as_deref().unwrap_or_default();
        let &Self { mode, owner, mtime_ns, .. } = self;
        policy.attributes(&Meta { mode, owner, mtime_ns: Some(mtime_ns), xattrs })
    }
}

/// The folders above a path, the nearest first; the root is not among them.
pub(super) fn folders_above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let above = |path: &&[u8]| path.iter().rposition(|&byte| byte == b'/');
    std::iter::successors(Some(path), move |path| above(path).map(|at| &path[..at])).skip(1)
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
