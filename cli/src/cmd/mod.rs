//! One file a command: each calls the engine, shows what came of it, and says how it ended.

pub(crate) mod cat;
pub(crate) mod completions;
pub(crate) mod estimate;
pub(crate) mod info;
pub(crate) mod list;
pub(crate) mod man;
pub(crate) mod pack;
pub(crate) mod salvage;
pub(crate) mod unpack;
pub(crate) mod verify;

use std::fmt;
use std::time::Duration;

use crate::size::Human;
use crate::time::Took;

/// Bytes of decoded rows that are kept for looking up names, where memory is to be small.
const ROWS_LEN: usize = 16 << 20;

/// How long something took, and how many bytes a second that makes.
struct Pace {
    bytes: u64,
    took: Duration,
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Took(self.took))?;
        let seconds = self.took.as_secs_f64();
        if self.bytes > 0 && seconds > 0.0 {
            write!(f, ", {}/s of content", Human((self.bytes as f64 / seconds) as u64))?;
        }
        Ok(())
    }
}

/// A number and its noun: `1 entry`, `2 entries`.
pub(crate) fn count(n: u64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {many}") }
}

/// Stored bytes divided by raw bytes, if there is anything to divide by.
fn ratio(stored: u64, raw: u64) -> Option<f64> {
    (raw > 0).then(|| stored as f64 / raw as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_nouns() {
        assert_eq!(count(1, "entry", "entries"), "1 entry");
        assert_eq!(count(0, "entry", "entries"), "0 entries");
        assert_eq!(Pace { bytes: 10 << 20, took: Duration::from_secs(2) }.to_string(), "2.00 s, 5.00 MiB/s of content");
        assert_eq!(Pace { bytes: 0, took: Duration::from_secs(2) }.to_string(), "2.00 s");
        assert_eq!((ratio(1, 4), ratio(1, 0)), (Some(0.25), None));
    }
}
