//! Real processes held to their memory limits, by the peak that the kernel saw.
//!
//! A program of its own, and one that holds little: a process begins with the peak of the one that started it.

#[allow(dead_code, reason = "the tests of the command forge more with it")]
#[path = "../../../engine/tests/it/evilpack.rs"]
mod evilpack;
mod hostile;

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::Command;

use carrack_measure::process::{self, Ran, Stdout};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// A folder with an input tree in `src`.
struct Place(TempDir);

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Some files of so many bytes in all, which compress a little.
    fn large(bytes: u64) -> Self {
        let place = Self(TempDir::new().expect("a temporary folder"));
        fs::create_dir(place.path("src")).unwrap();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for n in 0..4 {
            let mut file = BufWriter::new(File::create(place.path(&format!("src/{n}"))).unwrap());
            for _ in 0..bytes / 4 / 16 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                file.write_all(&state.to_le_bytes()).unwrap();
                file.write_all(b"01234567").unwrap();
            }
            file.flush().unwrap();
        }
        place
    }

    /// So many small files in some folders.
    fn many(files: u32) -> Self {
        let place = Self(TempDir::new().expect("a temporary folder"));
        for folder in 0..files / 500 {
            fs::create_dir_all(place.path(&format!("src/{folder}"))).unwrap();
            for n in 0..500 {
                let name = place.path(&format!("src/{folder}/some-file-{n}.txt"));
                fs::write(name, format!("{folder} {n}\n")).unwrap();
            }
        }
        place
    }

    fn run(&self, args: &str) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_carrack"));
        command.args(args.split_whitespace()).current_dir(self.0.path()).env("XDG_CONFIG_HOME", "/dev/null");
        process::run(vec![command], Stdout::Null).expect("the binary runs")
    }

    /// Runs carrack and gives its peak, bytes.
    #[track_caller]
    fn peak(&self, args: &str) -> u64 {
        let ran = self.run(args);
        assert!(ran.ok(), "{args}: {}", ran.ending());
        ran.usage.peak_bytes
    }

    /// Packs under a limit of so many MiB, is held to it, and compares the archive with `plain.crk`.
    #[track_caller]
    fn packs_under(&self, mib: u64, flags: &str) {
        let peak = self.peak(&format!("pack -q src -o limited.crk -f --memory-limit {mib}M {flags}"));
        assert!(peak <= mib * MIB, "{flags}: {peak} bytes under a limit of {mib} MiB");
        assert!(self.same("limited.crk", "plain.crk"), "{flags}: a limit of {mib} MiB shows in the archive");
    }

    /// Compares two files piece by piece: what this process holds would count as the next one's peak.
    fn same(&self, a: &str, b: &str) -> bool {
        let [mut a, mut b] = [a, b].map(|name| BufReader::new(File::open(self.path(name)).unwrap()));
        loop {
            let len = {
                let (a, b) = (a.fill_buf().unwrap(), b.fill_buf().unwrap());
                let len = a.len().min(b.len());
                if a[..len] != b[..len] || len == 0 {
                    return a.is_empty() && b.is_empty();
                }
                len
            };
            a.consume(len);
            b.consume(len);
        }
    }

    /// Runs carrack, which refuses, writes nothing and says all of this.
    #[track_caller]
    fn refuses(&self, args: &str, parts: &[&str]) {
        let ran = self.run(args);
        assert_eq!(ran.statuses[0].code(), Some(2), "{args}: {}", ran.stderr);
        for part in parts {
            assert!(ran.stderr.contains(part), "{args}: expected {part:?} in {}", ran.stderr);
        }
        assert!(!self.path("refused.crk").exists());
    }
}

#[test]
fn a_few_large_files_are_packed_under_any_limit_that_is_taken() {
    let place = Place::large(64 << 20);
    for (flags, limits) in [("--block-size 1M", [64, 40]), ("", [96, 64])] {
        let free = place.peak(&format!("pack -q src -o plain.crk -f {flags} --threads 6 --slots 48 --memory-limit 1G"));
        assert!(free > (limits[1] + 5) * MIB, "{free} bytes: nothing for the limits below to save");
        for mib in limits {
            place.packs_under(mib, flags);
        }
    }
}

#[test]
fn high_levels_are_packed_under_any_limit_that_is_taken() {
    let place = Place::large(12 << 20);
    let free = place.peak("pack -q src -o plain.crk --level 19 --block-size 1M --threads 4");
    assert!(free > 64 * MIB, "{free} bytes: nothing for the limits below to save");
    for mib in [128, 64] {
        place.packs_under(mib, "--level 19 --block-size 1M");
    }
}

#[test]
fn many_files_are_packed_under_any_limit_that_is_taken() {
    let place = Place::many(30_000);
    place.peak("pack -q src -o plain.crk");
    for mib in [96, 72] {
        place.packs_under(mib, "");
    }
    place.peak("pack -q src -o plain.crk -f --level 19 --block-size 1M");
    place.packs_under(80, "--level 19 --block-size 1M");
}

