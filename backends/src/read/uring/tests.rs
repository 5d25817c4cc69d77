//! What the conformance suite does not reach: each degraded mode, places and memory after everything that can go wrong.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::path::Base;
use crate::read::conformance::{pattern, run};

fn make(options: UringOptions) -> Uring {
    Uring::new(options).expect("io_uring works where these tests run")
}

fn conforms(options: UringOptions) {
    run(&mut |_| Box::new(make(options)));
}

const FULL: UringOptions = UringOptions { depth: DEPTH, direct: None, registered_buffers: true, chains: true };

#[test]
fn conforms_with_everything() {
    let uring = make(FULL);
    assert!(uring.chains && uring.caps.degraded.is_empty(), "{:?}", uring.caps);
    conforms(FULL);
}

#[test]
fn conforms_with_plain_buffers() {
    conforms(UringOptions { registered_buffers: false, ..FULL });
}

#[test]
fn conforms_without_chains() {
    assert!(!make(UringOptions { chains: false, ..FULL }).chains);
    conforms(UringOptions { chains: false, ..FULL });
}

#[test]
fn conforms_with_nothing_but_plain_reads() {
    conforms(UringOptions { chains: false, registered_buffers: false, ..FULL });
}

#[test]
fn conforms_at_the_least_depth_and_at_an_odd_one() {
    conforms(UringOptions { depth: 0, ..FULL });
    conforms(UringOptions { depth: 5, ..FULL });
}

#[test]
fn conforms_reading_directly() {
    conforms(UringOptions { direct: Some(1), ..FULL });
    conforms(UringOptions { direct: Some(1), registered_buffers: false, chains: false, ..FULL });
}

/// A backend attached to an arena of one slot and the paths of one folder.
struct Setup {
    uring: Uring,
    arena: Arc<Arena>,
}

impl Setup {
    fn new(options: UringOptions, folder: &Path, names: &[&str], slot: usize) -> Self {
        let mut paths = PathTable::new();
        let base = paths.push_base(Base { folder: Arc::new(File::open(folder).unwrap().into()), skip: 0 });
        for name in names {
            paths.push(base, name.as_bytes());
        }
        let arena = Arena::new(1, slot).unwrap();
        let mut uring = make(options);
        uring.attach(&arena, &Arc::new(paths)).unwrap();
        Self { uring, arena }
    }

    /// Submits one whole-file request for each path number, with the slot shared out evenly.
    fn submit(&mut self, numbers: &[u32]) {
        let mut rest = self.arena.lease(0).unwrap();
        let len = rest.len() / numbers.len();
        let mut queue = VecDeque::new();
        for (tag, &number) in (0..).zip(numbers) {
            let after = rest.split_off(len);
            let buf = std::mem::replace(&mut rest, after);
            queue.push_back(Request { tag, op: Op::Whole { path: PathId(number) }, buf, queued_ns: now_ns() });
        }
        assert_eq!(self.uring.submit(&mut queue).unwrap(), numbers.len());
    }

    fn reap_all(&mut self) -> Vec<Completion> {
        let mut out = Vec::new();
        let all = self.uring.in_flight();
        assert_eq!(self.uring.reap(all, Some(Duration::from_secs(60)), &mut out).unwrap(), all);
        out.sort_by_key(|completion| completion.tag);
        out
    }

    /// How many places of the ring's table of files are taken, as the kernel tells it.
    fn places_taken(&self) -> usize {
        let ring = self.uring.ring.raw().as_raw_fd();
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{ring}")).unwrap();
        let mut lines = info.lines().skip_while(|line| !line.starts_with("UserFiles:")).skip(1);
        let is_place = |line: &str| line.split_once(": ").is_some_and(|(n, _)| n.trim().parse::<u32>().is_ok());
        lines.by_ref().take_while(|line| is_place(line)).filter(|line| !line.contains("<none>")).count()
    }
}

#[test]
fn no_place_stays_taken_and_none_is_read_from_later() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("short"), b"short").unwrap();
    std::fs::write(dir.path().join("full"), [7; 1024]).unwrap();
    std::fs::write(dir.path().join("empty"), b"").unwrap();
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    std::os::unix::fs::symlink("full", dir.path().join("link")).unwrap();
    let names = ["short", "full", "empty", "folder", "link", "missing"];
    let mut setup = Setup::new(UringOptions { depth: 6, ..FULL }, dir.path(), &names, 6 * 1024);
    for round in 0_u32..20 {
        // Each file gets another place in each round.
        let numbers: Vec<u32> = (0..6).map(|i| (i + round) % 6).collect();
        setup.submit(&numbers);
        for done in setup.reap_all() {
            let name = names[done.op.path().0 as usize];
            match (name, &done.result) {
                ("short", Ok(5)) => assert_eq!(&done.buf[..5], b"short"),
                ("full", Ok(1024)) => assert!(done.buf.iter().all(|&byte| byte == 7)),
                ("empty", Ok(0)) => {}
                ("folder" | "link", Err(error)) => assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{name}"),
                ("missing", Err(error)) => assert_eq!(error.kind(), io::ErrorKind::NotFound),
                (name, result) => panic!("{name}: {result:?}"),
            }
            assert_eq!(done.witness.is_some(), done.result.is_ok(), "{name}");
        }
        assert_eq!(setup.places_taken(), 0, "round {round}");
    }
}

