//! `tune.toml`: what is remembered. What flows in: the file. What flows out: its entries, or one line that says what is
//! wrong with it and where. What this module does not know: who asks.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use carrack_engine::control::Escaped;
use carrack_engine::error::{Error, ErrorKind, Result};
use carrack_measure::cache::Cache;
use etcetera::BaseStrategy;
use serde::{Deserialize, Serialize};

use super::args::Operation;
use super::settings::Settings;

/// Version of the file that this program writes and reads.
const VERSION: i64 = 1;

/// No file of this kind is larger, bytes.
const LEN_MAX: u64 = 4 << 20;

/// What stands above the entries.
const HEAD: &str = "\
# Written by `carrack tune`. `carrack pack` and `carrack unpack` take the settings of the last entry that fits this
# machine and the file system; a flag that is given wins over its setting, and --no-tune over all of them.
";

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    version: i64,
    /// In the order in which they were found.
    #[serde(default, rename = "entry", skip_serializing_if = "Vec::is_empty")]
    pub(crate) entries: Vec<Entry>,
}

/// What was found for one operation on one file system of one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// [`carrack_measure::host::key`].
    pub(crate) host: String,
    /// [`carrack_measure::host::filesystem`].
    pub(crate) filesystem: String,
    pub(crate) operation: Operation,
    pub(crate) cache: Cache,
    /// How it was found.
    pub(crate) method: Method,
    /// What the user was told.
    pub(crate) verdict: String,
    /// Version of Carrack.
    pub(crate) carrack: String,
    /// When, UTC.
    pub(crate) date: String,
    /// What to use; empty where the defaults are as good as anything.
    #[serde(default)]
    pub(crate) settings: Settings,
    pub(crate) evidence: Evidence,
}

/// How candidates were searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Method {
    Halving,
    Exhaustive,
}

/// Why an entry says what it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Evidence {
    /// Time of the best confirmed settings to that of the defaults, geometric mean of the rounds.
    pub(crate) ratio: f64,
    /// 95% interval of it.
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Rounds of the confirmation.
    pub(crate) rounds: u64,
    /// Runs of the search before it.
    pub(crate) runs: u64,
    /// Peak of memory, bytes.
    pub(crate) memory_bytes: u64,
    pub(crate) default_memory_bytes: u64,
    /// What was packed and unpacked.
    pub(crate) inputs: Vec<String>,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Whether that is a part of the inputs only.
    pub(crate) sampled: bool,
}

/// What an entry is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) host: &'a str,
    pub(crate) filesystem: &'a str,
    pub(crate) operation: Operation,
}

impl Memory {
    /// The entry to use: the last one that fits.
    pub(crate) fn find(&self, key: Key<'_>) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.is_of(key))
    }

    /// The entry for one state of the cache.
    pub(crate) fn find_cached(&self, key: Key<'_>, cache: Cache) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is_of(key) && entry.cache == cache)
    }

    /// Adds an entry, which takes the place of the one about the same.
    pub(crate) fn put(&mut self, entry: Entry) {
        let key = Key { host: &entry.host, filesystem: &entry.filesystem, operation: entry.operation };
        self.entries.retain(|old| !(old.is_of(key) && old.cache == entry.cache));
        self.entries.push(entry);
    }
}

impl Entry {
    fn is_of(&self, key: Key<'_>) -> bool {
        self.host == key.host && self.filesystem == key.filesystem && self.operation == key.operation
    }
}

/// Where it is remembered.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) path: PathBuf,
}

impl Store {
    /// The file of whoever runs this; an error says why there is no place for one.
    pub(crate) fn of_user() -> std::result::Result<Self, String> {
        let folders = etcetera::choose_base_strategy().map_err(|error| format!("no home folder: {error}"))?;
        Ok(Self { path: folders.config_dir().join("carrack").join("tune.toml") })
    }

    /// The path for people.
    pub(crate) fn name(&self) -> String {
        Escaped(self.path.as_os_str().as_bytes()).to_string()
    }

