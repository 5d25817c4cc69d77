//! The trees that are packed, and what one more file or block of them costs.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use carrack_backends::read::choose::{IoChoice, ReadOptions, open_backend};
use carrack_engine::pack::Packer;

use crate::counter::allocations;

/// Files in the smaller tree; the larger one has twice as many, in as many folders.
pub(crate) const FILES: usize = 8000;
/// Folders in both trees.
pub(crate) const FOLDERS: usize = 20;
/// Blocks of the smaller large file; the larger one has twice as many.
pub(crate) const BLOCKS: usize = 300;
/// Bytes in a block where blocks are counted: small, so that there are many.
pub(crate) const BLOCK: usize = 16 << 10;
/// Bytes in a block where files are counted: large, so that blocks do not count.
pub(crate) const FILES_BLOCK: usize = 1 << 20;

/// Allocations that one more file may cost: tables that double, the few blocks that the files fill, and a worker woken now
/// and then (some 0.017 to 0.024 in all, more the busier the machine). One allocation a file would show 25 times over.
pub(crate) const A_FILE: f64 = 0.04;

/// A folder that goes away with the test. There is one at a time, since whatever another test did meanwhile, even to make
/// its trees, would be counted here.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

impl Place {
    pub(crate) fn new() -> Self {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        Self { dir: tempfile::tempdir().unwrap(), _alone: alone }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A tree of so many small files, all different.
    pub(crate) fn small_files(&self, files: usize) -> PathBuf {
        let tree = self.path(&format!("files-{files}"));
        for folder in 0..FOLDERS {
            fs::create_dir_all(tree.join(format!("folder-{folder:02}"))).unwrap();
        }
        for file in 0..files {
            let path = tree.join(format!("folder-{:02}/file-{file:05}.txt", file % FOLDERS));
            fs::write(path, format!("{file} ").repeat(30 + file % 40)).unwrap();
        }
        tree
    }

    /// A tree of one file of so many blocks, all different.
    pub(crate) fn large_file(&self, blocks: usize) -> PathBuf {
        let tree = self.path(&format!("blocks-{blocks}"));
        fs::create_dir_all(&tree).unwrap();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        // Numbers of few digits: it takes a codec its time to make them shorter.
        let numbers = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            format!("{} ", state % 5000).into_bytes()
        });
        fs::write(tree.join("large"), numbers.flatten().take(blocks * BLOCK).collect::<Vec<_>>()).unwrap();
        tree
    }
}

/// Packs with such blocks, and slots of eight of them.
pub(crate) fn packer(tree: &Path, block: usize) -> Packer {
    let packer = Packer::new().input(tree).block_size(block as u32).slot_size(8 * block as u32);
    packer.slots(8).threads(2).sync(false)
}

/// The backends that this machine has.
pub(crate) fn backends() -> Vec<IoChoice> {
    let all = [IoChoice::Uring, IoChoice::Pool, IoChoice::Pread, IoChoice::Mmap];
    let (here, missing): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|&choice| open_backend(&ReadOptions { choice, ..ReadOptions::default() }).is_ok());
    if !missing.is_empty() {
        eprintln!("not counted, as this machine does not have it: {missing:?}");
    }
    here
}

/// How often memory is asked for by one more unit: `run` does the work on the tree of so many units. Printed too, as
/// `what`: to be seen with `--nocapture`.
pub(crate) fn each(what: &str, units: usize, mut run: impl FnMut(usize)) -> f64 {
    // What is made once a process is made now.
    run(units);
    let (few, ()) = allocations(|| run(units));
    let (many, ()) = allocations(|| run(2 * units));
    let cost = (many as f64 - few as f64) / units as f64;
    eprintln!("{what}: {cost:.3} allocations");
    cost
}
