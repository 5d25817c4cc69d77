use std::collections::BTreeSet;
use std::sync::Arc;

use carrack_backends::path::{Base, PathTable};
use carrack_backends::witness::Witness;
use proptest::prelude::*;

use super::*;
use crate::entry::Kind as Entry;
use crate::plan::{Plan, PlanOptions};

/// Files with these paths and sizes.
fn entries<'a>(files: impl IntoIterator<Item = (&'a str, u64)>) -> Entries {
    let mut paths = PathTable::new();
    let base = paths.push_base(Base { folder: Arc::new(std::fs::File::open("/").unwrap().into()), skip: 0 });
    let mut entries = Entries::default();
    for (path, size) in files {
        paths.push(base, path.as_bytes());
        entries.kinds.push(Entry::File);
        entries.witnesses.push(Witness { size, ..Witness::default() });
    }
    entries.paths = Arc::new(paths);
    entries
}

fn by_type(files: &[(&str, u64)]) -> Vec<String> {
    let sorted: BTreeSet<_> = files.iter().copied().collect();
    let entries = entries(sorted);
    let files = Files::by_type(&entries);
    files.rows().iter().map(|&row| entries.paths.path(PathId(row)).escape_ascii().to_string()).collect()
}

#[test]
fn kinds_lie_together_and_within_one_paths_do() {
    assert_eq!(
        by_type(&["a/x.rs", "a/x.md", "a/x.c", "b/y.h", "b/y.rs", "b/README", "c/z.c"].map(|path| (path, 1))),
        ["a/x.md", "b/README", "a/x.c", "b/y.h", "c/z.c", "a/x.rs", "b/y.rs"]
    );
}

#[test]
fn a_name_that_many_have_goes_before_paths() {
    let folders: Vec<String> = (0..NAMESAKES).map(|n| format!("{n}")).collect();
    let files = |count: usize| {
        let each =
            folders.iter().take(count).flat_map(|folder| [format!("{folder}/lib.rs"), format!("{folder}/{folder}.rs")]);
        each.collect::<Vec<_>>()
    };
    // Sizes far apart: no two are versions of one file.
    let order = |files: &[String]| {
        let sizes = files.iter().enumerate().map(|(n, path)| (path.as_str(), 1000 + n as u64 * 977 % 64 * 1000));
        by_type(&sizes.collect::<Vec<_>>())
    };
    let many = order(&files(NAMESAKES));
    assert!(many[..NAMESAKES].iter().all(|path| path.ends_with("lib.rs")), "{many:?}");
    assert!(many.is_sorted_by_key(|path| (!path.ends_with("lib.rs"), path.clone())), "{many:?}");
    let few = order(&files(NAMESAKES - 1));
    assert!(few.is_sorted(), "{few:?}");
}

#[test]
fn namesakes_of_nearly_equal_sizes_go_before_paths() {
    assert_eq!(
        by_type(&[
            ("1/a.c", 1000),
            ("1/b.c", 1000),
            ("2/a.c", 2000),
            ("2/c.c", 5),
            ("3/a.c", 950),
            ("3/b.c", 1060),
            ("4/a.c", 2100),
            ("4/b.c", 946),
        ]),
        ["3/a.c", "1/a.c", "2/a.c", "4/a.c", "1/b.c", "2/c.c", "3/b.c", "4/b.c"]
    );
}

#[test]
fn what_is_alike_lies_together_and_the_rest_stays() {
    let noise = |seed: u64, len: usize| -> Vec<u8> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let next = std::iter::repeat_with(move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        });
        next.take(len).collect()
    };
    // Three versions of one file, the second and third closer to one another, among strangers.
    let (old, new) = (noise(1, 30_000), [&noise(1, 20_000)[..], &noise(2, 10_000)].concat());
    let newer = [&new[9000..], &noise(3, 1000)].concat();
    let contents = [noise(4, 9000), old, noise(5, 9000), vec![], noise(6, 9000), newer, noise(7, 9000), new];
    let sketches: Vec<Sketch> = contents.iter().map(|content| Sketch::of(content)).collect();
    let mut rows: Vec<u32> = (10..18).collect();
    likeness::arrange(&mut rows, &sketches);
    assert_eq!(rows, [10, 11, 17, 15, 12, 13, 14, 16]);
}

fn any_path() -> impl Strategy<Value = String> {
    prop::string::string_regex("[ab]{1,2}/[ab]{0,2}(/[ab]{1,2})?[.]?(rs|c|H|md|so[.]1|x y|)").expect("it is one")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_file_has_one_place(
        files in prop::collection::btree_map(any_path(), (0..3_u64, prop::collection::vec(0..4_u8, 0..200)), 0..120),
    ) {
        let entries = entries(files.iter().map(|(path, (size, _))| (path.as_str(), *size)));
        let all = Files::by_path(&entries);
        prop_assert!(all.rows().is_sorted());
        let with_contents = files.values().filter(|(size, _)| *size > 0);
        // Few different passages, so that sketches collide in every way.
        let sketches: Vec<Sketch> = with_contents.map(|(_, bytes)| {
            Sketch::of(&bytes.iter().flat_map(|&byte| [byte; 40]).collect::<Vec<_>>())
        }).collect();
        let orders = [Files::by_type(&entries), Files::by_likeness(all.clone(), &sketches)];
        prop_assert_eq!(&orders[0], &Files::by_type(&entries));
        prop_assert_eq!(&orders[1], &Files::by_likeness(all.clone(), &sketches));
        for files in &orders {
            let mut rows = files.rows().to_vec();
            let plan = Plan::ordered(&entries, &PlanOptions::default(), files).unwrap();
            prop_assert_eq!(plan.is_by_row(), rows.is_sorted());
            let planned: Vec<u32> = plan.chunks().iter().map(|chunk| chunk.row()).collect();
            prop_assert_eq!(&planned, &rows);
            rows.sort_unstable();
            prop_assert_eq!(&rows[..], all.rows());
        }
        let plain = Plan::new(&entries, &PlanOptions::default()).unwrap();
        prop_assert_eq!(plain, Plan::ordered(&entries, &PlanOptions::default(), &all).unwrap());
    }
}
