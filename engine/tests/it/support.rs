//! What several test modules need: packing into memory, checking an archive against the plan of its tree, and a watchdog
//! that turns a hang into a failure.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use carrack_backends::read::ReadBackend;
use carrack_backends::read::choose::{IoChoice, ReadOptions, open_backend};
use carrack_backends::sink::MemorySink;
use carrack_engine::archive::{Archive, BlockInfo};
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Entry, Kind};
use carrack_engine::error::{Error, ErrorKind};
use carrack_engine::index::BlockRow;
use carrack_engine::pack::{PackReport, Packer};
use carrack_engine::unpack::{UnpackReport, Unpacker};
use carrack_engine::verify::{VerifyOptions, VerifyReport};
use carrack_fixtures::compare::{self, CompareOptions};
use carrack_fixtures::content::{Content, Recipe};
use carrack_fixtures::tree::{Builder, Tree, What};

/// Longest time that anything here may take before it counts as a hang. Far beyond what a loaded machine needs.
const HANG: Duration = Duration::from_secs(60);

/// A moment for files whose time does not matter, ns.
pub(crate) const TIME: i64 = 1_700_000_000_123_456_789;

/// A folder that goes away with the test, and a tree in it.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) tree: PathBuf,
    pub(crate) plan: Tree,
}

impl Place {
    pub(crate) fn new(plan: Tree) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        plan.write(&tree).unwrap();
        Self { dir, tree, plan }
    }

    /// A tree of files.
    pub(crate) fn of_files<'a>(files: impl IntoIterator<Item = (&'a str, Content)>) -> Self {
        let mut builder = Builder::new(TIME);
        files.into_iter().for_each(|(path, content)| builder.file(path, content, TIME));
        Self::new(builder.finish())
    }

    /// Packs the tree; nothing is made durable.
    pub(crate) fn packer(&self) -> Packer {
        Packer::new().input(&self.tree).sync(false)
    }

    /// A path beside the tree.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Folders without the right to be changed are no obstacle for root only.
        let _ = carrack_fixtures::corpus::remove_tree(&self.tree);
    }
}

/// Bytes that nothing compresses.
pub(crate) fn noise(seed: u64, len: u64) -> Content {
    Content::stream(Recipe::Noise, seed, len)
}

/// Packs into memory.
pub(crate) fn pack(packer: &Packer) -> (Vec<u8>, PackReport) {
    let (sink, bytes) = MemorySink::new();
    let report = packer.pack_to_sink(Box::new(sink)).unwrap();
    (bytes.finished().expect("a sink is finished after success"), report)
}

/// Packs into memory with a backend of the test's own.
pub(crate) fn pack_with(packer: &Packer, backend: Box<dyn ReadBackend>) -> (Vec<u8>, PackReport) {
    let (sink, bytes) = MemorySink::new();
    let report = packer.pack_with(backend, Vec::new(), Box::new(sink)).unwrap();
    (bytes.finished().expect("a sink is finished after success"), report)
}

/// One of the real backends.
pub(crate) fn backend(choice: IoChoice) -> Box<dyn ReadBackend> {
    open_backend(&ReadOptions { choice, threads: 3, depth: 16, direct: None }).unwrap().0
}

/// The backends that this machine has, one after the other in the order of preference.
pub(crate) fn backends() -> Vec<IoChoice> {
    let all = [IoChoice::Uring, IoChoice::Pool, IoChoice::Pread, IoChoice::Mmap];
    let (here, missing): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|&choice| open_backend(&ReadOptions { choice, ..ReadOptions::default() }).is_ok());
    if !missing.is_empty() {
        eprintln!("not tested, as this machine does not have it: {missing:?}");
    }
    here
}

pub(crate) fn open(bytes: Vec<u8>) -> Archive {
    try_open(bytes).unwrap()
}

pub(crate) fn try_open(bytes: Vec<u8>) -> Result<Archive, Error> {
    Archive::from_source("memory", Arc::new(bytes))
}

pub(crate) fn verify(archive: &Archive) -> VerifyReport {
    archive.verify(&VerifyOptions { threads: Some(2), ..VerifyOptions::default() }).unwrap()
}

/// Verifies, and finds nothing.
pub(crate) fn verify_clean(archive: &Archive) -> VerifyReport {
    let report = verify(archive);
    assert_eq!((&report.damage[..], report.lost.len()), (&[][..], 0));
    assert_eq!(report.entries, archive.len());
    report
}

/// What the archive knows of every frame.
pub(crate) fn blocks(archive: &Archive) -> Vec<BlockInfo> {
    let mut blocks = Vec::new();
    archive
        .blocks(&mut |block| {
            blocks.push(*block);
            Ok(())
        })
        .unwrap();
    blocks
}

/// Where each frame begins and ends, without padding.
pub(crate) fn frames(archive: &Archive) -> Vec<Range<usize>> {
    let mut frames = Vec::new();
    let each = |row: &BlockRow| {
        frames.push(row.offset as usize..(row.offset + row.frame_len) as usize);
        Ok(())
    };
    archive.index().for_each_block(&**archive.source(), each).unwrap();
    frames
}

