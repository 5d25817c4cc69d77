use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::container::ContainerError;
use crate::entry::{Device, Hole, Kind, Row, Xattr};

/// An entry that owns what a [`Row`] borrows.
#[derive(Debug, Clone)]
struct Owned {
    row: u32,
    path: Vec<u8>,
    kind: Kind,
    numbers: (u64, u32, u32, u32, i64),
    names: (Option<String>, Option<String>),
    xattrs: Vec<Xattr>,
    holes: Vec<Hole>,
}

impl Owned {
    fn row(&self) -> Row<'_> {
        let is = |kind| self.kind == kind;
        let (size, mode, uid, gid, mtime_ns) = self.numbers;
        Row {
            size: if is(Kind::File) || is(Kind::Hardlink) { size } else { 0 },
            mode: mode & 0o7777,
            uid,
            gid,
            owner: self.names.0.as_deref(),
            group: self.names.1.as_deref(),
            mtime_ns,
            link_target: is(Kind::Symlink).then_some(b"\xfftarget".as_slice()),
            hardlink: is(Kind::Hardlink).then_some(uid),
            device: (is(Kind::CharDevice) || is(Kind::BlockDevice)).then_some(Device { major: uid, minor: gid }),
            xattrs: &self.xattrs,
            holes: if is(Kind::File) { &self.holes } else { &[] },
            flags: gid & 1,
            ..Row::new(&self.path, self.kind)
        }
    }
}

fn entry() -> impl Strategy<Value = Owned> {
    let name = vec(prop_oneof![Just(b'a'), Just(0xff), Just(b'\n')], 1..4);
    let path = vec(name, 1..4).prop_map(|names| names.join(&b'/'));
    let kind = (0..8u8).prop_map(|number| Kind::from_number(number).unwrap());
    let numbers = (0..=i64::MAX as u64, any::<u32>(), any::<u32>(), any::<u32>(), any::<i64>());
    let xattrs = vec((vec(1u8.., 1..5), vec(any::<u8>(), 0..5)), 0..3).prop_map(|pairs| {
        let by_name: std::collections::BTreeMap<_, _> = pairs.into_iter().collect();
        by_name.into_iter().map(|(name, value)| Xattr { name, value }).collect()
    });
    let holes = vec((1..1000u64, 1..1000u64), 0..3);
    (any::<u32>(), path, kind, numbers, (option::of(".{0,5}"), option::of("[a-z]{1,8}")), xattrs, holes).prop_map(
        |(row, path, kind, mut numbers, names, xattrs, gaps)| {
            let mut end = 0;
            let holes: Vec<_> = gaps
                .into_iter()
                .map(|(gap, len)| {
                    let hole = Hole { offset: end + gap, len };
                    end = hole.offset + len;
                    hole
                })
                .collect();
            numbers.0 = numbers.0.max(end);
            Owned { row, path, kind, numbers, names, xattrs, holes }
        },
    )
}

fn chunk() -> impl Strategy<Value = Chunk> {
    (any::<u32>(), 0..1u64 << 60, any::<u32>(), 0..1u32 << 31, 1..1u32 << 31)
        .prop_map(|(row, file_offset, block, offset, len)| Chunk { row, file_offset, block, offset, len })
}

/// Reads a directory to its end or to its first error.
fn read(bytes: &[u8]) -> Result<usize, ContainerError> {
    let mut reader = DirectoryReader::new(bytes);
    let mut records = 0;
    while let Some(record) = reader.next() {
        if let Err(error) = record {
            assert!(reader.next().is_none(), "nothing follows an error");
            return Err(error);
        }
        records += 1;
    }
    Ok(records)
}

fn written(records: &[(Owned, Chunk)]) -> Vec<u8> {
    let mut writer = DirectoryWriter::new();
    for (entry, chunk) in records {
        writer.entry(entry.row, &entry.row());
        writer.chunk(chunk);
    }
    writer.replace(Vec::new())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn records_come_back_as_they_were_written(records in vec((entry(), chunk()), 0..20)) {
        let bytes = written(&records);
        let mut reader = DirectoryReader::new(&bytes);
        for (entry, chunk) in &records {
            prop_assert_eq!(reader.next().unwrap().unwrap(), Record::Entry(entry.row, entry.row()));
            prop_assert_eq!(reader.next().unwrap().unwrap(), Record::Chunk(*chunk));
        }
        prop_assert!(reader.next().is_none());
    }

    #[test]
    fn every_cut_inside_a_record_is_an_error(records in vec((entry(), chunk()), 1..3)) {
        let bytes = written(&records);
        let whole: Vec<_> = (0..bytes.len()).filter(|&len| read(&bytes[..len]).is_ok()).collect();
        // What is left when the cut falls between two records is sound; there are as many such cuts as records.
        prop_assert_eq!(whole.len(), records.len() * 2);
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
    }

    #[test]
    fn changed_bytes_never_panic(records in vec((entry(), chunk()), 1..4), at in any::<prop::sample::Index>(), to: u8) {
        let mut bytes = written(&records);
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = read(&bytes);
    }
}

