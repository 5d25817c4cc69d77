//! `carrack tune`: finds the settings that suit this machine and remembers them; `pack` and `unpack` use them.
//!
//! What flows in: the user's own tree, a budget of time. What flows out: an entry of `tune.toml`, and the evidence beside
//! it. What this module does not know: how candidates are searched and judged; that is [`carrack_measure::tune`]'s.
//!
//! | module | what it holds |
//! |---|---|
//! | [`args`], [`settings`] | flags of the command; settings of a run |
//! | [`space`] | the grid that is searched |
//! | [`survey`], [`sample`] | what every run reads: the tree, or a part that is like it |
//! | [`lab`] | one run, as a whole process |
//! | [`search`] | the command: sample, search, confirm, remember |
//! | [`outcome`], [`document`] | what came of it, in words, as an entry, as JSON |
//! | [`store`], [`remembered`] | `tune.toml`; showing and forgetting it |
//! | [`apply`] | how `pack` and `unpack` use it |
//! | [`progress`] | how far it has come |

pub(crate) mod apply;
pub(crate) mod args;
mod document;
mod lab;
mod outcome;
mod progress;
mod remembered;
mod sample;
mod search;
mod settings;
mod space;
mod store;
mod survey;

use carrack_engine::error::Result;

use self::args::TuneArgs;
use crate::exit::Exit;
use crate::output::Ui;

pub(crate) use self::store::reread;

/// Runs the command.
pub(crate) fn run(args: &TuneArgs, ui: &Ui) -> Result<Exit> {
    if args.show {
        return remembered::show(args.json, ui);
    }
    if args.forget {
        return remembered::forget(args.all, ui);
    }
    search::run(args, ui)
}
