//! Trees that change while they are walked, and walks that are cut short.

use super::*;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Walks with one thread, calling `change` once when `at` entries have been found.
fn walk_while(folder: &Path, at: u64, change: impl Fn() + Sync) -> Walked {
    let done = AtomicU64::new(0);
    let progress = |entries| {
        if entries >= at && done.fetch_add(1, Ordering::Relaxed) == 0 {
            change();
        }
    };
    walk(&[Input { path: folder.into() }], &threads(1), &progress, &never).unwrap()
}

fn problems(walked: &Walked) -> Vec<String> {
    walked.problems.iter().map(Problem::to_string).collect()
}

#[test]
fn a_folder_that_vanishes_is_named_and_the_rest_goes_on() {
    let tree = new_folder();
    plant(tree.path(), &["a/x", "gone/x", "z/x"]);
    let walked = walk_while(tree.path(), 4, || fs::remove_dir_all(tree.path().join("gone")).unwrap());
    assert_eq!(paths(&walked), ["", "a", "a/x", "gone", "z", "z/x"]);
    let problems = problems(&walked);
    assert!(problems.len() == 1 && problems[0].starts_with("gone: open the folder: No such file"), "{problems:?}");
}

#[test]
fn another_folder_in_its_place_is_not_entered() {
    let tree = new_folder();
    plant(tree.path(), &["tree/a/x", "tree/b/x", "other/secret"]);
    let top = tree.path().join("tree");
    let walked = walk_while(&top, 3, || {
        fs::rename(top.join("a"), tree.path().join("old")).unwrap();
        fs::rename(tree.path().join("other"), top.join("a")).unwrap();
        fs::remove_dir_all(top.join("b")).unwrap();
        std::os::unix::fs::symlink("a", top.join("b")).unwrap();
    });
    assert_eq!(paths(&walked), ["", "a", "b"]);
    assert!(matches!(walked.problems[0].what, What::Replaced), "{:?}", walked.problems);
    assert!(matches!(walked.problems[1].what, What::Io { call: "open the folder", .. }), "{:?}", walked.problems);
}

#[test]
fn files_that_vanish_are_named() {
    let tree = new_folder();
    let count = names::BATCH + 100;
    for name in 0..count {
        fs::write(tree.path().join(name.to_string()), "").unwrap();
    }
    // The rest of a large folder is looked at before its first full batch.
    let walked = walk_while(tree.path(), 2, || {
        for name in 0..count {
            fs::remove_file(tree.path().join(name.to_string())).unwrap();
        }
    });
    assert_eq!(walked.entries.len(), 1 + 100);
    assert_eq!(walked.problems.len(), names::BATCH);
    assert!(walked.problems.windows(2).all(|two| two[0].path < two[1].path), "problems come in order");
    assert!(matches!(&walked.problems[0].what, What::Io { call: "stat", error } if error.raw_os_error() == Some(2)));
}

/// Takes away from this thread (and those it starts) what lets root pass every permission.
fn give_up_override() {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let mut sets = capabilities(None).unwrap();
    sets.effective -= CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    set_capabilities(None, sets).unwrap();
}

#[test]
fn an_unreadable_folder_is_named_and_the_rest_goes_on() {
    let tree = new_folder();
    plant(tree.path(), &["a/x", "closed/x", "no-search/x", "z"]);
    let mode = |name: &str, mode| {
        fs::set_permissions(tree.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode("closed", 0);
    mode("no-search", 0o600);
    let walked = std::thread::scope(|scope| {
        let walking = scope.spawn(|| {
            give_up_override();
            walk(&[Input { path: tree.path().into() }], &threads(3), &|_| {}, &never).unwrap()
        });
        walking.join().unwrap()
    });
    mode("closed", 0o700);
    mode("no-search", 0o700);
    assert_eq!(paths(&walked), ["", "a", "a/x", "closed", "no-search", "z"]);
    let problems = problems(&walked);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("closed: open the folder: Permission denied"), "{problems:?}");
    assert!(problems[1].starts_with("no-search/x: stat: Permission denied"), "{problems:?}");
}

#[test]
fn a_stop_ends_the_walk_soon() {
    let tree = new_folder();
    for folder in 0..100 {
        plant(tree.path(), &[&format!("{folder}/x/y/z")]);
    }
    for count in [1, 4] {
        let calls = AtomicU64::new(0);
        let result = walk(
            &[Input { path: tree.path().into() }],
            &threads(count),
            &|_| _ = calls.fetch_add(1, Ordering::SeqCst),
            &|| calls.load(Ordering::SeqCst) >= 5,
        );
        assert!(matches!(result, Err(WalkError::Stopped)), "{count} threads");
        let calls = calls.into_inner();
        assert!(calls <= 5 + count as u64, "{calls} folders were still looked at with {count} threads");
    }
    let result = walk(&[Input { path: tree.path().into() }], &threads(2), &|_| {}, &|| true);
    assert!(matches!(result, Err(WalkError::Stopped)));
}

#[test]
fn a_panic_in_the_callback_does_not_hang() {
    let tree = new_folder();
    plant(tree.path(), &["a/x", "b/x", "c/x"]);
    let result = std::panic::catch_unwind(|| {
        walk(&[Input { path: tree.path().into() }], &threads(4), &|n| assert!(n < 5, "on purpose"), &never)
    });
    assert!(result.is_err());
}
