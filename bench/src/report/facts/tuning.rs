//! What the tuner tried, as maps of slots × slot size.

use super::super::schema::{Settings, Trial, Tune};
use super::super::words::{binary_bytes, bytes, grouped, interval, quotient, ratio, time};
use super::in_order;

/// Everything that the tuner tried.
#[derive(Debug, Default)]
pub(in crate::report) struct Trials {
    pub(in crate::report) maps: Vec<Heat>,
    /// Every trial: settings, rung, median, relative to the best, to the default, memory or why it failed.
    pub(in crate::report) rows: Vec<[String; 6]>,
    /// What it took, in words; empty when it kept the default.
    pub(in crate::report) chosen: String,
    /// What was confirmed, in words.
    pub(in crate::report) confirmed: Vec<String>,
    /// The words that the user saw.
    pub(in crate::report) verdict: String,
    /// What was tuned for, in words.
    pub(in crate::report) about: String,
}

/// The map of one backend.
#[derive(Debug)]
pub(in crate::report) struct Heat {
    pub(in crate::report) io: String,
    /// Slot sizes, rising.
    pub(in crate::report) columns: Vec<f64>,
    /// Numbers of slots, rising.
    pub(in crate::report) rows: Vec<f64>,
    pub(in crate::report) cells: Vec<Cell>,
}

/// The best trial of one number of slots and one slot size.
#[derive(Debug)]
pub(in crate::report) struct Cell {
    pub(in crate::report) column: usize,
    pub(in crate::report) row: usize,
    /// Median relative to the best of all backends: 1 is the best.
    pub(in crate::report) ratio: f64,
    pub(in crate::report) chosen: bool,
    /// What is taken without any tuning.
    pub(in crate::report) default: bool,
    pub(in crate::report) tip: String,
}

/// The maps of a document, one a backend, all relative to the best trial of all.
pub(super) fn trials(document: &Tune) -> Trials {
    let usable: Vec<(&Trial, f64)> =
        document.trials.iter().filter_map(|trial| Some((trial, trial.median_ns.filter(|ns| *ns > 0.0)?))).collect();
    let best = usable.iter().map(|(_, ns)| *ns).fold(f64::INFINITY, f64::min);
    let chosen = document.chosen.as_ref().map(super::super::schema::Chosen::settings);
    let mapped: Vec<_> = usable.iter().filter(|(trial, _)| on_map(&trial.settings)).copied().collect();
    let map = |io: &Option<String>| {
        let here: Vec<_> = mapped.iter().filter(|(trial, _)| trial.settings.io == *io).copied().collect();
        heat(io.as_deref(), &here, best, chosen)
    };
    let of = |settings: &Settings| settings_in_words(settings);
    let confirmed = document.confirmed.iter().filter_map(|row| {
        let to = &row.to_default;
        Some(format!("{}: {} of the default's time", of(&row.settings), interval(to.mean?, to.low?, to.high?)))
    });
    Trials {
        maps: in_order(&mapped, |(trial, _)| &trial.settings.io).into_iter().map(map).collect(),
        chosen: chosen.map(of).unwrap_or_default(),
        confirmed: confirmed.collect(),
        rows: document.trials.iter().map(|trial| row(trial, best)).collect(),
        verdict: document.verdict.clone(),
        about: about(document),
    }
}

fn on_map(settings: &Settings) -> bool {
    settings.slots.is_some() && settings.slot_size.is_some()
}

fn row(trial: &Trial, best: f64) -> [String; 6] {
    let to_default = trial.to_default.as_ref().and_then(|to| Some(interval(to.mean?, to.low?, to.high?)));
    let last = match &trial.failed {
        Some(why) => Some(format!("failed: {why}")),
        None => trial.memory_bytes.map(bytes),
    };
    let settings = settings_in_words(&trial.settings);
    let cells = [
        Some(if trial.default { format!("{settings} (default)") } else { settings }),
        trial.rung.map(grouped),
        trial.median_ns.map(time),
        trial.median_ns.and_then(|ns| quotient(ns, best)).map(ratio),
        to_default,
        last,
    ];
    cells.map(|cell| cell.unwrap_or_else(|| "–".to_owned()))
}

fn about(document: &Tune) -> String {
    let input = &document.input;
    let sampled = if input.sampled { "a sample of " } else { "" };
    let shown = |value: Option<f64>, how: fn(f64) -> String| value.map_or_else(|| "?".to_owned(), how);
    format!(
        "{} {sampled}{} ({} files, {}), {} cache, {} to spend, {} trials",
        document.operation,
        input.paths.join(" "),
        shown(input.files, grouped),
        shown(input.bytes, bytes),
        document.cache,
        shown(document.budget_ns, time),
        document.trials.len()
    )
}

