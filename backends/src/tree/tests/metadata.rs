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
        let attributes = Attributes { mtime: Some(time), ..mode(0o755) };
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
        let attributes = Attributes { owner: Some((1234, 5678)), mtime: Some(TIMES[0]), ..mode(wanted) };
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

/// Attributes as an archive holds them, in order of name.
fn xattrs(list: &[(&str, &[u8])]) -> Vec<crate::xattr::Xattr> {
    let xattr = |(name, value): &(&str, &[u8])| crate::xattr::Xattr { name: (*name).into(), value: value.to_vec() };
    list.iter().map(xattr).collect()
}

#[cfg(target_os = "linux")]
fn value_of(path: impl AsRef<Path>, name: &str) -> Option<Vec<u8>> {
    let mut value = [0; 256];
    let len = rustix::fs::lgetxattr(path.as_ref(), name, &mut value[..]).ok()?;
    Some(value[..len].to_vec())
}

/// Version 2, then tag, permissions and number of the owner, one more user, the group, the mask, and all others.
const ACL: &[u8] = &[
    2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 4, 0, 57, 48, 0, 0, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 4, 0,
    255, 255, 255, 255, 32, 0, 0, 0, 255, 255, 255, 255,
];
/// `cap_net_raw=ep`, version 2.
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Attributes come before what would forbid them, and stay through a change of owner, which takes capabilities away.
#[cfg(target_os = "linux")]
#[test]
fn attributes_lists_and_capabilities_arrive() {
    let dir = folder();
    if rustix::fs::setxattr(dir.path(), "user.probe", b"", rustix::fs::XattrFlags::empty()).is_err() {
        eprintln!("not tested: the file system of the temporary folder keeps no attributes");
        return;
    }
    let mut list = xattrs(&[("user.empty", b""), ("user.name", b"value\0\xff")]);
    let mut owner = None;
    if is_root() {
        let mut more =
            xattrs(&[("security.capability", CAPABILITY), ("system.posix_acl_access", ACL), ("trusted.x", b"t")]);
        more.append(&mut list);
        (list, owner) = (more, Some((1234, 5678)));
    }
    let of_folder: Vec<_> = list.iter().filter(|xattr| xattr.name != b"security.capability").cloned().collect();
    // With a list its permissions are those of the mode.
    let permissions = if is_root() { 0o640 } else { 0o440 };
    let attributes = Attributes { owner, xattrs: &list, acls: true, mtime: Some(TIMES[0]), ..mode(permissions) };
    for (number, tree) in both(dir.path(), KEEP).into_iter().enumerate() {
        let name = |kind: &str| format!("{kind}{number}");
        tree.write_file(name("small").as_bytes(), b"abc", &attributes).unwrap();
        let big = tree.create(name("big").as_bytes(), 3).unwrap();
        big.write_at(b"abc", 0).unwrap();
        big.finish(3, &attributes).unwrap();
        let attributes = Attributes { xattrs: &of_folder, ..attributes };
        tree.make_folder(name("folder").as_bytes()).unwrap();
        tree.set_folder(name("folder").as_bytes(), &attributes).unwrap();
        for kind in ["small", "big", "folder"] {
            let path = dir.path().join(name(kind));
            let expected = if kind == "folder" { &of_folder } else { &list };
            for xattr in expected {
                let found = value_of(&path, str::from_utf8(&xattr.name).unwrap());
                assert_eq!(found.as_ref(), Some(&xattr.value), "{kind}: {}", xattr.name.escape_ascii());
            }
            assert_eq!(mode_of(&path), permissions, "{kind}");
            assert_eq!(mtime_of(&path), TIMES[0], "{kind}");
        }
        if is_root() {
            // A link has what only root may attach, and what it leads to has nothing of it.
            let trusted = xattrs(&[("trusted.x", b"of the link")]);
            let attributes = Attributes { xattrs: &trusted, ..attributes };
            tree.symlink(name("link").as_bytes(), name("small").as_bytes(), &attributes).unwrap();
            tree.special(name("pipe").as_bytes(), SpecialKind::Fifo, (0, 0), &attributes).unwrap();
            for kind in ["link", "pipe"] {
                let found = value_of(dir.path().join(name(kind)), "trusted.x");
                assert_eq!(found.as_deref(), Some(&b"of the link"[..]), "{kind}");
            }
            assert_eq!(value_of(dir.path().join(name("small")), "trusted.x").as_deref(), Some(&b"t"[..]));
        }
        assert_eq!(tree.refusals(), []);
    }
}

/// What a folder hands down to what is made in it is not in the archive.
#[cfg(target_os = "linux")]
#[test]
fn a_default_acl_is_not_left_on_what_has_none() {
    let dir = folder();
    let flags = rustix::fs::XattrFlags::empty();
    if rustix::fs::setxattr(dir.path(), "system.posix_acl_default", ACL, flags).is_err() {
        eprintln!("not tested: the file system of the temporary folder knows no access control lists");
        return;
    }
    for (number, tree) in both(dir.path(), KEEP).into_iter().enumerate() {
        for (acls, left) in [(false, true), (true, false)] {
            let attributes = Attributes { acls, ..mode(0o640) };
            let (file, folder) = (format!("f{number}{acls}"), format!("d{number}{acls}"));
            tree.write_file(file.as_bytes(), b"abc", &attributes).unwrap();
            tree.make_folder(folder.as_bytes()).unwrap();
            tree.set_folder(folder.as_bytes(), &attributes).unwrap();
            let has = |name: &str, list: &str| value_of(dir.path().join(name), list).is_some();
            assert_eq!(has(&file, "system.posix_acl_access"), left);
            assert_eq!(has(&folder, "system.posix_acl_access"), left);
            assert_eq!(has(&folder, "system.posix_acl_default"), left);
            assert_eq!((mode_of(dir.path().join(&file)), mode_of(dir.path().join(&folder))), (0o640, 0o640));
        }
    }
}

/// Whoever may not give files away keeps them, without setuid, and it is said once how many there are.
#[cfg(target_os = "linux")]
#[test]
fn what_is_refused_is_counted_and_the_file_is_there() {
    const NAME: &str = "tree::tests::metadata::what_is_refused_is_counted_and_the_file_is_there";
    if !crate::child::enter(NAME, crate::child::unprivileged) {
        return;
    }
    let dir = folder();
    let tree = DirTree::open(dir.path(), KEEP).unwrap();
    let list = xattrs(&[("security.capability", CAPABILITY), ("trusted.x", b"")]);
    let attributes = Attributes { owner: Some((0, 0)), xattrs: &list, ..mode(0o6755) };
    for name in ["a", "b"] {
        tree.write_file(name.as_bytes(), b"abc", &attributes).unwrap();
        assert_eq!(mode_of(dir.path().join(name)), 0o755, "nobody's setuid");
    }
    let refused: Vec<_> = tree.refusals().into_iter().map(|r| (r.what, r.count, r.path)).collect();
    let each = |what: &str| (what.to_owned(), 2, b"a".to_vec());
    assert_eq!(refused, [each("attributes trusted.*"), each("capabilities of a program"), each("owner")]);
}
