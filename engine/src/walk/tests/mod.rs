//! Walks of real trees.

mod changes;
mod deep;
mod inputs;
mod kinds;
mod order;

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::*;
use crate::entry::Kind;
use carrack_backends::path::PathId;

/// A folder to plant a tree in: in memory where there is such a place, since some trees here are large.
fn new_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn never() -> bool {
    false
}

fn threads(count: usize) -> WalkOptions {
    WalkOptions { threads: NonZeroUsize::new(count), ..WalkOptions::default() }
}

/// Walks paths relative to `base`.
fn walk_in(base: &Path, inputs: &[&str], options: &WalkOptions) -> Result<Walked, WalkError> {
    let inputs: Vec<Input> = inputs.iter().map(|path| Input { path: path.into() }).collect();
    walk(&inputs, &WalkOptions { base: Some(base.into()), ..options.clone() }, &|_| {}, &never)
}

/// Walks one folder, with nothing going wrong.
fn walk_one(folder: &Path, options: &WalkOptions) -> Walked {
    let walked = walk(&[Input { path: folder.into() }], options, &|_| {}, &never).unwrap();
    assert!(walked.problems.is_empty(), "{:?}", walked.problems);
    walked
}

fn path(walked: &Walked, row: usize) -> &[u8] {
    walked.entries.paths.path(PathId(row as u32))
}

/// All paths, lossy.
fn paths(walked: &Walked) -> Vec<String> {
    (0..walked.entries.len()).map(|row| String::from_utf8_lossy(path(walked, row)).into_owned()).collect()
}

/// The row of a path.
fn row(walked: &Walked, wanted: &str) -> u32 {
    let found = (0..walked.entries.len()).find(|&row| path(walked, row) == wanted.as_bytes());
    found.unwrap_or_else(|| panic!("no row {wanted} in {:?}", paths(walked))) as u32
}

fn kind(walked: &Walked, path: &str) -> Kind {
    walked.entries.kinds[row(walked, path) as usize]
}

/// Makes files (with their own path as content) and, where a path ends with a slash, folders.
fn plant(base: &Path, paths: &[&str]) {
    for path in paths {
        let full = base.join(path);
        if path.ends_with('/') {
            fs::create_dir_all(full).unwrap();
        } else {
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            fs::write(&full, full.as_os_str().as_bytes()).unwrap();
        }
    }
}

/// All columns, as text to compare.
fn everything(walked: &Walked) -> Vec<String> {
    let entries = &walked.entries;
    (0..entries.len())
        .map(|row| {
            let number = row as u32;
            format!(
                "{:?} {:?} {:o} {} {} {:?} {:?} {:?} {:?} {:?}",
                path(walked, row),
                entries.kinds[row],
                entries.modes.get(row),
                entries.uids.get(row),
                entries.gids.get(row),
                entries.witnesses.get(row),
                entries.link_targets.get(number),
                entries.hardlinks.get(number),
                entries.devices.get(number),
                entries.holes.get(number),
            )
        })
        .collect()
}
