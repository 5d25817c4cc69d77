//! Settings that change how fast a run is and not one byte of what it makes. What flows in: numbers. What flows out:
//! flags, words, JSON. What this module does not know: which of them are any good.

use std::ffi::OsString;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::args::IoName;
use crate::size::Human;

/// Some flags of `pack` or `unpack`; what is not set stays as it is by default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) io: Option<IoName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slots: Option<NonZeroU32>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) slot_size: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) readers: Option<NonZeroUsize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) depth: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) direct: Option<u64>,
}

impl Settings {
    /// Whether everything stays as it is by default.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// As arguments.
    pub(crate) fn flags(&self) -> Vec<OsString> {
        let mut flags = Vec::new();
        let mut flag = |name: &str, value: Option<String>| {
            flags.extend(value.map(|value| OsString::from(format!("{name}={value}"))));
        };
        flag("--io", self.io.map(io_name));
        flag("--slots", self.slots.map(|n| n.to_string()));
        flag("--slot-size", self.slot_size.map(|n| n.to_string()));
        flag("--readers", self.readers.map(|n| n.to_string()));
        flag("--depth", self.depth.map(|n| n.to_string()));
        flag("--threads", self.threads.map(|n| n.to_string()));
        flag("--direct", self.direct.map(|n| n.to_string()));
        flags
    }
}

/// The name of a way to read, as it is typed.
pub(crate) fn io_name(io: IoName) -> String {
    io.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.io.map(|io| format!("io {}", io_name(io))));
        words.extend(self.readers.map(|n| format!("readers {n}")));
        words.extend(self.depth.map(|n| format!("depth {n}")));
        words.extend(self.slots.map(|n| format!("slots {n}")));
        words.extend(self.slot_size.map(|n| format!("slot size {}", Human(u64::from(n.get())))));
        words.extend(self.threads.map(|n| format!("threads {n}")));
        words.extend(self.direct.map(|n| format!("direct from {}", Human(n))));
        f.write_str(if words.is_empty() { "the defaults".to_owned() } else { words.join(", ") }.as_str())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    #[test]
    fn every_setting_becomes_a_flag_that_pack_understands() {
        let settings = Settings {
            io: Some(IoName::Pool),
            slots: NonZeroU32::new(12),
            slot_size: NonZeroU32::new(2 << 20),
            readers: NonZeroUsize::new(5),
            depth: NonZeroU32::new(77),
            threads: NonZeroUsize::new(3),
            direct: Some(1 << 20),
        };
        let line = ["carrack", "pack", "src"].map(OsString::from).into_iter().chain(settings.flags());
        let Command::Pack(pack) = Args::parse_from(line).command else { panic!("no pack") };
        assert_eq!((pack.io, pack.slots, pack.readers), (settings.io, settings.slots, settings.readers));
        assert_eq!((pack.depth, pack.threads, pack.direct), (settings.depth, settings.threads, settings.direct));
        assert_eq!(pack.slot_size, Some(2 << 20));
        let words = "io pool, readers 5, depth 77, slots 12, slot size 2.00 MiB, threads 3, direct from 1.00 MiB";
        assert_eq!(settings.to_string(), words);
    }

    #[test]
    fn nothing_set_is_the_defaults() {
        assert!(Settings::default().is_default() && Settings::default().flags().is_empty());
        assert_eq!(Settings::default().to_string(), "the defaults");
    }
}
