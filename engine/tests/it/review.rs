//! What a hostile tester tried: each of these went wrong once.

use std::fs;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use carrack_engine::archive::Archive;
use carrack_engine::control::{Cancel, Control, Progress, Stage};
use carrack_engine::error::ErrorKind;
use carrack_engine::pack::Packer;
use carrack_engine::unpack::Unpacker;
use carrack_engine::verify::VerifyOptions;
use tempfile::TempDir;

/// A folder with `tree`, packed to `a.crk`.
fn packed() -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("tree/sub")).unwrap();
    for name in ["a", "b", "sub/c"] {
        fs::write(dir.path().join("tree").join(name), name.repeat(2000)).unwrap();
    }
    Packer::new().input(dir.path().join("tree")).sync(false).pack(dir.path().join("a.crk")).unwrap();
    dir
}

#[test]
fn a_pipe_is_no_archive_and_is_not_waited_for() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let (send, receive) = mpsc::channel();
    // A thread of its own: one that hangs must not take the other tests with it.
    std::thread::spawn(move || send.send(Archive::open(path).map(|_| ())));
    let error = receive.recv_timeout(Duration::from_secs(20)).expect("open returns").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Input);
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

#[test]
fn a_path_stands_once_in_its_warning() {
    let dir = packed();
    let archive = Archive::open(dir.path().join("a.crk")).unwrap();
    let dest = dir.path().join("dest");
    fs::create_dir(&dest).unwrap();
    fs::write(dest.join("a"), "mine").unwrap();
    std::os::unix::fs::symlink("elsewhere", dest.join("sub")).unwrap();
    let report = Unpacker::new(&archive).unpack(&dest).unwrap();
    let mut warnings: Vec<String> = report.warnings.iter().map(ToString::to_string).collect();
    warnings.sort();
    let taken = "not written: already exists; it is replaced only when forced";
    assert_eq!(warnings[0], format!("a: {taken}"));
    assert!(warnings[1].starts_with("sub/c: not written: Not a directory"), "{warnings:?}");
    assert_eq!(warnings[2], format!("sub: {taken}"));
    assert_eq!(warnings.len(), 3, "one for a folder that cannot be made: {warnings:?}");
}

#[test]
fn a_missing_input_is_named_once_with_its_reason_once() {
    let dir = TempDir::new().unwrap();
    let error = Packer::new().input(dir.path().join("nope")).pack(dir.path().join("a.crk")).unwrap_err().to_string();
    assert_eq!((error.matches("nope").count(), error.matches("os error 2").count()), (1, 1), "{error}");
}

#[test]
fn damage_names_the_archive() {
    let dir = packed();
    let path = dir.path().join("a.crk");
    let mut bytes = fs::read(&path).unwrap();
    let frame = bytes.windows(8).position(|magic| magic == b"\x89CRKF\r\n\x1a").unwrap();
    bytes[frame + 140] ^= 1;
    fs::write(&path, bytes).unwrap();
    let archive = Archive::open(&path).unwrap();
    let start = format!("{}: block 0: ", path.display());
    let verified = archive.verify(&VerifyOptions::default()).unwrap();
    let unpacked = Unpacker::new(&archive).unpack(dir.path().join("dest")).unwrap();
    for damage in [verified.damage, unpacked.damage] {
        assert!(damage.len() == 1 && damage[0].starts_with(&start), "{damage:?}");
    }
}

#[test]
fn empty_files_are_made_no_more_once_the_run_is_stopped() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("tree")).unwrap();
    for number in 0..10 {
        fs::write(dir.path().join(format!("tree/{number}")), "").unwrap();
    }
    Packer::new().input(dir.path().join("tree")).sync(false).pack(dir.path().join("a.crk")).unwrap();
    let archive = Archive::open(dir.path().join("a.crk")).unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let control = Control { on_progress: None, cancel };
    let dest = dir.path().join("dest");
    let error = Unpacker::new(&archive).control(control).unpack(&dest).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(fs::read_dir(dest).unwrap().count(), 0);
}

#[test]
fn progress_counts_files() {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("tree")).unwrap();
    fs::write(dir.path().join("tree/a"), "").unwrap();
    fs::write(dir.path().join("tree/b"), vec![7; 3 << 20]).unwrap();
    Packer::new().block_size(4096).input(dir.path().join("tree")).sync(false).pack(dir.path().join("a.crk")).unwrap();
    let archive = Archive::open(dir.path().join("a.crk")).unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&seen);
    let control = Control {
        on_progress: Some(Arc::new(move |progress: &Progress| into.lock().unwrap().push(*progress))),
        cancel: Cancel::new(),
    };
    archive.verify(&VerifyOptions { threads: Some(1), control, ..VerifyOptions::default() }).unwrap();
    let seen = seen.lock().unwrap();
    let last = seen.last().expect("at least the end is told");
    assert_eq!((last.stage, last.entries, last.entries_total), (Stage::Verify, 2, 2));
    assert_eq!((last.bytes, last.bytes_total), (3 << 20, 3 << 20));
}
