//! `carrack`: the engine on the command line.
//!
//! What flows in: arguments. What flows out: calls of the engine, text for people and for programs, an exit code.
//! What this crate does not know: how an archive is laid out, how bytes are read, compressed or written.
//!
//! | module | what it holds |
//! |---|---|
//! | `args` | the flags as they are typed |
//! | `config` | what they mean together, checked |
//! | `cmd` | one file a command: calls the engine and shows what came of it |
//! | `output` | standard output and error: colours, escapes, messages, closed pipes |
//! | `progress`, `signals` | how a run is followed and stopped |
//! | `tune` | the tuner: what is tried, what is remembered, how it is used |
//! | `rows`, `select` | how an entry is listed, and which entries are |
//! | `size`, `time` | sizes and times as text |
//! | `stats` | how long the stages took: a table, JSON, a histogram log |
//! | `exit` | exit codes |
//! | [`reading`] | what is read from outside, for those who try it with anything |

mod args;
mod cmd;
mod config;
mod exit;
mod help;
mod json;
mod output;
mod progress;
pub mod reading;
mod rows;
mod select;
mod signals;
mod size;
mod stats;
mod time;
mod tune;

use std::process::ExitCode;

use carrack_engine::error::{Error, ErrorKind};
use clap::Parser;

use crate::args::{Args, Command};
use crate::exit::Exit;
use crate::output::Ui;

/// Runs the program: takes the process's arguments, and gives back its exit code.
#[must_use]
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(message) => return exit::of_clap(&message).into(),
    };
    let ui = Ui::new(args.quiet, args.verbose, args.color);
    let result = run(args.command, &ui);
    ui.signals.ended();
    match result {
        Ok(exit) => exit.into(),
        Err(error) => failure(&ui, &error).into(),
    }
}

fn run(command: Command, ui: &Ui) -> Result<Exit, Error> {
    match command {
        Command::Pack(args) => cmd::pack::run(args, ui),
        Command::Unpack(args) => cmd::unpack::run(args, ui),
        Command::List(args) => cmd::list::run(&args, ui),
        Command::Cat(args) => cmd::cat::run(&args, ui),
        Command::Verify(args) => cmd::verify::run(&args, ui),
        Command::Salvage(args) => cmd::salvage::run(&args, ui),
        Command::Info(args) => cmd::info::run(&args, ui),
        Command::Estimate(args) => cmd::estimate::run(&args, ui),
        Command::Tune(args) => tune::run(&args, ui),
        Command::Completions(args) => cmd::completions::run(&args, ui),
        Command::Man(args) => cmd::man::run(&args, ui),
    }
}

/// Says why a run failed, and what exit code that makes. A reader of our standard output that has gone away is no
/// failure to speak of, and whoever pressed Ctrl-C need not be told what an error is.
fn failure(ui: &Ui, error: &Error) -> Exit {
    if ui.pipe_closed() {
        return Exit::Signal(exit::SIGPIPE);
    }
    if let (ErrorKind::Cancelled, Some(signal)) = (error.kind(), ui.signals.caught()) {
        ui.error(&signals::message(signal));
        return Exit::Signal(signal);
    }
    ui.error(error);
    Exit::of(error.kind())
}
