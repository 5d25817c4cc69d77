//! Every read of an archive fails, once and from then on: whatever is asked of it, what comes out is right, what does not is
//! told, and the error of the system is what is named.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use carrack_backends::sink::MemorySink;
use carrack_engine::archive::Archive;
use carrack_engine::container::source::Source;
use carrack_engine::control::Control;
use carrack_engine::entry::{Entry, Kind};
use carrack_engine::error::{Error, ErrorKind};
use carrack_engine::salvage::salvage;
use carrack_engine::unpack::Unpacker;
use carrack_engine::verify::VerifyOptions;

use crate::failures::{packer, place};
use crate::faults::{carrack_text, check_unpacked};
use crate::support::{Place, frames, no_hang, open, pack, rows, verify_clean};

const EIO: i32 = 5;
/// What is given up at once where a read fails, bytes.
const PAGE: usize = 4096;

/// Bytes of which some reads fail.
struct Failing {
    bytes: Vec<u8>,
    from: u64,
    count: u64,
    reads: AtomicU64,
    failed: AtomicU64,
}

impl Source for Failing {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let number = self.reads.fetch_add(1, Ordering::SeqCst);
        if number >= self.from && number - self.from < self.count {
            self.failed.fetch_add(1, Ordering::SeqCst);
            return Err(io::Error::from_raw_os_error(EIO));
        }
        self.bytes.read_at(buf, offset)
    }
}

/// What was packed, and what of it there has to be.
struct Packed {
    place: Place,
    bytes: Vec<u8>,
    entries: Vec<Entry>,
}

impl Packed {
    fn content(&self, path: &[u8]) -> Vec<u8> {
        self.place.plan.bytes(path).unwrap()
    }
}

/// Something that is asked of an archive: whether all is well.
type Question = fn(&Packed, Arc<Failing>) -> Result<bool, Error>;

fn opened(source: Arc<Failing>) -> Result<Archive, Error> {
    Archive::from_source("it", source)
}

fn list(packed: &Packed, source: Arc<Failing>) -> Result<bool, Error> {
    let entries = opened(source)?.entries().collect::<Result<Vec<_>, _>>()?;
    assert_eq!(entries, packed.entries);
    Ok(true)
}

fn verify(_: &Packed, source: Arc<Failing>) -> Result<bool, Error> {
    let report = opened(source)?.verify(&VerifyOptions { threads: Some(2), ..VerifyOptions::default() })?;
    Ok(report.damage.is_empty() && report.lost.is_empty())
}

fn read_each(packed: &Packed, source: Arc<Failing>) -> Result<bool, Error> {
    let archive = opened(source)?;
    for entry in packed.entries.iter().filter(|entry| entry.kind == Kind::File) {
        assert!(archive.read(&entry.path)? == packed.content(&entry.path));
    }
    Ok(true)
}

fn unpack(packed: &Packed, source: Arc<Failing>) -> Result<bool, Error> {
    let dest = packed.place.beside("out");
    std::fs::create_dir(&dest).unwrap();
    let unpacked = opened(source).and_then(|archive| Unpacker::new(&archive).threads(2).unpack(&dest));
    check_unpacked(&packed.place, &dest, "unpacked");
    let is_there = |entry: &&Entry| dest.join(OsStr::from_bytes(&entry.path)).exists();
    let (came, missing): (Vec<_>, Vec<_>) = packed.entries.iter().partition(is_there);
    carrack_fixtures::corpus::remove_tree(&dest).unwrap();
    let report = unpacked?;
    let is_told = |entry: &&Entry| report.lost.contains(&entry.path);
    assert!(missing.iter().all(is_told), "{missing:?}, told: {:?}", report.lost);
    assert_eq!(came.len() + report.lost.len(), packed.entries.len());
    Ok(report.damage.is_empty() && report.lost.is_empty())
}

