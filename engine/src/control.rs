//! How a caller follows a run and stops it, and how a run tells of what went not quite right.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a run is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Looking for entries; totals are not known yet.
    Walk,
    /// Looking at the beginning of each file, for the order in which contents are stored.
    Scan,
    /// Making dictionaries from a sample; entries are groups of files here.
    Train,
    /// Reading, compressing and writing an archive.
    Pack,
    /// Writing the index and making the archive durable.
    Finish,
    /// Decoding and writing a tree.
    Unpack,
    /// Decoding and checking.
    Verify,
    /// Looking for what is left of an archive.
    Salvage,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Walk => "walk",
            Stage::Scan => "scan",
            Stage::Train => "train",
            Stage::Pack => "pack",
            Stage::Finish => "finish",
            Stage::Unpack => "unpack",
            Stage::Verify => "verify",
            Stage::Salvage => "salvage",
        })
    }
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is busy with.
    pub stage: Stage,
    /// Bytes of file content done.
    pub bytes: u64,
    /// Bytes of file content in all; zero while unknown.
    pub bytes_total: u64,
    /// Entries done (while walking: found).
    pub entries: u64,
    /// Entries in all; zero while unknown.
    pub entries_total: u64,
    /// Bytes written to the archive so far.
    pub stored: u64,
}

/// What is called with the progress, some ten times a second at the most.
pub type OnProgress = Arc<dyn Fn(&Progress) + Send + Sync>;

/// Stops a run from another thread or from a signal handler: only an atomic flag. A run that sees it winds down,
/// removes what it had begun to write, and fails with an error of kind `Cancelled`.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// A flag that is not set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Uses a flag of the caller's.
    #[must_use]
    pub fn from_flag(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }

    /// Asks the run to stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A callback and a flag, as every long run takes them.
#[derive(Clone, Default)]
pub struct Control {
    /// Who is told about progress.
    pub on_progress: Option<OnProgress>,
    /// The flag that stops the run.
    pub cancel: Cancel,
}

impl Control {
    /// Tells the caller how far the run has come.
    pub fn report(&self, progress: &Progress) {
        if let Some(on_progress) = &self.on_progress {
            on_progress(progress);
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("on_progress", &self.on_progress.is_some())
            .field("cancel", &self.cancel)
            .finish()
    }
}

/// Something that went wrong with one path while the rest went on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Archive path of what it is about.
    pub path: Vec<u8>,
    /// What happened, as one clause: `cannot be read: Permission denied`.
    pub what: String,
}

impl Warning {
    /// A warning about `path`.
    pub fn new(path: &[u8], what: impl Into<String>) -> Self {
        Self { path: path.to_vec(), what: what.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Escaped(&self.path), self.what)
    }
}

/// Shows a path so that no byte of it can be taken for a terminal command, and so that two different paths never
/// look alike: control characters and bytes that are not UTF-8 as `\xHH`, a backslash doubled, the root as `.`.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        if self.0.is_empty() {
            return f.write_char('.');
        }
        for part in self.0.utf8_chunks() {
            for c in part.valid().chars() {
                match c {
                    '\\' => f.write_str("\\\\")?,
                    '\n' => f.write_str("\\n")?,
                    '\t' => f.write_str("\\t")?,
                    c if commands(c) => {
                        let mut buf = [0; 4];
                        for byte in c.encode_utf8(&mut buf).bytes() {
                            write!(f, "\\x{byte:02x}")?;
                        }
                    }
                    c => f.write_char(c)?,
                }
            }
            for byte in part.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Whether a character may command a terminal, or make text look like other text: control characters of both sets (U+0000
/// to U+001F, U+007F to U+009F), and those that cannot be seen.
#[must_use]
pub fn commands(c: char) -> bool {
    c.is_control() || is_invisible(c)
}

/// Characters that change how their neighbours are shown (bidirectional controls, zero-width characters, line and
/// paragraph separators): they can make one name look like another.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_command_a_terminal_nor_look_alike() {
        let show = |bytes: &[u8]| Escaped(bytes).to_string();
        assert_eq!(show(b"plain/name.txt"), "plain/name.txt");
        assert_eq!(show("grün".as_bytes()), "grün");
        assert_eq!(show(b"a\x1b[31mred"), "a\\x1b[31mred");
        assert_eq!(show(b"two\nlines"), "two\\nlines");
        assert_eq!(show(b"\xff"), "\\xff");
        assert_eq!(show(b"\\xff"), "\\\\xff");
        assert_eq!(show("a\u{202e}b".as_bytes()), "a\\xe2\\x80\\xaeb");
        assert_eq!(show(b""), ".");
    }
}
