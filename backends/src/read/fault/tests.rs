//! Each harm on its own, over content in memory.

use super::*;
use crate::arena::Lease;
use crate::path::{Base, PathId};
use crate::read::conformance;
use crate::read::memory::{Content, Memory};
use crate::read::pool::Pool;
use crate::read::pread::Pread;

const LEN: usize = 1000;

fn witness() -> Witness {
    let time = Time { sec: 5, nsec: 999_999_999 };
    Witness { dev: 1, ino: 2, size: LEN as u64, mtime: time, ctime: time }
}

/// Ten files `0`…`9` of 1000 bytes, each full of its own number.
struct Files {
    backend: Fault,
    rest: Option<Lease>,
    queue: VecDeque<Request>,
}

impl Files {
    fn under(rules: Rules) -> Self {
        let mut paths = PathTable::new();
        let folder = std::fs::File::open("/").unwrap();
        let base = paths.push_base(Base { folder: Arc::new(folder.into()), skip: 0 });
        let mut files = HashMap::new();
        for number in 0..10_u8 {
            let name = number.to_string().into_bytes();
            paths.push(base, &name);
            files.insert(name, Content { bytes: vec![number; LEN].into(), witness: witness() });
        }
        let mut backend = Fault::new(Box::new(Memory::new(files)), rules);
        let arena = Arena::new(1, 1 << 20).unwrap();
        backend.attach(&arena, &Arc::new(paths)).unwrap();
        Self { backend, rest: arena.lease(0), queue: VecDeque::new() }
    }

    fn ask(&mut self, op: Op, len: usize) {
        let mut buf = self.rest.take().unwrap();
        self.rest = Some(buf.split_off(len));
        let tag = buf.arena_offset() as u64;
        self.queue.push_back(Request { tag, op, buf, queued_ns: now_ns() });
    }

    fn ask_whole(&mut self, files: std::ops::Range<u32>) {
        files.for_each(|file| self.ask(Op::Whole { path: PathId(file) }, LEN));
    }

    /// All four ranges of a file, 250 bytes each.
    fn ask_ranges(&mut self, file: u32) {
        for i in 0..4 {
            let (path, offset) = (PathId(file), i * 250);
            self.ask(Op::Range { path, offset, last: i == 3 }, 250);
        }
    }

    fn finish(&mut self) -> Vec<Completion> {
        let mut out = Vec::new();
        while !self.queue.is_empty() || self.backend.in_flight() > 0 {
            self.backend.submit(&mut self.queue).unwrap();
            assert!(self.backend.reap(1, None, &mut out).unwrap() > 0);
        }
        out
    }
}

fn on(file: u32) -> When {
    When::Path(file.to_string().into_bytes())
}

fn filled(completions: &[Completion]) -> Vec<Option<u32>> {
    completions.iter().map(|completion| completion.result.as_ref().ok().copied()).collect()
}

#[test]
fn conforms_without_rules() {
    conformance::run(&mut |_| Box::new(Fault::new(Box::new(Pread::new()), Rules::default())));
}

#[test]
fn conforms_when_only_the_order_is_harmed() {
    for inner in 0..2 {
        conformance::run(&mut |_| {
            let inner: Box<dyn ReadBackend> = if inner == 0 { Box::new(Pread::new()) } else { Box::new(Pool::new(3)) };
            let late = When::OneIn(5);
            Box::new(Fault::new(inner, Rules::new(7).shuffled().rule(late, Harm::Late(3))))
        });
    }
}

#[test]
fn an_error_hits_its_file_alone_and_spoils_the_buffer() {
    for errno in [libc::EIO, libc::EINTR] {
        let mut files = Files::under(Rules::new(0).rule(on(3), Harm::Errno(errno)));
        files.ask_whole(0..10);
        for (i, completion) in files.finish().iter().enumerate() {
            match &completion.result {
                Ok(n) => assert!(i != 3 && *n == 1000 && completion.buf.iter().all(|&byte| byte == i as u8)),
                Err(error) => {
                    assert_eq!((i, error.raw_os_error()), (3, Some(errno)));
                    assert!(completion.buf.iter().all(|&byte| byte == GARBAGE));
                }
            }
        }
    }
}

