//! The sections of the page: each says what it shows and how to read it, or why there is nothing and what to run.

use maud::{Markup, html};

use super::super::charts::{bars, curves, heat, intervals, scatter, shares};
use super::super::document::{Damage, Documents, Found};
use super::super::facts::{Bars, Curves, Facts, Intervals, Kind, Trials};
use super::super::words::count;
use super::{Book, machine};

/// One section.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    lead: &'static str,
    body: Markup,
}

impl Section {
    pub(super) fn markup(&self) -> Markup {
        html! {
            section id=(self.id) {
                h2 { (self.title) }
                p.lead { (with_code(self.lead)) }
                (self.body)
            }
        }
    }
}

/// All sections, in their order.
pub(super) fn sections(documents: &Documents, facts: &Facts, book: &mut Book) -> Vec<Section> {
    let section = |id, title, lead, body| Section { id, title, lead, body };
    vec![
        section("peers", "Against the peers", PEERS, peers(documents, facts, book)),
        section("throughput", "Throughput", THROUGHPUT, throughput(documents, facts, book)),
        section("size", "Time against size", SIZE, size(documents, facts, book)),
        section("shares", "What a run waits for", SHARES, stage_shares(documents, facts, book)),
        section("latency", "Latency by stage", LATENCY, latency(documents, facts, book)),
        section("efficiency", "Efficiency", EFFICIENCY, efficiency(documents, facts, book)),
        section("tuner", "Tuner", TUNER, tuner(documents, facts, book)),
        section("noise", "Noise floor", NOISE, noise(documents, facts, book)),
        section("problems", "What did not hold", PROBLEMS, problems(facts)),
        section("host", "The machine", HOST, machine::hosts(documents)),
        section("again", "How it was measured", AGAIN, machine::again(documents)),
    ]
}

const PEERS: &str = "Wall time divided by that of one peer in the same round: the geometric mean of all rounds with its 95% \
    bootstrap interval. Left of 1 is faster than that peer; an interval that holds 1 tells no difference. Where peers take \
    many times as long, the scale is logarithmic.";
const THROUGHPUT: &str = "Megabytes (10⁶ bytes) of content a second: longer is faster. In side-by-side measurements a bar ends \
    at the median of the rounds; the thick line holds half of them, the thin one all. `run` measures each backend once, so its \
    bars have no spread. Each panel has a scale of its own.";
const SIZE: &str = "Packing: the further left, the faster; the lower, the smaller the archive. The dashed stairs join \
    those that nobody beats in both, the solid ones Carrack's own settings; a thin line joins the levels of another archiver. \
    Time is logarithmic. `carrack-bench compare --front` measures several levels and profiles.";
const SHARES: &str = "Each bar is the time of all services of one run, summed over all threads, and whom it went to; waits are not \
    in it, and reads that are in flight at once count each for itself. On its right the verdict: whoever was busy all the time is what the others waited for.";
const LATENCY: &str = "How long one unit took, from the fastest sample to the slowest: a point at 99% and 1 ms says that 99 of 100 \
    took 1 ms at most. Both axes are logarithmic, the lower one by 1 / (1 − quantile), so each further nine takes the same \
    room. Solid lines are work, dashed ones are waiting.";
const EFFICIENCY: &str = "The time that the codec and the digest alone take for the same bytes, divided by the time of the whole \
    pack. At 100% nothing else took time.";
const TUNER: &str = "Each cell is one number of slots and one slot size: the median time relative to the best of all backends. The \
    framed one was chosen, the dashed one is the default. Of several trials in a cell the furthest is shown, and of those the fastest.";
const NOISE: &str = "The same program against itself, measured like everything else. All differences here are noise: 95% of the \
    intervals should hold 1, and what is claimed elsewhere should be larger than what is found here.";
const PROBLEMS: &str =
    "Everything that failed, was missing, or was measured in another state than it should have been in.";
const HOST: &str =
    "What the numbers were measured on. Times depend on it; ratios of one interleaved run travel better.";
const AGAIN: &str = "`docs/benchmarks.md` says more.";

/// Why a section has nothing to show, or nothing when it has something.
fn absent<T>(found: &Found<T>, run: &str, file: &str) -> Option<Markup> {
    match found {
        Found::Read(_) => None,
        Found::Missing => Some(html! {
            p.absent { "Not measured yet: there is no " code { (file) } ". Run " code { (run) } "." }
        }),
        Found::Damaged(damage) => Some(broken(damage)),
    }
}

fn broken(damage: &Damage) -> Markup {
    html! {
        p.broken {
            strong { (damage.file.display()) } " cannot be read." br;
            "Expected " (damage.expected) ", found " (damage.found) "."
        }
    }
}

fn empty(what: &str) -> Markup {
    html! { p.absent { (what) } }
}

