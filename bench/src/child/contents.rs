//! Two trees compared by the bytes of their regular files alone.
//!
//! In: two folders. Out: what differs, in words. Links, folders, owners and times do not count: not every archiver keeps
//! them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;

use carrack_engine::control::Escaped;
use rayon::prelude::*;

use super::report::{Compared, Complaint, Counted};
use crate::naive::walk;

/// Compares the regular files alone: what an archiver that keeps nothing else must give back.
pub(super) fn compare(a: &Path, b: &Path) -> Compared {
    let files = |tree: &Path| -> BTreeMap<PathBuf, u64> {
        let relative = |(path, len): (PathBuf, u64)| Some((path.strip_prefix(tree).ok()?.to_owned(), len));
        walk(tree, &AtomicU64::new(0)).into_iter().filter_map(relative).collect()
    };
    let (ours, theirs) = (files(a), files(b));
    let difference = |path: &PathBuf, what: &str| Complaint {
        path: Escaped(path.as_os_str().as_bytes()).to_string(),
        what: what.to_owned(),
    };
    let only = |of: &BTreeMap<PathBuf, u64>, other: &BTreeMap<PathBuf, u64>, what: &str| {
        of.keys().filter(|path| !other.contains_key(*path)).map(|path| difference(path, what)).collect::<Vec<_>>()
    };
    let mut differences = only(&ours, &theirs, "only in A");
    differences.extend(only(&theirs, &ours, "only in B"));
    let both: Vec<(&PathBuf, &u64)> = ours.iter().filter(|(path, _)| theirs.contains_key(*path)).collect();
    let differ = |(path, len): &(&PathBuf, &u64)| {
        let equal = theirs.get(*path) == Some(len) && same_bytes(&a.join(path), &b.join(path)).unwrap_or(false);
        (!equal).then(|| difference(path, "other bytes"))
    };
    differences.extend(both.par_iter().filter_map(differ).collect::<Vec<_>>());
    Compared { differences: Counted::of(&differences, Clone::clone) }
}

fn same_bytes(a: &Path, b: &Path) -> io::Result<bool> {
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let n = a.read(&mut left)?;
        if n == 0 {
            return Ok(b.read(&mut right)? == 0);
        }
        b.read_exact(&mut right[..n])?;
        if left[..n] != right[..n] {
            return Ok(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_count_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let (a, b) = (place.path().join("a"), place.path().join("b"));
        for tree in [&a, &b] {
            std::fs::create_dir_all(tree.join("x")).unwrap();
            std::fs::write(tree.join("x/same"), vec![7; 100_000]).unwrap();
        }
        std::os::unix::fs::symlink("x", a.join("link")).unwrap();
        std::fs::create_dir(b.join("empty")).unwrap();
        assert_eq!(compare(&a, &b).differences.count, 0);
        let mut bytes = vec![7; 100_000];
        bytes[99_999] = 8;
        std::fs::write(b.join("x/same"), &bytes).unwrap();
        std::fs::write(a.join("mine"), "1").unwrap();
        std::fs::write(b.join("theirs"), "").unwrap();
        let found: Vec<String> = compare(&a, &b).differences.first.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["mine: only in A", "theirs: only in B", "x/same: other bytes"]);
    }
}