#[test]
fn the_bytes_are_what_the_format_says() {
    let mut writer = DirectoryWriter::new();
    let file = Row { size: 300, mode: 0o644, uid: 1, mtime_ns: -1, owner: Some("me"), ..Row::new(b"a/b", Kind::File) };
    writer.entry(3, &file);
    writer.chunk(&Chunk { row: 3, file_offset: 0, block: 2, offset: 5, len: 300 });
    writer.entry(4, &Row { mtime_ns: 1, ..Row::new(b"a/cd", Kind::Dir) });
    writer.entry(5, &Row { size: 10, mtime_ns: 1, flags: 1, path: b"a/ce", ..file });
    writer.chunk(&Chunk { row: 5, file_offset: 0, block: 2, offset: 305, len: 10 });
    #[rustfmt::skip]
    assert_eq!(writer.bytes(), [
        0x18, 6, 0x01, 0xa4, 0x03, 1, 0, 2, b'm', b'e', 0, 3, b'a', b'/', b'b', 0xac, 0x02, 1,
        0x80, 0, 4, 5, 0xac, 0x02,
        0x01, 2, 2, b'c', b'd', 0, 4,
        0x60, 3, 1, b'e', 10, 0, 0x20, 1,
    ]);
}

/// Entries of one kind with the same traits whose contents fill a block one behind the other, and what interrupts that.
#[test]
fn chunks_that_follow_one_another_come_back() {
    let chunk = |row, block, offset, len| Chunk { row, file_offset: 0, block, offset, len };
    let chunks = [
        chunk(1, 0, 0, 9),
        chunk(2, 7, 0, 4),
        chunk(3, 7, 4, 5),
        // A duplicate in an earlier block, one in the same block, and a gap.
        chunk(4, 3, 9, 1),
        chunk(5, 7, 9, 2),
        chunk(6, 7, 4, 5),
        chunk(7, 7, 11, 1),
        chunk(8, 7, 40, u32::MAX - 40),
    ];
    let mut writer = DirectoryWriter::new();
    let path = |row: u32| format!("{row}");
    let mut lens = Vec::new();
    for chunk in &chunks {
        let before = writer.bytes().len();
        writer.entry(chunk.row, &Row { size: chunk.len.into(), ..Row::new(path(chunk.row).as_bytes(), Kind::File) });
        writer.chunk(chunk);
        lens.push(writer.bytes().len() - before);
    }
    assert_eq!(lens[..7], [6, 11, 6, 11, 6, 11, 6], "a chunk at the end takes no bytes");
    // Not all of the contents, or none: each chunk stands for itself.
    writer.entry(9, &Row { size: 9, ..Row::new(b"9", Kind::File) });
    let rest = [
        Chunk { row: 9, file_offset: 0, block: 8, offset: 0, len: 4 },
        Chunk { row: 9, file_offset: 4, block: 8, offset: 4, len: 5 },
    ];
    rest.iter().for_each(|chunk| writer.chunk(chunk));
    let mut reader = DirectoryReader::new(writer.bytes());
    let mut found = Vec::new();
    while let Some(record) = reader.next() {
        if let Record::Chunk(chunk) = record.unwrap() {
            found.push(chunk);
        }
    }
    assert_eq!(found, [&chunks[..], &rest].concat());
}

#[test]
fn a_writer_that_is_cleared_refers_to_nothing_before() {
    let mut writer = DirectoryWriter::new();
    let row = Row { mtime_ns: 9, ..Row::new(b"a/b", Kind::File) };
    let chunk = Chunk { row: 7, file_offset: 1, block: 2, offset: 3, len: 4 };
    writer.entry(7, &row);
    writer.chunk(&chunk);
    let first = writer.bytes().to_vec();
    writer.clear();
    writer.entry(7, &row);
    writer.chunk(&chunk);
    assert_eq!(writer.bytes(), first);
}

#[test]
fn what_a_directory_may_not_hold_is_refused() {
    let entry = |row: &Row<'_>| {
        let mut writer = DirectoryWriter::new();
        writer.entry(0, row);
        writer.replace(Vec::new())
    };
    let good = entry(&Row::new(b"ab", Kind::File));
    assert_eq!(read(&good).unwrap(), 1);
    assert!(read(&entry(&Row::new(b"../ab", Kind::File))).unwrap_err().is_damage());
    assert!(read(&entry(&Row::new(b"ab", Kind::Symlink))).unwrap_err().is_damage());
    // Records, names and fields from the future; a path that shares what was never there; a chunk without bytes.
    let (head, traits) = (vec![0x08, 0], vec![0x18, 0, 0x04, 0, 0, 0]);
    let rest = [0, 2, b'a', b'b', 0, 0];
    assert_eq!(good, [&head[..], &rest].concat());
    for bytes in
        [[&[0x90, 0][..], &rest].concat(), [&traits[..], &rest].concat(), [&[0x48, 0][..], &rest, &[0x40]].concat()]
    {
        assert!(matches!(read(&bytes), Err(ContainerError::Unsupported { .. })), "{bytes:?}");
    }
    for bytes in [[&head[..], &[1, 2, b'a', b'b', 0, 0]].concat(), [&[0x28, 0][..], &rest].concat()] {
        assert!(read(&bytes).unwrap_err().is_damage(), "{bytes:?}");
    }
    let holes = [Hole { offset: 1, len: 1 }];
    let mut bytes = entry(&Row { size: 9, holes: &holes, ..Row::new(b"ab", Kind::File) });
    let count = bytes.len() - 3;
    bytes[count] = 2;
    assert!(read(&bytes).unwrap_err().is_damage());
}
