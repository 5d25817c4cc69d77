//! What every sink promises, and what the file sink promises about its target.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use tempfile::TempDir;

use super::target::{Place, locate};
use super::temporary::Temporary;
use super::*;

const PLAIN: FileSinkOptions = FileSinkOptions { force: false, sync: true };
const FORCE: FileSinkOptions = FileSinkOptions { force: true, sync: true };

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn names(folder: &Path) -> Vec<OsString> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

/// A file sink whose temporary file has a hidden name, as on file systems without `O_TMPFILE`.
fn named(target: &Path, options: FileSinkOptions) -> io::Result<Box<FileSink>> {
    let Place::File(place) = locate(target, options.force)? else { panic!("not a file") };
    let calls = super::calls::Calls::default();
    let temporary = Temporary::named(Arc::clone(&place.folder), calls.clone());
    Ok(Box::new(FileSink::with(temporary, place, options, calls)?))
}

fn boxed(target: &Path, options: FileSinkOptions) -> io::Result<Box<FileSink>> {
    Ok(Box::new(FileSink::create(target, options)?))
}

type Make = fn(&Path, FileSinkOptions) -> io::Result<Box<FileSink>>;
/// Both kinds of temporary file must keep the same promises.
const BOTH: [Make; 2] = [boxed, named];

#[test]
fn what_is_appended_arrives_in_order() {
    let dir = folder();
    let path = dir.path().join("a.crk");
    let (memory, bytes) = MemorySink::new();
    let (pipe_read, pipe_write) = io::pipe().unwrap();
    let sinks: Vec<Box<dyn AppendSink>> =
        vec![boxed(&path, PLAIN).unwrap(), Box::new(memory), Box::new(StreamSink::new(pipe_write, "pipe"))];
    let many: Vec<Vec<u8>> = (0..100u8).map(|byte| vec![byte; usize::from(byte)]).collect();
    let many: Vec<&[u8]> = many.iter().map(Vec::as_slice).collect();
    let want = [b"head".as_slice(), &many.concat(), b"tail"].concat();
    for mut sink in sinks {
        sink.append(&[b"he", b"", b"ad"]).unwrap();
        assert_eq!(sink.written(), 4);
        sink.append(&many).unwrap();
        sink.append(&[]).unwrap();
        sink.append(&[b"tail"]).unwrap();
        assert_eq!(sink.written(), want.len() as u64);
        sink.finish().unwrap();
    }
    assert_eq!(fs::read(&path).unwrap(), want);
    assert_eq!(bytes.finished().unwrap(), want);
    let mut piped = Vec::new();
    { pipe_read }.read_to_end(&mut piped).unwrap();
    assert_eq!(piped, want);
}

#[test]
fn a_file_appears_only_when_finished() {
    for make in BOTH {
        let dir = folder();
        let path = dir.path().join("a.crk");
        let mut sink = make(&path, PLAIN).unwrap();
        sink.append(&[b"abc"]).unwrap();
        assert!(!path.exists());
        for name in names(dir.path()) {
            assert_eq!(fs::metadata(dir.path().join(name)).unwrap().mode() & 0o777, 0o600);
        }
        sink.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
        assert_eq!(names(dir.path()), ["a.crk"]);
    }
}

