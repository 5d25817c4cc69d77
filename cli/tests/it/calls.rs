//! How often a small file enters the kernel, from the walk to the changed-file check. Counted by `strace`, which sees
//! the calls of every thread, whichever library makes them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{Place, carrack};

/// Files in the smaller tree; the larger one has twice as many, in as many folders. What the second pack calls beyond
/// the first is what the files cost.
const FILES: usize = 3000;
const FOLDERS: usize = 10;

/// Set where the lack of strace must not go unnoticed.
const REQUIRED: &str = "CARRACK_REQUIRE_STRACE";

/// Calls of threads that wait for one another, whose number depends on how threads are scheduled; and the look at each
/// descriptor before it is closed, which the standard library takes in builds with debug assertions only.
const ASIDE: [&str; 3] = ["futex", "sched_yield", "fcntl"];

/// The question for extended attributes, by every name that a kernel and an strace have for it: one more call an entry, which
/// `--no-xattrs --no-acls` saves. It has a test of its own. An strace that does not know the call leaves it out of its table.
const ATTRIBUTES: [&str; 3] = ["listxattrat", "syscall_0x1d1", "llistxattr"];

/// Whether strace is there and may look at processes.
pub(crate) fn has_strace() -> bool {
    let probe = Command::new("strace").args(["-f", "-c", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    let works = probe.is_ok_and(|status| status.success());
    let required = std::env::var_os(REQUIRED).is_some_and(|value| value == "1");
    assert!(works || !required, "{REQUIRED}=1, but strace is missing or may not trace");
    if !works {
        eprintln!("skipped: strace is missing or may not trace, so nothing counts system calls");
    }
    works
}

/// A folder with a tree of small files.
fn tree(files: usize) -> Place {
    let place = Place::empty();
    for folder in 0..FOLDERS {
        fs::create_dir(place.path(format!("src/{folder}"))).unwrap();
    }
    for file in 0..files {
        let text = format!("{file} ").repeat(100 + file % 400);
        fs::write(place.path(format!("src/{}/{file}", file % FOLDERS)), text).unwrap();
    }
    place
}

/// Packs, and counts the system calls of the whole run by name.
fn calls(place: &Place, io: &str) -> BTreeMap<String, f64> {
    traced(place, &["-c"], &["--io", io]);
    counted(&place.path("calls"))
}

/// strace with some flags, of carrack with some arguments, in the place.
pub(crate) fn strace(place: &Place, flags: &[&str], args: &[&str]) -> Command {
    let carrack = carrack();
    let mut strace = Command::new("strace");
    strace.arg("-f").args(flags).arg(carrack.get_program()).args(args);
    for (name, value) in carrack.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    strace.current_dir(place.path("")).stdin(Stdio::null());
    strace
}

/// strace that does to system calls what each of `faults` says, of carrack with some arguments; it says nothing itself.
pub(crate) fn under_strace(place: &Place, faults: &[&str], args: &[&str]) -> Command {
    let names: Vec<_> = faults.iter().filter_map(|fault| fault.split(':').next()).collect();
    let traced = format!("trace={}", names.join(","));
    let inject: Vec<_> = faults.iter().map(|fault| format!("inject={fault}")).collect();
    let inject = inject.iter().flat_map(|fault| ["-e", fault]);
    let flags: Vec<_> = ["-qq", "-o", "/dev/null", "-e", &traced].into_iter().chain(inject).collect();
    strace(place, &flags, args)
}

/// Packs under strace with these flags of both; what strace writes is in `calls`.
fn traced(place: &Place, flags: &[&str], packing: &[&str]) {
    let always = ["pack", "src", "-o", "a.crk", "--force", "--quiet", "--no-tune", "--threads", "2"];
    let output = strace(place, &[flags, &["-o", "calls"]].concat(), &[&always, packing].concat()).output();
    let output = output.expect("strace runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The table that strace writes: share, seconds, microseconds a call, calls, perhaps errors, name.
fn counted(summary: &Path) -> BTreeMap<String, f64> {
    let table = fs::read_to_string(summary).unwrap();
    let row = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let name = fields.last().filter(|name| fields.len() >= 5 && **name != "total")?;
        Some(((*name).to_owned(), fields[3].parse().ok()?))
    };
    let counts: BTreeMap<_, _> = table.lines().filter_map(row).collect();
    assert!(counts.contains_key("openat"), "no table of strace's: {table}");
    counts
}

/// Calls that one more small file costs, by name.
fn each(io: &str) -> BTreeMap<String, f64> {
    let [few, many] = [FILES, 2 * FILES].map(|files| calls(&tree(files), io));
    let more = |(name, count): (&String, &f64)| {
        (name.clone(), (count - few.get(name).copied().unwrap_or_default()) / FILES as f64)
    };
    many.iter().filter(|(name, _)| !ATTRIBUTES.contains(&name.as_str())).map(more).collect()
}

fn sum<'a>(each: impl IntoIterator<Item = (&'a String, &'a f64)>) -> f64 {
    each.into_iter().map(|(_, count)| count).sum()
}

/// Whether this machine has the backend.
fn has(io: &str) -> bool {
    let place = tree(1);
    let mut pack = carrack();
    pack.args(["pack", "src", "-o", "a.crk", "--no-tune", "--io", io]).current_dir(place.path(OsStr::new("")));
    let output = pack.output().unwrap();
    if !output.status.success() {
        eprintln!("skipped {io}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    output.status.success()
}

#[test]
fn a_small_file_takes_at_most_three_calls_through_io_uring() {
    if has_strace() && has("uring") {
        let each = each("uring");
        assert!(sum(&each) <= 3.0, "{:.3} calls a file: {each:.3?}", sum(&each));
    }
}

#[test]
fn a_small_file_takes_six_calls_through_plain_reads_waits_aside() {
    if !has_strace() {
        return;
    }
    for io in ["pread", "pool"] {
        // Of the walk: stat. Of the reader: open, stat, read, stat, close.
        let each = each(io);
        let calls = sum(each.iter().filter(|(name, _)| !ASIDE.contains(&name.as_str())));
        assert!(calls <= 6.1, "{io}: {calls:.3} calls a file: {each:.3?}");
    }
}

/// How often an entry was asked for its attributes.
fn questions(place: &Place, packing: &[&str]) -> usize {
    traced(place, &[], packing);
    let trace = fs::read_to_string(place.path("calls")).unwrap();
    // What another thread interrupts is told in two lines, of which the first has the bracket.
    trace.lines().filter(|line| ATTRIBUTES.iter().any(|name| line.contains(&format!("{name}(")))).count()
}

#[test]
fn attributes_cost_one_call_an_entry_and_none_where_they_are_not_wanted() {
    if !has_strace() {
        return;
    }
    let place = tree(FILES / 3);
    assert_eq!(questions(&place, &["--no-xattrs", "--no-acls"]), 0);
    let entries = FILES / 3 + FOLDERS + 1;
    let asked = questions(&place, &[]);
    // Where the file system knows no attributes, it is asked once a thread.
    assert!(asked >= 1 && asked <= entries, "{asked} questions for {entries} entries");
}
