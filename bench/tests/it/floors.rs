//! `carrack-bench floors`. It measures the program `carrack` beside it, which this crate's tests do not build: without
//! it there is only the error to look at.

use std::path::Path;

use carrack_fixtures::Kind;

use crate::support::{Place, err, out};

#[test]
fn jobs_are_interleaved_and_every_floor_has_a_verdict() {
    let place = Place::with(&[Kind::Source, Kind::Tiny], 0.003);
    let output = place.bench("floors", &["--rounds", "2"]);
    let carrack = Path::new(env!("CARGO_BIN_EXE_carrack-bench")).with_file_name("carrack");
    if !carrack.is_file() {
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains("carrack is missing: cargo build"), "{}", err(&output));
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let document = place.json("floors.json");
    assert_eq!(document["schema"], "carrack.floors/1");
    let samples = document["samples"].as_array().unwrap();
    let of = |round: u64| {
        let ours = samples.iter().filter(|sample| sample["round"] == round);
        ours.map(|sample| (sample["place"].as_u64().unwrap(), sample["job"].as_str().unwrap())).collect::<Vec<_>>()
    };
    let (first, second) = (of(1), of(2));
    assert!(of(0).is_empty(), "the first round does not count");
    assert!(first != second, "each round has an order of its own");
    let jobs = |round: &[(u64, &str)]| {
        let mut jobs: Vec<String> = round.iter().map(|(_, job)| (*job).to_owned()).collect();
        jobs.sort();
        jobs
    };
    assert_eq!(jobs(&first), jobs(&second), "each round has every job");
    let floors = document["floors"].as_array().unwrap();
    assert_eq!(floors.len(), 7);
    let measured = floors.iter().filter(|floor| floor["verdict"] != "UNMEASURED").count();
    let peers = document["peers"]["missing"].is_null();
    assert_eq!(measured, if peers { 7 } else { 4 }, "{}", out(&output));
    assert_eq!(place.left(), ["floors.json"]);
}

#[test]
fn a_tree_that_is_missing_is_named() {
    let place = Place::with(&[], 1.0);
    let output = place.bench("floors", &["--tree", "/no/such/tree"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("/no/such/tree"), "{}", err(&output));
}
