//! How long each stage took, how its times spread, and what a run waited for.

use super::super::document::Documents;
use super::super::schema::{Stage, Step, Verdict};
use super::super::words::{percent, quotient, time};
use super::in_order;

/// What kind of time a stage's samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::report) enum Kind {
    Service,
    Wait,
    Road,
    /// The document says another word.
    Other,
}

impl Kind {
    /// In the order in which they are shown.
    pub(in crate::report) const ALL: [Kind; 4] = [Kind::Service, Kind::Wait, Kind::Road, Kind::Other];

    fn of(name: &str) -> Self {
        match name {
            "service" => Kind::Service,
            "wait" => Kind::Wait,
            "road" => Kind::Road,
            _ => Kind::Other,
        }
    }

    /// Its name, and what it means.
    pub(in crate::report) fn words(self) -> (&'static str, &'static str) {
        match self {
            Kind::Service => ("Services", "somebody works on it, be it a thread or the kernel"),
            Kind::Wait => ("Waits", "it lies ready, or somebody waits for it, and nobody works on it"),
            Kind::Road => ("Roads", "the whole way through several stages, services and waits together"),
            Kind::Other => ("Others", "times whose kind the document does not tell"),
        }
    }
}

/// One operation of one backend, with its stages.
#[derive(Debug)]
pub(super) struct Observed<'a> {
    /// Corpus, or the name of the document.
    pub(super) of: String,
    pub(super) operation: &'a str,
    pub(super) backend: &'a str,
    pub(super) verdict: Option<&'a Verdict>,
    stages: &'a [Stage],
}

/// Everything whose stages were recorded.
pub(super) fn observed(documents: &Documents) -> Vec<Observed<'_>> {
    let mut found = Vec::new();
    for row in documents.run.get().iter().flat_map(|run| &run.rows) {
        for (operation, step) in [("pack", &row.pack), ("unpack", &row.unpack), ("verify", &row.verify)] {
            if let Some(Step { report, .. }) = step.as_ref().filter(|step| !step.report.stages.is_empty()) {
                let (verdict, stages) = (report.verdict.as_ref(), report.stages.as_slice());
                found.push(Observed { of: row.corpus.clone(), operation, backend: &row.contender, verdict, stages });
            }
        }
    }
    for (name, document) in &documents.stages {
        if let Some(document) = document.get().filter(|document| !document.stages.is_empty()) {
            found.push(Observed {
                of: format!("in {name}"),
                operation: &document.operation,
                backend: if document.backend.is_empty() { "this run" } else { &document.backend },
                verdict: document.verdict.as_ref(),
                stages: &document.stages,
            });
        }
    }
    found
}

impl Verdict {
    /// `codec-bound`, `balanced`.
    pub(in crate::report) fn words(&self) -> String {
        match self.bound.strip_suffix("-bound").unwrap_or(&self.bound) {
            "" => "no verdict".to_owned(),
            "balanced" => "balanced".to_owned(),
            bound => format!("{bound}-bound"),
        }
    }

    /// The figures behind it: `reader share 41%; backlog 3.1`.
    fn figures(&self) -> String {
        let shown = |(name, value): (&String, &serde_json::Value)| {
            let value = value.as_f64()?;
            let share = name.ends_with("share");
            let value = if share { percent(value) } else { super::super::words::number(value) };
            Some(format!("{} {value}", name.replace('_', " ")))
        };
        self.figures.iter().filter_map(shown).collect::<Vec<_>>().join("; ")
    }
}

/// All curves of one corpus, or of one document of stages, and one operation.
#[derive(Debug)]
pub(in crate::report) struct Curves {
    pub(in crate::report) of: String,
    pub(in crate::report) operation: String,
    pub(in crate::report) groups: Vec<Group>,
    pub(in crate::report) rows: Vec<StageRow>,
}

/// One stage, with a line for each backend.
#[derive(Debug)]
pub(in crate::report) struct Group {
    pub(in crate::report) stage: String,
    pub(in crate::report) kind: Kind,
    pub(in crate::report) unit: String,
    pub(in crate::report) lines: Vec<Line>,
}

/// The percentiles of one backend's stage.
#[derive(Debug)]
pub(in crate::report) struct Line {
    pub(in crate::report) backend: String,
    pub(in crate::report) count: f64,
    /// Quantile and ns, rising.
    pub(in crate::report) points: Vec<(f64, f64)>,
}

