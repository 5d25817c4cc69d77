//! Archives that are damaged, or none at all. Needs the engine.

use std::fs;

use crate::support::Place;

#[test]
fn a_flipped_bit_of_content_is_damage() {
    let place = Place::packed();
    let mut bytes = fs::read(place.path("a.crk")).unwrap();
    // The noise is stored raw: whatever else moves, the middle of the file is content.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    place.file("bad.crk", &bytes);
    let run = place.call(["verify", "bad.crk"]).code(3);
    let run = run.says("carrack: damaged: ").says("carrack: lost: noise").says("bad.crk: DAMAGED");
    assert!(run.out.is_empty());
    let run = place.call(["cat", "bad.crk", "noise"]).code(3);
    assert!(run.out.len() < 300_000, "no byte is given that was not proved");
    place.call(["unpack", "bad.crk", "-C", "out"]).code(3).says("carrack: lost: noise");
}

#[test]
fn a_truncated_archive_is_damaged() {
    let place = Place::packed();
    let bytes = fs::read(place.path("a.crk")).unwrap();
    for keep in [bytes.len() - 1, bytes.len() / 2, 200] {
        place.file("cut.crk", &bytes[..keep]);
        for command in ["list", "info", "verify", "unpack"] {
            let run = place.call([command, "cut.crk"]).code(3).says("cut.crk");
            assert!(run.out.is_empty(), "{command} of {keep} bytes");
        }
    }
}

#[test]
fn what_is_no_archive_is_said_to_be_none() {
    let place = Place::small();
    for command in ["list", "info", "verify", "unpack"] {
        place.call([command, "src/README.md"]).code(2).says("src/README.md");
        place.call([command, "src/empty"]).code(2).says("src/empty");
        place.call([command, "src"]).code(2).says("src");
        place.call([command, "no.crk"]).code(2).says("no.crk").says("No such file");
    }
}
