//! A run that is stopped leaves nothing behind. Needs the engine, and the /proc of Linux.

#![cfg(target_os = "linux")]

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::support::{Place, carrack, noise};

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
