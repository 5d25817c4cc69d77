//! `carrack salvage`: what is written, what is said, and the exit code.

use std::fs;

use crate::support::{Place, assert_same_tree};

#[test]
fn an_archive_without_its_end_comes_back_as_files_and_as_an_archive() {
    let place = Place::packed();
    let whole = fs::read(place.path("a.crk")).unwrap();
    // The tail of so small an archive is a few KiB; what lies before it is frames.
    place.file("cut.crk", &whole[..whole.len() - 700]);
    place.call(["list", "cut.crk"]).code(3);
    place.call(["salvage", "cut.crk", "-C", "out"]).code(3).says("the index is lost");
    assert_same_tree(&place.path("src"), &place.path("out"));
    place.call(["salvage", "cut.crk", "-o", "rest.crk"]).code(3);
    place.call(["verify", "rest.crk"]).code(0);
    place.call(["salvage", "cut.crk", "-o", "rest.crk"]).code(2).says("rest.crk");
    place.call(["salvage", "cut.crk", "-o", "rest.crk", "--force"]).code(3);
    place.call(["unpack", "rest.crk", "-p", "-C", "again"]).code(0);
    assert_same_tree(&place.path("src"), &place.path("again"));
}

#[test]
fn what_is_whole_is_copied_and_what_is_no_archive_is_refused() {
    let place = Place::packed();
    let before = fs::read(place.path("a.crk")).unwrap();
    place.call(["salvage", "a.crk"]).code(0);
    place.call(["salvage", "a.crk", "-o", "copy.crk"]).code(0);
    place.call(["verify", "copy.crk"]).code(0);
    assert_eq!(fs::read(place.path("a.crk")).unwrap(), before);
    place.file("plain.txt", &[b'x'; 10_000]);
    place.call(["salvage", "plain.txt", "-o", "no.crk"]).code(2).says("no intact part");
    place.call(["salvage", "nowhere", "-o", "no.crk"]).code(2).says("nowhere");
    assert!(!place.path("no.crk").exists());
}

#[test]
fn what_is_lost_is_named_and_the_rest_comes_out() {
    let place = Place::packed();
    let mut bytes = fs::read(place.path("a.crk")).unwrap();
    // In the payload of the first frame.
    bytes[1536 + 300] ^= 1;
    place.file("bad.crk", &bytes);
    let run = place.call(["salvage", "bad.crk", "-o", "rest.crk"]).code(3);
    run.says("lost: block 0 is damaged or missing").says("1 frame is missing");
    place.call(["verify", "rest.crk"]).code(0);
}

#[test]
fn of_two_archives_in_one_file_either_can_be_had() {
    let (one, two) = (Place::packed(), Place::empty());
    two.file("src/other", b"of the second");
    two.call(["pack", "-q", "src", "-o", "b.crk"]).code(0);
    // Without their indexes, one behind the other.
    let frames = |place: &Place, name| {
        let bytes = fs::read(place.path(name)).unwrap();
        bytes[..bytes.len() - 700].to_vec()
    };
    one.file("both", &[frames(&one, "a.crk"), frames(&two, "b.crk")].concat());
    let run = one.call(["salvage", "both", "-C", "first"]).code(3);
    let id = run.err.split("--archive-id ").nth(1).expect("the other one is named").split_whitespace().next().unwrap();
    assert!(!one.path("first/other").exists());
    assert_same_tree(&one.path("src"), &one.path("first"));
    one.call(["salvage", "both", "--archive-id", id, "-C", "second"]).code(3);
    assert_eq!(fs::read(one.path("second/other")).unwrap(), b"of the second");
    let run = one.call(["salvage", "both", "--archive-id", &"0".repeat(32), "-C", "third"]).code(2);
    run.says(id);
    assert!(!one.path("third").exists());
}
