//! What was found in one folder: compact items, their names in one buffer, sorted the way rows are.
//!
//! Rows stand in byte order of the whole path, so below one folder `a` comes before `a.txt` and that before `a/b`:
//! what lies below a folder sorts under its name with a `/` behind it. Hence two orders here, one for the items and
//! one for the folders among them as places where more rows follow.

use std::cmp::Ordering;
use std::sync::Arc;

use carrack_backends::witness::Witness;

use crate::entry::{Device, Hole, Kind, Xattr};

/// One entry, 80 bytes; its path is that of the folder and its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) witness: Witness,
    /// Where the name starts in the listing's names.
    pub(super) name_start: u64,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// For a folder [`ENTER`] or [`NONE`], else the number of its [`Extra`] or [`NONE`].
    pub(super) extra: u32,
    /// Permission bits, [`LINKED`] and [`ATTRIBUTED`].
    pub(super) mode: u16,
    /// At most [`crate::limits::NAME_LEN_MAX`].
    pub(super) name_len: u8,
    pub(super) kind: Kind,
}

impl Item {
    /// A file without name, of which nothing is known: what the first item of a listing is compared with.
    pub(super) fn blank() -> Self {
        Self {
            witness: Witness::default(),
            name_start: 0,
            uid: 0,
            gid: 0,
            extra: NONE,
            mode: 0,
            name_len: 0,
            kind: Kind::File,
        }
    }
}

const _: () = assert!(size_of::<Item>() == 80 && crate::limits::NAME_LEN_MAX <= u8::MAX as usize);

/// In `mode`: the file has several names.
pub(super) const LINKED: u16 = 1 << 15;
/// In `mode`: there are extended attributes.
pub(super) const ATTRIBUTED: u16 = 1 << 14;
/// In `extra`: nothing more is known.
pub(super) const NONE: u32 = u32::MAX;
/// In `extra` of a folder: what lies below belongs to the archive.
pub(super) const ENTER: u32 = u32::MAX - 1;

/// What only some items have.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Extra {
    Target(Box<[u8]>),
    Holes(Box<[Hole]>),
    Device(Device),
}

/// A folder to enter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Below {
    /// Index of its item.
    pub(super) item: u32,
    /// Number of its own listing.
    pub(super) listing: u32,
}

/// Everything that was found in one folder.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Names and bytes between them that belong to no item.
    pub(super) names: Vec<u8>,
    /// In order of name, once sorted.
    pub(super) items: Vec<Item>,
    pub(super) extras: Vec<Extra>,
    /// Extended attributes of the items that are [`ATTRIBUTED`], each by where the item's name starts.
    pub(super) xattrs: Vec<(u64, Arc<[Xattr]>)>,
    /// In order of name and `/`, once sorted.
    pub(super) below: Vec<Below>,
}

impl Listing {
    pub(super) fn name(&self, item: &Item) -> &[u8] {
        &self.names[item.name_start as usize..][..usize::from(item.name_len)]
    }

    /// Adds an item whose name already stands, or will, in `names`.
    pub(super) fn push(&mut self, mut item: Item, extra: Option<Extra>, xattrs: Option<Arc<[Xattr]>>) {
        if let Some(xattrs) = xattrs {
            item.mode |= ATTRIBUTED;
            self.xattrs.push((item.name_start, xattrs));
        }
        if let Some(extra) = extra {
            item.extra = u32::try_from(self.extras.len()).expect("fewer than 2^32 entries");
            self.extras.push(extra);
        }
        self.items.push(item);
    }

    /// The extended attributes of an item, once sorted.
    pub(super) fn xattrs(&self, item: &Item) -> Option<&Arc<[Xattr]>> {
        let at = self.xattrs.binary_search_by_key(&item.name_start, |&(start, _)| start).ok()?;
        Some(&self.xattrs[at].1)
    }

