//! Finding the settings that suit a machine: which to try, how often, and what the outcome proves.
//!
//! What flows in: a [`Grid`](grid::Grid) of candidates and a [`Subject`](ledger::Subject) that runs one of them. What
//! flows out: a [`Ledger`](ledger::Ledger) of every run, and a [`Verdict`](choose::Verdict). What this module does not
//! know: what a candidate is, what is run, and what time it is; the subject tells.
//!
//! | module | what it holds |
//! |---|---|
//! | [`grid`] | candidates as points of a grid of knobs, and balanced samples of them |
//! | [`ledger`] | runs by rounds, and ratios within a round |
//! | [`halving`] | the search: successive halving, or the whole grid |
//! | [`choose`] | who is confirmed, what the confirmation proves, what is chosen |
//!
//! **Against drift.** Every round runs all that are still in the race and the default, in an order drawn anew, and only
//! ratios within a round are compared: what slows the machine for seconds slows the default too.
//!
//! **Against luck.** Whoever is best of many in noisy runs was also lucky. The search therefore only proposes; the
//! confirmation measures the few best and the default again, and counts its own rounds alone.

pub mod choose;
pub mod grid;
pub mod halving;
pub mod ledger;
mod model;
#[cfg(test)]
mod simulation;
