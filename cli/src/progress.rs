//! The progress bar. What flows in: the engine's progress reports. What flows out: one line that redraws itself on
//! standard error, if that is a terminal and nobody asked for quiet.

use std::sync::{Arc, Mutex, PoisonError};

use carrack_engine::control::{Cancel, Control, OnProgress, Progress, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Ui;
use crate::size::Human;

/// While totals are unknown.
const COUNTING: &str = "{prefix:>7} {spinner} {msg}";
/// While bytes go by.
const MEASURING: &str =
    "{prefix:>7} [{wide_bar}] {percent:>3}%  {bytes} of {total_bytes}  {bytes_per_sec}  {eta} left  {msg}";
/// While there is nothing to count.
const CLOSING: &str = "{prefix:>7} {spinner} {msg}";

/// Redraws a second.
const DRAW_HZ: u8 = 10;

/// A bar that may not be there.
#[derive(Debug)]
pub(crate) struct Bar(Option<ProgressBar>);

impl Bar {
    /// A bar on standard error, or none.
    pub(crate) fn new(ui: &Ui) -> Self {
        if ui.quiet || !ui.err_is_terminal {
            return Self(None);
        }
        Self(Some(ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr_with_hz(DRAW_HZ))))
    }

    /// What the engine needs to move this bar and to be stopped.
    pub(crate) fn control(&self, cancel: Cancel) -> Control {
        let on_progress = self.0.as_ref().map(|bar| {
            let bar = bar.clone();
            let last = Mutex::new(None);
            Arc::new(move |progress: &Progress| {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.replace(progress.stage) != Some(progress.stage) {
                    enter(&bar, progress.stage);
                }
                draw(&bar, progress);
            }) as OnProgress
        });
        Control { on_progress, cancel }
    }

    /// Takes the bar off the screen, so that what follows begins on a clean line.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn template(stage: Stage) -> &'static str {
    match stage {
        Stage::Walk | Stage::Scan | Stage::Train => COUNTING,
        Stage::Pack | Stage::Unpack | Stage::Verify | Stage::Salvage => MEASURING,
        Stage::Finish => CLOSING,
    }
}

/// Begins a stage: another look, and rates counted anew.
fn enter(bar: &ProgressBar, stage: Stage) {
    // The templates are constants, and a test parses each: the fallback is never seen.
    let style = ProgressStyle::with_template(template(stage)).unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.progress_chars("=> ").tick_chars("-\\|/ "));
    bar.set_prefix(stage.to_string());
    bar.reset_eta();
}

fn draw(bar: &ProgressBar, progress: &Progress) {
    bar.set_message(message(progress));
    if progress.bytes_total > 0 {
        bar.set_length(progress.bytes_total);
    }
    bar.set_position(progress.bytes);
    bar.tick();
}

fn message(progress: &Progress) -> String {
    match progress.stage {
        Stage::Walk => format!("{} entries found", progress.entries),
        Stage::Train => format!("{} of {} dictionaries made", progress.entries, progress.entries_total),
        Stage::Scan => format!("{} of {} files looked at for their order", progress.entries, progress.entries_total),
        Stage::Pack => format!("-> {}", Human(progress.stored)),
        Stage::Finish => format!("writing the index, {} so far", Human(progress.stored)),
        Stage::Unpack | Stage::Verify if progress.entries_total > 0 => {
            format!("{} of {} entries", progress.entries, progress.entries_total)
        }
        Stage::Salvage => "looking for frames".to_owned(),
        Stage::Unpack | Stage::Verify => format!("{} entries", progress.entries),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: [Stage; 8] = [
        Stage::Walk,
        Stage::Scan,
        Stage::Train,
        Stage::Pack,
        Stage::Finish,
        Stage::Unpack,
        Stage::Verify,
        Stage::Salvage,
    ];

    #[test]
    fn every_template_is_one() {
        for stage in STAGES {
            assert!(ProgressStyle::with_template(template(stage)).is_ok(), "{stage}");
        }
    }

    #[test]
    fn a_bar_follows_the_run() {
        let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::hidden());
        let control = Bar(Some(bar.clone())).control(Cancel::new());
        let mut progress =
            Progress { stage: Stage::Walk, bytes: 0, bytes_total: 0, entries: 12, entries_total: 0, stored: 0 };
        control.report(&progress);
        assert_eq!((bar.prefix().as_str(), bar.message().as_str()), ("walk", "12 entries found"));
        progress = Progress { stage: Stage::Pack, bytes: 5, bytes_total: 10, stored: 2048, ..progress };
        control.report(&progress);
        assert_eq!((bar.position(), bar.length()), (5, Some(10)));
        assert_eq!((bar.prefix().as_str(), bar.message().as_str()), ("pack", "-> 2.00 KiB"));
    }

    #[test]
    fn no_bar_asks_for_no_reports() {
        assert!(Bar(None).control(Cancel::new()).on_progress.is_none());
    }
}
