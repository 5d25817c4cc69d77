//! The archives that fuzzing starts from: one of each feature, and one with all of them.

use carrack_engine::codec::{Codec, Decoder, FilterId};
use carrack_engine::container::frame::HEADER_LEN;
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Device, Entry, Extent, Hole, Kind, Row, Xattr, flags};
use carrack_engine::index::{BlockRow, Index};
use carrack_engine::restore::frames::FrameBytes;

use crate::maker::{Block, Maker, file};
use crate::parts::{Parts, seal_offset};

const ZSTD: Codec = Codec::Zstd { level: 3 };
const LZMA: Codec = Codec::Lzma { level: 1 };

/// Every archive with its name.
///
/// # Panics
/// Never: what is made here is sound.
#[must_use]
pub fn archives() -> Vec<(&'static str, Vec<u8>)> {
    let mut archives = vec![
        ("everything", everything()),
        ("empty", Maker::new("empty").finish()),
        ("store", one_codec(Codec::Store)),
        ("lz4", one_codec(Codec::Lz4)),
        ("zstd", one_codec(ZSTD)),
        ("lzma", one_codec(LZMA)),
        ("filters", filters()),
        ("dictionary", dictionary()),
        ("sparse", sparse()),
        ("batches", batches()),
        ("appended", appended()),
        ("nested", nested()),
    ];
    // Without compression each byte of a table can be changed to another value.
    for (name, from) in [("plain", 0), ("plain-sparse", 8), ("plain-batches", 9)] {
        archives.push((name, plain(&archives[from].1)));
    }
    archives
}

/// The archive with its batches not compressed.
fn plain(archive: &[u8]) -> Vec<u8> {
    let mut parts = Parts::parse(archive).expect("the archive is sound");
    parts.decompress();
    parts.write()
}

fn dir(path: &[u8]) -> Entry {
    Entry { mode: 0o755, mtime_ns: -1, ..Entry::from(&Row::new(path, Kind::Dir)) }
}

/// Words of a small language: they compress, and are not all alike.
fn text(len: usize, seed: u64) -> Vec<u8> {
    const WORDS: [&str; 8] = ["keel ", "mast ", "hold ", "cargo ", "sail ", "anchor\n", "deck ", "helm "];
    let mut state = seed;
    let mut text = Vec::with_capacity(len + 8);
    while text.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        text.extend_from_slice(WORDS[(state >> 61) as usize].as_bytes());
    }
    text.truncate(len);
    text
}

/// Numbers of four bytes that ascend.
fn numbers(count: u32) -> Vec<u8> {
    (0..count).flat_map(|n| (n * 37 + n % 3).to_le_bytes()).collect()
}

/// A folder with two files in one block.
fn one_codec(codec: Codec) -> Vec<u8> {
    let mut maker = Maker::new("one codec");
    maker.block(Block::new(&text(300, 1), codec), &[(b"a", 0..120), (b"d/b", 120..300)]);
    maker.table(vec![dir(b""), dir(b"d")]);
    maker.finish()
}

fn filters() -> Vec<u8> {
    let mut maker = Maker::new("filters");
    let code: Vec<u8> = (0..40u32).flat_map(|n| [&[0xE8][..], &(n * 5).to_le_bytes(), b"call"].concat()).collect();
    maker.block(Block::new(&code, ZSTD).filtered(&[FilterId::X86]), &[(b"code", 0..code.len())]);
    let numbers = numbers(80);
    let all = 0..numbers.len();
    maker.block(
        Block::new(&numbers, ZSTD).filtered(&[FilterId::delta(4), FilterId::shuffle(4)]),
        &[(b"n", all.clone())],
    );
    maker.block(Block::new(&numbers, Codec::Lz4).filtered(&[FilterId::shuffle(4)]), &[(b"o", all.clone())]);
    maker.block(Block::new(&numbers, LZMA).filtered(&[FilterId::arm64(0), FilterId::delta(4)]), &[(b"p", all)]);
    maker.table(vec![dir(b"")]);
    maker.finish()
}

