//! A read backend at work: the reads that one pass over some files takes, and the pass itself.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use carrack_backends::arena::{Arena, Lease};
use carrack_backends::clock::now_ns;
use carrack_backends::path::{Base, PathTable};
use carrack_backends::read::choose::{IoChoice, ReadOptions, open_backend};
use carrack_backends::read::{Completion, Op, ReadBackend, Request};
use carrack_measure::cache::Files;

use crate::common::Corpus;

/// Slots that every backend reads into in turn.
const SLOTS: u32 = 16;
/// Bytes in a slot; larger files are read in ranges of this length, as the engine does with its default blocks.
const SLOT_SIZE: usize = 1 << 20;

/// The reads that cover each file of a corpus once, in order of path. Empty files take none.
pub(crate) struct Reads {
    paths: Arc<PathTable>,
    /// What to read, and how many bytes that gives.
    ops: Vec<(Op, usize)>,
    /// The files that are read.
    pub(crate) files: Files,
}

impl Reads {
    /// Has the corpus written, if it is not yet.
    pub(crate) fn of(corpus: &Corpus) -> Self {
        let folder = corpus.folder();
        let mut paths = PathTable::new();
        let open = File::open(&folder).expect("the corpus was just written");
        let base = paths.push_base(Base { folder: Arc::new(open.into()), skip: 0 });
        let (mut ops, mut files) = (Vec::new(), Vec::new());
        for (name, len) in corpus.files().iter().filter(|(_, len)| *len > 0) {
            let path = paths.push(base, name.as_os_str().as_bytes());
            files.push(folder.join(name));
            if *len <= SLOT_SIZE as u64 {
                ops.push((Op::Whole { path }, *len as usize));
                continue;
            }
            for offset in (0..*len).step_by(SLOT_SIZE) {
                let left = *len - offset;
                let last = left <= SLOT_SIZE as u64;
                ops.push((Op::Range { path, offset, last }, left.min(SLOT_SIZE as u64) as usize));
            }
        }
        Self { paths: Arc::new(paths), ops, files: Files::below(&files) }
    }
}

/// A backend with its arena. Whatever the backend, buffers are cut from the slots in the same order, and each pass goes
/// on with the slot behind that of the pass before: one that filled the same bytes again and again would find them in
/// the processor's cache.
pub(crate) struct Reading {
    backend: Box<dyn ReadBackend>,
    arena: Arc<Arena>,
    next_slot: u32,
    /// What is left of the slot that buffers are being cut from.
    room: Option<Lease>,
    queue: VecDeque<Request>,
    done: Vec<Completion>,
}

impl Reading {
    /// Opens the backend, starts its threads or its ring, and has every page of a fresh arena made.
    pub(crate) fn new(choice: IoChoice, reads: &Reads) -> Self {
        let options = ReadOptions { choice, ..ReadOptions::default() };
        let (mut backend, _) = open_backend(&options).expect("a backend that was found to work can be opened");
        let arena = Arena::new(SLOTS, SLOT_SIZE).expect("16 MiB can be had");
        for slot in 0..SLOTS {
            arena.lease(slot).expect("a fresh arena is empty").fill(1);
        }
        backend.attach(&arena, &reads.paths).expect("a backend that opens can be attached");
        Self { backend, arena, next_slot: 0, room: None, queue: VecDeque::new(), done: Vec::new() }
    }

    /// Reads everything once; says how many bytes that were.
    pub(crate) fn pass(&mut self, reads: &Reads) -> u64 {
        let mut ops = reads.ops.iter().copied().peekable();
        let mut bytes = 0;
        while ops.peek().is_some() || !self.queue.is_empty() || self.backend.in_flight() > 0 {
            // Requests for as long as there is room in the arena.
            while let Some((op, len)) = ops.next_if(|(_, len)| self.has_room(*len)) {
                if let Some(mut buf) = self.room.take() {
                    self.room = Some(buf.split_off(len));
                    self.queue.push_back(Request { tag: 0, op, buf, queued_ns: now_ns() });
                }
            }
            self.backend.submit(&mut self.queue).expect("the backend works");
            self.backend.reap(1, None, &mut self.done).expect("the backend works");
            for done in self.done.drain(..) {
                bytes += u64::from(done.result.expect("the files are there"));
            }
        }
        bytes
    }

    /// Makes sure that `room` holds at least so many bytes; not while reads into the next slot are under way.
    fn has_room(&mut self, len: usize) -> bool {
        if self.room.as_ref().is_none_or(|room| room.len() < len) {
            let Some(fresh) = self.arena.lease(self.next_slot) else { return false };
            self.next_slot = (self.next_slot + 1) % SLOTS;
            self.room = Some(fresh);
        }
        true
    }
}
