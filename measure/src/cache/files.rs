//! The files that are going to be read.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Regular files, with their lengths.
#[derive(Clone, Debug, Default)]
pub struct Files {
    files: Vec<(PathBuf, u64)>,
    bytes: u64,
    occupied_bytes: u64,
}

/// How many files are asked about when there are more.
const SAMPLE: usize = 4096;
/// Files of this length are always asked about, bytes.
const LARGE: u64 = 64 << 20;
/// Unit of `st_blocks`, bytes.
const BLOCK: u64 = 512;

impl Files {
    /// The regular files at and below these paths, in order of name within each folder. What cannot be listed is left
    /// out: whoever reads it next will say so.
    #[must_use]
    pub fn below<P: AsRef<Path>>(paths: &[P]) -> Self {
        let mut found = Self::default();
        let mut left: Vec<PathBuf> = paths.iter().rev().map(|path| path.as_ref().to_owned()).collect();
        while let Some(path) = left.pop() {
            let Ok(meta) = fs::symlink_metadata(&path) else { continue };
            if meta.is_file() {
                found.bytes += meta.len();
                found.occupied_bytes += meta.len().min(meta.blocks() * BLOCK);
                found.files.push((path, meta.len()));
            } else if meta.is_dir() {
                let mut names: Vec<PathBuf> =
                    fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
                names.sort_unstable_by(|a, b| b.cmp(a));
                left.append(&mut names);
            }
        }
        found
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.files.len() as u64
    }

    /// Bytes of all of them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that they occupy on the disk.
    #[must_use]
    pub fn occupied_bytes(&self) -> u64 {
        self.occupied_bytes
    }

    /// Reads them all, with a thread a core, so that they are in memory.
    pub(super) fn warm(&self) {
        self.each(|path, buffer| {
            let Ok(mut file) = File::open(path) else { return };
            while file.read(buffer).is_ok_and(|n| n > 0) {}
        });
    }

    /// Does something to each file, with a thread a core and a buffer a thread.
    pub(super) fn each(&self, act: impl Fn(&Path, &mut [u8]) + Sync) {
        let next = AtomicUsize::new(0);
        let work = || {
            let mut buffer = vec![0; 1 << 18];
            while let Some((path, _)) = self.files.get(next.fetch_add(1, Relaxed)) {
                act(path, &mut buffer);
            }
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 1..threads {
                // A thread that the system refuses is done without.
                let _ = std::thread::Builder::new().spawn_scoped(scope, work);
            }
            work();
        });
    }

    /// All files, or an even sample of some thousand and all large ones.
    pub(super) fn sample(&self) -> impl Iterator<Item = (&Path, u64)> {
        let step = self.files.len().div_ceil(SAMPLE).max(1);
        let chosen = move |(at, (_, len)): &(usize, &(PathBuf, u64))| at.is_multiple_of(step) || *len >= LARGE;
        self.files.iter().enumerate().filter(chosen).map(|(_, (path, len))| (path.as_path(), *len))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_at_and_below_paths_and_links_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("a/b")).unwrap();
        for (name, len) in [("a/one", 3), ("a/b/two", 5000), ("three", 7)] {
            fs::write(place.path().join(name), vec![1; len]).unwrap();
        }
        std::os::unix::fs::symlink("..", place.path().join("a/up")).unwrap();
        let files = Files::below(&[place.path().join("three"), place.path().join("a"), place.path().join("none")]);
        let names: Vec<_> = files.sample().map(|(path, _)| path.strip_prefix(place.path()).unwrap()).collect();
        assert_eq!(names, ["three", "a/b/two", "a/one"].map(Path::new));
        assert_eq!((files.count(), files.bytes()), (3, 5010));
    }

    #[test]
    fn of_very_many_files_some_thousand_are_asked_about_and_all_large_ones() {
        let file = |at: usize| (PathBuf::from(at.to_string()), if at == 12_345 { LARGE } else { 1 });
        let files = Files { files: (0..100_001).map(file).collect(), ..Files::default() };
        let sample: Vec<_> = files.sample().collect();
        assert!((4000..=4097).contains(&sample.len()), "{}", sample.len());
        assert!(sample.iter().any(|(path, _)| *path == Path::new("12345")));
    }

    #[test]
    fn each_file_is_done_once() {
        let file = |at: usize| (PathBuf::from(at.to_string()), 0);
        let files = Files { files: (0..1000).map(file).collect(), ..Files::default() };
        let seen = std::sync::Mutex::new(Vec::new());
        files.each(|path, _| seen.lock().unwrap().push(path.to_owned()));
        let mut seen = seen.into_inner().unwrap();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
    }
}
