//! What is packed and unpacked when only some of it is meant, and what is refused.

use carrack_backends::tree::MemoryTree;
use carrack_engine::error::ErrorKind;
use carrack_engine::pack::Packer;
use carrack_engine::unpack::Unpacker;
use carrack_fixtures::content::Content;
use carrack_fixtures::tree::Builder;
use std::sync::Arc;

use crate::support::{Place, TIME, names_in, noise, open, pack, rows, unpack_clean, verify_clean};

fn place() -> Place {
    let mut plan = Builder::new(TIME);
    for path in ["a/b/one.txt", "a/b/two.rs", "a/three.txt", "a.txt", "z/b/four.txt"] {
        plan.file(path, Content::bytes(path), TIME);
    }
    plan.hardlink("z/link", "a/b/one.txt");
    plan.hardlink("z/link2", "a/b/one.txt");
    plan.symlink("z/symlink", "../a.txt", TIME);
    Place::new(plan.finish())
}

fn paths(packer: &Packer) -> Vec<String> {
    let archive = open(pack(packer).0);
    verify_clean(&archive);
    rows(&archive).iter().map(|entry| entry.path.escape_ascii().to_string()).collect()
}

#[test]
fn a_single_file_stands_under_its_name() {
    let place = place();
    let packer = Packer::new().input(place.tree.join("a/three.txt"));
    let archive = open(pack(&packer).0);
    assert_eq!(archive.read(b"three.txt").unwrap(), b"a/three.txt");
    unpack_clean(&archive, &place.beside("out"));
    assert_eq!(names_in(&place.beside("out")), ["three.txt"]);
}

#[test]
fn several_inputs_stand_under_their_names() {
    let place = place();
    let packer = Packer::new().base_dir(&place.tree).input("z").input("a/b").input("a.txt").input("z/symlink");
    assert_eq!(
        paths(&packer),
        [
            "a.txt",
            "b",
            "b/one.txt",
            "b/two.rs",
            "symlink",
            "z",
            "z/b",
            "z/b/four.txt",
            "z/link",
            "z/link2",
            "z/symlink"
        ]
    );
    let same = Packer::new().base_dir(&place.tree).input("a/b").input("z/b");
    assert_eq!(same.pack(place.beside("x.crk")).unwrap_err().kind(), ErrorKind::Input);
    assert_eq!(names_in(place.dir.path()), ["tree"]);
}

#[test]
fn what_is_excluded_is_left_out_and_counted() {
    let place = place();
    let packer = place.packer().exclude(["*.txt".to_owned(), "z/".to_owned()]);
    assert_eq!(paths(&packer), ["", "a", "a/b", "a/b/two.rs"]);
    // `a.txt`, three below `a`, and `z` as a whole.
    assert_eq!(pack(&packer).1.left_out, 4);
}

#[test]
fn the_archive_does_not_hold_itself_nor_the_one_it_replaces() {
    let place = place();
    let target = place.tree.join("a/self.crk");
    let report = place.packer().pack(&target).unwrap();
    // Where the archive has no name before it is complete, there is nothing to leave out.
    assert!(report.left_out <= 1);
    let first = std::fs::read(&target).unwrap();
    let archive = carrack_engine::archive::Archive::open(&target).unwrap();
    assert!(archive.find(b"a/self.crk").unwrap().is_none());
    verify_clean(&archive);

    let error = place.packer().pack(&target).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Output);
    assert!(error.to_string().contains("self.crk"), "{error}");
    assert_eq!(std::fs::read(&target).unwrap(), first);

    let report = place.packer().force(true).pack(&target).unwrap();
    assert!((1..=2).contains(&report.left_out), "{}", report.left_out);
    let archive = carrack_engine::archive::Archive::open(&target).unwrap();
    assert!(rows(&archive).iter().all(|entry| !entry.path.ends_with(b"crk")));
    assert_eq!(names_in(&place.tree.join("a")), ["b", "self.crk", "three.txt"]);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_written() {
    let place = place();
    let target = place.beside("x.crk");
    for (packer, kind) in [
        (Packer::new(), ErrorKind::Usage),
        (place.packer().block_size(5000), ErrorKind::Usage),
        (place.packer().block_size(2048), ErrorKind::Usage),
        (place.packer().block_size(128 << 20), ErrorKind::Usage),
        (place.packer().slots(1), ErrorKind::Usage),
        (place.packer().slots(0), ErrorKind::Usage),
        (place.packer().threads(0), ErrorKind::Usage),
        (place.packer().codec(carrack_engine::codec::Codec::Zstd { level: 99 }), ErrorKind::Usage),
        (place.packer().exclude(["a[".to_owned()]), ErrorKind::Usage),
        (Packer::new().input(place.beside("missing")), ErrorKind::Input),
        (place.packer().input(place.beside("missing")), ErrorKind::Input),
    ] {
        let error = packer.pack(&target).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(names_in(place.dir.path()), ["tree"]);
    }
    let archive = open(pack(&place.packer()).0);
    let none = Unpacker::new(&archive).threads(0).unpack(place.beside("out")).unwrap_err();
    assert_eq!(none.kind(), ErrorKind::Usage, "{none}");
}

