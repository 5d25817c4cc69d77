//! Metadata arrives exactly as asked for.

use super::*;
use crate::witness::Time;

const TIMES: [Time; 5] = [
    Time { sec: 1_700_000_000, nsec: 123_456_789 },
    Time { sec: 0, nsec: 1 },
    Time { sec: -1, nsec: 999_999_999 },
    Time { sec: 5_000_000_000, nsec: 999_999_999 },
    Time { sec: 0, nsec: 0 },
];

fn mtime_of(path: impl AsRef<Path>) -> Time {
    let stat = fs::symlink_metadata(path).unwrap();
    Time { sec: stat.mtime(), nsec: u32::try_from(stat.mtime_nsec()).unwrap() }
}

#[test]
fn times_are_exact_to_the_nanosecond() {
    let dir = folder();
    let tree = DirTree::open(dir.path(), KEEP).unwrap();
    tree.make_folder(b"d").unwrap();
    for (number, time) in TIMES.into_iter().enumerate() {
        let attributes = Attributes { mode: 0o755, owner: None, mtime: Some(time) };
        let made = |kind: &str| format!("d/{kind}{number}");
        tree.write_file(made("small").as_bytes(), b"abc", &attributes).unwrap();
        let big = tree.create(made("big").as_bytes(), 3).unwrap();
        big.write_at(b"abc", 0).unwrap();
        big.finish(3, &attributes).unwrap();
        tree.symlink(made("link").as_bytes(), b"nowhere", &attributes).unwrap();
        #[cfg(target_os = "linux")]
        tree.special(made("pipe").as_bytes(), SpecialKind::Fifo, (0, 0), &attributes).unwrap();
        tree.set_folder(b"d", &attributes).unwrap();
        for kind in ["small", "big", "link", "pipe"] {
            if kind != "pipe" || cfg!(target_os = "linux") {
                assert_eq!(mtime_of(dir.path().join(made(kind))), time, "{kind}");
            }
        }
        assert_eq!(mtime_of(dir.path().join("d")), time);
    }
}

#[test]
fn permissions_are_as_asked_whatever_the_umask() {
    const NAME: &str = "tree::tests::metadata::permissions_are_as_asked_whatever_the_umask";
    if !crate::child::enter(NAME, |_| ()) {
        return;
    }
    for mask in [0o022, 0o077, 0o000, 0o027] {
        rustix::process::umask(crate::os::mode(mask));
        let dir = folder();
        let tree = DirTree::open(dir.path(), KEEP).unwrap();
        let path = |name: &str| dir.path().join(name);
        for wanted in [0o644, 0o600, 0o755, 0o777, 0o444, 0o000, 0o4755, 0o2755, 0o6711, 0o1644, 0o666] {
            let name = |kind: &str| format!("{kind}{wanted:o}");
            // Bits beyond the permissions, as `st_mode` has them, change nothing.
            let attributes = mode(wanted | 0o100_000);
            tree.write_file(name("small").as_bytes(), b"abc", &attributes).unwrap();
            let big = tree.create(name("big").as_bytes(), 3).unwrap();
            assert_eq!(mode_of(path(&name("big"))) & 0o077, 0, "private until finished");
            big.finish(3, &attributes).unwrap();
            tree.make_folder(name("folder").as_bytes()).unwrap();
            assert_eq!(mode_of(path(&name("folder"))) & 0o077, 0, "private until finished");
            tree.set_folder(name("folder").as_bytes(), &attributes).unwrap();
            #[cfg(target_os = "linux")]
            tree.special(name("pipe").as_bytes(), SpecialKind::Fifo, (0, 0), &attributes).unwrap();
            for kind in ["small", "big", "folder", "pipe"] {
                if kind != "pipe" || cfg!(target_os = "linux") {
                    assert_eq!(mode_of(path(&name(kind))), wanted, "{} under {mask:o}", name(kind));
                }
            }
        }
    }
}

/// A change of owner takes setuid away: it has to come first. And files must not be open to the wrong people until
/// then.
#[test]
fn setuid_survives_a_change_of_owner() {
    if !is_root() {
        return; // Nobody else may give files away.
    }
    let dir = folder();
    let tree = DirTree::open(dir.path(), KEEP).unwrap();
    for wanted in [0o4755, 0o6755, 0o644, 0o600, 0o2750] {
        let attributes = Attributes { mode: wanted, owner: Some((1234, 5678)), mtime: Some(TIMES[0]) };
        let name = |kind: &str| format!("{kind}{wanted:o}");
        tree.write_file(name("small").as_bytes(), b"abc", &attributes).unwrap();
        tree.create(name("big").as_bytes(), 0).unwrap().finish(0, &attributes).unwrap();
        tree.make_folder(name("folder").as_bytes()).unwrap();
        tree.set_folder(name("folder").as_bytes(), &attributes).unwrap();
        tree.symlink(name("link").as_bytes(), b"/etc/passwd", &attributes).unwrap();
        #[cfg(target_os = "linux")]
        tree.special(name("pipe").as_bytes(), SpecialKind::Fifo, (0, 0), &attributes).unwrap();
        for kind in ["small", "big", "folder", "link", "pipe"] {
            if kind == "pipe" && !cfg!(target_os = "linux") {
                continue;
            }
            let stat = fs::symlink_metadata(dir.path().join(name(kind))).unwrap();
            assert_eq!((stat.uid(), stat.gid()), (1234, 5678), "{kind}");
            assert_eq!((stat.mtime(), stat.mtime_nsec()), (TIMES[0].sec, i64::from(TIMES[0].nsec)), "{kind}");
            if kind != "link" {
                assert_eq!(stat.mode() & 0o7777, wanted, "{kind}");
            }
        }
    }
}

