//! One thread of the walk, and what all of them share.
//!
//! In: folders to list and batches of names to look at, from the queue. Out: sorted listings, problems, counts; and
//! into the queue, the folders found and the batches of large ones.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::Stat;

use super::attributes::Asker;
use super::error::{Problem, What};
use super::exclude::Exclude;
use super::inputs::{Root, Roots};
use super::item::{ENTER, Extra, Item, Listing};
use super::names::{Names, Reader};
use super::queue::{Queue, Task};
use super::sealed::Sealed;
use super::{LeftOut, WalkOptions, inspect, open};
use crate::entry::{Kind, Xattr};
use crate::limits;

/// A folder that was found and is to be listed.
pub(super) struct Folder {
    /// Number of the input that it was found in.
    root: u32,
    /// Number of its listing.
    listing: u32,
    /// Archive path.
    path: Box<[u8]>,
    /// Device and inode that it had when it was found.
    identity: (u64, u64),
}

/// A folder that is being listed; closed when its last part has been looked at.
struct OpenFolder {
    fd: OwnedFd,
    folder: Folder,
    /// Parts not yet looked at, and one while the names are still being read.
    parts: AtomicUsize,
    listing: Mutex<Listing>,
}

/// Some names of a large folder.
pub(super) struct Part {
    folder: Arc<OpenFolder>,
    names: Names,
}

/// What all threads share.
pub(super) struct Shared<'a> {
    options: &'a WalkOptions,
    exclude: Exclude,
    roots: &'a [Root],
    progress: &'a (dyn Fn(u64) + Sync),
    stop: &'a (dyn Fn() -> bool + Sync),
    queue: Queue<Part, Folder>,
    entries: AtomicU64,
    listings: AtomicU32,
    too_many: AtomicBool,
}

/// What one thread found.
#[derive(Default)]
pub(super) struct Found {
    /// Finished listings by number.
    pub(super) listings: Vec<(u32, Sealed)>,
    /// Where their items lie.
    pub(super) store: Vec<u8>,
    pub(super) problems: Vec<Problem>,
    pub(super) left_out: LeftOut,
    /// Labels that were left aside, and how many entries have them.
    pub(super) labels: BTreeMap<Vec<u8>, u64>,
}

/// What stands at the top: the inputs themselves.
#[derive(Default)]
pub(super) struct Top {
    pub(super) listing: Listing,
    pub(super) problems: Vec<Problem>,
    pub(super) left_out: LeftOut,
    /// Labels that were left aside, and how many entries have them.
    pub(super) labels: BTreeMap<Vec<u8>, u64>,
}

/// An entry that belongs to the archive.
struct Seen {
    item: Item,
    extra: Option<Extra>,
    xattrs: Option<Arc<[Xattr]>>,
    /// Something to report though the entry is kept.
    remark: Option<What>,
}

/// A name and where it was found.
struct Candidate<'a> {
    root: u32,
    /// The folder's descriptor and archive path.
    fd: BorrowedFd<'a>,
    parent: &'a [u8],
    name: &'a CStr,
    /// Whether it is a folder, if that is known without asking.
    is_folder: Option<bool>,
    /// Whether the name stands for what it links to.
    follow: bool,
}

