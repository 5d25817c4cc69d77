//! What every tree promises, and what the tree on disk promises about everything around it.

mod contract;
mod limits;
mod metadata;
mod replace;
mod safety;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tempfile::TempDir;

use super::beneath::Opener;
use super::*;

const KEEP: DirTreeOptions = DirTreeOptions { force: false, create: false };
const FORCE: DirTreeOptions = DirTreeOptions { force: true, create: false };

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A tree as the kernel at hand allows, and one as on a kernel without `openat2`.
fn both(dest: &Path, options: DirTreeOptions) -> [DirTree; 2] {
    [DirTree::open(dest, options).unwrap(), DirTree::open_with(dest, options, Opener::stepwise()).unwrap()]
}

fn mode(mode: u32) -> Attributes<'static> {
    Attributes { mode, ..Attributes::default() }
}

fn mode_of(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Names of everything in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}
