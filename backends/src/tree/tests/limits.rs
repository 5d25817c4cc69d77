//! Few descriptors, deep trees, many threads.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

#[test]
fn sixty_four_descriptors_do_for_a_thousand_folders() {
    const NAME: &str = "tree::tests::limits::sixty_four_descriptors_do_for_a_thousand_folders";
    if !crate::child::enter(NAME, |_| ()) {
        return;
    }
    let limit = rustix::process::Rlimit { current: Some(64), maximum: Some(64) };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    let dir = folder();
    let [direct, stepwise] = both(dir.path(), KEEP);
    for (name, tree, folders) in [("direct", direct, 1000), ("stepwise", stepwise, 100)] {
        tree.make_folder(name.as_bytes()).unwrap();
        for number in 0..folders {
            tree.make_folder(format!("{name}/{number}").as_bytes()).unwrap();
        }
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let tree = &tree;
                scope.spawn(move || {
                    for number in (thread..folders).step_by(4) {
                        let big = tree.create(format!("{name}/{number}/big").as_bytes(), 3).unwrap();
                        tree.write_file(format!("{name}/{number}/small").as_bytes(), b"abc", &mode(0o644)).unwrap();
                        big.write_at(b"abc", 0).unwrap();
                        big.finish(3, &mode(0o644)).unwrap();
                    }
                });
            }
        });
        for number in 0..folders {
            assert_eq!(names(&dir.path().join(format!("{name}/{number}"))), ["big", "small"]);
            tree.set_folder(format!("{name}/{number}").as_bytes(), &mode(0o755)).unwrap();
        }
    }
}

/// Descriptors kept for speed are given up when there are none left for work.
#[cfg(target_os = "linux")]
#[test]
fn kept_descriptors_are_given_up_when_others_are_needed() {
    const NAME: &str = "tree::tests::limits::kept_descriptors_are_given_up_when_others_are_needed";
    if !crate::child::enter(NAME, |_| ()) {
        return;
    }
    let dir = folder();
    let tree = DirTree::open(dir.path(), KEEP).unwrap();
    for number in 0..8 {
        tree.make_folder(format!("{number}").as_bytes()).unwrap();
        tree.write_file(format!("{number}/f").as_bytes(), b"", &mode(0o644)).unwrap();
    }
    let mut hoard = Vec::new();
    let limit = rustix::process::Rlimit { current: Some(100), maximum: Some(100) };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
    while let Ok(file) = fs::File::open("/dev/null") {
        hoard.push(file);
    }
    // None is free; the kept ones make room for these.
    tree.write_file(b"0/g", b"", &mode(0o644)).unwrap();
    tree.make_folder(b"7/inner").unwrap();
    tree.write_file(b"7/inner/g", b"", &mode(0o644)).unwrap();
    drop(hoard);
    assert_eq!(names(&dir.path().join("0")), ["f", "g"]);
    assert_eq!(names(&dir.path().join("7/inner")), ["g"]);
}

/// A full disk, and what takes its part here: a limit on the size of files.
#[cfg(target_os = "linux")]
#[test]
fn what_does_not_fit_is_removed() {
    const NAME: &str = "tree::tests::limits::what_does_not_fit_is_removed";
    if !crate::child::enter(NAME, crate::child::ignoring("XFSZ")) {
        return;
    }
    let limit = rustix::process::Rlimit { current: Some(8192), maximum: Some(8192) };
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    for options in [KEEP, FORCE] {
        let dir = folder();
        let tree = DirTree::open(dir.path(), options).unwrap();
        if options.force {
            fs::write(dir.path().join("f"), "old").unwrap();
        }
        let error = tree.write_file(b"f", &[1; 9000], &mode(0o644)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("/f: "), "{error}");
        let file = tree.create(b"g", 9000).unwrap();
        file.write_at(&[1; 8000], 0).unwrap();
        assert_eq!(file.write_at(&[1; 1000], 8000).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert!(file.finish(8000, &mode(0o644)).unwrap_err().to_string().contains("/g: "));
        let hole = tree.create(b"h", 9000).unwrap();
        assert_eq!(hole.finish(9000, &mode(0o644)).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(names(dir.path()).len(), usize::from(options.force));
        assert_eq!(fs::read(dir.path().join("f")).ok(), options.force.then(|| b"old".to_vec()));
    }
}

/// Deeper than any one path that the kernel takes.
#[test]
fn trees_deeper_than_a_path_can_be() {
    let dir = folder();
    for (round, tree) in both(dir.path(), KEEP).into_iter().enumerate() {
        let mut path = format!("r{round}").into_bytes();
        tree.make_folder(&path).unwrap();
        let mut folders = vec![path.clone()];
        while path.len() < 10_000 {
            path.push(b'/');
            path.extend_from_slice(&[b'd'; 200]);
            tree.make_folder(&path).unwrap();
            folders.push(path.clone());
        }
        let inside = |name: &str| [path.as_slice(), b"/", name.as_bytes()].concat();
        tree.write_file(&inside("f"), b"abc", &mode(0o644)).unwrap();
        tree.hardlink(&inside("f"), &inside("h")).unwrap();
        tree.symlink(&inside("s"), b"f", &mode(0)).unwrap();
        tree.symlink(&inside("t"), b"/", &mode(0)).unwrap();
        let through = tree.write_file(&inside("t/x"), b"", &mode(0o644)).unwrap_err();
        assert_eq!(through.kind(), ErrorKind::NotADirectory);
        let again = tree.write_file(&inside("f"), b"", &mode(0o644)).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        for folder in folders.iter().rev() {
            tree.set_folder(folder, &mode(0o755)).unwrap();
        }
        assert!(tree.hardlink(&inside("f"), b"up here").is_ok());
        assert_eq!(fs::metadata(dir.path().join("up here")).unwrap().nlink(), 3);
        fs::remove_file(dir.path().join("up here")).unwrap();
    }
}

#[test]
fn of_many_threads_one_gets_the_name() {
    let dir = folder();
    let tree = DirTree::open(dir.path(), KEEP).unwrap();
    for round in 0..50 {
        let winners = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                let (tree, winners) = (&tree, &winners);
                scope.spawn(move || match tree.write_file(format!("{round}").as_bytes(), &[thread; 9], &mode(0o644)) {
                    Ok(()) => _ = winners.fetch_add(1, Ordering::Relaxed),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::AlreadyExists),
                });
            }
        });
        assert_eq!(winners.into_inner(), 1);
        let bytes = fs::read(dir.path().join(format!("{round}"))).unwrap();
        assert!(bytes.len() == 9 && bytes.iter().all(|byte| *byte == bytes[0]));
    }
}

#[test]
fn threads_write_pieces_of_one_file() {
    let dir = folder();
    let tree = DirTree::open(dir.path(), KEEP).unwrap();
    let file = tree.create(b"f", 64 << 10).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let file = &file;
            scope.spawn(move || {
                for piece in (usize::from(thread)..64).step_by(4) {
                    file.write_at(&[piece as u8; 1024], piece as u64 * 1024).unwrap();
                }
            });
        }
    });
    file.finish(64 << 10, &mode(0o644)).unwrap();
    let want: Vec<u8> = (0..64u8).flat_map(|piece| [piece; 1024]).collect();
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), want);
}
