//! `carrack-bench report` as people run it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{err, out, program};

/// The documents beside the tests.
pub(crate) fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")
}

#[test]
fn a_page_is_written_where_it_is_wanted() {
    let place = tempfile::tempdir().unwrap();
    let page = place.path().join("page.html");
    let output = program().arg("report").arg("--results").arg(data()).arg("--out").arg(&page).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).contains("page.html"));
    let text = fs::read_to_string(&page).unwrap();
    assert!(text.starts_with("<!DOCTYPE html>") && text.contains("as fast as tar|zstd"));
}

#[test]
fn tables_are_printed_instead_of_a_page() {
    let output = program().args(["report", "--text", "--results"]).arg(data()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    assert!(text.contains("as fast as tar|zstd") && text.contains("pack huge, hot cache"), "{text}");
    let wide = text.lines().map(|line| line.chars().count()).max();
    assert!(wide <= Some(170), "{wide:?} columns");
    assert!(!data().join("report.html").exists());
}

#[test]
fn nothing_to_report_is_an_error_and_damage_a_warning() {
    let place = tempfile::tempdir().unwrap();
    let report = || program().arg("report").arg("--results").arg(place.path()).output().unwrap();
    let output = report();
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("nothing to report") && err(&output).contains("make run"), "{}", err(&output));
    assert!(!place.path().join("report.html").exists());

    fs::copy(data().join("aa.json"), place.path().join("aa.json")).unwrap();
    fs::write(place.path().join("run.json"), "{\"schema\":\"carrack.run/1\"}").unwrap();
    let output = report();
    assert_eq!(output.status.code(), Some(1));
    let told = err(&output);
    assert!(told.contains("run.json: expected schema \"carrack.run/2\", found schema \"carrack.run/1\""), "{told}");
    assert!(place.path().join("report.html").is_file());
}
