//! `carrack completions`.

use std::io::Write;

use carrack_engine::error::Result;
use clap::CommandFactory;

use crate::args::{Args, CompletionsArgs};
use crate::exit::Exit;
use crate::output::{Ui, stdout_error};

pub(crate) fn run(args: &CompletionsArgs, ui: &Ui) -> Result<Exit> {
    // Into memory first: the generator panics when its output fails.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "carrack", &mut text);
    ui.stdout()?.write_all(&text).map_err(stdout_error)?;
    Ok(Exit::Done)
}
