use super::*;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;

fn planted() -> tempfile::TempDir {
    let tree = new_folder();
    plant(tree.path(), &["a/x", "b/x/y", "b/a", "file"]);
    symlink("b", tree.path().join("link")).unwrap();
    tree
}

fn found(tree: &tempfile::TempDir, inputs: &[&str]) -> Vec<String> {
    let walked = walk_in(tree.path(), inputs, &WalkOptions::default()).unwrap();
    assert!(walked.problems.is_empty(), "{:?}", walked.problems);
    let paths = paths(&walked);
    for (row, path) in paths.iter().enumerate() {
        // Whatever the base, the source leads to the same file.
        let (folder, source) = walked.entries.paths.source(PathId(row as u32));
        let source = if source.is_empty() { c"." } else { source };
        let witness = carrack_backends::witness::Witness::of_path(folder, source).unwrap();
        let expected = walked.entries.witnesses.get(row);
        let is_followed = inputs.contains(&"link/") && path == "link";
        assert!(witness.ino == expected.ino || is_followed, "{path}");
    }
    paths
}

#[test]
fn a_single_folder_is_the_root() {
    let tree = planted();
    for input in ["b", "b/", "./b/.", "a/../b", "link/", "b/x/.."] {
        assert_eq!(found(&tree, &[input]), ["", "a", "x", "x/y"], "{input}");
    }
    assert_eq!(found(&tree, &[tree.path().to_str().unwrap()]).len(), 9, "an absolute path ignores the base");
}

#[test]
fn anything_else_alone_is_stored_under_its_name() {
    let tree = planted();
    assert_eq!(found(&tree, &["b/x/y"]), ["y"]);
    assert_eq!(found(&tree, &["link"]), ["link"]);
    assert_eq!(found(&tree, &["b/../file"]), ["file"]);
}

#[test]
fn several_inputs_are_stored_under_their_last_names() {
    let tree = planted();
    assert_eq!(found(&tree, &["file", "b/x", "a/"]), ["a", "a/x", "file", "x", "x/y"]);
    assert_eq!(found(&tree, &["b/x/..", "a/."]), ["a", "a/x", "b", "b/a", "b/x", "b/x/y"]);
    assert_eq!(found(&tree, &["link/", "a"]), ["a", "a/x", "link", "link/a", "link/x", "link/x/y"]);
    assert_eq!(found(&tree, &["link", "a"]), ["a", "a/x", "link"]);
}

#[test]
fn inputs_that_cannot_be_named_apart_are_an_error() {
    let tree = planted();
    let error = walk_in(tree.path(), &["a/x", "file", "b/x"], &WalkOptions::default()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, WalkError::SameName { .. }));
    assert!(text.contains("a/x") && text.contains("b/x"), "{text}");
    let error = walk_in(tree.path(), &["a", "/"], &WalkOptions::default()).unwrap_err();
    assert!(matches!(&error, WalkError::NoName(path) if path == Path::new("/")), "{error}");
}

#[test]
fn a_missing_input_is_an_error_that_names_it() {
    let tree = planted();
    for inputs in [&["nothing"][..], &["a", "nothing"], &["a", "nothing/.."], &["file/", "a"], &["file/"], &[""]] {
        let error = walk_in(tree.path(), inputs, &WalkOptions::default()).unwrap_err();
        let WalkError::Input { path, .. } = &error else { panic!("{inputs:?}: {error}") };
        assert!(path.starts_with(tree.path()), "{error}");
    }
    assert!(matches!(walk_in(tree.path(), &[], &WalkOptions::default()), Err(WalkError::NoInput)));
}

#[test]
fn excluded_entries_are_counted_and_folders_not_entered() {
    let tree = new_folder();
    plant(tree.path(), &["src/a.rs", "src/a.o", "target/debug/x", "src/target/y", "keep/target", "a/b/c", "x/a/b"]);
    let exclude = |patterns: &[&str]| WalkOptions {
        exclude: patterns.iter().map(|&p| p.into()).collect(),
        ..WalkOptions::default()
    };
    let walked = walk_one(tree.path(), &exclude(&["*.o", "target/", "/a/b"]));
    assert_eq!(paths(&walked), ["", "a", "keep", "keep/target", "src", "src/a.rs", "x", "x/a", "x/a/b"]);
    assert_eq!(walked.left_out, LeftOut { excluded: 4, output: 0, other_file_systems: 0 });
    let walked = walk_in(tree.path(), &["src", "keep"], &exclude(&["keep", "src/*.rs"])).unwrap();
    assert_eq!(paths(&walked), ["src", "src/a.o", "src/target", "src/target/y"]);
    let error = walk_in(tree.path(), &["src"], &exclude(&["ok", "[z"])).unwrap_err();
    assert!(matches!(error, WalkError::Exclude { pattern, .. } if pattern == "[z"));
}

#[test]
fn the_output_is_left_out_under_every_name() {
    let tree = planted();
    let out = tree.path().join("b/x/out");
    fs::write(&out, "archive").unwrap();
    fs::hard_link(&out, tree.path().join("again")).unwrap();
    let witness = carrack_backends::witness::Witness::of_fd(fs::File::open(&out).unwrap().as_fd()).unwrap();
    let options = WalkOptions { leave_out: vec![(witness.dev, witness.ino)], ..WalkOptions::default() };
    let walked = walk_one(tree.path(), &options);
    assert_eq!(paths(&walked), ["", "a", "a/x", "b", "b/a", "b/x", "b/x/y", "file", "link"]);
    assert_eq!(walked.left_out.output, 2);
}

#[test]
fn other_file_systems_are_not_entered() {
    use std::os::unix::fs::MetadataExt;
    let dev = |path: &Path| fs::symlink_metadata(path).map(|meta| meta.dev()).ok();
    let mounts = [("/dev", "pts"), ("/dev", "shm"), ("/sys/fs", "cgroup")];
    let inside = |(top, mount): (&str, &str)| {
        let folder = Path::new(top).join(mount);
        folder.is_dir() && dev(&folder) != dev(Path::new(top))
    };
    let Some((top, mount)) = mounts.into_iter().find(|&pair| inside(pair)) else {
        eprintln!("skipped: no mount to try with");
        return;
    };
    let options = WalkOptions { one_file_system: true, ..WalkOptions::default() };
    let walked = walk_in(Path::new(top), &["."], &options).unwrap();
    let paths = paths(&walked);
    assert!(paths.iter().any(|path| path == mount), "the mount point itself is kept");
    assert!(!paths.iter().any(|path| path.starts_with(&format!("{mount}/"))), "{paths:?}");
    assert!(walked.left_out.other_file_systems >= 1);
}

#[test]
fn a_walk_that_finds_more_than_there_is_room_for_is_given_up() {
    let tree = planted();
    let inputs = [Input { path: tree.path().to_path_buf() }];
    let count = walk(&inputs, &WalkOptions::default(), &|_| {}, &never).unwrap().entries.len() as u64;
    let at_most = |entries_max| {
        let options = WalkOptions { entries_max: Some(entries_max), ..WalkOptions::default() };
        walk(&inputs, &options, &|_| {}, &never)
    };
    assert_eq!(at_most(count).unwrap().entries.len() as u64, count);
    assert!(matches!(at_most(count - 1), Err(WalkError::TooManyEntries)));
}
