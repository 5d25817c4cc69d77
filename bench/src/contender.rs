//! Who is measured: the engine with each of its backends, and the naive contender.

use std::fmt;
use std::str::FromStr;

use carrack_backends::read::choose::IoChoice;
use serde::{Deserialize, Serialize};

/// Something that packs a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Contender {
    /// The engine, reading in this way.
    Engine(IoChoice),
    /// [`crate::naive`].
    Naive,
}

impl Contender {
    /// Everyone that `carrack-bench run` measures unless told otherwise.
    pub const ALL: [Contender; 5] = [
        Contender::Engine(IoChoice::Uring),
        Contender::Engine(IoChoice::Pool),
        Contender::Engine(IoChoice::Pread),
        Contender::Engine(IoChoice::Mmap),
        Contender::Naive,
    ];

    /// Its name in tables, in JSON and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Contender::Engine(io) => io.name(),
            Contender::Naive => "naive",
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Contender {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name.trim() {
            "naive" => Ok(Contender::Naive),
            io => io.parse().map(Contender::Engine).map_err(|error| format!("{error}, naive")),
        }
    }
}

impl From<Contender> for String {
    fn from(contender: Contender) -> String {
        contender.name().to_owned()
    }
}

impl TryFrom<String> for Contender {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_it_is_written() {
        for contender in Contender::ALL.into_iter().chain([Contender::Engine(IoChoice::Auto)]) {
            assert_eq!(contender.to_string().parse(), Ok(contender));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = "squid".parse::<Contender>().unwrap_err();
        assert!(error.contains("\"squid\"") && error.contains("uring") && error.ends_with("naive"), "{error}");
    }
}
