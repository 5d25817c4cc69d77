//! Puts metadata on what was made, through the descriptor that is held, never through a path that may lead elsewhere
//! by now.
//!
//! What flows in: descriptors and [`Attributes`]. What flows out: as few system calls as do the job. What it does not
//! know: paths, contents.
//!
//! The order matters: owner, then permissions (a change of owner takes setuid and setgid away), then times (all the
//! others before change them).

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;

use rustix::fs::{Gid, Timespec, Timestamps, UTIME_OMIT, Uid, fchmod, fchown, fstat, futimens};
use rustix::io::Result;

use super::Attributes;
use super::folders::Folder;
use crate::os;

/// What the system gives to what this process makes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    umask: u32,
    uid: u32,
    gid: u32,
}

impl Attributes {
    /// Refuses numbers that the system would take for commands: an owner of −1 means "leave", and there are values
    /// beyond a second's nanoseconds that mean "now" and "leave".
    pub(super) fn check(&self) -> io::Result<()> {
        let refuse = |what: String| Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        if let Some((uid, gid)) = self.owner
            && (uid == u32::MAX || gid == u32::MAX)
        {
            return refuse(format!("no such owner: {uid}:{gid}"));
        }
        match self.mtime {
            Some(time) if time.nsec >= 1_000_000_000 => refuse(format!("no such time: {} ns of a second", time.nsec)),
            _ => Ok(()),
        }
    }

    fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }

    fn times(&self) -> Option<Timestamps> {
        #[allow(clippy::unnecessary_cast, clippy::cast_lossless)] // Their widths differ from system to system.
        self.mtime.map(|time| Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            last_modification: Timespec { tv_sec: time.sec as _, tv_nsec: time.nsec as _ },
        })
    }
}

fn ids((uid, gid): (u32, u32)) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw_unchecked(uid)), Some(Gid::from_raw_unchecked(gid)))
}

impl Origin {
    /// Asks once; a umask or user changed later goes unnoticed.
    pub(super) fn ask() -> Self {
        Self { umask: os::umask(), uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    pub(super) fn uid(&self) -> u32 {
        self.uid
    }

    /// The mode to make a file with: the final one where that opens it to nobody too early. While a file still belongs
    /// to this process instead of its owner to be, only this process may use it.
    pub(super) fn first_mode(&self, attributes: &Attributes) -> u32 {
        let foreign = attributes.owner.is_some_and(|owner| owner != (self.uid, self.gid));
        attributes.mode & if foreign { 0o700 } else { 0o777 }
    }

    /// Metadata of a file made a moment ago in `folder` with mode `first`: leaves out every call that would change
    /// nothing. In the usual case that leaves the times.
    pub(super) fn apply_to_new(
        &self,
        file: BorrowedFd<'_>,
        folder: &Folder,
        first: u32,
        wanted: &Attributes,
    ) -> Result<()> {
        let given = first & !self.umask;
        let plain = *folder.plain.get_or_init(|| {
            fstat(file)
                .is_ok_and(|stat| os::mode_bits(&stat) == given && (stat.st_uid, stat.st_gid) == (self.uid, self.gid))
                && !has_default_acl(folder)
        });
        if let Some(owner) = wanted.owner
            && (!plain || owner != (self.uid, self.gid))
        {
            let (uid, gid) = ids(owner);
            fchown(file, uid, gid)?;
        }
        if !plain || wanted.permissions() != given {
            fchmod(file, os::mode(wanted.mode))?;
        }
        wanted.times().map_or(Ok(()), |times| futimens(file, &times))
    }
}

/// Whether a folder hands an access control list down to what is made in it, which then decides its mode. When in
/// doubt it does.
fn has_default_acl(folder: &Folder) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{fgetxattr, getxattr};
        use rustix::io::Errno;
        const NAME: &str = "system.posix_acl_default";
        let answer = match fgetxattr(folder, NAME, &mut [0u8; 0][..]) {
            // Open only as a place (`O_PATH`); the link in /proc leads to that very folder.
            Err(Errno::BADF) => getxattr(os::proc_path(folder.as_fd()), NAME, &mut [0u8; 0][..]),
            answer => answer,
        };
        !matches!(answer, Err(Errno::NODATA | Errno::OPNOTSUPP))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        true
    }
}

/// All of a folder's metadata, whatever it has at the moment. To ask for it costs less than to set what is set.
pub(super) fn apply_to_folder(folder: BorrowedFd<'_>, wanted: &Attributes) -> Result<()> {
    let stat = fstat(folder)?;
    let chown = wanted.owner.filter(|owner| *owner != (stat.st_uid, stat.st_gid));
    if let Some(owner) = chown {
        let (uid, gid) = ids(owner);
        fchown(folder, uid, gid)?;
    }
    // A change of owner may take bits away.
    if chown.is_some() || os::mode_bits(&stat) != wanted.permissions() {
        fchmod(folder, os::mode(wanted.mode))?;
    }
    wanted.times().map_or(Ok(()), |times| futimens(folder, &times))
}

