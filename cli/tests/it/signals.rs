//! A run that is stopped leaves nothing behind. Needs the engine, and the /proc of Linux.

#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::calls::{has_strace, under_strace};
use crate::support::{Place, carrack, noise};

/// What no stop may take: far beyond what a loaded machine needs, and far less than the work that is stopped.
const BOUND: Duration = Duration::from_secs(20);

/// The moments after the start at which runs are stopped, ms.
const MOMENTS: [u64; 5] = [0, 20, 80, 250, 700];

/// Work for many seconds: far more than the signal needs to arrive.
fn laborious() -> Place {
    let place = Place::empty();
    let seed = noise(64 << 10);
    // Digits are what zstd's highest levels think about longest.
    let digit = |(byte, at): (&u8, u64)| b'0' + ((u64::from(*byte) + at / 65_536 * 7) % 10) as u8;
    let text: Vec<u8> = seed.iter().cycle().zip(0..24 << 20).map(digit).collect();
    place.file("src/digits", &text);
    fs::create_dir(place.path("out")).unwrap();
    place
}

fn start(place: &Place, target: &str) -> Child {
    carrack()
        .args(["pack", "src", "-o", target, "--level", "22", "--block-size", "256k", "--no-dedup", "--threads", "1"])
        .current_dir(place.dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits until the child catches a signal.
pub(crate) fn wait_until_catching(child: &Child, signal: u32) {
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).expect("the child is there").trim();
        let holds = |mask| u64::from_str_radix(field(mask), 16).unwrap() & (1 << (signal - 1)) != 0;
        if holds("SigCgt:") {
            return;
        }
        assert!(!field("State:").starts_with('Z'), "the child ended before it caught signal {signal}");
        assert!(!holds("SigIgn:"), "these tests were started with signal {signal} ignored, and so was the child");
        sleep(Duration::from_millis(2));
    }
}