    /// Takes in another part of the same folder; neither is sorted yet.
    pub(super) fn absorb(&mut self, other: Listing) {
        if self.items.is_empty() {
            *self = other;
            return;
        }
        let (names, extras) = (self.names.len() as u64, self.extras.len() as u32);
        self.names.extend_from_slice(&other.names);
        self.extras.extend(other.extras);
        self.xattrs.extend(other.xattrs.into_iter().map(|(start, xattrs)| (start + names, xattrs)));
        self.items.extend(other.items.into_iter().map(|mut item| {
            item.name_start += names;
            if item.kind != Kind::Dir && item.extra != NONE {
                item.extra += extras;
            }
            item
        }));
    }

    /// Sorts the items, drops those that came twice (a folder that changes while it is read may give a name again),
    /// and lists the folders to enter, their listings not yet numbered.
    pub(super) fn sort(&mut self) {
        let Self { names, items, below, extras, xattrs } = self;
        extras.shrink_to_fit();
        xattrs.sort_unstable_by_key(|&(start, _)| start);
        let name = |item: &Item| &names[item.name_start as usize..][..usize::from(item.name_len)];
        items.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        items.dedup_by(|later, earlier| name(later) == name(earlier));
        let enter = items.iter().enumerate().filter(|(_, item)| item.kind == Kind::Dir && item.extra == ENTER);
        below.extend(enter.map(|(at, _)| Below { item: at as u32, listing: NONE }));
        below.sort_unstable_by(|a, b| by_path(name(&items[a.item as usize]), name(&items[b.item as usize])));
    }
}

/// The order of what lies below two folders: that of their names with a `/` behind each.
fn by_path(a: &[u8], b: &[u8]) -> Ordering {
    let common = a.len().min(b.len());
    let slash = b'/';
    a[..common].cmp(&b[..common]).then_with(|| a.get(common).unwrap_or(&slash).cmp(b.get(common).unwrap_or(&slash)))
}

/// Whether `name` comes before what lies below `folder`, both in the same folder.
pub(super) fn is_before_below(name: &[u8], folder: &[u8]) -> bool {
    let common = name.len().min(folder.len());
    match name[..common].cmp(&folder[..common]) {
        Ordering::Equal => name.get(common).is_none_or(|&byte| byte < b'/'),
        unequal => unequal == Ordering::Less,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn below(folder: &[u8]) -> Vec<u8> {
        [folder, b"/"].concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn both_orders_are_those_of_the_whole_paths(a in "[-.0ab]{1,4}", b in "[-.0ab]{1,4}") {
            let (a, b) = (a.as_bytes(), b.as_bytes());
            prop_assert_eq!(by_path(a, b), below(a).cmp(&below(b)));
            prop_assert_eq!(is_before_below(a, b), a < &below(b)[..]);
        }
    }

    #[test]
    fn parts_come_together_sorted_and_without_repetition() {
        let part = |names: &[(&str, Kind)]| {
            let mut listing = Listing::default();
            for (name, kind) in names {
                let start = listing.names.len() as u64;
                listing.names.extend_from_slice(name.as_bytes());
                let extra = (*kind == Kind::Symlink).then(|| Extra::Target(name.as_bytes().into()));
                let item = Item { name_start: start, name_len: name.len() as u8, kind: *kind, ..Item::blank() };
                let enter = if *kind == Kind::Dir { ENTER } else { NONE };
                listing.push(Item { extra: enter, ..item }, extra, None);
            }
            listing
        };
        let mut all = part(&[("d", Kind::Symlink), ("a", Kind::Dir)]);
        all.absorb(part(&[("b", Kind::Symlink), ("a.b", Kind::Dir), ("a", Kind::Dir), ("c", Kind::File)]));
        all.sort();
        let names: Vec<&[u8]> = all.items.iter().map(|item| all.name(item)).collect();
        assert_eq!(names, [&b"a"[..], b"a.b", b"b", b"c", b"d"]);
        assert_eq!(all.below.iter().map(|b| b.item).collect::<Vec<_>>(), [1, 0], "a.b/ comes before a/");
        for at in [2, 4] {
            let Extra::Target(target) = &all.extras[all.items[at].extra as usize] else { panic!("a target") };
            assert_eq!(target[..], *names[at]);
        }
    }
}
