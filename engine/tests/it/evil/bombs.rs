//! A few hundred bytes that claim any number of them.

use std::sync::Arc;

use carrack_engine::ceiling::Ceiling;
use carrack_engine::container::frame::digest_of;
use carrack_engine::control::{Cancel, Control};
use carrack_engine::error::ErrorKind;
use carrack_engine::salvage::salvage;
use carrack_engine::unpack::Unpacker;
use carrack_engine::verify::VerifyOptions;

use super::{BLOCK, file};
use crate::evilpack::{EvilPack, EvilRow};
use crate::support::{no_hang, try_open};

/// A few hundred bytes that claim any number of them: by a hole, by one block over and over.
fn bombs() -> [(EvilPack, u64); 3] {
    let hole = |path: &[u8]| {
        let len = i64::MAX as u64 / 4096 * 4096;
        EvilRow { size: len, holes: vec![(4, len - 4)], ..file(path) }
    };
    let block = vec![0; 4 << 20];
    let again =
        EvilRow { size: 20_000 << 22, extents: vec![[0, 0, 4 << 20]; 20_000], digest: Some([0; 32]), ..file(b"again") };
    let mut packed = EvilPack { compressed: true, ..EvilPack::new(std::slice::from_ref(&again), &[&block]) };
    let frame = &mut packed.frames[0];
    frame.payload = zstd::bulk::compress(&block, 3).unwrap();
    (frame.header.codec, frame.header.stored_len) = (2, frame.payload.len() as u32);
    frame.header.digest = digest_of(b"", &frame.payload);
    let many: Vec<_> = (0..10_000).map(|n| EvilRow::dir(format!("{n:05}").as_bytes())).collect();
    // Three of them are more than 64 bits can count.
    let holes = [hole(b"a"), hole(b"b"), hole(b"c")];
    [
        (EvilPack::new(&holes, &[BLOCK]), u64::MAX),
        (packed, again.size),
        (EvilPack { compressed: true, ..EvilPack::new(&many, &[BLOCK]) }, 0),
    ]
}

#[test]
fn bombs_are_told_before_the_first_byte_is_written() {
    let place = tempfile::tempdir().unwrap();
    let dest = place.path().join("dest");
    for (pack, size) in bombs() {
        let bytes = pack.bytes();
        let len = bytes.len() as u64;
        let archive = try_open(bytes).unwrap();
        assert_eq!(archive.summary().bytes, size);
        let entries = archive.len();
        let (ratio, most) = (Some(1000), size.checked_sub(1));
        for ceiling in [
            Ceiling { size: most, ..Ceiling::default() },
            Ceiling { entries: Some(entries - 1), ..Ceiling::default() },
            Ceiling { ratio, ..Ceiling::default() },
        ] {
            if ceiling == Ceiling::default() || ceiling.ratio.is_some() && size <= 1000 * len {
                continue;
            }
            let error = archive.verify(&VerifyOptions { ceiling, ..VerifyOptions::default() }).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
            let patterns = [Vec::new(), vec!["**".to_owned()]];
            for patterns in patterns {
                let error = Unpacker::new(&archive).select(patterns).ceiling(ceiling).unpack(&dest).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
                assert!(!dest.exists());
            }
        }
    }
    let archive = try_open(bombs()[1].0.bytes()).unwrap();
    match carrack_backends::tree::space(place.path()) {
        Some(space) if space.total < 20_000 << 22 => {
            for force in [false, true] {
                let error = Unpacker::new(&archive).force(force).unpack(&dest).unwrap_err();
                assert!(
                    error.kind() == ErrorKind::TooLarge && error.to_string().contains("nothing was written"),
                    "{error}"
                );
                assert!(!dest.exists());
            }
        }
        _ => eprintln!("not tested: the temporary folder has space for 80 GiB"),
    }
}

/// What fits exactly is taken, and holes take no space.
#[test]
fn a_ceiling_holds_what_is_just_below_it() {
    let rows = [file(b"a"), file(b"b"), EvilRow::hardlink(b"c", 0, 4)];
    let archive = try_open(EvilPack::new(&rows, &[BLOCK]).bytes()).unwrap();
    for (size, entries, fits) in [(8, 3, true), (7, 3, false), (8, 2, false)] {
        let ceiling = Ceiling { size: Some(size), entries: Some(entries), ratio: Some(1) };
        let dest = tempfile::tempdir().unwrap();
        let result = Unpacker::new(&archive).ceiling(ceiling).unpack(dest.path());
        assert_eq!(result.is_ok(), fits, "{size} bytes, {entries} entries");
        assert_eq!(archive.verify(&VerifyOptions { ceiling, ..VerifyOptions::default() }).is_ok(), fits);
    }
    // Of what is selected, not of all.
    let ceiling = Ceiling { size: Some(4), entries: Some(1), ratio: None };
    let dest = tempfile::tempdir().unwrap();
    Unpacker::new(&archive).select(["b".to_owned()]).ceiling(ceiling).unpack(dest.path()).unwrap();
    // A hole of 8 EiB fits anywhere, and takes years to prove: whoever allows it can stop it.
    let archive = try_open(bombs()[0].0.bytes()).unwrap();
    let cancel = Cancel::new();
    cancel.cancel();
    let control = Control { cancel, on_progress: None };
    let error = Unpacker::new(&archive).control(control).unpack(dest.path().join("holes")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
}

/// Holes take time to hash, and no signal could end a salvage that does not look up before the end of one.
#[test]
fn a_salvage_stops_within_a_hole() {
    let (pack, _) = bombs().into_iter().next().unwrap();
    let bytes = pack.bytes();
    no_hang("salvaging exabytes of nothing", || {
        let control = Control { cancel: Cancel::new(), on_progress: None };
        let cancel = control.cancel.clone();
        // The hash begins within this time, and has years to go then.
        let stopping = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(300));
            cancel.cancel();
        });
        let error = salvage("bomb", Arc::new(bytes), &control).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Cancelled);
        stopping.join().unwrap();
    });
}
