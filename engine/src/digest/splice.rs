//! The digest of a file from spans that may begin and end anywhere.
//!
//! What flows in: the bytes of each extent of a file, hashed apart by [`span`] on any thread. What flows out: from
//! [`Splicer`], which takes the spans in file order, the digest of the whole file.
//!
//! BLAKE3 hashes leaves of [`LEAF`] bytes, so of a span that begins or ends within a leaf only the whole leaves can be hashed
//! alone. The bytes before and behind them, less than a leaf each, are kept until their neighbours come: then the
//! splicer puts the leaf together. A span that begins at a multiple of [`LEAF`] and ends at one, or with the file,
//! keeps no bytes.

use super::Digest;
use super::tree::{Joiner, LEAF, Part, part, zeros};

/// The bytes of one extent of a file, hashed as far as that is possible without their neighbours. Besides the
/// chaining values it holds less than two leaves of bytes.
#[derive(Clone, Debug)]
pub struct Span {
    offset: u64,
    /// Bytes before the first whole leaf.
    head: Box<[u8]>,
    /// Everything up to the last whole leaf, or to the end of the file.
    leaves: Part,
    /// Bytes behind it.
    tail: Box<[u8]>,
}

/// Hashes the bytes at `offset` of a file of `size` bytes.
#[must_use]
pub fn span(bytes: &[u8], offset: u64, size: u64) -> Span {
    let (head, rest) = cut(offset, bytes.len() as u64, size);
    let (head, rest) = (head as usize, rest as usize);
    Span {
        offset,
        head: bytes[..head].into(),
        leaves: part(&bytes[head..rest], offset + head as u64),
        tail: bytes[rest..].into(),
    }
}

/// Zeros that a thread hashes at once, bytes: some milliseconds of work, a multiple of [`LEAF`].
const STRIPE: u64 = 64 << 20;

/// Hashes zeros from each place to the other, each stripe on a thread of its own but for the first.
fn hash_stripes(stripes: &[(u64, u64)]) -> Vec<Part> {
    let hash = |&(start, end): &(u64, u64)| zeros(end - start, start);
    std::thread::scope(|scope| {
        let spawn = |stripe| std::thread::Builder::new().spawn_scoped(scope, move || hash(stripe));
        let others: Vec<_> = stripes.iter().skip(1).map(|stripe| (stripe, spawn(stripe))).collect();
        let mut parts: Vec<Part> = stripes.first().map(hash).into_iter().collect();
        // A thread that the system refuses is done without.
        parts.extend(others.into_iter().map(|(stripe, thread)| match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(_) => hash(stripe),
        }));
        parts
    })
}

/// Where the whole leaves of `len` bytes at `offset` begin and end, counted from `offset`. The last leaf of a file is whole
/// however short it is.
fn cut(offset: u64, len: u64, size: u64) -> (u64, u64) {
    let end = offset + len;
    let head = (offset.next_multiple_of(LEAF) - offset).min(len);
    let tail = if end == size { 0 } else { (end % LEAF).min(len - head) };
    (head, len - tail)
}

/// Joins the spans of one file, in file order, to its digest. Holds one chaining value a level of the tree and at most
/// one leaf.
#[derive(Clone, Debug)]
pub struct Splicer {
    joiner: Joiner,
    /// The leaf that is not whole yet.
    leaf: Vec<u8>,
    size: u64,
}

