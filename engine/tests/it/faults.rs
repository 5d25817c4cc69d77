//! Every operation fails once, and from some point on, one after the other, until a run meets no fault any more. Whatever
//! fails: no success with a bad archive or tree, nothing left over, the fault is what is named, no hang, no panic.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use carrack_backends::arena::Arena;
use carrack_backends::path::PathTable;
use carrack_backends::read::fault::{Fault, Harm, Rules, When};
use carrack_backends::read::{Caps, Completion, ReadBackend, Request};
use carrack_backends::sink::{Call, FileSink, FileSinkOptions, Watcher};
use carrack_backends::tree::{DirTree, DirTreeOptions, FaultTree, FaultTreePlan};
use carrack_engine::archive::Archive;
use carrack_engine::error::ErrorKind;
use carrack_engine::unpack::Unpacker;
use carrack_fixtures::tree::{Builder, What};

use crate::failures::{BLOCK, Writes, packer};
use crate::support::{
    Place, TIME, assert_same_trees, backend, backends, names_in, no_hang, noise, open, pack, pack_with, rows,
    unpack_clean, verify_clean,
};

const EIO: i32 = 5;
const EACCES: i32 = 13;
const ENOSPC: i32 = 28;
const EOPNOTSUPP: i32 = 95;
const OLD: &[u8] = b"the archive before";

/// Files of each size that is treated in its own way, and links.
fn place() -> Place {
    let mut plan = Builder::new(TIME);
    for n in 0..6_u64 {
        plan.file(format!("{}/{n:02}", n % 2), noise(n, 100 + n * 437), TIME);
    }
    plan.file("empty", noise(1, 0), TIME);
    plan.file("large", noise(100, 30_000), TIME);
    plan.hardlink("other", "large");
    plan.symlink("soft", "large", TIME);
    Place::new(plan.finish())
}

/// Has one call fail, or all from one on.
#[derive(Debug)]
struct Failing {
    from: u64,
    /// How many fail.
    count: u64,
    only_named: bool,
    calls: AtomicU64,
    /// Whether a name could not be taken away.
    stuck: AtomicU64,
    failed: AtomicU64,
}

impl Watcher for Failing {
    fn before(&self, call: &Call<'_>) -> Option<i32> {
        if self.only_named && matches!(call, Call::Nameless) {
            return Some(EOPNOTSUPP);
        }
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        if number < self.from || number - self.from >= self.count {
            return None;
        }
        self.failed.fetch_add(1, Ordering::SeqCst);
        self.stuck.fetch_add(u64::from(matches!(call, Call::Unlink(_))), Ordering::SeqCst);
        Some(EIO)
    }

