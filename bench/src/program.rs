//! The command line of `carrack-bench`.
//!
//! Exit code 0: measured, and all was right; 1: something was not (said on standard error); 2: nothing could be measured,
//! or the arguments were wrong.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::child::Task;
use crate::floors::{self, FloorsArgs};
use crate::run::{self, RunArgs};

/// Measure Carrack: every corpus through every backend, or side by side with tar and zstd
#[derive(Debug, Parser)]
#[command(name = "carrack-bench", version, max_term_width = 100, after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  carrack-bench run                              every corpus in ./corpus, every backend
  carrack-bench run --only source --io pread     one corpus, one backend
  carrack-bench floors                           against tar and zstd, seven rounds
  carrack-bench floors --tree ~/src --rounds 15  on a tree of your own";

#[derive(Debug, Subcommand)]
enum Command {
    /// Pack, verify, unpack and compare every corpus with every backend
    Run(RunArgs),
    /// Compare with tar and zstd in randomised interleaved rounds, and check the floors
    Floors(FloorsArgs),
    /// One step, for a process of its own
    #[command(subcommand, hide = true)]
    Child(Task),
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Floors(args) => floors::run(&args),
        Command::Child(task) => task.carry_out().map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("carrack-bench: {failure}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_holds_together() {
        Args::command().debug_assert();
    }

    #[test]
    fn a_task_survives_its_own_arguments() {
        use crate::child::{PackTask, Settings};
        let task = Task::Pack(PackTask {
            tree: "-odd tree".into(),
            out: "out".into(),
            by: "pread".parse().unwrap(),
            sync: true,
            settings: Settings { level: -3, slots: Some(5), slot_size: Some(65_536), threads: Some(2) },
        });
        let tasks = [
            task,
            Task::Verify { archive: "a".into(), threads: Some(3) },
            Task::Unpack { archive: "a".into(), dest: "b".into(), threads: None },
            Task::Compare { a: "a".into(), b: "b".into() },
            Task::Sample { tree: "t".into(), count: 4, seed: 9 },
        ];
        for task in tasks {
            let words = ["carrack-bench", "child"].map(Into::into).into_iter().chain(task.args());
            match Args::parse_from(words).command {
                Command::Child(again) => assert_eq!(format!("{again:?}"), format!("{task:?}")),
                other => panic!("{other:?}"),
            }
        }
    }
}
