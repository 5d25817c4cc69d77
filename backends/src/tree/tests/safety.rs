//! Nothing leads out of the destination.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::name::HOSTILE;
use super::*;

/// Everything that could tell that somebody was there.
fn fingerprint(folder: &Path) -> Vec<(String, u32, i64, i64, Vec<u8>)> {
    let look = |name: String| {
        let path = folder.join(&name);
        let stat = fs::symlink_metadata(&path).unwrap();
        let bytes = fs::read(&path).unwrap_or_default();
        (name, stat.mode(), stat.ctime(), stat.ctime_nsec(), bytes)
    };
    names(folder).into_iter().chain([".".to_owned()]).map(look).collect()
}

/// A folder that must not change, with a file and a folder in it.
fn outside() -> TempDir {
    let outside = folder();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    fs::create_dir(outside.path().join("inner")).unwrap();
    outside
}

/// Tries everything that a tree can do with `path`; how it ends is no matter.
fn try_everything(tree: &dyn TreeWriter, path: &[u8]) {
    let some = mode(0o4777);
    let _ = tree.make_folder(path);
    let _ = tree.write_file(path, b"evil", &some);
    if let Ok(file) = tree.create(path, 4) {
        let _ = file.write_at(b"evil", 0);
        let _ = file.finish(4, &some);
    }
    let _ = tree.symlink(path, b"/etc/passwd", &some);
    let _ = tree.hardlink(b"mine", path);
    let _ = tree.hardlink(path, b"stolen");
    let _ = tree.special(path, SpecialKind::Fifo, (0, 0), &some);
    let _ = tree.set_folder(path, &some);
}

#[test]
fn nothing_leads_out() {
    for options in [KEEP, FORCE] {
        for which in 0..2 {
            let (dir, outside) = (folder(), outside());
            let target = outside.path().to_str().unwrap();
            symlink(target, dir.path().join("link")).unwrap();
            symlink(outside.path().join("secret"), dir.path().join("file")).unwrap();
            symlink(outside.path().join("new"), dir.path().join("dangling")).unwrap();
            fs::write(dir.path().join("mine"), "mine").unwrap();
            let before = fingerprint(outside.path());
            let [direct, stepwise] = both(dir.path(), options);
            let tree = if which == 0 { direct } else { stepwise };
            let beside = format!("../{}/secret", outside.path().file_name().unwrap().to_str().unwrap());
            let absolute = format!("{target}/secret");
            for path in ["link/secret", "link/new", "link/inner/new", &beside, &absolute, "/proc/self/root/tmp/x"] {
                try_everything(&tree, path.as_bytes());
            }
            for path in HOSTILE {
                try_everything(&tree, path);
            }
            // An archive may also bring the link itself.
            tree.symlink(b"brought", target.as_bytes(), &mode(0)).unwrap();
            try_everything(&tree, b"brought/new");
            // These replace the links themselves when forced, and are refused when not.
            for path in [b"file".as_slice(), b"dangling", b"brought", b"link"] {
                try_everything(&tree, path);
            }
            assert_eq!(fingerprint(outside.path()), before, "forced: {}, way: {which}", options.force);
            assert!(!dir.path().join("stolen").exists());
            assert_eq!(fs::read(dir.path().join("mine")).unwrap(), b"mine");
        }
    }
}

