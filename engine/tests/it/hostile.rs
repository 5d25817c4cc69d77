//! Archives that nobody's packer writes: whatever they say, readers refuse them or keep to the destination, and nothing
//! outside of it changes.

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow_buffer::Buffer;
use arrow_ipc::reader::FileDecoder;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions, write_message};
use arrow_ipc::{Block, MetadataVersion};
use carrack_engine::archive::Archive;
use carrack_engine::control::{Cancel, Control};
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Device, Extent, Hole, Kind};
use carrack_engine::error::{ErrorKind, Result};
use carrack_engine::index::EncodedEntries;
use carrack_engine::index::schema::ENTRIES;
use carrack_engine::unpack::Unpacker;
use carrack_engine::verify::VerifyOptions;

use crate::support::{names_in, no_hang, rows, try_open};
use crate::synthetic::{Owned, encoded, frames, tail};

/// The only block of these archives.
const BLOCK: &[u8] = &[b'x'; 5000];

fn dir(path: &[u8]) -> Owned {
    Owned { mode: 0o755, ..Owned::new(path, Kind::Dir) }
}

fn file(path: &[u8]) -> Owned {
    let extents = vec![Extent { block: 0, offset: 0, len: 4 }];
    Owned { size: 4, mode: 0o644, digest: Some(Digest::of(b"xxxx")), extents, ..Owned::new(path, Kind::File) }
}

fn link(path: &[u8], target: &[u8]) -> Owned {
    Owned { link_target: Some(target.to_vec()), ..Owned::new(path, Kind::Symlink) }
}

fn hardlink(path: &[u8], row: u32) -> Owned {
    Owned { size: 4, hardlink: Some(row), ..Owned::new(path, Kind::Hardlink) }
}

/// An archive of these rows, which are sound each alone.
pub(crate) fn archive_of(rows: &[Owned]) -> Vec<u8> {
    archive_with(encoded(rows))
}

fn archive_with(batches: Vec<EncodedEntries>) -> Vec<u8> {
    let (mut bytes, blocks) = frames(&[], &[BLOCK]);
    let tail = tail(&blocks, batches, bytes.len() as u64);
    bytes.extend(tail.parts.concat());
    bytes
}

/// An archive of these rows, some of which get paths that no writer lets through.
fn archive_with_paths(rows: &[Owned], paths: &[(usize, &[u8])]) -> Vec<u8> {
    let mut batches = encoded(rows);
    let batch = decoded(&batches[0]);
    let old = batch.column(0).as_string::<i32>();
    let new: StringArray = (0..old.len())
        .map(|row| paths.iter().find(|path| path.0 == row).map_or(old.value(row), |path| text(path.1)))
        .map(Some)
        .collect();
    let mut columns: Vec<ArrayRef> = batch.columns().to_vec();
    columns[0] = Arc::new(new);
    let batch = RecordBatch::try_new(Arc::clone(&ENTRIES), columns).unwrap();
    let message = &mut batches[0].message;
    message.bytes = message_of(&batch);
    message.digest = Digest::of(&message.bytes);
    if let Some((_, path)) = paths.iter().find(|path| path.0 == 0) {
        batches[0].first = path.to_vec();
    }
    archive_with(batches)
}

fn text(path: &[u8]) -> &str {
    std::str::from_utf8(path).unwrap()
}

fn decoded(batch: &EncodedEntries) -> RecordBatch {
    let bytes = &batch.message.bytes;
    let metadata_len = 8 + u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
    let block = Block::new(0, metadata_len as i32, (bytes.len() - metadata_len) as i64);
    let decoder = FileDecoder::new(Arc::clone(&ENTRIES), MetadataVersion::V5);
    decoder.read_record_batch(&block, &Buffer::from_vec(bytes.clone())).unwrap().unwrap()
}

fn message_of(batch: &RecordBatch) -> Vec<u8> {
    let options = IpcWriteOptions::try_new(64, false, MetadataVersion::V5).unwrap();
    let mut bytes = Vec::new();
    let (_, message) = IpcDataGenerator::default()
        .encode(batch, &mut DictionaryTracker::new(true), &options, &mut IpcWriteContext::default())
        .unwrap();
    write_message(&mut bytes, message, &options).unwrap();
    bytes
}

/// A folder to unpack into, and beside it what must stay as it is.
struct Sentinel {
    place: tempfile::TempDir,
    before: Vec<(String, i64, i64, u64, Vec<u8>)>,
}

