//! A finished listing in little room: what the merge goes through once, from front to back.
//!
//! In: a sorted [`Listing`]. Out: bytes at the end of a store that many listings share, and its items again, in order. An
//! item takes 80 bytes and some 30 here: what it has in common with the one before is not repeated. All listings of a
//! tree must be there before the first row can be, so this decides how much memory the walk takes.
//!
//! ```text
//! u8 length of the name, name, u8 kind and bits, then where a bit says so and else as in the item before:
//! varints mode, uid, gid, dev; always: zigzag of the difference to the item before of inode, seconds of mtime and of
//! ctime; varints size, ns of mtime, ns of ctime; where a bit says so the number of the extra
//! ```

use std::sync::Arc;

use carrack_backends::witness::{Time, Witness};

use super::item::{ATTRIBUTED, Extra, Item, Listing, NONE};
use crate::entry::{Kind, Xattr};

/// In the byte of the kind: mode, owner, group and device follow.
const META: u8 = 1 << 6;
/// In the byte of the kind: there is an extra.
const EXTRA: u8 = 1 << 7;

/// A folder to enter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entered {
    /// Number of its listing.
    pub(super) listing: u32,
    /// Device and inode.
    pub(super) identity: (u64, u64),
    name_start: u32,
    name_len: u8,
}

/// Everything that was found in one folder; its items lie in a store.
#[derive(Debug, Default)]
pub(super) struct Sealed {
    start: usize,
    end: usize,
    pub(super) extras: Vec<Extra>,
    /// Extended attributes of the items that are [`ATTRIBUTED`], in order.
    pub(super) xattrs: Vec<Arc<[Xattr]>>,
    /// In order of name and `/`.
    pub(super) below: Vec<Entered>,
    /// Names of the folders in `below`.
    names: Vec<u8>,
}

impl Sealed {
    /// Puts the items of a sorted listing, whose folders to enter have their numbers, behind `store`.
    pub(super) fn new(listing: Listing, store: &mut Vec<u8>) -> Self {
        let start = store.len();
        let mut before = Item::blank();
        for item in &listing.items {
            put(store, listing.name(item), item, &before);
            before = *item;
        }
        let mut names = Vec::new();
        let entered = |below: &super::item::Below| {
            let item = &listing.items[below.item as usize];
            let name_start = u32::try_from(names.len()).unwrap_or(u32::MAX);
            names.extend_from_slice(listing.name(item));
            let identity = (item.witness.dev, item.witness.ino);
            Entered { listing: below.listing, identity, name_start, name_len: item.name_len }
        };
        let below = listing.below.iter().map(entered).collect();
        let attributed = listing.items.iter().filter(|item| item.mode & ATTRIBUTED != 0);
        let xattrs =
            attributed.map(|item| listing.xattrs(item).map_or_else(|| Arc::new([]) as _, Arc::clone)).collect();
        Self { start, end: store.len(), extras: listing.extras, xattrs, below, names }
    }

    /// The name of a folder in `below`.
    pub(super) fn name(&self, entered: &Entered) -> &[u8] {
        &self.names[entered.name_start as usize..][..usize::from(entered.name_len)]
    }

    /// A place in front of the first item.
    pub(super) fn cursor(&self) -> Cursor {
        Cursor { at: self.start, end: self.end, item: Item::blank(), name: (0, 0), attributed: 0 }
    }
}

/// Goes through the items of a listing.
#[derive(Debug)]
pub(super) struct Cursor {
    at: usize,
    end: usize,
    /// The last item that was taken out.
    item: Item,
    /// Where its name lies in the store.
    name: (usize, usize),
    /// How many items up to and with this one have extended attributes.
    attributed: usize,
}

impl Cursor {
    /// Goes to the next item; false behind the last one.
    pub(super) fn advance(&mut self, store: &[u8]) -> bool {
        if self.at == self.end {
            return false;
        }
        let mut bytes = Bytes { store, at: self.at };
        let name_len = bytes.byte();
        self.name = (bytes.at, bytes.at + usize::from(name_len));
        bytes.at = self.name.1;
        let tag = bytes.byte();
        let before = self.item;
        let item = &mut self.item;
        item.kind = Kind::from_number(tag & !(META | EXTRA)).expect("what was put in");
        if tag & META != 0 {
            // Narrower numbers went in.
            item.mode = bytes.number() as u16;
            item.uid = bytes.number() as u32;
            item.gid = bytes.number() as u32;
            item.witness.dev = bytes.number();
        }
        let Witness { ino, mtime, ctime, .. } = before.witness;
        item.witness.ino = ino.wrapping_add(bytes.difference());
        let seconds = |time: Time, more: u64| time.sec.wrapping_add(more.cast_signed());
        item.witness.mtime.sec = seconds(mtime, bytes.difference());
        item.witness.ctime.sec = seconds(ctime, bytes.difference());
        item.witness.size = bytes.number();
        item.witness.mtime.nsec = bytes.number() as u32;
        item.witness.ctime.nsec = bytes.number() as u32;
        item.extra = if tag & EXTRA != 0 { bytes.number() as u32 } else { NONE };
        self.attributed += usize::from(item.mode & ATTRIBUTED != 0);
        self.at = bytes.at;
        true
    }

