//! The table of exit codes, as the help text promises it. Needs the engine.

use std::fs;

use crate::support::Place;

#[test]
fn exit_codes_are_as_promised() {
    let place = Place::packed();
    let mut bytes = fs::read(place.path("a.crk")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    place.file("bad.crk", &bytes);
    place.file("plain.txt", b"no archive, but long enough to hold a footer and then some more");
    let table: [(&[&str], i32); 12] = [
        (&["pack", "src", "-o", "b.crk"], 0),
        (&["list", "a.crk"], 0),
        (&["cat", "a.crk", "noise"], 0),
        (&["verify", "a.crk"], 0),
        (&["info", "a.crk"], 0),
        (&["unpack", "a.crk", "-C", "out"], 0),
        (&["pack", "src", "-o", "b.crk"], 2),
        (&["pack", "nowhere", "-o", "c.crk"], 2),
        (&["cat", "a.crk", "nowhere"], 2),
        (&["list", "plain.txt"], 2),
        (&["verify", "bad.crk"], 3),
        (&["cat", "bad.crk", "nowhere", "noise"], 3),
    ];
    for (args, code) in table {
        assert_eq!(place.call(args).code, Some(code), "{args:?}");
    }
}

#[test]
fn special_files_are_made_or_skipped_with_a_warning() {
    let place = Place::small();
    let made = std::process::Command::new("mkfifo").arg(place.path("src/fifo")).status().unwrap();
    assert!(made.success());
    place.pack(&[]);
    let run = place.call(["unpack", "a.crk", "-C", "out", "--no-specials"]).code(1).says("carrack: warning: fifo: ");
    run.says("--specials makes them");
    for (dest, flags) in [("default", &[][..]), ("all", &["--specials"]), ("both", &["--no-specials", "--specials"])] {
        place.call([&["unpack", "a.crk", "-p", "-C", dest], flags].concat()).code(0);
        crate::support::assert_same_tree(&place.path("src"), &place.path(dest));
    }
}
