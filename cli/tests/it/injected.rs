//! System calls of the real binary fail, one after the other: by strace, which sees those of every thread and library.
//!
//! A few of each kind in every test run; all of them with `CARRACK_FAULTS=all` (`make fault-test`).

use std::fs;
use std::path::Path;
use std::process::Output;

use crate::calls::{has_strace, strace};
use crate::support::{Place, assert_same_tree};

/// A system call and its error.
type Fault = (&'static str, &'static str);

const PACKING: &[Fault] = &[
    ("openat", "EIO"),
    ("openat", "EMFILE"),
    ("statx", "EIO"),
    ("getdents64", "EIO"),
    ("pwritev", "ENOSPC"),
    ("fsync", "EIO"),
    ("fdatasync", "EIO"),
    ("linkat", "EIO"),
    ("rename", "EIO"),
    ("fchmod", "EPERM"),
    ("sync_file_range", "EIO"),
    ("io_uring_setup", "EPERM"),
    ("io_uring_register", "ENOMEM"),
    ("io_uring_enter", "EIO"),
    ("pread64", "EIO"),
    ("clone3", "EAGAIN"),
];

const UNPACKING: &[Fault] = &[
    ("openat", "EIO"),
    ("openat", "ENOSPC"),
    ("openat2", "EIO"),
    ("openat2", "ENOSYS"),
    ("mkdirat", "ENOSPC"),
    ("pwrite64", "ENOSPC"),
    ("pread64", "EIO"),
    ("linkat", "EMLINK"),
    ("symlinkat", "EIO"),
    ("utimensat", "EPERM"),
    ("ftruncate", "EIO"),
    ("renameat", "EIO"),
    ("syncfs", "EIO"),
    ("landlock_restrict_self", "EPERM"),
    ("clone3", "EAGAIN"),
];

/// Which of the calls of one kind fail: a few, or each.
fn numbers() -> Vec<u32> {
    if std::env::var_os("CARRACK_FAULTS").is_some_and(|value| value == "all") { (1..=80).collect() } else { vec![1, 4] }
}

/// Runs carrack while a call fails. What came of it, and which calls failed, unless it is not called that often.
fn fail(
    place: &Place,
    (call, error): Fault,
    number: u32,
    from_then_on: bool,
    args: &[&str],
) -> Option<(Output, String)> {
    let plus = if from_then_on { "+" } else { "" };
    let inject = format!("inject={call}:error={error}:when={number}{plus}");
    let trace = format!("trace={call}");
    let flags = ["-qq", "-o", "calls", "-e", &trace, "-e", &inject];
    let output = strace(place, &flags, args).output().unwrap();
    let log = fs::read_to_string(place.path("calls")).unwrap_or_default();
    let _ = fs::remove_file(place.path("calls"));
    let failed: Vec<_> = log.lines().filter(|line| line.contains("(INJECTED)")).collect();
    (!failed.is_empty()).then(|| (output, failed.join("\n")))
}

/// No panic and no code that nobody knows; the code, or `None` when the program was not even loaded.
#[track_caller]
fn code(what: &str, output: &Output) -> Option<i32> {
    let err = String::from_utf8_lossy(&output.stderr);
    if err.contains("while loading shared libraries") {
        return None;
    }
    assert!(!err.contains("panicked"), "{what}: {err}");
    let code = output.status.code().unwrap_or_else(|| panic!("{what}: {}: {err}", output.status));
    assert!(code <= 3, "{what}: code {code}: {err}");
    assert!(code == 0 || err.contains("carrack: "), "{what}: code {code}, and nothing is said: {err}");
    Some(code)
}

/// Runs carrack with each of the calls failing, once and from then on, and has `check` look at what came of it: a description,
/// the code (`None` when the program was not even loaded), and the calls that failed.
fn each_fault(place: &Place, faults: &[Fault], args: &[&str], check: impl Fn(&str, Option<i32>, &str)) {
    let mut injected = 0;
    for &fault in faults {
        for from_then_on in [false, true] {
            for number in numbers() {
                let what = format!("{}, {fault:?} {number}, from then on: {from_then_on}", args[0]);
                let Some((output, failed)) = fail(place, fault, number, from_then_on, args) else { break };
                injected += 1;
                check(&what, code(&what, &output), &failed);
            }
        }
    }
    assert!(injected >= 10, "only {injected} calls failed");
}

#[test]
fn a_pack_whose_calls_fail_gives_a_sound_archive_or_none() {
    if !has_strace() {
        return;
    }
    let place = Place::small();
    place.pack(&[]);
    let want = fs::read(place.path("a.crk")).unwrap();
    fs::create_dir(place.path("out")).unwrap();
    let args = ["pack", "src", "-o", "out/a.crk", "--no-tune", "--threads", "2"];
    each_fault(&place, PACKING, &args, |what, code, failed| {
        let there = fs::read(place.path("out/a.crk")).ok();
        match code {
            // Names of owners are a help, and are left out where they cannot be looked up; numbers are always stored.
            Some(0) if failed.contains("\"/etc/") => drop(place.call(["verify", "out/a.crk"]).code(0)),
            Some(0) => assert!(there.as_ref() == Some(&want), "{what}: success, and another archive: {failed}"),
            Some(1) => drop(place.call(["verify", "out/a.crk"]).code(0)),
            // Only the last sync comes when the archive has its name.
            _ => assert!(there.is_none_or(|there| there == want), "{what}: part of an archive"),
        }
        let _ = fs::remove_file(place.path("out/a.crk"));
        assert_eq!(fs::read_dir(place.path("out")).unwrap().count(), 0, "{what}: something is left");
    });
}

/// Every file is as it was packed, and there is nothing else.
#[track_caller]
pub(crate) fn assert_part(src: &Path, out: &Path, what: &str) {
    for entry in fs::read_dir(out).into_iter().flatten() {
        let path = entry.unwrap().path();
        let twin = src.join(path.file_name().unwrap());
        if path.is_dir() {
            assert_part(&twin, &path, what);
        } else if path.is_file() {
            let same = fs::read(&twin).is_ok_and(|bytes| bytes == fs::read(&path).unwrap());
            assert!(same, "{what}: {} is not whole, or not of the archive", path.display());
        }
    }
}

#[test]
fn an_unpack_whose_calls_fail_leaves_whole_files_alone() {
    if !has_strace() {
        return;
    }
    let place = Place::small();
    place.pack(&[]);
    let (src, out) = (place.path("src"), place.path("out"));
    each_fault(&place, UNPACKING, &["unpack", "a.crk", "-C", "out", "--threads", "2", "--sync"], |what, code, _| {
        if code == Some(0) {
            assert_same_tree(&src, &out);
        }
        assert_part(&src, &out, what);
        let _ = fs::remove_dir_all(&out);
    });
}
