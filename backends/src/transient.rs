//! Names that must not outlive the process: hidden ones of half-written archives, and files that are being unpacked.
//!
//! Whoever makes such a name removes it, or makes it one that stays; that is the orderly end. A process that has to end
//! at once, in the middle of a long computation or of a call that waits, cannot wait for that: [`sweep`] removes what is
//! known here.
//!
//! What flows in: open folders and names in them. What flows out: nothing, but for [`sweep`]. What it does not know: what
//! is under the names.
//!
//! **Invariant.** A name is made and entered in one step, and is taken out together with the call that removes it or makes
//! it stay: both happen under the lock that the sweep takes and never gives back. So no finished file is removed, and
//! nothing is made behind the sweep: whoever tries waits for the end of the process. The lock is one of several, chosen by
//! thread, so that threads don't wait for one another.

use std::cell::Cell;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use rustix::fs::{AtFlags, unlinkat};

/// An open folder.
pub(crate) type Place = Arc<dyn AsFd + Send + Sync>;

/// How many locks there are. More threads than these share some.
const SHARDS: usize = 16;

/// How long the sweep sleeps between two looks at a lock that is taken.
const PAUSE: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Entry {
    /// `None` where there is no name at present.
    folder: Option<Place>,
    /// Its memory is kept for the next name: entering one allocates nothing.
    name: Vec<u8>,
}

/// Entries by number; numbers that are free are used again.
#[derive(Default)]
struct Shard {
    entries: Vec<Entry>,
    free: Vec<usize>,
}

impl Shard {
    fn put(&mut self, folder: &Place, name: &[u8]) -> usize {
        let number = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            self.entries.len() - 1
        });
        let entry = &mut self.entries[number];
        entry.folder = Some(Arc::clone(folder));
        entry.name.clear();
        entry.name.extend_from_slice(name);
        number
    }

    fn take(&mut self, number: usize) {
        self.entries[number].folder = None;
        self.free.push(number);
    }
}

struct Registry {
    shards: [CachePadded<Mutex<Shard>>; SHARDS],
    /// A sweep has begun: nobody else takes a lock any more, or a thread that makes one file after the other would hardly ever
    /// leave it the time to.
    ending: AtomicBool,
}

static REGISTRY: Registry = Registry::new();

impl Registry {
    const fn new() -> Self {
        let shards = [const { CachePadded::new(Mutex::new(Shard { entries: Vec::new(), free: Vec::new() })) }; SHARDS];
        Self { shards, ending: AtomicBool::new(false) }
    }

    /// Waits for the end of the process where that has begun.
    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard> {
        while self.ending.load(Ordering::Relaxed) {
            std::thread::park();
        }
        // Nothing that is done to the entries under the lock can panic halfway.
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_until(&self, shard: usize, deadline: Instant) -> Option<MutexGuard<'_, Shard>> {
        loop {
            match self.shards[shard].try_lock() {
                Ok(guard) => return Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => return Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return None,
                Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            }
        }
    }

    fn make<T, N: AsRef<[u8]>, E>(
        &'static self,
        folder: &Place,
        make: impl FnOnce() -> Result<(T, N), E>,
    ) -> Result<(T, Transient), E> {
        let shard = own_shard();
        let mut guard = self.lock(shard);
        let (made, name) = make()?;
        let number = guard.put(folder, name.as_ref());
        Ok((made, Transient { registry: self, shard, number: Some(number) }))
    }

    fn sweep(&self, patience: Duration) -> usize {
        self.ending.store(true, Ordering::Relaxed);
        let deadline = Instant::now().checked_add(patience).unwrap_or_else(Instant::now);
        let mut removed = 0;
        for shard in 0..SHARDS {
            let Some(mut guard) = self.lock_until(shard, deadline) else { continue };
            for Entry { folder, name } in &mut guard.entries {
                let gone = folder.take().is_some_and(|folder| unlinkat(&folder, &name[..], AtFlags::empty()).is_ok());
                removed += usize::from(gone);
            }
            // Never unlocked again.
            std::mem::forget(guard);
        }
        removed
    }
}

/// The calling thread's shard: threads are numbered as they come.
fn own_shard() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: Cell<usize> = Cell::new(THREADS.fetch_add(1, Ordering::Relaxed)));
    NUMBER.get() % SHARDS
}

/// A name that [`sweep`] would remove. Dropping this leaves the name alone and forgets it.
pub(crate) struct Transient {
    registry: &'static Registry,
    shard: usize,
    /// `None` once the name is gone or stays.
    number: Option<usize>,
}

impl std::fmt::Debug for Transient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transient").field("shard", &self.shard).field("number", &self.number).finish_non_exhaustive()
    }
}