impl<'a> Shared<'a> {
    pub(super) fn new(
        options: &'a WalkOptions,
        exclude: Exclude,
        roots: &'a [Root],
        progress: &'a (dyn Fn(u64) + Sync),
        stop: &'a (dyn Fn() -> bool + Sync),
    ) -> Self {
        Self {
            options,
            exclude,
            roots,
            progress,
            stop,
            queue: Queue::new(),
            entries: AtomicU64::new(0),
            listings: AtomicU32::new(0),
            too_many: AtomicBool::new(false),
        }
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    pub(super) fn too_many(&self) -> bool {
        self.too_many.load(Ordering::Relaxed)
    }

    pub(super) fn stopped(&self) -> bool {
        self.queue.stopped()
    }

    /// Looks at the inputs and queues the folders among them.
    pub(super) fn start(&self, roots: &Roots) -> Top {
        let (mut top, mut asker) = (Top::default(), Asker::new(self.options.xattrs));
        for (number, root) in roots.roots.iter().enumerate() {
            let name = [&root.name[..], b"\0"].concat();
            // The system was asked about this name, so there is no NUL in it.
            let Ok(name) = CStr::from_bytes_with_nul(&name) else { continue };
            let (fd, follow) = (root.base.as_fd(), root.follow);
            let candidate = Candidate { root: number as u32, fd, parent: b"", name, is_folder: None, follow };
            let seen = if root.name.is_empty() {
                inspect::item(&root.stat).map(|(item, remark)| {
                    let (xattrs, trouble) = asker.ask(fd, c".", item.witness.dev, false);
                    let item = Item { extra: ENTER, ..item };
                    Some(Seen { item, extra: None, xattrs, remark: remark.or(trouble) })
                })
            } else {
                self.admit(&candidate, || Ok(root.stat), &mut top.left_out, &mut asker)
            };
            let at = (top.listing.names.len() as u64, root.name.len() as u32);
            if let Some(what) = keep(&mut top.listing, seen, at) {
                top.problems.push(Problem { path: root.name.clone(), what });
            }
            top.listing.names.extend_from_slice(&root.name);
        }
        top.labels = asker.aside;
        self.count(top.listing.items.len());
        top.listing.sort();
        self.enter(&mut top.listing, b"", |name| roots.find(name).unwrap_or(0));
        top
    }

    /// Decides whether an entry belongs to the archive and finds out what there is to know of it.
    fn admit(
        &self,
        at: &Candidate<'_>,
        stat: impl FnOnce() -> Result<Stat, What>,
        left_out: &mut LeftOut,
        asker: &mut Asker,
    ) -> Result<Option<Seen>, What> {
        let name = at.name.to_bytes();
        let excluded =
            |is_folder| !self.exclude.is_empty() && self.exclude.matches(name, || join(at.parent, name), is_folder);
        if at.is_folder.is_some_and(excluded) {
            left_out.excluded += 1;
            return Ok(None);
        }
        let stat = stat()?;
        let (mut item, remark) = inspect::item(&stat)?;
        if at.is_folder.is_none() && excluded(item.kind == Kind::Dir) {
            left_out.excluded += 1;
            return Ok(None);
        }
        if self.options.leave_out.contains(&(item.witness.dev, item.witness.ino)) {
            left_out.output += 1;
            return Ok(None);
        }
        check_length(at.parent, name)?;
        let (xattrs, trouble) = asker.ask(at.fd, at.name, item.witness.dev, at.follow);
        let remark = remark.or(trouble);
        if item.kind != Kind::Dir {
            let extra = inspect::extra(at.fd, at.name, &stat, item.kind, self.stop)?;
            return Ok(Some(Seen { item, extra, xattrs, remark }));
        }
        if self.options.one_file_system && stat.st_dev != self.roots[at.root as usize].stat.st_dev {
            left_out.other_file_systems += 1;
        } else {
            item.extra = ENTER;
        }
        Ok(Some(Seen { item, extra: None, xattrs, remark }))
    }

    /// Numbers the listings of the folders in `listing` and queues them.
    fn enter(&self, listing: &mut Listing, path: &[u8], root: impl Fn(&[u8]) -> u32) {
        if listing.below.is_empty() {
            return;
        }
        let count = listing.below.len() as u32;
        let first = self.listings.fetch_add(count, Ordering::Relaxed);
        for (below, number) in listing.below.iter_mut().zip(first..) {
            below.listing = number;
        }
        // The stack gives the last first.
        let folders = listing.below.iter().rev().map(|below| {
            let item = &listing.items[below.item as usize];
            let name = listing.name(item);
            let identity = (item.witness.dev, item.witness.ino);
            Folder { root: root(name), listing: below.listing, path: join(path, name).into(), identity }
        });
        self.queue.push_later(folders);
    }

    /// Counts entries and says whether there is still room for them.
    fn count(&self, more: usize) {
        let entries = self.entries.fetch_add(more as u64, Ordering::Relaxed) + more as u64;
        if entries > self.options.entries_max.unwrap_or(limits::ROWS_MAX).min(limits::ROWS_MAX) {
            self.too_many.store(true, Ordering::Relaxed);
            self.queue.stop();
        }
        (self.progress)(entries);
    }
}

/// One thread.
pub(super) struct Worker<'a> {
    shared: &'a Shared<'a>,
    reader: Reader,
    asker: Asker,
    found: Found,
}

impl<'a> Worker<'a> {
    pub(super) fn new(shared: &'a Shared<'a>) -> Self {
        Self { shared, reader: Reader::new(), asker: Asker::new(shared.options.xattrs), found: Found::default() }
    }

    /// Works until there is no work left.
    pub(super) fn run(mut self) -> Found {
        self.shared.queue.run(|task| {
            if (self.shared.stop)() {
                self.shared.queue.stop();
                return;
            }
            match task {
                Task::Later(folder) => self.list(folder),
                Task::Urgent(part) => self.look(&part.folder, part.names),
            }
        });
        self.found.labels = self.asker.aside;
        self.found
    }

