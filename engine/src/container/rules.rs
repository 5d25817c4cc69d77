//! What an entry may look like, wherever it is written or read: in a frame's directory or in the entries table.
//!
//! These rules need one row alone. What rows must be to one another (order, parents, hard links) is the index's part.

use std::fmt;

use super::error::{ContainerError, Hex};
use crate::entry::{Hole, Kind, Row, Xattr, flags};
use crate::limits::{FILE_SIZE_MAX, LINK_TARGET_LEN_MAX, NAME_LEN_MAX, PATH_LEN_MAX};

/// Why an entry is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which part of the entry.
    pub what: &'static str,
    /// The rule that it breaks.
    pub expected: &'static str,
    /// What is there instead.
    pub found: String,
}

impl Fault {
    /// A fault; `found` is cut when it is long.
    #[cold]
    pub fn new(what: &'static str, expected: &'static str, found: impl fmt::Display) -> Box<Self> {
        let mut found = found.to_string();
        if found.len() > 200 {
            let cut = (0..=200).rev().find(|&at| found.is_char_boundary(at)).unwrap_or(0);
            found.truncate(cut);
            found.push('…');
        }
        Box::new(Self { what, expected, found })
    }

    /// The error for a fault in the part of an archive that begins at `offset`.
    #[must_use]
    pub fn at(&self, offset: u64) -> ContainerError {
        ContainerError::damaged(self.what, offset, self.expected, &self.found)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.what, self.expected, self.found)
    }
}

/// Checks that a path is one that cannot lead anywhere but below the archive's root: empty (the root itself), or names
/// joined by single slashes, none of them `.` or `..`, no NUL, nothing longer than the limits.
///
/// # Errors
/// The rule that it breaks.
pub fn check_path(path: &[u8]) -> Result<(), Box<Fault>> {
    let wrong = |expected| Err(Fault::new("path", expected, path.escape_ascii()));
    if path.is_empty() {
        return Ok(());
    }
    if path.len() > PATH_LEN_MAX {
        return wrong("no longer than 16384 bytes");
    }
    if path.contains(&0) {
        return wrong("no NUL byte");
    }
    for name in path.split(|&byte| byte == b'/') {
        match name {
            b"" => return wrong("no leading, trailing or doubled slash"),
            b"." | b".." => return wrong("no component '.' or '..'"),
            _ if name.len() > NAME_LEN_MAX => return wrong("no component longer than 255 bytes"),
            _ => {}
        }
    }
    Ok(())
}

/// Checks everything about an entry but its digest and extents.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_metadata(row: &Row<'_>) -> Result<(), Box<Fault>> {
    check_path(row.path)?;
    let is_file = row.kind == Kind::File;
    if row.path.is_empty() && row.kind != Kind::Dir {
        return Err(Fault::new("kind", "a dir, being the root", row.kind.name()));
    }
    if row.mode > 0o7777 {
        return Err(Fault::new("mode", "nothing but permission bits", format_args!("{:o}", row.mode)));
    }
    if row.flags & !flags::KNOWN != 0 {
        return Err(Fault::new("flags", "known bits only", format_args!("{:#x}", row.flags)));
    }
    if row.size > FILE_SIZE_MAX || (row.size != 0 && !is_file && row.kind != Kind::Hardlink) {
        return Err(Fault::new("size", "what its kind can have", row.size));
    }
    check_link(row)?;
    check_holes(row.holes, if is_file { row.size } else { 0 })?;
    check_xattrs(row.xattrs)
}

/// Checks that a target, a hard link's row and a device number are there exactly where the kind asks for them.
fn check_link(row: &Row<'_>) -> Result<(), Box<Fault>> {
    let presence = |what, present: bool, wanted: bool| match (present, wanted) {
        (true, false) => Err(Fault::new(what, "none for its kind", row.kind.name())),
        (false, true) => Err(Fault::new(what, "one for its kind", row.kind.name())),
        _ => Ok(()),
    };
    presence("link target", row.link_target.is_some(), row.kind == Kind::Symlink)?;
    presence("hard link", row.hardlink.is_some(), row.kind == Kind::Hardlink)?;
    presence("device", row.device.is_some(), matches!(row.kind, Kind::CharDevice | Kind::BlockDevice))?;
    match row.link_target {
        Some(target) if target.is_empty() || target.len() > LINK_TARGET_LEN_MAX || target.contains(&0) => {
            Err(Fault::new("link target", "1 to 4096 bytes, no NUL", target.escape_ascii()))
        }
        _ => Ok(()),
    }
}

