//! How much the file system of a folder has left.
//!
//! In: a path that need not be there yet. Out: bytes, as the system tells them; nothing where it tells none.

use std::path::Path;

use rustix::fs::statvfs;

/// Bytes of the file system that a folder is on, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What this process may still write; for root, what is kept back for root too.
    pub free: u64,
    /// All of it, what is in use included.
    pub total: u64,
}

/// Asks for the space where `dest` is, or would be: what is there of the folders above it decides. `None` where the
/// system tells nothing, as file systems without a size do. Quotas are not known, and neither is how much smaller a file
/// system would make what is written.
#[must_use]
pub fn space(dest: &Path) -> Option<Space> {
    let dest = std::path::absolute(dest).ok()?;
    let stat = dest.ancestors().find_map(|path| statvfs(path).ok())?;
    let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
    let free = if rustix::process::geteuid().is_root() { stat.f_bfree } else { stat.f_bavail };
    let total = bytes(stat.f_blocks);
    (total > 0).then(|| Space { free: bytes(free), total })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_to_be_has_the_space_of_the_one_above() {
        let here = tempfile::tempdir().unwrap();
        let space_of = |path: &Path| space(path).expect("a file system of some size");
        let there = space_of(here.path());
        assert_eq!(space_of(&here.path().join("not/there/yet")).total, there.total);
        assert!(there.free <= there.total);
        assert_eq!(space(Path::new("/proc")), None, "a file system without a size");
    }
}
