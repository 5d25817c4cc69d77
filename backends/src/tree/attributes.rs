//! Puts metadata on what was made, through the descriptor that is held, never through a path that may lead elsewhere
//! by now.
//!
//! What flows in: descriptors and [`Attributes`]. What flows out: as few system calls as do the job. What it does not
//! know: paths, contents.
//!
//! The order matters: attributes of the user's while this process may still write to the file; owner; access
//! control lists; then permissions (a change of owner takes setuid and setgid away, and where list and permissions disagree,
//! permissions are meant); capabilities, which a change of owner takes away too; then times (all the others before change
//! them). Where the owner is refused, so is
//! setuid: nothing may run as somebody that it does not belong to.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;

use rustix::fs::{Gid, Timespec, Timestamps, UTIME_OMIT, Uid, fchmod, fchown, fstat, futimens};
use rustix::io::Result;

use super::Attributes;
use super::folders::Folder;
use super::refusals::Noting;
use crate::os;
use crate::xattr::{Family, Xattr};

/// What the system gives to what this process makes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    umask: u32,
    uid: u32,
    gid: u32,
}

impl Attributes<'_> {
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

    /// The same without extended attributes.
    pub(super) fn bare(&self) -> Attributes<'static> {
        Attributes { mode: self.mode, owner: self.owner, mtime: self.mtime, xattrs: &[], acls: self.acls }
    }

    /// The extended attributes of some families.
    fn of(&self, takes: impl Fn(Family) -> bool) -> impl Iterator<Item = &Xattr> {
        self.xattrs.iter().filter(move |xattr| takes(Family::of(&xattr.name)))
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
    /// to this process instead of its owner to be, only this process may use it; and it must be able to as long as
    /// attributes are to come.
    pub(super) fn first_mode(&self, attributes: &Attributes) -> u32 {
        if !attributes.xattrs.is_empty() {
            return 0o600;
        }
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
        noting: Noting<'_>,
    ) -> Result<()> {
        let given = first & !self.umask;
        let plain = *folder.plain.get_or_init(|| {
            fstat(file)
                .is_ok_and(|stat| os::mode_bits(&stat) == given && (stat.st_uid, stat.st_gid) == (self.uid, self.gid))
                && !has_default_acl(folder)
        });
        let held = Held::File(file);
        held.set(wanted.of(is_early), noting);
        let chown = wanted.owner.filter(|owner| !plain || *owner != (self.uid, self.gid));
        let permissions = held.chown(chown, wanted, noting)?;
        if wanted.acls && !plain {
            held.remove(wanted, &[ACCESS]);
        }
        let has_list = held.set(wanted.of(|family| family == Family::Acl), noting);
        if !plain || has_list || permissions != given {
            held.chmod(permissions, noting)?;
        }
        held.set(wanted.of(|family| family == Family::Capability), noting);
        held.touch(wanted, noting)
    }
}

/// The access control list of a file or folder.
const ACCESS: &str = "system.posix_acl_access";
/// The one that a folder hands down.
const DEFAULT: &str = "system.posix_acl_default";

/// Whether an attribute is set before the owner: all but what a change of owner or of permissions would change again.
fn is_early(family: Family) -> bool {
    !matches!(family, Family::Acl | Family::Capability)
}

