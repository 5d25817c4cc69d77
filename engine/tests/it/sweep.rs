//! Each harm of a kind, at each place of small archives that hold every feature between them: noticed, never a panic, and
//! contained: what does not touch the damaged part comes out as it was packed, and what does is named.
//!
//! The quick part does one harm of each byte in turn and all of the rest. `CARRACK_SWEEP=all` does every one: each bit of each
//! byte, each byte to 00, to FF and one more (`make sweep`).

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use carrack_backends::tree::{MemoryTree, Node};
use carrack_engine::archive::Archive;
use carrack_engine::codec::{Codec, FilterChoice, FilterId, Filters};
use carrack_engine::container::directory::Record;
use carrack_engine::control::Control;
use carrack_engine::entry::{Entry, Kind};
use carrack_engine::pack::{Dedup, Packer};
use carrack_engine::plan::Order;
use carrack_engine::salvage::salvage;
use carrack_engine::unpack::Unpacker;
use carrack_fixtures::content::{Content, Lang, Recipe};
use carrack_fixtures::tree::Builder;
use rustix::fs::XattrFlags;

use crate::damage_real::{is_clean, is_sound, one_of_everything};
use crate::salvage::for_each_record;
use crate::support::{Place, TIME, blocks, frames, noise, open, pack, rows, try_open, verify_clean};

/// What is harmed at once where it is more than a byte.
const SECTOR: usize = 512;

/// Files that repeat themselves and each other: a dictionary pays from a MiB of one kind on, and here it leaves next to nothing of
/// them.
fn alike() -> Place {
    let text = Content::stream(Recipe::Source(Lang::C, 1), 1, 5000).to_vec();
    let mut plan = Builder::new(TIME);
    for n in 0..18 {
        let mut bytes = text.repeat(12);
        bytes.extend_from_slice(format!("// {n}\n").as_bytes());
        plan.file(format!("{n:02}.c"), Content::bytes(bytes), TIME);
    }
    plan.file("noise", noise(1, 300), TIME);
    Place::new(plan.finish())
}

/// One of everything: all kinds, odd names, holes, duplicates, equal pieces, attributes.
fn place() -> Place {
    let source = |seed, len| Content::stream(Recipe::Source(Lang::C, 1), seed, len);
    let code = |len| Content::stream(Recipe::Executable, 3, len);
    let mut plan = one_of_everything(&code(2500), noise(1, 300));
    for n in 0..12 {
        plan.file(format!("c/{n:02}.c"), source(n, 400 + n * 37 % 900), TIME + n as i64);
    }
    plan.file("code, longer", code(3000), TIME);
    let place = Place::new(plan.finish());
    let with_one = ["code", "folder"];
    for name in with_one {
        let path = place.tree.join(name);
        if rustix::fs::lsetxattr(&path, "user.kept", name.as_bytes(), XattrFlags::empty()).is_err() {
            eprintln!("not tested, as this file system has no attributes: {}", path.display());
        }
    }
    place
}

/// An archive, and what of it stands where.
struct Whole {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    contents: Vec<Option<Vec<u8>>>,
    /// The bytes of each frame, without padding.
    frames: Vec<Range<usize>>,
    /// Of each row, the frames that its contents need, dictionaries included.
    needs: Vec<BTreeSet<usize>>,
    /// Of each row, the frames whose directories tell of it.
    told_in: Vec<BTreeSet<usize>>,
}

impl Whole {
    fn new(packer: &Packer) -> Self {
        let (bytes, _) = pack(packer);
        let archive = open(bytes.clone());
        verify_clean(&archive);
        let entries = rows(&archive);
        let content = |entry: &Entry| (entry.kind == Kind::File).then(|| archive.read(&entry.path).unwrap());
        let contents = entries.iter().map(content).collect();
        let dictionaries: Vec<_> = blocks(&archive).iter().map(|block| block.dictionary).collect();
        let needs_of = |entry: &Entry| {
            let blocks = entry.extents.iter().map(|extent| extent.block as usize);
            blocks.flat_map(|block| [Some(block), dictionaries[block].map(|seq| seq as usize)]).flatten().collect()
        };
        let needs = entries.iter().map(needs_of).collect();
        let (frames, told_in) = (frames(&archive), told_in(&archive, entries.len()));
        Self { bytes, entries, contents, frames, needs, told_in }
    }

    /// Checks what is left of the archive after some harm.
    fn check(&self, harmed: &[u8]) -> Result<(), String> {
        let in_place: Vec<bool> =
            self.frames.iter().map(|frame| harmed.get(frame.clone()) == Some(&self.bytes[frame.clone()])).collect();
        let archive = try_open(harmed.to_vec()).ok();
        if let Some(archive) = &archive {
            if is_clean(archive) {
                return Err("nothing is noticed".to_owned());
            }
            if archive.entries().all(|entry| entry.is_ok()) {
                self.check_unpacked(archive, &in_place)?;
            }
        }
        self.check_salvaged(harmed)
    }

