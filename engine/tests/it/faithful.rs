//! Everything that stat and the extended attributes show comes back.

use std::path::Path;

use carrack_engine::against::AgainstOptions;
use carrack_engine::dedup::PIECE_MEAN_MIN;
use carrack_engine::digest::Digest;
use carrack_engine::entry::{Extent, Kind, Xattr, XattrChoice};
use carrack_engine::pack::{Dedup, Packer};
use carrack_engine::plan::Order;
use carrack_engine::unpack::{Transform, Unpacker};
use carrack_fixtures::adorn::adorn;
use carrack_fixtures::compare::{self, CompareOptions};
use carrack_fixtures::content::Content;
use carrack_fixtures::model::{Shape, random};
use carrack_fixtures::tree::Builder;
use proptest::prelude::*;
use rustix::fs::XattrFlags;

use crate::hostile::archive_of;
use crate::salvage::assert_salvageable;
use crate::support::{Place, TIME, names_in, noise, open, pack, rows, try_open, unpack_clean, verify_clean};
use crate::synthetic::Owned;

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn set(path: &Path, name: &str, value: &[u8]) -> bool {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).is_ok()
}

fn value(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 1 << 16];
    let len = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    Some(value[..len].to_vec())
}

/// A random tree with metadata of every sort. What this machine does not take is told, once.
fn adorned(seed: u64, entries: usize) -> Place {
    static TOLD: std::sync::Once = std::sync::Once::new();
    let shape = Shape { entries, boundaries: vec![4096], max_size: 20_000, ..Shape::default() };
    let place = Place::new(random(seed, &shape));
    let missing = adorn(&place.tree, seed).unwrap();
    if !missing.is_empty() {
        TOLD.call_once(|| eprintln!("not tested, as this machine or user does not take it: {missing:?}"));
    }
    place
}

/// Packs, verifies, unpacks and compares everything.
fn assert_faithful(place: &Place, packer: &Packer) {
    let (bytes, report) = pack(packer);
    assert_eq!(report.warnings, []);
    let archive = open(bytes);
    assert_salvageable(&archive);
    verify_clean(&archive);
    let dest = place.beside("copy");
    unpack_clean(&archive, &dest);
    compare::assert_equal(&place.tree, &dest, &CompareOptions::everything());
    carrack_fixtures::corpus::remove_tree(&dest).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn everything_comes_back(seed in any::<u64>(), entries in 0..50_usize) {
        let place = adorned(seed, entries);
        let packer = place.packer().block_size(4096).slot_size(4096 * 3).slots(3).threads(2);
        assert_faithful(&place, &packer);
        assert_faithful(&place, &packer.order(Order::Similar).dedup(Dedup::Chunk).chunk_size(PIECE_MEAN_MIN));
    }
}

#[test]
fn equal_attributes_change_no_bytes_from_run_to_run() {
    let place = adorned(7, 40);
    let bytes = |threads| pack(&place.packer().threads(threads)).0;
    assert!(bytes(1) == bytes(4));
    let (without, report) = pack(&place.packer().xattrs(XattrChoice::default()));
    assert!(report.warnings.is_empty() && rows(&open(without)).iter().all(|row| row.xattrs.is_empty()));
}

/// The root's own attributes, those of a folder named beside others, and long ones.
#[test]
fn attributes_of_every_kind_of_input_and_of_any_length_are_stored() {
    let place = Place::of_files([("d/file", noise(1, 10)), ("e/other", noise(2, 10))]);
    let long = vec![7; 2000];
    let marks = [("", "root"), ("d", "folder"), ("d/file", "file")];
    if !marks.iter().all(|(path, mark)| set(&place.tree.join(path), "user.mark", mark.as_bytes()))
        || !set(&place.tree.join("d/file"), &format!("user.{}", "n".repeat(250)), &long)
    {
        eprintln!("not tested: the file system of the temporary folder keeps no attributes");
        return;
    }
    std::os::unix::fs::symlink("d", place.tree.join("link")).unwrap();
    let mark = |packer: &Packer, path: &[u8]| {
        let row = open(pack(packer).0).find(path).unwrap().unwrap();
        row.xattrs.iter().find(|xattr| xattr.name == b"user.mark").map(|xattr| xattr.value.clone())
    };
    assert_eq!(mark(&place.packer(), b"").as_deref(), Some(&b"root"[..]));
    let several = Packer::new().input(place.tree.join("d")).input(place.tree.join("e"));
    assert_eq!(mark(&several, b"d").as_deref(), Some(&b"folder"[..]));
    let followed = Packer::new().input(place.tree.join("link/")).input(place.tree.join("e"));
    assert_eq!(mark(&followed, b"link").as_deref(), Some(&b"folder"[..]));
    let alone = Packer::new().input(place.tree.join("d/file"));
    assert_eq!(mark(&alone, b"file").as_deref(), Some(&b"file"[..]));
    assert_faithful(&place, &place.packer());
}

