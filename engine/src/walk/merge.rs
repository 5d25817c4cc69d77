//! Strings the listings of all folders together, in byte order of the whole path.
//!
//! In: sorted listings, each knowing the listings below it. Out: [`Entries`]. Depth first, one row at a time, no path is
//! ever compared as a whole; each listing is freed when its last row is out. Everything that depends on order is
//! decided here: which name of a file is the first one, and where long paths get a base of their own.

use std::os::fd::AsFd;
use std::sync::Arc;

use carrack_backends::path::{Base, PathTable};
use hashbrown::HashMap;

use super::error::WalkError;
use super::inputs::Roots;
use super::item::{Extra, Item, LINKED, Listing, is_before_below};
use super::open::{self, CALL_LEN_MAX};
use crate::entry::{Entries, Kind};
use crate::limits;

/// A base is put at the first folder whose path from the former base has this many bytes, so that it serves many.
const BASE_LEN: usize = 2048;
/// How many bases for long paths there may be at most. Below further ones, files cannot be opened and are reported
/// when they are read.
const DEEP_BASES_MAX: usize = 1024;

/// A folder whose rows are being put out.
struct Frame {
    listing: Listing,
    item: usize,
    below: usize,
    /// Length in bytes of the folder's path with the slash behind it.
    prefix: usize,
    base: u32,
    /// Device and inode.
    identity: (u64, u64),
}

struct Merge<'a> {
    roots: &'a Roots,
    /// By number.
    listings: Vec<Option<Listing>>,
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

/// Makes rows of all listings; `count` is how many there will be at most.
pub(super) fn merge(
    roots: &Roots,
    top: Listing,
    found: Vec<(u32, Listing)>,
    count: u64,
    stop: &dyn Fn() -> bool,
) -> Result<Entries, WalkError> {
    let mut listings = Vec::new();
    listings.resize_with(found.iter().map(|&(number, _)| number as usize + 1).max().unwrap_or(0), || None);
    for (number, listing) in found {
        listings[number as usize] = Some(listing);
    }
    let mut merge = Merge {
        roots,
        listings,
        frames: vec![Frame { listing: top, item: 0, below: 0, prefix: 0, base: 0, identity: (0, 0) }],
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

impl Merge<'_> {
    fn reserve(&mut self, count: usize) {
        let Entries { kinds, modes, uids, gids, witnesses, .. } = &mut self.entries;
        kinds.reserve_exact(count);
        modes.reserve_exact(count);
        uids.reserve_exact(count);
        gids.reserve_exact(count);
        witnesses.reserve_exact(count);
    }

    fn add_base(&mut self, base: Base) -> u32 {
        self.bases.push(base.clone());
        self.paths.push_base(base)
    }

    /// Puts out one row, or goes one folder down or up; false when all is done.
    fn step(&mut self) -> bool {
        let Some(frame) = self.frames.last_mut() else { return false };
        self.path.truncate(frame.prefix);
        let listing = &frame.listing;
        let item = listing.items.get(frame.item);
        let below = listing.below.get(frame.below).map(|below| (&listing.items[below.item as usize], below.listing));
        let item_first = match (item, below) {
            (Some(item), Some((folder, _))) => is_before_below(listing.name(item), listing.name(folder)),
            (item, _) => item.is_some(),
        };
        match (item, below) {
            (Some(&item), _) if item_first => {
                self.path.extend_from_slice(listing.name(&item));
                frame.item += 1;
                // `NONE` lies beyond all extras.
                let extra = match item.kind {
                    Kind::Dir => None,
                    _ => frame.listing.extras.get_mut(item.extra as usize).map(take),
                };
                self.row(&item, extra);
            }
            (_, Some((folder, number))) => {
                let folder = *folder;
                self.path.extend_from_slice(listing.name(&folder));
                frame.below += 1;
                self.go_down(&folder, number);
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

    fn row(&mut self, item: &Item, extra: Option<Extra>) {
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
        match extra {
            Some(Extra::Target(target)) => entries.link_targets.push(row, target),
            Some(Extra::Holes(holes)) => entries.holes.push(row, holes),
            Some(Extra::Device(device)) => entries.devices.push(row, device),
            None => {}
        }
    }

    /// Enters the folder that has the current path. One that could not be opened has no listing.
    fn go_down(&mut self, folder: &Item, number: u32) {
        let Some(listing) = self.listings.get_mut(number as usize).and_then(Option::take) else { return };
        let base = self.base();
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        let identity = (folder.witness.dev, folder.witness.ino);
        self.frames.push(Frame { listing, item: 0, below: 0, prefix: self.path.len(), base, identity });
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
        self.modes.push(u32::from(item.mode & !LINKED));
        self.uids.push(item.uid);
        self.gids.push(item.gid);
        self.witnesses.push(item.witness);
    }

    /// One more name of the file in row `first`, with the metadata that was seen there, even if it has changed since.
    fn push_link(&mut self, first: usize) {
        self.kinds.push(Kind::Hardlink);
        self.modes.push(self.modes[first]);
        self.uids.push(self.uids[first]);
        self.gids.push(self.gids[first]);
        self.witnesses.push(self.witnesses[first]);
    }
}
