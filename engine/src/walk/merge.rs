//! Strings the listings of all folders together, in byte order of the whole path.
//!
//! In: sorted listings, each knowing the listings below it. Out: [`Entries`]. Depth first, one row at a time, no path is
//! ever compared as a whole. Everything that depends on order is
//! decided here: which name of a file is the first one, and where long paths get a base of their own.

use std::os::fd::AsFd;
use std::sync::Arc;

use carrack_backends::path::{Base, PathTable};
use hashbrown::HashMap;

use super::error::WalkError;
use super::inputs::Roots;
use super::item::{ATTRIBUTED, Extra, Item, LINKED, Listing, is_before_below};
use super::open::{self, CALL_LEN_MAX};
use super::sealed::{Cursor, Entered, Sealed};
use crate::entry::{Entries, Kind, Xattr};
use crate::limits;

/// A base is put at the first folder whose path from the former base has this many bytes, so that it serves many.
const BASE_LEN: usize = 2048;
/// How many bases for long paths there may be at most. Below further ones, files cannot be opened and are reported
/// when they are read.
const DEEP_BASES_MAX: usize = 1024;

/// What one thread found: listings by number, and the store that they lie in.
pub(super) type Found = (Vec<(u32, Sealed)>, Vec<u8>);

/// A folder whose rows are being put out.
struct Frame {
    listing: Sealed,
    /// Which store its items lie in.
    store: usize,
    /// At the next item to put out.
    cursor: Cursor,
    /// Whether there is one.
    has_item: bool,
    below: usize,
    /// Length in bytes of the folder's path with the slash behind it.
    prefix: usize,
    base: u32,
    /// Device and inode.
    identity: (u64, u64),
}

struct Merge<'a> {
    roots: &'a Roots,
    /// By number, each with the number of its store.
    listings: Vec<Option<(Sealed, usize)>>,
    stores: Vec<Vec<u8>>,
    /// From the top down.
    frames: Vec<Frame>,
    /// Path of the top frame's folder, and what else is being put together.
    path: Vec<u8>,
    paths: PathTable,
    bases: Vec<Base>,
    deep_bases_max: usize,
    /// First row of each file with several names, by device and inode.
    linked: HashMap<(u64, u64), u32>,
    entries: Entries,
}

/// Makes rows of all listings, which come with the stores that they lie in; `count` is how many there will be at most.
pub(super) fn merge(
    roots: &Roots,
    top: Listing,
    found: Vec<Found>,
    count: u64,
    stop: &dyn Fn() -> bool,
) -> Result<Entries, WalkError> {
    let mut listings = Vec::new();
    let numbers = found.iter().flat_map(|(listings, _)| listings).map(|&(number, _)| number as usize + 1);
    listings.resize_with(numbers.max().unwrap_or(0), || None);
    let mut stores = Vec::with_capacity(found.len() + 1);
    for (more, store) in found {
        for (number, listing) in more {
            listings[number as usize] = Some((listing, stores.len()));
        }
        stores.push(store);
    }
    let mut store = Vec::new();
    let top = Sealed::new(top, &mut store);
    stores.push(store);
    let mut merge = Merge {
        roots,
        listings,
        frames: vec![Frame::new(top, stores.len() - 1, &stores, 0, 0, (0, 0))],
        stores,
        path: Vec::new(),
        paths: PathTable::new(),
        bases: Vec::new(),
        deep_bases_max: DEEP_BASES_MAX.min(open::descriptors_max() / 4),
        linked: HashMap::new(),
        entries: Entries::default(),
    };
    merge.reserve(count as usize);
    for root in &roots.roots {
        merge.add_base(Base { folder: Arc::clone(&root.base), skip: 0 });
    }
    while merge.step() {
        if merge.entries.len().is_multiple_of(4096) && stop() {
            return Err(WalkError::Stopped);
        }
    }
    merge.entries.paths = Arc::new(merge.paths);
    Ok(merge.entries)
}

impl Frame {
    fn new(listing: Sealed, store: usize, stores: &[Vec<u8>], prefix: usize, base: u32, identity: (u64, u64)) -> Self {
        let mut cursor = listing.cursor();
        let has_item = cursor.advance(&stores[store]);
        Self { listing, store, cursor, has_item, below: 0, prefix, base, identity }
    }
}

