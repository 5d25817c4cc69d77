//! Finds out what the user's path for the output names, before hours of work go into it.
//!
//! What flows in: a path. What flows out: an open folder and the name to use in it, or an open pipe or device, or an
//! error that says what is wrong with the path. What it does not know: what will be written.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, openat};
use rustix::io::Errno;

use crate::os;
use crate::witness::Witness;

/// What a path turned out to name.
#[derive(Debug)]
pub(super) enum Place {
    /// A regular file, existing or not.
    File(Target),
    /// A pipe or a device, open for writing.
    Stream(File),
}

/// A regular file to make or to replace.
#[derive(Debug)]
pub(super) struct Target {
    /// The path as errors print it.
    pub(super) shown: String,
    /// The folder that the file lies in, symlinks resolved.
    pub(super) folder: Arc<OwnedFd>,
    /// Whether the folder may be read, and so `fsync`ed. (Into a drop box one may write, but not look.)
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))] // Elsewhere such folders are refused.
    pub(super) folder_reads: bool,
    /// The file's name in that folder.
    pub(super) name: CString,
    /// The file that will be replaced.
    pub(super) old: Option<Old>,
}

/// A file that will be replaced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Old {
    pub(super) dev: u64,
    pub(super) ino: u64,
    /// Permission bits, without setuid, setgid and sticky.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

fn refuse(kind: io::ErrorKind, shown: &str, what: &str) -> io::Error {
    io::Error::new(kind, format!("{shown}: {what}"))
}

/// Looks at `path`. With `force` an existing file is to be replaced; when a symlink leads to it, the file is replaced
/// and the link stays, as everywhere where output goes to a path (a shell's `>`, `tar`, `cp`). A link to nothing is
/// refused: the disk that it leads to may not be mounted.
pub(super) fn locate(path: &Path, force: bool) -> io::Result<Place> {
    let bytes = path.as_os_str().as_bytes();
    let shown = os::show(bytes);
    if bytes.is_empty() {
        return Err(refuse(io::ErrorKind::InvalidInput, "output", "the path is empty"));
    }
    // `stat` and not our own reading of links: the kernel then applies its rule against links planted in /tmp.
    let stat = match rustix::fs::stat(path) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return fresh(path, shown),
        Err(errno) => return Err(os::context(shown, errno)),
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Err(refuse(io::ErrorKind::IsADirectory, &shown, "is a folder, not a file")),
        FileType::Socket => Err(refuse(io::ErrorKind::InvalidInput, &shown, "is a socket, which no path can open")),
        FileType::BlockDevice if !force => {
            Err(refuse(io::ErrorKind::AlreadyExists, &shown, "is a block device; it is written over only when forced"))
        }
        FileType::RegularFile if !force => {
            Err(refuse(io::ErrorKind::AlreadyExists, &shown, "already exists; it is replaced only when forced"))
        }
        FileType::RegularFile => existing(path, shown, stat),
        _ => stream(path, shown),
    }
}

/// A regular file that is there: the path without links is needed to make its successor beside it.
fn existing(path: &Path, shown: String, stat: Stat) -> io::Result<Place> {
    let real = std::fs::canonicalize(path).map_err(|error| os::context(shown.clone(), error))?;
    let mode = os::mode_bits(&stat) & 0o777;
    let (uid, gid) = (stat.st_uid, stat.st_gid);
    let Witness { dev, ino, .. } = Witness::from(stat);
    let same = rustix::fs::lstat(&real).map(Witness::from).is_ok_and(|now| (now.dev, now.ino) == (dev, ino));
    if !same {
        return Err(refuse(io::ErrorKind::Other, &shown, "changed while it was looked at"));
    }
    target(&real, shown, Some(Old { dev, ino, mode, uid, gid }))
}

/// Nothing that can be followed to: a new file, unless the name is a dangling link or a folder's.
fn fresh(path: &Path, shown: String) -> io::Result<Place> {
    if path.as_os_str().as_bytes().ends_with(b"/") {
        return Err(refuse(io::ErrorKind::IsADirectory, &shown, "names a folder, not a file"));
    }
    if rustix::fs::lstat(path).is_ok() {
        return Err(refuse(io::ErrorKind::NotFound, &shown, "is a symbolic link to a path that does not exist"));
    }
    target(path, shown, None)
}

fn target(path: &Path, shown: String, old: Option<Old>) -> io::Result<Place> {
    // Paths that end in `.` or `..` have no name; they name folders, which `stat` would have found.
    let Some(name) = path.file_name() else {
        return Err(refuse(io::ErrorKind::IsADirectory, &shown, "names a folder, not a file"));
    };
    let parent =
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(PathBuf::from("."), Path::to_owned);
    let (folder, folder_reads) = open_folder(&parent).map_err(|errno| {
        let parent = os::show(parent.as_os_str().as_bytes());
        let why = match errno {
            Errno::NOENT => format!("{shown}: the folder {parent} does not exist"),
            Errno::NOTDIR => format!("{shown}: {parent} is not a folder"),
            _ => format!("{shown}: cannot open the folder {parent}"),
        };
        os::context(why, errno)
    })?;
    let name = c_string(name).map_err(|error| os::context(shown.clone(), error))?;
    Ok(Place::File(Target { shown, folder: Arc::new(folder), folder_reads, name, old }))
}

fn c_string(name: &OsStr) -> io::Result<CString> {
    Ok(CString::new(name.as_bytes())?)
}

fn open_folder(path: &Path) -> rustix::io::Result<(OwnedFd, bool)> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat(CWD, path, OFlags::RDONLY | flags, Mode::empty()) {
        #[cfg(target_os = "linux")]
        Err(Errno::ACCESS) => Ok((openat(CWD, path, OFlags::PATH | flags, Mode::empty())?, false)),
        other => Ok((other?, true)),
    }
}

fn stream(path: &Path, shown: String) -> io::Result<Place> {
    let named = |errno: Errno| os::context(format!("cannot open {shown}"), errno);
    let flags = OFlags::WRONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = openat(CWD, path, flags, Mode::empty()).map_err(named)?;
    let stat = rustix::fs::fstat(fd.as_fd()).map_err(named)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
        return Err(refuse(io::ErrorKind::Other, &shown, "changed while it was looked at"));
    }
    Ok(Place::Stream(File::from(fd)))
}
