//! A tree goes in and comes out the same. Needs the engine.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::support::{Place, assert_same_tree, carrack};

#[test]
fn a_tree_comes_back() {
    let place = Place::packed();
    place.call(["verify", "a.crk"]).code(0).says("intact");
    place.call(["unpack", "a.crk", "-C", "new/folder"]).code(0);
    assert_same_tree(&place.path("src"), &place.path("new/folder"));
}

#[test]
fn every_codec_and_backend_brings_it_back() {
    let place = Place::small();
    let flags: [&[&str]; 7] = [
        &["--codec", "store"],
        &["--codec", "lz4", "--io", "pread"],
        &["--codec", "zstd", "--level", "-7", "--io", "pool", "--readers", "2"],
        &["--level", "12", "--block-size", "64k", "--io", "mmap"],
        &["--no-dedup", "--slots", "4", "--slot-size", "1M", "--block-size", "256k", "--threads", "2"],
        &["--direct=64k", "--io", "pread", "--no-sync"],
        &["--dedup", "file", "--one-file-system"],
    ];
    for (number, flags) in flags.iter().enumerate() {
        place.pack(&[&["--force"], *flags].concat());
        let target = format!("out{number}");
        place.call(["unpack", "a.crk", "-C", &target, "--threads", "2"]).code(0);
        assert_same_tree(&place.path("src"), &place.path(target));
    }
}

#[test]
fn what_does_not_show_in_the_format_does_not_show_in_the_bytes() {
    let place = Place::small();
    place.pack(&["--io", "pread", "--threads", "1", "--slots", "2"]);
    let bytes = fs::read(place.path("a.crk")).unwrap();
    place.pack(&["--force", "--io", "pool", "--threads", "3", "--slots", "9", "--slot-size", "8M"]);
    assert!(fs::read(place.path("a.crk")).unwrap() == bytes);
}

#[test]
fn a_pipe_gets_the_same_bytes_as_a_file() {
    let place = Place::packed();
    let run = place.call(["pack", "src", "-o", "-"]).code(0);
    assert!(run.out == fs::read(place.path("a.crk")).unwrap());
    assert_eq!(place.names(), ["a.crk", "src"], "nothing is named -");
}

#[test]
fn several_inputs_lie_under_their_names() {
    let place = Place::small();
    place.file("docs/a.md", b"a");
    place.call(["pack", "src/lib", "docs", "src/README.md", "-o", "a.crk"]).code(0);
    let list = place.call(["list", "a.crk"]).code(0);
    let tops: Vec<_> = list.text().lines().filter(|line| !line.contains('/')).collect();
    assert_eq!(tops, ["README.md", "docs", "lib"]);
}

#[test]
fn inputs_are_looked_for_in_the_folder_of_c() {
    let place = Place::small();
    place.call(["pack", "lib", "README.md", "-C", "src", "-o", "a.crk"]).code(0);
    let list = place.call(["list", "a.crk"]).code(0);
    assert!(list.text().starts_with("README.md\nlib\nlib/copy.rs\n"), "{}", list.text());
    assert!(place.path("a.crk").exists(), "the archive is not looked for there");
}

#[test]
fn patterns_leave_things_out() {
    let place = Place::small();
    place.file("ignore", b"# by name\nnoise\n\nhollow\n");
    place.call(["pack", "src", "-o", "a.crk", "-x", "*.rs", "-X", "ignore"]).code(0).says("left out");
    let list = place.call(["list", "a.crk"]).code(0);
    assert_eq!(list.text(), ".\nREADME.md\nempty\nlib\nlib/deep\nlib/deep/er\nlib/link\n");
}

#[test]
fn patterns_come_from_standard_input_too() {
    let place = Place::small();
    let mut command = carrack();
    command.args(["pack", "src", "-o", "a.crk", "-X", "-"]).current_dir(place.dir.path()).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"lib\n").unwrap();
    assert!(child.wait().unwrap().success());
    assert!(!place.call(["list", "a.crk"]).code(0).text().contains("lib"));
}

#[test]
fn a_part_is_unpacked_alone() {
    let place = Place::packed();
    place.call(["unpack", "a.crk", "lib/deep/", "./README.md", "-C", "out"]).code(0);
    assert_same_tree(&place.path("src/lib/deep"), &place.path("out/lib/deep"));
    assert_eq!(fs::read(place.path("out/README.md")).unwrap(), b"# A tree\n");
    assert!(!place.path("out/noise").exists() && !place.path("out/lib/copy.rs").exists());
    place.call(["unpack", "a.crk", "*.md", "-C", "pattern"]).code(0);
    assert!(place.path("pattern/README.md").exists() && !place.path("pattern/lib").exists());
    place.call(["unpack", "a.crk", "no/such", "-C", "nothing"]).code(2).says("no/such");
}

#[test]
fn nothing_is_overwritten_without_force() {
    let place = Place::packed();
    place.call(["pack", "src", "-o", "a.crk"]).code(2).says("a.crk");
    let before = fs::read(place.path("a.crk")).unwrap();
    place.file("out/README.md", b"mine");
    let run = place.call(["unpack", "a.crk", "README.md", "-C", "out"]);
    assert_ne!(run.code, Some(0));
    assert_eq!(fs::read(place.path("out/README.md")).unwrap(), b"mine");
    place.call(["unpack", "a.crk", "README.md", "-C", "out", "--force"]).code(0);
    assert_eq!(fs::read(place.path("out/README.md")).unwrap(), b"# A tree\n");
    place.pack(&["--force"]);
    assert!(fs::read(place.path("a.crk")).unwrap() == before);
}

#[test]
fn the_archive_is_left_out_of_itself() {
    let place = Place::small();
    place.call(["pack", "src", "-o", "src/a.crk"]).code(0);
    assert!(!place.call(["list", "src/a.crk"]).code(0).text().contains("a.crk"));
    // The one that is about to be replaced is not packed either.
    place.call(["pack", "src", "-o", "src/a.crk", "--force"]).code(0).says("left out");
    assert!(!place.call(["list", "src/a.crk"]).code(0).text().contains("a.crk"));
}