    /// What is remembered; `None` where there is no file. An error is one line that names file and line.
    pub(crate) fn load(&self) -> std::result::Result<Option<Memory>, String> {
        let wrong = |what: &dyn std::fmt::Display| format!("{}: {what}", self.name());
        let mut bytes = Vec::new();
        match fs::File::open(&self.path).and_then(|file| file.take(LEN_MAX + 1).read_to_end(&mut bytes)) {
            Err(error) if self.is_none(&error) => return Ok(None),
            Err(error) => return Err(wrong(&format_args!("cannot be read: {error}"))),
            Ok(_) if bytes.len() as u64 > LEN_MAX => return Err(wrong(&format_args!("larger than {LEN_MAX} bytes"))),
            Ok(_) => {}
        }
        let text = str::from_utf8(&bytes)
            .map_err(|error| wrong(&format_args!("line {}: not UTF-8", line_of(&bytes, error.valid_up_to()))))?;
        parse(text).map(Some).map_err(|what| wrong(&what))
    }

    /// Whether an error of opening the file means that there is none for us. A folder that is closed to us is somebody
    /// else's, whose home we were told is ours; a file in an open folder is meant to be read.
    fn is_none(&self, error: &io::Error) -> bool {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => true,
            io::ErrorKind::PermissionDenied => fs::symlink_metadata(&self.path).is_err(),
            _ => false,
        }
    }

    /// Whether [`save`](Self::save) is going to work: makes the folder and tries a file in it.
    ///
    /// # Errors
    /// Of kind `Output`.
    pub(crate) fn check(&self) -> Result<()> {
        self.temporary().map(drop)
    }

    /// Replaces the file as a whole.
    ///
    /// # Errors
    /// Of kind `Output`; the old file is as it was then.
    pub(crate) fn save(&self, memory: &Memory) -> Result<()> {
        let failed = |error: &dyn std::fmt::Display| {
            Error::new(ErrorKind::Output, format!("{}: cannot be written: {error}", self.name()))
        };
        let text = toml::to_string(&Memory { version: VERSION, ..memory.clone() }).map_err(|error| failed(&error))?;
        let mut file = self.temporary()?;
        let written = write!(file, "{HEAD}{text}").and_then(|()| file.as_file().sync_all());
        written.map_err(|error| failed(&error))?;
        file.persist(&self.path).map_err(|error| failed(&error.error))?;
        Ok(())
    }

    /// Removes the file.
    ///
    /// # Errors
    /// Of kind `Output`, unless it was not there.
    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::with(ErrorKind::Output, format!("{}: cannot be removed", self.name()), error))
            }
            _ => Ok(()),
        }
    }

    fn temporary(&self) -> Result<tempfile::NamedTempFile> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let file = fs::create_dir_all(folder).and_then(|()| tempfile::NamedTempFile::new_in(folder));
        file.map_err(|error| {
            let folder = Escaped(folder.as_os_str().as_bytes()).to_string();
            Error::with(ErrorKind::Output, format!("{folder}: what is found could not be remembered here"), error)
        })
    }
}

/// Reads the text of the file. An error names the line.
fn parse(text: &str) -> std::result::Result<Memory, String> {
    let told = |error: toml::de::Error| {
        let line = error.span().map_or(1, |span| line_of(text.as_bytes(), span.start));
        format!("line {line}: {}", error.message().replace('\n', ", "))
    };
    // The version first: nothing else is known of a file of another one.
    #[derive(Deserialize)]
    struct Versioned {
        version: i64,
    }
    let Versioned { version } = toml::from_str(text).map_err(told)?;
    if version != VERSION {
        return Err(format!("it has version {version}, and this carrack reads version {VERSION}"));
    }
    toml::from_str(text).map_err(told)
}

/// The text of a file as it would be written again.
///
/// # Errors
/// As [`Store::load`]: one line that names the line of the file.
pub(crate) fn reread(text: &str) -> std::result::Result<String, String> {
    toml::to_string(&parse(text)?).map_err(|error| error.to_string())
}