#[test]
fn nothing_is_left_behind_by_abort_drop_or_a_failed_append() {
    for make in BOTH {
        let dir = folder();
        let path = dir.path().join("a.crk");
        let mut sink = make(&path, PLAIN).unwrap();
        sink.append(&[b"abc"]).unwrap();
        sink.abort();
        assert!(names(dir.path()).is_empty());
        drop(make(&path, PLAIN).unwrap());
        assert!(names(dir.path()).is_empty());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn where_the_file_system_can_there_is_no_name_to_leave_behind_when_killed() {
    let dir = folder();
    let path = dir.path().join("a.crk");
    let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR;
    let able = rustix::fs::open(dir.path(), flags, rustix::fs::Mode::RUSR).is_ok();
    let sink = boxed(&path, PLAIN).unwrap();
    assert_eq!(names(dir.path()).is_empty(), able);
    drop(sink);
}

#[test]
fn an_existing_file_is_refused_at_once_and_replaced_when_forced() {
    for make in BOTH {
        let dir = folder();
        let path = dir.path().join("a.crk");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4640)).unwrap();
        let error = make(&path, PLAIN).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(error.to_string().contains("a.crk"), "{error}");

        let mut sink = make(&path, FORCE).unwrap();
        let old = fs::metadata(&path).unwrap();
        assert_eq!(sink.replaces(), Some((old.dev(), old.ino())));
        assert_ne!(sink.identity(), sink.replaces());
        sink.append(&[b"new"]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        sink.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(names(dir.path()), ["a.crk"]);
    }
}

#[test]
fn what_appeared_meanwhile_is_not_destroyed() {
    for make in BOTH {
        let dir = folder();
        let path = dir.path().join("a.crk");
        let mut sink = make(&path, PLAIN).unwrap();
        sink.append(&[b"new"]).unwrap();
        fs::write(&path, "somebody's").unwrap();
        let error = sink.finish().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"somebody's");
        assert_eq!(names(dir.path()), ["a.crk"]);

        // Forced, it is replaced though it was not there at the start; a folder is not.
        let other = dir.path().join("b.crk");
        let mut sink = make(&other, FORCE).unwrap();
        sink.append(&[b"new"]).unwrap();
        fs::write(&other, "somebody's").unwrap();
        sink.finish().unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"new");
        let third = dir.path().join("c.crk");
        let sink = make(&third, FORCE).unwrap();
        fs::create_dir(&third).unwrap();
        sink.finish().unwrap_err();
        assert!(third.is_dir());
        assert_eq!(names(dir.path()), ["a.crk", "b.crk", "c.crk"]);
    }
}

#[test]
fn identity_is_that_of_the_file_that_appears() {
    for make in BOTH {
        let dir = folder();
        let path = dir.path().join("a.crk");
        let sink = make(&path, PLAIN).unwrap();
        let (identity, replaces) = (sink.identity(), sink.replaces());
        sink.finish().unwrap();
        let stat = fs::metadata(&path).unwrap();
        assert_eq!(identity, Some((stat.dev(), stat.ino())));
        assert_eq!(replaces, None);
    }
}

#[test]
fn a_new_file_gets_what_the_umask_leaves() {
    if !crate::child::enter("sink::tests::a_new_file_gets_what_the_umask_leaves", |_| ()) {
        return;
    }
    for mask in [0o022, 0o077, 0o002] {
        rustix::process::umask(crate::os::mode(mask));
        for make in BOTH {
            let dir = folder();
            let path = dir.path().join("a.crk");
            make(&path, PLAIN).unwrap().finish().unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o666 & !mask);
        }
    }
}