    /// Reads the names of a folder, shares all full batches and looks at the last one.
    fn list(&mut self, folder: Folder) {
        let fd = match self.open(&folder) {
            Ok(fd) => fd,
            Err(what) => return self.problem(folder.path.into_vec(), what),
        };
        let folder = Arc::new(OpenFolder { fd, folder, parts: AtomicUsize::new(1), listing: Mutex::default() });
        let (names, error) = self.reader.read(folder.fd.as_fd(), |names| {
            folder.parts.fetch_add(1, Ordering::Relaxed);
            self.shared.queue.push_urgent(Part { folder: Arc::clone(&folder), names });
        });
        if let Some(error) = error {
            self.problem(folder.folder.path.to_vec(), What::Io { call: "list the folder", error });
        }
        self.look(&folder, names);
    }

    fn open(&self, folder: &Folder) -> Result<OwnedFd, What> {
        let root = &self.shared.roots[folder.root as usize];
        let follow = root.follow && *folder.path == *root.name;
        let failed = |error| What::Io { call: "open the folder", error };
        let fd = open::listable(root.base.as_fd(), &folder.path, follow).map_err(failed)?;
        let stat = rustix::fs::fstat(&fd).map_err(|error| failed(error.into()))?;
        let witness = carrack_backends::witness::Witness::from(stat);
        if (witness.dev, witness.ino) == folder.identity { Ok(fd) } else { Err(What::Replaced) }
    }

    /// Looks at some names of a folder; whoever comes last finishes it.
    fn look(&mut self, folder: &Arc<OpenFolder>, names: Names) {
        let mut part = Listing { items: Vec::with_capacity(names.list.len()), ..Listing::default() };
        for &name in &names.list {
            if (self.shared.stop)() {
                return self.shared.queue.stop();
            }
            let candidate = Candidate {
                root: folder.folder.root,
                fd: folder.fd.as_fd(),
                parent: &folder.folder.path,
                name: names.get(name),
                is_folder: name.is_folder,
                follow: false,
            };
            let bytes = candidate.name.to_bytes();
            let seen = if bytes.is_empty() || bytes.contains(&b'/') {
                Err(What::BadName)
            } else {
                let stat = || inspect::stat(candidate.fd, candidate.name);
                self.shared.admit(&candidate, stat, &mut self.found.left_out, &mut self.asker)
            };
            if let Some(what) = keep(&mut part, seen, (name.start.into(), name.len)) {
                self.problem(join(candidate.parent, bytes), what);
            }
        }
        part.names = names.bytes;
        self.shared.count(part.items.len());
        folder.listing.lock().unwrap_or_else(PoisonError::into_inner).absorb(part);
        // Release and acquire: what each part added is seen by whoever finishes.
        if folder.parts.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.finish(folder);
        }
    }

    fn finish(&mut self, folder: &OpenFolder) {
        let mut listing = std::mem::take(&mut *folder.listing.lock().unwrap_or_else(PoisonError::into_inner));
        let folder = &folder.folder;
        listing.sort();
        self.shared.enter(&mut listing, &folder.path, |_| folder.root);
        let sealed = Sealed::new(listing, &mut self.found.store);
        self.found.listings.push((folder.listing, sealed));
    }

    fn problem(&mut self, path: Vec<u8>, what: What) {
        self.found.problems.push(Problem { path, what });
    }
}

/// Adds what was seen to a listing, with where its name starts and how long it is; gives back what is to be reported.
fn keep(listing: &mut Listing, seen: Result<Option<Seen>, What>, name: (u64, u32)) -> Option<What> {
    match seen {
        Ok(Some(Seen { item, extra, xattrs, remark })) => {
            // `check_length` lets no longer name through.
            listing.push(Item { name_start: name.0, name_len: name.1 as u8, ..item }, extra, xattrs);
            remark
        }
        Ok(None) => None,
        Err(what) => Some(what),
    }
}

fn check_length(parent: &[u8], name: &[u8]) -> Result<(), What> {
    let path = if parent.is_empty() { name.len() } else { parent.len() + 1 + name.len() };
    if name.len() > limits::NAME_LEN_MAX {
        Err(What::NameTooLong(name.len()))
    } else if path > limits::PATH_LEN_MAX {
        Err(What::PathTooLong(path))
    } else {
        Ok(())
    }
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() }
}
