//! The contender without any structure: what a page of code gets from the same cores.
//!
//! Each worker takes the next 1 MiB of small files and pieces of large ones, opens, reads, hashes and compresses them,
//! and writes the result wherever the file ends at that moment. No ring, no backends, no order, no deduplication, no
//! metadata, no index but a list of lines, and nobody notices when a file changes. The engine must not lose to it.
//!
//! In: a folder and settings. Out: a file that holds the blocks and the list, and counts.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use rayon::prelude::*;

/// How it packs.
#[derive(Clone, Copy, Debug)]
pub struct Naive {
    /// Workers.
    pub threads: usize,
    /// Level of zstd.
    pub level: i32,
    /// Uncompressed bytes in a block at most.
    pub block: usize,
    /// Make the output durable.
    pub sync: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NaiveReport {
    /// Regular files that were packed.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of the output.
    pub archive_bytes: u64,
    /// Blocks.
    pub blocks: u64,
    /// What could not be listed or read.
    pub skipped: u64,
}

/// A file, an offset in it, a length: bytes.
type Piece<'a> = (&'a Path, u64, usize);

impl Naive {
    /// Packs the regular files below `tree` into the new file `out`.
    ///
    /// # Errors
    /// When threads cannot be started, zstd refuses the level, or `out` cannot be written.
    pub fn pack(&self, tree: &Path, out: &Path) -> io::Result<NaiveReport> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.threads).build().map_err(io::Error::other)?;
        let skipped = AtomicU64::new(0);
        let files = pool.install(|| walk(tree, &skipped));
        let blocks = self.cut(&files);
        let out = File::create_new(out)?;
        let (next, end, bytes) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0));
        let list = Mutex::new(String::new());
        let work = |_: rayon::BroadcastContext<'_>| -> io::Result<()> {
            let mut zstd = zstd::bulk::Compressor::new(self.level)?;
            let (mut raw, mut stored) = (vec![0; self.block], vec![0; zstd::zstd_safe::compress_bound(self.block)]);
            let mut lines = String::new();
            while let Some(block) = blocks.get(next.fetch_add(1, Relaxed)) {
                let mut len = 0;
                for &(path, offset, piece) in block {
                    let to = &mut raw[len..len + piece];
                    if File::open(path).and_then(|file| file.read_exact_at(to, offset)).is_err() {
                        skipped.fetch_add(1, Relaxed);
                        continue;
                    }
                    let _ = writeln!(lines, "{} {offset} {len} {piece} {}", blake3::hash(to), path.display());
                    len += piece;
                }
                let size = zstd.compress_to_buffer(&raw[..len], &mut stored[..])?;
                let at = end.fetch_add(size as u64, Relaxed);
                out.write_all_at(&stored[..size], at)?;
                bytes.fetch_add(len as u64, Relaxed);
                let _ = writeln!(lines, "block {at} {size}");
            }
            list.lock().expect("no worker panics with it").push_str(&lines);
            Ok(())
        };
        pool.broadcast(work).into_iter().collect::<io::Result<()>>()?;
        let (end, list) = (end.into_inner(), list.into_inner().expect("no worker panicked"));
        out.write_all_at(list.as_bytes(), end)?;
        if self.sync {
            out.sync_all()?;
        }
        Ok(NaiveReport {
            files: files.len() as u64,
            bytes: bytes.into_inner(),
            archive_bytes: end + list.len() as u64,
            blocks: blocks.len() as u64,
            skipped: skipped.into_inner(),
        })
    }

    /// Fills block after block; what does not fit begins the next one.
    fn cut<'a>(&self, files: &'a [(PathBuf, u64)]) -> Vec<Vec<Piece<'a>>> {
        let (mut blocks, mut open, mut room) = (Vec::new(), Vec::new(), self.block);
        for (path, size) in files {
            for offset in (0..*size).step_by(self.block) {
                let len = (size - offset).min(self.block as u64) as usize;
                if len > room {
                    blocks.push(std::mem::take(&mut open));
                    room = self.block;
                }
                open.push((path.as_path(), offset, len));
                room -= len;
            }
        }
        blocks.push(open);
        blocks.retain(|block| !block.is_empty());
        blocks
    }
}

