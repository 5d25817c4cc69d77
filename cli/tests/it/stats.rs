//! `--stats` and `--stats-out`: the table, the JSON document, the histogram log.

use std::fs;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::Value;

use crate::support::{Place, noise};

/// The three operations on one tree; each leaves room for the next.
const OPERATIONS: [(&str, &[&str]); 3] = [
    ("pack", &["pack", "src", "-o", "a.crk"]),
    ("unpack", &["unpack", "a.crk", "-C", "out"]),
    ("verify", &["verify", "a.crk"]),
];

fn expected(operation: &str) -> &'static [&'static str] {
    match operation {
        "pack" => &["slot_wait", "queue_wait", "read", "file", "digest", "place", "compress", "commit", "block"],
        "unpack" => &["buffer_wait", "read", "decode_wait", "decode", "write", "block"],
        _ => &["buffer_wait", "read", "decode_wait", "decode", "prove", "block"],
    }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_table_has_the_stages_and_ends_with_the_verdict() {
    let place = Place::small();
    for (operation, args) in OPERATIONS {
        let run = place.call([args, &["--stats", "--quiet"]].concat()).code(0);
        assert!(run.out.is_empty());
        let lines: Vec<&str> = run.err.lines().collect();
        let head: Vec<&str> = lines[0].split_whitespace().collect();
        assert_eq!(head, ["stage", "kind", "unit", "count", "p50", "p90", "p99", "p99.9", "max", "share"]);
        let stages: Vec<&str> = lines[1..].iter().filter_map(|line| line.split_whitespace().next()).collect();
        assert!(expected(operation).iter().all(|stage| stages.contains(stage)), "{operation}: {stages:?}");
        let verdict = lines.last().unwrap();
        let word = verdict.split(':').next().unwrap();
        assert!(["reader-bound", "codec-bound", "sink-bound", "balanced"].contains(&word), "{verdict}");
        assert!(verdict.contains("workers busy ") && verdict.contains("reader "), "{verdict}");
    }
}

#[test]
fn verbose_tells_the_verdict_and_no_more() {
    let place = Place::small();
    for (operation, args) in OPERATIONS {
        let run = place.call([args, &["--verbose"]].concat()).code(0).says("workers busy ");
        assert!(!run.err.contains("p99"), "{operation}: {}", run.err);
    }
}

#[test]
fn the_document_has_every_stage_with_its_curve() {
    let place = Place::small();
    // Several blocks, so that percentiles have something to tell apart.
    place.file("src/more", &noise(500_000));
    for (operation, args) in OPERATIONS {
        let args = [args, &["--stats-out", "deep/er"]].concat();
        let run = place.call(&args).code(0).says(&format!("deep/er/{operation}.stages.json"));
        assert!(!run.err.contains("p99"), "the table was not asked for: {}", run.err);
        let document = json(&place.path(format!("deep/er/{operation}.stages.json")));
        assert_eq!((&document["schema"], &document["operation"]), (&"carrack.stages/1".into(), &operation.into()));
        let (wall, stages_wall) = (document["wall_ns"].as_u64().unwrap(), document["stages_wall_ns"].as_u64().unwrap());
        assert!(0 < stages_wall && stages_wall <= wall, "{document}");
        assert!(document["began"].as_str().unwrap().starts_with("20"), "{document}");
        assert!(document["verdict"]["bound"].is_string());
        let workers = document["verdict"]["workers_share"].as_f64().unwrap();
        assert!(workers > 0.0 && workers <= 1.0, "{document}");
        let rows = document["stages"].as_array().unwrap();
        let mut shares = 0.0;
        for stage in expected(operation) {
            assert!(rows.iter().any(|row| row["stage"] == *stage), "{operation}: no {stage}");
        }
        for row in rows {
            let ns = |name: &str| row[name].as_u64().unwrap();
            let percentiles = ["p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"].map(ns);
            assert!(percentiles.is_sorted() && ns("count") > 0, "{row}");
            assert!(ns("total_ns") <= ns("count") * (ns("max_ns") + 1), "{row}");
            let curve: Vec<u64> =
                row["curve"].as_array().unwrap().iter().map(|point| point["ns"].as_u64().unwrap()).collect();
            assert!(curve.len() == 13 && curve.is_sorted(), "{row}");
            assert_eq!((curve[3], curve[12]), (ns("p50_ns"), ns("max_ns")));
            assert_eq!(row["share"].is_null(), row["kind"] != "service", "{row}");
            shares += row["share"].as_f64().unwrap_or(0.0);
        }
        assert!((shares - 1.0).abs() < 1e-6, "{shares}");
    }
}

#[test]
fn the_histogram_log_is_read_back_and_agrees_with_the_document() {
    let place = Place::small();
    for (operation, args) in OPERATIONS {
        place.call([args, &["--stats-out", "times", "-q"]].concat()).code(0);
        let document = json(&place.path(format!("times/{operation}.stages.json")));
        let rows = document["stages"].as_array().unwrap();
        let log = fs::read(place.path(format!("times/{operation}.hlog"))).unwrap();
        let text = str::from_utf8(&log).unwrap();
        for part in
            ["#[Histogram log format version 1.3]\n", "#[StartTime: ", "\n\"StartTimestamp\",\"Interval_Length\","]
        {
            assert_eq!(text.matches(part).count(), 1, "{text}");
        }
        let mut intervals = 0;
        for entry in IntervalLogIterator::new(&log) {
            let LogEntry::Interval(interval) = entry.expect("every line is understood") else { continue };
            let row = &rows[intervals];
            assert_eq!(row["stage"], interval.tag().unwrap().as_str(), "in the order of the document");
            let stages_wall = Duration::from_nanos(document["stages_wall_ns"].as_u64().unwrap());
            // The log has milliseconds.
            assert!(interval.duration().abs_diff(stages_wall) <= Duration::from_millis(1));
            let bytes = STANDARD.decode(interval.encoded_histogram()).unwrap();
            let histogram: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
            assert_eq!(row["count"], histogram.len());
            assert_eq!(row["max_ns"], histogram.max());
            for point in row["curve"].as_array().unwrap() {
                let quantile = point["quantile"].as_f64().unwrap();
                assert_eq!(point["ns"], histogram.value_at_quantile(quantile), "{row}");
            }
            intervals += 1;
        }
        assert_eq!(intervals, rows.len(), "{operation}");
        assert_eq!(fs::read_dir(place.path("times")).unwrap().filter(is_hidden).count(), 0);
    }
}

fn is_hidden(entry: &std::io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().unwrap().file_name().as_encoded_bytes().starts_with(b".")
}

#[test]
fn a_folder_that_cannot_be_had_is_told_before_anything_is_done() {
    let place = Place::packed();
    let operations: [(&str, &[&str]); 3] = [
        ("pack", &["pack", "src", "-o", "b.crk"]),
        ("unpack", &["unpack", "a.crk", "-C", "out"]),
        ("verify", &["verify", "a.crk"]),
    ];
    place.file("taken", b"");
    for (operation, args) in operations {
        for (out, what) in [
            ("taken", "--stats-out taken: expected a folder, found a file"),
            ("taken/below", "--stats-out taken/below: the folder cannot be made: "),
            // Not even root can make something there.
            ("/proc", "--stats-out /proc: nothing can be written into this folder: "),
        ] {
            let run = place.call([args, &["--stats-out", out]].concat()).code(2).says(what);
            assert_eq!(run.err.lines().count(), 1, "{operation}: {}", run.err);
        }
    }
    assert_eq!(place.names(), ["a.crk", "src", "taken"], "nothing was packed or unpacked");
}

#[test]
fn damage_is_told_and_the_times_are_written_all_the_same() {
    let place = Place::packed();
    let mut bytes = fs::read(place.path("a.crk")).unwrap();
    bytes[1000] ^= 1;
    place.file("bad.crk", &bytes);
    place.call(["verify", "bad.crk", "--stats-out", "times"]).code(3).says("damaged: ");
    let document = json(&place.path("times/verify.stages.json"));
    assert!(document["stages"].as_array().unwrap().iter().any(|row| row["stage"] == "read"));
}

#[test]
fn what_was_written_before_is_replaced() {
    let place = Place::packed();
    place.file("times/verify.hlog", b"old");
    place.file("times/.verify.hlog.partial", b"left by a run that was killed");
    place.call(["verify", "a.crk", "--stats-out", "times", "-q"]).code(0);
    assert!(fs::read(place.path("times/verify.hlog")).unwrap().starts_with(b"#[carrack "));
    assert!(!place.path("times/.verify.hlog.partial").exists());
}
