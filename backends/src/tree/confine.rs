//! The second wall around the destination: the kernel itself lets a thread make, change and remove names nowhere else.
//!
//! In: an open folder. Out: whether the calling thread, and those that it starts from now on, are confined to it. Reading is
//! not restricted, and neither is metadata of what is open, which Landlock does not know: that is the first wall's matter
//! (see `dir`).

use std::os::fd::BorrowedFd;

/// Whether the kernel holds the thread to the destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confined {
    /// It does, for as long as the thread lives.
    Yes,
    /// It does not, and why.
    No(String),
}

#[cfg(target_os = "linux")]
pub(super) fn confine(folder: BorrowedFd<'_>) -> Confined {
    match by_landlock(folder) {
        Ok(landlock::RulesetStatus::NotEnforced) => Confined::No("this kernel has no Landlock".to_owned()),
        Ok(_) => Confined::Yes,
        Err(error) => Confined::No(error.to_string()),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn confine(_: BorrowedFd<'_>) -> Confined {
    Confined::No("Landlock is there on Linux only".to_owned())
}

#[cfg(target_os = "linux")]
fn by_landlock(folder: BorrowedFd<'_>) -> Result<landlock::RulesetStatus, landlock::RulesetError> {
    use landlock::{ABI, AccessFs, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr, RulesetCreatedAttr};
    // The first version forbids hard links and renames from folder to folder altogether: it is no use here.
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_write(ABI::V2))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::Truncate)?
        .create()?
        .add_rule(PathBeneath::new(folder, AccessFs::from_write(ABI::V3)))?;
    Ok(ruleset.restrict_self()?.ruleset)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_confined_thread_writes_nowhere_else_and_reads_everywhere() {
        let place = tempfile::tempdir().unwrap();
        let (inside, outside) = (place.path().join("in"), place.path().join("out"));
        fs::create_dir_all(inside.join("a")).unwrap();
        fs::create_dir_all(inside.join("b")).unwrap();
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("old"), "old").unwrap();
        let folder = fs::File::open(&inside).unwrap();
        let work = || {
            if let Confined::No(why) = confine(folder.as_fd()) {
                eprintln!("not tested: {why}");
                return;
            }
            let refused =
                |result: std::io::Result<()>| assert_eq!(result.unwrap_err().kind(), ErrorKind::PermissionDenied);
            // The threads that come after are confined too.
            std::thread::scope(|scope| scope.spawn(|| refused(fs::write(outside.join("new"), "new"))).join()).unwrap();
            refused(fs::write(outside.join("old"), "new"));
            refused(fs::create_dir(outside.join("dir")));
            refused(fs::remove_file(outside.join("old")));
            refused(std::os::unix::fs::symlink("x", outside.join("link")));
            assert_eq!(fs::read(outside.join("old")).unwrap(), b"old");
            fs::write(inside.join("a/new"), "new").unwrap();
            fs::hard_link(inside.join("a/new"), inside.join("b/same")).unwrap();
            fs::rename(inside.join("a/new"), inside.join("b/new")).unwrap();
            fs::remove_file(inside.join("b/same")).unwrap();
        };
        std::thread::scope(|scope| scope.spawn(work).join()).unwrap();
        // Nobody else is.
        fs::write(outside.join("new"), "new").unwrap();
    }
}
