//! Archives of at most a MiB that claim much: with `--untrusted` each is listed and verified within 64 MiB, or refused.

use std::fs;
use std::path::Path;
use std::process::Command;

use carrack_engine::container::frame::digest_of;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::evilpack::{EvilFrame, EvilPack, EvilRow};
use crate::{MIB, Place};

/// Where [`write_archives`] is to put them.
const OUT: &str = "CARRACK_TEST_HOSTILE_OUT";
/// What a process may take with `--untrusted`, bytes.
const MOST: u64 = 64 * MIB;

fn file(path: &[u8]) -> EvilRow {
    EvilRow::file(path, b"xxxx", 0, 0)
}

fn pack(rows: &[EvilRow], blocks: &[&[u8]]) -> EvilPack {
    EvilPack { compressed: true, ..EvilPack::new(rows, blocks) }
}

/// The archive of as many rows as fit into a MiB, in batches of so many, but of no more than `rows`.
fn most(rows: usize, batch_rows: usize, row: impl Fn(usize) -> EvilRow) -> EvilPack {
    let mut rows: Vec<_> = (0..rows).map(row).collect();
    let pack = |rows: &[EvilRow]| EvilPack { batch_rows, ..pack(rows, &[b"xxxx"]) };
    let len = pack(&rows).bytes().len();
    rows.truncate(rows.len() * (1 << 20) / (len + (16 << 10)));
    pack(&rows)
}

/// Row `n` of folders, each in the one before, and of what is made of paths in the last one.
fn below(folders: usize, n: usize, make: impl Fn(&[u8]) -> EvilRow) -> EvilRow {
    let folder = |depth| vec!["p".repeat(250); depth].join("/");
    if n < folders {
        return EvilRow::dir(folder(n + 1).as_bytes());
    }
    make(format!("{}/{n:07}", folder(folders)).as_bytes())
}

/// A file, or in every second row one more name of it.
fn link(n: usize, path: &[u8]) -> EvilRow {
    if n.is_multiple_of(2) { EvilRow::hardlink(path, n as u64 - 1, 4) } else { file(path) }
}

/// A frame of `raw` bytes that are all zero.
fn zeros(seq: u64, raw: usize) -> EvilFrame {
    let mut frame = EvilFrame::block(seq, &zstd::bulk::compress(&vec![0; raw], 19).unwrap());
    (frame.header.codec, frame.header.raw_len) = (2, raw as u32);
    frame
}

fn with_seq(frame: &EvilFrame, seq: u64) -> EvilFrame {
    let mut frame = frame.clone();
    frame.header.seq = seq;
    frame
}

/// A table frame whose directory are `records` over and over, `raw` bytes in all.
fn directory(seq: u64, records: &[u8], raw: usize) -> EvilFrame {
    let plain: Vec<u8> = records.iter().copied().cycle().take(raw / records.len() * records.len()).collect();
    let mut frame = EvilFrame::block(seq, b"");
    frame.directory = zstd::bulk::compress(&plain, 19).unwrap();
    frame.header.kind = carrack_engine::container::FrameKind::Table;
    frame.header.directory_codec = 2;
    (frame.header.directory_raw_len, frame.header.directory_stored_len) =
        (plain.len() as u32, frame.directory.len() as u32);
    frame.header.digest = digest_of(&frame.directory, b"");
    frame
}

fn of_frames(frames: Vec<EvilFrame>) -> EvilPack {
    EvilPack { frames, ..pack(&[EvilRow::dir(b"a")], &[]) }
}

