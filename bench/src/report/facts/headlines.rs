//! The facts that a reader with ten seconds should see, in words.

use super::super::document::Documents;
use super::super::schema::{Compare, CompareRow, Run, Tune};
use super::super::words::{clipped, count, interval, number, percent, ratio, tame};
use super::problems::floors_in_words;
use super::ratios::base;
use super::stages::Observed;
use super::{Intervals, Problem, in_order};

/// How a headline is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Tone {
    Good,
    Bad,
    Plain,
    /// Nothing was measured yet.
    Missing,
}

/// One fact: a figure, what it is, and what stands behind it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::report) struct Headline {
    pub(in crate::report) figure: String,
    pub(in crate::report) what: String,
    pub(in crate::report) detail: String,
    pub(in crate::report) tone: Tone,
}

/// At most so many characters behind a headline.
const DETAIL: usize = 180;

impl Headline {
    fn new(figure: impl Into<String>, what: impl Into<String>, detail: impl Into<String>, tone: Tone) -> Self {
        // The whole of it stands in its section.
        Self { figure: figure.into(), what: what.into(), detail: clipped(&detail.into(), DETAIL), tone }
    }
}

/// All of them.
pub(super) fn headlines(
    documents: &Documents,
    observed: &[Observed<'_>],
    noise: &[Intervals],
    problems: &[Problem],
) -> Vec<Headline> {
    let mut found = match documents.compare.get().map(against_peers) {
        Some(facts) if !facts.is_empty() => facts,
        _ => {
            let what = "no comparison measured yet";
            vec![Headline::new("–", what, "run `make compare`", Tone::Missing)]
        }
    };
    found.extend(documents.run.get().and_then(fastest_backend));
    found.extend(bound_by(observed));
    found.extend(noise_floor(noise));
    found.extend(documents.tune.get().map(tuned));
    found.extend(documents.compare.get().and_then(floors));
    if !problems.is_empty() {
        let what = if problems.len() == 1 { "thing to look at" } else { "things to look at" };
        let detail = "failed, missing or not held: listed at the end";
        found.push(Headline::new(problems.len().to_string(), what, detail, Tone::Bad));
    }
    found
}

/// One for each cache state and operation: Carrack with its own settings on the first input, and the span of all.
fn against_peers(document: &Compare) -> Vec<Headline> {
    let ours = |row: &&CompareRow| row.contender == "carrack" && row.to_base.is_some();
    let rows: Vec<&CompareRow> = document.rows.iter().filter(ours).collect();
    let of = |(cache, operation): (&String, &String)| {
        let here: Vec<&CompareRow> =
            rows.iter().filter(|row| (&row.cache, &row.operation) == (cache, operation)).copied().collect();
        against(document, &here)
    };
    in_order(&rows, |row| (&row.cache, &row.operation)).into_iter().filter_map(of).collect()
}

fn against(document: &Compare, rows: &[&CompareRow]) -> Option<Headline> {
    let row = rows.first()?;
    let to_base = row.to_base.as_ref()?;
    let (mean, low, high) = (to_base.mean?, to_base.low?, to_base.high?);
    let speed = (mean > 0.0).then(|| tame(1.0 / mean)).flatten()?;
    let base = base(document, row);
    let (figure, what, tone) = if low <= 1.0 && 1.0 <= high {
        ("≈ 1".to_owned(), format!("no difference from {base} can be told"), Tone::Plain)
    } else if mean < 1.0 {
        (format!("{}×", ratio(speed)), format!("as fast as {base}"), Tone::Good)
    } else {
        (format!("{}×", ratio(mean)), format!("the time of {base}"), Tone::Bad)
    };
    let time = interval(mean, low, high);
    let rounds = count(to_base.rounds.len(), "round");
    let mut detail = format!("{} {}, {} cache: {time} of its time, {rounds}", row.operation, row.input, row.cache);
    let means: Vec<f64> = rows.iter().filter_map(|row| row.to_base.as_ref()?.mean).collect();
    if means.len() > 1 {
        let least = means.iter().copied().fold(f64::INFINITY, f64::min);
        let most = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        detail.push_str(&format!("; {} to {} over {} inputs", ratio(least), ratio(most), means.len()));
    }
    Some(Headline::new(figure, what, detail, tone))
}

/// The backend whose geometric mean of packing rates is the greatest, over the corpora that all backends packed.
fn fastest_backend(run: &Run) -> Option<Headline> {
    let backends: Vec<&String> = in_order(&run.rows, |row| &row.contender);
    let corpora = in_order(&run.rows, |row| &row.corpus);
    let rate = |corpus: &String, backend: &String| {
        let row = run.rows.iter().find(|row| (&row.corpus, &row.contender) == (corpus, backend))?;
        let pack = row.pack.as_ref()?;
        let (bytes, ns) = (pack.report.bytes?, pack.usage.wall_ns?);
        (bytes > 0.0 && ns > 0.0).then(|| (bytes * 1e3 / ns).ln()).filter(|log| log.is_finite())
    };
    let backends = backends.into_iter().filter(|name| *name != "naive");
    let backends: Vec<&String> = backends.filter(|name| corpora.iter().any(|of| rate(of, name).is_some())).collect();
    let common: Vec<&&String> =
        corpora.iter().filter(|corpus| backends.iter().all(|backend| rate(corpus, backend).is_some())).collect();
    if common.is_empty() || backends.len() < 2 {
        return None;
    }
    let mean = |backend: &&String| {
        let sum: f64 = common.iter().filter_map(|corpus| rate(corpus, backend)).sum();
        (sum / common.len() as f64).exp()
    };
    let mut means: Vec<(&String, f64)> = backends.iter().map(|backend| (*backend, mean(backend))).collect();
    means.sort_by(|a, b| b.1.total_cmp(&a.1));
    let all: Vec<String> = means.iter().map(|(name, rate)| format!("{name} {}", number(*rate))).collect();
    let corpora = if common.len() == 1 { "1 corpus".to_owned() } else { format!("{} corpora", common.len()) };
    let detail =
        format!("geometric mean of {corpora}, MB/s: {}; one run each, so small leads mean little", all.join(", "));
    Some(Headline::new(means.first()?.0, "packed fastest", detail, Tone::Plain))
}

/// The most frequent verdict on packing.
fn bound_by(observed: &[Observed<'_>]) -> Option<Headline> {
    let packs = observed.iter().filter(|seen| seen.operation == "pack");
    let verdicts: Vec<String> = packs.filter_map(|seen| Some(seen.verdict?.words())).collect();
    let mut counts: Vec<(String, usize)> = in_order(&verdicts, |word| word.clone())
        .into_iter()
        .map(|word| (word.clone(), verdicts.iter().filter(|other| **other == word).count()))
        .collect();
    counts.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    let (word, times) = counts.first()?;
    let others: Vec<String> = counts.iter().skip(1).map(|(word, times)| format!("{times} {word}")).collect();
    let others = if others.is_empty() { String::new() } else { format!("; {}", others.join(", ")) };
    let detail = format!("{times} of {}{others}", count(verdicts.len(), "pack"));
    Some(Headline::new(word, "is what most packs were", detail, Tone::Plain))
}

/// How many comparisons of something with itself found a difference.
fn noise_floor(noise: &[Intervals]) -> Option<Headline> {
    let rows: Vec<_> = noise.iter().flat_map(|panel| &panel.rows).collect();
    let held = rows.iter().filter(|row| row.holds_one()).count();
    let widest = rows.iter().map(|row| (row.high.max(1.0 / row.low)).ln().abs()).fold(0.0, f64::max);
    let off = widest.exp();
    let off = if off < 2.0 { percent(off - 1.0) } else { format!("a factor of {}", ratio(off)) };
    let detail = format!(
        "{held} of {} intervals of something against itself hold 1; 95% should. The furthest end lies {off} off",
        rows.len()
    );
    (!rows.is_empty())
        .then(|| Headline::new(format!("{held}/{}", rows.len()), "A/A intervals hold 1", detail, Tone::Plain))
}

fn tuned(document: &Tune) -> Headline {
    let tone = Tone::Plain;
    match document.chosen.as_ref().map(super::super::schema::Chosen::settings) {
        Some(settings) => {
            Headline::new(settings.io.as_deref().unwrap_or("tuned"), "is what the tuner chose", &document.verdict, tone)
        }
        None => Headline::new("default", "is what the tuner kept", &document.verdict, tone),
    }
}

fn floors(document: &Compare) -> Option<Headline> {
    let words = floors_in_words(document)?;
    let held = document.floors.iter().filter(|floor| floor.held == Some(true)).count();
    let all = document.floors.len();
    let tone = if held == all { Tone::Good } else { Tone::Bad };
    let open: Vec<&str> =
        document.floors.iter().filter(|floor| floor.held != Some(true)).map(|floor| floor.name.as_str()).collect();
    let detail = if open.is_empty() { words } else { format!("not held: {}", open.join("; ")) };
    Some(Headline::new(format!("{held}/{all}"), "floors held", detail, tone))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(mean: f64, low: f64, high: f64) -> Headline {
        let text = format!(
            r#"{{"rows":[{{"id":"t","contender":"tar|zstd"}},
                {{"id":"c","input":"source","cache":"hot","operation":"pack","contender":"carrack","base":"t",
                  "to_base":{{"rounds":[1,2,3],"mean":{mean},"low":{low},"high":{high}}}}}]}}"#
        );
        against_peers(&serde_json::from_str(&text).unwrap()).remove(0)
    }

    #[test]
    fn a_ratio_is_told_as_faster_slower_or_neither() {
        let faster = compared(0.5, 0.4, 0.6);
        assert_eq!((faster.figure.as_str(), faster.what.as_str()), ("2.00×", "as fast as tar|zstd"));
        assert_eq!(faster.detail, "pack source, hot cache: 0.500 [0.400, 0.600] of its time, 3 rounds");
        let slower = compared(1.25, 1.1, 1.4);
        assert_eq!((slower.figure.as_str(), slower.tone), ("1.25×", Tone::Bad));
        let neither = compared(0.99, 0.95, 1.02);
        assert!(neither.what.starts_with("no difference") && neither.tone == Tone::Plain);
    }

    #[test]
    fn backends_are_ranked_over_the_corpora_that_all_of_them_packed() {
        let step = |bytes: u32, ns: u32| format!(r#"{{"usage":{{"wall_ns":{ns}}},"report":{{"bytes":{bytes}}}}}"#);
        let row =
            |corpus: &str, by: &str, pack: &str| format!(r#"{{"corpus":"{corpus}","contender":"{by}","pack":{pack}}}"#);
        let rows = [
            row("a", "uring", &step(1000, 10)),
            row("a", "mmap", &step(1000, 5)),
            row("a", "naive", &step(1000, 1)),
            row("b", "uring", &step(1000, 1)),
            row("b", "mmap", "null"),
        ];
        let run: Run = serde_json::from_str(&format!(r#"{{"rows":[{}]}}"#, rows.join(","))).unwrap();
        let found = fastest_backend(&run).unwrap();
        assert_eq!(found.figure, "mmap");
        assert!(found.detail.contains("1 corpus") && found.detail.contains("uring 100"), "{}", found.detail);
        assert!(fastest_backend(&Run::default()).is_none());
    }
}
