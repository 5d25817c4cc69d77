//! Everything that failed, is missing or did not hold: listed, never left out.

use super::super::document::Documents;
use super::super::schema::{Compare, Floor, Run};
use super::super::words::{count, number};
use super::tuning::settings_in_words;

/// One thing that is not as it should be.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::report) struct Problem {
    /// Where: a document, a row.
    pub(in crate::report) place: String,
    /// What, in words.
    pub(in crate::report) what: String,
}

/// What is said of runs that began in another state.
const NOT_HELD: &str = "runs whose cache was not in the state that it should have been in";

/// All of them: damaged documents first.
pub(super) fn problems(documents: &Documents) -> Vec<Problem> {
    let damaged = documents.damages().into_iter().map(|damage| Problem {
        place: damage.file.display().to_string(),
        what: format!("cannot be read: expected {}, found {}", damage.expected, damage.found),
    });
    let mut problems: Vec<Problem> = damaged.collect();
    let mut add = |place: String, what: String| {
        let problem = Problem { place, what };
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    };
    for (name, head) in documents.heads() {
        if let Some(why) = &head.stopped {
            add(name.to_owned(), why.clone());
        }
    }
    if let Some(run) = documents.run.get() {
        of_run(run, &mut add);
    }
    if let Some(compare) = documents.compare.get() {
        of_compare(compare, &mut add);
    }
    let not_held = |runs: Option<f64>| runs.filter(|runs| *runs > 0.0).map(|runs| format!("{runs} {NOT_HELD}"));
    if let Some(what) = documents.noise.get().and_then(|noise| not_held(noise.not_held)) {
        add("aa.json".to_owned(), what);
    }
    for (name, tune) in [("tune.json", &documents.tune), ("tune-unpack.json", &documents.tune_unpack)] {
        let Some(tune) = tune.get() else { continue };
        if let Some(what) = not_held(tune.not_held) {
            add(name.to_owned(), what);
        }
        for trial in &tune.trials {
            if let Some(why) = &trial.failed {
                add(format!("{name}: {}", settings_in_words(&trial.settings)), format!("failed: {why}"));
            }
        }
    }
    problems
}

fn of_run(run: &Run, add: &mut impl FnMut(String, String)) {
    for row in &run.rows {
        let place = format!("run: {} {}", row.corpus, row.contender);
        if let Some(why) = &row.unavailable {
            add(format!("run: {}", row.contender), format!("unavailable: {why}"));
        }
        for why in &row.failures {
            add(place.clone(), format!("failed: {why}"));
        }
        if let Some(paths) = row.unreadable.filter(|paths| *paths > 0.0) {
            add(format!("run: {}", row.corpus), format!("{paths} paths may not be read by this user"));
        }
        for note in row.pack.iter().flat_map(|pack| &pack.report.notes) {
            add(place.clone(), note.clone());
        }
    }
}

fn of_compare(compare: &Compare, add: &mut impl FnMut(String, String)) {
    for contender in &compare.contenders {
        if let Some(why) = &contender.missing {
            add(format!("compare: {}", contender.name), format!("missing: {why}"));
        }
    }
    for refused in &compare.caches_refused {
        add(format!("compare: {} cache", refused.cache), format!("refused: {}", refused.why));
    }
    for row in &compare.rows {
        let place = if row.id.is_empty() { &row.contender } else { &row.id };
        let place = format!("compare: {place}");
        if let Some(why) = &row.failed {
            add(place.clone(), format!("failed: {why}"));
        } else if row.wall.and_then(|wall| wall.median).is_none() {
            add(place.clone(), "no time was measured".to_owned());
        }
        if let Some(runs) = row.not_held.filter(|runs| *runs > 0.0) {
            let all = row.wall.and_then(|wall| wall.count);
            let all = all.map_or_else(String::new, |all| format!(" of {all}"));
            add(place, format!("{runs}{all} {NOT_HELD}"));
        }
    }
    for floor in compare.floors.iter().filter(|floor| floor.held != Some(true)) {
        add(format!("floor: {}", floor.name), floor_in_words(floor));
    }
}

