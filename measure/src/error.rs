//! Why a measurement could not be made, in words.

use std::fmt;
use std::path::Path;

/// What failed and why, as one line.
#[derive(Debug)]
pub struct Failure {
    what: String,
    /// Somebody wanted an end.
    signal: Option<i32>,
}

/// What everything here returns.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A failure in these words.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), signal: None }
    }

    /// The end that somebody wanted with this signal.
    #[must_use]
    pub fn stopped(signal: i32) -> Self {
        Self { what: "stopped before the end".to_owned(), signal: Some(signal) }
    }

    /// The signal, if this is an end that somebody wanted.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.signal
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// Says what was being done when an error came.
pub trait Context<T> {
    /// `cannot {what}: {error}`.
    ///
    /// # Errors
    /// When `self` is one.
    fn doing(self, what: impl fmt::Display) -> Result<T>;

    /// `cannot {what} {path}: {error}`.
    ///
    /// # Errors
    /// When `self` is one.
    fn at(self, what: &str, path: &Path) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure::new(format!("cannot {what}: {error}")))
    }

    fn at(self, what: &str, path: &Path) -> Result<T> {
        self.map_err(|error| Failure::new(format!("cannot {what} {}: {error}", path.display())))
    }
}
