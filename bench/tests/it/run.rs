//! `carrack-bench run`, and the steps that it is made of.

use std::fs;

use carrack_fixtures::Kind;
use serde_json::Value;

use crate::support::{Place, err, names, out, program};

#[test]
fn every_corpus_comes_back_with_every_backend() {
    let place = Place::with(&[Kind::Csv, Kind::Mixed], 0.02);
    let output = place.bench("run", &["--slots", "3", "--slot-size", "64KiB"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let document = place.json("run.json");
    assert_eq!(document["schema"], "carrack.run/2");
    let rows = document["rows"].as_array().unwrap();
    let of = |row: &Value| format!("{} {}", row["corpus"].as_str().unwrap(), row["contender"].as_str().unwrap());
    let expected =
        ["csv", "mixed"].map(|corpus| ["uring", "pool", "pread", "mmap", "naive"].map(|by| format!("{corpus} {by}")));
    assert_eq!(rows.iter().map(of).collect::<Vec<_>>(), expected.concat());
    for row in rows.iter().filter(|row| row["unavailable"].is_null()) {
        let pack = &row["pack"];
        assert!(pack["usage"]["wall_ns"].as_u64().unwrap() > 0 && pack["usage"]["peak_bytes"].as_u64().unwrap() > 0);
        assert!(pack["report"]["bytes"].as_u64().unwrap() > 100_000, "{row}");
        if row["contender"] != "naive" {
            assert_eq!(row["compare"]["report"]["differences"]["count"], 0);
            for (step, stages) in [
                ("pack", &["queue_wait", "read", "file", "digest", "compress", "commit", "block"][..]),
                ("verify", &["read", "decode", "prove"]),
                ("unpack", &["read", "decode", "write"]),
            ] {
                let report = &row[step]["report"];
                let found = report["stages"].as_array().unwrap();
                for stage in stages {
                    let row = found.iter().find(|row| row["stage"] == *stage).unwrap_or_else(|| panic!("{report}"));
                    assert!(row["count"].as_u64() > Some(0) && row["p999_ns"].is_u64(), "{row}");
                    assert_eq!(row["curve"].as_array().unwrap().len(), 13, "{row}");
                }
                assert!(report["verdict"]["bound"].is_string() && report["stages_wall_ns"].as_u64() > Some(0));
            }
        }
    }
    let table = out(&output);
    assert!(table.lines().all(|line| line.chars().count() <= 170), "{table}");
    assert!(table.contains("naive") && !table.contains("FAILED"), "{table}");
    assert_eq!(place.left(), ["run.json"], "archives and trees are removed");
}

#[test]
fn what_makes_no_sense_is_an_error_that_says_what_there_is() {
    let place = Place::with(&[Kind::Csv], 0.001);
    for (args, part) in [
        (&["--only", "cvs"][..], "no corpus \"cvs\""),
        (&["--io", "mmap,pigeon"], "uring, pool, pread, mmap, naive"),
        (&["--slot-size", "4MB"], "is no size"),
    ] {
        let output = place.bench("run", args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(err(&output).contains(part), "{args:?}: {}", err(&output));
    }
}

#[test]
fn a_contender_that_fails_is_told_and_the_others_go_on() {
    let place = Place::with(&[Kind::Csv], 0.001);
    // zstd has no such level, so nobody can pack; the naive contender takes it for its highest.
    let output = place.bench("run", &["--level", "99", "--io", "pread,naive"]);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    assert!(err(&output).contains("csv pread: pack failed"), "{}", err(&output));
    assert!(out(&output).contains("FAILED"));
    let document = place.json("run.json");
    assert!(document["rows"][0]["pack"].is_null());
    assert!(document["rows"][1]["pack"]["report"]["files"].as_u64() > Some(0));
}

#[test]
fn damage_and_differences_are_reported_by_the_steps() {
    let place = Place::with(&[Kind::Csv], 0.01);
    let tree = place.corpus().join("csv");
    let archive = place.corpus().join("archive");
    let step = |args: &[&std::ffi::OsStr]| -> Value {
        let output = program().arg("child").args(args).output().unwrap();
        assert!(output.status.success(), "{}", err(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let packed = step(&["pack".as_ref(), "--by=pread".as_ref(), tree.as_os_str(), archive.as_os_str()]);
    let bytes = packed["archive_bytes"].as_u64().unwrap();
    let mut flipped = fs::read(&archive).unwrap();
    assert_eq!(flipped.len() as u64, bytes);
    flipped[bytes as usize / 3] ^= 1;
    fs::write(&archive, &flipped).unwrap();
    let verified = step(&["verify".as_ref(), archive.as_os_str()]);
    assert!(verified["damage"]["count"].as_u64() > Some(0), "{verified}");

    let copy = place.corpus().join("copy");
    fs::create_dir(&copy).unwrap();
    let compared = step(&["compare".as_ref(), tree.as_os_str(), copy.as_os_str()]);
    assert!(compared["differences"]["count"].as_u64() > Some(0), "{compared}");

    let sampled = step(&["sample".as_ref(), "--count=3".as_ref(), tree.as_os_str()]);
    assert_eq!(sampled["paths"].as_array().unwrap().len(), 3);
    assert!(sampled["paths"].as_array().unwrap().iter().all(|path| tree.join(path.as_str().unwrap()).is_file()));
    assert!(!names(&tree).is_empty());
}