pub(crate) fn send(child: &Child, signal: u32) {
    let sent = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_stopped_pack_leaves_nothing() {
    for (signal, name, code) in [(2, "SIGINT", 130), (15, "SIGTERM", 143)] {
        let place = laborious();
        let child = start(&place, "out/a.crk");
        wait_until_catching(&child, signal);
        // Time to begin: the archive's temporary file is what must go away again.
        sleep(Duration::from_millis(300));
        send(&child, signal);
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{err}");
        assert_eq!(err, format!("carrack: error: stopped by {name}\n"));
        assert_eq!(fs::read_dir(place.path("out")).unwrap().count(), 0, "nothing is left");
    }
}

#[test]
fn a_replaced_archive_survives_a_stop() {
    let place = laborious();
    let old = place.file("out/a.crk", b"the old one");
    let child = carrack()
        .args([
            "pack",
            "src",
            "-o",
            "out/a.crk",
            "--force",
            "--level",
            "22",
            "--block-size",
            "256k",
            "--no-dedup",
            "--threads",
            "1",
        ])
        .current_dir(place.dir.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until_catching(&child, 2);
    sleep(Duration::from_millis(300));
    send(&child, 2);
    assert_eq!(child.wait_with_output().unwrap().status.code(), Some(130));
    assert_eq!(fs::read(old).unwrap(), b"the old one");
    assert_eq!(fs::read_dir(place.path("out")).unwrap().count(), 1);
}

#[test]
fn an_ignored_signal_stays_ignored() {
    let place = laborious();
    let script = "trap '' INT; exec \"$0\" pack src -o out/a.crk --level 22 --block-size 256k --threads 1";
    let child = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_carrack")])
        .current_dir(place.dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until_catching(&child, 15);
    send(&child, 2);
    sleep(Duration::from_millis(100));
    send(&child, 15);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "carrack: error: stopped by SIGTERM\n");
}

/// Waits for a child that was told to stop.
#[track_caller]
fn stopped(mut child: Child) -> Output {
    let begin = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begin.elapsed() > BOUND {
            let _ = child.kill();
            panic!("not stopped after {BOUND:?}");
        }
        sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// Starts a run in the place, and stops it after so many milliseconds.
#[track_caller]
fn stop_after(place: &Place, args: &[&str], stdout: Stdio, millis: u64, signal: u32) -> Output {
    let mut command = carrack();
    let child = command.args(args).current_dir(place.dir.path()).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    wait_until_catching(&child, signal);
    sleep(Duration::from_millis(millis));
    send(&child, signal);
    stopped(child)
}

#[track_caller]
fn assert_stopped(output: &Output, signal: u32, name: &str) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(128 + signal as i32), "{err}");
    assert_eq!(err, format!("carrack: error: stopped by {name}\n"));
}

/// One block of 32 MiB at the highest level is compressed for longer than the test waits.
#[test]
fn a_pack_in_the_middle_of_a_large_block_is_stopped() {
    let place = Place::empty();
    let seed = noise(1 << 20);
    let digits: Vec<u8> = seed.iter().cycle().take(64 << 20).enumerate().map(digit).collect();
    place.file("src/digits", &digits);
    fs::create_dir(place.path("out")).unwrap();
    let args = ["pack", "src", "-o", "out/a.crk", "--level", "22", "--block-size", "32M", "--no-dedup", "--no-tune"];
    for (millis, (signal, name)) in MOMENTS.into_iter().zip([(2, "SIGINT"), (15, "SIGTERM")].into_iter().cycle()) {
        assert_stopped(&stop_after(&place, &args, Stdio::null(), millis, signal), signal, name);
        assert_eq!(fs::read_dir(place.path("out")).unwrap().count(), 0, "nothing is left after {millis} ms");
    }
}

fn digit((at, byte): (usize, &u8)) -> u8 {
    b'0' + ((usize::from(*byte) + at / 65_536 * 7) % 10) as u8
}

#[test]
fn a_pack_that_waits_for_a_reader_is_stopped() {
    let place = Place::empty();
    place.file("src/noise", &noise(4 << 20));
    rustix::fs::mkfifoat(rustix::fs::CWD, place.path("pipe"), rustix::fs::Mode::RWXU).unwrap();
    // Nobody opens it.
    let waiting = stop_after(&place, &["pack", "src", "-o", "pipe"], Stdio::null(), 100, 2);
    assert_stopped(&waiting, 2, "SIGINT");
    // Somebody opens it and reads nothing.
    let (reader, writer) = std::io::pipe().unwrap();
    let waiting = stop_after(&place, &["-q", "pack", "src", "-o", "-"], writer.into(), 300, 15);
    assert_stopped(&waiting, 15, "SIGTERM");
    drop(reader);
    assert_eq!(place.names(), ["pipe", "src"]);
}

/// Standard error may be a pipe that nobody reads, too: what is to be said is not said then.
#[test]
fn a_message_that_nobody_reads_holds_nothing_up() {
    let place = Place::empty();
    place.file("src/noise", &noise(64 << 10));
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::NONBLOCK).unwrap();
    let full = loop {
        if let Err(errno) = rustix::io::write(&writer, &[b'x'; 4096]) {
            break errno;
        }
    };
    assert_eq!(full, rustix::io::Errno::AGAIN);
    rustix::fs::fcntl_setfl(&writer, rustix::fs::OFlags::empty()).unwrap();
    // The summary is what it waits with.
    let args = ["pack", "src", "-o", "a.crk"];
    let child = carrack().args(args).current_dir(place.dir.path()).stderr(writer).spawn().unwrap();
    wait_until_catching(&child, 2);
    sleep(Duration::from_millis(500));
    send(&child, 2);
    assert_eq!(stopped(child).status.code(), Some(130));
    drop(reader);
    place.call(["verify", "a.crk"]).code(0);
}

/// Many small files and some large ones, packed.
fn crowd() -> Place {
    let place = Place::empty();
    for file in 0..3000 {
        place.file(format!("src/{}/{file}", file % 20), &noise(300 + file));
    }
    for file in 0..6 {
        place.file(format!("src/large{file}"), &noise((8 << 20) + file));
    }
    place.pack(&["--level", "1", "--no-dedup"]);
    place
}

/// Every file in `out` is whole, and has a name of the archive.
#[track_caller]
fn assert_whole(place: &Place, what: &str) {
    let mut todo = vec![place.path("out")];
    while let Some(path) = todo.pop() {
        if path.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let source = place.path("src").join(path.strip_prefix(place.path("out")).unwrap());
            let same = fs::read(&source).is_ok_and(|bytes| bytes == fs::read(&path).unwrap());
            assert!(same, "{what}: {} is not whole, or nobody knows it", path.display());
        }
    }
}

