//! How things are measured: methods, without anything that is measured.
//!
//! What flows in: commands to be timed, numbers that came out. What flows out: what each process cost by the kernel's own
//! account, medians and intervals, facts about the machine, tables. What this crate does not know: archives, the engine,
//! who is compared with whom.
//!
//! | module | what it holds |
//! |---|---|
//! | [`process`] | starting processes and reading the kernel's account of them |
//! | [`cache`] | what is in memory before a run: hot, data cold, cold; made so and looked at |
//! | [`stats`] | medians, spreads, bootstrap intervals of paired ratios |
//! | [`host`], [`device`] | facts about the machine and its disks |
//! | [`work`] | the folder where archives and trees come and go meanwhile |
//! | [`progress`] | how far a run has come |
//! | [`tune`] | finding the settings that suit a machine |
//! | [`table`], [`units`] | tables and numbers for people |
//! | [`error`] | why a measurement could not be made |

pub mod cache;
pub mod device;
pub mod error;
pub mod host;
pub mod process;
pub mod progress;
pub mod stats;
pub mod table;
pub mod tune;
pub mod units;
pub mod work;
