//! What the program reads from people and from files, as functions of bytes alone.
//!
//! In: anything. Out: what it means, as text, or the message that the user gets. For whoever tries the parsers with
//! anything, as `fuzz/` does; the commands call the parsers themselves.

use std::ffi::OsString;

use carrack_engine::error::Result;
use clap::Parser;

use crate::args::{Args, Command};
use crate::config;
use crate::size::{self, Human};
use crate::time::Utc;
use crate::tune;

/// What is remembered in a `tune.toml`: its text as it would be written again.
///
/// # Errors
/// The message, which names the line.
pub fn tune_file(text: &str) -> std::result::Result<String, String> {
    tune::reread(text)
}

/// A size in bytes.
///
/// # Errors
/// The message.
pub fn size(text: &str) -> std::result::Result<u64, String> {
    size::parse(text)
}

/// A size as people are shown it.
#[must_use]
pub fn shown_size(bytes: u64) -> String {
    Human(bytes).to_string()
}

/// A stretch of time, ns.
///
/// # Errors
/// The message.
pub fn duration(text: &str) -> std::result::Result<u128, String> {
    tune::args::duration(text).map(|time| time.as_nanos())
}

/// A moment, ns since 1970-01-01 UTC, as people are shown it.
#[must_use]
pub fn shown_time(ns: i64) -> String {
    format!("{:#}", Utc(ns))
}

/// The patterns of a file that `--exclude-from` names.
///
/// # Errors
/// The message, which names the line.
pub fn patterns(mut bytes: &[u8]) -> Result<Vec<String>> {
    let mut patterns = Vec::new();
    config::parse_patterns(&mut bytes, "the file", &mut patterns)?;
    Ok(patterns)
}

/// A command line without the program's name: what it comes to, or the message. Of files with patterns it says only that
/// there are some: nothing is opened.
///
/// # Errors
/// The message.
pub fn arguments(words: &[OsString]) -> std::result::Result<String, String> {
    let name = OsString::from("carrack");
    let args = Args::try_parse_from(std::iter::once(&name).chain(words)).map_err(|error| error.to_string())?;
    match args.command {
        Command::Pack(pack) if pack.exclude_from.is_empty() => {
            config::Pack::resolve(pack).map(|pack| pack.describe()).map_err(|error| error.to_string())
        }
        command => Ok(format!("{command:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_the_commands_read() {
        assert_eq!((size("4k"), shown_size(4096)), (Ok(4096), "4.00 KiB".to_owned()));
        assert_eq!((duration("2m"), shown_time(0)), (Ok(120_000_000_000), "1970-01-01T00:00:00.000000000Z".to_owned()));
        assert_eq!(patterns(b"# none\n*.o\n").unwrap(), ["*.o"]);
        assert!(patterns(b"[").unwrap_err().to_string().contains("line 1"));
        assert!(tune_file("version = 1").is_ok() && tune_file("version = 2").is_err());
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(arguments(&words("pack tree -o a.crk")).is_ok());
        assert!(arguments(&words("pack tree -o a.crk --level 3 --codec lz4")).unwrap_err().contains("--level"));
        assert!(arguments(&words("verify")).is_err());
    }
}
