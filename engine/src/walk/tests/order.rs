use super::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn rows_stand_in_byte_order_of_the_whole_path() {
    let tree = new_folder();
    plant(tree.path(), &["a/b", "a/c/d", "a.txt", "a-/x", "a.b/y", "a0", "b/", "A"]);
    let walked = walk_one(tree.path(), &WalkOptions::default());
    assert_eq!(paths(&walked), ["", "A", "a", "a-", "a-/x", "a.b", "a.b/y", "a.txt", "a/b", "a/c", "a/c/d", "a0", "b"]);
    assert_eq!(kind(&walked, ""), Kind::Dir);
    assert_eq!(kind(&walked, "b"), Kind::Dir);
    assert_eq!(kind(&walked, "a0"), Kind::File);
    let size = tree.path().join("a/c/d").as_os_str().len() as u64;
    assert_eq!(walked.entries.size(row(&walked, "a/c/d")), size);
    assert_eq!(walked.entries.size(row(&walked, "a/c")), 0, "a folder has no content");
}

#[test]
fn an_empty_folder_is_one_row() {
    let tree = new_folder();
    let walked = walk_one(tree.path(), &WalkOptions::default());
    assert_eq!(paths(&walked), [""]);
    let (_, source) = walked.entries.paths.source(PathId(0));
    assert_eq!(source.to_bytes(), b"");
}

#[test]
fn names_that_are_not_utf8_stay_apart() {
    use std::ffi::OsStr;
    let tree = new_folder();
    for name in [&b"x\xff"[..], b"x\xfe", b"x\n\x1b[2J", b" "] {
        fs::write(tree.path().join(OsStr::from_bytes(name)), name).unwrap();
    }
    let walked = walk_one(tree.path(), &WalkOptions::default());
    let names: Vec<&[u8]> = (0..5).map(|row| path(&walked, row)).collect();
    assert_eq!(names, [&b""[..], b" ", b"x\n\x1b[2J", b"x\xfe", b"x\xff"]);
}

#[test]
fn every_number_of_threads_finds_the_same() {
    let tree = new_folder();
    plant(tree.path(), &["many/"]);
    for name in 0..3000 {
        fs::write(tree.path().join(format!("many/{name}")), "").unwrap();
    }
    for folder in 0..200 {
        plant(tree.path(), &[&format!("many/{folder}.d/x/y/z"), &format!("{folder}/a"), &format!("{folder}/b/c")]);
    }
    for at in 0..1500 {
        std::os::unix::fs::symlink(format!("target of {at}"), tree.path().join(format!("many/link{at}"))).unwrap();
    }
    let told = AtomicU64::new(0);
    let input = [Input { path: tree.path().into() }];
    let one = walk(&input, &threads(1), &|n| _ = told.fetch_max(n, Ordering::Relaxed), &never).unwrap();
    let expected = 1 + 1 + 3000 + 1500 + 200 * 4 + 200 * 4;
    assert_eq!(one.entries.len(), expected);
    assert_eq!(told.into_inner(), expected as u64, "progress ends at the number of entries");
    for at in 0..1500 {
        let target = one.entries.link_targets.get(row(&one, &format!("many/link{at}"))).unwrap();
        assert_eq!(target[..], *format!("target of {at}").as_bytes());
    }
    let one = everything(&one);
    for count in [2, 3, 8] {
        assert!(everything(&walk_one(tree.path(), &threads(count))) == one, "{count} threads");
    }
}

/// The order by definition: all paths, sorted.
fn sorted_paths(folder: &Path, prefix: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            sorted_paths(&entry.path(), &format!("{path}/"), found);
        }
        found.push(path);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_merge_is_a_sort_of_all_paths(files in prop::collection::vec("[-.0a]?[-0a]{1,2}(/[-0a.]?[0a]{1,2}){0,3}", 0..25)) {
        let tree = new_folder();
        for file in files {
            let full = tree.path().join(file);
            // Where a file stands in the way of a folder or the other way round, the first one stays.
            if fs::create_dir_all(full.parent().unwrap()).is_ok() {
                let _ = fs::write(full, "");
            }
        }
        let mut expected = vec![String::new()];
        sorted_paths(tree.path(), "", &mut expected);
        expected.sort();
        prop_assert_eq!(paths(&walk_one(tree.path(), &threads(2))), expected);
    }
}