/// Each by name, with the exit codes of `list` and `verify`.
fn archives() -> Vec<(&'static str, EvilPack, [i32; 2])> {
    let again =
        |times: u64| EvilRow { size: times << 22, extents: vec![[0, 0, 4 << 20]; times as usize], ..file(b"again") };
    let large = zeros(0, 64 << 20);
    let hole = i64::MAX as u64 / 4096 * 4096;
    let chunks = [0x80, 0, 0, 0, 1];
    vec![
        ("short-names", most(400_000, 16_384, |n| file(format!("{n:06}").as_bytes())), [0, 0]),
        ("empty-files", most(400_000, 16_384, |n| EvilRow::file(format!("{n:06}").as_bytes(), b"", 0, 0)), [0, 0]),
        ("folders", most(400_000, 16_384, |n| EvilRow::dir(format!("{n:06}").as_bytes())), [0, 0]),
        ("long-names", most(100_000, 5000, |n| below(3, n, file)), [0, 2]),
        ("longest-names", most(3_000, 16_384, |n| below(63, n, file)), [3, 3]),
        ("links", most(100_000, 5000, |n| below(3, n, |path| link(n, path))), [0, 2]),
        ("extents", EvilPack { frames: vec![zeros(0, 4 << 20)], ..pack(&[again(3_000_000)], &[]) }, [2, 2]),
        ("few-extents", EvilPack { frames: vec![zeros(0, 4 << 20)], ..pack(&[again(20_000)], &[]) }, [2, 2]),
        ("holes", pack(&[EvilRow { size: hole, holes: vec![(4, hole - 4)], ..file(b"h") }], &[b"xxxx"]), [2, 2]),
        ("many-holes", pack(&[EvilRow { holes: vec![(4, 4096); 4_000_000], ..file(b"h") }], &[b"xxxx"]), [3, 3]),
        (
            "attributes",
            pack(&[EvilRow { xattrs: vec![(b"user.a".to_vec(), vec![0; 64 << 20])], ..file(b"a") }], &[b"xxxx"]),
            [3, 3],
        ),
        ("blocks", of_frames((0..100).map(|seq| with_seq(&large, seq)).collect()), [0, 2]),
        ("one-block", of_frames(vec![large.clone(), EvilFrame::block(1, &vec![7; 900 << 10])]), [0, 2]),
        ("directory", of_frames(vec![directory(0, &chunks, 200 << 20)]), [0, 3]),
        ("directories", of_frames((0..3500).map(|seq| directory(seq, &chunks, 4 << 10)).collect()), [0, 0]),
        (
            "footer",
            EvilPack {
                forge_footer: |says| {
                    says.manifest["options"] = json!({ "codec": vec![Value::Array(Vec::new()); 300_000] })
                },
                ..pack(&[file(b"a")], &[b"xxxx"])
            },
            [0, 0],
        ),
    ]
}

/// Not a test, but what the test below runs in a process of its own: what makes them takes more memory than it may find.
#[test]
#[ignore = "run by the test below"]
fn write_archives() {
    let out = std::env::var_os(OUT).expect("the test below says where");
    for (name, pack, expected) in archives() {
        let bytes = pack.bytes();
        assert!(bytes.len() <= 1 << 20, "{name}: {} bytes", bytes.len());
        fs::write(Path::new(&out).join(format!("{name}.crk")), bytes).unwrap();
        fs::write(Path::new(&out).join(format!("{name}.json")), json!(expected).to_string()).unwrap();
    }
}

#[test]
fn small_archives_take_little_memory_or_are_refused() {
    let place = Place(TempDir::new().unwrap());
    let made = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "hostile::write_archives"])
        .env(OUT, place.0.path())
        .status()
        .unwrap();
    assert!(made.success());
    let (mut seen, mut wrong) = (0, Vec::new());
    for entry in fs::read_dir(place.0.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix(".json") else { continue };
        let expected: [i32; 2] =
            serde_json::from_slice(&fs::read(place.path(&format!("{name}.json"))).unwrap()).unwrap();
        for (args, expected) in [("list --json", expected[0]), ("list --long", expected[0]), ("verify -q", expected[1])]
        {
            let ran = place.run(&format!("{args} --untrusted {name}.crk"));
            let (code, peak) = (ran.statuses[0].code(), ran.usage.peak_bytes);
            eprintln!("{name}: {args}: exit code {code:?}, {} MiB, {} ms", peak / MIB, ran.usage.wall_ns / 1_000_000);
            if code != Some(expected) || peak > MOST {
                wrong.push(format!("{name}: {args}: exit code {code:?}, {peak} bytes: {}", ran.stderr));
            }
        }
        seen += 1;
    }
    assert!(seen >= 16, "{seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