fn dictionary() -> Vec<u8> {
    let mut maker = Maker::new("dictionary");
    maker.dictionary(&text(256, 3));
    let block = Block { dictionary: true, ..Block::new(&text(200, 3), ZSTD) };
    maker.block(block, &[(b"one", 0..90), (b"two", 90..200)]);
    let block = Block { dictionary: true, ..Block::new(&text(220, 3), ZSTD) };
    maker.block(block, &[(b"three", 0..220)]);
    maker.finish()
}

/// A file around holes.
fn around(path: &[u8], seq: u32) -> (Vec<u8>, Entry) {
    let block = text(90, 5);
    let whole = [vec![0; 8192], block[..40].to_vec(), vec![0; 4096], block[40..].to_vec()].concat();
    let entry = Entry {
        size: whole.len() as u64,
        holes: vec![Hole { offset: 0, len: 8192 }, Hole { offset: 8232, len: 4096 }],
        digest: Some(Digest::of(&whole)),
        extents: vec![Extent { block: seq, offset: 0, len: 40 }, Extent { block: seq, offset: 40, len: 50 }],
        ..file(path, &block, seq, 0..40)
    };
    (block, entry)
}

fn sparse() -> Vec<u8> {
    let mut maker = Maker::new("sparse");
    let (block, entry) = around(b"sparse", 0);
    maker.files(Block::new(&block, ZSTD), vec![entry]);
    maker.finish()
}

/// Rows in batches of two, and one extent that several files share.
fn batches() -> Vec<u8> {
    let mut maker = Maker::new("batches").batch_rows(2);
    let names: Vec<Vec<u8>> = (0..7).map(|n| format!("d/f{n}").into_bytes()).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_slice(), 0..60)).collect();
    maker.block(Block::new(&text(60, 7), ZSTD), &files);
    maker.table(vec![dir(b"d")]);
    maker.finish()
}

/// An archive to which somebody appended twice.
fn appended() -> Vec<u8> {
    let mut maker = Maker::new("appended");
    maker.block(Block::new(&text(100, 8), ZSTD), &[(b"a", 0..100)]);
    maker.tail();
    maker.block(Block::new(&text(100, 9), Codec::Lz4), &[(b"b", 0..100)]);
    maker.tail();
    maker.table(vec![dir(b"c")]);
    maker.finish()
}

/// An archive in an archive.
fn nested() -> Vec<u8> {
    let inner = one_codec(Codec::Lz4);
    let mut maker = Maker::new("nested");
    maker.block(Block::new(&inner, Codec::Store), &[(b"inner.crk", 0..inner.len())]);
    maker.finish()
}