    /// With the index intact: every file whose frames are comes out, all others are named.
    fn check_unpacked(&self, archive: &Archive, in_place: &[bool]) -> Result<(), String> {
        let tree = MemoryTree::new();
        let unpacked = Unpacker::new(archive).threads(1).specials(true).unpack_to_tree(Arc::new(tree.clone()));
        // The blocks table may be what is damaged.
        let Ok(report) = unpacked else { return Ok(()) };
        let lost: BTreeSet<&[u8]> = report.lost.iter().map(Vec::as_slice).collect();
        let nodes = tree.nodes();
        for (at, entry) in self.entries.iter().enumerate().filter(|(_, entry)| entry.kind == Kind::File) {
            let is_whole = self.needs[at].iter().all(|&frame| in_place[frame]);
            let path = entry.path.escape_ascii();
            match nodes.get(&entry.path) {
                Some(Node::File { bytes, .. }) if Some(bytes) != self.contents[at].as_ref() => {
                    return Err(format!("{path} came out as something else"));
                }
                Some(_) => {}
                None if is_whole => return Err(format!("{path} is whole, and did not come out")),
                None if !lost.contains(&entry.path[..]) => return Err(format!("{path} is missing, and not named")),
                None => {}
            }
        }
        Ok(())
    }

    /// Every entry whose frames are intact, wherever they are now, is salvaged as it was; nothing else comes.
    fn check_salvaged(&self, harmed: &[u8]) -> Result<(), String> {
        let is_left = |frame: &Range<usize>| {
            let bytes = &self.bytes[frame.clone()];
            harmed.get(frame.clone()) == Some(bytes) || harmed.windows(bytes.len()).any(|window| window == bytes)
        };
        let left: Vec<bool> = self.frames.iter().map(is_left).collect();
        let found = match salvage("harmed", Arc::new(harmed.to_vec()), &Control::default()) {
            Ok(found) => found,
            Err(error) if left.contains(&true) => return Err(format!("nothing is salvaged: {error}")),
            Err(_) => return Ok(()),
        };
        let salvaged = rows(&found.archive);
        let mut came = BTreeSet::new();
        for entry in salvaged.iter().filter(|entry| !found.report.made_up.contains(&entry.path)) {
            let path = entry.path.escape_ascii();
            let Ok(at) = self.entries.binary_search_by(|known| known.path.cmp(&entry.path)) else {
                return Err(format!("{path} was never packed"));
            };
            let known = &self.entries[at];
            let first = |entry: &Entry, of: &[Entry]| entry.hardlink.map(|row| of[row as usize].path.clone());
            let alike = Entry { hardlink: known.hardlink, ..entry.clone() } == *known;
            if !alike || first(entry, &salvaged) != first(known, &self.entries) {
                return Err(format!("{path} is salvaged with other metadata"));
            }
            if let Some(content) = &self.contents[at]
                && found.archive.read(&entry.path).ok().as_ref() != Some(content)
            {
                return Err(format!("{path} is salvaged as something else"));
            }
            came.insert(at);
        }
        let has = |frames: &BTreeSet<usize>| frames.iter().all(|&frame| left[frame]);
        let can_come = |at: usize| has(&self.needs[at]) && (found.report.has_index || has(&self.told_in[at]));
        for (at, entry) in self.entries.iter().enumerate() {
            let target = entry.hardlink.is_none_or(|first| can_come(first as usize));
            if can_come(at) && target && !came.contains(&at) {
                return Err(format!("{} is whole, and was not salvaged", entry.path.escape_ascii()));
            }
        }
        Ok(())
    }
}

/// Of each row, the frames whose directories tell of it.
fn told_in(archive: &Archive, rows: usize) -> Vec<BTreeSet<usize>> {
    let mut told_in = vec![BTreeSet::new(); rows];
    for_each_record(archive, |block, record| {
        let row = match record {
            Record::Entry(row, _) => row,
            Record::Chunk(chunk) => chunk.row,
        };
        told_in[row as usize].insert(block.seq as usize);
    });
    told_in
}

/// Small archives that hold every feature between them: each codec, filters, a dictionary, pieces, another order.
fn wholes() -> Vec<(&'static str, Whole)> {
    let (alike, place) = (alike(), place());
    let packer = place.packer().block_size(4096).threads(1);
    let zstd = Codec::Zstd { level: 5 };
    let chain = Filters::of(&[FilterId::X86, FilterId::delta(4), FilterId::shuffle(4)]);
    let pieces = packer.clone().dedup(Dedup::Chunk).chunk_size(1 << 10).order(Order::Similar);
    vec![
        ("zstd with a dictionary", Whole::new(&alike.packer().block_size(64 << 10).codec(zstd))),
        ("lz4 with filters and pieces", Whole::new(&pieces.codec(Codec::Lz4).filter(FilterChoice::These(chain)))),
        ("lzma", Whole::new(&packer.clone().codec(Codec::Lzma { level: 1 }))),
        ("store", Whole::new(&packer.codec(Codec::Store))),
    ]
}