impl Sentinel {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir(place.path().join("dest")).unwrap();
        std::fs::create_dir(place.path().join("outside")).unwrap();
        std::fs::write(place.path().join("outside/secret"), "secret").unwrap();
        std::fs::write(place.path().join("x"), "mine").unwrap();
        let before = Self::look(place.path());
        Self { place, before }
    }

    fn dest(&self) -> std::path::PathBuf {
        self.place.path().join("dest")
    }

    /// Names, times, links and bytes of everything but the destination.
    fn look(place: &Path) -> Vec<(String, i64, i64, u64, Vec<u8>)> {
        let top = names_in(place);
        let outside = names_in(&place.join("outside")).into_iter().map(|name| format!("outside/{name}"));
        let all = top.into_iter().chain(outside).filter(|name| name != "dest");
        all.map(|name| {
            let path = place.join(&name);
            let stat = std::fs::symlink_metadata(&path).unwrap();
            (name, stat.ctime(), stat.ctime_nsec(), stat.nlink(), std::fs::read(&path).unwrap_or_default())
        })
        .collect()
    }

    fn assert_untouched(&self) {
        assert_eq!(Self::look(self.place.path()), self.before);
    }
}

/// Does everything that can be done with an archive; whatever comes of it, nothing outside may change. Says whether
/// listing, verifying and unpacking went well.
fn try_everything(bytes: Vec<u8>) -> [Result<()>; 3] {
    no_hang("using a hostile archive", move || {
        let archive = match try_open(bytes) {
            Ok(archive) => archive,
            Err(error) => {
                let again = || Err(carrack_engine::error::Error::new(error.kind(), error.to_string()));
                return [again(), again(), again()];
            }
        };
        let listed: Result<Vec<_>> = archive.entries().collect();
        for path in [&b"a"[..], b"a/x", b"../x", b"/etc/passwd", b"z"] {
            let _ = archive.find(path);
            let _ = archive.read(path);
            let _ = archive.read_range(path, 0..u64::MAX);
        }
        let options = VerifyOptions { threads: Some(2), ..VerifyOptions::default() };
        let verified = archive.verify(&options).and_then(|report| match report.damage.first() {
            None if report.lost.is_empty() => Ok(()),
            what => Err(carrack_engine::error::Error::new(ErrorKind::Damaged, format!("{what:?}"))),
        });
        let mut unpacked = Ok(());
        for force in [false, true] {
            let sentinel = Sentinel::new();
            symlink(sentinel.place.path().join("outside"), sentinel.dest().join("there")).unwrap();
            let result = Unpacker::new(&archive).force(force).threads(2).unpack(sentinel.dest());
            sentinel.assert_untouched();
            unpacked = unpacked.and(result.and_then(|report| match report.lost.first() {
                None => Ok(()),
                lost => Err(carrack_engine::error::Error::new(ErrorKind::Damaged, format!("{lost:?}"))),
            }));
        }
        [listed.map(drop), verified, unpacked]
    })
}

