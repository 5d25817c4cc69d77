//! Metadata and names by the flags that tar has, and what is said and counted when something is left away.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use rustix::fs::XattrFlags;

use crate::support::{Place, assert_same_tree};

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn mark(path: &std::path::Path) -> bool {
    rustix::fs::setxattr(path, "user.mark", b"m", XattrFlags::empty()).is_ok()
}

fn is_marked(path: &std::path::Path) -> bool {
    rustix::fs::getxattr(path, "user.mark", &mut [0; 8][..]) == Ok(1)
}

#[test]
fn attributes_come_and_go_by_flags_on_both_sides() {
    let place = Place::small();
    if !mark(&place.path("src/README.md")) {
        eprintln!("not tested: the file system of the temporary folder keeps no attributes");
        return;
    }
    let readme = |dest: &str| place.path(dest).join("README.md");
    for (dest, packing, unpacking, expected) in [
        ("a", &[][..], &[][..], true),
        ("b", &["--no-xattrs"][..], &[][..], false),
        ("c", &["--no-xattrs", "--xattrs"][..], &["--no-acls"][..], true),
        ("d", &["--no-acls", "--selinux"][..], &["--no-xattrs"][..], false),
    ] {
        place.pack(&[&["--force"], packing].concat());
        place.call([&["unpack", "a.crk", "-p", "-C", dest], unpacking].concat()).code(0);
        assert_same_tree(&place.path("src"), &place.path(dest));
        assert_eq!(is_marked(&readme(dest)), expected, "{dest}");
    }
}

#[test]
fn modes_and_times_are_exact_or_what_this_machine_gives() {
    let place = Place::empty();
    place.file("src/a", b"a");
    fs::set_permissions(place.path("src/a"), fs::Permissions::from_mode(0o2757)).unwrap();
    fs::set_permissions(place.path("src"), fs::Permissions::from_mode(0o1777)).unwrap();
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(1_000_000_000_000_000_007);
    fs::File::open(place.path("src/a")).unwrap().set_modified(old).unwrap();
    place.pack(&[]);
    let mode = |path: &str| fs::metadata(place.path(path)).unwrap().mode() & 0o7777;
    place.call(["unpack", "a.crk", "-C", "exact", "-p", "--same-owner"]).code(0);
    assert_eq!((mode("exact"), mode("exact/a")), (0o1777, 0o2757));
    assert_eq!(fs::metadata(place.path("exact/a")).unwrap().modified().unwrap(), old);

    let umask = u32::from_str_radix(
        &fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .find_map(|line| line.strip_prefix("Umask:").map(|mask| mask.trim().to_owned()))
            .unwrap(),
        8,
    )
    .unwrap();
    place.call(["unpack", "a.crk", "-C", "given", "--no-same-permissions", "-m"]).code(0);
    assert_eq!((mode("given"), mode("given/a")), (0o777 & !umask, 0o757 & !umask));
    assert!(fs::metadata(place.path("given/a")).unwrap().modified().unwrap() > old);
    // setgid belongs to the group, which was not restored: said, and in the exit code.
    let run = place.call(["unpack", "a.crk", "-C", "mine", "-p", "--no-same-owner"]).code(1);
    run.says("warning: a: setuid or setgid not restored");
    assert_eq!(mode("mine/a"), 0o757);
}

#[test]
fn owners_go_by_name_unless_numbers_are_asked_for() {
    if !is_root() {
        eprintln!("not tested: only root gives files away");
        return;
    }
    let place = Place::empty();
    place.file("src/a", b"a");
    std::os::unix::fs::chown(place.path("src/a"), Some(54_321), Some(0)).unwrap();
    place.pack(&[]);
    for (dest, flags) in [("name", &[][..]), ("number", &["--numeric-owner"])] {
        place.call([&["unpack", "a.crk", "-C", dest], flags].concat()).code(0);
        let stat = fs::metadata(place.path(dest).join("a")).unwrap();
        assert_eq!((stat.uid(), stat.gid()), (54_321, 0), "a number without a name stays");
    }
    place.call(["unpack", "a.crk", "-C", "mine", "--no-same-owner"]).code(0);
    assert_eq!(fs::metadata(place.path("mine/a")).unwrap().uid(), 0);
}

#[test]
fn paths_are_stripped_and_changed() {
    let place = Place::small();
    place.pack(&[]);
    place.call(["unpack", "a.crk", "lib", "-C", "stripped", "--strip-components", "1"]).code(0);
    assert!(place.path("stripped/deep/er/x.rs").is_file() && !place.path("stripped/lib").exists());
    let expressions = ["--transform", r"s/\.rs$/.txt/", "--xform=s,^lib,src/&,"];
    place.call([&["unpack", "a.crk", "-C", "changed"], &expressions[..]].concat()).code(0);
    assert!(place.path("changed/src/lib/deep/er/x.txt").is_file() && place.path("changed/README.md").is_file());
    let run =
        place.call(["unpack", "a.crk", "-C", "one", "--transform", "s,.*/,,", "--transform=s/^[cmo].*/same/"]).code(1);
    run.says("not written: renamed to same, as lib/copy.rs is");
    let run = place.call(["unpack", "a.crk", "-C", "no", "--transform", r"s/\(a\)\1/b/"]).code(2);
    run.says("--transform").says("references back");
    assert!(!place.path("no").exists());
}

#[test]
fn an_archive_is_compared_with_its_tree() {
    let place = Place::packed();
    place.call(["verify", "a.crk", "--against", "src"]).code(0).says("src: the same: 13 entries in both");
    symlink("src", place.path("link")).unwrap();
    place.call(["verify", "a.crk", "--against", "link"]).code(0);
    let path = place.path("src/lib/copy.rs");
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "fn main() {;\n").unwrap();
    fs::File::open(&path).unwrap().set_modified(time).unwrap();
    let run = place.call(["verify", "a.crk", "--against", "src"]).code(1);
    run.says("a.crk: intact").says("differs: lib/copy.rs: content: digest").says("src: 1 difference: ");
    place.call(["verify", "a.crk", "--against", "src", "-x", "copy.rs"]).code(1).says("only in the archive");
    place.call(["verify", "a.crk", "--against", "nowhere"]).code(2);
    place.call(["verify", "a.crk", "--no-xattrs"]).code(2);
    // What a damaged archive says is not compared with anything.
    let mut bytes = fs::read(place.path("a.crk")).unwrap();
    bytes[2000] ^= 1;
    fs::write(place.path("bad.crk"), bytes).unwrap();
    let run = place.call(["verify", "bad.crk", "--against", "src"]).code(3);
    assert!(!run.err.contains("differs"), "{}", run.err);
}

#[test]
fn an_archive_is_read_back_before_it_has_a_name() {
    let place = Place::small();
    place.pack(&["--verify"]);
    place.pack(&["--verify", "--no-sync", "--force"]);
    place.call(["verify", "a.crk", "--against", "src"]).code(0);
    let run = place.call(["pack", "src", "-o", "-", "--verify"]).code(2);
    run.says("--verify reads the archive back");
    place.call(["pack", "src", "-o", "/dev/null", "--verify"]).code(2).says("a stream cannot be");
}
