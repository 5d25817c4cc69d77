//! The first failure ends a run with an error, without a hang, and leaves nothing behind.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use carrack_backends::arena::Arena;
use carrack_backends::path::PathTable;
use carrack_backends::read::choose::IoChoice;
use carrack_backends::read::{Caps, Completion, ReadBackend, Request};
use carrack_backends::sink::{
    AppendSink, Call, FaultSink, FaultSinkPlan, FileSink, FileSinkOptions, MemorySink, SinkEvent, Watcher, create,
};
use carrack_engine::archive::Archive;
use carrack_engine::codec::Codec;
use carrack_engine::control::{Cancel, Control};
use carrack_engine::error::{Error, ErrorKind};
use carrack_engine::pack::Packer;
use carrack_engine::salvage::salvage;
use carrack_engine::unpack::Unpacker;
use carrack_engine::verify::VerifyOptions;
use carrack_fixtures::tree::Builder;

use crate::folders::Watched;
use crate::support::{Place, TIME, assert_same_trees, backend, backends, names_in, no_hang, noise, open, pack};

pub(crate) const BLOCK: u32 = 4096;
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// Some thirty blocks: small files, a large one, a duplicate.
pub(crate) fn place() -> Place {
    let mut plan = Builder::new(TIME);
    for n in 0..30_u64 {
        plan.file(format!("{}/{n:02}", n % 4), noise(n, 100 + n * 137), TIME);
    }
    plan.file("large", noise(100, 60_000), TIME);
    plan.file("larger", noise(100, 60_000), TIME);
    Place::new(plan.finish())
}

pub(crate) fn packer(place: &Place) -> Packer {
    place.packer().block_size(BLOCK).slots(3).slot_size(BLOCK * 2).codec(Codec::Lz4)
}

/// Who writes archives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writes {
    Pack,
    PackAndVerify,
    Salvage,
}

impl Writes {
    pub(crate) const ALL: [Self; 3] = [Self::Pack, Self::PackAndVerify, Self::Salvage];

    /// Writes the archive of this place, or what is left of it without its index.
    pub(crate) fn write(self, place: &Place, sink: Box<dyn AppendSink>) -> Result<(), Error> {
        let packer = packer(place).verify(self == Self::PackAndVerify);
        if self != Self::Salvage {
            return packer.pack_to_sink(sink).map(drop);
        }
        let (mut bytes, _) = pack(&packer);
        bytes.truncate(bytes.len() - 100);
        let left = salvage("what is left", Arc::new(bytes), &Control::default())?;
        assert!(left.report.lost.is_empty() && !left.report.has_index, "{:?}", left.report);
        left.write(sink, &Control::default()).map(drop)
    }

    /// What that comes to.
    pub(crate) fn archive(self, place: &Place) -> Vec<u8> {
        let (sink, bytes) = MemorySink::new();
        // Memory cannot be read back, and that changes no byte.
        let writes = if self == Self::PackAndVerify { Self::Pack } else { self };
        writes.write(place, Box::new(sink)).unwrap();
        bytes.finished().unwrap()
    }
}

/// A sink that calls something with the number of each append, the first being 0, before it happens.
struct Hook<F>(Box<dyn AppendSink>, u64, F);

impl<F: FnMut(u64) + Send> AppendSink for Hook<F> {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        (self.2)(self.1);
        self.1 += 1;
        self.0.append(parts)
    }
    fn written(&self) -> u64 {
        self.0.written()
    }
    fn identity(&self) -> Option<(u64, u64)> {
        self.0.identity()
    }
    fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.finish()
    }
    fn abort(self: Box<Self>) {
        self.0.abort();
    }
}

/// How a backend breaks as a whole, or panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Breaks {
    Attach,
    Submit(u32),
    Reap(u32),
    PanicsInReap(u32),
    Never,
}

/// A backend that breaks, and says when it is gone.
struct Breaking {
    inner: Box<dyn ReadBackend>,
    how: Breaks,
    submits: u32,
    reaps: u32,
    gone: Arc<AtomicBool>,
}

