//! The one error that callers of the engine see: what kind of failure it is, and a message that names the file, the
//! offset, what was expected and what was found.

use std::fmt;

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// What was asked for makes no sense, such as a level that does not exist.
    Usage,
    /// An input is missing or cannot be read at all.
    Input,
    /// The archive or the tree cannot be written.
    Output,
    /// The file is no archive of this kind.
    NotAnArchive,
    /// The archive was written by a newer version.
    Newer,
    /// The archive is damaged or truncated.
    Damaged,
    /// The archive comes to more than was allowed, or than there is space for.
    TooLarge,
    /// A path that was asked for is not in the archive.
    NotFound,
    /// The caller stopped the run.
    Cancelled,
}

/// A failure of a whole run.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What engine calls return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with a message of its own.
    #[cold]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    /// An error that comes from another one; `message` says what was being done, the source what went wrong.
    #[cold]
    pub fn with(
        kind: ErrorKind,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: Some(source.into()) }))
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The whole chain in one line: an error that hides its cause behind a debug switch helps nobody.
        let mut text = self.0.message.clone();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let said = cause.to_string();
            // Some errors quote their cause and give it as their source as well.
            if !text.contains(&said) {
                text.push_str(": ");
                text.push_str(&said);
            }
            source = cause.source();
        }
        f.write_str(&text)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quotes its cause, and gives it as its source too.
    #[derive(Debug)]
    struct Quoting(std::io::Error);

    impl fmt::Display for Quoting {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a.txt: {}", self.0)
        }
    }

    impl std::error::Error for Quoting {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn every_cause_is_said_once() {
        let cause = || std::io::Error::other("no luck");
        assert_eq!(Error::with(ErrorKind::Input, "cannot walk", cause()).to_string(), "cannot walk: no luck");
        let quoting = Error::with(ErrorKind::Input, "cannot walk", Quoting(cause()));
        assert_eq!(quoting.to_string(), "cannot walk: a.txt: no luck");
    }
}
