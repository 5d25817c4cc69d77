//! The digest of a file from pieces that are hashed independently, by BLAKE3's own tree.
//!
//! What flows in: pieces of one file with their offsets, hashed by [`part`] and [`zeros`] in any order and on any
//! thread. What flows out of [`Joiner`], which takes the parts in file order: the digest of the whole file, the same as
//! [`Digest::of`] all its bytes.
//!
//! # How
//! BLAKE3 cuts its input into leaves of 1024 bytes. A **subtree** is 2^k leaves that begin at a multiple of 2^k leaves
//! (or fewer at the end of the input), and it has one *chaining value*, which depends on its bytes and on where they
//! lie. A piece is cut into the largest subtrees that fit, from left to right; where it is cut follows from offset and
//! length alone. The joiner keeps a stack of chaining values, at most one a level, and merges two subtrees of one size
//! only when something follows them: the last merge of all makes the root, which is computed differently.
//!
//! For the same reason the whole of a file is never hashed as one subtree: a piece at offset 0 is always cut into at
//! least two subtrees, or, when it is no longer than one leaf, keeps its root digest as well.

use blake3::hazmat::{ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};

use super::Digest;

/// Bytes in one leaf of the tree: what offsets of pieces are multiples of.
pub const LEAF: u64 = blake3::CHUNK_LEN as u64;

/// What zeros are hashed from.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// One piece of a file, hashed.
#[derive(Clone, Debug)]
pub struct Part {
    offset: u64,
    len: u64,
    subtrees: Subtrees,
    /// The digest of the piece as a whole file: kept only where the joiner could not compute it.
    root: Option<Digest>,
}

/// Hashes the piece of a file that begins at `offset`. Only a file's last piece may have a length that is no multiple
/// of [`LEAF`].
///
/// # Panics
/// When `offset` is no multiple of [`LEAF`] (a piece without bytes may lie anywhere).
#[must_use]
pub fn part(bytes: &[u8], offset: u64) -> Part {
    let mut rest = bytes;
    Part::new(bytes.len() as u64, offset, |hasher, len| {
        let (subtree, behind) = rest.split_at(usize::try_from(len).expect("a piece is in memory"));
        rest = behind;
        hasher.update(subtree);
    })
}

/// Hashes a piece that is a hole of `len` bytes and reads as zeros. Costs the time of hashing `len` bytes and no
/// memory.
///
/// # Panics
/// When `offset` is no multiple of [`LEAF`] (a piece without bytes may lie anywhere).
#[must_use]
pub fn zeros(len: u64, offset: u64) -> Part {
    Part::new(len, offset, update_zeros)
}

/// Feeds `len` zero bytes.
pub(super) fn update_zeros(hasher: &mut blake3::Hasher, mut len: u64) {
    while len > 0 {
        let step = len.min(ZEROS.len() as u64);
        hasher.update(&ZEROS[..step as usize]);
        len -= step;
    }
}

impl Part {
    /// Cuts the piece into subtrees; `feed` gives a hasher the next so many bytes.
    fn new(len: u64, offset: u64, mut feed: impl FnMut(&mut blake3::Hasher, u64)) -> Self {
        assert!(
            len == 0 || offset.is_multiple_of(LEAF),
            "a piece begins at offset {offset}, which is no multiple of {LEAF}"
        );
        let mut part = Self { offset, len, subtrees: Subtrees::default(), root: None };
        let mut at = 0;
        while at < len {
            let subtree = subtree_len(offset + at, len - at);
            let mut hasher = blake3::Hasher::new();
            hasher.set_input_offset(offset + at);
            feed(&mut hasher, subtree);
            if offset == 0 && len <= LEAF {
                part.root = Some(Digest(*hasher.finalize().as_bytes()));
            }
            part.subtrees.push(hasher.finalize_non_root());
            at += subtree;
        }
        part
    }

    /// Offset of the piece in its file, bytes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Length of the piece, bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks; an empty piece is legal and has length 0")]
    pub fn len(&self) -> u64 {
        self.len
    }
}

/// Length of the largest subtree that begins at `at` and lies within the next `len` bytes, but is not the whole of a
/// file of `len` bytes (unless that is a single leaf).
fn subtree_len(at: u64, len: u64) -> u64 {
    if len <= LEAF {
        return len;
    }
    let fits = 1 << len.ilog2();
    match blake3::hazmat::max_subtree_len(at) {
        None => left_subtree_len(len),
        Some(aligned) => fits.min(aligned),
    }
}

/// Chaining values from left to right; two need no allocation: an aligned piece of 2^k leaves never has more.
#[derive(Clone, Debug, Default)]
struct Subtrees {
    first: [ChainingValue; 2],
    firsts: u8,
    more: Vec<ChainingValue>,
}

impl Subtrees {
    fn push(&mut self, value: ChainingValue) {
        match self.first.get_mut(usize::from(self.firsts)) {
            Some(place) => {
                *place = value;
                self.firsts += 1;
            }
            None => self.more.push(value),
        }
    }

    fn as_slices(&self) -> (&[ChainingValue], &[ChainingValue]) {
        (&self.first[..usize::from(self.firsts)], &self.more)
    }
}

/// Joins the parts of one file, in file order, to its digest. Holds one chaining value a level of the tree: at most
/// 55 of 32 bytes.
#[derive(Clone, Debug, Default)]
pub struct Joiner {
    len: u64,
    /// Chaining values of subtrees, each smaller than the one before it, but for the last two, which may be equal.
    stack: Vec<ChainingValue>,
    root: Option<Digest>,
}

impl Joiner {
    /// A joiner that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes joined so far.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks; an empty file is legal and has length 0")]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Takes in the next part. A part without bytes is ignored wherever it was planned: a file that shrank while it
    /// was read ends in such parts.
    ///
    /// # Panics
    /// When the part does not begin where the last one ended.
    #[expect(clippy::needless_pass_by_value, reason = "a part is joined once")]
    pub fn push(&mut self, part: Part) {
        if part.len == 0 {
            return;
        }
        assert!(part.offset == self.len, "a part of offset {} joined to {} bytes", part.offset, self.len);
        let (first, more) = part.subtrees.as_slices();
        let mut left = part.len;
        for &value in first.iter().chain(more) {
            let len = subtree_len(self.len, left);
            self.push_subtree(value, len);
            left -= len;
        }
        self.root = part.root;
    }

    fn push_subtree(&mut self, value: ChainingValue, len: u64) {
        // Every set bit in the number of leaves so far is one complete subtree. Something follows them, so none of
        // these merges is the root.
        let complete = (self.len / LEAF).count_ones() as usize;
        while self.stack.len() > complete {
            self.merge_last_two();
        }
        self.stack.push(value);
        self.len += len;
    }

    fn merge_last_two(&mut self) {
        if let (Some(right), Some(left)) = (self.stack.pop(), self.stack.pop()) {
            self.stack.push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
    }

    /// The digest of the whole file.
    #[must_use]
    pub fn finish(mut self) -> Digest {
        while self.stack.len() > 2 {
            self.merge_last_two();
        }
        match self.stack[..] {
            [] => Digest::of(b""),
            [left, right] => Digest(*merge_subtrees_root(&left, &right, Mode::Hash).as_bytes()),
            _ => self.root.expect("a file of one leaf is one part at offset 0, which keeps its root digest"),
        }
    }
}

#[cfg(test)]
mod tests;