    /// The item that [`advance`](Self::advance) went to.
    pub(super) fn item(&self) -> &Item {
        &self.item
    }

    /// Its place in [`Sealed::xattrs`], if it has extended attributes.
    pub(super) fn xattrs(&self) -> Option<usize> {
        (self.item.mode & ATTRIBUTED != 0).then(|| self.attributed - 1)
    }

    /// Its name.
    pub(super) fn name<'s>(&self, store: &'s [u8]) -> &'s [u8] {
        &store[self.name.0..self.name.1]
    }
}

fn put(store: &mut Vec<u8>, name: &[u8], item: &Item, before: &Item) {
    let meta = |item: &Item| (item.mode, item.uid, item.gid, item.witness.dev);
    let same = meta(item) == meta(before);
    // A folder's marks are known from the list of folders to enter.
    let extra = item.kind != Kind::Dir && item.extra != NONE;
    store.push(item.name_len);
    store.extend_from_slice(name);
    store.push(item.kind.number() | if same { 0 } else { META } | if extra { EXTRA } else { 0 });
    let Witness { dev, ino, size, mtime, ctime } = item.witness;
    if !same {
        [item.mode.into(), item.uid.into(), item.gid.into(), dev].into_iter().for_each(|n| number(store, n));
    }
    number(store, zigzag(ino.wrapping_sub(before.witness.ino)));
    let seconds = |time: Time, before: Time| zigzag(time.sec.wrapping_sub(before.sec).cast_unsigned());
    number(store, seconds(mtime, before.witness.mtime));
    number(store, seconds(ctime, before.witness.ctime));
    [size, mtime.nsec.into(), ctime.nsec.into()].into_iter().for_each(|n| number(store, n));
    if extra {
        number(store, item.extra.into());
    }
}

/// Small numbers from small differences, whatever their sign.
fn zigzag(difference: u64) -> u64 {
    (difference << 1) ^ (difference.cast_signed() >> 63).cast_unsigned()
}

/// Seven bits a byte, low ones first, the top bit set on all but the last.
fn number(store: &mut Vec<u8>, mut number: u64) {
    while number > 0x7f {
        store.push(number as u8 | 0x80);
        number >>= 7;
    }
    store.push(number as u8);
}

/// What [`put`] wrote, read back.
struct Bytes<'s> {
    store: &'s [u8],
    at: usize,
}

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        self.at += 1;
        self.store[self.at - 1]
    }

    fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return number;
            }
            shift += 7;
        }
    }

    fn difference(&mut self) -> u64 {
        let zigzag = self.number();
        (zigzag >> 1) ^ (zigzag & 1).wrapping_neg()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Attributes for some of the names, each its own.
    fn xattrs(name: &str) -> Option<Arc<[Xattr]>> {
        let xattr = || Xattr { name: b"user.name".to_vec(), value: name.into() };
        name.len().is_multiple_of(3).then(|| [xattr()].into())
    }

    type Parts = (String, u64, u64, i64, u32, (u16, u32, usize));

    fn listing(parts: &[Parts]) -> Listing {
        let mut listing = Listing::default();
        for (name, ino, size, sec, nsec, (mode, uid, kind)) in parts {
            let kind = Kind::ALL[*kind];
            let (mtime, ctime) = (Time { sec: *sec, nsec: *nsec }, Time { sec: sec.wrapping_mul(3), nsec: nsec / 2 });
            let witness = Witness { dev: u64::from(*uid) << 40, ino: *ino, size: *size, mtime, ctime };
            let (name_start, name_len) = (listing.names.len() as u64, name.len() as u8);
            let item = Item { witness, name_start, name_len, uid: *uid, gid: uid ^ 1, extra: NONE, mode: *mode, kind };
            listing.names.extend_from_slice(name.as_bytes());
            let extra = (kind == Kind::Symlink).then(|| Extra::Target(name.as_bytes().into()));
            listing.push(item, extra, xattrs(name));
        }
        listing
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn items_come_back_in_order(parts in prop::collection::vec(
            ("[a-z]{1,9}", any::<u64>(), any::<u64>(), any::<i64>(), 0..1_000_000_000_u32, (0..4_u16, 0..3_u32, 0..8_usize)),
            0..40,
        )) {
            let mut store = b"what others put there".to_vec();
            let listing = listing(&parts);
            let mut listing = listing;
            listing.xattrs.sort_unstable_by_key(|&(start, _)| start);
            let expected: Vec<_> = listing
                .items
                .iter()
                .map(|item| (listing.name(item).to_vec(), Item { name_start: 0, name_len: 0, ..*item }))
                .collect();
            let sealed = Sealed::new(listing, &mut store);
            store.extend_from_slice(b"and after");
            let mut cursor = sealed.cursor();
            for (name, item) in expected {
                prop_assert!(cursor.advance(&store));
                prop_assert_eq!(cursor.name(&store), &name[..]);
                prop_assert_eq!(format!("{:?}", cursor.item()), format!("{:?}", item));
                let found = cursor.xattrs().map(|at| Arc::clone(&sealed.xattrs[at]));
                prop_assert_eq!(found, xattrs(str::from_utf8(&name).unwrap()));
            }
            prop_assert!(!cursor.advance(&store));
        }
    }
}
