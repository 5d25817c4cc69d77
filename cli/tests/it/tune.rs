//! The tuner, and what it found in use. Nothing here looks at times. Needs the engine.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use carrack_measure::host;
use serde_json::Value;

use crate::support::{Place, Run, assert_same_tree, carrack, run};

/// carrack in a place, with a folder of its own for what is remembered.
fn command(place: &Place) -> Command {
    let mut command = carrack();
    command.env("XDG_CONFIG_HOME", place.path("config")).current_dir(place.dir.path());
    command
}

#[track_caller]
fn call(place: &Place, args: &[&str]) -> Run {
    run(command(place).args(args))
}

fn memory(place: &Place) -> PathBuf {
    place.path("config/carrack/tune.toml")
}

/// An entry for this machine and the file system of the place.
fn entry(place: &Place, operation: &str, settings: &str) -> String {
    format!(
        "[[entry]]\nhost = {:?}\nfilesystem = {:?}\noperation = {operation:?}\ncache = \"hot\"\nmethod = \"halving\"\n\
         verdict = \"better\"\ncarrack = \"0.1.0\"\ndate = \"2026-01-02T03:04:05Z\"\n[entry.settings]\n{settings}\n\
         [entry.evidence]\nratio = 0.9\nlow = 0.85\nhigh = 0.95\nrounds = 20\nruns = 100\nmemory_bytes = 1\n\
         default_memory_bytes = 2\ninputs = [\"x\"]\nfiles = 3\nbytes = 4\nsampled = false\n\n",
        host::key(),
        host::filesystem(place.dir.path())
    )
}

/// A small tree, with these entries remembered.
fn tuned(entries: &[(&str, &str)]) -> Place {
    let place = Place::small();
    let entries: String = entries.iter().map(|(operation, settings)| entry(&place, operation, settings)).collect();
    place.file("config/carrack/tune.toml", format!("version = 1\n{entries}").as_bytes());
    place
}

const POOL: &str = "io = \"pool\"\nreaders = 3\nslots = 5\nslot_size = 2097152\nthreads = 1";

#[test]
fn a_search_ends_with_a_verdict_and_a_document_and_leaves_nothing_else() {
    let place = Place::small();
    let args = ["tune", "src", "--budget", "2s", "--for", "pack", "--only", "slots", "--results", "results"];
    let run = call(&place, &args).code(0).says("carrack: pack: ").says("settings in the grid");
    let document: Value = serde_json::from_slice(&fs::read(place.path("results/tune.json")).unwrap()).unwrap();
    assert_eq!((&document["schema"], &document["operation"]), (&"carrack.tune/1".into(), &"pack".into()));
    assert_eq!((&document["input"]["sampled"], &document["cache"]), (&false.into(), &"hot".into()));
    let trials = document["trials"].as_array().unwrap();
    assert!(trials.len() > 1 && trials.iter().filter(|trial| trial["default"] == true).count() == 1);
    for trial in trials {
        assert!(trial["settings"]["slots"].is_u64() && trial["settings"]["slot_size"].is_u64(), "{trial}");
        assert!(trial["walls_ns"].as_array().is_some_and(|walls| !walls.is_empty()) || trial["failed"].is_string());
    }
    let verdict = document["verdict"].as_str().unwrap();
    assert!(run.err.contains(&format!("carrack: pack: {verdict}\n")), "{verdict}: {}", run.err);
    // What was decided is remembered, and nothing else.
    let decided = !verdict.starts_with("undecided");
    assert_eq!((memory(&place).exists(), run.err.contains("remembered in")), (decided, decided), "{}", run.err);
    assert_eq!(place.names(), ["config", "results", "src"]);
    let again = call(&place, &["pack", "src", "-o", "a.crk", "--verbose"]).code(0);
    assert_eq!(again.err.contains("tuned: "), decided, "{}", again.err);
}

#[test]
fn a_generated_tree_and_both_operations_will_do() {
    let place = Place::empty();
    let args = ["tune", "--budget", "2s", "--only", "threads", "--work", "work", "--results", "results"];
    call(&place, &args).code(0).says("carrack: pack: ").says("carrack: unpack: ");
    assert!(place.path("results/tune.json").exists() && place.path("results/tune-unpack.json").exists());
    assert_eq!(fs::read_dir(place.path("work")).unwrap().count(), 0);
    call(&place, &["tune", "--budget", "1s", "--only", "slots", "--quiet"]).code(0);
}

