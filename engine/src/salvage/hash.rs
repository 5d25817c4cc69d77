//! The contents of files that were put together again: decoded, and hashed for their rows.
//!
//! Files are taken in the order in which they lie in blocks, so that a block is decoded once as a rule; each thread keeps the last
//! few. A file whose contents cannot be decoded, or do not have the digest that its row has, is lost. Frames that no file proved to be
//! decodable are tried in the end.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::thread;

use crate::codec::Decoder;
use crate::container::error::ContainerError;
use crate::container::frame::FrameKind;
use crate::container::id::ArchiveId;
use crate::container::source::Source;
use crate::digest::{Digest, Hasher};
use crate::entry::{Entry, Extent, Kind};
use crate::index::BlockRow;
use crate::restore::dictionaries::Dictionaries;
use crate::restore::frames::{FrameBytes, FrameError};

/// Decoded blocks that a thread keeps, bytes, besides the one in use.
const KEPT: usize = 32 << 20;
/// How many zeros of a hole are hashed between two looks at `stop`, bytes: a hole takes time to hash and no room in a directory,
/// so there may be any number of bytes of them.
const HOLE_STEP: u64 = 1 << 26;

/// The digest of a file, or why there is none.
pub(super) type Hashed = Result<Digest, String>;

/// Where blocks are.
pub(super) struct Blocks<'a> {
    pub source: &'a dyn Source,
    pub archive_id: ArchiveId,
    pub rows: &'a BTreeMap<u64, BlockRow>,
}

/// What came of the files.
pub(super) struct Proof {
    /// The digest of every file, or why there is none; in the order of the entries.
    pub digests: Vec<Option<Hashed>>,
    /// Frames whose digests are right and whose payloads cannot be decoded: whoever wrote them meant that.
    pub undecodable: BTreeSet<u64>,
}

/// The digest of every file among `entries`, and the frames that cannot be decoded. `stop` ends it early.
///
/// # Errors
/// [`ContainerError::Io`] when the source fails.
pub(super) fn digests(
    entries: &[Entry],
    blocks: &Blocks<'_>,
    threads: usize,
    stop: &(dyn Fn() -> bool + Sync),
) -> Result<Proof, ContainerError> {
    let mut order: Vec<usize> = (0..entries.len()).filter(|&at| entries[at].kind == Kind::File).collect();
    let first = |at: usize| entries[at].extents.first().map_or((0, 0), |extent| (extent.block, extent.offset));
    order.sort_by_key(|&at| first(at));
    let dictionaries = Dictionaries::default();
    let mut digests: Vec<Option<Hashed>> = vec![None; entries.len()];
    let share = order.len().div_ceil(threads.max(1)).max(1);
    let reader = || Reader {
        blocks,
        dictionaries: &dictionaries,
        stop,
        kept: VecDeque::new(),
        bytes: 0,
        decodable: BTreeSet::new(),
    };
    type Found = (Vec<(usize, Hashed)>, BTreeSet<u64>);
    let found = thread::scope(|scope| {
        let work = |part: &[usize]| -> Result<Found, ContainerError> {
            let mut reader = reader();
            let wanted = part.iter().take_while(|_| !stop());
            let hashed = wanted.map(|&at| Ok((at, reader.digest(&entries[at])?))).collect::<Result<_, _>>()?;
            Ok((hashed, reader.decodable))
        };
        let running: Vec<_> = order.chunks(share).map(|part| scope.spawn(move || work(part))).collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Result<Vec<_>, _>>()
    })?;
    let mut decodable = BTreeSet::new();
    for (hashed, decoded) in found {
        decodable.extend(decoded);
        hashed.into_iter().for_each(|(at, digest)| digests[at] = Some(digest));
    }
    let mut undecodable = BTreeSet::new();
    for (&seq, row) in blocks.rows.iter().filter(|(seq, _)| !decodable.contains(*seq)) {
        let is_known = matches!(row.kind, FrameKind::Block | FrameKind::Dictionary | FrameKind::Table);
        if is_known && !stop() && reader().decode(seq)?.is_err_and(|why| why.is_malformed) {
            undecodable.insert(seq);
        }
    }
    Ok(Proof { digests, undecodable })
}

