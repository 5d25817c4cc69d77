//! Whatever happens to the bytes of an archive is noticed, and nothing that they may hold makes a reader panic.

use carrack_engine::container::frame::digest_of;
use carrack_engine::container::head::HEAD;
use carrack_engine::container::seal::SEAL_LEN;
use carrack_engine::container::{FrameHeader, Seal};
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Extent, Kind};
use carrack_engine::index::{BlockRow, Index, IndexError};

use crate::synthetic::{self, BLOCKS, Owned, archive, encoded, frames, read_rows, rows, tail, verify};

#[test]
fn every_flipped_byte_is_detected() {
    let mut bytes = archive();
    verify(&bytes).unwrap();
    for at in 0..bytes.len() {
        bytes[at] ^= 1 << (at % 8);
        let error = verify(&bytes).expect_err(&format!("byte {at} was flipped"));
        // Without its first bytes the head is not even that of an Arrow file.
        assert!(
            error.is_damage() || at < 8 && matches!(error, IndexError::NotAnArchive { .. }),
            "byte {at}: {error:?}"
        );
        bytes[at] ^= 1 << (at % 8);
    }
}

#[test]
fn every_truncation_is_detected() {
    let bytes = archive();
    for len in 0..bytes.len() {
        let error = Index::open(&&bytes[..len]).expect_err(&format!("cut to {len}"));
        assert_eq!(error.is_damage(), len > 0, "cut to {len}: {error:?}");
    }
}

#[test]
fn trailing_bytes_are_detected() {
    for more in [1, 10, 64, 4096] {
        let mut bytes = archive();
        bytes.resize(bytes.len() + more, 0);
        assert!(Index::open(&bytes).unwrap_err().is_damage());
    }
    // A second copy of the tail ends like an archive, but its seal speaks of other places.
    let (one, bytes) = (archive(), archive());
    let seal = *Index::open(&one).unwrap().seal();
    let twice = [&bytes[..], &one[seal.blocks_offset as usize..]].concat();
    assert!(Index::open(&twice).unwrap_err().is_damage());
}

#[test]
fn foreign_files_are_told_apart_from_damage() {
    let text = b"some text that is as long as an archive may be\n".repeat(100);
    let arrow = {
        let mut bytes = Vec::new();
        let schema = carrack_engine::index::schema::BLOCKS.clone();
        let mut writer = arrow_ipc::writer::FileWriter::try_new(&mut bytes, &schema).unwrap();
        writer.finish().unwrap();
        bytes
    };
    let arrow_with_more = [&arrow[..], &text].concat();
    for bytes in [text, arrow.repeat(4), arrow, arrow_with_more, Vec::new(), b"ARROW2".to_vec()] {
        let error = Index::open(&bytes).unwrap_err();
        assert!(matches!(error, IndexError::NotAnArchive { .. }), "{error:?}");
    }
    assert!(matches!(Index::open(&HEAD.to_vec()).unwrap_err(), IndexError::Truncated { .. }));
}

/// Where the seal of an archive stands.
fn seal_offset(bytes: &[u8]) -> usize {
    let footer_len = u32::from_le_bytes(bytes[bytes.len() - 10..][..4].try_into().unwrap());
    bytes.len() - 10 - footer_len as usize - SEAL_LEN
}

/// Puts a seal in front of whatever the footer has become.
fn reseal(bytes: &mut [u8], change: impl FnOnce(&mut Seal)) {
    let at = seal_offset(bytes);
    let mut seal = Seal::decode(bytes[at..][..SEAL_LEN].try_into().unwrap(), at as u64).unwrap();
    seal.digest = Digest::of(&bytes[at + SEAL_LEN..]);
    change(&mut seal);
    bytes[at..][..SEAL_LEN].copy_from_slice(&seal.encode());
}

#[test]
fn an_archive_of_a_newer_version_says_so() {
    let mut bytes = archive();
    reseal(&mut bytes, |seal| (seal.version, seal.reader_version_min) = (2, 2));
    assert!(matches!(Index::open(&bytes).unwrap_err(), IndexError::NewerVersion { needed: 2, supported: 1 }));
}

#[test]
fn a_hostile_footer_never_panics() {
    let good = archive();
    let start = seal_offset(&good) + SEAL_LEN;
    let mut refused = 0;
    for at in start..good.len() - 10 {
        for change in [0x01, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= change;
            reseal(&mut bytes, |_| ());
            refused += usize::from(verify(&bytes).is_err());
        }
    }
    assert!(refused > (good.len() - start) * 2, "only {refused} changes were refused");
}

#[test]
fn a_hostile_batch_never_panics() {
    let rows = rows();
    let good = encoded(&rows);
    let (prefix, blocks) = frames(&rows, &BLOCKS);
    for at in 8..good[0].message.bytes.len() {
        let mut batches = good.clone();
        let message = &mut batches[0].message;
        message.bytes[at] ^= [0x01, 0x80, 0xff][at % 3];
        message.digest = Digest::of(&message.bytes);
        let tail = tail(&blocks, batches, prefix.len() as u64);
        let _ = read_rows(&[&prefix[..], &tail.parts.concat()].concat());
    }
}

