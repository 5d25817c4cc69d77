//! What the kernel refuses is done without: io_uring as a whole, parts of it, or locked memory.
//!
//! Each case runs in a process of its own, because a seccomp filter and a lowered limit cannot be taken back: this test
//! binary starts itself again with [`CASE`] set and runs only [`child`].

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::Arc;

use carrack_backends::arena::Arena;
use carrack_backends::path::{Base, PathTable};
use carrack_backends::read::choose::{IoChoice, ReadOptions, open_backend};
use carrack_backends::read::{Op, ReadBackend, Request};

/// Names the case to the child.
const CASE: &str = "CARRACK_TEST_REFUSED";
/// Names the folder with the file to read. The parent makes and removes it: the child may not be allowed to any more.
const FOLDER: &str = "CARRACK_TEST_REFUSED_FOLDER";

/// Runs a case in a child and expects it to succeed.
fn in_child(case: &str) {
    let folder = tempfile::tempdir().unwrap();
    // A child that is nobody must get in.
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(folder.path().join("file"), b"what is in the file").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "refused::child", "--ignored", "--nocapture"])
        .env(CASE, case)
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{case}: {text}");
}

#[test]
fn without_io_uring_the_pool_reads() {
    in_child("setup");
}

#[test]
fn an_io_uring_that_nothing_can_be_registered_with_is_none() {
    in_child("register");
}

#[test]
fn without_registered_buffers_plain_reads_do() {
    in_child("buffers");
}

#[test]
fn without_a_table_of_files_each_is_opened_by_itself() {
    in_child("files");
}

#[test]
fn with_too_little_lockable_memory_plain_reads_do() {
    in_child("memlock");
}

#[test]
fn without_any_lockable_memory_something_reads_and_says_why() {
    in_child("no memlock");
}

#[test]
#[ignore = "run by the other tests, in processes that are refused something"]
fn child() {
    let case = std::env::var(CASE).expect("started by one of the tests above");
    let open = File::open(std::env::var_os(FOLDER).unwrap()).unwrap();
    match case.as_str() {
        "setup" => {
            forbid(libc::SYS_io_uring_setup, None);
            fallen_back(&open, "io_uring_setup");
        }
        "register" => {
            forbid(libc::SYS_io_uring_register, None);
            fallen_back(&open, "io_uring_register");
        }
        "buffers" => {
            forbid(libc::SYS_io_uring_register, Some(IORING_REGISTER_BUFFERS));
            degraded(&open, "buffers are not registered");
        }
        "files" => {
            forbid(libc::SYS_io_uring_register, Some(IORING_REGISTER_FILES2));
            degraded(&open, "opened and closed by system calls of their own");
        }
        "memlock" => {
            // Enough for a ring, for kernels that count those, but not for the arena.
            limit_locked_memory(1 << 20);
            degraded(&open, "RLIMIT_MEMLOCK is 1048576 bytes");
        }
        "no memlock" => {
            limit_locked_memory(0);
            let (mut backend, mut notes) = open_backend(&ReadOptions::default()).unwrap();
            reads(&mut *backend, &open);
            notes.extend(backend.caps().degraded.iter().cloned());
            // Kernels differ in whether the ring itself counts: either way one sentence names the limit.
            assert!(notes.len() == 1 && notes[0].contains("RLIMIT_MEMLOCK is 0 bytes"), "{notes:?}");
        }
        other => panic!("no case is named {other:?}"),
    }
}

/// Auto says why it took the pool, which reads; asking for uring by name fails with the same reason.
fn fallen_back(folder: &File, step: &str) {
    let (mut backend, notes) = open_backend(&ReadOptions::default()).unwrap();
    assert_eq!(backend.caps().name, "pool");
    assert!(notes.len() == 1 && notes[0].contains(step) && notes[0].contains("seccomp"), "{notes:?}");
    reads(&mut *backend, folder);

    let options = ReadOptions { choice: IoChoice::Uring, ..ReadOptions::default() };
    let text = open_backend(&options).unwrap_err().to_string();
    assert!(text.contains("uring was asked for") && text.contains(step) && text.contains("seccomp"), "{text}");
}