impl Breaking {
    fn new(io: IoChoice, how: Breaks) -> (Box<Self>, Arc<AtomicBool>) {
        let gone = Arc::new(AtomicBool::new(false));
        (Box::new(Self { inner: backend(io), how, submits: 0, reaps: 0, gone: Arc::clone(&gone) }), gone)
    }
}

impl Drop for Breaking {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
    }
}

impl ReadBackend for Breaking {
    fn caps(&self) -> &Caps {
        self.inner.caps()
    }
    fn attach(&mut self, arena: &Arc<Arena>, paths: &Arc<PathTable>) -> io::Result<()> {
        self.inner.attach(arena, paths)?;
        if self.how == Breaks::Attach { Err(io::Error::other("broken on attach")) } else { Ok(()) }
    }
    fn submit(&mut self, queue: &mut VecDeque<Request>) -> io::Result<usize> {
        self.submits += 1;
        if self.how == Breaks::Submit(self.submits) {
            return Err(io::Error::other("broken on submit"));
        }
        self.inner.submit(queue)
    }
    fn reap(&mut self, min: usize, timeout: Option<Duration>, out: &mut Vec<Completion>) -> io::Result<usize> {
        self.reaps += 1;
        assert!(self.how != Breaks::PanicsInReap(self.reaps), "a backend that panics on purpose");
        if self.how == Breaks::Reap(self.reaps) {
            return Err(io::Error::other("broken on reap"));
        }
        self.inner.reap(min, timeout, out)
    }
    fn in_flight(&self) -> usize {
        self.inner.in_flight()
    }
}

fn file_sink(target: &Path) -> Box<dyn AppendSink> {
    create(target, FileSinkOptions { force: false, sync: false }).unwrap()
}

#[test]
fn a_sink_that_fails_at_any_append_ends_the_run() {
    no_hang("packing into a sink that fails", || {
        let place = place();
        let target = place.beside("x.crk");
        let (sink, log) = FaultSink::new(file_sink(&target), FaultSinkPlan::default());
        packer(&place).pack_with(backend(IoChoice::Pool), Vec::new(), Box::new(sink)).unwrap();
        std::fs::remove_file(&target).unwrap();
        let appends = log.events().iter().filter(|event| matches!(event, SinkEvent::Appended(_))).count() as u64;
        assert!(appends > 30, "{appends}");
        for nth in 0..appends {
            for threads in [1, 3] {
                let plan = FaultSinkPlan { fail_append: Some((nth, EIO)), ..FaultSinkPlan::default() };
                let (sink, log) = FaultSink::new(file_sink(&target), plan);
                let packer = packer(&place).threads(threads);
                let error = packer.pack_with(backend(IoChoice::Pool), Vec::new(), Box::new(sink)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Output, "{error}");
                assert_eq!(log.events().last(), Some(&SinkEvent::Aborted));
                assert_eq!(log.events().len() as u64, nth + 2, "nothing is appended behind a failure");
                assert_eq!(names_in(place.dir.path()), ["tree"], "append {nth}");
            }
        }
    });
}

#[test]
fn a_full_disk_and_a_finish_that_fails_leave_nothing() {
    no_hang("packing onto a full disk", || {
        let place = place();
        let len = pack(&packer(&place)).0.len() as u64;
        let target = place.beside("x.crk");
        let plans = [0, 1, 64, len / 2, len - 1]
            .map(|room| FaultSinkPlan { capacity: Some((room, ENOSPC)), ..FaultSinkPlan::default() });
        for plan in plans.into_iter().chain([FaultSinkPlan { fail_finish: Some(EIO), ..FaultSinkPlan::default() }]) {
            let (sink, _) = FaultSink::new(file_sink(&target), plan);
            let error = packer(&place).pack_with(backend(IoChoice::Auto), Vec::new(), Box::new(sink)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Output, "{plan:?}: {error}");
            assert_eq!(names_in(place.dir.path()), ["tree"], "{plan:?}");
        }
    });
}

