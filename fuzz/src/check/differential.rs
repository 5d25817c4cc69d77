//! The index against the scan: a tree that the input describes is packed; what the index says, what the directories of the
//! frames say and what salvage makes of the frames alone agree, and the contents are those of the tree.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use carrack_backends::read::choose::IoChoice;
use carrack_backends::sink::MemorySink;
use carrack_engine::archive::Archive;
use carrack_engine::codec::{Codec, Decoder, FilterChoice};
use carrack_engine::container::directory::{Chunk, DirectoryReader, Record};
use carrack_engine::container::head::HEAD;
use carrack_engine::control::Control;
use carrack_engine::entry::{Entry, Extent};
use carrack_engine::pack::{Dedup, Packer};
use carrack_engine::plan::Order;
use carrack_engine::profile::DictionaryChoice;
use carrack_engine::restore::frames::FrameBytes;
use carrack_engine::salvage::salvage;
use carrack_engine::verify::VerifyOptions;

use super::Input;

/// Entries of a tree at most.
const ENTRIES: usize = 24;

/// Packs the tree that the input describes.
pub fn check(input: &[u8]) {
    let mut input = Input(input);
    let place = tempfile::tempdir().expect("there is room for a small tree");
    let root = place.path().join("tree");
    fs::create_dir(&root).expect("there is room for a folder");
    let packer = packer(&mut input, &root);
    let files = write_tree(&mut input, &root);

    let (sink, bytes) = MemorySink::new();
    packer.pack_to_sink(Box::new(sink)).expect("a sound tree can be packed");
    let bytes = bytes.finished().expect("it is finished");
    let archive = Archive::from_source("packed", Arc::new(bytes.clone())).expect("what was packed can be opened");
    let options = VerifyOptions { threads: Some(1), ..VerifyOptions::default() };
    let report = archive.verify(&options).expect("what was packed can be verified");
    assert!(report.damage.is_empty(), "{:?}", report.damage);
    for (path, content) in &files {
        assert!(archive.read(path).expect("what was packed can be read") == *content, "{}", path.escape_ascii());
    }
    assert_frames_agree(&archive, &bytes);
}

/// What the index of a sound archive says of every row, its frames say too: what their directories tell is the same, and
/// so is what salvage makes of them without head and tail.
///
/// # Panics
/// When they do not agree.
pub fn assert_frames_agree(archive: &Archive, bytes: &[u8]) {
    let rows: Vec<Entry> = archive.entries().map(|row| row.expect("the index is sound")).collect();
    let told = of_directories(archive);
    assert_eq!(told.len(), rows.len(), "each row begins in one frame");
    for (told, row) in told.iter().zip(&rows) {
        assert_eq!(*told, Entry { digest: None, ..row.clone() }, "index and directories disagree");
    }
    let frames = HEAD.len()..archive.index().seal().blocks_offset as usize;
    if frames.is_empty() {
        return;
    }
    let scanned =
        salvage("frames", Arc::new(bytes[frames].to_vec()), &Control::default()).expect("the frames are sound");
    let found: Vec<Entry> = scanned.archive.entries().map(|row| row.expect("the index is sound")).collect();
    assert_eq!(found, rows, "index and scan disagree");
    assert!(scanned.report.lost.is_empty() && scanned.report.missing == 0);
}

