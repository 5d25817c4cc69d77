//! `carrack cat`.

use std::os::unix::ffi::OsStrExt;

use carrack_engine::archive::Archive;
use carrack_engine::ceiling::Ceiling;
use carrack_engine::error::Result;

use super::ROWS_LEN;
use crate::args::CatArgs;
use crate::exit::Exit;
use crate::output::{Ui, finish};
use crate::select::normal;

pub(crate) fn run(args: &CatArgs, ui: &Ui) -> Result<Exit> {
    let mut archive = Archive::open(&args.archive)?;
    if args.ceiling.untrusted {
        archive = archive.keep_rows(ROWS_LEN);
    }
    let mut out = ui.buffered_stdout()?;
    let mut exit = Exit::Done;
    let ceiling = Ceiling::from(args.ceiling);
    ceiling.check_entries(&archive, archive.len())?;
    ceiling.check_blocks(&archive)?;
    for path in &args.paths {
        let path = without_dot(path.as_bytes());
        let copied = admit(&archive, path, &ceiling).and_then(|()| archive.copy_to(path, &mut out));
        match copied {
            Ok(_) => {}
            // One file that cannot be had costs the others nothing; an output that takes nothing does.
            Err(error) if !ui.stdout_broken() => {
                ui.error(&error);
                exit = exit.worse(Exit::of(error.kind()));
            }
            Err(error) => return Err(error),
        }
    }
    finish(&mut out)?;
    Ok(exit)
}

/// Checks what a file comes to before any of it is decoded. What is no file is left to whoever reads it.
fn admit(archive: &Archive, path: &[u8], ceiling: &Ceiling) -> Result<()> {
    if *ceiling == Ceiling::default() {
        return Ok(());
    }
    match archive.find(path)? {
        Some(entry) => ceiling.check_size(archive, entry.size),
        None => Ok(()),
    }
}

/// A slash at the end stays: it says "a folder", and a folder cannot be given.
fn without_dot(path: &[u8]) -> &[u8] {
    if path.ends_with(b"/") { path } else { normal(path) }
}
