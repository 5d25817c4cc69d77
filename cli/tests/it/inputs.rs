//! Inputs that cannot be read: named, counted, and everything else is right. Needs the engine.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::{Place, carrack, noise, run};

const NOBODY: u32 = 65_534;

#[test]
fn a_missing_input_fails_before_anything_is_made() {
    let place = Place::small();
    place.call(["pack", "src", "nowhere", "-o", "a.crk"]).code(2).says("nowhere");
    assert_eq!(place.names(), ["src"]);
}

#[test]
fn a_missing_folder_for_the_archive_fails() {
    let place = Place::small();
    place.call(["pack", "src", "-o", "no/such/a.crk"]).code(2).says("no/such");
}

/// carrack as somebody who is not root, in `place`: root reads everything.
fn as_nobody(place: &Place) -> Command {
    if fs::metadata(place.dir.path()).unwrap().uid() != 0 {
        return carrack();
    }
    // The build folder may be closed to others: the binary comes along.
    let binary = place.path("carrack-for-nobody");
    fs::copy(env!("CARGO_BIN_EXE_carrack"), &binary).unwrap();
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(place.dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new(binary);
    command.uid(NOBODY).gid(NOBODY);
    command
}

#[test]
fn an_unreadable_file_is_named_and_the_rest_is_packed() {
    let place = Place::small();
    fs::set_permissions(place.path("src/lib/copy.rs"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(place.path("src/noise"), fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = as_nobody(&place);
    command.args(["pack", "src", "-o", "a.crk", "--quiet"]).current_dir(place.dir.path());
    let run = run(&mut command).code(1);
    let lines: Vec<_> = run.err.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("carrack: warning: noise: ") && lines[0].contains("Permission denied"), "{lines:?}");
    assert_eq!(lines[1], "carrack: 1 warning");
    place.call(["verify", "a.crk"]).code(0);
    assert_eq!(place.call(["cat", "a.crk", "README.md"]).code(0).out, b"# A tree\n");
}

#[test]
fn few_descriptors_cost_no_file() {
    let place = Place::empty();
    for number in 0..400 {
        place.file(format!("src/{number}"), &noise(4000));
    }
    for limit in [20, 64] {
        let script = format!("ulimit -n {limit}; exec \"$0\" pack src -o {limit}.crk");
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(script).arg(env!("CARGO_BIN_EXE_carrack")).current_dir(place.dir.path());
        run(&mut shell).code(0).says("401 entries");
    }
}

#[test]
fn a_thread_that_is_refused_is_an_error_and_not_a_panic() {
    let place = Place::small();
    let mut packing = as_nobody(&place);
    packing.args(["pack", "src", "-o", "a.crk"]);
    // The first thread watches for signals, the next ones work.
    for threads in [1, 2] {
        let script = format!("ulimit -u {threads} && exec \"$0\" \"$@\"");
        let mut shell = Command::new("bash");
        shell.arg("-c").arg(script).arg(packing.get_program()).args(packing.get_args());
        shell.current_dir(place.dir.path());
        if fs::metadata(place.dir.path()).unwrap().uid() == 0 {
            shell.uid(NOBODY).gid(NOBODY);
        }
        run(&mut shell).code(2).says("Resource temporarily unavailable");
        assert!(!place.path("a.crk").exists());
    }
}
