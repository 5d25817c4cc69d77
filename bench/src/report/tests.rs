//! The page and the tables of whole documents: those beside the tests, and whatever becomes of them when they are
//! damaged.

use std::fs;
use std::path::{Path, PathBuf};

use carrack_fixtures::rng::Rng;
use serde_json::{Map, Value, json};

use super::document::Documents;
use super::facts::Facts;
use super::{ReportArgs, page, run, text};

const DOCUMENTS: [&str; 5] = ["run.json", "compare.json", "aa.json", "tune.json", "pack.stages.json"];
const HOSTILE: &str = "\"><script>alert(1)</script>\u{1b}[2J'&{}";

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

/// The page and the tables of a folder.
fn shown(folder: &Path) -> (String, String) {
    let documents = Documents::read(folder).unwrap();
    let facts = Facts::of(&documents);
    (page::page(&documents, &facts), text::text(&facts))
}

/// Each drawing of a page: what it says it holds, and what is in it.
fn drawings(page: &str) -> Vec<(usize, &str)> {
    page.split("<svg ")
        .skip(1)
        .map(|rest| {
            let svg = &rest[..rest.find("</svg>").unwrap()];
            let said = svg.split("data-points=\"").nth(1).unwrap();
            (said[..said.find('"').unwrap()].parse().unwrap(), svg)
        })
        .collect()
}

/// What must be so of any page, whatever the documents hold.
fn check(page: &str, text: &str, what: &str) {
    for (points, svg) in drawings(page) {
        let marks = svg.matches("class=\"m ").count();
        assert_eq!(marks, points, "{what}: {svg}");
        for odd in ["=\"NaN", "=\"inf", "=\"-inf", "NaN ", " NaN", "Linf", "Minf"] {
            assert!(!svg.contains(odd), "{what}: {odd} in {svg}");
        }
    }
    // The page has one script of its own, and one element with facts.
    assert_eq!(page.matches("<script").count(), 2, "{what}");
    assert!(!page.contains("http://") && !page.contains("https://"), "{what}: the page asks for another");
    assert!(!text.contains('\u{1b}'), "{what}: the tables move the cursor");
}

#[test]
fn whole_documents_make_a_page_with_every_chart() {
    let (page, text) = shown(&data());
    check(&page, &text, "the documents beside the tests");
    for kind in ["ratio-", "rate-", "run-", "size-", "shares-", "curve-", "efficiency-", "heat-", "noise-", "planted-"]
    {
        assert!(page.contains(&format!("id=\"{kind}")), "no chart {kind}");
    }
    // 4 backends × 13 points and 4 lines of reading.
    assert!(drawings(&page).iter().any(|(points, svg)| *points == 56 && svg.contains("source, read")));
    for part in
        ["zpaq: Out of memory", "no right to make a control group", "mkdwarfs is not on the PATH", "cannot lock"]
    {
        assert!(page.contains(part) && text.contains(part), "{part} is left out");
    }
    assert!(!page.contains("class=\"absent\""), "a section says that it has nothing");
    assert!(text.contains("codec-bound") && text.contains("[1.00]") && text.contains('█'), "{text}");
}

