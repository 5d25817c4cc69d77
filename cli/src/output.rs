//! Standard output and standard error. What flows in: bytes and messages. What flows out: the same, coloured or escaped
//! as the place they go to asks for. Knows when the reader of standard output has gone away.

use std::error::Error as _;
use std::fmt;
use std::fs::File;
use std::io;
use std::io::{BufWriter, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use carrack_engine::control::{Cancel, Escaped, Warning, commands};
use carrack_engine::error::{Error, ErrorKind, Result};

use crate::args::Color;
use crate::signals::Signals;

const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";
const RESET: &str = "\x1b[0m";
/// Empties the line that the cursor is on.
const ERASE: &str = "\r\x1b[2K";

/// Bytes gathered before they are written to standard output.
const BUFFER_LEN: usize = 128 << 10;

/// What every command knows of its surroundings.
#[derive(Debug)]
pub(crate) struct Ui {
    /// No progress, no summary.
    pub(crate) quiet: bool,
    /// Options in effect too.
    pub(crate) verbose: bool,
    /// Standard output is a terminal.
    pub(crate) out_is_terminal: bool,
    /// Standard error is a terminal.
    pub(crate) err_is_terminal: bool,
    /// Colours go to standard output.
    pub(crate) out_colour: bool,
    /// Colours go to standard error.
    pub(crate) err_colour: bool,
    /// Signals caught so far.
    pub(crate) signals: Signals,
    state: Arc<AtomicU8>,
}

const STATE_OPEN: u8 = 0;
const STATE_CLOSED: u8 = 1;
const STATE_FAILED: u8 = 2;

impl Ui {
    /// Looks at the terminal and the environment.
    pub(crate) fn new(quiet: bool, verbose: bool, color: Color) -> Self {
        let out_is_terminal = io::stdout().is_terminal();
        let err_is_terminal = io::stderr().is_terminal();
        let set = |name| std::env::var_os(name).unwrap_or_default();
        let plain = !set("NO_COLOR").is_empty() || set("TERM") == "dumb";
        Self {
            quiet,
            verbose,
            out_is_terminal,
            err_is_terminal,
            out_colour: colours(color, out_is_terminal, plain),
            err_colour: colours(color, err_is_terminal, plain),
            signals: Signals::default(),
            state: Arc::default(),
        }
    }

    /// Standard output, unbuffered.
    ///
    /// # Errors
    /// Of kind `Output`, when there is no file descriptor left.
    pub(crate) fn stdout(&self) -> Result<Stdout> {
        // Rust's own handle scans everything for newlines; a duplicate of the descriptor does not.
        let file = io::stdout().as_fd().try_clone_to_owned().map_err(stdout_error)?;
        Ok(Stdout { file: file.into(), state: Arc::clone(&self.state) })
    }

    /// Standard output, buffered: flush it with [`finish`].
    ///
    /// # Errors
    /// As [`Self::stdout`].
    pub(crate) fn buffered_stdout(&self) -> Result<BufWriter<Stdout>> {
        Ok(BufWriter::with_capacity(BUFFER_LEN, self.stdout()?))
    }

    /// Remembers that whoever read our standard output went away, where `error` says so.
    pub(crate) fn note_closed_pipe(&self, error: &Error) {
        let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
        let is_closed = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
        if causes.any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_closed)) {
            self.state.store(STATE_CLOSED, Ordering::Relaxed);
        }
    }

    /// Whether whoever read our standard output went away.
    pub(crate) fn pipe_closed(&self) -> bool {
        self.state.load(Ordering::Relaxed) == STATE_CLOSED
    }

    /// Whether standard output takes nothing any more, for whatever reason.
    pub(crate) fn stdout_broken(&self) -> bool {
        self.state.load(Ordering::Relaxed) != STATE_OPEN
    }

    /// Says on standard error why the run, or a part of it, failed.
    pub(crate) fn error(&self, what: &dyn fmt::Display) {
        self.message("error", RED, what);
    }

    /// Says on standard error that the archive is damaged, and where.
    pub(crate) fn damage(&self, what: &dyn fmt::Display) {
        self.message("damaged", RED, what);
    }

    /// Says on standard error in what a tree differs from an archive.
    pub(crate) fn difference(&self, what: &dyn fmt::Display) {
        self.message("differs", YELLOW, what);
    }

    /// Says on standard error that something is not as it should be, though nothing that was asked for suffers from it.
    pub(crate) fn warning(&self, what: &dyn fmt::Display) {
        self.message("warning", YELLOW, what);
    }

    /// Says on standard error what went not quite right: every warning, then how many.
    pub(crate) fn warnings(&self, warnings: &[Warning]) {
        for warning in warnings {
            self.message("warning", YELLOW, warning);
        }
        match warnings.len() {
            0 => {}
            1 => self.say("1 warning"),
            n => self.say(&format_args!("{n} warnings")),
        }
    }

    /// Says on standard error which paths cannot be had because of damage.
    pub(crate) fn lost(&self, paths: &[Vec<u8>]) {
        for path in paths {
            self.message("lost", RED, &Escaped(path));
        }
    }

    /// Says something on standard error that is no trouble, unless `--quiet` was given.
    pub(crate) fn note(&self, what: impl fmt::Display) {
        if !self.quiet {
            self.say(&what);
        }
    }

    /// Says something on standard error, whatever the flags.
    fn say<T: fmt::Display + ?Sized>(&self, what: &T) {
        // Nobody is left to be told when standard error itself fails.
        let _ = io::stderr().lock().write_all(format!("carrack: {}\n", Shown(what)).as_bytes());
    }

    /// Lets signals stop the run from now on.
    ///
    /// # Errors
    /// As [`Signals::install`].
    pub(crate) fn watch_signals(&self) -> Result<Cancel> {
        // A bar may still be on the line.
        let erase = if self.err_is_terminal && !self.quiet { ERASE } else { "" };
        self.signals.install(format!("{erase}{}", self.speech("error", RED)))
    }

    /// How a message begins.
    fn speech(&self, word: &str, colour: &str) -> String {
        let (on, off) = if self.err_colour { (colour, RESET) } else { ("", "") };
        format!("carrack: {on}{word}:{off} ")
    }

    fn message(&self, word: &str, colour: &str, what: &dyn fmt::Display) {
        let line = format!("{}{}\n", self.speech(word, colour), Shown(what));
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }
}

