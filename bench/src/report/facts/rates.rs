//! How fast, how large, how close to what the codec alone would take.

use super::super::schema::{Compare, CompareRow, Input, Run, RunRow, Step, Summary};
use super::super::words::{bytes, interval, number, percent, quotient, ratio, time};
use super::{in_order, is_control, short};

/// A panel of bars.
#[derive(Debug)]
pub(in crate::report) struct Bars {
    pub(in crate::report) title: String,
    pub(in crate::report) rows: Vec<Bar>,
}

/// One bar with its spread.
#[derive(Debug)]
pub(in crate::report) struct Bar {
    /// Who.
    pub(in crate::report) label: String,
    /// The whole name, which decides the colour.
    pub(in crate::report) contender: String,
    /// Its length; none when it was not measured.
    pub(in crate::report) value: Option<f64>,
    /// Half of all rounds lie between these.
    pub(in crate::report) half: Option<(f64, f64)>,
    /// All rounds lie between these.
    pub(in crate::report) all: Option<(f64, f64)>,
    /// What stands beside it: the value, or why there is none.
    pub(in crate::report) words: String,
    /// Everything, in words.
    pub(in crate::report) tip: String,
}

/// MB/s of each row of the comparison that goes through the whole content and competes.
pub(super) fn compared(document: &Compare) -> Vec<Bars> {
    panels(
        document,
        |row| row.operation != "cat" && !is_control(&row.contender),
        |row, input| {
            let rate = |ns: Option<f64>| quotient(input.bytes? * 1e3, ns?);
            let wall = row.wall.unwrap_or_default();
            let value = rate(wall.median);
            let words = value.map_or_else(|| why_not(row), number);
            let tip = format!(
                "{}: {}",
                row.contender,
                if value.is_some() { rate_in_words(row, input) } else { words.clone() }
            );
            // The slower a round, the lower its rate.
            Bar {
                label: short(&row.contender).to_owned(),
                contender: row.contender.clone(),
                value,
                half: rate(wall.three_quarters).zip(rate(wall.quarter)),
                all: rate(wall.max).zip(rate(wall.min)),
                words,
                tip,
            }
        },
    )
}

/// One panel for each input, cache state and operation of the rows that count, the fastest row first.
fn panels(
    document: &Compare,
    counts: impl Fn(&CompareRow) -> bool,
    bar: impl Fn(&CompareRow, &Input) -> Bar,
) -> Vec<Bars> {
    let nameless = Input::default();
    // Panels of one kind have equal rows: they stand together.
    let kinds = in_order(&document.rows, |row| (&row.operation, &row.cache));
    let mut keys = in_order(&document.rows, |row| (&row.input, &row.cache, &row.operation));
    keys.sort_by_key(|(_, cache, operation)| kinds.iter().position(|kind| *kind == (*operation, *cache)));
    let panel = |(input, cache, operation): (&String, &String, &String)| {
        let known = document.inputs.iter().find(|known| known.name == *input).unwrap_or(&nameless);
        let here = |row: &&CompareRow| (&row.input, &row.cache, &row.operation) == (input, cache, operation);
        let rows = document.rows.iter().filter(here).filter(|row| counts(row));
        let mut rows: Vec<Bar> = rows.map(|row| bar(row, known)).collect();
        rows.sort_by(|a, b| b.value.unwrap_or(-1.0).total_cmp(&a.value.unwrap_or(-1.0)));
        Bars { title: title(input, cache, operation), rows }
    };
    keys.into_iter().map(panel).filter(|panel| !panel.rows.is_empty()).collect()
}

/// `pack source, hot cache`.
pub(super) fn title(input: &str, cache: &str, operation: &str) -> String {
    format!("{operation} {input}, {cache} cache")
}

fn why_not(row: &CompareRow) -> String {
    row.failed.as_ref().map_or_else(|| "not measured".to_owned(), |why| format!("failed: {why}"))
}

fn rate_in_words(row: &CompareRow, input: &Input) -> String {
    let wall = row.wall.unwrap_or_default();
    let mut words = vec![spread_in_words(&wall)];
    if let Some(rate) = input.bytes.zip(wall.median).and_then(|(bytes, ns)| quotient(bytes * 1e3, ns)) {
        words.insert(0, format!("{} MB/s", number(rate)));
    }
    if let Some(peak) = row.peak.and_then(|peak| peak.median) {
        words.push(format!("peak memory {}", bytes(peak)));
    }
    if let Some(size) = row.archive_bytes {
        words.push(format!("archive {}", bytes(size)));
    }
    words.push(if row.synced { "durable when the clock stops" } else { "not synced" }.to_owned());
    words.join("; ")
}

