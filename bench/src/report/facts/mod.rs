//! What the documents say, ready to be shown: computed once, for the page and for the terminal.
//!
//! In: [`Documents`]. Out: [`Facts`], in the order and in the words in which they are shown, without any place on paper.

mod headlines;
mod problems;
mod rates;
mod ratios;
mod stages;
mod tuning;

use super::document::Documents;

pub(super) use headlines::{Headline, Tone};
pub(super) use problems::Problem;
pub(super) use rates::{Bar, Bars, CompareCells, Dot, Scatter, StepRow};
pub(super) use ratios::{Interval, Intervals};
pub(super) use stages::{Curves, Group, Kind, Line, ShareRow, Shares};
pub(super) use tuning::{Cell, Heat, Trials};

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) headlines: Vec<Headline>,
    /// Of `compare.json`: MB/s of everybody, one panel an input, cache state and operation.
    pub(super) compared: Vec<Bars>,
    /// Of `run.json`: MB/s of each contender's packing, one panel a corpus.
    pub(super) packed: Vec<Bars>,
    /// Of `run.json`: all its steps.
    pub(super) steps: Vec<StepRow>,
    /// Carrack's times against those of what it is compared with.
    pub(super) ratios: Vec<Intervals>,
    /// Time against size.
    pub(super) scatters: Vec<Scatter>,
    /// Percentiles by stage.
    pub(super) curves: Vec<Curves>,
    /// Which stage took which share.
    pub(super) shares: Vec<Shares>,
    /// A contender against itself.
    pub(super) noise: Vec<Intervals>,
    /// A delay that was planted, and should be found.
    pub(super) planted: Vec<Intervals>,
    /// How much of a pack's time the codec alone would take.
    pub(super) efficiency: Vec<Bars>,
    /// Of `tune.json` and `tune-unpack.json`.
    pub(super) trials: Vec<Trials>,
    /// Every row of `compare.json`.
    pub(super) rows: Vec<CompareCells>,
    /// What is promised: the verdict, name, what was found, limit, interval.
    pub(super) floors: Vec<[String; 5]>,
    pub(super) problems: Vec<Problem>,
}

impl Facts {
    /// What these documents say.
    pub(super) fn of(documents: &Documents) -> Self {
        let (run, compare) = (documents.run.get(), documents.compare.get());
        let observed = stages::observed(documents);
        let noise = ratios::noise(documents.noise.get(), compare);
        let tunes = [&documents.tune, &documents.tune_unpack].into_iter().filter_map(|tune| tune.get());
        let trials = tunes.map(tuning::trials).collect();
        let problems = problems::problems(documents);
        Self {
            headlines: headlines::headlines(documents, &observed, &noise, &problems),
            compared: compare.map(rates::compared).unwrap_or_default(),
            packed: run.map(rates::packed).unwrap_or_default(),
            steps: run.map(rates::steps).unwrap_or_default(),
            ratios: compare.map(ratios::ratios).unwrap_or_default(),
            scatters: compare.map(rates::scatters).unwrap_or_default(),
            curves: stages::curves(&observed),
            shares: stages::shares(&observed),
            noise,
            planted: compare.map(ratios::planted).unwrap_or_default(),
            efficiency: compare.map(rates::efficiency).unwrap_or_default(),
            trials,
            rows: compare.map(rates::rows).unwrap_or_default(),
            floors: compare.map(problems::floors).unwrap_or_default(),
            problems,
        }
    }
}

/// The values of `key` in the order in which they first come.
fn in_order<'a, T, K: PartialEq>(rows: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<K> {
    let mut keys = Vec::new();
    for row in rows {
        let key = key(row);
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

/// Contenders that are measured to know how far measuring can be trusted, and that nobody competes with.
fn is_control(contender: &str) -> bool {
    contender == "carrack (again)" || contender == "unplanted" || contender.starts_with("planted")
}

/// What a backend or contender is shown as beside others of a Carrack comparison: `carrack --io pread` is `pread`.
pub(super) fn short(contender: &str) -> &str {
    contender.strip_prefix("carrack --io ").unwrap_or(contender)
}
