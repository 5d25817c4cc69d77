//! `carrack cat`.

use std::os::unix::ffi::OsStrExt;

use carrack_engine::archive::Archive;
use carrack_engine::error::Result;

use crate::args::CatArgs;
use crate::exit::Exit;
use crate::output::{Ui, finish};
use crate::select::normal;

pub(crate) fn run(args: &CatArgs, ui: &Ui) -> Result<Exit> {
    let archive = Archive::open(&args.archive)?;
    let mut out = ui.buffered_stdout()?;
    let mut exit = Exit::Done;
    for path in &args.paths {
        match archive.copy_to(without_dot(path.as_bytes()), &mut out) {
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

/// A slash at the end stays: it says "a folder", and a folder cannot be given.
fn without_dot(path: &[u8]) -> &[u8] {
    if path.ends_with(b"/") { path } else { normal(path) }
}
