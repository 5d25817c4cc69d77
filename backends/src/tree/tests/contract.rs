//! One body of promises, held by the tree on disk (both ways of opening folders) and the one in memory.

use std::io::ErrorKind;

use super::super::name::HOSTILE;
use super::*;
use crate::witness::Time;

fn for_every_tree(test: impl Fn(&dyn TreeWriter)) {
    let dirs = [folder(), folder()];
    let [direct, _] = both(dirs[0].path(), KEEP);
    let [_, stepwise] = both(dirs[1].path(), KEEP);
    test(&direct);
    test(&stepwise);
    test(&MemoryTree::new());
}

#[track_caller]
fn fails<T>(result: io::Result<T>, kind: ErrorKind, path: &str) {
    let error = result.err().expect("an error");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(path), "{error} names {path}");
}

#[test]
fn names_are_taken_once() {
    for_every_tree(|tree| {
        let some = mode(0o644);
        tree.make_folder(b"").unwrap();
        tree.make_folder(b"d").unwrap();
        tree.make_folder(b"d").unwrap();
        tree.write_file(b"d/f", b"abc", &some).unwrap();
        tree.create(b"d/g", 0).unwrap().finish(0, &some).unwrap();
        tree.symlink(b"d/s", b"nowhere", &some).unwrap();
        tree.hardlink(b"d/f", b"d/h").unwrap();
        #[cfg(target_os = "linux")]
        tree.special(b"d/p", SpecialKind::Fifo, (0, 0), &some).unwrap();
        for name in ["d", "d/f", "d/g", "d/s", "d/h", "d/p"] {
            let path = name.as_bytes();
            fails(tree.write_file(path, b"", &some), ErrorKind::AlreadyExists, name);
            fails(tree.create(path, 0), ErrorKind::AlreadyExists, name);
            fails(tree.symlink(path, b"x", &some), ErrorKind::AlreadyExists, name);
            fails(tree.hardlink(b"d/f", path), ErrorKind::AlreadyExists, name);
            fails(tree.special(path, SpecialKind::Fifo, (0, 0), &some), ErrorKind::AlreadyExists, name);
            if name != "d" {
                fails(tree.make_folder(path), ErrorKind::AlreadyExists, name);
            }
        }
        tree.set_folder(b"d", &mode(0o755)).unwrap();
        tree.set_folder(b"", &mode(0o755)).unwrap();
        tree.sync().unwrap();
    });
}

#[test]
fn parents_must_be_folders() {
    for_every_tree(|tree| {
        let some = mode(0o644);
        tree.write_file(b"f", b"", &some).unwrap();
        tree.symlink(b"s", b".", &some).unwrap();
        let cases = [
            ("missing/x", ErrorKind::NotFound),
            ("f/x", ErrorKind::NotADirectory),
            ("s/x", ErrorKind::NotADirectory),
            ("s/y/x", ErrorKind::NotADirectory),
        ];
        for (name, kind) in cases {
            let path = name.as_bytes();
            fails(tree.make_folder(path), kind, name);
            fails(tree.write_file(path, b"", &some), kind, name);
            fails(tree.create(path, 0), kind, name);
            fails(tree.symlink(path, b"x", &some), kind, name);
            fails(tree.hardlink(b"f", path), kind, name);
            fails(tree.hardlink(path, b"new"), kind, name);
            fails(tree.special(path, SpecialKind::Fifo, (0, 0), &some), kind, name);
            fails(tree.set_folder(path, &some), kind, name);
        }
        for name in ["f", "s"] {
            fails(tree.set_folder(name.as_bytes(), &some), ErrorKind::NotADirectory, name);
        }
        fails(tree.hardlink(b"s", b"new"), ErrorKind::InvalidInput, "s");
        fails(tree.hardlink(b"missing", b"new"), ErrorKind::NotFound, "");
    });
}

#[test]
fn hostile_paths_reach_nothing() {
    for_every_tree(|tree| {
        let some = mode(0o644);
        tree.make_folder(b"a").unwrap();
        tree.write_file(b"f", b"", &some).unwrap();
        for path in HOSTILE {
            let kind = ErrorKind::InvalidInput;
            fails(tree.write_file(path, b"", &some), kind, "");
            fails(tree.create(path, 0), kind, "");
            fails(tree.symlink(path, b"x", &some), kind, "");
            fails(tree.hardlink(b"f", path), kind, "");
            fails(tree.hardlink(path, b"new"), kind, "");
            fails(tree.special(path, SpecialKind::Fifo, (0, 0), &some), kind, "");
            if !path.is_empty() {
                fails(tree.make_folder(path), kind, "");
                fails(tree.set_folder(path, &some), kind, "");
            }
        }
        for target in [b"".as_slice(), b"a\0b"] {
            assert!(tree.symlink(b"new", target, &some).is_err());
        }
        let now = Time { sec: 0, nsec: (1 << 30) - 1 }; // UTIME_NOW
        for hostile in [
            Attributes { mtime: Some(now), ..some },
            Attributes { owner: Some((u32::MAX, 0)), ..some },
            Attributes { owner: Some((0, u32::MAX)), ..some },
        ] {
            fails(tree.write_file(b"new", b"", &hostile), ErrorKind::InvalidInput, "");
            fails(tree.symlink(b"new", b"x", &hostile), ErrorKind::InvalidInput, "");
            fails(tree.special(b"new", SpecialKind::Fifo, (0, 0), &hostile), ErrorKind::InvalidInput, "");
            fails(tree.set_folder(b"a", &hostile), ErrorKind::InvalidInput, "");
            fails(tree.create(b"new", 0).unwrap().finish(0, &hostile), ErrorKind::InvalidInput, "");
        }
        tree.write_file(b"new", b"", &some).unwrap(); // None of it left anything behind.
    });
}

