//! With `force`: what is in the way is replaced, whole, and never written into.

use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

#[test]
fn old_files_are_replaced_and_never_written_into() {
    let dir = folder();
    let path = |name: &str| dir.path().join(name);
    for tree in both(dir.path(), FORCE) {
        fs::write(path("old"), "old").unwrap();
        fs::hard_link(path("old"), path("second name")).unwrap();
        let file = tree.create(b"old", 3).unwrap();
        file.write_at(b"new", 0).unwrap();
        assert_eq!(fs::read(path("old")).unwrap(), b"old", "until it is complete");
        file.finish(3, &mode(0o644)).unwrap();
        assert_eq!(fs::read(path("old")).unwrap(), b"new");
        assert_eq!(fs::read(path("second name")).unwrap(), b"old");
        tree.write_file(b"old", b"newer", &mode(0o640)).unwrap();
        assert_eq!((fs::read(path("old")).unwrap(), mode_of(path("old"))), (b"newer".to_vec(), 0o640));
        drop(tree.create(b"old", 3).unwrap());
        assert_eq!(fs::read(path("old")).unwrap(), b"newer", "an unfinished one changes nothing");
        assert_eq!(names(dir.path()), ["old", "second name"]);
        fs::remove_file(path("second name")).unwrap();
    }
}

#[test]
fn links_are_replaced_themselves() {
    let (dir, outside) = (folder(), folder());
    let target = outside.path().join("target");
    fs::write(&target, "kept").unwrap();
    for tree in both(dir.path(), FORCE) {
        let link = dir.path().join("link");
        for round in 0..5 {
            let _ = fs::remove_file(&link);
            symlink(&target, &link).unwrap();
            match round {
                0 => tree.write_file(b"link", b"new", &mode(0o600)).unwrap(),
                1 => tree.create(b"link", 0).unwrap().finish(0, &mode(0o600)).unwrap(),
                2 => tree.symlink(b"link", b"elsewhere", &mode(0)).unwrap(),
                3 => {
                    tree.write_file(b"file", b"file", &mode(0o600)).unwrap();
                    tree.hardlink(b"file", b"link").unwrap();
                    tree.hardlink(b"file", b"link").unwrap(); // A second time changes nothing.
                    assert_eq!(fs::metadata(&link).unwrap().nlink(), 2);
                }
                _ => {
                    #[cfg(target_os = "linux")]
                    tree.special(b"link", SpecialKind::Fifo, (0, 0), &mode(0o600)).unwrap();
                }
            }
            assert_eq!(fs::read_link(&link).ok(), (round == 2).then(|| "elsewhere".into()));
            assert_eq!(fs::read(&target).unwrap(), b"kept");
            assert!(names(dir.path()).iter().all(|name| name == "link" || name == "file"));
        }
        fs::remove_file(&link).unwrap();
    }
}

#[test]
fn folders_replace_what_is_not_one_and_are_replaced_by_nothing() {
    let dir = folder();
    for tree in both(dir.path(), FORCE) {
        let path = dir.path().join("d");
        fs::write(&path, "").unwrap();
        tree.make_folder(b"d").unwrap();
        fs::remove_dir(&path).unwrap();
        symlink("/", &path).unwrap();
        tree.make_folder(b"d").unwrap();
        tree.write_file(b"d/kept", b"kept", &mode(0o600)).unwrap();
        tree.make_folder(b"d").unwrap();
        let kinds = [
            tree.write_file(b"d", b"", &mode(0o600)).unwrap_err().kind(),
            tree.create(b"d", 0).err().unwrap().kind(),
            tree.symlink(b"d", b"x", &mode(0)).unwrap_err().kind(),
            tree.hardlink(b"d/kept", b"d").unwrap_err().kind(),
        ];
        assert_eq!(kinds, [ErrorKind::IsADirectory; 4]);
        assert_eq!(names(&path), ["kept"]);
        assert_eq!(names(dir.path()), ["d"]);
        fs::remove_dir_all(&path).unwrap();
    }
}

#[test]
fn a_tree_with_closed_folders_can_be_replaced_by_its_owner() {
    const NAME: &str = "tree::tests::replace::a_tree_with_closed_folders_can_be_replaced_by_its_owner";
    if !crate::child::enter(NAME, crate::child::unprivileged) {
        return;
    }
    let dir = folder();
    let closed = dir.path().join("closed");
    for round in 0..3 {
        for tree in both(dir.path(), FORCE) {
            tree.make_folder(b"closed").unwrap();
            tree.write_file(b"closed/f", &[round], &mode(0o400)).unwrap();
            tree.set_folder(b"closed", &mode(0o500)).unwrap();
            assert_eq!((mode_of(&closed), fs::read(closed.join("f")).unwrap()), (0o500, vec![round]));
        }
    }
    // Not to be listed, but to be written: its metadata can be set all the same.
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o300)).unwrap();
    let tree = DirTree::open(dir.path(), KEEP).unwrap();
    tree.write_file(b"closed/g", b"", &mode(0o400)).unwrap();
    tree.set_folder(b"closed", &mode(0o755)).unwrap();
    assert_eq!((mode_of(&closed), names(&closed).len()), (0o755, 2));
}
