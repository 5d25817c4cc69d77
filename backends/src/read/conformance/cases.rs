//! The cases of the conformance suite. Each builds a tree, makes the backend, and leaves the checking of every single
//! completion to the bench.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::{Bench, Make, STUCK, Tree, assert_refused, pattern};
use crate::path::{Base, PathId};
use crate::read::Op;
use crate::witness::Witness;

type Case = fn(Make<'_>);

/// Every case with its name.
pub(super) const ALL: &[(&str, Case)] = &[
    ("boundary lengths", boundary_lengths),
    ("many files", many_files),
    ("huge offsets", huge_offsets),
    ("ranges among small files", ranges_among_small_files),
    ("a range file held open", a_range_file_held_open),
    ("what is no regular file", what_is_no_regular_file),
    ("nothing stale", nothing_stale),
    ("a file that changes meanwhile", a_file_that_changes_meanwhile),
    ("reaping", reaping),
    ("dropped in flight", dropped_in_flight),
];

const MIB: usize = 1 << 20;

/// Buffers one byte smaller than the file, as big as the file, and one byte bigger.
fn boundary_lengths(make: Make<'_>) {
    // Empty files are never asked for, but a file may have become empty.
    let lengths = [0, 1, 511, 512, 513, 4095, 4096, 4097, 65535, 65536, 65537, MIB - 1, MIB, MIB + 1];
    let mut tree = Tree::new(16 * MIB);
    let ids = lengths.map(|len| tree.file(&format!("of-{len}"), pattern(len as u64, len)));
    let mut bench = Bench::new(tree, make);
    let (mut tags, mut wanted) = (Vec::new(), Vec::new());
    for (&path, &len) in ids.iter().zip(&lengths) {
        for buffer in [len.saturating_sub(1), len, len + 1].into_iter().filter(|&buffer| buffer > 0) {
            tags.push(bench.ask(Op::Whole { path }, buffer));
            wanted.push((path, pattern(len as u64, len)[..len.min(buffer)].to_vec()));
        }
    }
    let done = bench.finish(&tags);
    for (completion, (path, expected)) in done.iter().zip(&wanted) {
        bench.assert_content(completion, expected);
        bench.assert_one_witness(*path, [completion]);
    }
}

/// More files than any backend holds at once, queued in one go.
fn many_files(make: Make<'_>) {
    const FILES: usize = 2500;
    let size = |i: usize| i * 7 % 613;
    let mut tree = Tree::new(2 * MIB);
    let ids: Vec<PathId> = (0..FILES).map(|i| tree.file(&format!("{i:05}"), pattern(i as u64, size(i)))).collect();
    let mut bench = Bench::new(tree, make);
    let buffer = |i: usize| size(i).max(1) + i % 3;
    let tags: Vec<u64> = ids.iter().enumerate().map(|(i, &path)| bench.ask(Op::Whole { path }, buffer(i))).collect();
    while bench.submit() > 0 {}
    assert!(!bench.queue.is_empty(), "the case must ask for more than the depth");
    let done = bench.finish(&tags);
    for (i, completion) in done.iter().enumerate() {
        bench.assert_content(completion, &pattern(i as u64, size(i)));
        bench.assert_one_witness(ids[i], [completion]);
    }
}

/// Data beyond 4 GiB in a sparse file, its holes, its end, and far behind its end.
fn huge_offsets(make: Make<'_>) {
    const AT: u64 = (4 << 30) + 12_345;
    let data = pattern(9, 100_000);
    let mut tree = Tree::new(2 * MIB);
    let path = tree.name("sparse");
    let mut file = File::create(tree.at("sparse")).unwrap();
    file.seek(SeekFrom::Start(AT)).unwrap();
    file.write_all(&data).unwrap();
    drop(file);
    let mut bench = Bench::new(tree, make);
    let end = AT + data.len() as u64;
    let mut joint = vec![0; 300];
    joint.extend_from_slice(&data[..400]);
    let ranges = [
        (0, 10_000, vec![0; 10_000]),
        (AT, data.len(), data.clone()),
        (AT - 300, 700, joint),
        (u64::from(u32::MAX) - 50, 100, vec![0; 100]),
        (end - 1000, 1000, data[99_000..].to_vec()),
        (end - 1000, 1001, data[99_000..].to_vec()),
        (end - 1, 5000, data[99_999..].to_vec()),
        (end, 4096, Vec::new()),
        (end + 1, 4096, Vec::new()),
        (1 << 50, 4096, Vec::new()),
    ];
    let mut tags = Vec::new();
    for (i, &(offset, len, _)) in ranges.iter().enumerate() {
        tags.push(bench.ask(Op::Range { path, offset, last: i + 1 == ranges.len() }, len));
    }
    let done = bench.finish(&tags);
    for (completion, (_, _, expected)) in done.iter().zip(&ranges) {
        bench.assert_content(completion, expected);
    }
    bench.assert_one_witness(path, &done);
}

/// Ranges of two large files, submitted in a scrambled order, with small files in between.
fn ranges_among_small_files(make: Make<'_>) {
    const STEP: usize = 64 << 10;
    let contents = [pattern(1, 3 * MIB + 77), pattern(2, 2 * MIB)];
    let mut tree = Tree::new(8 * MIB);
    let large = [0, 1].map(|i| tree.file(&format!("large-{i}"), contents[i].clone()));
    let small: Vec<PathId> = (0..60).map(|i| tree.file(&format!("small-{i}"), pattern(i + 10, 900))).collect();
    let mut bench = Bench::new(tree, make);

    let mut pieces: Vec<(usize, usize)> = Vec::new();
    for (file, bytes) in contents.iter().enumerate() {
        pieces.extend((0..bytes.len().div_ceil(STEP)).map(|i| (file, i * STEP)));
    }
    // 17 has no divisor in common with the number of pieces: every piece comes once, neighbours far apart.
    let count = pieces.len();
    assert!(!count.is_multiple_of(17));
    let order: Vec<(usize, usize)> = (0..count).map(|i| pieces[i * 17 % count]).collect();
    let mut small_left = small.iter().enumerate();
    let (mut tags, mut wanted) = (Vec::new(), Vec::new());
    for (i, &(file, at)) in order.iter().enumerate() {
        let last = !order[i + 1..].iter().any(|&(later, _)| later == file);
        let end = contents[file].len().min(at + STEP);
        tags.push(bench.ask(Op::Range { path: large[file], offset: at as u64, last }, end - at));
        wanted.push(contents[file][at..end].to_vec());
        if let Some((i, &path)) = small_left.next() {
            tags.push(bench.ask(Op::Whole { path }, 1000));
            wanted.push(pattern(i as u64 + 10, 900));
        }
    }
    let done = bench.finish(&tags);
    for (completion, expected) in done.iter().zip(&wanted) {
        bench.assert_content(completion, expected);
    }
    for path in large.into_iter().chain(small) {
        bench.assert_one_witness(path, &done);
    }
}

/// Between two ranges with nothing in flight the file stays open: the second comes from the file of the first, even
/// when another one has taken its name.
fn a_range_file_held_open(make: Make<'_>) {
    let old = pattern(3, 10_000);
    let mut tree = Tree::new(MIB);
    let path = tree.file("file", old.clone());
    let mut bench = Bench::new(tree, make);
    let first = bench.ask(Op::Range { path, offset: 0, last: false }, 5000);
    let first = bench.finish(&[first]).remove(0);
    bench.assert_content(&first, &old[..5000]);
    assert_eq!(first.witness, None, "more of the file is still to be read");
    let held = File::open(bench.tree.at("file")).unwrap();
    std::fs::write(bench.tree.at("new"), pattern(4, 10_000)).unwrap();
    std::fs::rename(bench.tree.at("new"), bench.tree.at("file")).unwrap();
    let second = bench.ask(Op::Range { path, offset: 5000, last: true }, 5000);
    let second = bench.finish(&[second]).remove(0);
    bench.assert_content(&second, &old[5000..]);
    assert_eq!(second.witness, Some(Witness::of_fd(held.as_fd()).unwrap()));
}

/// Missing files, symlinks, folders, FIFOs, sockets, devices: an error for each, no hang, and no harm to the others.
///
/// Files without read permission are not tried: root, as whom tests often run, reads them all the same. A folder, a
/// symlink and a path that leads through a file stand in for what the kernel refuses.
fn what_is_no_regular_file(make: Make<'_>) {
    let mut tree = Tree::new(4 * MIB);
    let good: Vec<PathId> = (0..20).map(|i| tree.file(&format!("good-{i}"), pattern(i, 5000))).collect();
    std::fs::create_dir(tree.at("folder")).unwrap();
    std::os::unix::fs::symlink("good-0", tree.at("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", tree.at("dangling")).unwrap();
    for name in ["fifo", "fifo-with-a-writer"] {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            tree.at(name),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();
    }
    // Opened for both directions, a FIFO does not wait for the other end. A read from it would wait for ever.
    let writer = File::options().read(true).write(true).open(tree.at("fifo-with-a-writer")).unwrap();
    let socket = UnixListener::bind(tree.at("socket")).unwrap();
    let mut bad: Vec<(PathId, ErrorKind)> =
        [("missing", ErrorKind::NotFound), ("good-1/below", ErrorKind::NotADirectory), ("", ErrorKind::InvalidInput)]
            .map(|(name, kind)| (tree.name(name), kind))
            .to_vec();
    for name in ["folder", "link", "dangling", "fifo", "fifo-with-a-writer", "socket"] {
        bad.push((tree.name(name), ErrorKind::InvalidInput));
    }
    let devices = tree.table_mut().push_base(Base { folder: Arc::new(File::open("/dev").unwrap().into()), skip: 4 });
    bad.push((tree.table_mut().push(devices, b"dev/zero"), ErrorKind::InvalidInput));

    let mut bench = Bench::new(tree, make);
    let mut tags = Vec::new();
    for (i, &(path, _)) in bad.iter().enumerate() {
        tags.push(bench.ask(Op::Whole { path }, 4096));
        tags.push(bench.ask(Op::Whole { path: good[2 * i] }, 6000));
        tags.push(bench.ask(Op::Range { path, offset: 0, last: false }, 4096));
        tags.push(bench.ask(Op::Whole { path: good[2 * i + 1] }, 6000));
        tags.push(bench.ask(Op::Range { path, offset: 4096, last: true }, 4096));
    }
    let done = bench.finish(&tags);
    for (i, (five, &(path, kind))) in done.chunks(5).zip(&bad).enumerate() {
        let name = String::from_utf8_lossy(bench.paths.path(path)).into_owned();
        for refused in [&five[0], &five[2], &five[4]] {
            assert_refused(refused, kind, &name);
            assert_eq!(refused.witness, None, "{name}");
        }
        let texts = [2, 4].map(|range| five[range].result.as_ref().unwrap_err().to_string());
        assert_eq!(texts[0], texts[1], "{name}: each range must give the same error");
        for (completion, seed) in [(&five[1], 2 * i), (&five[3], 2 * i + 1)] {
            bench.assert_content(completion, &pattern(seed as u64, 5000));
        }
    }
    drop((writer, socket));
}

/// A file read again is opened again: what was seen or refused the first time is forgotten.
fn nothing_stale(make: Make<'_>) {
    let mut tree = Tree::new(MIB);
    let path = tree.file("replaced", pattern(1, 3000));
    let late = tree.name("late");
    let mut bench = Bench::new(tree, make);
    for round in 0..3_u64 {
        for (id, name) in [(path, "replaced"), (late, "late")] {
            let missing = round == 0 && id == late;
            let expected = pattern(round * 2 + u64::from(id == late) + 1, 3000 + round as usize);
            if round > 0 {
                std::fs::write(bench.tree.at("new"), &expected).unwrap();
                std::fs::rename(bench.tree.at("new"), bench.tree.at(name)).unwrap();
            }
            let mut tags = vec![bench.ask(Op::Whole { path: id }, 4000)];
            tags.push(bench.ask(Op::Range { path: id, offset: 0, last: false }, 1000));
            tags.push(bench.ask(Op::Range { path: id, offset: 1000, last: true }, 3000));
            let done = bench.finish(&tags);
            if missing {
                done.iter().for_each(|completion| assert_refused(completion, ErrorKind::NotFound, name));
                continue;
            }
            bench.assert_content(&done[0], &expected);
            bench.assert_content(&done[1], &expected[..1000]);
            bench.assert_content(&done[2], &expected[1000..]);
            bench.assert_one_witness(id, &done[..1]);
            bench.assert_one_witness(id, &done[1..]);
        }
    }
}

/// A file that somebody cuts and stretches while it is read: whatever comes, it comes with a count that is covered by
/// bytes the file had there, and the process lives on.
fn a_file_that_changes_meanwhile(make: Make<'_>) {
    const LEN: usize = 32 << 10;
    const READS: usize = 24;
    let bytes = pattern(1, LEN);
    let mut tree = Tree::new(2 * READS * LEN);
    let path = tree.file("restless", bytes.clone());
    let file = File::options().write(true).open(tree.at("restless")).unwrap();
    let mut bench = Bench::new(tree, make);
    let tags: Vec<u64> = (0..READS).map(|_| bench.ask(Op::Whole { path }, LEN + 100)).collect();
    let stop = AtomicBool::new(false);
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut seed = 1_u64;
            while !stop.load(Ordering::Relaxed) {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                file.set_len((seed >> 33) % LEN as u64).unwrap();
                file.set_len(LEN as u64).unwrap();
                file.write_all_at(&bytes, 0).unwrap();
            }
        });
        // Stopped on the way out of a failure too: the scope waits for the thread.
        let _stop = StopOnDrop(&stop);
        bench.finish(&tags)
    });
    for completion in &done {
        let filled = completion.result.as_ref().map_or(0, |&n| n as usize);
        assert!(filled <= LEN, "more than the file ever had: {filled}");
        // Stretched without being written, a file reads as zeros for a moment.
        let wrong = (0..filled).find(|&i| completion.buf[i] != bytes[i] && completion.buf[i] != 0);
        assert_eq!(wrong, None, "a byte that the file never had");
        assert!(completion.result.is_ok() && completion.witness.is_some());
    }
}

