//! `carrack tune --show` and `--forget`.

use std::io::Write;

use carrack_engine::error::{Error, ErrorKind, Result};
use carrack_measure::host;
use carrack_measure::table::{Align, Grid};
use serde::Serialize;

use super::store::{Entry, Memory, Store};
use crate::exit::Exit;
use crate::output::{Ui, finish, stdout_error};

/// Where it is remembered.
///
/// # Errors
/// Of kind `Usage`, when there is no place for it.
pub(super) fn store() -> Result<Store> {
    Store::of_user()
        .map_err(|what| Error::new(ErrorKind::Usage, format!("there is nowhere to remember settings: {what}")))
}

/// What is remembered.
///
/// # Errors
/// Of kind `Input`, when the file is damaged; the message says how to get rid of it.
pub(super) fn load(store: &Store) -> Result<Memory> {
    match store.load() {
        Ok(memory) => Ok(memory.unwrap_or_default()),
        Err(what) => {
            let message = format!("{what}; correct it, or remove it with carrack tune --forget --all");
            Err(Error::new(ErrorKind::Input, message))
        }
    }
}

/// All of it for programs.
#[derive(Serialize)]
struct Shown<'a> {
    path: String,
    /// The key of this machine.
    host: &'a str,
    entries: &'a [Entry],
}

/// Shows what is remembered, of all machines.
///
/// # Errors
/// When it cannot be read, or standard output cannot be written.
pub(super) fn show(json: bool, ui: &Ui) -> Result<Exit> {
    let store = store()?;
    let memory = load(&store)?;
    let host = host::key();
    let mut out = ui.buffered_stdout()?;
    if json {
        let shown = Shown { path: store.path.to_string_lossy().into_owned(), host: &host, entries: &memory.entries };
        serde_json::to_writer(&mut out, &shown).map_err(|error| stdout_error(error.into()))?;
        out.write_all(b"\n").map_err(stdout_error)?;
    } else if memory.entries.is_empty() {
        ui.note(format_args!(
            "{}: nothing is remembered; carrack tune DIR finds out what suits this machine",
            store.name()
        ));
    } else {
        out.write_all(table(&memory.entries, &host).as_bytes()).map_err(stdout_error)?;
        ui.note(store.name());
    }
    finish(&mut out)?;
    Ok(Exit::Done)
}

fn table(entries: &[Entry], host: &str) -> String {
    let mut grid = Grid::new(&[
        ("operation", Align::Left),
        ("cache", Align::Left),
        ("file system", Align::Left),
        ("settings", Align::Left),
        ("time / defaults [95%]", Align::Right),
        ("rounds", Align::Right),
        ("found", Align::Left),
        ("machine", Align::Left),
    ]);
    for entry in entries {
        let found = &entry.evidence;
        grid.row(
            [
                entry.operation.name().to_owned(),
                entry.cache.to_string(),
                entry.filesystem.clone(),
                entry.settings.to_string(),
                format!("{:.3} [{:.3}, {:.3}]", found.ratio, found.low, found.high),
                found.rounds.to_string(),
                entry.date.clone(),
                if entry.host == host { "this one".to_owned() } else { entry.host.clone() },
            ]
            // The file may have been written by anybody.
            .map(|cell| cell.chars().map(|c| if c.is_control() { '?' } else { c }).collect()),
        );
    }
    grid.text()
}

/// Forgets this machine's entries, or all.
///
/// # Errors
/// When the file cannot be read or written.
pub(super) fn forget(all: bool, ui: &Ui) -> Result<Exit> {
    let store = store()?;
    if all {
        // Whatever it holds: this is how a damaged file goes away.
        store.remove()?;
        ui.note(format_args!("{}: removed", store.name()));
        return Ok(Exit::Done);
    }
    let mut memory = load(&store)?;
    let before = memory.entries.len();
    let host = host::key();
    memory.entries.retain(|entry| entry.host != host);
    let forgotten = before - memory.entries.len();
    if forgotten > 0 {
        store.save(&memory)?;
    }
    ui.note(format_args!("{}: {forgotten} forgotten, {} kept", store.name(), memory.entries.len()));
    Ok(Exit::Done)
}
