//! What is different on a terminal. The first two tests need no engine, the others do.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::{Place, carrack, noise};

/// Runs a command whose standard output and error are a terminal; what it shows there, and its exit code.
pub(crate) fn on_terminal(command: &mut Command) -> (String, Option<i32>) {
    let master: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let name = std::ffi::OsStr::from_bytes(name.as_bytes());
    let mut child = {
        let terminal = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let child = command.stdout(terminal.try_clone().unwrap()).stderr(terminal).spawn().unwrap();
        // The command keeps the terminal open: reading would never end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        child
    };
    let mut shown = Vec::new();
    // A terminal that nobody holds any more ends with an error on Linux, with an end of file elsewhere.
    let _ = File::from(master).read_to_end(&mut shown);
    (String::from_utf8(shown).expect("a terminal gets UTF-8"), child.wait().unwrap().code())
}

fn show(place: &Place, args: &[&str]) -> String {
    let (shown, code) = on_terminal(carrack().args(args).current_dir(place.dir.path()));
    assert_eq!(code, Some(0), "{shown}");
    shown
}

#[test]
fn an_archive_is_not_written_to_a_terminal() {
    let place = Place::small();
    let (shown, code) = on_terminal(carrack().args(["pack", "src", "-o", "-"]).current_dir(place.dir.path()));
    assert_eq!(code, Some(2));
    assert!(shown.contains("an archive is nothing for a terminal"), "{shown}");
}

#[test]
fn no_color_and_dumb_terminals_are_honoured() {
    let colour = |name: &str, value: &str| {
        let (shown, code) = on_terminal(carrack().args(["pack", "a", "-o", "-"]).env(name, value));
        assert_eq!(code, Some(2));
        shown.contains("\x1b[1;31merror:\x1b[0m")
    };
    assert!(colour("TERM", "xterm"));
    assert!(!colour("TERM", "dumb"));
    assert!(!colour("NO_COLOR", "1"));
    assert!(colour("NO_COLOR", ""), "an empty value does not count");
}

#[test]
fn names_are_escaped_sizes_human_and_folders_coloured() {
    let place = Place::empty();
    place.file("src/esc\x1b[2J\nx", &[7; 5000]);
    place.file("src/dir/x", b"");
    place.pack(&[]);
    let list = show(&place, &["list", "a.crk"]);
    assert!(list.contains("esc\\x1b[2J\\nx\r\n"), "{list:?}");
    assert!(list.contains("\x1b[1;34mdir\x1b[0m\r\n"), "{list:?}");
    let long = show(&place, &["list", "-l", "a.crk"]);
    assert!(long.contains(" 4.88 KiB "), "{long:?}");
}

#[test]
fn a_bar_comes_and_goes() {
    let place = Place::small();
    // Work enough for some reports, however rare they are.
    let digits: Vec<u8> = noise(3 << 20).iter().map(|byte| b'0' + byte % 10).collect();
    place.file("src/digits", &digits);
    let shown = show(&place, &["pack", "src", "-o", "a.crk", "--level", "19", "--block-size", "64k"]);
    assert!(shown.contains("pack") && shown.contains("\x1b[2K"), "{shown:?}");
    let last = shown.trim_end().rsplit(['\r', '\n']).next().unwrap();
    assert!(last.contains("carrack: a.crk: 14 entries"), "{shown:?}");
    assert_eq!(show(&place, &["pack", "src", "-o", "a.crk", "--force", "--quiet"]), "");
}