/// One stage in numbers.
#[derive(Debug)]
pub(in crate::report) struct StageRow {
    /// Stage, kind, unit, backend.
    pub(in crate::report) words: [String; 4],
    /// Samples, p50, p90, p99, p99.9, max, total.
    pub(in crate::report) cells: [String; 7],
}

/// The curves by corpus and operation.
pub(super) fn curves(observed: &[Observed<'_>]) -> Vec<Curves> {
    let one = |(of, operation): (&String, &str)| {
        let here: Vec<&Observed<'_>> =
            observed.iter().filter(|seen| (&seen.of, seen.operation) == (of, operation)).collect();
        let all: Vec<(&Observed<'_>, &Stage)> =
            here.iter().flat_map(|seen| seen.stages.iter().map(move |stage| (*seen, stage))).collect();
        let mut groups: Vec<Group> = in_order(&all, |(_, stage)| (&stage.stage, &stage.kind))
            .into_iter()
            .map(|(name, kind)| group(&all, name, kind))
            .filter(|group| !group.lines.is_empty())
            .collect();
        groups.sort_by_key(|group| Kind::ALL.iter().position(|kind| *kind == group.kind));
        let rows = all.iter().map(|(seen, stage)| stage_row(seen.backend, stage)).collect();
        Curves { of: of.clone(), operation: operation.to_owned(), groups, rows }
    };
    in_order(observed, |seen| (&seen.of, seen.operation)).into_iter().map(one).collect()
}

fn group(all: &[(&Observed<'_>, &Stage)], name: &str, kind: &str) -> Group {
    let here = all.iter().filter(|(_, stage)| (stage.stage.as_str(), stage.kind.as_str()) == (name, kind));
    let lines = here.clone().filter_map(|(seen, stage)| {
        let mut points: Vec<(f64, f64)> = stage.curve.iter().filter_map(|point| point.values()).collect();
        points.retain(|(_, ns)| *ns > 0.0);
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        let count = stage.count.unwrap_or(0.0);
        // Beyond one in as many as there are samples, a curve only repeats its longest.
        points.retain(|(q, _)| *q >= 1.0 || 1.0 / (1.0 - q) <= (count * 2.0).max(2.0));
        (!points.is_empty()).then(|| Line { backend: seen.backend.to_owned(), count, points })
    });
    let unit = here.clone().map(|(_, stage)| stage.unit.clone()).next().unwrap_or_default();
    Group { stage: name.to_owned(), kind: Kind::of(kind), unit, lines: lines.collect() }
}

fn stage_row(backend: &str, stage: &Stage) -> StageRow {
    let shown = |ns: Option<f64>| ns.map_or_else(|| "–".to_owned(), time);
    let count = stage.count.map_or_else(|| "–".to_owned(), super::super::words::grouped);
    let [p50, p90, p99, p999, max, total] =
        [stage.p50_ns, stage.p90_ns, stage.p99_ns, stage.p999_ns, stage.max_ns, stage.total_ns].map(shown);
    StageRow {
        words: [stage.stage.clone(), stage.kind.clone(), stage.unit.clone(), backend.to_owned()],
        cells: [count, p50, p90, p99, p999, max, total],
    }
}

/// The shares of one corpus, or of one document of stages, and one operation.
#[derive(Debug)]
pub(in crate::report) struct Shares {
    pub(in crate::report) title: String,
    /// All stages of the rows, in the order of the flow.
    pub(in crate::report) stages: Vec<String>,
    pub(in crate::report) rows: Vec<ShareRow>,
}

/// One backend's shares.
#[derive(Debug)]
pub(in crate::report) struct ShareRow {
    pub(in crate::report) backend: String,
    /// `codec-bound`; empty when the document has none.
    pub(in crate::report) verdict: String,
    /// The figures behind it.
    pub(in crate::report) figures: String,
    /// Number of the stage, share of 1, total ns in words.
    pub(in crate::report) parts: Vec<(usize, f64, String)>,
}

/// The shares by corpus and operation.
pub(super) fn shares(observed: &[Observed<'_>]) -> Vec<Shares> {
    let one = |(of, operation): (&String, &str)| {
        let here: Vec<&Observed<'_>> =
            observed.iter().filter(|seen| (&seen.of, seen.operation) == (of, operation)).collect();
        let services = here.iter().flat_map(|seen| seen.stages).filter(|stage| stage.kind == "service");
        let services: Vec<&Stage> = services.collect();
        let stages: Vec<String> = in_order(&services, |stage| stage.stage.clone());
        let rows: Vec<ShareRow> = here.iter().map(|seen| share_row(seen, &stages)).collect();
        Shares { title: format!("{operation} {of}"), stages, rows }
    };
    let all = in_order(observed, |seen| (&seen.of, seen.operation)).into_iter().map(one);
    all.filter(|shares| shares.rows.iter().any(|row| !row.parts.is_empty())).collect()
}

fn share_row(seen: &Observed<'_>, stages: &[String]) -> ShareRow {
    let services = || seen.stages.iter().filter(|stage| stage.kind == "service");
    let all: f64 = services().filter_map(|stage| stage.total_ns).filter(|ns| *ns > 0.0).sum();
    let part = |stage: &Stage| {
        let total = stage.total_ns.filter(|ns| *ns > 0.0)?;
        let number = stages.iter().position(|name| *name == stage.stage)?;
        Some((number, quotient(total, all)?, time(total)))
    };
    ShareRow {
        backend: seen.backend.to_owned(),
        verdict: seen.verdict.map(Verdict::words).unwrap_or_default(),
        figures: seen.verdict.map(Verdict::figures).unwrap_or_default(),
        parts: services().filter_map(part).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(text: &str) -> Vec<Stage> {
        serde_json::from_str(text).unwrap()
    }

    fn seen<'a>(backend: &'a str, stages: &'a [Stage], verdict: Option<&'a Verdict>) -> Observed<'a> {
        Observed { of: "source".to_owned(), operation: "pack", backend, verdict, stages }
    }

    #[test]
    fn each_stage_has_a_line_a_backend_and_services_come_first() {
        let a = stages(
            r#"[{"stage":"slot_wait","kind":"wait","count":2,"curve":[[0.5,9],[1,12]]},
                {"stage":"read","kind":"service","unit":"request","count":3,"curve":[[1,40],[0.5,20],[null,3],[0.9,0]]}]"#,
        );
        let b = stages(r#"[{"stage":"read","kind":"service","curve":[]}]"#);
        let curves = curves(&[seen("pool", &a, None), seen("mmap", &b, None)]);
        let groups = &curves[0].groups;
        assert_eq!(groups.iter().map(|group| group.stage.as_str()).collect::<Vec<_>>(), ["read", "slot_wait"]);
        assert_eq!((groups[0].kind, groups[0].lines.len()), (Kind::Service, 1), "no points, no line");
        assert_eq!(groups[0].lines[0].points, [(0.5, 20.0), (1.0, 40.0)], "sorted, and without what is no point");
        assert_eq!(curves[0].rows.len(), 3, "the table has what has no curve too");
    }

    #[test]
    fn shares_are_of_the_services_alone_and_the_verdict_is_one_word() {
        let a = stages(
            r#"[{"stage":"slot_wait","kind":"wait","total_ns":900},{"stage":"read","kind":"service","total_ns":100},
                {"stage":"compress","kind":"service","total_ns":300},{"stage":"commit","kind":"service","total_ns":null}]"#,
        );
        let told: Verdict =
            serde_json::from_str(r#"{"bound":"codec","reader_share":0.41,"backlog":3.1,"odd":[1]}"#).unwrap();
        let shares = shares(&[seen("pool", &a, Some(&told))]);
        let row = &shares[0].rows[0];
        let parts: Vec<(&str, f64)> =
            row.parts.iter().map(|(at, share, _)| (shares[0].stages[*at].as_str(), *share)).collect();
        assert_eq!(parts, [("read", 0.25), ("compress", 0.75)]);
        assert_eq!((row.verdict.as_str(), row.figures.as_str()), ("codec-bound", "backlog 3.10; reader share 41%"));
        for (bound, words) in [("sink-bound", "sink-bound"), ("balanced", "balanced"), ("", "no verdict")] {
            assert_eq!(Verdict { bound: bound.to_owned(), ..Verdict::default() }.words(), words);
        }
    }
}