fn colours(wish: Color, is_terminal: bool, plain: bool) -> bool {
    match wish {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => is_terminal && !plain,
    }
}

/// Flushes standard output.
///
/// # Errors
/// Of kind `Output`: what was buffered cannot be written.
pub(crate) fn finish(out: &mut dyn Write) -> Result<()> {
    out.flush().map_err(stdout_error)
}

/// An error of standard output as an error of the run.
#[cold]
pub(crate) fn stdout_error(error: io::Error) -> Error {
    Error::with(ErrorKind::Output, "standard output cannot be written", error)
}

/// Standard output without a buffer; remembers how it failed, whatever became of the error on its way up.
#[derive(Debug)]
pub(crate) struct Stdout {
    file: File,
    state: Arc<AtomicU8>,
}

impl Stdout {
    fn note<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::BrokenPipe => self.state.store(STATE_CLOSED, Ordering::Relaxed),
                _ => self.state.store(STATE_FAILED, Ordering::Relaxed),
            }
        }
        result
    }
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.file.write(bytes);
        self.note(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.file.flush();
        self.note(result)
    }
}

/// Shows a message so that nothing in it can command a terminal or pass for a line of its own: control characters as
/// `\xHH`, those that are not seen as `\u{HHHH}`. Paths in messages are already escaped; this is the wall behind that one.
struct Shown<'a, T: ?Sized>(&'a T);

impl<T: fmt::Display + ?Sized> fmt::Display for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        struct Wall<'a, 'b>(&'a mut fmt::Formatter<'b>);
        impl Write for Wall<'_, '_> {
            fn write_str(&mut self, text: &str) -> fmt::Result {
                for c in text.chars() {
                    match c {
                        '\n' => self.0.write_str("\\n")?,
                        c if c.is_control() => write!(self.0, "\\x{:02x}", u32::from(c))?,
                        c if commands(c) => write!(self.0, "\\u{{{:x}}}", u32::from(c))?,
                        c => self.0.write_char(c)?,
                    }
                }
                Ok(())
            }
        }
        write!(Wall(f), "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_a_wish_before_they_are_a_guess() {
        let table = [
            (Color::Auto, true, false, true),
            (Color::Auto, true, true, false),
            (Color::Auto, false, false, false),
            (Color::Always, false, true, true),
            (Color::Never, true, false, false),
        ];
        for (wish, is_terminal, plain, expected) in table {
            assert_eq!(colours(wish, is_terminal, plain), expected, "{wish:?} {is_terminal} {plain}");
        }
    }

    #[test]
    fn a_message_cannot_command_a_terminal() {
        let what = "a\x1b[2Jb\r\nc\u{9b}d grün";
        assert_eq!(Shown(what).to_string(), "a\\x1b[2Jb\\x0d\\nc\\x9bd grün");
    }

    #[test]
    fn a_closed_pipe_is_remembered() {
        let ui = Ui::new(true, false, Color::Never);
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let file = File::from(std::os::fd::OwnedFd::from(writer));
        let mut out = Stdout { file, state: Arc::clone(&ui.state) };
        assert!(!ui.pipe_closed());
        assert!(out.write_all(b"x").is_err());
        assert!(ui.pipe_closed() && ui.stdout_broken());
    }
}