/// One name of a file, of several, carries what belongs to the file.
#[test]
fn a_further_name_alone_brings_the_attributes_of_its_file() {
    let place = Place::of_files([("a", noise(1, 5000))]);
    std::fs::hard_link(place.tree.join("a"), place.tree.join("b")).unwrap();
    if !set(&place.tree.join("b"), "user.mark", b"m") {
        eprintln!("not tested: the file system of the temporary folder keeps no attributes");
        return;
    }
    let archive = open(pack(&place.packer()).0);
    let has: Vec<_> = rows(&archive).iter().map(|row| (row.kind, row.xattrs.len())).collect();
    assert_eq!(has, [(Kind::Dir, 0), (Kind::File, 1), (Kind::Hardlink, 0)]);
    let dest = place.beside("copy");
    Unpacker::new(&archive).select(["b".to_owned()]).unpack(&dest).unwrap();
    assert_eq!((names_in(&dest), value(&dest.join("b"), "user.mark")), (vec!["b".to_owned()], Some(b"m".to_vec())));
}

#[test]
fn hard_links_across_inputs_are_one_file() {
    let place = Place::of_files([("one/a", noise(1, 5000)), ("two/x/b", noise(2, 10))]);
    std::fs::hard_link(place.tree.join("one/a"), place.tree.join("two/x/a")).unwrap();
    let packer = Packer::new().input(place.tree.join("two")).input(place.tree.join("one"));
    let archive = open(pack(&packer).0);
    let dest = place.beside("copy");
    unpack_clean(&archive, &dest);
    let options = CompareOptions { mtimes: true, ..CompareOptions::everything() };
    for part in ["one", "two"] {
        compare::assert_equal(&place.tree.join(part), &dest.join(part), &options);
    }
    use std::os::unix::fs::MetadataExt;
    let ino = |path: &str| std::fs::metadata(dest.join(path)).unwrap().ino();
    assert_eq!(ino("one/a"), ino("two/x/a"));
}

/// Names of a pipe are apart afterwards, and that is said.
#[test]
fn further_names_of_what_is_no_file_are_said() {
    let place = Place::of_files([("a", noise(1, 10))]);
    let pipe = place.tree.join("p");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    std::fs::hard_link(&pipe, place.tree.join("q")).unwrap();
    let (bytes, report) = pack(&place.packer());
    let said: Vec<_> = report.warnings.iter().map(ToString::to_string).collect();
    assert!(said.len() == 2 && said[0].starts_with("p: is one of 2 names"), "{said:?}");
    let archive = open(bytes);
    assert_eq!(archive.len(), 4);
    let beside = archive.against(&place.tree, &AgainstOptions::default()).unwrap();
    assert_eq!(beside.differences, [], "each of them is there");
}

#[test]
fn what_is_left_away_is_counted_and_said_once() {
    if !is_root() {
        eprintln!("not tested: only root gives files away");
        return;
    }
    let place = Place::of_files([("a", noise(1, 10)), ("b", noise(2, 10)), ("c", noise(3, 10))]);
    for name in ["a", "b"] {
        let path = place.tree.join(name);
        rustix::fs::chmod(&path, rustix::fs::Mode::from_raw_mode(0o4755)).unwrap();
        if !set(&path, "trusted.x", b"") || !set(&path, "user.x", b"") {
            eprintln!("not tested: the file system of the temporary folder keeps no attributes");
            return;
        }
    }
    let archive = open(pack(&place.packer()).0);
    let said = |unpacker: Unpacker<'_>| {
        let dest = place.beside("copy");
        let report = unpacker.unpack(&dest).unwrap();
        assert!(value(&dest.join("a"), "trusted.x").is_none());
        carrack_fixtures::corpus::remove_tree(&dest).unwrap();
        report.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let warned = said(Unpacker::new(&archive).same_owner(false));
    assert_eq!(warned.len(), 2, "{warned:?}");
    assert!(warned.iter().all(|warning| warning.starts_with("a: ") && warning.contains("2 entries")), "{warned:?}");
    // What was asked for is not told.
    let unpacker = Unpacker::new(&archive).same_owner(false).xattrs(false).same_permissions(false);
    assert_eq!(said(unpacker), [""; 0]);
}

/// No system keeps attributes of users on pipes, as whoever may write to one could fill the disk with them.
#[test]
fn what_the_system_refuses_is_counted_and_said_once() {
    let xattrs = vec![Xattr { name: b"user.x".to_vec(), value: b"1".to_vec() }];
    let pipe = |path: &[u8]| Owned { mode: 0o644, xattrs: xattrs.clone(), ..Owned::new(path, Kind::Fifo) };
    let archive = open(archive_of(&[pipe(b"a"), pipe(b"b")]));
    let dest = tempfile::tempdir().unwrap();
    let report = Unpacker::new(&archive).specials(true).unpack(dest.path()).unwrap();
    let [warning] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
    let warning = warning.to_string();
    assert!(warning.starts_with("a: ") && warning.contains("not restored"), "{warning}");
    assert!(warning.contains("user.") && warning.contains("2 entries"), "{warning}");
    assert_eq!(names_in(dest.path()), ["a", "b"]);
}