/// Lets the owner into a folder that is open only as a place (`O_PATH`).
#[cfg(target_os = "linux")]
pub(super) fn unlock(place: BorrowedFd<'_>, stat: &rustix::fs::Stat) -> Result<()> {
    // `fchmod` refuses such descriptors; the link in /proc leads to that very folder.
    rustix::fs::chmod(os::proc_path(place), os::mode(os::mode_bits(stat) | 0o700))
}

/// Metadata of a symlink or special file `name`, made in `folder` a moment ago. It cannot be opened like a file, so
/// it is held as a mere place, and must still look like what was made: else somebody put a second name of something
/// else there.
#[cfg(target_os = "linux")]
pub(super) fn apply_to_odd(
    folder: &Folder,
    name: &[u8],
    kind: rustix::fs::FileType,
    wanted: &Attributes,
) -> io::Result<()> {
    use rustix::fs::{AtFlags, FileType, Mode, OFlags, chownat, openat, utimensat};
    let fd = openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let stat = fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != kind || stat.st_nlink != 1 {
        return Err(io::Error::other("somebody replaced it the moment it was made"));
    }
    if let Some(owner) = wanted.owner
        && owner != (stat.st_uid, stat.st_gid)
    {
        let (uid, gid) = ids(owner);
        chownat(&fd, "", uid, gid, AtFlags::EMPTY_PATH)?;
    }
    if kind != FileType::Symlink && (wanted.owner.is_some() || os::mode_bits(&stat) != wanted.permissions()) {
        rustix::fs::chmod(os::proc_path(fd.as_fd()), os::mode(wanted.mode))?;
    }
    let Some(times) = wanted.times() else { return Ok(()) };
    match utimensat(&fd, "", &times, AtFlags::EMPTY_PATH) {
        // Before Linux 5.8. By name then: a time is the worst that could end up on the wrong thing in this folder.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => {
            Ok(utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
        }
        result => Ok(result?),
    }
}

/// Elsewhere there are no descriptors of symlinks: by name, without following, in the folder that is held.
#[cfg(not(target_os = "linux"))]
pub(super) fn apply_to_odd(
    folder: &Folder,
    name: &[u8],
    _: rustix::fs::FileType,
    wanted: &Attributes,
) -> io::Result<()> {
    use rustix::fs::{AtFlags, chownat, utimensat};
    if let Some(owner) = wanted.owner {
        let (uid, gid) = ids(owner);
        chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    let Some(times) = wanted.times() else { return Ok(()) };
    Ok(utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN: Origin = Origin { umask: 0o022, uid: 1000, gid: 100 };

    #[test]
    fn a_file_for_somebody_else_is_opened_to_nobody_before_it_is_theirs() {
        let wanted = |owner| Attributes { mode: 0o6754, owner, mtime: None };
        assert_eq!(ORIGIN.first_mode(&wanted(None)), 0o754);
        assert_eq!(ORIGIN.first_mode(&wanted(Some((1000, 100)))), 0o754);
        assert_eq!(ORIGIN.first_mode(&wanted(Some((1000, 101)))), 0o700);
        assert_eq!(ORIGIN.first_mode(&wanted(Some((0, 100)))), 0o700);
    }

    /// Somebody put a second name of something of theirs where a link was made a moment ago.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_was_exchanged_gets_no_metadata() {
        use std::os::unix::fs::{MetadataExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let fd = rustix::fs::open(dir.path(), super::super::beneath::PLACE, rustix::fs::Mode::empty()).unwrap();
        let folder = Folder::new(fd);
        symlink("a", dir.path().join("link")).unwrap();
        std::fs::hard_link(dir.path().join("link"), dir.path().join("second")).unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let kind = rustix::fs::FileType::Symlink;
        let time = crate::witness::Time { sec: 1, nsec: 1 };
        let wanted = Attributes { mode: 0o777, owner: None, mtime: Some(time) };
        for name in ["second", "file"] {
            apply_to_odd(&folder, name.as_bytes(), kind, &wanted).unwrap_err();
            let stat = std::fs::symlink_metadata(dir.path().join(name)).unwrap();
            assert_ne!((stat.mtime(), stat.mtime_nsec()), (1, 1));
        }
        std::fs::remove_file(dir.path().join("second")).unwrap();
        apply_to_odd(&folder, b"link", kind, &wanted).unwrap();
        assert_eq!(std::fs::symlink_metadata(dir.path().join("link")).unwrap().mtime(), 1);
    }
}
