//! The command line of `carrack-bench`.
//!
//! Exit code 0: measured, and all was right; 1: something was not (said on standard error); 2: nothing could be measured,
//! or the arguments were wrong; 128 and its number after a signal, when what had been measured is saved.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::child::Task;
use crate::compare::aa::{self, AaArgs};
use crate::compare::{self, CompareArgs};
use crate::random::{self, RandomArgs};
use crate::report::{self, ReportArgs};
use crate::run::{self, RunArgs};

/// Measure Carrack: every corpus through every backend, or side by side with other archivers
#[derive(Debug, Parser)]
#[command(name = "carrack-bench", version, max_term_width = 100, after_help = EXAMPLES)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  carrack-bench run                              every corpus in ./corpus, every backend
  carrack-bench run --only source --io pread     one corpus, one backend
  carrack-bench compare                          against every archiver that is installed, seven rounds
  carrack-bench compare --contenders 'tar|zstd,carrack' --tree ~/src --rounds 15
                                                 two of them, on a tree of your own
  carrack-bench compare --caches hot,data-cold,cold --contenders naive,carrack
                                                 with the files in memory, and without
  carrack-bench compare --plant 3 --contenders carrack
                                                 whether a pack that is 3% slower is found
  carrack-bench compare --front --operations pack --only source,versions --rounds 3
                                                 time against size, everybody at several levels
  carrack-bench aa                               Carrack against itself, forty times
  carrack-bench random                           4 KiB files out of a million, read at random
  carrack-bench report                           results/report.html from what was measured";

#[derive(Debug, Subcommand)]
enum Command {
    /// Pack, verify, unpack and compare every corpus with every backend
    Run(RunArgs),
    /// Compare with other archivers in randomised interleaved rounds, and check the floors
    Compare(Box<CompareArgs>),
    /// Compare Carrack with itself, again and again: how many 95% intervals hold 1?
    Aa(AaArgs),
    /// Read single files of an open archive at random, and time each read
    Random(RandomArgs),
    /// Show what was measured as one page, or as tables
    Report(ReportArgs),
    /// One step, for a process of its own
    #[command(subcommand, hide = true)]
    Child(Task),
}

/// Reads the arguments and does what they say.
pub fn main() -> ExitCode {
    let result = match Args::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Aa(args) => aa::run(&args),
        Command::Random(args) => random::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Child(task) => task.carry_out().map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(failure) => {
            eprintln!("carrack-bench: {failure}");
            let code = failure.signal().and_then(|signal| u8::try_from(128 + signal).ok());
            ExitCode::from(code.unwrap_or(2))
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
        use crate::roofline::RooflineTask;
        use carrack_measure::cache::Cache;
        let task = Task::Pack(PackTask {
            tree: "-odd tree".into(),
            out: "out".into(),
            by: "pread".parse().unwrap(),
            sync: true,
            delay_ns: Some(7),
            settings: Settings {
                codec: "lz4".into(),
                level: -3,
                slots: Some(5),
                slot_size: Some(65_536),
                threads: Some(2),
            },
        });
        let tasks = [
            task,
            Task::Verify { archive: "a".into(), threads: Some(3) },
            Task::Unpack { archive: "a".into(), dest: "b".into(), threads: None },
            Task::Compare { a: "a".into(), b: "b".into(), contents: true },
            Task::Cache { paths: vec!["-a".into(), "b".into()], state: Cache::DataCold },
            Task::Roofline(RooflineTask {
                tree: "t".into(),
                out: "o".into(),
                codec: "store".into(),
                level: -3,
                threads: Some(2),
                repeats: 4,
                sync: true,
            }),
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
