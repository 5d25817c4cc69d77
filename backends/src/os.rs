//! Small questions to the operating system that [`sink`](crate::sink) and [`tree`](crate::tree) share.
//!
//! What flows in: descriptors, raw names, errors. What flows out: the umask, unused names, errors that say what they
//! are about. What it does not know: what the files are for.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::Mutex;

use rustix::fs::{Mode, Stat};
use rustix::io::Errno;

/// An error together with what was being done to which file. Keeps the kind of the error it wraps.
#[derive(Debug)]
struct Context {
    what: String,
    error: io::Error,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}

// No `source`: the text above already holds the inner error's, and printers of chains would say it twice.
impl std::error::Error for Context {}

/// `error` with `what` in front of its text and the same kind.
#[cold]
pub(crate) fn context(what: String, error: impl Into<io::Error>) -> io::Error {
    let error = error.into();
    io::Error::new(error.kind(), Context { what, error })
}

/// What [`context`] wrapped last, or the error itself.
pub(crate) fn without_context(error: &io::Error) -> &io::Error {
    let context = error.get_ref().and_then(|inner| inner.downcast_ref::<Context>());
    context.map_or(error, |context| &context.error)
}

/// A path as an error may print it: as it is when it is plain text, escaped when it holds control characters (which a
/// terminal would obey) or bytes that are not UTF-8.
pub(crate) fn show(path: &[u8]) -> String {
    match std::str::from_utf8(path) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => path.escape_ascii().to_string(),
    }
}

/// The permission bits that this process takes away from every file that it makes.
pub(crate) fn umask() -> u32 {
    umask_by_proc().unwrap_or_else(umask_by_swap)
}

/// Linux 4.7 and later say it without changing it.
fn umask_by_proc() -> Option<u32> {
    let status = std::fs::read("/proc/self/status").ok()?;
    let line = status.split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"Umask:"))?;
    u32::from_str_radix(std::str::from_utf8(line).ok()?.trim(), 8).ok()
}

/// Everywhere else the only way to ask is to set it and to set it back. Whatever another thread makes in between gets
/// no more than its owner's permissions: too tight for a moment, never too loose.
#[allow(clippy::unnecessary_cast)] // `mode_t` is narrower on some systems.
fn umask_by_swap() -> u32 {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let old = rustix::process::umask(mode(0o077));
    rustix::process::umask(old);
    old.bits() as u32
}

/// Permission bits as the system takes them: `bits & 0o7777`.
#[allow(clippy::unnecessary_cast, clippy::cast_possible_truncation)] // Modes are narrower on some systems.
pub(crate) fn mode(bits: u32) -> Mode {
    Mode::from_bits_truncate((bits & 0o7777) as rustix::fs::RawMode)
}

/// Permission bits with setuid, setgid and sticky.
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // Modes are narrower on some systems.
pub(crate) fn mode_bits(stat: &Stat) -> u32 {
    u32::from(stat.st_mode) & 0o7777
}

/// Calls `make` with one hidden name after the other until it finds one that is not taken.
pub(crate) fn with_hidden_name<T>(mut make: impl FnMut(&str) -> rustix::io::Result<T>) -> io::Result<(T, String)> {
    // The first name is free unless somebody plays tricks.
    for _ in 0..32 {
        let name = hidden_name();
        match make(&name) {
            Ok(made) => return Ok((made, name)),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Err(Errno::EXIST.into())
}

fn hidden_name() -> String {
    // A `RandomState` is seeded by the system once a thread and differs each time after that.
    format!(".carrack-{:016x}.part", RandomState::new().build_hasher().finish())
}

/// A path that leads to exactly the open file `fd`, whatever became of its name.
#[cfg(target_os = "linux")]
pub(crate) fn proc_path(fd: std::os::fd::BorrowedFd<'_>) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_ask_for_the_umask_agree_and_leave_it() {
        if !crate::child::enter("os::tests::both_ways_to_ask_for_the_umask_agree_and_leave_it", |_| ()) {
            return;
        }
        for mask in [0o022, 0o077, 0o000, 0o027] {
            rustix::process::umask(mode(mask));
            assert_eq!(umask_by_swap(), mask);
            assert_eq!(umask(), mask);
            #[cfg(target_os = "linux")]
            assert_eq!(umask_by_proc(), Some(mask));
        }
    }

    #[test]
    fn context_keeps_the_kind_and_both_texts() {
        let error = context("writing x".to_owned(), Errno::NOSPC);
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().starts_with("writing x: "), "{error}");
    }

    #[test]
    fn shown_paths_hold_no_control_characters() {
        assert_eq!(show("naïve/ß".as_bytes()), "naïve/ß");
        assert_eq!(show(b"a\x1b[2Jb"), "a\\x1b[2Jb");
        assert_eq!(show("a\u{9b}b".as_bytes()), "a\\xc2\\x9bb");
        assert_eq!(show(b"\xff"), "\\xff");
    }

    #[test]
    fn hidden_names_differ_and_are_not_drawn_for_ever() {
        let mut names = std::collections::BTreeSet::new();
        let error = with_hidden_name(|name| {
            names.insert(name.to_owned());
            Err::<(), _>(Errno::EXIST)
        });
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(names.len(), 32);
        assert_eq!(with_hidden_name(|_| Err::<(), _>(Errno::IO)).unwrap_err().raw_os_error(), Some(5));
    }
}