/// Opens an archive of rows that are sound alone, whatever they are to one another.
fn read_unordered(rows: &[Owned]) -> Result<Vec<Owned>, IndexError> {
    let (mut bytes, blocks) = frames(&[], &BLOCKS);
    bytes.extend(tail(&blocks, encoded(rows), bytes.len() as u64).parts.concat());
    read_rows(&bytes)
}

#[test]
fn rows_are_held_against_one_another() {
    let dir = |path: &[u8]| Owned::new(path, Kind::Dir);
    let link = |path: &[u8], to| Owned { hardlink: Some(to), ..Owned::new(path, Kind::Hardlink) };
    let file = |path: &[u8]| Owned { digest: Some(Digest::of(b"")), ..Owned::new(path, Kind::File) };
    assert_eq!(read_unordered(&[dir(b"a"), file(b"a/b"), link(b"c", 1)]).unwrap().len(), 3);
    for bad in [
        vec![file(b"a"), dir(b"a/b")],
        vec![dir(b"b/c")],
        vec![dir(b"a"), link(b"b", 0)],
        vec![link(b"b", 0)],
        vec![link(b"b", 7)],
    ] {
        assert!(read_unordered(&bad).unwrap_err().is_damage(), "{bad:?}");
    }
    // A hard link to a row behind it is refused wherever it is met, not only by a pass over all rows.
    let (mut bytes, blocks) = frames(&[], &BLOCKS);
    bytes.extend(tail(&blocks, encoded(&[link(b"b", 1), file(b"c")]), bytes.len() as u64).parts.concat());
    assert!(Index::open(&bytes).unwrap().find(&bytes, b"c").unwrap_err().is_damage());
}

#[test]
fn an_extent_outside_its_block_is_refused() {
    for extent in [
        Extent { block: 0, offset: 0, len: BLOCKS[0].len() as u32 + 1 },
        Extent { block: 2, offset: 0, len: 1 },
        Extent { block: 9, offset: 0, len: 1 },
    ] {
        let row = Owned {
            size: extent.len.into(),
            extents: vec![extent],
            digest: Some(Digest::default()),
            ..Owned::new(b"a", Kind::File)
        };
        let (mut bytes, blocks) = frames(&[], &BLOCKS);
        bytes.extend(tail(&blocks, encoded(&[row]), bytes.len() as u64).parts.concat());
        assert!(verify(&bytes).unwrap_err().is_damage(), "{extent:?}");
    }
}

#[test]
fn a_frame_that_the_table_does_not_describe_is_refused() {
    let rows = rows();
    let good = archive();
    let (prefix, blocks) = frames(&rows, &BLOCKS);
    let with_blocks = |blocks: &[BlockRow]| {
        let tail = tail(blocks, encoded(&rows), prefix.len() as u64);
        verify(&[&prefix[..], &tail.parts.concat()].concat())
    };
    with_blocks(&blocks).unwrap();
    let mut other = blocks.clone();
    other[1].digest = digest_of(b"", b"other");
    assert!(with_blocks(&other).unwrap_err().is_damage());
    assert!(with_blocks(&blocks[..2]).unwrap_err().is_damage(), "a frame without a row");

    // A header of another archive, sound in itself.
    let at = blocks[0].offset as usize;
    let mut header = FrameHeader::decode(good[at..][..128].try_into().unwrap(), 0).unwrap();
    header.archive_id = carrack_engine::container::ArchiveId::derive(b"another");
    let mut bytes = good.clone();
    bytes[at..][..128].copy_from_slice(&header.encode());
    assert!(verify(&bytes).unwrap_err().is_damage());
}

#[test]
fn an_archive_may_be_appended_to_behind_its_tail() {
    // What a later append will write: the old archive as it is, padding, more frames, and a tail that speaks of all.
    let rows = rows();
    let mut bytes = archive();
    let old_seal = seal_offset(&bytes) as u64;
    let old = Index::open(&bytes).unwrap();
    let mut blocks = Vec::new();
    old.for_each_block(&bytes, |row| {
        blocks.push(*row);
        Ok(())
    })
    .unwrap();
    bytes.resize(bytes.len().next_multiple_of(64), 0);
    let (frame, row) = synthetic::one_frame(3, bytes.len() as u64, b"appended");
    blocks.push(row);
    bytes.extend(frame);
    let mut more = rows.clone();
    more.push(Owned {
        size: 8,
        digest: Some(Digest::of(b"appended")),
        extents: vec![Extent { block: 3, offset: 0, len: 8 }],
        ..Owned::new(b"zzz", Kind::File)
    });
    bytes.extend(tail(&blocks, encoded(&more), bytes.len() as u64).parts.concat());
    reseal(&mut bytes, |seal| seal.previous = Some(old_seal));
    assert_eq!(read_rows(&bytes).unwrap(), more);
    verify(&bytes).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        bytes[at] ^= 0x10;
        assert!(verify(&bytes).is_err(), "byte {at} was flipped");
        bytes[at] ^= 0x10;
    }
    reseal(&mut bytes, |seal| seal.previous = None);
    assert!(verify(&bytes).unwrap_err().is_damage(), "a gap that no older tail explains");
}