/// `missed: 1.01 [0.96, 1.08], at most 1.00`.
fn floor_in_words(floor: &Floor) -> String {
    let verdict = if floor.held.is_some() { "missed" } else { "not measured" };
    let value = floor.value.map_or_else(String::new, |value| format!(": {}", with_unit(value, &floor.unit)));
    let interval = floor.low.zip(floor.high);
    let interval = interval.map_or_else(String::new, |(low, high)| format!(" [{}, {}]", number(low), number(high)));
    let limit = floor.limit.map_or_else(String::new, |limit| format!(", at most {}", with_unit(limit, &floor.unit)));
    format!("{verdict}{value}{interval}{limit}")
}

fn with_unit(value: f64, unit: &str) -> String {
    if unit.is_empty() { number(value) } else { format!("{} {unit}", number(value)) }
}

/// One floor: the verdict, what it is about, what was found, the limit, the interval.
pub(super) fn floors(compare: &Compare) -> Vec<[String; 5]> {
    let row = |floor: &Floor| {
        let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| with_unit(value, &floor.unit));
        let interval = floor.low.zip(floor.high).map(|(low, high)| format!("{} – {}", number(low), number(high)));
        let verdict = match floor.held {
            Some(true) => "held",
            Some(false) => "missed",
            None => "not measured",
        };
        let interval = interval.unwrap_or_else(|| "–".to_owned());
        [verdict.to_owned(), floor.name.clone(), shown(floor.value), shown(floor.limit), interval]
    };
    compare.floors.iter().map(row).collect()
}

/// `3 of 4 floors held`; nothing when there are none.
pub(super) fn floors_in_words(compare: &Compare) -> Option<String> {
    let held = compare.floors.iter().filter(|floor| floor.held == Some(true)).count();
    (!compare.floors.is_empty()).then(|| format!("{held} of {} held", count(compare.floors.len(), "floor")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_went_wrong_is_left_out() {
        let run: Run = serde_json::from_str(
            r#"{"rows":[{"corpus":"a","contender":"uring","unavailable":"EPERM"},
                        {"corpus":"b","contender":"uring","unavailable":"EPERM"},
                        {"corpus":"b","contender":"mmap","failures":["x","y"],"unreadable":3}]}"#,
        )
        .unwrap();
        let compare: Compare = serde_json::from_str(
            r#"{"contenders":[{"name":"7zz","missing":"not on the PATH"},{"name":"borg"}],
                "caches_refused":[{"cache":"cold","why":"not root"}],
                "rows":[{"id":"a/hot/pack/zpaq","failed":"exit status: 3","not_held":1},{"id":"q"},
                        {"id":"z","not_held":2,"wall":{"count":9,"median":7}}],
                "floors":[{"name":"f","limit":1,"value":1.012,"low":0.958,"high":1.076,"held":false},
                          {"name":"g","unit":"ms","limit":5},{"name":"h","held":true}]}"#,
        )
        .unwrap();
        let mut found = Vec::new();
        let mut add = |place: String, what: String| found.push(format!("{place}: {what}"));
        of_run(&run, &mut add);
        of_compare(&compare, &mut add);
        let expected = [
            "run: uring: unavailable: EPERM",
            "run: uring: unavailable: EPERM",
            "run: b mmap: failed: x",
            "run: b mmap: failed: y",
            "run: b: 3 paths may not be read by this user",
            "compare: 7zz: missing: not on the PATH",
            "compare: cold cache: refused: not root",
            "compare: a/hot/pack/zpaq: failed: exit status: 3",
            "compare: a/hot/pack/zpaq: 1 runs whose cache was not in the state that it should have been in",
            "compare: q: no time was measured",
            "compare: z: 2 of 9 runs whose cache was not in the state that it should have been in",
            "floor: f: missed: 1.01 [0.958, 1.08], at most 1.00",
            "floor: g: not measured, at most 5.00 ms",
        ];
        assert_eq!(found, expected);
        assert_eq!(floors_in_words(&compare).as_deref(), Some("1 of 3 floors held"));
    }
}