#[test]
fn a_link_where_a_folder_should_be_is_refused() {
    let (dir, outside) = (folder(), outside());
    symlink(outside.path(), dir.path().join("d")).unwrap();
    for tree in both(dir.path(), KEEP) {
        assert_eq!(tree.make_folder(b"d").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(tree.write_file(b"d/x", b"", &mode(0o600)).unwrap_err().kind(), ErrorKind::NotADirectory);
        assert_eq!(tree.set_folder(b"d", &mode(0o777)).unwrap_err().kind(), ErrorKind::NotADirectory);
        let error = tree.write_file(b"d/inner/x", b"", &mode(0o600)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotADirectory);
        assert!(error.to_string().contains("d/inner/x"), "{error}");
    }
    assert_eq!(names(outside.path()), ["inner", "secret"]);
}

#[test]
fn hard_links_are_to_regular_files_inside_only() {
    let (dir, outside) = (folder(), outside());
    symlink(outside.path().join("secret"), dir.path().join("link")).unwrap();
    symlink(outside.path(), dir.path().join("dir")).unwrap();
    fs::create_dir(dir.path().join("folder")).unwrap();
    for tree in both(dir.path(), KEEP) {
        for existing in [b"link".as_slice(), b"folder", b"../secret"] {
            assert_eq!(tree.hardlink(existing, b"x").unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(tree.hardlink(b"dir/secret", b"x").unwrap_err().kind(), ErrorKind::NotADirectory);
    }
    assert_eq!(names(dir.path()), ["dir", "folder", "link"]);
    assert_eq!(fs::metadata(outside.path().join("secret")).unwrap().nlink(), 1);
}

/// Somebody exchanges a folder and a link to elsewhere as fast as the kernel lets them, while trees look the folder up.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_swapped_for_a_link_leads_nowhere() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let (dir, outside) = (folder(), outside());
    let (real, link) = (dir.path().join("a"), dir.path().join("b"));
    fs::create_dir_all(real.join("inner")).unwrap();
    symlink(outside.path(), &link).unwrap();
    let before = fingerprint(outside.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                renameat_with(CWD, &real, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for round in 0..300 {
            for tree in both(dir.path(), KEEP) {
                let _ = tree.write_file(format!("a/inner/{round}").as_bytes(), b"evil", &mode(0o644));
                let _ = tree.write_file(format!("b/{round}").as_bytes(), b"evil", &mode(0o644));
                let _ = tree.set_folder(b"a/inner", &mode(0o700));
                let _ = tree.set_folder(b"a", &mode(0o700));
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(fingerprint(outside.path()), before);
}

/// What was opened stays what is written to, wherever its path leads meanwhile.
#[test]
fn a_folder_held_open_is_written_to_and_not_what_took_its_path() {
    let (dir, outside) = (folder(), outside());
    let tree = DirTree::open(dir.path(), KEEP).unwrap();
    tree.make_folder(b"a").unwrap();
    let file = tree.create(b"a/big", 3).unwrap();
    fs::rename(dir.path().join("a"), dir.path().join("moved")).unwrap();
    symlink(outside.path(), dir.path().join("a")).unwrap();
    tree.write_file(b"a/small", b"abc", &mode(0o600)).unwrap();
    file.write_at(b"abc", 0).unwrap();
    file.finish(3, &mode(0o600)).unwrap();
    assert_eq!(names(outside.path()), ["inner", "secret"]);
    assert_eq!(names(&dir.path().join("moved")), ["big", "small"]);
}

#[test]
fn an_unfinished_file_that_somebody_replaced_is_not_removed() {
    let dir = folder();
    let tree = DirTree::open(dir.path(), KEEP).unwrap();
    let file = tree.create(b"f", 3).unwrap();
    fs::remove_file(dir.path().join("f")).unwrap();
    fs::write(dir.path().join("f"), "somebody's").unwrap();
    drop(file);
    assert_eq!(fs::read(dir.path().join("f")).unwrap(), b"somebody's");
}

#[test]
fn destinations_are_folders_and_are_made_only_when_asked() {
    let dir = folder();
    let (missing, file) = (dir.path().join("x/y"), dir.path().join("file"));
    fs::write(&file, "").unwrap();
    let error = DirTree::open(&missing, KEEP).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("x/y"), "{error}");
    let create = DirTreeOptions { create: true, ..KEEP };
    assert_eq!(DirTree::open(&file, create).unwrap_err().kind(), ErrorKind::NotADirectory);
    DirTree::open(&missing, create).unwrap().write_file(b"f", b"abc", &mode(0o600)).unwrap();
    assert_eq!(fs::read(missing.join("f")).unwrap(), b"abc");
    // The user may name a link; it is the archive that may not.
    symlink(&missing, dir.path().join("link")).unwrap();
    DirTree::open(&dir.path().join("link"), create).unwrap().write_file(b"g", b"", &mode(0o600)).unwrap();
    assert_eq!(names(&missing), ["f", "g"]);
}