/// The number of the line that holds the byte at `at`.
fn line_of(bytes: &[u8], at: usize) -> usize {
    1 + bytes.iter().take(at).filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    pub(super) fn entry(host: &str, filesystem: &str, slots: u32) -> Entry {
        Entry {
            host: host.to_owned(),
            filesystem: filesystem.to_owned(),
            operation: Operation::Pack,
            cache: Cache::Hot,
            method: Method::Halving,
            verdict: "better".to_owned(),
            carrack: "0.1.0".to_owned(),
            date: "2026-01-01T00:00:00Z".to_owned(),
            settings: Settings { slots: NonZeroU32::new(slots), ..Settings::default() },
            evidence: Evidence {
                ratio: 0.9,
                low: 0.85,
                high: 0.95,
                rounds: 20,
                runs: 100,
                memory_bytes: 30 << 20,
                default_memory_bytes: 28 << 20,
                inputs: vec!["a \"b\"".to_owned()],
                files: 10,
                bytes: 1 << 40,
                sampled: true,
            },
        }
    }

    fn store() -> (tempfile::TempDir, Store) {
        let place = tempfile::tempdir().unwrap();
        let store = Store { path: place.path().join("deep/carrack/tune.toml") };
        (place, store)
    }

    #[test]
    fn what_is_saved_is_loaded_and_other_entries_stay() {
        let (_place, store) = store();
        assert_eq!(store.load(), Ok(None));
        let mut memory = Memory::default();
        memory.put(entry("me", "ext4 on /dev/a", 8));
        memory.put(entry("you", "ext4 on /dev/a", 16));
        store.save(&memory).unwrap();
        let mut memory = store.load().unwrap().unwrap();
        memory.put(entry("me", "ext4 on /dev/a", 32));
        store.save(&memory).unwrap();
        let memory = store.load().unwrap().unwrap();
        assert_eq!(memory.entries, [entry("you", "ext4 on /dev/a", 16), entry("me", "ext4 on /dev/a", 32)]);
        assert_eq!(fs::read_dir(store.path.parent().unwrap()).unwrap().count(), 1, "nothing lies about");
    }

    #[test]
    fn the_last_entry_that_fits_is_taken() {
        let mut memory = Memory::default();
        memory.put(entry("me", "ext4 on /dev/a", 8));
        memory.put(Entry { cache: Cache::Cold, ..entry("me", "ext4 on /dev/a", 16) });
        let key = |host, filesystem, operation| Key { host, filesystem, operation };
        let slots = |key| memory.find(key).and_then(|entry| entry.settings.slots).map(NonZeroU32::get);
        assert_eq!(slots(key("me", "ext4 on /dev/a", Operation::Pack)), Some(16));
        assert_eq!(slots(key("me", "ext4 on /dev/b", Operation::Pack)), None);
        assert_eq!(slots(key("you", "ext4 on /dev/a", Operation::Pack)), None);
        assert_eq!(slots(key("me", "ext4 on /dev/a", Operation::Unpack)), None);
        let cached = memory.find_cached(key("me", "ext4 on /dev/a", Operation::Pack), Cache::Hot);
        assert_eq!(cached.unwrap().settings.slots, NonZeroU32::new(8));
    }

    #[test]
    fn what_is_wrong_is_told_with_file_and_line() {
        let (_place, store) = store();
        store.save(&Memory { entries: vec![entry("me", "x", 8)], ..Memory::default() }).unwrap();
        let right = fs::read_to_string(&store.path).unwrap();
        let table: [(String, &str); 7] = [
            (right.replace("slots = 8", "slots = 0"), "expected a nonzero u32"),
            (right.replace("slots = 8", "slots = \"x\""), "invalid type"),
            (right.replace("slots = 8", "slotz = 8"), "unknown field"),
            (right.replace("version = 1", "version = 2"), "version 2, and this carrack reads version 1"),
            (right.replace("version = 1", ""), "missing field"),
            ("version = 1\n\n[[entry]\n".to_owned(), "line 3: "),
            (right.replace("operation = \"pack\"", "operation = \"eat\""), "unknown variant"),
        ];
        for (text, part) in table {
            fs::write(&store.path, &text).unwrap();
            let error = store.load().unwrap_err();
            assert!(error.contains(part) && error.contains("tune.toml: ") && !error.contains('\n'), "{part}: {error}");
        }
        let line = 1 + right.lines().position(|line| line.contains("slots = 8")).unwrap();
        fs::write(&store.path, right.replace("slots = 8", "slots = -1")).unwrap();
        assert!(store.load().unwrap_err().contains(&format!("line {line}: ")));
        fs::write(&store.path, b"version = 1\n\xff").unwrap();
        assert!(store.load().unwrap_err().contains("line 2: not UTF-8"));
        fs::remove_file(&store.path).unwrap();
        fs::create_dir(&store.path).unwrap();
        assert!(store.load().unwrap_err().contains("cannot be read"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_noticed_early() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("file"), "").unwrap();
        let store = Store { path: place.path().join("file/carrack/tune.toml") };
        assert!(store.check().unwrap_err().to_string().contains("could not be remembered"));
        assert_eq!(store.load(), Ok(None));
    }
}