#[test]
fn a_link_to_a_file_stays_and_its_file_is_replaced() {
    for make in BOTH {
        let (dir, other) = (folder(), folder());
        let (link, real) = (dir.path().join("link"), other.path().join("real"));
        fs::write(&real, "old").unwrap();
        symlink(&real, &link).unwrap();
        assert_eq!(make(&link, PLAIN).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        let mut sink = make(&link, FORCE).unwrap();
        sink.append(&[b"new"]).unwrap();
        sink.finish().unwrap();
        assert_eq!(fs::read_link(&link).unwrap(), real);
        assert_eq!(fs::read(&real).unwrap(), b"new");
        assert_eq!((names(dir.path()).len(), names(other.path()).len()), (1, 1));

        fs::remove_file(&real).unwrap();
        for options in [PLAIN, FORCE] {
            let error = make(&link, options).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
            assert!(error.to_string().contains("symbolic link"), "{error}");
        }
    }
}

#[test]
fn hopeless_targets_are_refused_before_any_work() {
    let dir = folder();
    fs::write(dir.path().join("file"), "").unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("socket")).unwrap();
    let long = "n".repeat(256);
    let cases = [
        ("folder", io::ErrorKind::IsADirectory),
        ("folder/", io::ErrorKind::IsADirectory),
        ("folder/.", io::ErrorKind::IsADirectory),
        ("folder/..", io::ErrorKind::IsADirectory),
        ("new/", io::ErrorKind::IsADirectory),
        ("missing/a.crk", io::ErrorKind::NotFound),
        ("file/a.crk", io::ErrorKind::NotADirectory),
        ("socket", io::ErrorKind::InvalidInput),
        (long.as_str(), io::ErrorKind::InvalidFilename),
    ];
    for (name, kind) in cases {
        for options in [PLAIN, FORCE] {
            let target = dir.path().join(name);
            let error = FileSink::create(&target, options).unwrap_err();
            assert_eq!(error.kind(), kind, "{name}: {error}");
            assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
        }
    }
    assert_eq!(FileSink::create(Path::new(""), PLAIN).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert_eq!(names(dir.path()), ["file", "folder", "socket"]);
}

#[test]
fn a_folder_without_permission_is_refused_and_a_drop_box_is_not() {
    const NAME: &str = "sink::tests::a_folder_without_permission_is_refused_and_a_drop_box_is_not";
    if !crate::child::enter(NAME, crate::child::unprivileged) {
        return;
    }
    for make in BOTH {
        let dir = folder();
        let allow = |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        let path = dir.path().join("a.crk");
        allow(0o500);
        let error = make(&path, PLAIN).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("a.crk"), "{error}");
        allow(0o300);
        make(&path, PLAIN).unwrap().finish().unwrap();
        allow(0o700);
        assert_eq!(names(dir.path()), ["a.crk"]);
    }
}

