use super::*;

fn sample() -> FrameHeader {
    FrameHeader {
        archive_id: ArchiveId::derive(b"sample"),
        seq: 7,
        kind: FrameKind::Block,
        codec: 2,
        directory_codec: 1,
        filters: [4, 1, 0, 0],
        raw_len: 1000,
        stored_len: 400,
        directory_raw_len: 90,
        directory_stored_len: 60,
        dictionary: Some(0),
        digest: digest_of(b"directory", b"payload"),
    }
}

/// The bytes of `header` after `change`, with a checksum that fits.
fn changed(header: &FrameHeader, change: impl FnOnce(&mut [u8; HEADER_LEN])) -> [u8; HEADER_LEN] {
    let mut bytes = header.encode();
    change(&mut bytes);
    let sum = checksum(&bytes);
    bytes[CHECKSUM_AT..].copy_from_slice(&sum);
    bytes
}

#[test]
fn a_header_comes_back_from_its_bytes() {
    let header = sample();
    assert_eq!(FrameHeader::decode(&header.encode(), 0).unwrap(), header);
    assert_eq!(header.frame_len(), 128 + 60 + 400);
    let table = FrameHeader { kind: FrameKind::Table, codec: 0, raw_len: 0, stored_len: 0, dictionary: None, ..header };
    assert_eq!(FrameHeader::decode(&table.encode(), 0).unwrap(), table);
}

#[test]
fn the_bytes_stand_where_the_format_says() {
    let bytes = sample().encode();
    assert_eq!(&bytes[..8], b"\x89CRKF\r\n\x1a");
    assert_eq!(&bytes[24..32], &7u64.to_le_bytes());
    assert_eq!(&bytes[32..40], &[0, 2, 1, 0, 4, 1, 0, 0]);
    assert_eq!(&bytes[40..44], &1000u32.to_le_bytes());
    assert_eq!(&bytes[56..64], &1u64.to_le_bytes());
    assert_eq!(&bytes[64..96], blake3::hash(b"directorypayload").as_bytes());
}

#[test]
fn every_flipped_bit_is_detected() {
    let good = sample().encode();
    for bit in 0..HEADER_LEN * 8 {
        let mut bytes = good;
        bytes[bit / 8] ^= 1 << (bit % 8);
        let error = FrameHeader::decode(&bytes, 4096).unwrap_err();
        assert!(matches!(&error, ContainerError::Damaged(damage) if damage.offset >= 4096), "bit {bit}: {error}");
    }
}

#[test]
fn a_sound_checksum_does_not_excuse_wrong_fields() {
    let header = sample();
    let put32 =
        |at: usize, value: u32| move |b: &mut [u8; HEADER_LEN]| b[at..at + 4].copy_from_slice(&value.to_le_bytes());
    let damaged = [
        changed(&header, |b| b[24..32].fill(0xff)),
        changed(&header, |b| b[36] = 0),
        changed(&header, put32(40, BLOCK_SIZE_MAX + 1)),
        changed(&header, put32(44, 1001)),
        changed(&header, |b| b[33] = CODEC_STORE),
        changed(&header, put32(48, DIRECTORY_LEN_MAX + 1)),
        changed(&header, put32(52, 91)),
        changed(&header, |b| b[32] = FrameKind::Table as u8),
        changed(&header, |b| b[56] = 8),
    ];
    for (case, bytes) in damaged.iter().enumerate() {
        let error = FrameHeader::decode(bytes, 0).unwrap_err();
        assert!(matches!(error, ContainerError::Damaged(_)), "case {case}: {error}");
    }
    for (case, bytes) in
        [changed(&header, |b| b[32] = 4), changed(&header, |b| b[35] = 1), changed(&header, |b| b[119] = 1)]
            .iter()
            .enumerate()
    {
        let error = FrameHeader::decode(bytes, 0).unwrap_err();
        assert!(matches!(error, ContainerError::Unsupported { .. }), "case {case}: {error}");
    }
}

#[test]
fn frames_are_laid_out_one_behind_the_other() {
    let header = FrameHeader { dictionary: None, ..sample() };
    let mut writer = FrameWriter::new(header.archive_id, 64);
    let (directory, payload) = (vec![1; 60], vec![2; 400]);
    for seq in 0..3 {
        let expected = 64 + seq * 640;
        assert_eq!((writer.offset(), writer.next_seq()), (expected, seq));
        let header = FrameHeader { seq, ..header };
        let frame = writer.frame(&header, &directory, &payload);
        assert_eq!((frame.offset, frame.total_len()), (expected, 640));
        let bytes = frame.parts.concat();
        assert_eq!(FrameHeader::decode(bytes[..128].try_into().unwrap(), expected).unwrap(), header);
        assert_eq!((&bytes[128..188], &bytes[188..588]), (&directory[..], &payload[..]));
        assert_eq!(bytes[588..], [0; 52]);
    }
}

#[test]
#[should_panic(expected = "in order of seq")]
fn a_frame_out_of_order_is_a_mistake() {
    let header = sample();
    FrameWriter::new(header.archive_id, 0).frame(&header, &[1; 60], &[2; 400]);
}
