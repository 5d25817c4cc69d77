//! What goes where in a pipe: nothing but data on standard output, no bar, no colours, and a quiet end. Needs the engine.

use std::fs;
use std::fs::File;
use std::process::{Command, Output, Stdio};

use crate::support::{Place, carrack, noise, run};

fn shell(place: &Place, script: &str) -> Output {
    Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_carrack")])
        .current_dir(place.dir.path())
        .stdin(Stdio::null())
        .output()
        .expect("a shell")
}

#[test]
fn a_reader_that_has_enough_ends_the_run_quietly() {
    let place = Place::empty();
    place.file("src/big", &noise(4 << 20));
    for number in 0..2000 {
        place
            .file(format!("src/a/file with a rather long name, so that the list outgrows every pipe {number:06}"), b"");
    }
    place.pack(&[]);
    for command in ["list a.crk", "list -l a.crk", "list --json a.crk", "cat a.crk big", "pack src -q -o -"] {
        let output = shell(&place, &format!("{{ \"$0\" {command}; echo \"code $?\" >&2; }} | head -c 1 >/dev/null"));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "code 141\n", "{command}");
    }
}

#[test]
fn an_archive_goes_through_a_pipe() {
    let place = Place::packed();
    let output = shell(&place, "\"$0\" -q pack src -o - | cat > piped.crk && \"$0\" -q verify piped.crk");
    assert!(output.status.success(), "{output:?}");
    assert!(fs::read(place.path("piped.crk")).unwrap() == fs::read(place.path("a.crk")).unwrap());
}

#[test]
fn no_bar_and_no_colour_outside_a_terminal() {
    let place = Place::small();
    let packed = place.pack(&[]);
    let verified = place.call(["verify", "a.crk"]).code(0);
    let failed = place.call(["cat", "a.crk", "nope"]).code(2);
    for run in [packed, verified, failed] {
        assert!(!run.err.contains(['\r', '\x1b']), "{:?}", run.err);
        assert!(run.err.lines().all(|line| line.starts_with("carrack: ")), "{:?}", run.err);
    }
    let list = place.call(["list", "-l", "a.crk"]).code(0);
    assert!(!list.text().contains('\x1b'));
}

#[test]
fn colours_come_where_they_are_asked_for() {
    let place = Place::packed();
    assert!(place.call(["--color", "always", "list", "a.crk"]).code(0).text().contains("\x1b[1;34mlib\x1b[0m\n"));
    let err = place.call(["cat", "a.crk", "nope", "--color", "always"]).code(2).err;
    assert!(err.contains("\x1b[1;31merror:\x1b[0m"), "{err:?}");
}

#[test]
fn quiet_is_silent_and_verbose_says_more() {
    let place = Place::small();
    assert_eq!(place.pack(&["--quiet"]).err, "");
    assert_eq!(place.call(["-q", "verify", "a.crk"]).code(0).err, "");
    assert_eq!(place.call(["-q", "unpack", "a.crk", "-C", "out"]).code(0).err, "");
    let run = place.pack(&["--verbose", "--force"]).says("codec zstd level 3, block 4.00 MiB").says("root digest ");
    assert!(run.out.is_empty());
}

#[test]
fn a_summary_has_exact_bytes_and_the_backend() {
    let place = Place::small();
    let run = place.pack(&["--io", "pread"]);
    let size = fs::metadata(place.path("a.crk")).unwrap().len();
    run.says("carrack: a.crk: 13 entries, ").says(&format!("({size} bytes), ratio ")).says("read by pread");
}

#[test]
fn a_full_disk_fails_and_does_not_panic() {
    let place = Place::packed();
    for args in [&["list", "a.crk"][..], &["cat", "a.crk", "noise", "README.md"], &["info", "a.crk"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let run = run(carrack().args(args).current_dir(place.dir.path()).stdout(full)).code(2);
        let run = run.says("No space left on device");
        assert_eq!(run.err.lines().count(), 1, "{}", run.err);
    }
}