#[test]
fn unfinished_files_vanish() {
    for_every_tree(|tree| {
        let file = tree.create(b"f", 10).unwrap();
        file.write_at(b"abc", 0).unwrap();
        fails(tree.create(b"f", 10), ErrorKind::AlreadyExists, "f");
        drop(file);
        let file = tree.create(b"f", 10).unwrap();
        file.write_at(b"abc", 7).unwrap();
        fails(file.write_at(b"abc", 8), ErrorKind::InvalidInput, "");
        fails(file.write_at(b"abc", u64::MAX), ErrorKind::InvalidInput, "");
        drop(file);
        tree.write_file(b"f", b"", &mode(0o644)).unwrap();
    });
}

#[test]
fn files_hold_what_was_written_and_holes_are_zeros() {
    let dir = folder();
    let memory = MemoryTree::new();
    let trees: [&dyn TreeWriter; 2] = [&DirTree::open(dir.path(), KEEP).unwrap(), &memory];
    for tree in trees {
        for (name, pieces, size) in [
            (b"whole".as_slice(), vec![(b"abc".as_slice(), 0), (b"def", 3)], 6),
            (b"backwards", vec![(b"def".as_slice(), 3), (b"abc", 0)], 6),
            (b"middle hole", vec![(b"abc".as_slice(), 0), (b"def", 100_000)], 100_003),
            (b"last hole", vec![(b"abc".as_slice(), 0)], 100_000),
            (b"all hole", vec![], 100_000),
            (b"empty", vec![(b"".as_slice(), 0)], 0),
        ] {
            let file = tree.create(name, size).unwrap();
            for (bytes, offset) in &pieces {
                file.write_at(bytes, *offset).unwrap();
            }
            file.finish(size, &mode(0o640)).unwrap();
            let mut want = vec![0; usize::try_from(size).unwrap()];
            for (bytes, offset) in pieces {
                want[offset as usize..][..bytes.len()].copy_from_slice(bytes);
            }
            if let Some(node) = memory.nodes().get(name) {
                assert_eq!(*node, Node::File { bytes: want, attributes: mode(0o640) });
            } else {
                let path = dir.path().join(std::str::from_utf8(name).unwrap());
                assert_eq!(fs::read(&path).unwrap(), want);
                assert_eq!(mode_of(&path), 0o640);
                if size > 10_000 {
                    assert!(fs::metadata(&path).unwrap().blocks() * 512 < size, "holes take no room");
                }
            }
        }
    }
}

#[test]
fn memory_says_what_it_was_given() {
    let tree = MemoryTree::new();
    tree.make_folder(b"d").unwrap();
    tree.write_file(b"d/f", b"abc", &mode(0o600)).unwrap();
    tree.hardlink(b"d/f", b"h").unwrap();
    tree.hardlink(b"h", b"i").unwrap();
    tree.symlink(b"s", b"t", &mode(0)).unwrap();
    tree.special(b"p", SpecialKind::Char, (1, 3), &mode(0o666)).unwrap();
    tree.set_folder(b"d", &mode(0o750)).unwrap();
    let link = Node::Hardlink { existing: b"d/f".to_vec() };
    let want = [
        (b"d".to_vec(), Node::Folder(Some(mode(0o750)))),
        (b"d/f".to_vec(), Node::File { bytes: b"abc".to_vec(), attributes: mode(0o600) }),
        (b"h".to_vec(), link.clone()),
        (b"i".to_vec(), link),
        (b"p".to_vec(), Node::Special { kind: SpecialKind::Char, device: (1, 3), attributes: mode(0o666) }),
        (b"s".to_vec(), Node::Symlink { target: b"t".to_vec(), attributes: mode(0) }),
    ];
    assert_eq!(tree.nodes(), want.into());
}

#[test]
fn null_counts() {
    let tree = NullTree::new();
    tree.make_folder(b"").unwrap();
    tree.make_folder(b"d").unwrap();
    tree.write_file(b"d/f", b"abc", &mode(0)).unwrap();
    let file = tree.create(b"g", 9).unwrap();
    file.write_at(b"defg", 5).unwrap();
    drop(tree.create(b"unfinished", 9).unwrap());
    file.finish(9, &mode(0)).unwrap();
    tree.symlink(b"s", b"t", &mode(0)).unwrap();
    tree.hardlink(b"g", b"h").unwrap();
    tree.special(b"p", SpecialKind::Fifo, (0, 0), &mode(0)).unwrap();
    assert_eq!(tree.counts(), NullCounts { folders: 1, files: 2, bytes: 7, others: 3 });
}