/// Of each place of the map the trial that got furthest, and of those the fastest.
fn heat(io: Option<&str>, trials: &[(&Trial, f64)], best: f64, chosen: Option<&Settings>) -> Heat {
    let rising = |of: fn(&Settings) -> Option<f64>| {
        let mut values: Vec<f64> = trials.iter().filter_map(|(trial, _)| of(&trial.settings)).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    };
    let (columns, rows) = (rising(|settings| settings.slot_size), rising(|settings| settings.slots));
    let mut cells = Vec::new();
    for (row, slots) in rows.iter().enumerate() {
        for (column, size) in columns.iter().enumerate() {
            let here = |settings: &Settings| settings.slots == Some(*slots) && settings.slot_size == Some(*size);
            let tried: Vec<_> = trials.iter().filter(|(trial, _)| here(&trial.settings)).collect();
            let furthest = |a: &&&(&Trial, f64), b: &&&(&Trial, f64)| {
                let rung = |trial: &Trial| trial.rung.unwrap_or(0.0);
                rung(b.0).total_cmp(&rung(a.0)).then(a.1.total_cmp(&b.1))
            };
            let Some((trial, ns)) = tried.iter().min_by(|a, b| furthest(a, b)) else { continue };
            let Some(relative) = quotient(*ns, best) else { continue };
            let chosen = chosen.is_some_and(|chosen| chosen.io.as_deref() == io && here(chosen));
            let default = tried.iter().any(|(trial, _)| trial.default);
            cells.push(Cell {
                column,
                row,
                ratio: relative,
                chosen,
                default,
                tip: tip(trial, *ns, relative, tried.len(), chosen),
            });
        }
    }
    Heat { io: io.unwrap_or("any").to_owned(), columns, rows, cells }
}

fn tip(trial: &Trial, ns: f64, relative: f64, tried: usize, chosen: bool) -> String {
    let mut words = vec![settings_in_words(&trial.settings), format!("{} ({} of the best)", time(ns), ratio(relative))];
    if let Some(memory) = trial.memory_bytes {
        words.push(format!("memory {}", bytes(memory)));
    }
    if let Some((mean, low, high)) = trial.to_default.as_ref().and_then(|to| Some((to.mean?, to.low?, to.high?))) {
        words.push(format!("{} of the default's time", interval(mean, low, high)));
    }
    if tried > 1 {
        words.push(format!("best of {tried} trials here"));
    }
    if trial.default {
        words.push("default".to_owned());
    }
    if chosen {
        words.push("chosen".to_owned());
    }
    words.join("; ")
}

/// `pread, 8 slots of 1 MiB, readers 4`.
pub(super) fn settings_in_words(settings: &Settings) -> String {
    let mut words: Vec<String> = settings.io.iter().cloned().collect();
    match (settings.slots, settings.slot_size) {
        (Some(slots), Some(size)) => words.push(format!("{slots} slots of {}", binary_bytes(size))),
        (slots, size) => {
            words.extend(slots.map(|slots| format!("{slots} slots")));
            words.extend(size.map(|size| format!("slots of {}", binary_bytes(size))));
        }
    }
    let said = settings.others.iter().filter(|(_, value)| !value.is_null());
    words.extend(
        said.map(|(name, value)| format!("{name} {}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))),
    );
    if words.is_empty() { "the defaults".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_shows_its_furthest_trial_relative_to_the_best_of_all() {
        let text = r#"{"trials":[
            {"settings":{"io":"pool","slots":8,"slot_size":1048576,"readers":4},"rung":0,"median_ns":90},
            {"settings":{"io":"pool","slots":8,"slot_size":1048576,"readers":8},"rung":1,"median_ns":120},
            {"settings":{"io":"pool","slots":4,"slot_size":65536},"rung":0,"median_ns":150},
            {"settings":{"io":"mmap","slots":4,"slot_size":65536},"rung":0,"median_ns":60},
            {"settings":{"io":"mmap","slots":4},"median_ns":75},
            {"settings":{"io":"mmap","slots":4,"slot_size":1},"median_ns":null}],
            "chosen":{"io":"pool","slots":8,"slot_size":1048576},"verdict":"take it"}"#;
        let trials = trials(&serde_json::from_str(text).unwrap());
        let ios: Vec<&str> = trials.maps.iter().map(|map| map.io.as_str()).collect();
        assert_eq!(ios, ["pool", "mmap"]);
        let pool = &trials.maps[0];
        assert_eq!((pool.rows.as_slice(), pool.columns.as_slice()), (&[4.0, 8.0][..], &[65_536.0, 1_048_576.0][..]));
        let cells: Vec<_> = pool.cells.iter().map(|cell| (cell.row, cell.column, cell.ratio, cell.chosen)).collect();
        assert_eq!(cells, [(0, 0, 2.5, false), (1, 1, 2.0, true)]);
        assert!(pool.cells[1].tip.contains("readers 8") && pool.cells[1].tip.contains("best of 2 trials"));
        assert_eq!(trials.chosen, "pool, 8 slots of 1 MiB");
    }

    #[test]
    fn no_trials_make_no_maps() {
        let trials = trials(&Tune::default());
        assert!(trials.maps.is_empty() && trials.chosen.is_empty());
    }
}
