//! Headers of frames, seals, ids, and the records of a directory: what is read is what would be written.

use carrack_engine::container::directory::{DirectoryReader, DirectoryWriter, Record};
use carrack_engine::container::frame::HEADER_LEN;
use carrack_engine::container::{ArchiveId, FrameHeader, Seal, Source, head};
use carrack_engine::index::Index;

use crate::parts;

/// Where a header is said to stand: behind the tables that a seal may name.
const OFFSETS: [u64; 4] = [0, 2304, 1 << 40, u64::MAX - 1024];

/// Reads the input as each of them.
pub fn check(input: &[u8]) {
    if let Some(bytes) = input.first_chunk::<HEADER_LEN>() {
        let mut proved = *bytes;
        parts::check(&mut proved);
        for bytes in [bytes, &proved] {
            header(bytes);
        }
    }
    let _ = head::check(&input as &dyn Source);
    if let Ok(text) = str::from_utf8(input)
        && let Some(id) = ArchiveId::from_hex(text)
    {
        assert_eq!(ArchiveId::from_hex(&id.to_string()), Some(id));
    }
    records(input);
    // Footers: those of a sealed archive get as far as their contents.
    let mut sealed = input.to_vec();
    parts::reseal(&mut sealed);
    let _ = Index::open(&sealed);
}

fn header(bytes: &[u8; HEADER_LEN]) {
    for offset in OFFSETS {
        if let Ok(header) = FrameHeader::decode(bytes, offset) {
            assert_eq!(header.encode(), *bytes);
            assert!(header.frame_len() >= HEADER_LEN as u64);
        }
        if let Ok(seal) = Seal::decode(bytes, offset) {
            assert_eq!(seal.encode(), *bytes);
        }
    }
}

/// What a directory says can be written, and says the same then.
fn records(input: &[u8]) {
    let mut reader = DirectoryReader::new(input);
    let mut writer = DirectoryWriter::new();
    let mut told = Vec::new();
    while let Some(record) = reader.next() {
        let Ok(record) = record else {
            assert!(reader.next().is_none(), "nothing is read behind an error");
            break;
        };
        match &record {
            Record::Entry(row, entry) => writer.entry(*row, entry),
            Record::Chunk(chunk) => writer.chunk(chunk),
        }
        told.push(format!("{record:?}"));
    }
    let mut reader = DirectoryReader::new(writer.bytes());
    for told in told {
        let record = reader.next().expect("what was written is there").expect("and is sound");
        assert_eq!(format!("{record:?}"), told);
    }
    assert!(reader.next().is_none());
}
