//! Which paths are let in. The engine refuses hostile paths when it reads an archive; this is the second wall.
//!
//! What flows in: a path. What flows out: the same, split, or an error that says what is wrong with it.

use std::io;

use crate::os;

/// Longest component, bytes: NAME_MAX of every common file system.
const NAME_MAX: usize = 255;

fn refuse(path: &[u8], what: &str) -> io::Error {
    let path = os::show(path);
    io::Error::new(io::ErrorKind::InvalidInput, format!("refused the path \"{path}\": {what}"))
}

/// Lets a path through that stays beneath whatever it is relative to, and is not empty.
pub(super) fn check(path: &[u8]) -> io::Result<()> {
    if path.is_empty() {
        return Err(refuse(path, "it is empty"));
    }
    if path.starts_with(b"/") {
        return Err(refuse(path, "it is absolute"));
    }
    if path.contains(&0) {
        return Err(refuse(path, "it holds a NUL byte"));
    }
    for component in path.split(|&byte| byte == b'/') {
        match component {
            b"" => return Err(refuse(path, "it has an empty component")),
            b"." | b".." => return Err(refuse(path, "it has a component . or ..")),
            _ if component.len() > NAME_MAX => return Err(refuse(path, "a component is longer than 255 bytes")),
            _ => {}
        }
    }
    Ok(())
}

/// The folder (empty: the destination) and the name in it.
pub(super) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// [`check`] and [`split`].
pub(super) fn parse(path: &[u8]) -> io::Result<(&[u8], &[u8])> {
    check(path)?;
    Ok(split(path))
}

#[cfg(test)]
pub(super) const HOSTILE: &[&[u8]] = &[
    b"",
    b"/",
    b"/etc/passwd",
    b"//x",
    b".",
    b"..",
    b"../x",
    b"a/../x",
    b"a/..",
    b"a/.",
    b"./a",
    b"a//b",
    b"a/",
    b"a\0b",
    b"\0",
    &[b'n'; 256],
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_paths_are_refused_by_name() {
        for path in HOSTILE {
            let error = check(path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(&os::show(path)), "{error}");
        }
    }

    #[test]
    fn odd_but_harmless_paths_pass() {
        for path in [b"a".as_slice(), b"...", b"..a", b".a/b..", b"\xff\n\x1b", b"a/b/c", b" ", b"-", &[b'n'; 255]] {
            check(path).unwrap();
        }
        assert_eq!(split(b"a/b/c"), (b"a/b".as_slice(), b"c".as_slice()));
        assert_eq!(split(b"a"), (b"".as_slice(), b"a".as_slice()));
    }

    proptest! {
        /// Whatever passes leads, component by component, only downwards.
        #[test]
        fn what_passes_leads_down(path in prop::collection::vec(prop::sample::select(b"./ab\0".to_vec()), 0..12)) {
            use std::os::unix::ffi::OsStrExt;
            if check(&path).is_ok() {
                let path = std::path::Path::new(std::ffi::OsStr::from_bytes(&path));
                prop_assert!(path.components().all(|part| matches!(part, std::path::Component::Normal(_))));
                prop_assert!(!path.as_os_str().as_bytes().contains(&0));
            }
        }
    }
}
