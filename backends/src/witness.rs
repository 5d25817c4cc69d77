//! What `stat` said of a file at one moment. Two witnesses that differ prove that the file changed in between.

use std::ffi::CStr;
use std::io;
use std::os::fd::BorrowedFd;

/// A point in time as file systems keep it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Whole seconds since 1970-01-01 UTC, negative before it.
    pub sec: i64,
    /// Nanoseconds within that second, 0..1_000_000_000.
    pub nsec: u32,
}

/// Identity, size and times of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Witness {
    /// Device number of the file system.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Size in bytes.
    pub size: u64,
    /// Last change of the contents.
    pub mtime: Time,
    /// Last change of the contents or of the metadata; nobody can set it at will.
    pub ctime: Time,
}

impl Witness {
    /// Asks about an open file.
    ///
    /// # Errors
    /// What `fstat` says.
    pub fn of_fd(fd: BorrowedFd<'_>) -> io::Result<Self> {
        Ok(Self::from(rustix::fs::fstat(fd)?))
    }

    /// Asks about `name` in `folder`, itself and not what it may link to.
    ///
    /// # Errors
    /// What `fstatat` says.
    pub fn of_path(folder: BorrowedFd<'_>, name: &CStr) -> io::Result<Self> {
        Ok(Self::from(rustix::fs::statat(folder, name, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?))
    }
}

impl From<rustix::fs::Stat> for Witness {
    // The fields of `stat` differ in width and sign from system to system; all of them fit here.
    #[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation, clippy::unnecessary_cast)]
    fn from(stat: rustix::fs::Stat) -> Self {
        Self {
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            size: stat.st_size as u64,
            mtime: Time { sec: stat.st_mtime as i64, nsec: stat.st_mtime_nsec as u32 },
            ctime: Time { sec: stat.st_ctime as i64, nsec: stat.st_ctime_nsec as u32 },
        }
    }
}