/// Checks that holes are in order, apart from one another, and inside the file.
fn check_holes(holes: &[Hole], size: u64) -> Result<(), Box<Fault>> {
    let mut end = None;
    for &Hole { offset, len } in holes {
        if len == 0 || end.is_some_and(|end| offset <= end) {
            return Err(Fault::new("holes", "in order, not empty, apart", format_args!("{len} bytes at {offset}")));
        }
        end = offset.checked_add(len).filter(|&end| end <= size);
        if end.is_none() {
            return Err(Fault::new("holes", "inside the file", format_args!("{len} bytes at {offset} of {size}")));
        }
    }
    Ok(())
}

/// Checks that extended attributes are in order of name, each name once.
fn check_xattrs(xattrs: &[Xattr]) -> Result<(), Box<Fault>> {
    if let Some(xattr) = xattrs.iter().find(|xattr| xattr.name.is_empty() || xattr.name.contains(&0)) {
        return Err(Fault::new("extended attribute", "a name without NUL", Hex(&xattr.name)));
    }
    match xattrs.windows(2).find(|pair| pair[0].name >= pair[1].name) {
        Some(pair) => Err(Fault::new("extended attributes", "in order of name", pair[1].name.escape_ascii())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::Device;

    #[test]
    fn hostile_paths_are_refused() {
        for path in [&b""[..], b"a", b"a/b", b"...", b".a", b"..a/b..", b"\xff\xfe", b"a b\n\x1b[2J", &[b'n'; 255]] {
            check_path(path).unwrap_or_else(|fault| panic!("{}: {fault}", path.escape_ascii()));
        }
        let long_path = [b"0123456/".repeat(2048).as_slice(), b"x"].concat();
        for path in [
            &b"/"[..],
            b"/a",
            b"a/",
            b"a//b",
            b".",
            b"..",
            b"a/..",
            b"../a",
            b"a/../b",
            b"./a",
            b"a/.",
            b"a\0b",
            &[b'n'; 256],
            &long_path,
        ] {
            assert!(check_path(path).is_err(), "{}", path.escape_ascii());
        }
    }

    #[test]
    fn every_kind_has_what_it_needs_and_nothing_else() {
        let link = |kind| Row { link_target: Some(b"target"), ..Row::new(b"a", kind) };
        let device = |kind| Row { device: Some(Device { major: 1, minor: 2 }), ..Row::new(b"a", kind) };
        let hardlink = |kind| Row { hardlink: Some(1), ..Row::new(b"a", kind) };
        let sized = |kind| Row { size: 1, ..Row::new(b"a", kind) };
        for kind in Kind::ALL {
            let is_device = matches!(kind, Kind::CharDevice | Kind::BlockDevice);
            let bare = check_metadata(&Row::new(b"a", kind)).is_ok();
            assert_eq!(bare, !is_device && kind != Kind::Symlink && kind != Kind::Hardlink, "{kind:?}");
            assert_eq!(check_metadata(&link(kind)).is_ok(), kind == Kind::Symlink, "{kind:?}");
            assert_eq!(check_metadata(&device(kind)).is_ok(), is_device, "{kind:?}");
            assert_eq!(check_metadata(&hardlink(kind)).is_ok(), kind == Kind::Hardlink, "{kind:?}");
            assert_eq!(check_metadata(&sized(kind)).is_ok(), kind == Kind::File, "{kind:?}");
        }
    }

    #[test]
    fn odd_values_are_refused() {
        let file = Row { size: 100, ..Row::new(b"a", Kind::File) };
        let xattr = |name: &[u8]| Xattr { name: name.to_vec(), value: vec![] };
        let hole = |offset, len| Hole { offset, len };
        check_metadata(&Row { holes: &[hole(0, 10), hole(11, 89)], ..file }).unwrap();
        check_metadata(&Row { xattrs: &[xattr(b"a"), xattr(b"b")], ..file }).unwrap();
        for row in [
            Row { mode: 0o10000, ..file },
            Row { flags: 2, ..file },
            Row { size: u64::MAX, ..file },
            Row { path: b"", ..file },
            Row { holes: &[hole(0, 0)], ..file },
            Row { holes: &[hole(0, 101)], ..file },
            Row { holes: &[hole(10, 5), hole(15, 5)], ..file },
            Row { holes: &[hole(20, 5), hole(10, 5)], ..file },
            Row { holes: &[hole(u64::MAX, 2)], ..file },
            Row { xattrs: &[xattr(b"")], ..file },
            Row { xattrs: &[xattr(b"b"), xattr(b"a")], ..file },
            Row { xattrs: &[xattr(b"a"), xattr(b"a")], ..file },
            Row { link_target: Some(b""), ..Row::new(b"a", Kind::Symlink) },
            Row { link_target: Some(b"a\0"), ..Row::new(b"a", Kind::Symlink) },
        ] {
            assert!(check_metadata(&row).is_err(), "{row:?}");
        }
    }
}
