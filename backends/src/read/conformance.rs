//! One test body for every backend: the promises of the [read contract](super), made into cases.
//!
//! What flows in: a way of making the backend under test for a given [`Tree`]. What flows out: a panic that names the
//! promise that was broken. What it does not know: which backend it is.
//!
//! This module holds the bench that cases run on; the cases themselves are in `cases`.

mod cases;

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Completion, Op, ReadBackend, Request};
use crate::arena::{Arena, Lease};
use crate::clock::now_ns;
use crate::path::{Base, PathId, PathTable};
use crate::witness::Witness;

/// Makes the backend under test, not yet attached.
pub(crate) type Make<'m> = &'m mut dyn FnMut(&Tree) -> Box<dyn ReadBackend>;

/// How long nothing may happen before a case is given up as hanging. A guard, not a measurement.
const STUCK: Duration = Duration::from_secs(60);

/// Runs every case.
///
/// # Panics
/// When the backend breaks a promise.
pub(crate) fn run(make: &mut dyn FnMut(&Tree) -> Box<dyn ReadBackend>) {
    run_without(&[], make);
}

/// Runs every case but those named, for a backend to which they mean nothing (content that is not on a disk).
///
/// # Panics
/// When the backend breaks a promise, or no case has a name to be left out.
pub(crate) fn run_without(skip: &[&str], make: &mut dyn FnMut(&Tree) -> Box<dyn ReadBackend>) {
    for name in skip {
        assert!(cases::ALL.iter().any(|(known, _)| known == name), "no case is named {name:?}");
    }
    for (name, case) in cases::ALL {
        if !skip.contains(name) {
            // Shown by the test harness when the case fails.
            println!("conformance: {name}");
            case(make);
        }
    }
}

/// Bytes that differ from place to place and from seed to seed, so that nothing misplaced goes unseen.
pub(crate) fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Files on a disk, the table of their paths, and an arena to read them into.
pub(crate) struct Tree {
    folder: tempfile::TempDir,
    table: Arc<PathTable>,
    contents: HashMap<PathId, Vec<u8>>,
    slot: usize,
}

impl Tree {
    /// An empty tree, to be read into an arena of two slots of `slot` bytes.
    fn new(slot: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut table = PathTable::new();
        table.push_base(Base { folder: Arc::new(File::open(folder.path()).unwrap().into()), skip: 0 });
        Self { folder, table: Arc::new(table), contents: HashMap::new(), slot }
    }

    /// Adds a path without making anything on disk.
    fn name(&mut self, name: &str) -> PathId {
        self.table_mut().push(0, name.as_bytes())
    }

    fn table_mut(&mut self) -> &mut PathTable {
        Arc::get_mut(&mut self.table).expect("a tree is complete before it is read")
    }

    /// Adds a file with content.
    fn file(&mut self, name: &str, bytes: Vec<u8>) -> PathId {
        std::fs::write(self.at(name), &bytes).unwrap();
        let id = self.name(name);
        self.contents.insert(id, bytes);
        id
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Every file with its archive path, content and witness.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&[u8], &[u8], Witness)> {
        self.contents.iter().map(|(&id, bytes)| (self.table.path(id), bytes.as_slice(), self.stat(id)))
    }

    fn stat(&self, id: PathId) -> Witness {
        let (folder, name) = self.table.source(id);
        Witness::of_path(folder.as_fd(), name).unwrap()
    }
}

/// A backend at work on a tree, watched: whatever it hands out is checked against what it was given.
struct Bench {
    tree: Tree,
    paths: Arc<PathTable>,
    backend: Box<dyn ReadBackend>,
    arena: Arc<Arena>,
    /// What is left of the slot that buffers are cut from.
    free: Option<Lease>,
    queue: VecDeque<Request>,
    /// Requests not yet complete: what was asked, where the buffer lies, when.
    open: HashMap<u64, (Op, usize, usize, u64)>,
    next_tag: u64,
}

impl Bench {
    fn new(tree: Tree, make: Make<'_>) -> Self {
        let mut backend = make(&tree);
        let arena = Arena::new(2, tree.slot).unwrap();
        let paths = Arc::clone(&tree.table);
        backend.attach(&arena, &paths).expect("attach degrades, it does not fail");
        assert!(backend.caps().depth > 0 && !backend.caps().name.is_empty());
        let free = arena.lease(0);
        Self { tree, paths, backend, arena, free, queue: VecDeque::new(), open: HashMap::new(), next_tag: 1000 }
    }

    /// Cuts a buffer from the slot and fills it with what no backend writes there.
    fn buffer(&mut self, len: usize) -> Lease {
        let mut buf = self.free.take().expect("a slot to cut buffers from");
        assert!(buf.len() >= len, "the case needs a bigger slot");
        self.free = Some(buf.split_off(len));
        buf.fill(0xa5);
        buf
    }

    /// Queues a request and says its tag.
    fn ask(&mut self, op: Op, len: usize) -> u64 {
        let buf = self.buffer(len);
        let tag = self.next_tag;
        self.next_tag = self.next_tag.wrapping_mul(31).wrapping_add(7);
        let request = Request { tag, op, buf, queued_ns: now_ns() };
        let place = (op, request.buf.arena_offset(), len, request.queued_ns);
        assert!(self.open.insert(tag, place).is_none(), "the bench gave out a tag twice");
        self.queue.push_back(request);
        tag
    }