impl Transient {
    /// Calls `work`, which removes the name or makes it one that stays. When it succeeds the name is forgotten; when not,
    /// it may be tried again.
    pub(crate) fn end<T, E>(&mut self, work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut guard = self.registry.lock(self.shard);
        let done = work()?;
        if let Some(number) = self.number.take() {
            guard.take(number);
        }
        Ok(done)
    }
}

impl Drop for Transient {
    fn drop(&mut self) {
        if let Some(number) = self.number.take() {
            self.registry.lock(self.shard).take(number);
        }
    }
}

/// Calls `make`, which makes something in `folder` and says under which name. Not to be called from within `make` again.
pub(crate) fn make<T, N: AsRef<[u8]>, E>(
    folder: &Place,
    make: impl FnOnce() -> Result<(T, N), E>,
) -> Result<(T, Transient), E> {
    REGISTRY.make(folder, make)
}

/// Calls `work`, which gives something whole its final name, unless the process is about to end: then it waits for that.
pub(crate) fn unless_ending<T>(work: impl FnOnce() -> T) -> T {
    let _guard = REGISTRY.lock(own_shard());
    work()
}

/// Removes every name that is not to outlive this process, and says how many there were. From then on sinks and trees make,
/// rename and remove nothing: threads that try wait for ever. So this is for the moment before the process ends, from a
/// thread that does neither.
///
/// A call to the file system that does not come back holds up the names of its thread: those are left alone after
/// `patience` in all.
pub fn sweep(patience: Duration) -> usize {
    REGISTRY.sweep(patience)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn place(path: &Path) -> Place {
        Arc::new(std::fs::File::open(path).unwrap())
    }

    fn touch(dir: &Path, name: &str) -> io::Result<((), Vec<u8>)> {
        std::fs::write(dir.join(name), "").map(|()| ((), name.into()))
    }

    /// Behind a sweep nothing is forgotten any more: whoever drops a name waits for the end of the process.
    fn keep<const N: usize>(names: [Transient; N]) {
        std::mem::forget(names);
    }

    #[test]
    fn what_is_half_done_goes_and_what_is_done_stays() {
        static OWN: Registry = Registry::new();
        let dir = tempfile::tempdir().unwrap();
        let (registry, folder) = (&OWN, place(dir.path()));
        let make = |name| registry.make(&folder, || touch(dir.path(), name)).unwrap().1;
        let (a, mut b, mut c, d) = (make("a"), make("b"), make("c"), make("d"));
        b.end(|| std::fs::rename(dir.path().join("b"), dir.path().join("kept"))).unwrap();
        c.end(|| Err::<(), _>("no")).unwrap_err();
        drop(d);
        let e = make("e");
        assert!(registry.make(&folder, || Err::<((), Vec<u8>), _>("no")).is_err());
        keep([a, c, e]);
        assert_eq!(registry.sweep(PATIENCE), 3, "a, c, e");
        let names = ["kept", "d"].map(|name| dir.path().join(name).exists());
        assert_eq!((names, std::fs::read_dir(dir.path()).unwrap().count()), ([true; 2], 2));
    }

    #[test]
    fn behind_the_sweep_nothing_is_made_or_finished() {
        static OWN: Registry = Registry::new();
        let dir = tempfile::tempdir().unwrap();
        let (registry, folder) = (&OWN, place(dir.path()));
        let path = dir.path().to_owned();
        let mut old = registry.make(&folder, || touch(&path, "old")).unwrap().1;
        assert_eq!(registry.sweep(PATIENCE), 1);
        // These threads never end; the process of the test does.
        std::thread::spawn({
            let path = path.clone();
            move || registry.make(&folder, || touch(&path, "new")).map(drop)
        });
        std::thread::spawn({
            let path = path.clone();
            move || old.end(|| std::fs::write(path.join("finished"), ""))
        });
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_call_that_does_not_come_back_holds_up_its_own_thread_alone() {
        static OWN: Registry = Registry::new();
        let dir = tempfile::tempdir().unwrap();
        let (registry, folder) = (&OWN, place(dir.path()));
        keep([registry.make(&folder, || touch(dir.path(), "mine")).unwrap().1]);
        let (sender, receiver) = std::sync::mpsc::channel();
        let other = (own_shard() + 1) % SHARDS;
        std::thread::spawn(move || {
            let _lock = registry.lock(other);
            sender.send(()).unwrap();
            loop {
                std::thread::park();
            }
        });
        receiver.recv().unwrap();
        assert_eq!(registry.sweep(Duration::from_millis(20)), 1);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