#[test]
fn a_stopped_unpack_leaves_whole_files_alone() {
    let place = crowd();
    for force in [&[][..], &["--force"]] {
        for (round, millis) in MOMENTS.into_iter().enumerate() {
            let args = [&["unpack", "a.crk", "-C", "out"], force].concat();
            let output = stop_after(&place, &args, Stdio::null(), millis, [2, 15][round % 2]);
            let ended = [Some(130), Some(143), Some(0)];
            assert!(ended.contains(&output.status.code()), "{}", String::from_utf8_lossy(&output.stderr));
            assert_whole(&place, &format!("{millis} ms, {force:?}"));
            if force.is_empty() && place.path("out").exists() {
                fs::remove_dir_all(place.path("out")).unwrap();
            }
        }
    }
}

#[test]
fn a_verify_is_stopped_and_a_list_ends_by_the_signal() {
    let place = crowd();
    for millis in MOMENTS {
        let output = stop_after(&place, &["verify", "a.crk"], Stdio::null(), millis, 15);
        assert!([Some(143), Some(0)].contains(&output.status.code()), "{output:?}");
    }
    let (reader, writer) = std::io::pipe().unwrap();
    let list = ["list", "--json", "a.crk"];
    let child = carrack().args(list).current_dir(place.dir.path()).stdout(writer).spawn().unwrap();
    sleep(Duration::from_millis(200));
    send(&child, 2);
    assert_eq!(ExitStatusExt::signal(&stopped(child).status), Some(2));
    drop(reader);
    assert_eq!(place.names(), ["a.crk", "src"]);
}

/// Has strace hold a system call up, sends a signal once a file is there under a name that must not stay, and waits for the
/// end. (strace does not see the end of what it holds up: it is ended itself then.)
fn stop_stuck(place: &Place, args: &[&str], faults: &[&str], dir: &str, names: usize) {
    let mut strace = under_strace(place, faults, args);
    let mut child = strace.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let here = format!("/proc/{0}/task/{0}/children", child.id());
    let count = || fs::read_dir(place.path(dir)).map_or(0, Iterator::count);
    let appeared = in_time(|| count() > names);
    sleep(Duration::from_millis(100));
    let traced = fs::read_to_string(here).unwrap().trim().to_owned();
    let sent = Command::new("kill").args(["-15", &traced]).status().unwrap();
    let swept = in_time(|| count() == names);
    // What has not ended goes on now, to its end, and what it writes is there.
    let _ = child.kill();
    let _ = child.wait();
    let state = format!("/proc/{traced}/stat");
    let ended = in_time(|| fs::read_to_string(&state).map_or(true, |stat| stat.contains(") Z ")));
    assert_eq!((appeared, sent.success(), swept, ended, count()), (true, true, true, true, names));
}

/// Whether something comes to be before the bound.
fn in_time(done: impl Fn() -> bool) -> bool {
    let begin = Instant::now();
    while !done() {
        if begin.elapsed() > BOUND {
            return false;
        }
        sleep(Duration::from_millis(5));
    }
    true
}

/// An hour, µs.
const HELD_UP: &str = "delay_enter=3600000000";

#[test]
fn what_a_stuck_run_has_half_written_is_removed() {
    if !has_strace() {
        return;
    }
    let place = Place::empty();
    place.file("src/large", &noise(9 << 20));
    place.pack(&[]);
    for force in [&[][..], &["--force"]] {
        if !force.is_empty() {
            place.file("out/old", b"old");
        }
        fs::create_dir_all(place.path("out")).unwrap();
        let args = [&["unpack", "a.crk", "-C", "out", "--threads", "1"], force].concat();
        // The first two pieces are written, the third one is not.
        stop_stuck(&place, &args, &[&format!("pwrite64:{HELD_UP}:when=3+")], "out", force.len());
        assert!(!place.path("out/large").exists());
    }
    // Without nameless files, an archive has a hidden name until it is whole.
    fs::create_dir(place.path("made")).unwrap();
    let faults = ["linkat:error=EOPNOTSUPP", &format!("pwritev:{HELD_UP}:when=2+")];
    stop_stuck(&place, &["pack", "src", "-o", "made/a.crk"], &faults, "made", 0);
}