impl Merge<'_> {
    fn reserve(&mut self, count: usize) {
        self.entries.kinds.reserve_exact(count);
    }

    fn add_base(&mut self, base: Base) -> u32 {
        self.bases.push(base.clone());
        self.paths.push_base(base)
    }

    /// Puts out one row, or goes one folder down or up; false when all is done.
    fn step(&mut self) -> bool {
        let Some(frame) = self.frames.last_mut() else { return false };
        self.path.truncate(frame.prefix);
        let store = &self.stores[frame.store];
        let item = frame.has_item.then(|| frame.cursor.name(store));
        let below = frame.listing.below.get(frame.below).copied();
        let item_first = match (item, &below) {
            (Some(name), Some(folder)) => is_before_below(name, frame.listing.name(folder)),
            (item, _) => item.is_some(),
        };
        match (item, below) {
            (Some(name), _) if item_first => {
                self.path.extend_from_slice(name);
                let item = *frame.cursor.item();
                let xattrs = frame.cursor.xattrs().map(|at| Arc::clone(&frame.listing.xattrs[at]));
                frame.has_item = frame.cursor.advance(store);
                // `NONE` lies beyond all extras.
                let extra = frame.listing.extras.get_mut(item.extra as usize).map(take);
                self.row(&item, extra, xattrs);
            }
            (_, Some(folder)) => {
                self.path.extend_from_slice(frame.listing.name(&folder));
                frame.below += 1;
                self.go_down(&folder);
            }
            _ => {
                self.frames.pop();
            }
        }
        true
    }

    /// The base of what has the current path: inputs have their own, all else has that of its folder.
    fn base(&self) -> u32 {
        match &self.frames[..] {
            [_] => self.roots.find(&self.path).unwrap_or(0),
            frames => frames.last().map_or(0, |frame| frame.base),
        }
    }

    fn row(&mut self, item: &Item, extra: Option<Extra>, xattrs: Option<Arc<[Xattr]>>) {
        let base = self.base();
        let row = self.paths.push(base, &self.path).0;
        let entries = &mut self.entries;
        if item.mode & LINKED != 0 {
            let identity = (item.witness.dev, item.witness.ino);
            let first = *self.linked.entry(identity).or_insert(row);
            if first != row {
                entries.hardlinks.push(row, first);
                return entries.push_link(first as usize);
            }
        }
        entries.push_item(item);
        if let Some(xattrs) = xattrs {
            entries.xattrs.push(row, &xattrs);
        }
        match extra {
            Some(Extra::Target(target)) => entries.link_targets.push(row, target),
            Some(Extra::Holes(holes)) => entries.holes.push(row, holes),
            Some(Extra::Device(device)) => entries.devices.push(row, device),
            None => {}
        }
    }

    /// Enters the folder that has the current path. One that could not be opened has no listing.
    fn go_down(&mut self, folder: &Entered) {
        let Some((listing, store)) = self.listings.get_mut(folder.listing as usize).and_then(Option::take) else {
            return;
        };
        let base = self.base();
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        let frame = Frame::new(listing, store, &self.stores, self.path.len(), base, folder.identity);
        self.frames.push(frame);
        self.shorten();
    }

    /// Gives the folders on the way to the current one a nearer base, when a path below it would be too long for one
    /// system call.
    fn shorten(&mut self) {
        let Some(frame) = self.frames.last() else { return };
        let skip = self.bases[frame.base as usize].skip as usize;
        if frame.prefix - skip + limits::NAME_LEN_MAX <= CALL_LEN_MAX
            || self.bases.len() - self.roots.roots.len() >= self.deep_bases_max
        {
            return;
        }
        let old = frame.base;
        let at = self.frames.iter().position(|frame| frame.base == old && frame.prefix >= skip + BASE_LEN);
        let Some(at) = at else { return };
        let Frame { prefix, identity, .. } = self.frames[at];
        let path = &self.path[skip..prefix - 1];
        let Ok(folder) = open::passable(self.bases[old as usize].folder.as_fd(), path) else { return };
        let same = rustix::fs::fstat(&folder)
            .map(carrack_backends::witness::Witness::from)
            .is_ok_and(|witness| (witness.dev, witness.ino) == identity);
        if same {
            let new = self.add_base(Base { folder: Arc::new(folder), skip: prefix as u32 });
            for frame in &mut self.frames[at..] {
                frame.base = new;
            }
        }
    }
}

/// Takes what an item has out of its listing, where it is not needed again.
fn take(extra: &mut Extra) -> Extra {
    std::mem::replace(extra, Extra::Target(Box::default()))
}

trait Push {
    fn push_item(&mut self, item: &Item);
    fn push_link(&mut self, first: usize);
}

impl Push for Entries {
    fn push_item(&mut self, item: &Item) {
        self.kinds.push(item.kind);
        self.modes.push(u32::from(item.mode & !(LINKED | ATTRIBUTED)));
        self.uids.push(item.uid);
        self.gids.push(item.gid);
        self.witnesses.push(item.witness);
    }

    /// One more name of the file in row `first`, with the metadata that was seen there, even if it has changed since.
    fn push_link(&mut self, first: usize) {
        self.kinds.push(Kind::Hardlink);
        self.modes.push(self.modes.get(first));
        self.uids.push(self.uids.get(first));
        self.gids.push(self.gids.get(first));
        self.witnesses.push(self.witnesses.get(first));
    }
}

#[cfg(test)]
mod tests {
    use carrack_backends::witness::Witness;

    use super::super::{Input, inputs};
    use super::*;

    /// Inode numbers are given out anew on each file system: alone they tell nothing.
    #[test]
    fn files_of_two_file_systems_are_two_files_whatever_their_inodes() {
        let mut listing = Listing::default();
        for (name, dev, ino) in [(b'a', 1, 7), (b'b', 2, 7), (b'c', 1, 7), (b'd', 1, 8), (b'e', 2, 7)] {
            let witness = Witness { dev, ino, ..Witness::default() };
            let name_start = listing.names.len() as u64;
            listing.names.push(name);
            listing.push(Item { witness, name_start, name_len: 1, mode: 0o644 | LINKED, ..Item::blank() }, None, None);
        }
        listing.sort();
        let roots = inputs::resolve(&[Input { path: "/".into() }], None).unwrap();
        let entries = merge(&roots, listing, Vec::new(), 5, &|| false).unwrap();
        let links: Vec<_> = entries.hardlinks.iter().map(|(row, &first)| (row, first)).collect();
        assert_eq!(links, [(2, 0), (4, 1)], "c is a, and e is b");
    }
}