    fn after(&self, _: &Call<'_>, _: usize) {}
}

/// Writes an archive while calls of the sink fail; whether any did.
fn write_failing(place: &Place, want: &[u8], failing: Failing, replace: bool, writes: Writes) -> bool {
    let target = place.beside("x.crk");
    let what = format!("{failing:?}, replace {replace}, {writes:?}");
    if replace {
        std::fs::write(&target, OLD).unwrap();
    }
    let failing = Arc::new(failing);
    let options = FileSinkOptions { force: replace, sync: true };
    let result = FileSink::watched(&target, options, Arc::clone(&failing) as Arc<dyn Watcher>)
        .map_err(|error| error.to_string())
        .and_then(|sink| {
            writes.write(place, Box::new(sink)).map_err(|error| {
                assert_eq!(error.kind(), ErrorKind::Output, "{what}: {error}");
                carrack_text(&error)
            })
        });
    let found = std::fs::read(&target).ok();
    match &result {
        Ok(_) => assert!(found.as_deref() == Some(want), "{what}: success, and another archive"),
        Err(error) => {
            assert!(error.contains("Input/output error") || error.contains("os error 5"), "{what}: {error}");
            let whole = found.as_deref() == Some(want) && error.contains("is complete");
            let old = found.as_deref() == replace.then_some(OLD);
            assert!(whole || old, "{what}: {error}, and {:?} bytes", found.map(|bytes| bytes.len()));
        }
    }
    let _ = std::fs::remove_file(&target);
    let left = names_in(place.dir.path());
    if failing.stuck.load(Ordering::SeqCst) == 0 {
        assert_eq!(left, ["tree"], "{what}");
    }
    for name in left.iter().filter(|name| *name != "tree") {
        std::fs::remove_file(place.beside(name)).unwrap();
    }
    failing.failed.load(Ordering::SeqCst) > 0
}

/// An error and what is behind it.
pub(crate) fn carrack_text(error: &dyn std::error::Error) -> String {
    let behind = std::iter::successors(Some(error), |error| error.source());
    behind.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[test]
fn every_call_of_the_sink_fails() {
    no_hang("writing an archive while every call of the sink fails", || {
        let place = place();
        for writes in Writes::ALL {
            let want = writes.archive(&place);
            for way in 0..8_u8 {
                let [forever, only_named, replace] = [0, 1, 2].map(|bit| way >> bit & 1 == 1);
                let mut from = 0;
                loop {
                    let count = if forever { u64::MAX } else { 1 };
                    let failing =
                        Failing { from, count, only_named, calls: 0.into(), stuck: 0.into(), failed: 0.into() };
                    if !write_failing(&place, &want, failing, replace, writes) {
                        break;
                    }
                    from += 1;
                }
                let least = if writes == Writes::Salvage { 5 } else { 15 };
                assert!(from > least, "{writes:?}: only {from} calls could fail");
            }
        }
    });
}

/// Counts the requests that a backend takes.
struct Counting(Box<dyn ReadBackend>, Arc<AtomicU64>);

impl ReadBackend for Counting {
    fn caps(&self) -> &Caps {
        self.0.caps()
    }
    fn attach(&mut self, arena: &Arc<Arena>, paths: &Arc<PathTable>) -> io::Result<()> {
        self.0.attach(arena, paths)
    }
    fn submit(&mut self, queue: &mut VecDeque<Request>) -> io::Result<usize> {
        let taken = self.0.submit(queue)?;
        self.1.fetch_add(taken as u64, Ordering::SeqCst);
        Ok(taken)
    }
    fn reap(&mut self, min: usize, timeout: Option<Duration>, out: &mut Vec<Completion>) -> io::Result<usize> {
        self.0.reap(min, timeout, out)
    }
    fn in_flight(&self) -> usize {
        self.0.in_flight()
    }
}

#[test]
fn every_read_fails() {
    no_hang("packing while every read fails", || {
        let place = place();
        let want = pack(&packer(&place)).0;
        for io in backends() {
            for from_then_on in [false, true] {
                let mut nth = 0;
                loop {
                    let when = if from_then_on { When::From(nth) } else { When::Nth(nth) };
                    let taken = Arc::new(AtomicU64::new(0));
                    let fault = Fault::new(backend(io), Rules::new(1).rule(when, Harm::Errno(EIO)));
                    let counting = Box::new(Counting(Box::new(fault), Arc::clone(&taken)));
                    let (bytes, report) = pack_with(&packer(&place), counting);
                    if taken.load(Ordering::SeqCst) <= nth {
                        assert!(report.warnings.is_empty() && bytes == want, "{io:?}: {:?}", report.warnings);
                        break;
                    }
                    let what = format!("{io:?}, read {nth}, from then on: {from_then_on}");
                    assert!(!report.warnings.is_empty() || bytes == want, "{what}: nothing is said");
                    check_packed(&place, bytes, &report.warnings, &what);
                    nth += 1;
                }
                assert!(nth >= 7, "only {nth} reads could fail");
            }
        }
    });
}

/// What is in the archive is right, and what is not in it is named.
fn check_packed(place: &Place, bytes: Vec<u8>, warnings: &[carrack_engine::control::Warning], what: &str) {
    let archive = open(bytes);
    verify_clean(&archive);
    let entries = rows(&archive);
    for node in place.plan.nodes() {
        let is_named = warnings.iter().any(|warning| warning.path == node.path);
        match (entries.iter().find(|entry| entry.path == node.path), &node.what) {
            (Some(_), What::File(_)) => {
                let same = archive.read(&node.path).unwrap() == place.plan.bytes(&node.path).unwrap();
                assert!(same || is_named, "{what}: {} has other contents", node.path.escape_ascii());
            }
            (Some(_), _) => {}
            (None, _) => assert!(is_named, "{what}: {} is lost silently", node.path.escape_ascii()),
        }
    }
}

/// Unpacks while operations of the tree fail; how many did.
fn unpack_failing(place: &Place, archive: &Archive, plan: FaultTreePlan, force: bool) -> u64 {
    let dest = place.beside("out");
    if force {
        unpack_clean(archive, &dest);
    }
    let what = format!("{plan:?}, force {force}");
    let tree = DirTree::open(&dest, DirTreeOptions { force, create: true }).unwrap();
    let tree = Arc::new(FaultTree::new(Box::new(tree), plan));
    let unpacker = Unpacker::new(archive).specials(true).same_owner(true).same_permissions(true);
    let result = unpacker.threads(2).sync(true).unpack_to_tree(Arc::clone(&tree) as Arc<_>);
    let failed = tree.failed();
    match &result {
        Ok(report) => {
            assert!(failed == 0 || !report.warnings.is_empty(), "{what}: nothing is said");
            assert!(report.damage.is_empty() && report.lost.is_empty(), "{what}: {:?}", report.damage);
            assert!(report.warnings.iter().all(|warning| failed > 0 && !warning.what.is_empty()), "{what}");
            if failed == 0 {
                assert_same_trees(&place.tree, &dest);
            }
        }
        Err(error) => {
            assert!(failed > 0, "{what}: {error}");
            assert_eq!(error.kind(), ErrorKind::Output, "{what}: {error}");
            let text = carrack_text(error);
            assert!(text.contains(&io::Error::from_raw_os_error(plan.errno).to_string()), "{what}: {text}");
        }
    }
    drop(tree);
    check_unpacked(place, &dest, &what);
    carrack_fixtures::corpus::remove_tree(&dest).unwrap();
    failed
}

/// Everything that is there is as it was packed, and under its own name.
pub(crate) fn check_unpacked(place: &Place, dest: &Path, what: &str) {
    let mut todo = vec![dest.to_owned()];
    while let Some(path) = todo.pop() {
        let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
        let source = place.tree.join(path.strip_prefix(dest).unwrap());
        if kind.is_dir() {
            todo.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if kind.is_file() {
            let same = std::fs::read(&source).is_ok_and(|bytes| bytes == std::fs::read(&path).unwrap());
            assert!(same, "{what}: {} is not whole, or not of the archive", path.display());
        }
        assert!(std::fs::symlink_metadata(&source).is_ok_and(|there| there.file_type() == kind), "{what}: {path:?}");
    }
}

#[test]
fn every_operation_on_a_tree_fails() {
    no_hang("unpacking while every operation fails", || {
        let place = place();
        let archive = open(pack(&packer(&place).block_size(BLOCK)).0);
        for errno in [EIO, ENOSPC, EACCES] {
            for way in 0..4_u8 {
                let [forever, force] = [0, 1].map(|bit| way >> bit & 1 == 1);
                let mut from = 0;
                let count = if forever { u64::MAX } else { 1 };
                while unpack_failing(&place, &archive, FaultTreePlan { from, count, errno }, force) > 0 {
                    from += 1;
                }
                assert!(from > 15, "only {from} operations could fail");
            }
        }
    });
}