struct StopOnDrop<'s>(&'s AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// `reap` waits for no more than it was asked for, and not at all when there is nothing to wait for.
fn reaping(make: Make<'_>) {
    let mut tree = Tree::new(MIB);
    let ids: Vec<PathId> = (0..8).map(|i| tree.file(&format!("{i}"), pattern(i, 2000))).collect();
    let mut bench = Bench::new(tree, make);
    let mut out = Vec::new();
    // Nothing in flight: each of these would wait for ever.
    for min in [0, 1, 1000] {
        assert_eq!(bench.reap(min, None, &mut out), 0);
    }
    assert_eq!(bench.submit(), 0, "an empty queue");
    // More wanted than there is: all of it, then back.
    let ask = |bench: &mut Bench, n: usize| {
        for &path in &ids[..n] {
            bench.ask(Op::Whole { path }, 2000);
        }
    };
    ask(&mut bench, 3);
    let taken = bench.submit();
    assert!(taken > 0);
    assert_eq!(bench.reap(1000, None, &mut out), taken);
    // At least so many, not fewer.
    ask(&mut bench, 8);
    while !bench.queue.is_empty() {
        let taken = bench.submit();
        let min = taken.min(2);
        assert!(bench.reap(min, None, &mut out) >= min);
    }
    // Polling gets everything in the end, with and without a timeout.
    for timeout in [None, Some(Duration::ZERO), Some(Duration::from_millis(1))] {
        ask(&mut bench, 8);
        let begin = Instant::now();
        while !bench.queue.is_empty() || bench.backend.in_flight() > 0 {
            bench.submit();
            let min = if timeout.is_some() { usize::MAX } else { 0 };
            if bench.reap(min, timeout, &mut out) == 0 {
                std::thread::sleep(Duration::from_micros(100));
            }
            assert!(begin.elapsed() < STUCK, "polling does not get anywhere");
        }
    }
    assert!(bench.open.is_empty());
    assert!(out.iter().all(|completion| matches!(completion.result, Ok(2000)) && completion.witness.is_some()));
}