/// `574 ms (quarters 538 ms to 589 ms, all 496 ms to 602 ms, 9 rounds)`.
fn spread_in_words(wall: &Summary) -> String {
    let shown = |ns: Option<f64>| ns.map_or_else(|| "?".to_owned(), time);
    format!(
        "{} (quarters {} to {}, all {} to {}, {} rounds)",
        shown(wall.median),
        shown(wall.quarter),
        shown(wall.three_quarters),
        shown(wall.min),
        shown(wall.max),
        wall.count.map_or_else(|| "?".to_owned(), |count| format!("{count:.0}"))
    )
}

/// A step's MB/s of content.
fn step_rate(step: Option<&Step>, content: Option<f64>) -> Option<f64> {
    let step = step?;
    quotient(step.report.bytes.or(content)? * 1e3, step.usage.wall_ns?)
}

/// MB/s of packing, one panel a corpus, the backends in their order: one run each, so without a spread.
pub(super) fn packed(document: &Run) -> Vec<Bars> {
    let panel = |corpus: &String| {
        let rows = document.rows.iter().filter(|row| row.corpus == *corpus).map(|row| {
            let value = step_rate(row.pack.as_ref(), None);
            let words = value.map_or_else(|| run_why_not(row), number);
            let cost = row.pack.as_ref().map(|pack| {
                let shown = |value: Option<f64>| value.map_or_else(|| "?".to_owned(), time);
                let usage = &pack.usage;
                let peak = usage.peak_bytes.map_or_else(|| "?".to_owned(), bytes);
                let [wall, user, system] = [usage.wall_ns, usage.user_ns, usage.system_ns].map(shown);
                format!(" MB/s; {wall} (user {user}, system {system}), peak memory {peak}; one run")
            });
            let tip = format!("{}: {words}{}", row.contender, cost.unwrap_or_default());
            Bar {
                label: row.contender.clone(),
                contender: row.contender.clone(),
                value,
                half: None,
                all: None,
                words,
                tip,
            }
        });
        Bars { title: format!("pack {corpus}"), rows: rows.collect() }
    };
    in_order(&document.rows, |row| &row.corpus).into_iter().map(panel).collect()
}

fn run_why_not(row: &RunRow) -> String {
    match (&row.unavailable, row.failures.first()) {
        (Some(why), _) => format!("unavailable: {why}"),
        (None, Some(why)) => format!("failed: {why}"),
        (None, None) => "not measured".to_owned(),
    }
}

/// All steps of one row of `run.json`, in words for a table.
#[derive(Debug)]
pub(in crate::report) struct StepRow {
    /// Corpus, contender.
    pub(in crate::report) words: [String; 2],
    /// Content, pack, verify and unpack MB/s, ratio, peak memory.
    pub(in crate::report) cells: [String; 6],
}

/// One row of `compare.json` in numbers: its name, and wall time, its quarters, user and system time, peak memory,
/// archive, ratio to its base, efficiency, remarks.
#[derive(Debug)]
pub(in crate::report) struct CompareCells {
    pub(in crate::report) id: String,
    pub(in crate::report) cells: [String; 8],
}

/// The table of `compare.json`: every row, controls too.
pub(super) fn rows(document: &Compare) -> Vec<CompareCells> {
    let row = |row: &CompareRow| {
        let wall = row.wall.unwrap_or_default();
        let quarters = wall.quarter.zip(wall.three_quarters);
        let ratio = row.to_base.as_ref().and_then(|to| Some(interval(to.mean?, to.low?, to.high?)));
        let remark = match (&row.failed, row.not_held.filter(|runs| *runs > 0.0)) {
            (Some(why), _) => format!("failed: {why}"),
            (None, Some(runs)) => format!("cache not held: {runs}"),
            (None, None) => String::new(),
        };
        let cells = [
            wall.median.map(time),
            quarters.map(|(low, high)| format!("{} – {}", time(low), time(high))),
            row.cpu.and_then(|cpu| cpu.median).map(time),
            row.peak.and_then(|peak| peak.median).map(bytes),
            row.archive_bytes.map(bytes),
            ratio,
            row.efficiency.map(percent),
            Some(remark),
        ];
        CompareCells { id: row.id.clone(), cells: cells.map(|cell| cell.unwrap_or_else(|| "–".to_owned())) }
    };
    document.rows.iter().map(row).collect()
}

