//! `run.json`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::RunArgs;
use super::row::Row;
use crate::child::Settings;
use carrack_measure::error::{Context, Result};
use carrack_measure::host::{self, Host};

/// Name and version of the schema: another version means that a reader has to look again.
const SCHEMA: &str = "carrack.run/2";

/// The whole document.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    schema: &'static str,
    /// The arguments of this program.
    command: Vec<String>,
    pub(super) host: Host,
    load_at_end: String,
    pub(super) settings: Settings,
    /// Whether archives were made durable within the measured time.
    pub(super) sync: bool,
    /// What the page cache held when each contender began.
    cache: &'static str,
    pub(super) rows: Vec<Row>,
}

impl Document {
    pub(super) fn new(args: &RunArgs, host: Host, rows: Vec<Row>) -> Self {
        Self {
            schema: SCHEMA,
            command: std::env::args().collect(),
            host,
            load_at_end: host::load(),
            settings: args.settings.clone(),
            sync: !args.no_sync,
            cache: "warm: every file is read just before it is packed",
            rows,
        }
    }

    /// Writes it, whole or not at all.
    pub(super) fn save(&self, results: &Path) -> Result<PathBuf> {
        save(self, results, "run.json")
    }
}

/// Writes a JSON document under a temporary name and gives it its own when it is complete.
pub(crate) fn save(document: &impl Serialize, results: &Path, name: &str) -> Result<PathBuf> {
    let place = results.join(name);
    let mut text = serde_json::to_string_pretty(document).doing(format!("put {name} together"))?;
    text.push('\n');
    let temporary = results.join(format!(".{name}.partial"));
    fs::write(&temporary, text).at("write", &temporary)?;
    fs::rename(&temporary, &place).at("rename to", &place)?;
    Ok(place)
}
