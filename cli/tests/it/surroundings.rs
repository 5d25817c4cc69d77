//! Machines that give less than usual: few descriptors, no locked memory, little address space, a full disk, no /proc, a
//! target that cannot be written to. What comes out is the same archive, or an error that says why.

use std::fs;
use std::process::Command;

use crate::support::{Place, Run, assert_same_tree, run};

/// Runs a script of a shell in the place, with the program as `$0`.
#[track_caller]
fn shell(place: &Place, script: &str) -> Run {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_carrack")]).env("XDG_CONFIG_HOME", "/dev/null");
    run(shell.current_dir(place.dir.path()))
}

/// The same among mounts of its own; `None`, said aloud, where these may not be made.
#[track_caller]
fn among_mounts(place: &Place, script: &str) -> Option<Run> {
    let mut probe = Command::new("unshare");
    let may = probe.args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output().is_ok_and(|it| it.status.success());
    if !may {
        eprintln!("skipped: nothing may be mounted here");
        return None;
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_carrack")]).env("XDG_CONFIG_HOME", "/dev/null");
    Some(run(unshare.current_dir(place.dir.path())))
}

#[test]
fn limits_change_no_byte() {
    let place = Place::packed();
    let want = fs::read(place.path("a.crk")).unwrap();
    for limit in ["ulimit -n 64", "ulimit -l 0", "ulimit -v 4000000"] {
        let pack = "\"$0\" pack src -o b.crk && \"$0\" verify b.crk && \"$0\" unpack b.crk -C out";
        shell(&place, &format!("{limit} && {pack}")).code(0);
        assert!(fs::read(place.path("b.crk")).unwrap() == want, "{limit}: another archive");
        assert_same_tree(&place.path("src"), &place.path("out"));
        fs::remove_file(place.path("b.crk")).unwrap();
        fs::remove_dir_all(place.path("out")).unwrap();
    }
}

#[test]
fn without_proc_the_archive_is_the_same() {
    let place = Place::packed();
    let want = fs::read(place.path("a.crk")).unwrap();
    let script = "mount -t tmpfs none /proc && \"$0\" pack src -o b.crk && \"$0\" unpack b.crk -C out";
    let Some(run) = among_mounts(&place, script) else { return };
    run.code(0);
    assert!(fs::read(place.path("b.crk")).unwrap() == want);
    assert_same_tree(&place.path("src"), &place.path("out"));
    assert_eq!(place.names(), ["a.crk", "b.crk", "out", "src"]);
}

#[test]
fn a_full_disk_is_said_and_nothing_is_left_on_it() {
    let place = Place::packed();
    let mount = "mkdir disk && mount -t tmpfs -o size=100k none disk";
    let pack = format!("{mount} && \"$0\" pack src -o disk/b.crk; code=$?; ls -A disk; exit $code");
    let Some(run) = among_mounts(&place, &pack) else { return };
    let run = run.code(2).says("No space left on device");
    assert_eq!(run.text(), "");
    fs::remove_dir(place.path("disk")).unwrap();
    let unpack =
        format!("{mount} && \"$0\" unpack a.crk -C disk --no-space-check; code=$?; find disk -name noise; exit $code");
    let run = among_mounts(&place, &unpack).expect("as before").code(2).says("No space left on device");
    assert_eq!(run.text(), "", "half a file is left");
}

#[test]
fn what_cannot_be_written_to_is_named() {
    let place = Place::packed();
    let mount = "mkdir -p out && mount -t tmpfs -o ro none out";
    let Some(run) = among_mounts(&place, &format!("{mount} && \"$0\" pack src -o out/b.crk")) else { return };
    run.code(2).says("out/b.crk").says("Read-only file system");
    let run = among_mounts(&place, &format!("{mount} && \"$0\" unpack a.crk -C out")).expect("as before");
    run.code(2).says("Read-only file system");
}