/// Everything that looks at all rows refuses the archive as damaged, and says what is wrong.
fn assert_refused(bytes: Vec<u8>, says: &str) {
    for result in try_everything(bytes) {
        let error = result.expect_err("a hostile archive");
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn paths_that_lead_out_are_refused() {
    let long = [b'n'; 256];
    let longer = b"n/".repeat(9000);
    let hostile: [&[u8]; 14] = [
        b"../x",
        b"/x",
        b"/etc/passwd",
        b"..",
        b".",
        b"./x",
        b"a/../../x",
        b"a/..",
        b"a//x",
        b"a/",
        b"a/./x",
        b"a/\0",
        &long,
        &longer[..longer.len() - 1],
    ];
    for path in hostile {
        for row in [file(b"b"), dir(b"b"), link(b"b", b"/etc"), hardlink(b"b", 1)] {
            // In front of everything, and behind it.
            let at = if path < &b"a"[..] { 0 } else { 2 };
            let mut rows = vec![dir(b"a"), file(b"a/file")];
            if row.kind == Kind::Hardlink && at == 0 {
                continue;
            }
            rows.insert(at, Owned { path: if at == 0 { b"0".to_vec() } else { b"b".to_vec() }, ..row });
            if at == 0 {
                rows[0].path = b"0".to_vec();
            }
            assert_refused(archive_with_paths(&rows, &[(at, path)]), "path");
        }
    }
}

#[test]
fn rows_that_come_twice_or_out_of_order_are_refused() {
    let rows = [dir(b"a"), file(b"b"), file(b"c")];
    try_everything(archive_with_paths(&rows, &[])).into_iter().for_each(Result::unwrap);
    for (at, path) in [(2, &b"b"[..]), (2, b"a"), (1, b"a"), (1, b"d"), (0, b"z"), (2, b"")] {
        assert_refused(archive_with_paths(&rows, &[(at, path)]), "path");
    }
}

#[test]
fn nothing_lies_below_what_is_no_folder() {
    for rows in [
        vec![link(b"a", b"../outside"), file(b"a/x")],
        vec![link(b"a", b"../outside"), dir(b"a/x")],
        vec![link(b"a", b".."), link(b"a/x", b"/etc")],
        vec![file(b"a"), hardlink(b"b", 0), file(b"b/x")],
        vec![dir(b"a"), link(b"a/b", b"../../outside"), file(b"a/b/c")],
        vec![file(b"missing/x")],
        vec![Owned::new(b"a", Kind::Fifo), file(b"a/x")],
    ] {
        assert_refused(archive_of(&rows), "folder");
    }
}

#[test]
fn hard_links_to_anything_but_an_earlier_file_are_refused() {
    for rows in [
        vec![dir(b"a"), hardlink(b"b", 0)],
        vec![link(b"a", b"../outside/secret"), hardlink(b"b", 0)],
        vec![hardlink(b"a", 1), file(b"b")],
        vec![hardlink(b"a", 0)],
        vec![file(b"a"), hardlink(b"b", 0), hardlink(b"c", 1)],
        vec![file(b"a"), hardlink(b"b", 2)],
        vec![file(b"a"), hardlink(b"b", u32::MAX)],
        vec![
            Owned { device: Some(Device { major: 1, minor: 1 }), ..Owned::new(b"a", Kind::CharDevice) },
            hardlink(b"b", 0),
        ],
    ] {
        assert_refused(archive_of(&rows), "hard link");
    }
}

/// Links that were there before the archive came, and links that it brings itself, lead nowhere.
#[test]
fn links_in_the_destination_are_not_followed() {
    let bytes = archive_of(&[dir(b"there"), file(b"there/secret"), file(b"there/x"), file(b"z")]);
    for force in [false, true] {
        let archive = try_open(bytes.clone()).unwrap();
        let sentinel = Sentinel::new();
        symlink(sentinel.place.path().join("outside"), sentinel.dest().join("there")).unwrap();
        symlink(sentinel.place.path().join("x"), sentinel.dest().join("z")).unwrap();
        let report = Unpacker::new(&archive).force(force).unpack(sentinel.dest()).unwrap();
        sentinel.assert_untouched();
        assert_eq!(report.warnings.is_empty(), force, "{:?}", report.warnings);
        assert_eq!(sentinel.dest().join("there").is_symlink(), !force);
        assert_eq!(report.files, if force { 3 } else { 0 });
    }
}

#[test]
fn extents_outside_their_block_are_refused() {
    let extent = |block, offset, len| Extent { block, offset, len };
    for extent in [
        extent(0, 0, 5001),
        extent(0, 5000, 1),
        extent(0, 4097, 1000),
        // The table of rows without contents, and no frame at all.
        extent(1, 0, 1),
        extent(2, 0, 1),
        extent(u32::MAX - 1, 0, 1),
        extent(0, 60 << 20, 4 << 20),
    ] {
        let row = Owned { size: extent.len.into(), extents: vec![extent], ..file(b"z") };
        let [listed, verified, unpacked] = try_everything(archive_of(&[file(b"a"), row]));
        listed.unwrap();
        assert_eq!(verified.unwrap_err().kind(), ErrorKind::Damaged, "{extent:?}");
        assert_eq!(unpacked.unwrap_err().kind(), ErrorKind::Damaged, "{extent:?}");
    }
}

/// Odd places in a file are no fault: every extent counts for what it gives.
#[test]
fn extents_of_odd_lengths_give_what_the_digest_says_or_nothing() {
    let lens = [1000, 1, 23, 1, 1024, 3000, 1023, 1, 2, 5000, 700];
    let extents: Vec<Extent> = lens.iter().map(|&len| Extent { block: 0, offset: 5000 - len, len }).collect();
    let size: u32 = lens.iter().sum();
    let digest = Some(Digest::of(&vec![b'x'; size as usize]));
    let row = Owned { size: size.into(), extents, digest, ..file(b"z") };
    let lying = Owned { digest: Some(Digest::of(b"")), ..row.clone() };
    let [listed, verified, unpacked] = try_everything(archive_of(&[row]));
    listed.and(verified).and(unpacked).unwrap();
    let [listed, verified, unpacked] = try_everything(archive_of(&[lying]));
    listed.unwrap();
    for result in [verified, unpacked] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::Damaged);
    }
}

