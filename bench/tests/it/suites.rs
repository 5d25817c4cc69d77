//! What the make targets around the criterion suites build on.

use std::fs;
use std::process::Command;

/// What criterion 0.8 prints for benchmarks with long and short names, with and without throughput, and for one that
/// has nothing to be compared with.
const COMPARED: &str = "\
ring/slots/1            time:   [165.68 ns 194.65 ns 221.99 ns]
                        thrpt:  [4.5047 Melem/s 5.1374 Melem/s 6.0356 Melem/s]
                 change:
                        time:   [−5.6317% −4.6202% −3.8276%] (p = 0.00 < 0.05)
                        thrpt:  [+3.9799% +4.8440% +5.9678%]
                        Performance has improved.
Found 3 outliers among 10 measurements (30.00%)
  2 (20.00%) low severe

codec/zstd:1/encode/source
                        time:   [2.5246 ms 2.5502 ms 2.6109 ms]
                        thrpt:  [383.01 MiB/s 392.13 MiB/s 396.11 MiB/s]
                 change:
                        time:   [+1.8261% +2.5095% +3.3019%] (p = 0.00 < 0.05)
                        thrpt:  [−3.1963% −2.4481% −1.7933%]
                        Performance has regressed.

cat/tiny                time:   [1.4375 ms 1.6995 ms 1.9059 ms]

index/open/100000       time:   [28.454 µs 28.549 µs 28.613 µs]
                        change: [+11.000% +12.000% +13.000%] (p = 0.00 < 0.05)
                        Performance has regressed.

index/find/100000       time:   [1.7519 ms 1.7762 ms 1.7930 ms]
                        change: [−0.3000% −0.1000% +0.2000%] (p = 0.41 > 0.05)
                        No change in performance detected.
index/glob/100000       time:   [26.707 ms 26.970 ms 27.229 ms]
                        change: [+0.2000% +0.5000% +0.9000%] (p = 0.03 < 0.05)
                        Change within noise threshold.
";

#[test]
fn what_changed_is_listed_and_what_was_not_compared_too() {
    let place = tempfile::tempdir().unwrap();
    let log = place.path().join("log");
    fs::write(&log, COMPARED).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/changes.awk");
    let output = Command::new("awk").args(["-v", "base=before", "-f", script]).arg(&log).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert_eq!(
        words.join(" "),
        "Change of time since before: lower bound, estimate, upper bound \
         slower: 2 codec/zstd:1/encode/source [+1.8261% +2.5095% +3.3019%] \
         index/open/100000 [+11.000% +12.000% +13.000%] \
         faster: 1 ring/slots/1 [−5.6317% −4.6202% −3.8276%] \
         not kept in before, so not compared: 1 cat/tiny \
         as before: 2 of 6",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn a_comparison_with_nothing_is_refused_and_says_what_there_is() {
    let place = tempfile::tempdir().unwrap();
    let compare = |base: &str| {
        let mut command = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/compare.sh"));
        // Nothing is measured when it refuses; if it does not, this does nothing in place of measuring.
        let output = command.arg(base).env("CRITERION_HOME", place.path()).env("CARGO", "true").output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = compare("");
    assert!(code == Some(2) && said.contains("BASE is not set") && said.contains("nothing"), "{said}");
    for name in ["before", "new"] {
        let folder = place.path().join("ring_slots/1").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("benchmark.json"), "{}").unwrap();
    }
    let (code, said) = compare("after");
    assert_eq!(code, Some(2));
    assert!(
        said.contains("no figures are kept as after: make bench BASE=after") && said.ends_with(": before \n"),
        "{said}"
    );
    assert_eq!(compare("new").0, Some(2), "the latest run is no name");
    assert_eq!(compare("before"), (Some(0), String::new()));
}