/// Path and size of every regular file below a folder, in order of name within each folder.
#[must_use]
pub fn walk(folder: &Path, skipped: &AtomicU64) -> Vec<(PathBuf, u64)> {
    let Ok(listing) = fs::read_dir(folder) else {
        skipped.fetch_add(1, Relaxed);
        return Vec::new();
    };
    let mut entries: Vec<_> = listing.flatten().collect();
    entries.sort_unstable_by_key(fs::DirEntry::file_name);
    let found = entries.into_par_iter().with_min_len(64).flat_map_iter(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => walk(&entry.path(), skipped),
        Ok(kind) if kind.is_file() => entry.metadata().map(|meta| (entry.path(), meta.len())).into_iter().collect(),
        _ => Vec::new(),
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Reads an output back by its list, as a sceptic would: every piece of every file, by digest.
    fn unpack(archive: &[u8], list_at: usize) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
        let mut pieces: Vec<(String, usize, usize, usize, PathBuf)> = Vec::new();
        for line in std::str::from_utf8(&archive[list_at..]).unwrap().lines() {
            let words: Vec<&str> = line.splitn(5, ' ').collect();
            if words[0] == "block" {
                let (at, size): (usize, usize) = (words[1].parse().unwrap(), words[2].parse().unwrap());
                let raw = zstd::bulk::decompress(&archive[at..at + size], 1 << 20).unwrap();
                for (digest, offset, start, len, path) in pieces.drain(..) {
                    let bytes = &raw[start..start + len];
                    assert_eq!(blake3::hash(bytes).to_string(), digest);
                    let file = files.entry(path).or_default();
                    file.resize(file.len().max(offset + len), 0);
                    file[offset..offset + len].copy_from_slice(bytes);
                }
                continue;
            }
            let number = |at: usize| words[at].parse().unwrap();
            pieces.push((words[0].to_owned(), number(1), number(2), number(3), words[4].into()));
        }
        files
    }

    #[test]
    fn every_byte_of_every_file_is_in_the_output() {
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        let mut rng = carrack_fixtures::rng::Rng::new(7);
        let mut expected = BTreeMap::new();
        for (name, len) in [("one", 1), ("a/exact", 4096), ("a/more", 4097), ("a/b/large", 50_000), ("z", 3000)] {
            let mut bytes = vec![0; len];
            rng.fill(&mut bytes);
            fs::write(tree.join(name), &bytes).unwrap();
            expected.insert(tree.join(name), bytes);
        }
        fs::write(tree.join("empty"), "").unwrap();
        std::os::unix::fs::symlink("one", tree.join("link")).unwrap();
        let out = place.path().join("out");
        let report = Naive { threads: 3, level: 1, block: 4096, sync: false }.pack(&tree, &out).unwrap();
        assert_eq!((report.files, report.bytes, report.skipped), (6, 61_194, 0));
        let archive = fs::read(&out).unwrap();
        assert_eq!(archive.len() as u64, report.archive_bytes);
        let list = archive.windows(6).filter(|w| w == b"block ").count();
        assert_eq!(list as u64, report.blocks);
        let stored: usize = archive.len() - list_len(&archive);
        assert_eq!(unpack(&archive, stored), expected);
    }

    /// Bytes of the list at the end: its blocks say how long what stands before it is.
    fn list_len(archive: &[u8]) -> usize {
        let text = String::from_utf8_lossy(archive);
        let sizes = text.lines().filter_map(|line| line.rsplit_once("block ").map(|(_, rest)| rest.to_owned()));
        let stored: usize = sizes.map(|rest| rest.split_once(' ').unwrap().1.parse::<usize>().unwrap()).sum();
        archive.len() - stored
    }

    #[test]
    fn what_is_missing_is_counted() {
        let skipped = AtomicU64::new(0);
        assert!(walk(Path::new("/nonexistent/folder"), &skipped).is_empty());
        assert_eq!(skipped.into_inner(), 1);
    }
}
