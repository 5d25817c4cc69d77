//! Paths longer than a system call takes, and few descriptors.

use super::*;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

const NAME_LEN: usize = 200;

/// A chain of `depth` folders with long names; in each, two files with the depth in them and a folder beside the next.
fn chain(top: &Path, depth: usize) {
    let create = OFlags::CREATE | OFlags::WRONLY;
    let mut folder = openat(CWD, top, OFlags::DIRECTORY, Mode::empty()).unwrap();
    for level in 0..depth {
        for name in ["a", "~"] {
            let file: OwnedFd = openat(&folder, name, create, Mode::RWXU).unwrap();
            fs::File::from(file).write_all(level.to_string().as_bytes()).unwrap();
        }
        let name = format!("{level:0NAME_LEN$}");
        mkdirat(&folder, format!("{name}+"), Mode::RWXU).unwrap();
        let beside = openat(&folder, format!("{name}+"), OFlags::DIRECTORY, Mode::empty()).unwrap();
        let file = openat(&beside, "b", create, Mode::RWXU).unwrap();
        fs::File::from(file).write_all(level.to_string().as_bytes()).unwrap();
        mkdirat(&folder, &name, Mode::RWXU).unwrap();
        folder = openat(&folder, &name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
}

/// Opens every file by its source and compares what is in it; returns the length of the longest path.
fn read_all(walked: &Walked) -> usize {
    let entries = &walked.entries;
    let mut longest = 0;
    for row in 0..entries.len() {
        let (folder, source) = entries.paths.source(PathId(row as u32));
        longest = longest.max(path(walked, row).len());
        if entries.kinds[row] == Kind::File {
            let depth = path(walked, row).split(|&byte| byte == b'/').count() - 1;
            let beside = usize::from(path(walked, row).ends_with(b"b"));
            let file = openat(folder, source, OFlags::RDONLY | OFlags::NOFOLLOW, Mode::empty())
                .unwrap_or_else(|error| panic!("{} bytes of path: {error}", source.count_bytes()));
            let mut content = String::new();
            fs::File::from(file).read_to_string(&mut content).unwrap();
            assert_eq!(content, (depth - beside).to_string());
        }
    }
    assert!((1..entries.len()).all(|row| path(walked, row - 1) < path(walked, row)));
    longest
}

#[test]
fn paths_beyond_one_system_call_stay_openable() {
    let tree = new_folder();
    chain(tree.path(), 60);
    let walked = walk_one(tree.path(), &threads(2));
    assert_eq!(walked.entries.len(), 1 + 60 * 5);
    assert!(read_all(&walked) > 12_000);
}

#[test]
fn paths_beyond_the_format_are_named() {
    let tree = new_folder();
    chain(tree.path(), 85);
    let walked = walk(&[Input { path: tree.path().into() }], &threads(2), &|_| {}, &never).unwrap();
    // 81 components of 200 bytes and their slashes fit in 16 KiB. Beside the 82nd there are two files.
    assert_eq!(walked.entries.len(), 1 + 81 * 5 + 2);
    assert!(read_all(&walked) <= limits::PATH_LEN_MAX);
    let lengths: Vec<usize> = walked
        .problems
        .iter()
        .map(|problem| match problem.what {
            What::PathTooLong(len) => len,
            ref other => panic!("{other}"),
        })
        .collect();
    assert_eq!(lengths, [82 * 201 - 1, 82 * 201]);
}

#[test]
fn threads_follow_the_cores_and_what_descriptors_allow() {
    let count = |wanted, cores, descriptors| super::super::threads(NonZeroUsize::new(wanted), cores, descriptors);
    assert_eq!([count(0, 1, 1024), count(0, 4, 1024), count(0, 64, 1024)], [4, 16, 16]);
    assert_eq!([count(100, 1, 1 << 20), count(100, 1, 64), count(100, 1, 8)], [100, 12, 1]);
}

#[test]
fn sixty_four_descriptors_are_enough() {
    if std::env::var_os("CARRACK_TEST_FEW_DESCRIPTORS").is_some() {
        return few_descriptors();
    }
    // The limit is one of the whole process, so this test runs itself once more, alone.
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "walk::tests::deep::sixty_four_descriptors_are_enough", "--nocapture"])
        .env("CARRACK_TEST_FEW_DESCRIPTORS", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

fn few_descriptors() {
    let tree = new_folder();
    chain(tree.path(), 40);
    for folder in 0..300 {
        plant(tree.path(), &[&format!("w/{folder}/x/")]);
        fs::File::create(tree.path().join(format!("w/{folder}/sparse"))).unwrap().set_len(1 << 20).unwrap();
    }
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), ..before }).unwrap();
    // While it reports, a thread holds its folder open: the nap brings all of them to that point at once.
    let nap = |_| std::thread::sleep(std::time::Duration::from_millis(1));
    let walked = walk(&[Input { path: tree.path().into() }], &threads(64), &nap, &never).unwrap();
    setrlimit(Resource::Nofile, before).unwrap();
    assert!(walked.problems.is_empty(), "{:?}", walked.problems);
    assert_eq!(walked.entries.len(), 1 + 40 * 5 + 1 + 300 * 3);
    assert!(walked.entries.holes.iter().count() == 300 || !cfg!(target_os = "linux"));
    let files = (0..walked.entries.len()).filter(|&row| walked.entries.kinds[row] == Kind::File).count();
    assert_eq!(files, 40 * 3 + 300);
}