/// Why a block gave no bytes.
struct Undecoded {
    text: String,
    /// Whether nobody can decode it; what is of a newer version, somebody can.
    is_malformed: bool,
}

struct Reader<'a> {
    blocks: &'a Blocks<'a>,
    dictionaries: &'a Dictionaries,
    stop: &'a (dyn Fn() -> bool + Sync),
    /// Decoded blocks by their numbers, the one used last behind.
    kept: VecDeque<(u32, Result<Vec<u8>, Undecoded>)>,
    /// What they come to.
    bytes: usize,
    /// Blocks that were decoded.
    decodable: BTreeSet<u64>,
}

impl Reader<'_> {
    /// The digest of a file's contents, or what is wrong with them.
    fn digest(&mut self, entry: &Entry) -> Result<Hashed, ContainerError> {
        let (mut hasher, mut at) = (Hasher::new(), 0u64);
        let mut holes = entry.holes.iter().peekable();
        let mut extents = entry.extents.iter().peekable();
        loop {
            if let Some(hole) = holes.next_if(|hole| hole.offset == at) {
                let mut left = hole.len;
                while left > 0 {
                    if (self.stop)() {
                        return Ok(Err("stopped before the end".to_owned()));
                    }
                    let step = left.min(HOLE_STEP);
                    hasher.update_zeros(step);
                    left -= step;
                }
                at += hole.len;
            } else if let Some(extent) = extents.next() {
                match self.bytes(extent)? {
                    Ok(bytes) => hasher.update(bytes),
                    Err(why) => return Ok(Err(why.to_owned())),
                };
                at += u64::from(extent.len);
            } else {
                break;
            }
        }
        let found = hasher.digest();
        Ok(match entry.digest {
            Some(expected) if expected != found => Err(format!("its content has the digest {found}, not {expected}")),
            _ => Ok(found),
        })
    }

    /// The bytes of an extent, or what is wrong with their block.
    fn bytes(&mut self, extent: &Extent) -> Result<Result<&[u8], &str>, ContainerError> {
        if let Some(at) = self.kept.iter().position(|(block, _)| *block == extent.block) {
            let found = self.kept.remove(at).expect("it was just found");
            self.kept.push_back(found);
        } else {
            let decoded = self.decode(extent.block.into())?;
            if decoded.is_ok() {
                self.decodable.insert(extent.block.into());
            }
            self.bytes += decoded.as_ref().map_or(0, Vec::len);
            while self.bytes > KEPT
                && let Some((_, old)) = self.kept.pop_front()
            {
                self.bytes -= old.map_or(0, |old| old.len());
            }
            self.kept.push_back((extent.block, decoded));
        }
        let (_, block) = self.kept.back().expect("it was just put there");
        let range = extent.offset as usize..(extent.offset + extent.len) as usize;
        Ok(match block {
            Ok(bytes) => bytes.get(range).ok_or("its block is shorter than that"),
            Err(why) => Err(&why.text),
        })
    }

    fn decode(&self, block: u64) -> Result<Result<Vec<u8>, Undecoded>, ContainerError> {
        let Blocks { source, archive_id, rows } = *self.blocks;
        let decoded = || -> Result<Vec<u8>, FrameError> {
            let find = |seq: u64| {
                rows.get(&seq).copied().ok_or_else(|| ContainerError::damaged("frame", 0, "one that is intact", "none"))
            };
            let row = find(block).map_err(FrameError::Container)?;
            let dictionary = self.dictionaries.of(&row, source, archive_id, &find)?;
            let mut frame = FrameBytes::default();
            frame.read(source, &row)?;
            let proved = frame.check(&row, archive_id)?;
            let mut buffer = Vec::new();
            Ok(proved.block(dictionary.as_deref(), &mut Decoder::new(), &mut buffer)?.to_vec())
        };
        match decoded() {
            Ok(bytes) => Ok(Ok(bytes)),
            Err(FrameError::Container(error @ ContainerError::Io { .. })) => Err(error),
            Err(error) => Ok(Err(Undecoded {
                text: format!("block {block}: {error}"),
                is_malformed: !super::is_readable_elsewhere(&error),
            })),
        }
    }
}
