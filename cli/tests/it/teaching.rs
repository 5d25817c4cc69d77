//! Help, version, completions, manual pages. Needs no engine.

use std::fs;
use std::fs::File;
use std::process::{Command, Stdio};

use crate::support::{Place, call, carrack, run};

const COMMANDS: [&str; 9] = ["pack", "unpack", "list", "cat", "verify", "info", "tune", "completions", "man"];

#[test]
fn alone_it_shows_help() {
    let run = call([""; 0]).code(2);
    let run = run.says("Usage: carrack").says("Exit codes:");
    assert!(COMMANDS.iter().all(|command| run.err.contains(&format!("  {command} "))), "{}", run.err);
}

#[test]
fn help_teaches_by_example() {
    for command in COMMANDS {
        let run = call([command, "--help"]).code(0);
        assert!(run.text().contains("Examples:\n") && run.text().contains(&format!("  carrack {command} ")));
        assert!(run.err.is_empty());
    }
    assert!(call(["--help"]).code(0).text().contains("carrack pack src -o src.crk"));
}

#[test]
fn help_has_no_colours_in_a_pipe() {
    assert!(!call(["--help"]).text().contains('\x1b'));
}

#[test]
fn version_is_one_line() {
    assert_eq!(call(["--version"]).code(0).text(), concat!("carrack ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = call(["completions", shell]).code(0);
        assert!(run.text().contains("block-size"), "{shell}");
    }
}

#[test]
fn every_command_gets_a_manual_page() {
    let place = Place::empty();
    place.call(["man", "--out", "man1", "-q"]).code(0);
    for command in COMMANDS {
        let page = fs::read_to_string(place.path(format!("man1/carrack-{command}.1"))).unwrap();
        assert!(page.contains(".SH EXAMPLES\n.nf\n") && page.contains(&format!("carrack {command} ")), "{page}");
        assert_eq!(call(["man", command]).code(0).text(), page);
    }
    let top = fs::read_to_string(place.path("man1/carrack.1")).unwrap();
    assert_eq!(call(["man"]).code(0).text(), top);
    assert!(top.contains("carrack\\-unpack(1)"), "{top}");
}

#[test]
fn a_full_disk_is_an_error_and_not_a_panic() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for args in [&["completions", "bash"][..], &["man"]] {
        let run = run(carrack().args(args).stdout(full())).code(2);
        run.says("carrack: error: standard output cannot be written: No space left on device");
    }
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    for args in ["completions bash", "man pack", "--help"] {
        // The reader is gone before the first byte is written.
        let script = format!("{{ sleep 0.2; \"$0\" {args}; echo \"code $?\" >&2; }} | true");
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_carrack")])
            .stdin(Stdio::null())
            .output()
            .expect("a shell");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "code 141\n", "{args}");
    }
}