/// In a folder that hands its group down, a file's group is not this process's by itself.
#[test]
fn a_folder_that_hands_down_its_group_does_not_decide() {
    if !is_root() {
        return; // Takes a group that this process is not in.
    }
    let dir = folder();
    std::os::unix::fs::chown(dir.path(), None, Some(5678)).unwrap();
    crate::os::umask();
    rustix::fs::chmod(dir.path(), crate::os::mode(0o2755)).unwrap();
    let own = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    for (number, tree) in both(dir.path(), KEEP).into_iter().enumerate() {
        for (kind, owner, gid) in [("left", None, 5678), ("own", Some(own), own.1), ("other", Some((own.0, 77)), 77)] {
            let attributes = Attributes { owner, ..mode(0o644) };
            let name = format!("{kind}{number}");
            tree.write_file(name.as_bytes(), b"abc", &attributes).unwrap();
            let stat = fs::metadata(dir.path().join(name)).unwrap();
            assert_eq!((stat.gid(), stat.mode() & 0o7777), (gid, 0o644), "{kind}");
        }
    }
}

/// A default access control list decides on the mode of new files; the mode asked for wins.
#[cfg(target_os = "linux")]
#[test]
fn a_default_acl_does_not_decide() {
    let dir = folder();
    // Version 2; then tag, permissions and number of the user, the group, and all others.
    let entry = |tag: u8, permissions: u8| [tag, 0, permissions, 0, 0xff, 0xff, 0xff, 0xff];
    let list = [&[2, 0, 0, 0], entry(1, 6).as_slice(), &entry(4, 0), &entry(0x20, 0)].concat();
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(dir.path(), "system.posix_acl_default", &list, flags).is_err() {
        return; // The file system of the temporary folder knows no such lists.
    }
    fs::write(dir.path().join("probe"), "").unwrap();
    assert_eq!(mode_of(dir.path().join("probe")), 0o600, "the list is in force");
    for (number, tree) in both(dir.path(), KEEP).into_iter().enumerate() {
        // The first file's mode is what the list would give anyway: it must not settle the matter for the folder.
        for wanted in [0o600, 0o644, 0o755] {
            let name = format!("{wanted:o}-{number}");
            tree.write_file(name.as_bytes(), b"abc", &mode(wanted)).unwrap();
            assert_eq!(mode_of(dir.path().join(name)), wanted);
        }
    }
}

#[test]
fn folders_that_may_not_be_written_to_are_finished_bottom_up() {
    const NAME: &str = "tree::tests::metadata::folders_that_may_not_be_written_to_are_finished_bottom_up";
    if !crate::child::enter(NAME, crate::child::unprivileged) {
        return;
    }
    let dir = folder();
    for (number, tree) in both(dir.path(), KEEP).into_iter().enumerate() {
        let name = |path: &str| format!("top{number}{path}");
        for path in ["", "/a", "/a/b"] {
            tree.make_folder(name(path).as_bytes()).unwrap();
        }
        tree.write_file(name("/a/b/f").as_bytes(), b"abc", &mode(0o000)).unwrap();
        for (path, wanted) in [("/a/b", 0o000), ("/a", 0o500), ("", 0o555)] {
            tree.set_folder(name(path).as_bytes(), &mode(wanted)).unwrap();
            assert_eq!(mode_of(dir.path().join(name(path))), wanted);
        }
        // So that the folder can be cleaned up.
        for path in ["", "/a", "/a/b"] {
            rustix::fs::chmod(dir.path().join(name(path)), crate::os::mode(0o700)).unwrap();
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn special_files_are_what_was_asked_for() {
    use std::os::unix::fs::FileTypeExt;
    let dir = folder();
    let tree = DirTree::open(dir.path(), KEEP).unwrap();
    tree.special(b"pipe", SpecialKind::Fifo, (9, 9), &mode(0o640)).unwrap();
    tree.special(b"socket", SpecialKind::Socket, (9, 9), &mode(0o600)).unwrap();
    let kind = |name: &str| fs::symlink_metadata(dir.path().join(name)).unwrap().file_type();
    assert!(kind("pipe").is_fifo() && kind("socket").is_socket());
    let device = Attributes { owner: Some((0, 6)), ..mode(0o660) };
    let result = tree.special(b"null", SpecialKind::Char, (1, 3), &device);
    if is_root() && result.is_ok() {
        tree.special(b"loop", SpecialKind::Block, (7, 300), &device).unwrap();
        let stat = fs::metadata(dir.path().join("null")).unwrap();
        assert!(kind("null").is_char_device() && kind("loop").is_block_device());
        assert_eq!((stat.rdev(), stat.gid(), mode_of(dir.path().join("null"))), (rustix::fs::makedev(1, 3), 6, 0o660));
    } else {
        // An ordinary user, or a container: refused, and nothing is left.
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(names(dir.path()), ["pipe", "socket"]);
    }
}
