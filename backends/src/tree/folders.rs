//! The descriptors of folders that are being written to.
//!
//! What flows in: paths of folders. What flows out: open folders. What it does not know: what is made in them.
//!
//! Opening a folder costs more than a small file's `write`, and neighbours in an archive mostly share one. So each
//! thread keeps the last few that it used. Threads don't share: there is no lock that two of them want (but when there
//! are more threads than shards), and the price, one folder open several times, is bounded.
//!
//! **Safety.** A descriptor stands for the folder itself, not for its path. The folder was reached from the root
//! without following a link. When somebody renames it afterwards, even to a place outside, or puts a link under its
//! old path, what is written still goes to that same folder that was ours to write to; a path, looked up again, would
//! lead wherever the link says.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crossbeam_utils::CachePadded;
use rustix::fs::OFlags;
use rustix::io::{Errno, Result};

use super::beneath::{Opener, PLACE, READABLE};

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    /// New files get exactly this process's user, its group, and the mode asked for less the umask: the folder neither
    /// hands down its group nor a default ACL. Found out with the first file.
    pub(super) plain: OnceLock<bool>,
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Folder {
    pub(super) fn new(fd: OwnedFd) -> Self {
        Self { fd, plain: OnceLock::new() }
    }
}

#[derive(Debug)]
struct Kept {
    path: Vec<u8>,
    folder: Arc<Folder>,
    /// Value of the shard's clock when it was last asked for.
    used: u64,
}

#[derive(Debug, Default)]
struct Shard {
    kept: Vec<Kept>,
    clock: u64,
}

impl Shard {
    fn get(&mut self, path: &[u8]) -> Option<Arc<Folder>> {
        self.clock += 1;
        let kept = self.kept.iter_mut().find(|kept| kept.path == path)?;
        kept.used = self.clock;
        Some(Arc::clone(&kept.folder))
    }

    /// Keeps a folder, in place of the one that nobody asked for the longest when all places are taken.
    fn put(&mut self, path: &[u8], folder: Arc<Folder>, places: usize) {
        self.clock += 1;
        let used = self.clock;
        if self.kept.len() < places {
            self.kept.push(Kept { path: path.to_vec(), folder, used });
        } else if let Some(oldest) = self.kept.iter_mut().min_by_key(|kept| kept.used) {
            oldest.path.clear();
            oldest.path.extend_from_slice(path);
            (oldest.folder, oldest.used) = (folder, used);
        }
    }
}

/// The root, and the folders last used beneath it.
#[derive(Debug)]
pub(super) struct Folders {
    root: Arc<Folder>,
    opener: Opener,
    shards: Box<[CachePadded<Mutex<Shard>>]>,
    places: usize,
}

impl Folders {
    /// Nothing kept yet.
    pub(super) fn new(root: OwnedFd, opener: Opener) -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (shards, places) = shares(limit.unwrap_or(u64::MAX), threads);
        Self {
            root: Arc::new(Folder::new(root)),
            opener,
            shards: (0..shards).map(|_| CachePadded::default()).collect(),
            places,
        }
    }

    pub(super) fn root(&self) -> &Arc<Folder> {
        &self.root
    }

    /// The folder `path` (checked; empty: the root) as a place to make things in.
    pub(super) fn get(&self, path: &[u8]) -> Result<Arc<Folder>> {
        if path.is_empty() {
            return Ok(Arc::clone(&self.root));
        }
        if let Some(folder) = self.shard().get(path) {
            return Ok(folder);
        }
        // What is open for reading can be asked about its files' defaults directly; a mere place only by way of /proc.
        let fd = match self.open(path, READABLE) {
            Err(Errno::ACCESS) => self.open(path, PLACE)?,
            result => result?,
        };
        let folder = Arc::new(Folder::new(fd));
        self.shard().put(path, Arc::clone(&folder), self.places);
        Ok(folder)
    }

    /// Opens the folder `path` (checked, not empty), and does not keep it.
    pub(super) fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd> {
        self.sparing(|| self.opener.open(self.root.as_fd(), path, flags))
    }

    /// Calls `open`; when descriptors have run out, closes what is kept here and calls it once more.
    pub(super) fn sparing<T>(&self, mut open: impl FnMut() -> Result<T>) -> Result<T> {
        match open() {
            Err(Errno::MFILE | Errno::NFILE) => {
                for shard in &self.shards {
                    lock(shard).kept.clear();
                }
                open()
            }
            result => result,
        }
    }

    /// This thread's shard: threads are numbered as they come.
    fn shard(&self) -> MutexGuard<'_, Shard> {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static NUMBER: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed)));
        lock(&self.shards[NUMBER.get() % self.shards.len()])
    }
}

/// How many shards, and how many descriptors each may keep: an eighth of what this process may have, 256 at most.
fn shares(limit: u64, threads: usize) -> (usize, usize) {
    let budget = usize::try_from((limit / 8).clamp(4, 256)).unwrap_or(256);
    let shards = threads.next_power_of_two().min(16).min(budget / 2);
    (shards, (budget / shards).min(16))
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // Nothing under the lock can panic halfway through a change.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> Arc<Folder> {
        let fd = rustix::fs::open("/", PLACE, rustix::fs::Mode::empty()).unwrap();
        Arc::new(Folder::new(fd))
    }

    #[test]
    fn what_is_kept_leaves_descriptors_for_others() {
        for limit in [0, 16, 64, 100, 1024, 4096, u64::MAX] {
            for threads in [1, 2, 3, 8, 64, 1000] {
                let (shards, places) = shares(limit, threads);
                assert!(shards >= 1 && places >= 2, "room for two folders a thread");
                assert!((shards * places) as u64 <= (limit / 8).clamp(4, 256), "{limit} and {threads}");
            }
        }
    }

    #[test]
    fn a_shard_keeps_what_was_used_last() {
        let mut shard = Shard::default();
        let [a, b, c] = [folder(), folder(), folder()];
        shard.put(b"a", Arc::clone(&a), 2);
        shard.put(b"b", Arc::clone(&b), 2);
        assert!(Arc::ptr_eq(&shard.get(b"a").unwrap(), &a));
        shard.put(b"c", Arc::clone(&c), 2);
        assert!(shard.get(b"b").is_none());
        assert!(Arc::ptr_eq(&shard.get(b"a").unwrap(), &a));
        assert!(Arc::ptr_eq(&shard.get(b"c").unwrap(), &c));
        assert_eq!(Arc::strong_count(&b), 1, "what is not kept is closed");
    }
}
