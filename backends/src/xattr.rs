//! Extended attributes: what they are for, and those of a name in an open folder.
//!
//! What flows in: a folder's descriptor, a name, a buffer. What flows out: names of attributes, values. What it does not
//! know: which of them are wanted.
//!
//! Since Linux 6.13 there are calls that take folder and name (`listxattrat`, `getxattrat`); before, the way leads through
//! `/proc/self/fd`, with more names to look up. Which of the two works is found out once. No call follows a
//! link unless it is asked to.

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod calls;

use std::ffi::CStr;
use std::io;
use std::os::fd::BorrowedFd;

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Xattr {
    /// Full name with its namespace, such as `user.comment`.
    pub name: Vec<u8>,
    /// Value, any bytes.
    pub value: Vec<u8>,
}

/// What an attribute is for, by its name. On this depends who may set it, and whether it says something about the file or
/// about the machine that it lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// An access control list: `system.posix_acl_access`, `system.posix_acl_default`.
    Acl,
    /// What a program may do beyond its user: `security.capability`.
    Capability,
    /// Anything that an owner attached: `user.*`.
    User,
    /// A label of a security module of one machine, `security.*`: of SELinux, Smack, IMA, EVM, AppArmor.
    Label,
    /// Everything else: `trusted.*`, and what single file systems have.
    Trusted,
}

impl Family {
    /// The family of an attribute's full name.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        match name {
            b"system.posix_acl_access" | b"system.posix_acl_default" => Family::Acl,
            b"security.capability" => Family::Capability,
            name if name.starts_with(b"user.") => Family::User,
            name if name.starts_with(b"security.") => Family::Label,
            _ => Family::Trusted,
        }
    }
}

/// Longest list of names and longest value that Linux gives, bytes.
pub const LEN_MAX: usize = 64 << 10;

/// Writes the names of all attributes of `name` in `folder` into `buffer`, each with a NUL behind it, and says how many
/// bytes they take; of the target where `name` is a link and `follow` says so.
///
/// # Errors
/// What the system says: [`io::ErrorKind::Unsupported`] where the file system has no attributes, `ERANGE` where the buffer is
/// too short.
pub fn list(folder: BorrowedFd<'_>, name: &CStr, follow: bool, buffer: &mut [u8]) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    return calls::list(folder, name, follow, buffer);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (folder, name, follow, buffer);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Writes the value of one attribute into `buffer` and says how long it is; otherwise like [`list`].
///
/// # Errors
/// As [`list`]; `ENODATA` where there is no such attribute.
pub fn get(
    folder: BorrowedFd<'_>,
    name: &CStr,
    attribute: &CStr,
    follow: bool,
    buffer: &mut [u8],
) -> io::Result<usize> {
    #[cfg(target_os = "linux")]
    return calls::get(folder, name, attribute, follow, buffer);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (folder, name, attribute, follow, buffer);
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Whether an error says that a buffer was too short.
#[must_use]
pub fn is_too_short(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::RANGE.raw_os_error())
}

/// Whether an error says that there is no such attribute (any more).
#[must_use]
pub fn is_missing(error: &io::Error) -> bool {
    #[cfg(target_os = "linux")]
    return error.raw_os_error() == Some(rustix::io::Errno::NODATA.raw_os_error());
    #[cfg(not(target_os = "linux"))]
    {
        let _ = error;
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::ffi::CString;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_name_has_its_family() {
        for (name, family) in [
            ("system.posix_acl_access", Family::Acl),
            ("system.posix_acl_default", Family::Acl),
            ("security.capability", Family::Capability),
            ("security.selinux", Family::Label),
            ("security.capability2", Family::Label),
            ("user.", Family::User),
            ("trusted.x", Family::Trusted),
            ("system.nfs4_acl", Family::Trusted),
            ("btrfs.compression", Family::Trusted),
        ] {
            assert_eq!(Family::of(name.as_bytes()), family, "{name}");
        }
    }

    /// Whether the file system of `path` keeps attributes.
    fn set(path: &std::path::Path, name: &str, value: &[u8]) -> bool {
        rustix::fs::setxattr(path, name, value, rustix::fs::XattrFlags::empty()).is_ok()
    }

    #[test]
    fn both_ways_say_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        symlink("file", dir.path().join("link")).unwrap();
        if !set(&file, "user.one", b"1") || !set(&file, "user.empty", b"") {
            eprintln!("not tested: the file system of the temporary folder keeps no attributes");
            return;
        }
        let folder = std::fs::File::open(dir.path()).unwrap();
        type List = fn(BorrowedFd<'_>, &CStr, bool, &mut [u8]) -> io::Result<usize>;
        type Get = fn(BorrowedFd<'_>, &CStr, &CStr, bool, &mut [u8]) -> io::Result<usize>;
        let ways: [(List, Get); 3] =
            [(list, get), (calls::list_by_proc, calls::get_by_proc), (calls::list_at_or_not, calls::get_at_or_not)];
        for (list, get) in ways {
            let name = |name: &str| CString::new(name).unwrap();
            let mut buffer = [0; 256];
            let len = match list(folder.as_fd(), &name("file"), false, &mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => continue, // a kernel before 6.13
                result => result.unwrap(),
            };
            let mut names: Vec<&[u8]> =
                buffer[..len].split(|&b| b == 0).filter(|name| name.starts_with(b"user.")).collect();
            names.sort_unstable();
            assert_eq!(names, [&b"user.empty"[..], b"user.one"]);
            let mut value = [0; 8];
            assert_eq!(get(folder.as_fd(), &name("file"), &name("user.one"), false, &mut value).unwrap(), 1);
            assert_eq!(value[0], b'1');
            assert_eq!(get(folder.as_fd(), &name("file"), &name("user.empty"), false, &mut value).unwrap(), 0);
            // The link has none of its own; what it leads to has.
            let missing = get(folder.as_fd(), &name("link"), &name("user.one"), false, &mut value).unwrap_err();
            assert!(is_missing(&missing) || missing.kind() == io::ErrorKind::PermissionDenied, "{missing}");
            assert_eq!(get(folder.as_fd(), &name("link"), &name("user.one"), true, &mut value).unwrap(), 1);
            assert!(is_missing(&get(folder.as_fd(), &name("file"), &name("user.two"), false, &mut value).unwrap_err()));
            let short = list(folder.as_fd(), &name("file"), false, &mut buffer[..3]).unwrap_err();
            assert!(is_too_short(&short), "{short}");
        }
    }
}