#[test]
fn a_relative_target_lies_in_the_current_folder() {
    const NAME: &str = "sink::tests::a_relative_target_lies_in_the_current_folder";
    let dir = folder();
    let prepare = |command: &mut std::process::Command| {
        command.current_dir(dir.path());
    };
    if crate::child::enter(NAME, prepare) {
        boxed(Path::new("a.crk"), PLAIN).unwrap().finish().unwrap();
        return;
    }
    assert_eq!(names(dir.path()), ["a.crk"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_says_so_and_leaves_nothing() {
    const NAME: &str = "sink::tests::a_full_disk_says_so_and_leaves_nothing";
    if !crate::child::enter(NAME, crate::child::ignoring("XFSZ")) {
        return;
    }
    // A limit on the size of files is the one limit that needs neither root nor a disk. It fails like
    // a disk that fills up in the middle of an append.
    let limit = rustix::process::Rlimit { current: Some(8192), maximum: Some(8192) };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    let dir = folder();
    for make in BOTH {
        let mut sink = make(&dir.path().join("a.crk"), PLAIN).unwrap();
        sink.append(&[&[1; 8000]]).unwrap();
        let error = sink.append(&[&[2; 100], &[3; 400]]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
        assert!(error.to_string().contains("a.crk at offset 8000"), "{error}");
        assert_eq!(sink.written(), 8000);
        sink.finish().unwrap_err();
        assert!(names(dir.path()).is_empty());
    }
}

#[test]
fn devices_and_pipes_are_written_straight_to() {
    let mut sink = create(Path::new("/dev/null"), PLAIN).unwrap();
    sink.append(&[b"abc"]).unwrap();
    assert_eq!((sink.written(), sink.identity()), (3, None));
    sink.finish().unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
    assert_eq!(FileSink::create(Path::new("/dev/null"), FORCE).unwrap_err().kind(), io::ErrorKind::InvalidInput);

    #[cfg(target_os = "linux")]
    {
        let dir = folder();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
        let reader = std::thread::spawn({
            let pipe = pipe.clone();
            move || fs::read(pipe).unwrap()
        });
        let mut sink = create(&pipe, PLAIN).unwrap();
        sink.append(&[b"through", b" the pipe"]).unwrap();
        sink.finish().unwrap();
        assert_eq!(reader.join().unwrap(), b"through the pipe");
        assert_eq!(names(dir.path()), ["pipe"]);
        if cfg!(target_env = "gnu") && Path::new("/dev/full").exists() {
            let mut full = create(Path::new("/dev/full"), PLAIN).unwrap();
            let error = full.append(&[b"x"]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
            assert!(error.to_string().contains("/dev/full"), "{error}");
            full.finish().unwrap_err();
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_a_broken_pipe() {
    let (read, write) = io::pipe().unwrap();
    drop(read);
    let mut sink = StreamSink::new(write, "pipe");
    assert_eq!(sink.append(&[b"x"]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    Box::new(sink).finish().unwrap_err();
}

#[test]
fn memory_forgets_what_was_not_finished() {
    let (mut sink, bytes) = MemorySink::new();
    sink.append(&[b"abc"]).unwrap();
    assert_eq!((bytes.so_far(), bytes.finished()), (b"abc".to_vec(), None));
    drop(sink);
    assert_eq!((bytes.so_far(), bytes.finished()), (vec![], None));
}

#[test]
fn faults_come_when_planned() {
    let errno = Errno::IO.raw_os_error();
    let plan = FaultSinkPlan { fail_append: Some((1, errno)), ..FaultSinkPlan::default() };
    let (memory, bytes) = MemorySink::new();
    let (mut sink, log) = FaultSink::new(Box::new(memory), plan);
    sink.append(&[b"abc"]).unwrap();
    assert_eq!(sink.append(&[b"d"]).unwrap_err().raw_os_error(), Some(errno));
    Box::new(sink).finish().unwrap_err();
    assert_eq!(log.events(), [SinkEvent::Appended(3), SinkEvent::Failed(0), SinkEvent::FinishFailed]);
    assert_eq!((bytes.finished(), bytes.so_far()), (None, vec![]));

    let plan = FaultSinkPlan { capacity: Some((5, Errno::NOSPC.raw_os_error())), ..FaultSinkPlan::default() };
    let (memory, bytes) = MemorySink::new();
    let (mut sink, log) = FaultSink::new(Box::new(memory), plan);
    sink.append(&[b"abc"]).unwrap();
    assert_eq!(sink.append(&[b"d", b"efg"]).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(bytes.so_far(), b"abcde");
    drop(sink);
    assert_eq!(log.events(), [SinkEvent::Appended(3), SinkEvent::Failed(2), SinkEvent::Aborted]);

    let plan = FaultSinkPlan { fail_finish: Some(errno), ..FaultSinkPlan::default() };
    let (memory, bytes) = MemorySink::new();
    let (sink, log) = FaultSink::new(Box::new(memory), plan);
    Box::new(sink).finish().unwrap_err();
    assert_eq!((log.events(), bytes.finished()), (vec![SinkEvent::FinishFailed], None));
}

/// What is read back comes from the disk: no page of it is in memory any more.
#[cfg(target_os = "linux")]
#[test]
fn what_is_read_back_comes_from_the_disk() {
    use std::os::unix::fs::FileExt;
    let dir = tempfile::tempdir().unwrap();
    let mut sink = FileSink::create(&dir.path().join("a"), FileSinkOptions::default()).unwrap();
    let bytes: Vec<u8> = (0..3 << 20).map(|at: u32| (at >> 7) as u8).collect();
    sink.append(&[&bytes]).unwrap();
    let file = sink.reread().unwrap().expect("a file can be read back");
    let cached = |offset| {
        let mut byte = [0];
        let mut slices = [std::io::IoSliceMut::new(&mut byte)];
        let flags = rustix::io::ReadWriteFlags::NOWAIT;
        // Without waiting, only what is in memory can be had.
        !matches!(rustix::io::preadv2(&file, &mut slices, offset, flags), Err(rustix::io::Errno::AGAIN))
    };
    if (0..3).all(|mib| cached(mib << 20)) {
        eprintln!("not tested: the file system of the temporary folder keeps everything in memory");
    } else {
        assert!((0..3).all(|mib| !cached((mib << 20) + (512 << 10))));
    }
    let mut found = vec![0; bytes.len()];
    file.read_exact_at(&mut found, 0).unwrap();
    assert!(found == bytes);
    drop(file);
    Box::new(sink).finish().unwrap();
    assert!(fs::read(dir.path().join("a")).unwrap() == bytes);
}