fn salvage_all(packed: &Packed, source: Arc<Failing>) -> Result<bool, Error> {
    let found = salvage("it", source, &Control::default())?;
    let (sink, bytes) = MemorySink::new();
    found.write(Box::new(sink), &Control::default())?;
    let archive = open(bytes.finished().unwrap());
    verify_clean(&archive);
    let came = rows(&archive);
    for entry in came.iter().filter(|entry| entry.kind == Kind::File) {
        assert!(archive.read(&entry.path).unwrap() == packed.content(&entry.path));
    }
    if found.report.has_index {
        let lost = found.report.lost.len();
        assert_eq!(came.len() + lost, packed.entries.len(), "{:?}", found.report.lost);
    }
    Ok(found.report.is_whole())
}

#[test]
fn every_read_of_an_archive_fails() {
    no_hang("reading an archive of which every read fails", || {
        let place = place();
        let bytes = pack(&packer(&place)).0;
        let entries = rows(&open(bytes.clone()));
        let packed = Packed { place, bytes, entries };
        let questions: [(&str, Question); 5] =
            [("list", list), ("verify", verify), ("read", read_each), ("unpack", unpack), ("salvage", salvage_all)];
        for (what, question) in questions {
            for count in [1, u64::MAX] {
                let mut from = 0;
                while ask(&packed, question, from, count, what) {
                    from += 1;
                }
                assert!(from > 1, "{what}: only {from} reads could fail");
            }
        }
    });
}

/// Asks while reads fail; whether any did.
fn ask(packed: &Packed, question: Question, from: u64, count: u64, what: &str) -> bool {
    let source = Failing { bytes: packed.bytes.clone(), from, count, reads: 0.into(), failed: 0.into() };
    let source = Arc::new(source);
    let answer = question(packed, Arc::clone(&source));
    let failed = source.failed.load(Ordering::SeqCst) > 0;
    let what = format!("{what}, read {from}, {count} times");
    match answer {
        // Salvaging reads anew what could not be read as a whole.
        Ok(is_whole) => {
            let is_anew = what.starts_with("salvage") && count == 1;
            assert!(is_whole != failed || is_anew, "{what}: {is_whole}");
        }
        Err(error) => {
            let text = carrack_text(&error);
            // Where nothing can be read, nothing is found.
            let is_nothing = error.kind() == ErrorKind::NotAnArchive && what.starts_with("salvage");
            let is_named = text.contains("os error 5") || text.contains("Input/output error");
            assert!(failed && (is_named && error.kind() == ErrorKind::Input || is_nothing), "{what}: {text}");
        }
    }
    failed
}

/// Bytes of which one cannot be read, as on a disk that fails.
struct Scarred(Vec<u8>, u64);

impl Source for Scarred {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if (offset..offset + buf.len() as u64).contains(&self.1) {
            return Err(io::Error::from_raw_os_error(EIO));
        }
        self.0.read_at(buf, offset)
    }
}

#[test]
fn places_that_cannot_be_read_cost_what_is_in_them_alone() {
    let place = place();
    let bytes = pack(&packer(&place)).0;
    let whole = open(bytes.clone());
    let all = rows(&whole);
    for frame in frames(&whole) {
        // What shares a page with it is lost as well.
        let page = frame.start / PAGE * PAGE..((frame.start / PAGE + 1) * PAGE).min(bytes.len());
        let is_hit = |other: &Range<usize>| other.start < page.end && page.start < other.end;
        let hit: BTreeSet<u32> =
            frames(&whole).iter().zip(0..).filter(|(other, _)| is_hit(other)).map(|(_, seq)| seq).collect();
        let source = Scarred(bytes.clone(), frame.start as u64 + 5);
        let found = salvage("it", Arc::new(source), &Control::default()).unwrap();
        let [(unread, why)] = &found.report.unread[..] else { panic!("{:?}", found.report.unread) };
        assert_eq!(*unread, page.start as u64..page.end as u64);
        assert!(why.contains("Input/output error"), "{why}");
        assert!(!found.report.is_whole());
        let came: BTreeSet<Vec<u8>> = rows(&found.archive).into_iter().map(|entry| entry.path).collect();
        for entry in &all {
            let needs_it = entry.extents.iter().any(|extent| hit.contains(&extent.block));
            assert_eq!(came.contains(&entry.path), !needs_it, "{}", entry.path.escape_ascii());
            if entry.kind == Kind::File && !needs_it {
                assert!(found.archive.read(&entry.path).unwrap() == place.plan.bytes(&entry.path).unwrap());
            }
        }
    }
}