fn transform(text: &str) -> Transform {
    let mut transform = Transform::default();
    transform.add(text).unwrap();
    transform
}

#[test]
fn names_change_on_the_way_and_links_with_them() {
    let mut plan = Builder::new(TIME);
    plan.file("src/a/one", Content::bytes("1"), TIME);
    plan.file("src/b/two", Content::bytes("2"), TIME);
    plan.hardlink("src/b/zero", "src/a/one");
    plan.symlink("src/l", "a/one", TIME);
    let place = Place::new(plan.finish());
    let archive = open(pack(&place.packer()).0);
    let dest = place.beside("copy");
    let unpacker =
        Unpacker::new(&archive).strip_components(1).transform(transform("s,^src/a,src/new/deep,;s,^a/,new/deep/,R"));
    let report = unpacker.unpack(&dest).unwrap();
    assert_eq!(report.warnings, []);
    let read = |path: &str| std::fs::read_to_string(dest.join(path)).unwrap();
    assert_eq!(
        (read("new/deep/one"), read("b/two"), read("b/zero"), read("l")),
        ("1".into(), "2".into(), "1".into(), "1".into())
    );
    use std::os::unix::fs::MetadataExt;
    let stat = |path: &str| std::fs::metadata(dest.join(path)).unwrap();
    assert_eq!(stat("new/deep/one").ino(), stat("b/zero").ino());
    assert_eq!(stat("b").mtime_nsec(), std::fs::metadata(place.tree.join("src/b")).unwrap().mtime_nsec());
}

#[test]
fn what_collides_or_leads_nowhere_is_named_and_the_rest_is_there() {
    let names = ["a/f", "b/f", "b/g", "out"];
    let place = Place::of_files(names.map(|name| (name, Content::bytes(name))));
    let archive = open(pack(&place.packer()).0);
    let dest = place.beside("copy");
    let report = Unpacker::new(&archive).transform(transform("s,^b,a,;s,^out,../out,")).unpack(&dest).unwrap();
    let said: Vec<_> = report.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].starts_with("b: renamed to a, together with a"), "{said:?}");
    assert!(said[1].starts_with("b/f: not written: renamed to a/f, as a/f is"), "{said:?}");
    assert!(said[2].starts_with("out: not written: renamed to ../out"), "{said:?}");
    let read = |path: &str| std::fs::read_to_string(dest.join(path)).unwrap();
    assert_eq!((read("a/f"), read("a/g")), ("a/f".to_owned(), "b/g".to_owned()));
    assert!(!place.beside("out").exists());
}

/// Attributes as no system made them: each is refused or left away, the file is there all the same.
#[test]
fn attributes_of_strangers_do_no_harm() {
    let xattr = |name: &[u8], len| Xattr { name: name.to_vec(), value: vec![b'v'; len] };
    let long = [b"user.".as_slice(), &[b'n'; 300]].concat();
    let xattrs = vec![
        xattr(b"nonsense", 0),
        xattr(b"security.capability", 3),
        xattr(b"security.ima", 20),
        xattr(b"security.selinux", 20),
        xattr(b"system.posix_acl_access", 9),
        xattr(b"user.", 1),
        xattr(b"user.big", 100_000),
        xattr(&long, 1),
        xattr(b"\xff\n", 3),
    ];
    let file = |path: &[u8]| {
        let extents = vec![Extent { block: 0, offset: 0, len: 4 }];
        let digest = Some(Digest::of(b"xxxx"));
        Owned { size: 4, mode: 0o4755, digest, extents, xattrs: xattrs.clone(), ..Owned::new(path, Kind::File) }
    };
    let folder = Owned { mode: 0o755, xattrs: xattrs.clone(), ..Owned::new(b"d", Kind::Dir) };
    let archive = try_open(archive_of(&[file(b"a"), file(b"b"), folder, file(b"d/c")])).unwrap();
    for exact in [false, true] {
        let dest = tempfile::tempdir().unwrap();
        let unpacker = Unpacker::new(&archive).same_owner(exact && is_root()).same_permissions(exact);
        let report = unpacker.selinux(exact).unpack(dest.path()).unwrap();
        assert_eq!((report.files, report.lost.len(), report.damage.len()), (3, 0, 0));
        // Kinds of attributes and reasons, not attributes, however many there are.
        assert!((1..14).contains(&report.warnings.len()), "{:#?}", report.warnings);
        assert_eq!(std::fs::read(dest.path().join("d/c")).unwrap(), b"xxxx");
        assert_eq!(value(&dest.path().join("a"), "security.ima"), None);
    }
}