/// Has the calls fail that it says.
#[derive(Debug)]
struct Refusing(fn(&Call<'_>) -> bool);

impl Watcher for Refusing {
    fn before(&self, call: &Call<'_>) -> Option<i32> {
        (self.0)(call).then_some(EIO)
    }

    fn after(&self, _: &Call<'_>, _: usize) {}
}

/// What the disk did not take can be read from memory for a while: only the sync tells.
#[test]
fn a_sync_that_fails_is_never_a_success() {
    const OLD: &[u8] = b"the archive before";
    let place = place();
    let target = place.beside("x.crk");
    let syncs: [fn(&Call<'_>) -> bool; 3] = [
        |call| matches!(call, Call::SyncData),
        |call| matches!(call, Call::SyncFile),
        |call| matches!(call, Call::SyncFolder),
    ];
    for (number, refused) in syncs.into_iter().enumerate() {
        for replace in [false, true] {
            if replace {
                std::fs::write(&target, OLD).unwrap();
            }
            let options = FileSinkOptions { force: replace, sync: true };
            let sink = FileSink::watched(&target, options, Arc::new(Refusing(refused))).unwrap();
            // The data alone is synced in order to be read back.
            let result = packer(&place).verify(number == 0).pack_to_sink(Box::new(sink));
            let error = result.expect_err("a sync failed");
            assert_eq!(error.kind(), ErrorKind::Output, "{number}: {error}");
            let found = std::fs::read(&target).ok();
            match number {
                // It has its name already, which the error says.
                2 => assert!(Archive::open(&target).is_ok_and(|archive| archive.len() > 30)),
                _ => assert_eq!(found.as_deref(), replace.then_some(OLD), "{number}"),
            }
            let _ = std::fs::remove_file(&target);
        }
    }
    assert_eq!(names_in(place.dir.path()), ["tree"]);
}

#[test]
fn a_backend_that_breaks_as_a_whole_ends_the_run() {
    no_hang("packing with a broken backend", || {
        let place = place();
        let target = place.beside("x.crk");
        let later =
            [1, 2, 3, 5, 8].into_iter().flat_map(|n| [Breaks::Submit(n), Breaks::Reap(n), Breaks::PanicsInReap(n)]);
        for io in backends() {
            for how in later.clone().chain([Breaks::Attach]) {
                let (breaking, gone) = Breaking::new(io, how);
                let packer = packer(&place).slots(2).slot_size(BLOCK);
                let error = packer.pack_with(breaking, Vec::new(), file_sink(&target)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Input, "{how:?}: {error}");
                assert!(error.to_string().contains("broken on") || error.to_string().contains("panicked"), "{error}");
                assert!(gone.load(Ordering::SeqCst), "{how:?}: the reader lives on");
                assert_eq!(names_in(place.dir.path()), ["tree"], "{how:?}");
            }
        }
    });
}

#[test]
fn cancelling_at_any_append_ends_the_run() {
    no_hang("packing until it is cancelled", || {
        let place = place();
        let target = place.beside("x.crk");
        let mut appends = 0;
        let mut nth = 0;
        while nth <= appends {
            let cancel = Cancel::new();
            let hook = {
                let cancel = cancel.clone();
                move |number| {
                    if number == nth {
                        cancel.cancel()
                    }
                }
            };
            if nth == 0 {
                let (sink, log) = FaultSink::new(Box::new(MemorySink::new().0), FaultSinkPlan::default());
                packer(&place).pack_to_sink(Box::new(sink)).unwrap();
                appends = log.events().len() as u64 - 2;
            }
            let control = Control { cancel, on_progress: None };
            let (breaking, gone) = Breaking::new(IoChoice::Auto, Breaks::Never);
            let sink = Box::new(Hook(file_sink(&target), 0, hook));
            let error = packer(&place).control(control).pack_with(breaking, Vec::new(), sink).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Cancelled, "append {nth} of {appends}: {error}");
            assert!(gone.load(Ordering::SeqCst), "the reader lives on");
            assert_eq!(names_in(place.dir.path()), ["tree"]);
            nth += 1;
        }
    });
}

#[test]
fn cancelling_at_any_moment_leaves_an_archive_or_none() {
    no_hang("cancelling at any moment", || {
        let place = place();
        let target = place.beside("x.crk");
        let mut cancelled = 0;
        for moment in 0..60_u64 {
            let cancel = Cancel::new();
            let control = Control { cancel: cancel.clone(), on_progress: None };
            let result = std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_micros(moment * moment * 4));
                    cancel.cancel();
                });
                packer(&place).control(control).pack(&target)
            });
            match result {
                Ok(_) => {
                    assert_eq!(names_in(place.dir.path()), ["tree", "x.crk"]);
                    crate::support::verify_clean(&Archive::open(&target).unwrap());
                    std::fs::remove_file(&target).unwrap();
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
                    assert_eq!(names_in(place.dir.path()), ["tree"]);
                    cancelled += 1;
                }
            }
        }
        assert!(cancelled > 0, "no run was cancelled");
    });
}