/// Something whose metadata is set, as it is held.
enum Held<'a> {
    /// An open file or folder.
    File(BorrowedFd<'a>),
    /// A mere place (`O_PATH`), with the link in /proc that leads to that very thing, itself a symlink or not.
    #[cfg(target_os = "linux")]
    Place(BorrowedFd<'a>, String),
}

impl Held<'_> {
    /// Gives it its owner, and says which permissions it may have then.
    fn chown(&self, owner: Option<(u32, u32)>, wanted: &Attributes, noting: Noting<'_>) -> Result<u32> {
        let Some(owner) = owner else { return Ok(wanted.permissions()) };
        let (uid, gid) = ids(owner);
        let result = match self {
            Held::File(file) => fchown(file, uid, gid),
            #[cfg(target_os = "linux")]
            Held::Place(place, _) => rustix::fs::chownat(place, "", uid, gid, rustix::fs::AtFlags::EMPTY_PATH),
        };
        let is_theirs = noting.allowed("owner", result)?;
        Ok(if is_theirs { wanted.permissions() } else { wanted.permissions() & 0o1777 })
    }

    fn chmod(&self, permissions: u32, noting: Noting<'_>) -> Result<()> {
        let result = match self {
            Held::File(file) => fchmod(file, os::mode(permissions)),
            #[cfg(target_os = "linux")]
            Held::Place(_, path) => rustix::fs::chmod(path, os::mode(permissions)),
        };
        noting.allowed("permissions", result)?;
        Ok(())
    }

    /// Sets extended attributes, and says whether there were any; each that is refused is noted.
    fn set<'x>(&self, xattrs: impl Iterator<Item = &'x Xattr>, noting: Noting<'_>) -> bool {
        let mut any = false;
        for xattr in xattrs {
            any = true;
            if let Err(errno) = self.set_one(xattr) {
                noting.attribute(&xattr.name, errno);
            }
        }
        any
    }

    #[cfg(target_os = "linux")]
    fn set_one(&self, Xattr { name, value }: &Xattr) -> Result<()> {
        let flags = rustix::fs::XattrFlags::empty();
        match self {
            Held::File(file) => rustix::fs::fsetxattr(file, name.as_slice(), value, flags),
            Held::Place(_, path) => rustix::fs::setxattr(path, name.as_slice(), value, flags),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn set_one(&self, _: &Xattr) -> Result<()> {
        Err(rustix::io::Errno::NOTSUP)
    }

    /// Takes away those access control lists that are not wanted: they were handed down.
    fn remove(&self, wanted: &Attributes, lists: &[&str]) {
        for list in lists.iter().filter(|list| wanted.xattrs.iter().all(|xattr| xattr.name != list.as_bytes())) {
            // There may be none, or no such thing here; what cannot be taken away stands for what the folder's owner
            // wanted.
            #[cfg(target_os = "linux")]
            let _ = match self {
                Held::File(file) => rustix::fs::fremovexattr(file, *list),
                Held::Place(_, path) => rustix::fs::removexattr(path, *list),
            };
            #[cfg(not(target_os = "linux"))]
            let _ = list;
        }
    }

    /// Sets the times.
    fn touch(&self, wanted: &Attributes, noting: Noting<'_>) -> Result<()> {
        let Some(times) = wanted.times() else { return Ok(()) };
        let result = match self {
            Held::File(file) => futimens(file, &times),
            #[cfg(target_os = "linux")]
            Held::Place(place, path) => {
                use rustix::fs::{AtFlags, CWD, utimensat};
                use rustix::io::Errno;
                match utimensat(place, "", &times, AtFlags::EMPTY_PATH) {
                    // Before Linux 5.8.
                    Err(Errno::INVAL | Errno::NOENT) => utimensat(CWD, path, &times, AtFlags::empty()),
                    result => result,
                }
            }
        };
        noting.allowed("time", result)?;
        Ok(())
    }
}

/// Whether a folder hands an access control list down to what is made in it, which then decides its mode. When in
/// doubt it does.
fn has_default_acl(folder: &Folder) -> bool {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{fgetxattr, getxattr};
        use rustix::io::Errno;
        let answer = match fgetxattr(folder, DEFAULT, &mut [0u8; 0][..]) {
            // Open only as a place (`O_PATH`); the link in /proc leads to that very folder.
            Err(Errno::BADF) => getxattr(os::proc_path(folder.as_fd()), DEFAULT, &mut [0u8; 0][..]),
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
pub(super) fn apply_to_folder(folder: BorrowedFd<'_>, wanted: &Attributes, noting: Noting<'_>) -> Result<()> {
    let stat = fstat(folder)?;
    let held = Held::File(folder);
    held.set(wanted.of(is_early), noting);
    let chown = wanted.owner.filter(|owner| *owner != (stat.st_uid, stat.st_gid));
    let permissions = held.chown(chown, wanted, noting)?;
    if wanted.acls && has_acl(folder) {
        held.remove(wanted, &[ACCESS, DEFAULT]);
    }
    let has_list = held.set(wanted.of(|family| family == Family::Acl), noting);
    // A change of owner may take bits away.
    if chown.is_some() || has_list || os::mode_bits(&stat) != permissions {
        held.chmod(permissions, noting)?;
    }
    held.set(wanted.of(|family| family == Family::Capability), noting);
    held.touch(wanted, noting)
}

/// Whether a folder has an access control list. When in doubt it does.
fn has_acl(folder: BorrowedFd<'_>) -> bool {
    #[cfg(target_os = "linux")]
    {
        let mut names = [0u8; 512];
        match rustix::fs::flistxattr(folder, &mut names[..]) {
            Ok(len) => names[..len].split(|&byte| byte == 0).any(|name| Family::of(name) == Family::Acl),
            Err(errno) => errno != rustix::io::Errno::NOTSUP,
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = folder;
        false
    }
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
    noting: Noting<'_>,
) -> io::Result<()> {
    use rustix::fs::{FileType, Mode, OFlags, openat};
    let fd = openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let stat = fstat(&fd)?;
    if FileType::from_raw_mode(stat.st_mode) != kind || stat.st_nlink != 1 {
        return Err(io::Error::other("somebody replaced it the moment it was made"));
    }
    let held = Held::Place(fd.as_fd(), os::proc_path(fd.as_fd()));
    held.set(wanted.of(is_early), noting);
    let chown = wanted.owner.filter(|owner| *owner != (stat.st_uid, stat.st_gid));
    let permissions = held.chown(chown, wanted, noting)?;
    if kind != FileType::Symlink {
        if wanted.acls {
            held.remove(wanted, &[ACCESS]);
        }
        let has_list = held.set(wanted.of(|family| family == Family::Acl), noting);
        if chown.is_some() || has_list || os::mode_bits(&stat) != permissions {
            held.chmod(permissions, noting)?;
        }
    }
    Ok(held.touch(wanted, noting)?)
}

/// Elsewhere there are no descriptors of symlinks: by name, without following, in the folder that is held.
#[cfg(not(target_os = "linux"))]
pub(super) fn apply_to_odd(
    folder: &Folder,
    name: &[u8],
    _: rustix::fs::FileType,
    wanted: &Attributes,
    noting: Noting<'_>,
) -> io::Result<()> {
    use rustix::fs::{AtFlags, chownat, utimensat};
    if let Some(owner) = wanted.owner {
        let (uid, gid) = ids(owner);
        noting.allowed("owner", chownat(folder, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))?;
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
        let wanted = |owner| Attributes { mode: 0o6754, owner, ..Attributes::default() };
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
        let wanted = Attributes { mode: 0o777, mtime: Some(time), ..Attributes::default() };
        let refusals = super::super::refusals::Refusals::default();
        let noting = refusals.of(b"link");
        for name in ["second", "file"] {
            apply_to_odd(&folder, name.as_bytes(), kind, &wanted, noting).unwrap_err();
            let stat = std::fs::symlink_metadata(dir.path().join(name)).unwrap();
            assert_ne!((stat.mtime(), stat.mtime_nsec()), (1, 1));
        }
        std::fs::remove_file(dir.path().join("second")).unwrap();
        apply_to_odd(&folder, b"link", kind, &wanted, noting).unwrap();
        assert_eq!(std::fs::symlink_metadata(dir.path().join("link")).unwrap().mtime(), 1);
    }
}
