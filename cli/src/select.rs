//! Arguments that say which entries a command is about. What flows in: paths and patterns as typed. What flows out:
//! patterns as the engine takes them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use carrack_engine::control::Escaped;
use carrack_engine::error::{Error, ErrorKind, Result};

use crate::config;

/// A path without what says nothing: `./` in front, slashes at the end. What names the root becomes empty.
pub(crate) fn normal(path: &[u8]) -> &[u8] {
    let mut path = path;
    while let Some(rest) = path.strip_prefix(b"./") {
        let slashes = rest.iter().take_while(|&&byte| byte == b'/').count();
        path = &rest[slashes..];
    }
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |at| at + 1);
    if path[..end] == *b"." { &[] } else { &path[..end] }
}

/// Arguments as the patterns that they are; none if everything is meant.
///
/// # Errors
/// Of kind `Usage` for what is no pattern.
pub(crate) fn patterns(args: &[OsString]) -> Result<Vec<String>> {
    let mut patterns = Vec::with_capacity(args.len());
    for arg in args {
        if arg.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "an empty argument names no path; the root is ."));
        }
        if arg.as_bytes().starts_with(b"/") {
            let shown = Escaped(arg.as_bytes());
            let message = format!("{shown}: paths in an archive are relative: leave out the slash in front");
            return Err(Error::new(ErrorKind::Usage, message));
        }
        let path = normal(arg.as_bytes());
        if path.is_empty() {
            // The root and all below it.
            return Ok(Vec::new());
        }
        patterns.push(text(OsStr::from_bytes(path))?);
    }
    Ok(patterns)
}

fn text(pattern: &OsStr) -> Result<String> {
    match pattern.to_str() {
        // A name with a lone bracket is no pattern, but it may well be a path.
        Some(text) => Ok(text.to_owned()),
        None => config::glob(pattern, "argument"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_tidied() {
        let tidy = |args: &[&str]| patterns(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(tidy(&["./a/", "b//", ".//c/d"]).unwrap(), ["a", "b", "c/d"]);
        assert_eq!(tidy(&["a", "."]).unwrap(), [""; 0], "the root is everything");
        assert_eq!(tidy(&["./"]).unwrap(), [""; 0]);
        assert!(tidy(&["/etc"]).is_err_and(|error| error.to_string().contains("relative")));
        assert!(tidy(&[""]).is_err());
        let raw = [OsStr::from_bytes(b"\xff").to_owned()];
        assert!(patterns(&raw).is_err_and(|error| error.to_string().contains("argument: \\xff is not valid UTF-8")));
    }
}