#[test]
fn other_orders_are_packed_under_any_limit_that_is_taken() {
    let place = Place::many(30_000);
    for order in ["type", "similar"] {
        for (flags, limits) in [("--block-size 1M", [96, 64]), ("", [96, 72])] {
            let flags = format!("--order {order} {flags}");
            place.peak(&format!("pack -q src -o plain.crk -f {flags}"));
            for mib in limits {
                place.packs_under(mib, &flags);
            }
        }
    }
}

/// A table of short pieces would take more than there is: they become longer, which is said, and fewer duplicates are found.
#[test]
fn pieces_whose_table_does_not_fit_become_longer_and_that_is_said() {
    let place = Place::large(256 << 20);
    let pack =
        "pack -f src -o a.crk --level 1 --block-size 256K --dedup chunk --chunk-size 1K --dict off --stats-out stats";
    let ran = place.run(&format!("{pack} --memory-limit 48M"));
    assert!(ran.ok(), "{}", ran.ending());
    assert!(ran.usage.peak_bytes <= 48 * MIB, "{} bytes", ran.usage.peak_bytes);
    let says = "are cut into pieces of 2 KiB, not 1 KiB, so that the table of pieces fits";
    let says = if ran.stderr.contains(says) { says } else { "are cut into pieces of 4 KiB, not 1 KiB" };
    assert!(
        ran.stderr.contains(says) && ran.stderr.contains("a memory limit of 48 MiB: contents of"),
        "{}",
        ran.stderr
    );
    let notes = || {
        let stats = fs::read(place.path("stats/pack.stages.json")).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&stats).unwrap();
        document["notes"].as_array().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(notes().iter().any(|note| note.contains(says)), "{:?}", notes());
    let ran = place.run("info a.crk");
    assert!(ran.ok(), "{}", ran.ending());
    // With room enough nothing is said.
    let ran = place.run(&format!("{pack} --memory-limit 1G"));
    assert!(ran.ok() && !ran.stderr.contains("pieces"), "{}", ran.stderr);
    assert!(notes().iter().all(|note| !note.contains("pieces")), "{:?}", notes());
}

#[test]
fn flags_that_contradict_a_limit_are_told_so() {
    let place = Place::large(8 << 20);
    let pack = |flags: &str| format!("pack src -o refused.crk --memory-limit {flags}");
    place.refuses(&pack("64M --slots 100 --slot-size 2M"), &["limit of 64 MiB", "ask for fewer slots"]);
    place.refuses(&pack("64M --slot-size 64M"), &["2 slots of 64 MiB", "ask for smaller slots"]);
    place.refuses(&pack("64M --level 19 --threads 2"), &["2 thread(s) at level 19", "ask for fewer threads"]);
    place.refuses(&pack("64M --block-size 32M"), &["2 slots of 32 MiB", "use a smaller block size"]);
    place.refuses(&pack("8M"), &["limit of 8 MiB: at least", "raise the limit"]);
    place.refuses(&pack("0"), &["limit of 0 KiB: at least"]);
    place.refuses(&pack("64MB"), &["64MiB"]);
}

#[test]
fn a_limit_that_costs_something_says_so() {
    let place = Place::large(64 << 20);
    let ran = place.run("pack src -o a.crk --block-size 1M --threads 3 --memory-limit 64M");
    assert!(ran.ok() && ran.stderr.contains("a memory limit of 64 MiB: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("3 of 3 thread(s)"), "{}", ran.stderr);
    let ran = place.run("pack src -o b.crk --threads 3 --memory-limit 1G");
    assert!(ran.ok() && !ran.stderr.contains("memory limit"), "{}", ran.stderr);
}

#[test]
fn unpacking_and_verifying_keep_to_a_limit() {
    let place = Place::large(128 << 20);
    place.peak("pack -q src -o plain.crk --block-size 16M --level 1");
    let free = place.peak("verify -q plain.crk --threads 3");
    assert!(free > 100 * MIB, "{free} bytes: nothing for the limit to save");
    for (n, command) in ["verify -q plain.crk", "unpack -q plain.crk -C out"].into_iter().enumerate() {
        let peak = place.peak(&format!("{command} --memory-limit 100M"));
        assert!(peak <= 100 * MIB, "{n}: {peak} bytes");
    }
    for n in 0..4 {
        assert!(place.same(&format!("src/{n}"), &format!("out/{n}")), "{n}");
    }
    place.refuses("verify plain.crk --memory-limit 100M --threads 3", &["3 thread(s)", "ask for fewer threads"]);
    place.refuses("unpack plain.crk -C other --memory-limit 20M", &["blocks of 16 MiB", "raise the limit"]);
}