/// Every entry and every extent, from the directories of the frames alone, in the order of the rows.
fn of_directories(archive: &Archive) -> Vec<Entry> {
    let (index, source) = (archive.index(), archive.source());
    let (mut entries, mut chunks) = (BTreeMap::new(), BTreeMap::<u32, Vec<Chunk>>::new());
    let (mut frame, mut decoder, mut buffer) = (FrameBytes::default(), Decoder::default(), Vec::new());
    let each = |block: &carrack_engine::index::BlockRow| {
        frame.read(&**source, block).expect("the frame is there");
        let proved = frame.check(block, index.archive_id()).expect("the frame is sound");
        let mut records = DirectoryReader::new(proved.directory(&mut decoder, &mut buffer).expect("it can be decoded"));
        while let Some(record) = records.next() {
            match record? {
                Record::Entry(row, entry) => {
                    assert!(entries.insert(row, Entry::from(&entry)).is_none(), "row {row} begins twice");
                }
                Record::Chunk(chunk) => chunks.entry(chunk.row).or_default().push(chunk),
            }
        }
        Ok(())
    };
    index.for_each_block(&**source, each).expect("the blocks table is sound");
    for (row, mut chunks) in chunks {
        chunks.sort_by_key(|chunk| chunk.file_offset);
        let extent = |chunk: &Chunk| Extent { block: chunk.block, offset: chunk.offset, len: chunk.len };
        entries.get_mut(&row).expect("a chunk is of a row").extents = chunks.iter().map(extent).collect();
    }
    entries.into_values().collect()
}

fn packer(input: &mut Input<'_>, root: &Path) -> Packer {
    const ZSTD: Codec = Codec::Zstd { level: 1 };
    const FULL: Codec = Codec::Zstd { level: 5 };
    let packer = Packer::new()
        .input(root)
        .sync(false)
        .stats(false)
        .threads(1)
        .slots(2)
        .io(IoChoice::Pread)
        .codec(input.pick(&[Codec::Store, Codec::Lz4, ZSTD, FULL, Codec::Lzma { level: 0 }]))
        .filter(input.pick(&[FilterChoice::Off, FilterChoice::Auto]))
        .block_size(input.pick(&[4 << 10, 8 << 10, 64 << 10]))
        .order(input.pick(&[Order::Path, Order::Path, Order::Type, Order::Similar]));
    match input.byte() % 8 {
        0..=2 => packer.dedup(Dedup::Chunk).chunk_size(1 << 10),
        3 => packer.dedup(Dedup::None),
        4 => packer.codec(FULL).dictionary(DictionaryChoice::Auto),
        _ => packer,
    }
}

/// Makes folders, files (some alike, some with holes), links and pipes, and says what the files hold.
fn write_tree(input: &mut Input<'_>, root: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut folders = vec![PathBuf::new()];
    let mut files: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut count = 0;
    while !input.0.is_empty() && count < ENTRIES {
        count += 1;
        let folder = folders[usize::from(input.byte()) % folders.len()].clone();
        // Names that sort around one another: folders' children do not follow them at once.
        let name = format!("{}{}", input.pick(&["a", "a-", "a0", "b", "z", "\u{e9}"]), count);
        let path = folder.join(name);
        let place = root.join(&path);
        let key = path.to_string_lossy().into_owned().into_bytes();
        let what = input.byte() % 8;
        match what {
            0 => {
                fs::create_dir(&place).expect("the folder is there");
                folders.push(path);
            }
            1 => symlink("somewhere", &place).expect("the folder is there"),
            2 if !files.is_empty() => {
                let (first, content) = files.iter().nth(usize::from(input.byte()) % files.len()).expect("it is one");
                let first = root.join(String::from_utf8_lossy(first).as_ref());
                let content = content.clone();
                fs::hard_link(first, &place).expect("the file is there");
                files.insert(key, content);
            }
            _ => {
                let content = content(input, &files, what);
                fs::write(&place, &content).expect("there is room");
                files.insert(key, content);
            }
        }
    }
    files
}

/// Contents of a file: new bytes, those of another with some in front, or many of the same.
fn content(input: &mut Input<'_>, files: &BTreeMap<Vec<u8>, Vec<u8>>, what: u8) -> Vec<u8> {
    let len = usize::from(input.byte());
    let new = input.bytes(len).to_vec();
    match what {
        3 | 4 => new,
        5 => match files.values().nth(len % files.len().max(1)) {
            Some(other) => [new.as_slice(), other].concat(),
            None => new,
        },
        6 => new.repeat(1 + usize::from(input.u16() % 600)),
        _ => {
            let mut content = new;
            content.resize(content.len() + usize::from(input.u16()), 0);
            content
        }
    }
}