#[test]
fn the_archives_of_the_sweep_hold_every_feature() {
    let mut seen = BTreeSet::new();
    for (_, whole) in wholes() {
        for block in blocks(&open(whole.bytes.clone())) {
            seen.extend([block.kind.to_owned(), block.codec.to_owned()]);
            seen.extend(block.dictionary.map(|_| "with a dictionary".to_owned()));
            seen.extend((block.filters != Filters::NONE).then(|| "filtered".to_owned()));
        }
        for entry in &whole.entries {
            seen.insert(entry.kind.name().to_owned());
            seen.extend((entry.extents.len() > 1).then(|| "pieces".to_owned()));
            seen.extend((!entry.holes.is_empty()).then(|| "holes".to_owned()));
            seen.extend((!entry.xattrs.is_empty()).then(|| "attributes".to_owned()));
        }
        assert!((6_000..45_000).contains(&whole.bytes.len()), "{} bytes", whole.bytes.len());
        assert!(whole.frames.len() >= 3);
    }
    for feature in [
        "block",
        "dictionary",
        "store",
        "lz4",
        "zstd",
        "lzma",
        "with a dictionary",
        "filtered",
        "pieces",
        "holes",
        "file",
        "dir",
        "symlink",
        "hardlink",
        "fifo",
        "socket",
    ] {
        assert!(seen.contains(feature), "no {feature} in {seen:?}");
    }
}

/// Does `harm` for each of `count` numbers, by all cores; what it says is a failure.
fn sweep(name: &str, what: &str, count: usize, harm: impl Fn(usize) -> Result<(), String> + Sync) {
    let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(at) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|&at| at < count) {
                    harm(at).unwrap_or_else(|why| panic!("{name}, {what} {at}: {why}"));
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    println!("{name}: {} of {count}: {what}", done.into_inner());
}

fn is_full() -> bool {
    std::env::var("CARRACK_SWEEP").is_ok_and(|sweep| sweep == "all")
}

#[test]
fn every_byte_that_changes_is_noticed_and_contained() {
    for (name, whole) in wholes() {
        sweep(name, "byte inverted", whole.bytes.len(), |at| {
            // Every harm of a byte is of one kind with the others to whoever looks for what is left.
            if !is_full() && at % 16 != name.len() % 16 {
                return Ok(());
            }
            let mut harmed = whole.bytes.clone();
            harmed[at] ^= 0xff;
            whole.check(&harmed)
        });
        let harms = 11;
        sweep(name, "change of a byte", whole.bytes.len() * harms, |number| {
            let (at, how) = (number / harms, number % harms);
            if !is_full() && how != at % harms {
                return Ok(());
            }
            let mut harmed = whole.bytes.clone();
            harmed[at] = match how {
                bit @ 0..8 => harmed[at] ^ 1 << bit,
                8 => 0,
                9 => 0xff,
                _ => harmed[at].wrapping_add(1),
            };
            if harmed[at] == whole.bytes[at] || !is_sound(&harmed) {
                return Ok(());
            }
            Err(format!("byte {at} became {:#x}, and nobody noticed", harmed[at]))
        });
    }
}

#[test]
fn every_cut_is_noticed_and_contained() {
    for (name, whole) in wholes() {
        sweep(name, "cut to bytes", whole.bytes.len(), |len| {
            if !is_full() && len % 31 != 0 && len > 64 {
                return if is_sound(&whole.bytes[..len]) { Err("nobody noticed".to_owned()) } else { Ok(()) };
            }
            whole.check(&whole.bytes[..len])
        });
    }
}

#[test]
fn every_sector_that_is_lost_doubled_or_swapped_is_noticed_and_contained() {
    for (name, whole) in wholes() {
        let sectors = whole.bytes.len().div_ceil(SECTOR);
        let range = |sector: usize| sector * SECTOR..((sector + 1) * SECTOR).min(whole.bytes.len());
        let check = |harmed: &[u8]| if harmed == whole.bytes { Ok(()) } else { whole.check(harmed) };
        sweep(name, "sector of zeros", sectors, |at| {
            let mut harmed = whole.bytes.clone();
            harmed[range(at)].fill(0);
            check(&harmed)
        });
        sweep(name, "sector twice", sectors, |at| {
            let mut harmed = whole.bytes.clone();
            let copy = harmed[range(at)].to_vec();
            harmed.splice(range(at).start..range(at).start, copy);
            check(&harmed)
        });
        sweep(name, "sector in place of another", sectors * sectors, |pair| {
            let (from, to) = (range(pair / sectors), range(pair % sectors));
            if from.len() != to.len() || !is_full() && pair % 5 != 0 {
                return Ok(());
            }
            let mut harmed = whole.bytes.clone();
            harmed.copy_within(from, to.start);
            check(&harmed)
        });
        sweep(name, "sectors swapped", sectors * sectors, |pair| {
            let (a, b) = (range(pair / sectors), range(pair % sectors));
            if a.start >= b.start || b.len() != SECTOR || !is_full() && pair % 5 != 0 {
                return Ok(());
            }
            let mut harmed = whole.bytes.clone();
            let (left, right) = harmed.split_at_mut(b.start);
            left[a].swap_with_slice(&mut right[..SECTOR]);
            check(&harmed)
        });
    }
}