pub(crate) fn rows(archive: &Archive) -> Vec<Entry> {
    archive.entries().map(Result::unwrap).collect()
}

/// Unpacks everything, special files too, and finds nothing wrong.
pub(crate) fn unpack_clean(archive: &Archive, dest: &Path) -> UnpackReport {
    // Also for whoever is not root: what belongs to oneself can be given to oneself, setuid and all.
    let unpacker = Unpacker::new(archive).specials(true).same_owner(true).same_permissions(true);
    let report = unpacker.threads(2).unpack(dest).unwrap();
    assert_eq!((&report.damage[..], &report.lost[..], &report.warnings[..]), (&[][..], &[][..], &[][..]));
    report
}

/// Both folders are alike in everything, holes included.
pub(crate) fn assert_same_trees(a: &Path, b: &Path) {
    compare::assert_equal(a, b, &CompareOptions { holes: true, owners: true, ..CompareOptions::default() });
}

/// The archive lists exactly what the plan says, digests included.
pub(crate) fn assert_lists(archive: &Archive, plan: &Tree) {
    let entries = rows(archive);
    let paths: Vec<&[u8]> = entries.iter().map(|entry| entry.path.as_slice()).collect();
    let planned: Vec<&[u8]> = plan.nodes().iter().map(|node| node.path.as_slice()).collect();
    assert_eq!(paths, planned);
    for (entry, (node, row)) in entries.iter().zip(plan.nodes().iter().zip(plan.rows())) {
        let name = node.path.escape_ascii();
        let kind = match node.what {
            What::Dir => Kind::Dir,
            What::File(_) => Kind::File,
            What::Symlink(_) => Kind::Symlink,
            What::Hardlink(_) => Kind::Hardlink,
            What::Fifo => Kind::Fifo,
            What::Socket => Kind::Socket,
        };
        assert_eq!((entry.kind, entry.mtime_ns, entry.flags), (kind, row.mtime_ns, 0), "{name}");
        assert!(kind == Kind::Symlink || entry.mode == row.mode, "{name}: {:o}, not {:o}", entry.mode, row.mode);
        match &node.what {
            What::Symlink(target) => assert_eq!(entry.link_target.as_ref(), Some(target), "{name}"),
            What::Hardlink(target) => {
                let first = &entries[entry.hardlink.unwrap() as usize];
                assert_eq!((&first.path, first.size), (target, entry.size), "{name}");
            }
            What::File(content) => {
                let digest = Digest(*blake3::hash(&content.to_vec()).as_bytes());
                assert_eq!((entry.size, entry.digest), (content.len(), Some(digest)), "{name}");
            }
            What::Dir | What::Fifo | What::Socket => assert_eq!(entry.size, 0, "{name}"),
        }
    }
}

/// The archive lists what the plan says, and every file reads as the plan says, as a whole and in ranges around every
/// multiple of the block size.
pub(crate) fn assert_holds(archive: &Archive, plan: &Tree, block_size: u64) {
    assert_lists(archive, plan);
    for (entry, node) in rows(archive).iter().zip(plan.nodes()) {
        match plan.bytes(&node.path) {
            Some(bytes) => assert_reads(archive, entry, &bytes, block_size),
            None => assert_eq!(archive.read(&entry.path).unwrap_err().kind(), ErrorKind::Usage),
        }
    }
}

/// The file has these bytes, however they are asked for.
pub(crate) fn assert_reads(archive: &Archive, entry: &Entry, bytes: &[u8], block_size: u64) {
    let name = entry.path.escape_ascii();
    let size = bytes.len() as u64;
    assert!(archive.read(&entry.path).unwrap() == bytes, "{name} reads as something else");
    let mut ranges = vec![0..0, 0..1, 0..size, size.saturating_sub(1)..size, size..size, size..u64::MAX, 1..u64::MAX];
    ranges.extend((1..=size / block_size).flat_map(|n| {
        let edge = n * block_size;
        [edge - 1..edge, edge..edge + 1, edge - 1..edge + 1, edge - 1..edge + block_size + 1]
    }));
    for range in ranges {
        let inside = range.start.min(size) as usize..range.end.min(size) as usize;
        let read = archive.read_range(&entry.path, range.clone()).unwrap();
        assert!(read == bytes[inside], "{name}: {range:?} reads as something else");
    }
}

/// Runs `work` and fails when it does not come back, with what the threads of this process are waiting in.
pub(crate) fn no_hang<T: Send + 'static>(what: &str, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        let _ = sender.send(work());
    });
    match receiver.recv_timeout(HANG) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: still not done after {HANG:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => match worker.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("a thread that ended well has sent its result"),
        },
    }
}

/// Names of everything in a folder, so that nothing can be left over unseen.
pub(crate) fn names_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