/// A backend dropped in the middle gives all buffers back, and nobody writes to them any more.
fn dropped_in_flight(make: Make<'_>) {
    for round in 0..4 {
        let mut tree = Tree::new(4 * MIB);
        let large = tree.file("large", pattern(1, 3 * MIB));
        let small: Vec<PathId> = (0..40).map(|i| tree.file(&format!("{i}"), pattern(i, 2000))).collect();
        let mut bench = Bench::new(tree, make);
        for (i, &path) in small.iter().enumerate() {
            bench.ask(Op::Whole { path }, 2000);
            let offset = (i * 65_536) as u64;
            bench.ask(Op::Range { path: large, offset, last: false }, 65_536);
        }
        assert!(bench.submit() > 0);
        let mut out = Vec::new();
        bench.reap(round, None, &mut out);
        let Bench { backend, arena, free, queue, .. } = bench;
        drop(backend);
        let unsent: VecDeque<_> = queue;
        drop((unsent, free, out));
        let mut slot = arena.lease(0).expect("every buffer of the slot is back");
        slot.fill(0x77);
        // Time for a read that was let loose to do its damage.
        std::thread::sleep(Duration::from_millis(5));
        assert!(slot.iter().all(|&byte| byte == 0x77), "a buffer was written to after its backend was gone");
    }
}