/// Every kind of entry, column, frame, codec and filter, in several batches.
fn everything() -> Vec<u8> {
    let mut maker = Maker::new("everything").batch_rows(9);
    let odd = |kind, path: &[u8]| Entry { mode: 0o600, ..Entry::from(&Row::new(path, kind)) };
    maker.dictionary(&text(200, 3));
    // Rows 0 to 2.
    maker.block(
        Block::new(&text(180, 1), ZSTD),
        &[(b"bin/first", 0..60), ("d\u{e9}j\u{e0} vu".as_bytes(), 60..120), (b"name\xff", 120..180)],
    );
    let (block, entry) = around(b"sparse", 2);
    let xattrs = vec![
        Xattr { name: b"security.capability".to_vec(), value: vec![1, 0, 0, 2] },
        Xattr { name: b"user.comment".to_vec(), value: b"half empty".to_vec() },
    ];
    maker.files(Block::new(&block, Codec::Lz4), vec![Entry { xattrs, ..entry }]);
    let content = text(150, 3);
    let changed = Entry { flags: flags::CHANGED, uid: 1000, gid: u32::MAX, ..file(b"bin/changed", &content, 3, 0..70) };
    // Its bytes lie in two blocks, one of which others share.
    let mut split = file(b"split", &content, 3, 70..150);
    split.extents.push(Extent { block: 1, offset: 0, len: 60 });
    split.size += 60;
    split.digest = Some(Digest::of(&[&content[70..], &text(180, 1)[..60]].concat()));
    maker.files(Block { dictionary: true, ..Block::new(&content, ZSTD) }, vec![changed, split]);
    let numbers = numbers(64);
    let all = 0..numbers.len();
    maker.block(Block::new(&numbers, LZMA).filtered(&[FilterId::delta(4)]), &[(b"numbers", all)]);
    maker.block(Block::new(&[0x89, b'C', b'R', b'K', 1, 2, 3], Codec::Store), &[(b"short", 0..7)]);
    maker.table(vec![
        Entry { owner: Some("root".into()), group: Some("wheel".into()), ..dir(b"") },
        dir(b"bin"),
        Entry { device: Some(Device { major: 8, minor: 1 }), ..odd(Kind::BlockDevice, b"bin-disk") },
        Entry { device: Some(Device { major: 1, minor: 3 }), ..odd(Kind::CharDevice, b"bin-null") },
        Entry { digest: Some(Digest::of(b"")), ..odd(Kind::File, b"empty") },
        Entry { size: 60, hardlink: Some(0), ..odd(Kind::Hardlink, b"hard") },
        Entry { link_target: Some(b"../\xff outside".to_vec()), mode: 0o777, ..odd(Kind::Symlink, b"link") },
        dir(b"name\xfe"),
        odd(Kind::Fifo, b"pipe"),
        odd(Kind::Socket, b"socket"),
    ]);
    maker.finish()
}