#[test]
fn missing_documents_are_told_with_what_to_run() {
    let place = tempfile::tempdir().unwrap();
    fs::copy(data().join("aa.json"), place.path().join("aa.json")).unwrap();
    let (page, text) = shown(place.path());
    check(&page, &text, "aa.json alone");
    assert!(page.contains("no comparison measured yet") && text.contains("no comparison measured yet"));
    for part in
        ["<code>compare.json</code>. Run <code>make compare</code>", "<code>run.json</code>. Run <code>make run</code>"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert!(page.contains("id=\"noise-0\""));
}

#[test]
fn a_damaged_document_is_told_and_the_others_are_shown() {
    let place = tempfile::tempdir().unwrap();
    for name in DOCUMENTS {
        fs::copy(data().join(name), place.path().join(name)).unwrap();
    }
    let args = ReportArgs { results: place.path().to_owned(), out: None, text: false };
    assert!(run(&args).unwrap());
    for (name, content, found) in [
        ("run.json", "{\"schema\":\"carrack.run/9\"}", "carrack.run/9"),
        ("compare.json", "{\"schema\":\"carrack.compare/1\",\"rows\":[{", "EOF"),
        ("pack.stages.json", "[]", "pack.stages.json"),
    ] {
        fs::write(place.path().join(name), content).unwrap();
        assert!(!run(&args).unwrap(), "{name}");
        let page = fs::read_to_string(place.path().join("report.html")).unwrap();
        assert!(page.contains("cannot be read") && page.contains(found) && page.contains(name), "{name}");
        assert!(page.contains("id=\"noise-"), "the others are shown");
    }
    let names = fs::read_dir(place.path()).unwrap();
    assert!(names.flatten().all(|entry| !entry.file_name().to_string_lossy().ends_with(".partial")));
}

/// Changes something somewhere.
fn mutate(value: &mut Value, rng: &mut Rng) {
    let nested = match value {
        Value::Array(values) if !values.is_empty() && rng.below(12) > 0 => {
            let at = rng.below(values.len() as u64) as usize;
            match rng.below(40) {
                0 => return values.truncate(at),
                1 => return values.push(values[at].clone()),
                _ => Some(&mut values[at]),
            }
        }
        Value::Object(fields) if !fields.is_empty() && rng.below(12) > 0 => {
            let at = rng.below(fields.len() as u64) as usize;
            let key = fields.keys().nth(at).cloned().unwrap_or_default();
            if rng.below(12) == 0 {
                fields.remove(&key);
                return;
            }
            fields.get_mut(&key)
        }
        _ => None,
    };
    match nested {
        Some(nested) => mutate(nested, rng),
        None => *value = odd(value, rng),
    }
}

/// Mostly of the same type, so that the document is still read.
fn odd(value: &Value, rng: &mut Rng) -> Value {
    let numbers = [0.0, -0.0, -1.0, 0.5, 1.0, 1e-300, 1e15, 1e18, 1e300, f64::MAX, f64::MIN, f64::MIN_POSITIVE];
    let number = json!(*rng.pick(&numbers));
    let any =
        [Value::Null, json!([]), Value::Object(Map::new()), json!(true), json!(HOSTILE), json!([[]]), number.clone()];
    match (value, rng.below(8)) {
        (_, 0) => rng.pick(&any).clone(),
        (Value::Number(_), 1) => Value::Null,
        (Value::Number(_), _) => number,
        (Value::String(_), 1) => json!(""),
        (Value::String(_), _) => json!(HOSTILE),
        (Value::Null, _) => rng.pick(&any).clone(),
        (Value::Array(_), _) => json!([]),
        _ => Value::Null,
    }
}

#[test]
fn no_document_is_too_odd() {
    let mut rng = Rng::new(11);
    let mut read = 0;
    for name in DOCUMENTS {
        let whole: Value = serde_json::from_slice(&fs::read(data().join(name)).unwrap()).unwrap();
        for round in 0..60 {
            let mut document = whole.clone();
            // The rows repeat one another: a few of them have every field.
            for key in ["rows", "trials", "noise", "comparisons"] {
                if let Some(Value::Array(rows)) = document.get_mut(key) {
                    let from = rng.below(rows.len() as u64) as usize;
                    rows.drain(..from);
                    rows.truncate(1 + rng.below(20) as usize);
                }
            }
            for _ in 0..=rng.below(30) {
                mutate(&mut document, &mut rng);
            }
            if let Some(schema) = whole.get("schema").filter(|_| document.is_object()) {
                document["schema"] = schema.clone();
            }
            let place = tempfile::tempdir().unwrap();
            fs::write(place.path().join(name), document.to_string()).unwrap();
            let documents = Documents::read(place.path()).unwrap();
            read += usize::from(documents.damages().is_empty());
            let facts = Facts::of(&documents);
            check(&page::page(&documents, &facts), &text::text(&facts), &format!("{name}, round {round}: {document}"));
        }
    }
    assert!(read > 60, "only {read} of 300 could be read: too odd to tell anything");
}
