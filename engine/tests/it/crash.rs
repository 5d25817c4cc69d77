//! A power cut at any moment leaves the old archive whole, the new one whole, or none where there was none.
//!
//! The calls that a run makes are recorded as it makes them ([`Watcher`]), and then played into a model of what a disk may
//! hold after a cut. The model is meaner than any file system: of what was written and not yet synced, any sectors may be
//! there; of the changes to names since the folder was synced, in one reading the first ones, in the other any of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use carrack_backends::sink::{Call, FileSink, FileSinkOptions, Watcher};

use crate::failures::{Writes, place};
use crate::support::Place;

/// What a disk writes as a whole, bytes.
const SECTOR: u64 = 512;
/// Cuts that are drawn at each point for each reading.
const CUTS: u64 = 300;
const TARGET: &str = "x.crk";
const OLD: &[u8] = b"the archive before";
const EOPNOTSUPP: i32 = 95;

/// A call that succeeded.
#[derive(Clone, Debug, PartialEq)]
enum Done {
    /// A file was made, under a name or without one.
    File(Option<Vec<u8>>),
    Name(Vec<u8>),
    NoName(Vec<u8>),
    Move(Vec<u8>, Vec<u8>),
    Bytes(u64, Vec<u8>),
    SyncFile,
    SyncFolder,
}

#[derive(Debug, Default)]
struct Recorder {
    done: Mutex<Vec<Done>>,
    /// Acts as a file system that has no files without names.
    only_named: bool,
}

impl Watcher for Recorder {
    fn before(&self, call: &Call<'_>) -> Option<i32> {
        (self.only_named && matches!(call, Call::Nameless)).then_some(EOPNOTSUPP)
    }

    fn after(&self, call: &Call<'_>, written: usize) {
        let done = match *call {
            Call::Nameless => Done::File(None),
            Call::Create(name) => Done::File(Some(name.to_vec())),
            Call::Link(name) | Call::LinkName(_, name) => Done::Name(name.to_vec()),
            Call::Unlink(name) => Done::NoName(name.to_vec()),
            Call::Rename(from, to) | Call::RenameExclusively(from, to) => Done::Move(from.to_vec(), to.to_vec()),
            Call::Write(offset, slices) => {
                let offered = slices.iter().flat_map(|slice| slice.iter().copied());
                Done::Bytes(offset, offered.take(written).collect())
            }
            Call::SyncData | Call::SyncFile => Done::SyncFile,
            Call::SyncFolder => Done::SyncFolder,
            Call::Metadata => return,
        };
        self.done.lock().unwrap().push(done);
    }
}

/// How changes to names that were not synced may be there after a cut.
#[derive(Clone, Copy, Debug)]
enum Names {
    /// The first ones, as with a journal.
    InOrder,
    /// Any of them.
    InAnyOrder,
}

/// Numbers that look drawn, the same each time.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

/// A file: what is on the disk for certain, and what was written since.
#[derive(Clone, Debug, Default)]
struct File {
    safe: Vec<u8>,
    writes: Vec<(u64, Vec<u8>)>,
}

fn put(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let end = offset as usize + bytes.len();
    file.resize(file.len().max(end), 0);
    file[offset as usize..end].copy_from_slice(bytes);
}

impl File {
    fn whole(&self) -> Vec<u8> {
        let mut bytes = self.safe.clone();
        self.writes.iter().for_each(|(offset, written)| put(&mut bytes, *offset, written));
        bytes
    }

    /// Any sectors of what was not synced, and perhaps its length without them.
    fn after_cut(&self, draw: &mut Draw) -> Vec<u8> {
        let mut bytes = self.safe.clone();
        let odds = [0, 1, 8, 15, 16][draw.below(5) as usize];
        for (offset, written) in &self.writes {
            let mut at = 0;
            while at < written.len() as u64 {
                let end = ((offset + at) / SECTOR * SECTOR + SECTOR - offset).min(written.len() as u64);
                if draw.below(16) < odds {
                    put(&mut bytes, offset + at, &written[at as usize..end as usize]);
                }
                at = end;
            }
        }
        if draw.below(4) == 0 {
            bytes.resize(self.whole().len(), 0);
        }
        bytes
    }
}

/// The disk and what is on its way to it. File 0 is the old archive.
struct Model {
    files: Vec<File>,
    names: BTreeMap<Vec<u8>, usize>,
    /// What happened to names since the folder was synced.
    changes: Vec<Change>,
}

/// Names taken away, and a name given to a file.
type Change = (Vec<Vec<u8>>, Option<(Vec<u8>, usize)>);

impl Model {
    fn new(has_old: bool) -> Self {
        let names = has_old.then(|| (TARGET.into(), 0)).into_iter().collect();
        Self { files: vec![File { safe: OLD.to_vec(), writes: Vec::new() }], names, changes: Vec::new() }
    }

    fn play(&mut self, done: &Done) {
        let last = self.files.len() - 1;
        match done {
            Done::File(name) => {
                self.files.push(File::default());
                self.changes.extend(name.iter().map(|name| (Vec::new(), Some((name.clone(), last + 1)))));
            }
            Done::Name(name) => self.changes.push((Vec::new(), Some((name.clone(), last)))),
            Done::NoName(name) => self.changes.push((vec![name.clone()], None)),
            Done::Move(from, to) => self.changes.push((vec![from.clone()], Some((to.clone(), last)))),
            Done::Bytes(offset, bytes) => self.files[last].writes.push((*offset, bytes.clone())),
            Done::SyncFile => {
                let file = &mut self.files[last];
                (file.safe, file.writes) = (file.whole(), Vec::new());
            }
            Done::SyncFolder => {
                for change in std::mem::take(&mut self.changes) {
                    apply(&mut self.names, &change);
                }
            }
        }
    }