/// The table of `run.json`.
pub(super) fn steps(document: &Run) -> Vec<StepRow> {
    let row = |row: &RunRow| {
        let pack = row.pack.as_ref();
        let content = pack.and_then(|pack| pack.report.bytes);
        let packing = content.zip(pack.and_then(|pack| pack.report.archive_bytes));
        let values = [
            content.map(bytes),
            step_rate(pack, content).map(number),
            step_rate(row.verify.as_ref(), content).map(number),
            step_rate(row.unpack.as_ref(), content).map(number),
            packing.and_then(|(content, archive)| quotient(content, archive)).map(ratio),
            pack.and_then(|pack| pack.usage.peak_bytes).map(bytes),
        ];
        let cells = values.map(|value| value.unwrap_or_else(|| "–".to_owned()));
        StepRow { words: [row.corpus.clone(), row.contender.clone()], cells }
    };
    document.rows.iter().map(row).collect()
}

/// How much of a pack's time the codec and the digest alone would have taken.
pub(super) fn efficiency(document: &Compare) -> Vec<Bars> {
    panels(
        document,
        |row| row.efficiency.is_some(),
        |row, input| {
            let value = row.efficiency;
            let words = value.map_or_else(String::new, percent);
            let roofline = document.rooflines.iter().find(|roofline| roofline.input == row.input);
            let codec = roofline.and_then(|roofline| roofline.codec_ns?.median).map(time);
            let codec = codec.map_or_else(String::new, |codec| format!("; codec and digest alone {codec}"));
            let tip = format!("{}: {words} of its time{codec}; {}", row.contender, rate_in_words(row, input));
            Bar {
                label: short(&row.contender).to_owned(),
                contender: row.contender.clone(),
                value,
                half: None,
                all: None,
                words,
                tip,
            }
        },
    )
}

/// A panel of time against size.
#[derive(Debug)]
pub(in crate::report) struct Scatter {
    pub(in crate::report) title: String,
    pub(in crate::report) dots: Vec<Dot>,
}

/// One contender.
#[derive(Debug)]
pub(in crate::report) struct Dot {
    pub(in crate::report) label: String,
    pub(in crate::report) contender: String,
    /// The contender, at whatever level or profile.
    pub(in crate::report) series: String,
    /// Median wall time, ns.
    pub(in crate::report) ns: f64,
    /// Archive bytes per byte of content.
    pub(in crate::report) share: f64,
    /// Nobody is both faster and smaller.
    pub(in crate::report) front: bool,
    /// Nobody of the same series is both faster and smaller.
    pub(in crate::report) own_front: bool,
    pub(in crate::report) tip: String,
}

/// Packing time against archive size, one panel an input and cache state.
pub(super) fn scatters(document: &Compare) -> Vec<Scatter> {
    let packs: Vec<&CompareRow> =
        document.rows.iter().filter(|row| row.operation == "pack" && !is_control(&row.contender)).collect();
    let keys = in_order(&packs, |row| (&row.input, &row.cache));
    let panel = |(input, cache): (&String, &String)| {
        let known = document.inputs.iter().find(|known| known.name == *input)?;
        let here = packs.iter().filter(|row| (&row.input, &row.cache) == (input, cache));
        let mut dots: Vec<Dot> = here.filter_map(|row| dot(row, known)).collect();
        mark_front(&mut dots);
        Some(Scatter { title: title(input, cache, "pack"), dots })
    };
    keys.into_iter().filter_map(panel).filter(|panel| !panel.dots.is_empty()).collect()
}

fn dot(row: &CompareRow, input: &Input) -> Option<Dot> {
    let ns = row.wall?.median.filter(|ns| *ns > 0.0)?;
    let share = quotient(row.archive_bytes?, input.bytes?)?;
    Some(Dot {
        label: label(&row.contender).to_owned(),
        series: series(&row.contender).to_owned(),
        contender: row.contender.clone(),
        ns,
        share,
        front: false,
        own_front: false,
        tip: format!("{}: {} of the content; {}", row.contender, percent(share), rate_in_words(row, input)),
    })
}

/// Who a contender is, at whatever level or profile.
fn series(contender: &str) -> &str {
    if contender.starts_with("carrack --profile ") || contender.starts_with("carrack --level ") {
        return "carrack";
    }
    match contender.rsplit_once(" -") {
        Some((peer, level)) if !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_digit()) => peer,
        _ => contender,
    }
}

/// What stands beside its dot.
fn label(contender: &str) -> &str {
    let setting = contender.strip_prefix("carrack --profile ").or_else(|| contender.strip_prefix("carrack --"));
    setting.filter(|_| series(contender) == "carrack").unwrap_or_else(|| short(contender))
}

