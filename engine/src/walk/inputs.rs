//! From what the user named to what is walked: open folders to start from, and names in the archive.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Stat, fstat, statat};

use super::error::WalkError;
use super::{Input, open};

/// Where a part of the archive comes from.
pub(super) struct Root {
    /// The folder that paths are relative to: the input itself, if it is the archive's root, else the one it lies in.
    pub(super) base: Arc<OwnedFd>,
    /// Name in the archive and in `base`; empty for the archive's root.
    pub(super) name: Vec<u8>,
    /// Whether the name may be a symlink to what is meant.
    pub(super) follow: bool,
    pub(super) stat: Stat,
    /// As the user named it.
    input: PathBuf,
}

/// All inputs, in order of name.
pub(super) struct Roots {
    pub(super) roots: Vec<Root>,
}

impl Roots {
    /// Number of the root of that name.
    pub(super) fn find(&self, name: &[u8]) -> Option<u32> {
        self.roots.binary_search_by(|root| root.name[..].cmp(name)).ok().map(|at| at as u32)
    }
}

/// Finds and opens all inputs.
pub(super) fn resolve(inputs: &[Input], base: Option<&Path>) -> Result<Roots, WalkError> {
    let alone = inputs.len() == 1;
    let mut roots = Vec::with_capacity(inputs.len());
    for input in inputs {
        let full = base.map_or_else(|| input.path.clone(), |base| base.join(&input.path));
        let failed = |error: io::Error| WalkError::Input { path: full.clone(), error };
        if input.path.as_os_str().is_empty() {
            return Err(failed(io::ErrorKind::NotFound.into()));
        }
        let place = Place::of(&full);
        let root = match alone_as_root(&full, place.follow).map_err(failed)? {
            Some(root) if alone => root,
            _ => named(&full, place)?,
        };
        roots.push(root);
    }
    if roots.is_empty() {
        return Err(WalkError::NoInput);
    }
    roots.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(same) = roots.windows(2).find(|two| two[0].name == two[1].name) {
        return Err(WalkError::SameName { first: same[0].input.clone(), second: same[1].input.clone() });
    }
    Ok(Roots { roots })
}

/// A path taken apart.
struct Place {
    /// The last name, unless it is none of its own (`.`, `..`, or nothing at all).
    name: Option<Vec<u8>>,
    parent: PathBuf,
    /// Whether a slash at the end, or a last component that is no name, asks to go through symlinks.
    follow: bool,
}

impl Place {
    fn of(path: &Path) -> Self {
        let bytes = path.as_os_str().as_bytes();
        let end = bytes.iter().rposition(|&b| b != b'/').map_or(0, |at| at + 1);
        let start = bytes[..end].iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
        let name = &bytes[start..end];
        let is_name = !matches!(name, b"" | b"." | b"..");
        Self {
            name: is_name.then(|| name.to_vec()),
            parent: match &bytes[..start] {
                b"" => PathBuf::from("."),
                parent => PathBuf::from(OsStr::from_bytes(parent)),
            },
            follow: end < bytes.len() || !is_name,
        }
    }
}

/// The input as the root of the archive, if it is a folder.
fn alone_as_root(full: &Path, follow: bool) -> io::Result<Option<Root>> {
    let stat = if follow { rustix::fs::stat(full)? } else { rustix::fs::lstat(full)? };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Ok(None);
    }
    let base = open::base(full)?;
    let stat = fstat(&base)?;
    Ok(Some(Root { base: Arc::new(base), name: Vec::new(), follow, stat, input: full.into() }))
}

/// The input under its last name.
fn named(full: &Path, place: Place) -> Result<Root, WalkError> {
    let failed = |error: io::Error| WalkError::Input { path: full.into(), error };
    let (parent, name) = match place.name {
        Some(name) => (place.parent, name),
        None => {
            let real = std::fs::canonicalize(full).map_err(failed)?;
            match (real.parent(), real.file_name()) {
                (Some(parent), Some(name)) => (parent.into(), name.as_bytes().to_vec()),
                _ => return Err(WalkError::NoName(full.into())),
            }
        }
    };
    let base = open::base(&parent).map_err(failed)?;
    let flags = if place.follow { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    let stat = statat(base.as_fd(), &name[..], flags).map_err(|error| failed(error.into()))?;
    // `file/` is no file.
    if place.follow && FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
        return Err(failed(rustix::io::Errno::NOTDIR.into()));
    }
    Ok(Root { base: Arc::new(base), name, follow: place.follow, stat, input: full.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart_at_its_last_name() {
        let parts = |path: &str| {
            let Place { name, parent, follow } = Place::of(Path::new(path));
            (name.map(|name| String::from_utf8(name).unwrap()), parent.to_str().unwrap().to_owned(), follow)
        };
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(parts("a"), (name("a"), ".".into(), false));
        assert_eq!(parts("a//"), (name("a"), ".".into(), true));
        assert_eq!(parts("/a"), (name("a"), "/".into(), false));
        assert_eq!(parts("../x/..a"), (name("..a"), "../x/".into(), false));
        assert_eq!(parts("x/."), (None, "x/".into(), true));
        assert_eq!(parts(".."), (None, ".".into(), true));
        assert_eq!(parts("/"), (None, ".".into(), true));
    }
}