#[test]
fn the_nth_request_and_a_number_of_times() {
    let rules = Rules::new(0).rule(When::Nth(4), Harm::Vanish).times(2, When::Always, Harm::Short(10));
    let mut files = Files::under(rules);
    files.ask_whole(0..6);
    let done = files.finish();
    assert_eq!(filled(&done), [Some(10), Some(10), Some(1000), Some(1000), None, Some(1000)]);
    assert_eq!(done[4].result.as_ref().unwrap_err().kind(), io::ErrorKind::NotFound);
    assert_eq!((done[4].witness, done[0].witness), (None, Some(witness())));
    assert_eq!((done[0].buf[9], done[0].buf[10]), (0, GARBAGE));
}

#[test]
fn one_reading_of_a_file_is_all_of_its_ranges() {
    let mut files = Files::under(Rules::new(0).times(1, on(2), Harm::Shrink(600)));
    files.ask_ranges(2);
    files.ask_ranges(2);
    let done = files.finish();
    let full = Some(250);
    assert_eq!(filled(&done), [full, full, Some(100), Some(0), full, full, full, full]);
    let witnesses: Vec<Witness> = done.iter().filter_map(|completion| completion.witness).collect();
    assert_eq!(witnesses.len(), 2);
    assert_eq!((witnesses[0].size, witnesses[0].mtime), (600, Time { sec: 6, nsec: 0 }));
    assert_eq!(witnesses[1], witness(), "the second reading is unharmed");
}

#[test]
fn a_file_can_grow_be_touched_or_lose_its_witness_with_its_bytes_intact() {
    let rules = Rules::new(0).rule(on(0), Harm::Grow(5)).rule(on(1), Harm::Touch).rule(on(2), Harm::NoWitness);
    let mut files = Files::under(rules);
    files.ask_whole(0..4);
    let done = files.finish();
    assert_eq!(filled(&done), [Some(1000); 4]);
    let later = Time { sec: 6, nsec: 0 };
    assert_eq!(done[0].witness, Some(Witness { size: 1005, mtime: later, ctime: later, ..witness() }));
    assert_eq!(done[1].witness, Some(Witness { mtime: later, ctime: later, ..witness() }));
    assert_eq!((done[2].witness, done[3].witness), (None, Some(witness())));
}

#[test]
fn late_ones_let_others_pass_and_come_in_the_end() {
    let order = |files: &mut Files| files.finish().iter().map(|done| done.op.path().0).collect::<Vec<_>>();
    let mut files = Files::under(Rules::new(0).rule(on(1), Harm::Late(2)).rule(on(4), Harm::Late(100)));
    files.ask_whole(0..6);
    assert_eq!(order(&mut files), [0, 2, 3, 1, 5, 4]);
    files.ask(Op::Whole { path: PathId(4) }, LEN);
    assert_eq!(order(&mut files), [4], "nothing else is in flight");
}

#[test]
fn chance_and_order_follow_the_seed() {
    let run = |seed| {
        let mut files = Files::under(Rules::new(seed).rule(When::OneIn(4), Harm::Short(1)).shuffled());
        files.ask_whole(0..10);
        files.ask_ranges(5);
        files.ask_whole(0..10);
        let done = files.finish();
        done.iter().map(|done| (done.tag, *done.result.as_ref().unwrap())).collect::<Vec<_>>()
    };
    let first = run(1);
    assert_eq!(first, run(1));
    assert_ne!(first, run(2));
    let harmed = first.iter().filter(|&&(_, n)| n == 1).count();
    assert!(0 < harmed && harmed < first.len(), "{harmed} of {}", first.len());
    assert!(!first.is_sorted_by_key(|&(tag, _)| tag), "nothing came out of turn");
}

#[test]
fn sleeping_holds_a_completion_back() {
    let nap = Duration::from_millis(2);
    let mut files = Files::under(Rules::new(0).rule(on(0), Harm::Sleep(nap)));
    files.ask_whole(0..1);
    let stamps = files.finish()[0].stamps;
    assert!(stamps.completed_ns - stamps.submitted_ns >= nap.as_nanos() as u64);
}