fn peers(documents: &Documents, facts: &Facts, book: &mut Book) -> Markup {
    if let Some(absent) = absent(&documents.compare, "make compare", "compare.json") {
        return absent;
    }
    if facts.ratios.is_empty() {
        return empty("The comparison has no ratios.");
    }
    html! {
        (interval_panels("ratio", &facts.ratios, book))
        @if !facts.floors.is_empty() { h3 { "The floors" } (floors(&facts.floors)) }
    }
}

fn interval_panels(kind: &str, panels: &[Intervals], book: &mut Book) -> Markup {
    html! {
        div.grid { @for panel in panels { (book.panel(kind, &panel.title, &panel.unit, &intervals::draw(panel))) } }
    }
}

fn floors(floors: &[[String; 5]]) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr {
                    th { "verdict" } th { "floor" }
                    @for name in ["found", "at most", "95% interval"] { th.number { (name) } }
                } }
                tbody {
                    @for [verdict, name, value, limit, interval] in floors {
                        @let class = if verdict == "held" { "held" } else { "missed" };
                        tr {
                            td class=(class) { (verdict) } td { (name) }
                            @for cell in [value, limit, interval] { td.number { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

fn throughput(documents: &Documents, facts: &Facts, book: &mut Book) -> Markup {
    html! {
        h3 { "Side by side" }
        @if let Some(absent) = absent(&documents.compare, "make compare", "compare.json") { (absent) }
        @else if facts.compared.is_empty() { (empty("The comparison has no rows.")) }
        @else { (bar_panels("rate", &facts.compared, "MB/s", bars::Unit::Rate, book)) (compared_rows(facts)) }
        h3 { "Every corpus, every backend" }
        @if let Some(absent) = absent(&documents.run, "make run", "run.json") { (absent) }
        @else if facts.packed.is_empty() { (empty("The run has no rows.")) }
        @else {
            (bar_panels("run", &facts.packed, "MB/s, one run each", bars::Unit::Rate, book))
            (steps(facts))
        }
    }
}

fn bar_panels(kind: &str, panels: &[Bars], unit: &str, of: bars::Unit, book: &mut Book) -> Markup {
    html! {
        div.grid { @for panel in panels { (book.panel(kind, &panel.title, unit, &bars::draw(panel, of))) } }
    }
}

fn steps(facts: &Facts) -> Markup {
    let numbers = ["content", "pack MB/s", "verify MB/s", "unpack MB/s", "ratio", "peak memory"];
    html! {
        details {
            summary { "All steps in numbers" }
            (table(&["corpus", "by"], &numbers, facts.steps.iter().map(|row| (&row.words[..], &row.cells[..]))))
        }
    }
}

fn compared_rows(facts: &Facts) -> Markup {
    let numbers =
        ["wall, median", "quarters", "user + system", "peak memory", "archive", "to its base", "efficiency", ""];
    html! {
        details {
            summary { "All rows in numbers" }
            (table(&["row"], &numbers, facts.rows.iter().map(|row| (std::slice::from_ref(&row.id), &row.cells[..]))))
        }
    }
}

fn size(documents: &Documents, facts: &Facts, book: &mut Book) -> Markup {
    if let Some(absent) = absent(&documents.compare, "make compare", "compare.json") {
        return absent;
    }
    if facts.scatters.is_empty() {
        return empty("No pack of the comparison has both a time and a size.");
    }
    html! {
        div class="grid broad" {
            @for panel in &facts.scatters {
                (book.two("size", &panel.title, "archive / content, by wall time", |width| scatter::draw(panel, width)))
            }
        }
    }
}

/// Stages come from `run.json` and from documents of their own.
fn without_stages(documents: &Documents, nothing: bool) -> Markup {
    html! {
        @if let Some(damage) = documents.run.damage() { (broken(damage)) }
        @for (_, found) in &documents.stages { @if let Some(damage) = found.damage() { (broken(damage)) } }
        @if nothing {
            p.absent { "No stages were recorded yet. Run " code { "make run" } ", or " code { "carrack pack --stats-out results …" } "." }
        }
    }
}

fn stage_shares(documents: &Documents, facts: &Facts, book: &mut Book) -> Markup {
    let (packs, others): (Vec<_>, Vec<_>) = facts.shares.iter().partition(|panel| panel.title.starts_with("pack "));
    let mut panels = |panels: &[&super::super::facts::Shares]| {
        let unit = "share of all services";
        html! { div.grid { @for panel in panels { (book.panel("shares", &panel.title, unit, &shares::draw(panel))) } } }
    };
    html! {
        (without_stages(documents, facts.shares.is_empty()))
        (panels(&packs))
        @if !others.is_empty() { details { summary { "Unpacking and verifying" } (panels(&others)) } }
    }
}

fn latency(documents: &Documents, facts: &Facts, book: &mut Book) -> Markup {
    let mut corpora: Vec<&str> = facts.curves.iter().map(|set| set.of.as_str()).collect();
    corpora.dedup();
    html! {
        (without_stages(documents, facts.curves.is_empty()))
        @for (at, of) in corpora.iter().enumerate() {
            details open[at == 0] {
                summary { b { (of) } }
                @for (at, set) in facts.curves.iter().filter(|set| set.of == *of).enumerate() {
                    details.inner open[at == 0] {
                        summary { b { (set.operation) } ", " (count(set.groups.len(), "stage")) }
                        (curve_groups(set, book))
                        (stage_table(set))
                    }
                }
            }
        }
    }
}

fn curve_groups(set: &Curves, book: &mut Book) -> Markup {
    let of = format!("{} {}", set.operation, set.of);
    html! {
        @for kind in Kind::ALL {
            @let groups: Vec<_> = set.groups.iter().filter(|group| group.kind == kind).collect();
            @if !groups.is_empty() {
                @let (name, meaning) = kind.words();
                h4 { (name) span { (meaning) } }
                div.grid {
                    @for group in groups {
                        (book.panel("curve", &group.stage, &format!("time of one {}", unit(&group.unit)), &curves::draw(&of, group)))
                    }
                }
            }
        }
    }
}

fn unit(unit: &str) -> &str {
    if unit.is_empty() { "sample" } else { unit }
}

fn stage_table(set: &Curves) -> Markup {
    let numbers = ["samples", "50%", "90%", "99%", "99.9%", "max", "total"];
    html! {
        details.inner {
            summary { "In numbers" }
            (table(&["stage", "kind", "unit", "by"], &numbers, set.rows.iter().map(|row| (&row.words[..], &row.cells[..]))))
        }
    }
}

fn efficiency(documents: &Documents, facts: &Facts, book: &mut Book) -> Markup {
    if let Some(absent) = absent(&documents.compare, "make compare", "compare.json") {
        return absent;
    }
    if facts.efficiency.is_empty() {
        return empty("No row of the comparison has an efficiency.");
    }
    bar_panels("efficiency", &facts.efficiency, "codec time / wall time", bars::Unit::Share, book)
}

fn tuner(documents: &Documents, facts: &Facts, book: &mut Book) -> Markup {
    html! {
        @if let Some(damage) = documents.tune_unpack.damage() { (broken(damage)) }
        @if let Some(absent) = absent(&documents.tune, "carrack tune --results results …", "tune.json") { (absent) }
        @for trials in &facts.trials { (tuned(trials, book)) }
    }
}

fn tuned(trials: &Trials, book: &mut Book) -> Markup {
    html! {
        p.said { (trials.verdict) }
        dl.facts {
            dt { "tuned for" } dd { (trials.about) }
            dt { "chosen" } dd { @if trials.chosen.is_empty() { "the default was kept" } @else { (trials.chosen) } }
            @for line in &trials.confirmed { dt { "confirmed" } dd { (line) } }
        }
        @if !trials.maps.is_empty() {
            (heat::key())
            div.grid {
                @for map in &trials.maps { (book.panel("heat", &map.io, "median / best median", &heat::draw(map))) }
            }
        }
        details.inner {
            summary { "All trials in numbers" }
            (table(&["settings"], &["rung", "median", "to the best", "to the default", "memory"],
                trials.rows.iter().map(|row| row.split_at(1))))
        }
    }
}

/// A table that scrolls in its own box: words stand left, numbers right.
fn table<'a>(words: &[&str], numbers: &[&str], rows: impl Iterator<Item = (&'a [String], &'a [String])>) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { @for name in words { th { (name) } } @for name in numbers { th.number { (name) } } } }
                tbody {
                    @for (words, numbers) in rows {
                        tr { @for word in words { td { (word) } } @for cell in numbers { td.number { (cell) } } }
                    }
                }
            }
        }
    }
}

fn noise(documents: &Documents, facts: &Facts, book: &mut Book) -> Markup {
    html! {
        @if let Some(damage) = documents.noise.damage() { (broken(damage)) }
        @if facts.noise.is_empty() {
            @if let Some(absent) = absent(&documents.compare, "make compare", "compare.json") { (absent) }
            @else { (empty("Nothing was measured against itself.")) }
        }
        (interval_panels("noise", &facts.noise, book))
        @if !facts.planted.is_empty() {
            h3 { "A delay that should be found" }
            (interval_panels("planted", &facts.planted, book))
        }
    }
}

fn problems(facts: &Facts) -> Markup {
    if facts.problems.is_empty() {
        return empty("Nothing: every row was measured and every floor held.");
    }
    html! {
        div.scroll {
            table.problems {
                tbody { @for problem in &facts.problems { tr { th scope="row" { (problem.place) } td { (problem.what) } } } }
            }
        }
    }
}

/// Words between backticks as code.
pub(super) fn with_code(text: &str) -> Markup {
    html! {
        @for (at, part) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_become_code_and_stay_escaped() {
        let text = with_code("run `a <b>` now <i>").into_string();
        assert_eq!(text, "run <code>a &lt;b&gt;</code> now &lt;i&gt;");
    }
}