#[test]
fn unpacking_and_verifying_can_be_cancelled() {
    no_hang("cancelling an unpack", || {
        let place = place();
        let archive = open(pack(&packer(&place)).0);
        let cancelled = Control { cancel: Cancel::new(), on_progress: None };
        cancelled.cancel.cancel();
        let options = VerifyOptions { threads: Some(2), control: cancelled.clone(), ..VerifyOptions::default() };
        assert_eq!(archive.verify(&options).unwrap_err().kind(), ErrorKind::Cancelled);
        let error = Unpacker::new(&archive).control(cancelled).unpack(place.beside("none")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        for moment in 0..40_u64 {
            let cancel = Cancel::new();
            let control = Control { cancel: cancel.clone(), on_progress: None };
            let dest = place.beside("out");
            let result = std::thread::scope(|scope| {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_micros(moment * moment * 4));
                    cancel.cancel();
                });
                Unpacker::new(&archive).threads(2).control(control).unpack(&dest)
            });
            // Files that are there are whole.
            for node in place.plan.nodes() {
                let path = dest.join(std::str::from_utf8(&node.path).unwrap());
                if path.is_file() {
                    assert!(std::fs::read(&path).ok() == place.plan.bytes(&node.path), "{path:?} is not whole");
                }
            }
            match result {
                Ok(_) => assert_same_trees(&place.tree, &dest),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}"),
            }
            let _ = std::fs::remove_dir_all(&dest);
        }
    });
}

/// A block may hold thousands of small files.
#[test]
fn a_cancelled_unpack_stops_within_a_block() {
    no_hang("cancelling within a block", || {
        let names: Vec<_> = (0..500).map(|n| format!("{n:03}")).collect();
        let place = Place::of_files(names.iter().zip(0..).map(|(name, n)| (name.as_str(), noise(n, 10))));
        let archive = open(pack(&place.packer()).0);
        assert_eq!(archive.summary().frames, 1);
        let (cancel, written) = (Cancel::new(), Arc::new(AtomicU64::new(0)));
        let control = Control { cancel: cancel.clone(), on_progress: None };
        let count = Arc::clone(&written);
        let tree = Watched::new(move |what, _| {
            if what == "write" && count.fetch_add(1, Ordering::SeqCst) == 10 {
                cancel.cancel();
            }
            None
        });
        let error = Unpacker::new(&archive).threads(2).control(control).unpack_to_tree(tree).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        assert_eq!(written.load(Ordering::SeqCst), 11, "files were written after the run was cancelled");
    });
}

/// The caller's own code may panic in the middle of a run: nothing goes on behind its back.
#[test]
fn a_panic_of_the_callers_code_leaves_no_thread_and_no_file() {
    no_hang("a panic within a run", || {
        let place = place();
        let target = place.beside("x.crk");
        for nth in [0, 1, 7, 20] {
            let (breaking, gone) = Breaking::new(IoChoice::Auto, Breaks::Never);
            let hook = move |number| assert!(number != nth, "a sink that panics on purpose");
            let sink = Box::new(Hook(file_sink(&target), 0, hook));
            let packer = packer(&place).slots(2).slot_size(BLOCK);
            assert!(catch_unwind(AssertUnwindSafe(|| packer.pack_with(breaking, Vec::new(), sink))).is_err());
            assert!(gone.load(Ordering::SeqCst), "the reader lives on after append {nth}");
            assert_eq!(names_in(place.dir.path()), ["tree"]);
        }
    });
}
