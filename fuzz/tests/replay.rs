//! Everything that fuzzing starts from, and everything that it ever found, once more.

use std::fs;
use std::path::{Path, PathBuf};

use carrack_fuzz::{check, seeds};

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn here(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

#[test]
fn what_was_found_stays_fixed() {
    for (target, check) in check::ALL {
        for file in files(&here("regressions").join(target)) {
            eprintln!("{}", file.display());
            check(&fs::read(file).unwrap());
        }
    }
}

#[test]
fn every_target_takes_every_seed_of_its_kind() {
    let mut count = 0;
    for (target, check) in check::ALL {
        let takes_archives = ["index", "archive", "salvage"].contains(&target);
        let folder = if takes_archives { "archives" } else { target };
        for file in files(&here("seeds").join(folder)) {
            eprintln!("{target} {}", file.display());
            check(&fs::read(file).unwrap());
            count += 1;
        }
    }
    assert!(count > 80, "only {count} seeds");
}

/// When this fails, the format or a codec has changed: `make fuzz-seeds`.
#[test]
fn the_seeds_are_those_that_would_be_made_now() {
    let archives = seeds::archives().into_iter().map(|(name, bytes)| ("archives", format!("{name}.crk"), bytes));
    for (target, name, bytes) in archives.chain(seeds::others()) {
        let kept = fs::read(here("seeds").join(target).join(&name)).unwrap();
        assert!(kept == bytes, "{target}/{name} is another one");
    }
}