impl Splicer {
    /// A splicer for a file of `size` bytes.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self { joiner: Joiner::new(), leaf: Vec::new(), size }
    }

    /// Bytes taken in so far.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks; an empty file is legal and has length 0")]
    pub fn len(&self) -> u64 {
        self.joiner.len() + self.leaf.len() as u64
    }

    /// Takes in the next span.
    ///
    /// # Panics
    /// When the span does not begin where the last one ended.
    pub fn push(&mut self, span: Span) {
        assert!(span.offset == self.len(), "a span at offset {} behind {} bytes", span.offset, self.len());
        self.fill(&span.head);
        self.joiner.push(span.leaves);
        self.fill(&span.tail);
    }

    /// Takes in the next `len` bytes, which are zeros.
    pub fn push_zeros(&mut self, len: u64) {
        self.push_zeros_with(len, 1);
    }

    /// The same; a long run is hashed by so many threads at once, this one among them. There is no shorter way: every leaf is
    /// hashed with its place in the file, so no two of them have the same value.
    pub fn push_zeros_with(&mut self, len: u64, threads: usize) {
        const BYTES: [u8; LEAF as usize] = [0; LEAF as usize];
        let offset = self.len();
        let (head, rest) = cut(offset, len, self.size);
        self.fill(&BYTES[..head as usize]);
        let (mut at, end) = (offset + head, offset + rest);
        while threads > 1 && end - at > STRIPE {
            // The last stripe may be the file's end, and shorter.
            let ends = (0..threads as u64).map(|n| (at + n * STRIPE, (at + (n + 1) * STRIPE).min(end)));
            let stripes: Vec<(u64, u64)> = ends.filter(|(start, end)| start < end).collect();
            hash_stripes(&stripes).into_iter().for_each(|part| self.joiner.push(part));
            at = stripes.last().map_or(end, |&(_, end)| end);
        }
        self.joiner.push(zeros(end - at, at));
        self.fill(&BYTES[..(len - rest) as usize]);
    }

    /// Takes in bytes of a leaf that is not whole; never more than it lacks.
    fn fill(&mut self, bytes: &[u8]) {
        self.leaf.extend_from_slice(bytes);
        debug_assert!(self.leaf.len() as u64 <= LEAF);
        if self.leaf.len() as u64 == LEAF {
            self.close();
        }
    }

    fn close(&mut self) {
        self.joiner.push(part(&self.leaf, self.joiner.len()));
        self.leaf.clear();
    }

    /// The digest of everything taken in.
    #[must_use]
    pub fn finish(mut self) -> Digest {
        if !self.leaf.is_empty() {
            self.close();
        }
        self.joiner.finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len as u64).map(|at| (at.wrapping_mul(0x9E37_79B9) >> 13) as u8).collect()
    }

    /// The digest from spans cut at these places, every third of them zeros.
    fn spliced(whole: &mut [u8], cuts: &[usize]) -> Digest {
        let size = whole.len() as u64;
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (whole.len() + 1)).collect();
        places.extend([0, whole.len()]);
        places.sort_unstable();
        let mut splicer = Splicer::new(size);
        for (number, pair) in places.windows(2).enumerate() {
            let piece = &mut whole[pair[0]..pair[1]];
            if number % 3 == 2 {
                piece.fill(0);
                splicer.push_zeros(piece.len() as u64);
            } else {
                splicer.push(span(piece, pair[0] as u64, size));
            }
            assert_eq!(splicer.len(), pair[1] as u64);
        }
        splicer.finish()
    }

    #[test]
    fn lengths_around_the_leaf_cut_around_the_leaf() {
        let around = [0, 1, 1023, 1024, 1025, 2047, 2048, 2049, 3000, 4096, 5000];
        for len in around {
            for cut in around {
                for other in around {
                    let mut whole = bytes(len);
                    let found = spliced(&mut whole, &[cut, other]);
                    assert_eq!(found, Digest::of(&whole), "{len} bytes cut at {cut} and {other}");
                }
            }
        }
    }

    #[test]
    fn aligned_spans_keep_no_bytes() {
        let whole = bytes(5000);
        for (start, end) in [(0, 5000), (0, 4096), (1024, 2048), (4096, 5000)] {
            let span = span(&whole[start..end], start as u64, 5000);
            assert!(span.head.is_empty() && span.tail.is_empty(), "{start}..{end}");
        }
        let span = span(&whole[100..3000], 100, 5000);
        assert_eq!((span.head.len(), span.tail.len()), (924, 3000 - 2048));
    }

    #[test]
    fn several_threads_hash_the_same_zeros() {
        for len in [STRIPE, STRIPE + 1, 3 * STRIPE - 5, 2 * STRIPE + LEAF] {
            for (before, behind) in [(0, 0), (7, 9), (LEAF as usize, 0)] {
                let size = before as u64 + len + behind as u64;
                let digest = |threads| {
                    let mut splicer = Splicer::new(size);
                    splicer.push(span(&bytes(before), 0, size));
                    splicer.push_zeros_with(len, threads);
                    splicer.push(span(&bytes(behind), before as u64 + len, size));
                    splicer.finish()
                };
                assert_eq!(digest(3), digest(1), "{before}, {len}, {behind}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_digest_does_not_depend_on_the_cuts(len in 0..40_000_usize, cuts in prop::collection::vec(any::<usize>(), 0..30)) {
            let mut whole = bytes(len);
            let found = spliced(&mut whole, &cuts);
            prop_assert_eq!(found, Digest::of(&whole));
        }
    }
}