#[test]
fn an_exhaustive_search_runs_the_whole_grid_and_compares_with_halving() {
    let place = tuned(&[("pack", "threads = 1")]);
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1) {
        // One thread is the default here: the entry is not in the grid.
        return;
    }
    let half = std::thread::available_parallelism().unwrap().get() / 2;
    let text = fs::read_to_string(memory(&place)).unwrap().replace("threads = 1", &format!("threads = {half}"));
    fs::write(memory(&place), text).unwrap();
    let args = ["tune", "src", "--exhaustive", "2", "--for", "pack", "--only", "threads", "--results", "results"];
    call(&place, &args).code(0).says(&format!("halving had chosen threads {half} on 2026-01-02T03:04:05Z: "));
    let document: Value = serde_json::from_slice(&fs::read(place.path("results/tune.json")).unwrap()).unwrap();
    assert_eq!((&document["method"], &document["budget_ns"]), (&"exhaustive".into(), &Value::Null));
    for trial in document["trials"].as_array().unwrap() {
        assert_eq!(trial["walls_ns"].as_array().unwrap().len(), 2, "{trial}");
    }
}

#[test]
fn pack_uses_what_is_remembered_and_says_so() {
    let place = tuned(&[("pack", POOL)]);
    let run = call(&place, &["pack", "src", "-o", "a.crk", "--verbose", "--block-size", "1M"]).code(0);
    let run = run.says("tuned: io pool, readers 3, slots 5, slot size 2.00 MiB, threads 1 (");
    let run = run.says("config/carrack/tune.toml, 2026-01-02T03:04:05Z on ").says("0.900 [0.850, 0.950]");
    run.says("read by pool").says("slots of 2.00 MiB").says("1 thread,");
    let quiet = call(&place, &["pack", "src", "-o", "b.crk"]).code(0).says("read by pool");
    assert!(!quiet.err.contains("tuned"), "{}", quiet.err);
    let without = call(&place, &["pack", "src", "-o", "c.crk", "--verbose", "--no-tune"]).code(0);
    assert!(!without.err.contains("tuned") && !without.err.contains("read by pool"), "{}", without.err);
}

#[test]
fn flags_win_over_what_is_remembered_one_by_one() {
    let place = tuned(&[("pack", POOL)]);
    let pack = ["pack", "src", "-o", "a.crk", "-v", "--block-size", "1M", "--io", "pread", "--threads", "2"];
    let run = call(&place, &pack).code(0);
    let run = run.says("read by pread").says("2 threads").says("tuned: slots 5, slot size 2.00 MiB (");
    run.says("slots of 2.00 MiB");
    call(&place, &["pack", "src", "-o", "b.crk", "-v", "--depth", "7"]).code(0).says("depth 7").says("tuned: slots 5");
}

#[test]
fn the_bytes_of_an_archive_do_not_depend_on_what_is_remembered() {
    let place = tuned(&[("pack", POOL), ("unpack", "threads = 3")]);
    call(&place, &["pack", "src", "-o", "tuned.crk"]).code(0);
    call(&place, &["pack", "src", "-o", "plain.crk", "--no-tune"]).code(0);
    assert!(fs::read(place.path("tuned.crk")).unwrap() == fs::read(place.path("plain.crk")).unwrap());
    call(&place, &["unpack", "tuned.crk", "-C", "new/out", "-v"]).code(0).says("tuned: threads 3 (");
    assert_same_tree(&place.path("src"), &place.path("new/out"));
    let run = call(&place, &["unpack", "tuned.crk", "-C", "again", "-v", "--threads", "1"]).code(0);
    run.says("tuned: nothing to change here");
}

#[test]
fn entries_of_other_machines_and_file_systems_are_none_of_ours() {
    let place = tuned(&[("pack", POOL)]);
    let right = fs::read_to_string(memory(&place)).unwrap();
    for (field, value) in [("host", host::key()), ("filesystem", host::filesystem(place.dir.path()))] {
        let other = right.replace(&format!("{field} = {value:?}"), &format!("{field} = \"another\""));
        assert_ne!(other, right);
        fs::write(memory(&place), other).unwrap();
        let run = call(&place, &["pack", "src", "-o", "a.crk", "-v", "--force"]).code(0);
        assert!(!run.err.contains("tuned"), "{}", run.err);
    }
}

#[test]
fn a_damaged_file_is_named_and_the_defaults_are_used() {
    let place = tuned(&[("pack", POOL)]);
    let right = fs::read_to_string(memory(&place)).unwrap();
    let line = 1 + right.lines().position(|line| line == "slots = 5").unwrap();
    let table = [
        (right.replace("slots = 5", "slots = \"many\""), format!("tune.toml: line {line}: invalid type")),
        (right.replace("version = 1", "version = 9"), "version 9, and this carrack reads version 1".to_owned()),
        ("[[entry".to_owned(), "tune.toml: line 1: ".to_owned()),
    ];
    for (text, part) in table {
        fs::write(memory(&place), text).unwrap();
        let run = call(&place, &["pack", "src", "-o", "a.crk", "--force"]).code(0).says("carrack: warning: ");
        assert!(run.says(&part).err.contains("default settings are used"));
        let run = call(&place, &["unpack", "a.crk", "-C", "out", "--force", "-q"]).code(0).says(&part);
        assert_eq!(run.err.lines().count(), 1, "{}", run.err);
        call(&place, &["pack", "src", "-o", "a.crk", "--force", "--no-tune", "-q"]).code(0);
        for command in [&["tune", "--show"][..], &["tune", "--forget"], &["tune", "src"]] {
            call(&place, command).code(2).says(&part).says("--forget --all");
        }
    }
    call(&place, &["tune", "--forget", "--all"]).code(0);
    assert!(!memory(&place).exists());
    call(&place, &["pack", "src", "-o", "a.crk", "--force", "-q"]).code(0);
}