/// What the targets start from that takes no archives: target, name, bytes.
///
/// # Panics
/// Never: what is made here is sound.
#[must_use]
pub fn others() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |target, name: &str, bytes: &[u8]| seeds.push((target, name.to_owned(), bytes.to_vec()));
    let everything = everything();
    let index = Index::open(&everything).expect("the archive is sound");
    add("head", "seal", &index.seal().encode());
    let tail = seal_offset(&everything).expect("there is a seal");
    add("head", "tail", &everything[tail..]);
    let (mut frame, mut decoder, mut buffer) = (FrameBytes::default(), Decoder::new(), Vec::new());
    let each = |row: &BlockRow| {
        let at = row.offset as usize;
        add("head", &format!("frame-{}", row.seq), &everything[at..at + HEADER_LEN]);
        frame.read(&everything, row).expect("the frame is there");
        let proved = frame.check(row, index.archive_id()).expect("the frame is sound");
        let records = proved.directory(&mut decoder, &mut buffer).expect("it can be decoded");
        add("head", &format!("directory-{}", row.seq), records);
        // As `check::codecs` takes them: decode, codec, no filters, raw length, no dictionary.
        let raw_len = row.raw_len.to_le_bytes();
        let front = [0, row.codec, 0, raw_len[0], raw_len[1], 0, 0];
        let payload =
            &everything[at + (row.frame_len - u64::from(row.stored_len)) as usize..][..row.stored_len as usize];
        add("codecs", &format!("payload-{}", row.seq), &[&front[..], payload].concat());
        Ok(())
    };
    index.for_each_block(&everything, each).expect("the archive is sound");
    for how in 0..8 {
        let sample = if how % 2 == 0 { text(300, how.into()) } else { numbers(100) };
        add("codecs", &format!("round-trip-{how}"), &[&[2, how, how % 3, 1, how, 0][..], &sample].concat());
        add("codecs", &format!("filters-{how}"), &[&[3, 1 + how % 3, how * 4, 0, how][..], &sample].concat());
        let mut tree = vec![how, how, how, how, how];
        tree.extend(text(400, how.into()));
        tree.iter_mut().skip(5).step_by(9).for_each(|byte| *byte &= 7);
        add("differential", &format!("tree-{how}"), &tree);
    }
    let paths: [&[u8]; 7] = [
        b"a/b/c",
        b"../a",
        b"a//b",
        b"a\xff/\x1b[2J",
        b"s/a\\(b*\\)/\\1-&/g;s,x,y,2\nabb/c\nx/x",
        b"s|[^/]*/|\\U&\\E|rx\nfolder/file",
        b"s/\\(a\\|b\\)\\+/\\u\\1\\l&/i2g;s/$/.bak/S\nABab",
    ];
    (0..).zip(paths).for_each(|(at, path)| add("paths", &format!("path-{at}"), path));
    let texts = [
        "4MiB",
        "512",
        "90s",
        "2h",
        "*.o\n# none\n\\#a\n[a-z]*/**\n{a,b}\n",
        "pack\ntree\n-o\na.crk\n--codec\nlzma\n--level\n9\n--block-size\n1M\n--exclude\n*.o\n--dict\nauto",
        "unpack\na.crk\n-C\ndir\n--transform\ns/a/b/\n--strip-components\n1\n--max-size\n1G\n-p",
        "list\na.crk\n--json\n--long",
        "verify\na.crk\n--against\ndir",
        "tune\n--budget\n30s\ntree",
        "version = 1\n\n[[entry]]\nhost = \"h\"\nfilesystem = \"ext4\"\noperation = \"pack\"\ncache = \"hot\"\n\
         method = \"halving\"\nverdict = \"faster\"\ncarrack = \"0.1.0\"\ndate = \"2026-01-01T00:00:00Z\"\n\n\
         [entry.settings]\nio = \"uring\"\nslots = 8\nslot_size = \"4MiB\"\nthreads = 2\n\n[entry.evidence]\nratio = 0.9\n\
         low = 0.8\nhigh = 0.95\nrounds = 8\nruns = 20\nmemory_bytes = 1\ndefault_memory_bytes = 1\n\
         inputs = [\"tree\"]\nfiles = 1\nbytes = 2\nsampled = false\n",
    ];
    (0..).zip(texts).for_each(|(at, text)| add("config", &format!("text-{at}"), text.as_bytes()));
    seeds
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use carrack_engine::archive::Archive;
    use carrack_engine::verify::VerifyOptions;

    use super::*;
    use crate::check::differential::assert_frames_agree;

    #[test]
    fn every_archive_is_sound_and_its_frames_say_what_its_index_says() {
        for (name, bytes) in archives() {
            let archive = Archive::from_source(name, Arc::new(bytes.clone())).unwrap();
            let report = archive.verify(&VerifyOptions::default()).unwrap();
            assert_eq!(report.damage, [""; 0], "{name}");
            if name != "nested" {
                assert_frames_agree(&archive, &bytes);
            }
        }
    }

    #[test]
    fn there_is_an_archive_of_every_feature() {
        let archives = archives();
        let (_, bytes) = archives.iter().find(|(name, _)| *name == "everything").unwrap();
        let archive = Archive::from_source("everything", Arc::new(bytes.clone())).unwrap();
        let mut kinds: Vec<Kind> = archive.entries().map(|row| row.unwrap().kind).collect();
        kinds.sort_by_key(|kind| kind.number());
        kinds.dedup();
        assert_eq!(kinds, Kind::ALL);
        let (mut codecs, mut kinds, mut filtered, mut dictionary) = (Vec::new(), Vec::new(), 0, 0);
        let each = |block: &carrack_engine::archive::BlockInfo| {
            codecs.push(block.codec);
            kinds.push(block.kind);
            filtered += u32::from(!block.filters.is_empty());
            dictionary += u32::from(block.dictionary.is_some());
            Ok(())
        };
        archive.blocks(&mut { each }).unwrap();
        for codec in ["store", "lz4", "zstd", "lzma"] {
            assert!(codecs.contains(&codec), "{codec}: {codecs:?}");
        }
        assert!(
            ["block", "dictionary", "table"].iter().all(|kind| kinds.contains(kind)) && filtered > 0 && dictionary > 0
        );
    }
}