/// Marks those that nobody beats in time and size at once, and those that none of their series beats.
fn mark_front(dots: &mut [Dot]) {
    for at in 0..dots.len() {
        let (ns, share) = (dots[at].ns, dots[at].share);
        let beats = |other: &&Dot| other.ns <= ns && other.share <= share && (other.ns < ns || other.share < share);
        let (front, own) = {
            let own = |other: &&Dot| other.series == dots[at].series;
            (dots.iter().find(beats).is_none(), dots.iter().filter(own).find(beats).is_none())
        };
        (dots[at].front, dots[at].own_front) = (front, own);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dots(of: &[(f64, f64)]) -> Vec<bool> {
        let dot = |&(ns, share): &(f64, f64)| Dot {
            label: String::new(),
            contender: String::new(),
            series: String::new(),
            ns,
            share,
            front: false,
            own_front: false,
            tip: String::new(),
        };
        let mut dots: Vec<Dot> = of.iter().map(dot).collect();
        mark_front(&mut dots);
        dots.into_iter().map(|dot| dot.front).collect()
    }

    #[test]
    fn levels_and_profiles_belong_to_their_contender() {
        for (contender, of, beside) in [
            ("carrack", "carrack", "carrack"),
            ("carrack --profile small", "carrack", "small"),
            ("carrack --level 9", "carrack", "level 9"),
            ("carrack --io pread", "carrack --io pread", "pread"),
            ("tar|zstd", "tar|zstd", "tar|zstd"),
            ("tar|zstd -19", "tar|zstd", "tar|zstd -19"),
            ("a -b", "a -b", "a -b"),
            ("a -", "a -", "a -"),
        ] {
            assert_eq!((series(contender), label(contender)), (of, beside), "{contender}");
        }
    }

    #[test]
    fn each_series_has_a_front_of_its_own() {
        let dot = |series: &str, ns, share| Dot {
            label: String::new(),
            contender: String::new(),
            series: series.to_owned(),
            ns,
            share,
            front: false,
            own_front: false,
            tip: String::new(),
        };
        let mut dots = vec![dot("a", 1.0, 0.5), dot("b", 2.0, 0.6), dot("b", 3.0, 0.4), dot("b", 4.0, 0.45)];
        mark_front(&mut dots);
        let found: Vec<_> = dots.iter().map(|dot| (dot.front, dot.own_front)).collect();
        assert_eq!(found, [(true, true), (false, true), (true, true), (false, false)]);
    }

    #[test]
    fn the_front_holds_those_that_nobody_beats_in_both() {
        assert_eq!(
            dots(&[(1.0, 0.5), (2.0, 0.3), (3.0, 0.3), (1.5, 0.6), (4.0, 0.1)]),
            [true, true, false, false, true]
        );
        assert_eq!(dots(&[(1.0, 0.5), (1.0, 0.6)]), [true, false], "as fast, but larger");
        assert_eq!(dots(&[(1.0, 0.5), (1.0, 0.5)]), [true, true], "equals do not beat one another");
        assert!(dots(&[]).is_empty());
    }

    fn compare(rows: &str) -> Compare {
        let text = format!(r#"{{"inputs":[{{"name":"a","files":1,"bytes":1000000}}],"rows":[{rows}]}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn rates_are_bytes_by_time_and_the_slowest_round_is_the_lowest_rate() {
        let document = compare(
            r#"{"input":"a","cache":"hot","operation":"pack","contender":"carrack --io pool",
                "wall":{"count":3,"median":2e6,"quarter":1e6,"three_quarters":4e6,"min":0.5e6,"max":5e6}},
               {"input":"a","cache":"hot","operation":"pack","contender":"zpaq","failed":"exit status: 3"},
               {"input":"a","cache":"cold","operation":"pack","contender":"zpaq"}"#,
        );
        let panels = compared(&document);
        assert_eq!(
            panels.iter().map(|panel| panel.title.as_str()).collect::<Vec<_>>(),
            ["pack a, hot cache", "pack a, cold cache"]
        );
        let bar = &panels[0].rows[0];
        assert_eq!((bar.label.as_str(), bar.value, bar.half), ("pool", Some(500.0), Some((250.0, 1000.0))));
        assert_eq!(bar.all, Some((200.0, 2000.0)));
        assert_eq!(panels[0].rows[1].words, "failed: exit status: 3");
        assert_eq!(panels[1].rows[0].words, "not measured");
    }

    #[test]
    fn a_row_of_an_unknown_input_has_no_rate_and_no_place() {
        let document = compare(
            r#"{"input":"b","cache":"hot","operation":"pack","contender":"x","archive_bytes":5,"wall":{"median":2e6}}"#,
        );
        assert_eq!(compared(&document)[0].rows[0].value, None);
        assert!(scatters(&document).is_empty());
    }
}