#[test]
fn a_file_whose_size_says_nothing_is_read_to_its_end() {
    let mut setup = Setup::new(FULL, Path::new("/proc/self"), &["smaps"], 1 << 20);
    setup.submit(&[0]);
    let done = setup.reap_all().remove(0);
    let filled = *done.result.as_ref().unwrap() as usize;
    let text = std::str::from_utf8(&done.buf[..filled]).unwrap();
    // The kernel gives such a file out in pieces of at most a page.
    assert!(filled > 8192 && text.contains("[stack]") && text.ends_with("\n"), "{filled} bytes");
}

/// A folder with a FIFO in place of a file, held open by a writer that writes nothing.
fn silent_fifo() -> (tempfile::TempDir, File) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &name, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let writer = File::options().read(true).write(true).open(path).unwrap();
    (dir, writer)
}

#[test]
fn a_fifo_with_a_silent_writer_is_refused_in_the_end() {
    let (dir, _writer) = silent_fifo();
    std::fs::write(dir.path().join("file"), b"content").unwrap();
    let mut setup = Setup::new(FULL, dir.path(), &["fifo", "file"], 64);
    setup.submit(&[0, 1]);
    let done = setup.reap_all();
    assert_eq!(done[0].result.as_ref().unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(*done[1].result.as_ref().unwrap(), 7);
    assert_eq!(setup.places_taken(), 0);
}

#[test]
fn dropping_waits_for_a_read_that_would_never_end() {
    let (dir, _writer) = silent_fifo();
    let mut setup = Setup::new(FULL, dir.path(), &["fifo"], 64);
    setup.submit(&[0]);
    assert_eq!(setup.uring.reap(1, Some(Duration::from_millis(10)), &mut Vec::new()).unwrap(), 0);
    drop(setup.uring);
    assert!(setup.arena.lease(0).is_some(), "the buffer came back");
}

#[test]
fn a_broken_ring_leaks_its_buffers_rather_than_freeing_them() {
    let (dir, _writer) = silent_fifo();
    let mut setup = Setup::new(FULL, dir.path(), &["fifo"], 64);
    setup.submit(&[0]);
    let ring = setup.uring.ring.raw().as_raw_fd();
    // SAFETY: the descriptor stays owned by the ring, which finds something else behind it from now on.
    let mut broken = unsafe { OwnedFd::from_raw_fd(ring) };
    rustix::io::dup2(File::open("/dev/null").unwrap(), &mut broken).unwrap();
    std::mem::forget(broken);
    assert!(setup.uring.reap(1, None, &mut Vec::new()).is_err());
    drop(setup.uring);
    assert!(setup.arena.lease(0).is_none(), "nobody may have the buffer again");
}

#[test]
fn one_thread_submits_and_another_reaps() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = pattern(3, 100_000);
    std::fs::write(dir.path().join("file"), &bytes).unwrap();
    let mut setup = Setup::new(FULL, dir.path(), &["file"], 4 * 100_000);
    let mut setup = std::thread::spawn(move || {
        setup.submit(&[0, 0, 0, 0]);
        setup
    })
    .join()
    .unwrap();
    for done in setup.reap_all() {
        assert_eq!(*done.result.as_ref().unwrap(), 100_000);
        assert!(*done.buf == bytes);
    }
}

/// Reads one file by ranges of `range` bytes and returns the backend's notes.
fn ranges_come_back_right(options: UringOptions, folder: &Path, len: usize, range: usize) -> Vec<String> {
    let bytes = pattern(9, len);
    std::fs::write(folder.join("large"), &bytes).unwrap();
    let mut setup = Setup::new(options, folder, &["large"], len.next_multiple_of(4096));
    let mut rest = setup.arena.lease(0).unwrap();
    let mut queue = VecDeque::new();
    for offset in (0..len).step_by(range) {
        let after = rest.split_off(range.min(len - offset));
        let buf = std::mem::replace(&mut rest, after);
        let op = Op::Range { path: PathId(0), offset: offset as u64, last: offset + range >= len };
        queue.push_back(Request { tag: offset as u64, op, buf, queued_ns: now_ns() });
    }
    setup.uring.submit(&mut queue).unwrap();
    let done = setup.reap_all();
    for done in &done {
        let from = done.tag as usize;
        assert_eq!(*done.result.as_ref().unwrap() as usize, done.buf.len(), "at {from}");
        assert!(*done.buf == bytes[from..from + done.buf.len()], "at {from}");
    }
    assert_eq!(done.iter().filter(|done| done.witness.is_some()).count(), 1);
    setup.uring.caps().degraded.clone()
}

#[test]
fn large_files_are_read_directly_where_the_file_system_allows_it_and_anyway_where_not() {
    // An unaligned tail, and with the odd range unaligned offsets and buffers as well.
    for options in [FULL, UringOptions { registered_buffers: false, ..FULL }] {
        let options = UringOptions { direct: Some(1 << 20), ..options };
        for range in [256 << 10, 100_001] {
            let disk = tempfile::tempdir().unwrap();
            ranges_come_back_right(options, disk.path(), (1 << 20) + 777, range);
        }
    }
}

#[test]
fn files_at_once_leave_descriptors_for_the_rest() {
    let table = [(None, u32::MAX), (Some(0), 1), (Some(20), 2), (Some(64), 24), (Some(1024), 504)];
    for (limit, expected) in table {
        assert_eq!(super::files_at_once(limit), expected, "{limit:?}");
    }
}