/// Overlap is what deduplication is made of, so it is no fault; what comes of it must still have the right digest.
#[test]
fn extents_that_overlap_give_what_the_digest_says_or_nothing() {
    let extents: Vec<Extent> = (0..3000).map(|n| Extent { block: 0, offset: n % 900, len: 4096 }).collect();
    let size = 3000 * 4096;
    let honest = Owned { size, extents, digest: Some(Digest::of(&vec![b'x'; size as usize])), ..file(b"z") };
    let archive = try_open(archive_of(std::slice::from_ref(&honest))).unwrap();
    let dest = tempfile::tempdir().unwrap();
    assert_eq!(Unpacker::new(&archive).unpack(dest.path()).unwrap().files, 1);
    assert_eq!(std::fs::metadata(dest.path().join("z")).unwrap().len(), size);

    let lying = Owned { digest: Some(Digest::of(b"")), ..honest };
    let archive = try_open(archive_of(&[file(b"a"), lying])).unwrap();
    let dest = tempfile::tempdir().unwrap();
    let report = Unpacker::new(&archive).unpack(dest.path()).unwrap();
    assert_eq!((report.files, report.lost), (1, vec![b"z".to_vec()]));
    assert_eq!(names_in(dest.path()), ["a"]);
}

/// A file of nearly 2^63 bytes, all but four of them a hole.
fn huge() -> Archive {
    let len = i64::MAX as u64 / 4096 * 4096;
    let holes = vec![Hole { offset: 4096, len: len - 4096 }];
    let extents = vec![Extent { block: 0, offset: 0, len: 4096 }];
    let row = Owned { size: len, holes, extents, ..file(b"huge") };
    try_open(archive_of(&[file(b"a"), row])).unwrap()
}

#[test]
fn a_file_of_any_size_costs_no_memory_and_can_be_cancelled() {
    no_hang("a huge hole", || {
        let archive = huge();
        assert_eq!(rows(&archive)[1].size, i64::MAX as u64 / 4096 * 4096);
        assert_eq!(archive.read(b"huge").unwrap_err().kind(), ErrorKind::Output);
        assert!(archive.read_range(b"huge", 0..u64::MAX).unwrap_err().to_string().contains("huge"));
        assert_eq!(archive.read_range(b"huge", 4090..4100).unwrap(), b"xxxxxx\0\0\0\0");
        let end = i64::MAX as u64 / 4096 * 4096;
        assert_eq!(archive.read_range(b"huge", end - 3..u64::MAX).unwrap(), [0; 3]);

        // Its digest takes years. Whoever loses patience is heard.
        let cancel = Cancel::new();
        let control = Control { cancel: cancel.clone(), on_progress: None };
        let waiting = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            cancel.cancel();
        });
        let options = VerifyOptions { threads: Some(2), control: control.clone(), ..VerifyOptions::default() };
        assert_eq!(archive.verify(&options).unwrap_err().kind(), ErrorKind::Cancelled);
        waiting.join().unwrap();

        // A writer that wants no more stops the copy.
        struct Full(usize);
        impl std::io::Write for Full {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::BrokenPipe)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        assert_eq!(archive.copy_to(b"huge", &mut Full(1 << 20)).unwrap_err().kind(), ErrorKind::Output);
    });
}

#[test]
fn devices_are_not_created_unless_asked_for() {
    let device = Some(Device { major: 1, minor: 3 });
    let rows = [
        file(b"a"),
        Owned { device, ..Owned::new(b"block", Kind::BlockDevice) },
        Owned { device, ..Owned::new(b"char", Kind::CharDevice) },
        Owned::new(b"pipe", Kind::Fifo),
        Owned::new(b"socket", Kind::Socket),
    ];
    let archive = try_open(archive_of(&rows)).unwrap();
    let dest = tempfile::tempdir().unwrap();
    let report = Unpacker::new(&archive).unpack(dest.path()).unwrap();
    assert_eq!((report.skipped_specials, report.warnings.len(), report.files), (4, 4, 1));
    assert_eq!(names_in(dest.path()), ["a"]);
}
