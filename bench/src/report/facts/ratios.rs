//! Who is faster than whom, and how sure that is: intervals around 1.

use super::super::schema::{Compare, CompareRow, Noise, Ratio};
use super::super::words::{count, interval, number};
use super::rates::title;
use super::{in_order, is_control, short};

/// A panel of intervals.
#[derive(Debug)]
pub(in crate::report) struct Intervals {
    pub(in crate::report) title: String,
    /// What is divided by what.
    pub(in crate::report) unit: String,
    pub(in crate::report) rows: Vec<Interval>,
}

/// A ratio with its 95% interval.
#[derive(Clone, Debug)]
pub(in crate::report) struct Interval {
    pub(in crate::report) label: String,
    pub(in crate::report) contender: String,
    pub(in crate::report) mean: f64,
    pub(in crate::report) low: f64,
    pub(in crate::report) high: f64,
    pub(in crate::report) tip: String,
}

impl Interval {
    /// Nothing when a number is missing or no ratio.
    fn of(ratio: &Ratio, label: &str, contender: &str, what: &str) -> Option<Self> {
        let (mean, low, high) = (ratio.mean?, ratio.low?, ratio.high?);
        let sound = |value: f64| value > 0.0 && value < 1e12;
        if ![mean, low, high].into_iter().all(sound) {
            return None;
        }
        let rounds: Vec<f64> = ratio.rounds.iter().copied().flatten().collect();
        let ends = rounds.iter().copied().fold(None, |ends: Option<(f64, f64)>, value| {
            Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
        });
        let span = ends.map_or_else(String::new, |(low, high)| {
            format!("; {} from {} to {}", count(rounds.len(), "round"), number(low), number(high))
        });
        let tip = format!("{contender} {what}: {} of the time{span}", interval(mean, low, high));
        Some(Self { label: label.to_owned(), contender: contender.to_owned(), mean, low, high, tip })
    }

    /// Whether the interval holds 1: no difference can be told.
    pub(in crate::report) fn holds_one(&self) -> bool {
        self.low <= 1.0 && 1.0 <= self.high
    }
}

/// What a row is compared with: the contender of its base.
pub(super) fn base<'a>(document: &'a Compare, row: &'a CompareRow) -> &'a str {
    let id = row.base.as_deref().unwrap_or("?");
    let known = document.rows.iter().find(|other| other.id == id);
    known.map_or(id, |base| base.contender.as_str())
}

/// Each row that is compared with another, one panel an input, cache state, operation and base, the fastest row first.
pub(super) fn ratios(document: &Compare) -> Vec<Intervals> {
    let competing = document.rows.iter().filter(|row| !is_control(&row.contender));
    let mut rows: Vec<(&CompareRow, &str, &Ratio)> =
        competing.filter_map(|row| Some((row, base(document, row), row.to_base.as_ref()?))).collect();
    // Panels of one kind have equal rows: they stand together.
    let kinds = in_order(&document.rows, |row| (&row.operation, &row.cache));
    rows.sort_by_key(|(row, ..)| kinds.iter().position(|kind| *kind == (&row.operation, &row.cache)));
    let key = |(row, base, _): &(&CompareRow, &str, _)| {
        (title(&row.input, &row.cache, &row.operation), format!("time / time of {base}"))
    };
    let panel = |(title, unit): (String, String)| {
        let here = rows.iter().filter(|row| key(row) == (title.clone(), unit.clone()));
        let of = |(row, base, ratio): &(&CompareRow, &str, &Ratio)| {
            Interval::of(ratio, short(&row.contender), &row.contender, &format!("/ {base}, {title}"))
        };
        let mut rows: Vec<Interval> = here.filter_map(of).collect();
        rows.sort_by(|a, b| a.mean.total_cmp(&b.mean));
        Intervals { rows, title, unit }
    };
    in_order(&rows, key).into_iter().map(panel).filter(|panel| !panel.rows.is_empty()).collect()
}

/// Rows with a planted delay against the same without: what should be found.
pub(super) fn planted(document: &Compare) -> Vec<Intervals> {
    let rows = document.rows.iter().filter(|row| row.contender.starts_with("planted")).filter_map(|row| {
        let label = format!("{} {}", row.contender, row.input);
        Interval::of(
            row.to_base.as_ref()?,
            &label,
            &row.contender,
            &format!("/ {}, {}", base(document, row), row.input),
        )
    });
    let (title, unit) = ("a planted delay".to_owned(), "time / time without it".to_owned());
    let panel = Intervals { title, unit, rows: rows.collect() };
    if panel.rows.is_empty() { Vec::new() } else { vec![panel] }
}

/// Comparisons of something with itself: whatever they find is noise.
pub(super) fn noise(alone: Option<&Noise>, compare: Option<&Compare>) -> Vec<Intervals> {
    let alone =
        alone.iter().flat_map(|document| document.comparisons.iter().enumerate()).filter_map(|(at, compared)| {
            let label = format!("repeat {}", at + 1);
            Interval::of(compared.ratio(), &label, "carrack", &format!("against itself, {label}"))
        });
    let within = compare.iter().flat_map(|document| &document.noise).filter_map(|row| {
        let label = format!("{}/{}/{}", row.input, row.cache, row.operation);
        Interval::of(&row.ratio, &label, "carrack", &format!("against itself, {label}"))
    });
    let panel =
        |title: &str, rows| Intervals { title: title.to_owned(), unit: "time / time of itself".to_owned(), rows };
    let panels = [panel("repeated comparisons", alone.collect()), panel("beside each comparison", within.collect())];
    panels.into_iter().filter(|panel| !panel.rows.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(mean: f64, low: f64, high: f64) -> Ratio {
        Ratio { rounds: vec![Some(mean), None], mean: Some(mean), low: Some(low), high: Some(high) }
    }

    #[test]
    fn an_interval_holds_one_or_tells_a_difference() {
        let of = |ratio: &Ratio| Interval::of(ratio, "a", "carrack", "/ tar");
        assert!(of(&ratio(1.01, 0.98, 1.04)).unwrap().holds_one());
        let slower = of(&ratio(1.05, 1.02, 1.08)).unwrap();
        assert!(!slower.holds_one());
        assert_eq!(slower.tip, "carrack / tar: 1.050 [1.020, 1.080] of the time; 1 round from 1.05 to 1.05");
        for odd in [ratio(0.0, 0.0, 0.0), ratio(1.0, -1.0, 2.0), ratio(1.0, 0.5, 1e300), Ratio::default()] {
            assert!(of(&odd).is_none(), "{odd:?}");
        }
    }

    #[test]
    fn rows_are_grouped_by_what_they_are_compared_with() {
        let text = r#"{"rows":[
            {"id":"t","input":"a","cache":"hot","operation":"pack","contender":"tar|zstd"},
            {"id":"c","input":"a","cache":"hot","operation":"pack","contender":"carrack","base":"t",
             "to_base":{"rounds":[0.8],"mean":0.8,"low":0.7,"high":0.9}},
            {"id":"d","input":"a","cache":"hot","operation":"pack","contender":"carrack --io mmap","base":"c",
             "to_base":{"rounds":[1.2],"mean":1.2,"low":1.1,"high":1.3}}]}"#;
        let panels = ratios(&serde_json::from_str(text).unwrap());
        let titles: Vec<&str> = panels.iter().map(|panel| panel.title.as_str()).collect();
        assert_eq!(titles, ["pack a, hot cache", "pack a, hot cache"]);
        assert_eq!((panels[1].unit.as_str(), panels[1].rows[0].label.as_str()), ("time / time of carrack", "mmap"));
    }
}
