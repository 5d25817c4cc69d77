//! Arguments that make no sense get an answer that says what would. Needs no engine.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::support::{Place, call};

#[test]
fn without_an_output_pack_says_what_to_type() {
    let run = call(["pack", "some/tree"]).code(2);
    let run = run.says("carrack: error: say where the archive goes: carrack pack some/tree -o tree.crk");
    assert!(run.out.is_empty());
}

#[test]
fn values_out_of_range_are_refused_with_the_range() {
    let table: [(&[&str], &str); 12] = [
        (&["--level", "23"], "-7..=22"),
        (&["--level", "-8"], "-7..=22"),
        (&["--level", "3", "--codec", "lz4"], "lz4 has no levels"),
        (&["--level", "3", "--codec", "store"], "store has no levels"),
        (&["--codec", "gzip"], "zstd, lz4, store, lzma"),
        (&["--io", "aio"], "auto, uring, pool, pread, mmap"),
        (&["--block-size", "5MiB"], "power of two from 4KiB to 64MiB"),
        (&["--block-size", "4MB"], "4MiB"),
        (&["--slot-size", "1.5M"], "fraction"),
        (&["--threads", "0"], "threads"),
        (&["--dedup", "none", "--no-dedup"], "cannot be used with"),
        (&["--exclude", "[a"], "[a is no pattern"),
    ];
    for (flags, part) in table {
        let args = [&["pack", "src", "-o", "never.crk"], flags].concat();
        let run = call(args).code(2).says(part);
        assert!(run.out.is_empty(), "{flags:?}");
    }
}

#[test]
fn forms_of_a_listing_exclude_one_another() {
    call(["list", "a.crk", "-l", "--json"]).code(2).says("cannot be used with");
    call(["-q", "-v", "list", "a.crk"]).code(2).says("cannot be used with");
}

#[test]
fn unknown_commands_and_missing_arguments_are_usage_errors() {
    call(["pakc"]).code(2).says("pack");
    call(["pack"]).code(2).says("<INPUT>");
    call(["unpack"]).code(2).says("<ARCHIVE>");
    call(["cat", "a.crk"]).code(2).says("<PATH>");
    call(["pack", "", "-o", "a.crk"]).code(2).says("<INPUT>");
    call(["pack", "src", "-o", ""]).code(2).says("--output");
    call(["list", "a.crk", "/etc"]).code(2).says("leave out the slash");
}

#[test]
fn what_is_not_utf8_is_named_and_not_guessed() {
    let odd = OsStr::from_bytes(b"caf\xe9*");
    let args = [OsStr::new("pack"), "src".as_ref(), "-o".as_ref(), "x.crk".as_ref(), "--exclude".as_ref(), odd];
    call(args).code(2).says("--exclude: caf\\xe9* is not valid UTF-8");
    call([OsStr::new("unpack"), "x.crk".as_ref(), odd]).code(2).says("caf\\xe9* is not valid UTF-8");
}

#[test]
fn a_file_of_patterns_is_checked_line_by_line() {
    let place = Place::empty();
    place.file("ignore", b"# fine\n*.o\n[a\n");
    let args = ["pack", "src", "-o", "a.crk", "--exclude-from"];
    place.call([&args[..], &["ignore"]].concat()).code(2).says("--exclude-from ignore, line 3: [a is no pattern");
    place
        .call([&args[..], &["missing"]].concat())
        .code(2)
        .says("--exclude-from missing: cannot be opened: No such file");
    assert_eq!(place.names(), ["ignore", "src"]);
}

#[test]
fn completions_and_man_know_their_choices() {
    call(["completions", "cmd.exe"]).code(2).says("bash");
    call(["man", "nothing"]).code(2).says("there is no command \"nothing\"; there are pack, unpack, list");
}
