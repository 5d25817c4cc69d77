//! How far the tuner has come. What flows in: what is run. What flows out: a bar on a terminal, lines elsewhere.

use std::io::Write;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::Operation;
use super::settings::Settings;
use crate::output::Ui;

/// The whole width is the budget.
const TEMPLATE: &str = "{elapsed:>4} [{bar:30}] of {prefix}  {msg}";
/// Where there is no budget.
const TEMPLATE_OPEN: &str = "{elapsed:>4} {spinner}  {msg}";

/// Tells people what is going on.
#[derive(Debug)]
pub(super) struct Show {
    bar: Option<ProgressBar>,
    began: Instant,
    quiet: bool,
}

impl Show {
    /// For a run that takes about that long, or as long as it takes.
    pub(super) fn new(ui: &Ui, budget: Option<Duration>) -> Self {
        let bar = (!ui.quiet && ui.err_is_terminal).then(|| {
            let ms = budget.and_then(|budget| u64::try_from(budget.as_millis()).ok());
            let bar = ProgressBar::with_draw_target(ms, ProgressDrawTarget::stderr_with_hz(10));
            let template = if budget.is_some() { TEMPLATE } else { TEMPLATE_OPEN };
            // The templates are constants, and a test parses each: the fallback is never seen.
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("=> ").tick_chars("-\\|/ "));
            bar.set_prefix(budget.map_or_else(String::new, |budget| format!("{}s", budget.as_secs())));
            bar
        });
        Self { bar, began: Instant::now(), quiet: ui.quiet }
    }

    /// What runs now: only a terminal is told.
    pub(super) fn run(&self, operation: Operation, settings: &Settings) {
        if let Some(bar) = &self.bar {
            bar.set_position(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX));
            bar.set_message(format!("{}: {settings}", operation.name()));
            bar.tick();
        }
    }

    /// A step that is worth a line.
    pub(super) fn step(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None if self.quiet => {}
            // Nobody is left to be told when standard error itself fails.
            None => drop(std::io::stderr().lock().write_all(format!("carrack: {what}\n").as_bytes())),
        }
    }

    /// Takes the bar off the screen.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok() && ProgressStyle::with_template(TEMPLATE_OPEN).is_ok());
    }
}
