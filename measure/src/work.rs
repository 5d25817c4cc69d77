//! The folder where archives and trees come and go while something is measured.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use carrack_fixtures::corpus::remove_tree;

use crate::error::{Context, Failure, Result};

/// A folder of our own, removed with all that is in it when dropped.
#[derive(Debug)]
pub struct Work {
    path: PathBuf,
    /// The signal that asked for an end; 0 for none.
    stop: Arc<AtomicUsize>,
}

impl Work {
    /// Makes the folder inside `beside`, which is made too if it is missing. From now on SIGINT and SIGTERM do not end
    /// this process: [`check`](Self::check) notices them, so that nothing stays behind.
    ///
    /// # Errors
    /// When it cannot be made, or signals cannot be handled.
    pub fn new(beside: &Path) -> Result<Self> {
        std::fs::create_dir_all(beside).at("make the folder", beside)?;
        let folder = tempfile::Builder::new().prefix(".bench-").tempdir_in(beside);
        let path = folder.at("make a folder in", beside)?.keep();
        let work = Self { path, stop: Arc::default() };
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            let number = usize::try_from(signal).doing("handle signals")?;
            signal_hook::flag::register_usize(signal, Arc::clone(&work.stop), number).doing("handle signals")?;
        }
        Ok(work)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Waits until all that was written to this file system, removals too, is on the disk, so that what is measured next
    /// is not measured together with it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn settle(&self) -> Result<()> {
        sync_filesystem(&self.path).at("sync the file system of", &self.path)
    }

    /// Fails once somebody wants an end.
    ///
    /// # Errors
    /// After SIGINT or SIGTERM.
    pub fn check(&self) -> Result<()> {
        match i32::try_from(self.stop.load(Ordering::Relaxed)).unwrap_or(0) {
            0 => Ok(()),
            signal => Err(Failure::stopped(signal)),
        }
    }

    /// Bytes that are free for this user on the file system of the folder.
    ///
    /// # Errors
    /// What the file system says.
    pub fn free(&self) -> Result<u64> {
        let stat = rustix::fs::statvfs(&self.path).at("ask how much room there is in", &self.path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Makes everything on the file system that holds `path` durable (elsewhere than on Linux: on all file systems).
///
/// # Errors
/// What the file system says.
#[cfg(target_os = "linux")]
pub fn sync_filesystem(path: &Path) -> std::io::Result<()> {
    Ok(rustix::fs::syncfs(std::fs::File::open(path)?)?)
}

/// Makes everything on the file system that holds `path` durable (elsewhere than on Linux: on all file systems).
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn sync_filesystem(_: &Path) -> std::io::Result<()> {
    rustix::fs::sync();
    Ok(())
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            eprintln!("carrack-bench: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_leaves_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let beside = place.path().join("results");
        let work = Work::new(&beside).unwrap();
        std::fs::create_dir(work.join("tree")).unwrap();
        std::fs::write(work.join("tree/file"), "x").unwrap();
        assert!(work.check().is_ok());
        drop(work);
        assert_eq!(std::fs::read_dir(&beside).unwrap().count(), 0);
    }
}