/// io_uring works all the same, and says what it does without.
fn degraded(folder: &File, what: &str) {
    let options = ReadOptions { choice: IoChoice::Uring, ..ReadOptions::default() };
    let (mut backend, notes) = open_backend(&options).unwrap();
    assert!(notes.is_empty());
    reads(&mut *backend, folder);
    let degraded = &backend.caps().degraded;
    assert!(degraded.len() == 1 && degraded[0].contains(what), "{degraded:?}");
}

/// Reads the one file, whole and by a range.
fn reads(backend: &mut dyn ReadBackend, folder: &File) {
    let arena = Arena::new(2, 8 << 20).unwrap();
    let mut paths = PathTable::new();
    let base = paths.push_base(Base { folder: Arc::new(folder.try_clone().unwrap().into()), skip: 0 });
    let path = paths.push(base, b"file");
    backend.attach(&arena, &Arc::new(paths)).unwrap();
    let ops = [Op::Whole { path }, Op::Range { path, offset: 5, last: true }];
    let mut queue: VecDeque<Request> = (0..)
        .zip(ops)
        .map(|(slot, op)| Request { tag: slot.into(), op, buf: arena.lease(slot).unwrap(), queued_ns: 0 })
        .collect();
    assert_eq!(backend.submit(&mut queue).unwrap(), 2);
    let mut done = Vec::new();
    assert_eq!(backend.reap(2, None, &mut done).unwrap(), 2);
    for done in done {
        let filled = *done.result.as_ref().unwrap() as usize;
        let expected = if done.tag == 0 { &b"what is in the file"[..] } else { &b"is in the file"[..] };
        assert_eq!(&done.buf[..filled], expected);
        assert_eq!(done.witness.unwrap().size, 19);
    }
}

// From linux/io_uring.h.
const IORING_REGISTER_BUFFERS: u32 = 0;
const IORING_REGISTER_FILES2: u32 = 13;

/// From now on the system call fails with EPERM on this thread and those that it starts; with `operation`, only when
/// that is its second argument.
fn forbid(call: libc::c_long, operation: Option<u32>) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let load = |at: u32| filter(LOAD, 0, at);
    let unless_equal = |value: u32, skip: u8| filter((libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16, skip, value);
    let refuse = answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
    // Offsets in `struct seccomp_data`: the number of the call at 0, the low half of its second argument at 24.
    let call = u32::try_from(call).unwrap();
    let mut program = match operation {
        None => vec![load(0), unless_equal(call, 1), refuse],
        Some(operation) => vec![load(0), unless_equal(call, 3), load(24), unless_equal(operation, 1), refuse],
    };
    program.push(answer(libc::SECCOMP_RET_ALLOW));
    let fprog = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: takes numbers only.
    let privileges = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: `fprog` describes `program`, which the kernel copies before the call returns.
    let filtered = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const fprog) };
    assert_eq!((privileges, filtered), (0, 0), "{}", std::io::Error::last_os_error());
}

/// One instruction, which skips `skip` others when its condition does not hold.
fn filter(code: u16, skip: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: skip, k }
}

fn answer(with: u32) -> libc::sock_filter {
    filter((libc::BPF_RET | libc::BPF_K) as u16, 0, with)
}

/// Lowers the limit on locked memory and, for root, gives up the capability to ignore it.
fn limit_locked_memory(bytes: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: `limit` is a valid limit and lives through the call.
    let limited = unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit) };
    assert_eq!(limited, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: asks for a number.
    if unsafe { libc::geteuid() } == 0 {
        // Becoming somebody else gives up all capabilities, CAP_IPC_LOCK among them.
        const NOBODY: libc::uid_t = 65_534;
        // SAFETY: takes numbers only.
        let changed = unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) };
        assert_eq!(changed, 0, "{}", std::io::Error::last_os_error());
    }
}