#[test]
fn what_is_remembered_is_shown_and_forgotten() {
    let place = tuned(&[("pack", POOL), ("unpack", "threads = 3")]);
    let other = entry(&place, "pack", "slots = 9").replace(&format!("{:?}", host::key()), "\"another\"");
    let text = fs::read_to_string(memory(&place)).unwrap() + &other;
    fs::write(memory(&place), text).unwrap();
    let run = call(&place, &["tune", "--show"]).code(0).says("tune.toml");
    for part in ["io pool, readers 3, slots 5", "threads 3", "0.900 [0.850, 0.950]", "this one", "another"] {
        assert!(run.text().contains(part), "{part}: {}", run.text());
    }
    let json: Value = serde_json::from_str(call(&place, &["tune", "--show", "--json"]).code(0).text()).unwrap();
    assert_eq!(json["host"], host::key());
    assert_eq!(json["entries"].as_array().unwrap().len(), 3);
    assert_eq!(json["entries"][0]["settings"]["slots"], 5);
    call(&place, &["tune", "--forget"]).code(0).says("2 forgotten, 1 kept");
    let json: Value = serde_json::from_str(call(&place, &["tune", "--show", "--json"]).code(0).text()).unwrap();
    assert_eq!(json["entries"][0]["host"], "another");
    call(&place, &["tune", "--forget", "--all"]).code(0);
    call(&place, &["tune", "--show"]).code(0).says("nothing is remembered");
}

#[test]
fn arguments_that_make_no_sense_are_answered_before_anything_runs() {
    let place = Place::small();
    let table: [(&[&str], &str); 9] = [
        (&["tune", "nowhere"], "nowhere: cannot be sampled: No such file"),
        (&["tune", "src/hollow"], "there are no contents to pack"),
        (&["tune", "src", "--budget", "soon"], "no time: write a whole number and a unit"),
        (&["tune", "src", "--budget", "10ms"], "too short"),
        (&["tune", "src", "--only", "colour"], "io, slots, readers, depth, threads, direct"),
        (&["tune", "src", "--for", "unpack", "--only", "slots"], "unpack, which has --threads alone"),
        (&["tune", "src", "--cache", "warm"], "hot, data-cold, cold"),
        (&["tune", "--show", "src"], "cannot be used with"),
        (&["tune", "--all"], "--forget"),
    ];
    for (args, part) in table {
        call(&place, args).code(2).says(part);
        assert!(!memory(&place).exists());
        assert!(place.names().iter().all(|name| name == "src" || name == "config"), "{:?}", place.names());
    }
    // Two inputs of one name cannot be packed: the defaults fail.
    place.file("a/x", b"1");
    place.file("b/x", b"2");
    call(&place, &["tune", "a/x", "b/x", "--for", "pack"]).code(2).says("carrack pack with default settings failed: ");
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_at_once() {
    let place = Place::small();
    place.file("config", b"a file where a folder should be");
    call(&place, &["tune", "src"]).code(2).says("could not be remembered here");
    assert_eq!(place.names(), ["config", "src"]);
}

#[test]
#[cfg(target_os = "linux")]
fn a_cache_state_that_cannot_be_had_is_an_error_that_says_why() {
    let place = Place::small();
    // What lies in memory only cannot be read from a disk.
    let work = tempfile::tempdir_in("/dev/shm").unwrap();
    let args = ["tune", "src", "--cache", "data-cold", "--work", work.path().to_str().unwrap()];
    call(&place, &args).code(2).says("--cache data-cold cannot be had here: ");
    assert_eq!(fs::read_dir(work.path()).unwrap().count(), 0);
}

#[test]
#[cfg(target_os = "linux")]
fn a_stopped_search_leaves_nothing() {
    let place = Place::small();
    let child = command(&place).args(["tune", "src", "--budget", "5m"]).stderr(Stdio::piped()).spawn().unwrap();
    crate::signals::wait_until_catching(&child, 2);
    sleep(Duration::from_millis(700));
    crate::signals::send(&child, 2);
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("stopped"), "{err}");
    assert!(!memory(&place).exists());
    assert_eq!(place.names(), ["config", "src"], "{err}");
}