    /// Hands over what the backend will take.
    fn submit(&mut self) -> usize {
        let (queued, flying) = (self.queue.len(), self.backend.in_flight());
        let taken = self.backend.submit(&mut self.queue).expect("the backend is not broken");
        assert_eq!(taken, queued - self.queue.len(), "submit must say how many it took");
        let now = self.backend.in_flight();
        assert_eq!(now, flying + taken, "what was taken is in flight until reaped");
        assert!(now <= self.backend.caps().depth, "{now} in flight, more than the depth");
        taken
    }

    /// Reaps once and checks each completion.
    fn reap(&mut self, min: usize, timeout: Option<Duration>, out: &mut Vec<Completion>) -> usize {
        let (had, flying) = (out.len(), self.backend.in_flight());
        let added = self.backend.reap(min, timeout, out).expect("the backend is not broken");
        assert_eq!(added, out.len() - had, "reap must say how many it added");
        assert_eq!(self.backend.in_flight(), flying - added, "what was reaped is no longer in flight");
        for completion in &out[had..] {
            self.check(completion);
        }
        added
    }

    fn check(&mut self, completion: &Completion) {
        let tag = completion.tag;
        let (op, place, len, queued_ns) =
            self.open.remove(&tag).unwrap_or_else(|| panic!("tag {tag} was never asked for, or came back twice"));
        assert_eq!(completion.op, op, "tag {tag} came back with another operation");
        assert_eq!((completion.buf.arena_offset(), completion.buf.len()), (place, len), "tag {tag}: a foreign buffer");
        assert!(Arc::ptr_eq(completion.buf.arena(), &self.arena));
        let stamps = completion.stamps;
        assert_eq!(stamps.queued_ns, queued_ns, "the caller's stamp is passed through");
        assert!(
            stamps.queued_ns <= stamps.submitted_ns && stamps.submitted_ns <= stamps.completed_ns,
            "stamps out of order: {stamps:?}"
        );
        assert!(stamps.completed_ns <= now_ns(), "completed in the future: {stamps:?}");
        if let Ok(filled) = completion.result {
            assert!(filled as usize <= len, "tag {tag}: {filled} bytes in a buffer of {len}");
        }
    }

    /// Works until everything asked for has come back, and gives it in the order of the asking.
    fn finish(&mut self, tags: &[u64]) -> Vec<Completion> {
        let mut out = Vec::new();
        let mut moved = Instant::now();
        while !self.queue.is_empty() || self.backend.in_flight() > 0 {
            let taken = self.submit();
            let added = self.reap(1, Some(Duration::from_secs(1)), &mut out);
            if taken + added > 0 {
                moved = Instant::now();
            }
            assert!(moved.elapsed() < STUCK, "stuck with {} in flight", self.backend.in_flight());
        }
        assert!(self.open.is_empty(), "nothing is in flight and these tags never came: {:?}", self.open.keys());
        assert_witness_comes_last(&out);
        let place: HashMap<u64, usize> = tags.iter().enumerate().map(|(i, &tag)| (tag, i)).collect();
        assert_eq!(out.len(), tags.len());
        out.sort_by_key(|completion| place[&completion.tag]);
        out
    }

    fn assert_content(&self, completion: &Completion, expected: &[u8]) {
        let path = String::from_utf8_lossy(self.paths.path(completion.op.path())).into_owned();
        let filled = *completion.result.as_ref().unwrap_or_else(|error| panic!("{path}: {error}")) as usize;
        assert_eq!(filled, expected.len(), "{path}, {:?}: bytes read", completion.op);
        let wrong = (0..filled).find(|&i| completion.buf[i] != expected[i]);
        assert_eq!(wrong, None, "{path}, {:?}: first wrong byte", completion.op);
    }

    /// Asserts that the completions of one file carry its witness exactly once.
    fn assert_one_witness<'c>(&self, path: PathId, completions: impl IntoIterator<Item = &'c Completion>) {
        let all = completions.into_iter().filter(|completion| completion.op.path() == path);
        let witnesses: Vec<Witness> = all.filter_map(|completion| completion.witness).collect();
        assert_eq!(witnesses, [self.tree.stat(path)], "{:?}", self.paths.path(path));
    }
}

/// Asserts, on completions in the order of handing out, that no range of a file follows the one with the witness.
fn assert_witness_comes_last(completions: &[Completion]) {
    let mut ended = HashSet::new();
    for completion in completions.iter().filter(|completion| matches!(completion.op, Op::Range { .. })) {
        let path = completion.op.path();
        assert!(!ended.contains(&path), "{path:?}: a range was handed out behind the one with the witness");
        if completion.witness.is_some() {
            ended.insert(path);
        }
    }
}

/// Asserts that a read was refused with this kind of error.
fn assert_refused(completion: &Completion, kind: io::ErrorKind, what: &str) {
    match &completion.result {
        Ok(filled) => panic!("{what}: {filled} bytes read, expected an error"),
        Err(error) => assert_eq!(error.kind(), kind, "{what}: {error}"),
    }
}