    /// What is under the target's name after a cut.
    fn after_cut(&self, reading: Names, draw: &mut Draw) -> Option<Vec<u8>> {
        let mut names = self.names.clone();
        let first = draw.below(self.changes.len() as u64 + 1) as usize;
        for (number, change) in self.changes.iter().enumerate() {
            let is_there = match reading {
                Names::InOrder => number < first,
                Names::InAnyOrder => draw.below(2) == 0,
            };
            if is_there {
                apply(&mut names, change);
            }
        }
        names.get(TARGET.as_bytes()).map(|&file| self.files[file].after_cut(draw))
    }
}

fn apply(names: &mut BTreeMap<Vec<u8>, usize>, (gone, given): &Change) {
    names.retain(|name, _| !gone.contains(name));
    names.extend(given.clone());
}

/// One way to write an archive.
#[derive(Clone, Copy, Debug)]
struct Way {
    writes: Writes,
    replace: bool,
    only_named: bool,
    sync: bool,
}

fn ways(sync: bool) -> impl Iterator<Item = Way> {
    let flags = [(false, false), (false, true), (true, false), (true, true)];
    let of = move |writes| flags.map(|(replace, only_named)| Way { writes, replace, only_named, sync });
    Writes::ALL.into_iter().flat_map(of)
}

/// Writes an archive, and gives back what was done and the archive.
fn record(place: &Place, way: Way) -> (Vec<Done>, Vec<u8>) {
    let target = place.beside(TARGET);
    if way.replace {
        std::fs::write(&target, OLD).unwrap();
    }
    let recorder = Arc::new(Recorder { only_named: way.only_named, ..Recorder::default() });
    let options = FileSinkOptions { force: way.replace, sync: way.sync };
    let sink = FileSink::watched(&target, options, Arc::clone(&recorder) as Arc<dyn Watcher>).unwrap();
    way.writes.write(place, Box::new(sink)).unwrap();
    let new = take(&target);
    let done = std::mem::take(&mut *recorder.done.lock().unwrap());
    (done, new)
}

fn take(target: &Path) -> Vec<u8> {
    let bytes = std::fs::read(target).unwrap();
    std::fs::remove_file(target).unwrap();
    bytes
}

/// The first cut, if any, after which there is something else than there may be: the number of calls before it, and how
/// many bytes are there.
fn flaw(done: &[Done], new: &[u8], has_old: bool) -> Option<(usize, Names, Option<usize>)> {
    let mut model = Model::new(has_old);
    let mut draw = Draw(0x9e37_79b9_7f4a_7c15);
    for calls in 0..=done.len() {
        for reading in [Names::InOrder, Names::InAnyOrder] {
            for _ in 0..CUTS {
                let found = model.after_cut(reading, &mut draw);
                let is_end = calls == done.len();
                let good = match &found {
                    // What was said to be done is done.
                    Some(bytes) if is_end => bytes == new,
                    None => !is_end && !has_old,
                    Some(bytes) => bytes == new || has_old && bytes == OLD,
                };
                if !good {
                    return Some((calls, reading, found.map(|bytes| bytes.len())));
                }
            }
        }
        if let Some(done) = done.get(calls) {
            model.play(done);
        }
    }
    None
}

#[test]
fn a_power_cut_leaves_a_whole_archive_or_none() {
    let place = place();
    for way in ways(true) {
        let (done, new) = record(&place, way);
        // Salvaging copies what is left in one piece.
        let calls = if way.writes == Writes::Salvage { 3 } else { 40 };
        assert!(done.len() > calls && new.len() > 100_000, "{way:?}: {} calls, {} bytes", done.len(), new.len());
        assert_ne!(way.only_named, done.contains(&Done::File(None)), "{way:?}");
        if let Some((calls, reading, found)) = flaw(&done, &new, way.replace) {
            panic!(
                "{way:?}, cut after {calls} calls, names {reading:?}: {found:?} bytes, behind {:?}",
                done.get(calls - 1)
            );
        }
    }
}

/// The model finds what it is there to find: each of the syncs is needed, and so is their place.
#[test]
fn without_its_syncs_an_archive_does_not_survive() {
    let place = place();
    for way in ways(true) {
        let (done, new) = record(&place, way);
        let without = |left_out: Done| done.iter().filter(|done| **done != left_out).cloned().collect::<Vec<_>>();
        assert!(flaw(&without(Done::SyncFile), &new, way.replace).is_some(), "{way:?}: the file need not be synced");
        assert!(flaw(&without(Done::SyncFolder), &new, way.replace).is_some(), "{way:?}: nor the folder");
        let mut late = without(Done::SyncFile);
        late.insert(late.len() - 1, Done::SyncFile);
        assert!(flaw(&late, &new, way.replace).is_some(), "{way:?}: the file may be synced when it has its name");
    }
    for way in ways(false).filter(|way| way.writes != Writes::PackAndVerify) {
        let (done, new) = record(&place, way);
        assert!(flaw(&done, &new, way.replace).is_some(), "{way:?}: durable without being asked to");
    }
}