#[test]
fn some_of_an_archive_is_unpacked_with_the_folders_it_needs() {
    let place = place();
    let archive = open(pack(&place.packer()).0);
    let unpack = |patterns: &[&str]| {
        let tree = MemoryTree::new();
        let patterns = patterns.iter().map(|&pattern| pattern.to_owned());
        let report = Unpacker::new(&archive).select(patterns).unpack_to_tree(Arc::new(tree.clone())).unwrap();
        assert_eq!(report.warnings, []);
        let nodes = tree.nodes().into_keys().filter(|path| !path.is_empty());
        (nodes.map(|path| path.escape_ascii().to_string()).collect::<Vec<_>>(), report)
    };
    assert_eq!(unpack(&["a/three.txt"]).0, ["a", "a/three.txt"]);
    assert_eq!(unpack(&["**/*.rs"]).0, ["a", "a/b", "a/b/two.rs"]);
    assert_eq!(unpack(&["a/b"]).0, ["a", "a/b", "a/b/one.txt", "a/b/two.rs"]);
    // A name whose file is not meant carries the contents itself, and the next one is its hard link.
    let (nodes, report) = unpack(&["z"]);
    assert_eq!(nodes, ["z", "z/b", "z/b/four.txt", "z/link", "z/link2", "z/symlink"]);
    assert_eq!((report.files, report.entries), (2, 6));
    let dest = place.beside("links");
    Unpacker::new(&archive).select(["z".to_owned()]).unpack(&dest).unwrap();
    assert_eq!(std::fs::read(dest.join("z/link2")).unwrap(), b"a/b/one.txt");
    let inode = |name: &str| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(dest.join(name)).unwrap());
    assert_eq!(inode("z/link"), inode("z/link2"));

    let missing = Unpacker::new(&archive).select(["a".to_owned(), "nope".to_owned()]).unpack(place.beside("none"));
    let error = missing.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("nope"), "{error}");
    assert!(!place.beside("none").exists());
}

#[test]
fn reading_what_is_not_there_or_no_file_is_an_error_that_names_it() {
    let place = place();
    let archive = open(pack(&place.packer()).0);
    for (path, kind) in [("nope", ErrorKind::NotFound), ("a", ErrorKind::Usage), ("z/symlink", ErrorKind::Usage)] {
        let error = archive.read(path.as_bytes()).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(path), "{error}");
        assert!(archive.read_range(path.as_bytes(), 0..1).is_err());
    }
    // A range that ends before it begins is empty.
    #[expect(clippy::reversed_empty_ranges, reason = "the point of it")]
    let range = 5..2;
    assert_eq!(archive.read_range(b"a.txt", range).unwrap(), b"");
}

#[test]
fn a_writer_gets_the_same_bytes_as_a_file() {
    #[derive(Clone, Default)]
    struct Shared(Arc<std::sync::Mutex<Vec<u8>>>);
    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            // In small pieces, as a pipe may take them.
            let len = bytes.len().min(1000);
            self.0.lock().unwrap().extend_from_slice(&bytes[..len]);
            Ok(len)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let place = Place::of_files([("a", noise(1, 300_000)), ("b", noise(2, 5))]);
    let shared = Shared::default();
    place.packer().pack_to_writer(Box::new(shared.clone())).unwrap();
    place.packer().pack(place.beside("x.crk")).unwrap();
    assert_eq!(*shared.0.lock().unwrap(), std::fs::read(place.beside("x.crk")).unwrap());
}
