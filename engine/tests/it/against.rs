//! An archive beside a tree: what is the same is said to be, and every kind of difference is found; and an archive that is
//! read back before it has a name.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use carrack_backends::sink::{AppendSink, FileSink, FileSinkOptions};
use carrack_engine::against::AgainstOptions;
use carrack_engine::archive::Archive;
use carrack_engine::error::ErrorKind;
use carrack_engine::pack::Packer;
use carrack_fixtures::adorn::adorn;
use carrack_fixtures::content::Content;
use carrack_fixtures::model::{Shape, random};
use carrack_fixtures::tree::Builder;
use rustix::fs::XattrFlags;

use crate::support::{Place, TIME, names_in, noise, open, pack, unpack_clean};

/// What differs, one line each.
fn differences(archive: &Archive, dir: &Path) -> Vec<String> {
    let report = archive.against(dir, &AgainstOptions::default()).unwrap();
    report.differences.iter().map(ToString::to_string).collect()
}

#[test]
fn a_tree_is_the_same_as_its_archive_before_and_after() {
    for seed in 0..6 {
        let place = Place::new(random(seed, &Shape { entries: 40, ..Shape::default() }));
        adorn(&place.tree, seed).unwrap();
        let archive = open(pack(&place.packer()).0);
        assert_eq!(differences(&archive, &place.tree), [""; 0]);
        unpack_clean(&archive, &place.beside("copy"));
        assert_eq!(differences(&archive, &place.beside("copy")), [""; 0]);
        carrack_fixtures::corpus::remove_tree(&place.beside("copy")).unwrap();
    }
}

#[test]
fn every_kind_of_difference_is_named() {
    let mut plan = Builder::new(TIME);
    for name in ["added/keep", "content", "gone", "kind", "linked", "mode", "size", "time", "unlinked", "xattr"] {
        plan.file(name, Content::bytes(name), TIME);
    }
    plan.hardlink("unlinked2", "unlinked");
    plan.symlink("target", "one", TIME);
    let place = Place::new(plan.finish());
    let archive = open(pack(&place.packer()).0);
    let at = |name: &str| place.tree.join(name);
    let time = |name: &str, ns: i64| {
        let (sec, nsec) = (ns.div_euclid(1_000_000_000) as u64, ns.rem_euclid(1_000_000_000) as u32);
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(sec, nsec);
        File::open(at(name)).unwrap().set_modified(time).unwrap();
    };
    let root_time = fs::metadata(&place.tree).unwrap().modified().unwrap();
    let added_time = fs::metadata(at("added")).unwrap().modified().unwrap();
    fs::write(at("added/new"), "").unwrap();
    File::open(at("added")).unwrap().set_modified(added_time).unwrap();
    fs::write(at("content"), "CONTENT").unwrap();
    time("content", TIME);
    fs::remove_file(at("gone")).unwrap();
    fs::remove_file(at("kind")).unwrap();
    fs::create_dir(at("kind")).unwrap();
    fs::remove_file(at("linked")).unwrap();
    fs::write(at("added/keep"), "linked").unwrap();
    fs::hard_link(at("added/keep"), at("linked")).unwrap();
    time("linked", TIME);
    fs::set_permissions(at("mode"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::write(at("size"), "longer").unwrap();
    time("size", TIME);
    time("time", TIME + 1);
    fs::remove_file(at("unlinked2")).unwrap();
    fs::write(at("unlinked2"), "Unlinked").unwrap();
    time("unlinked2", TIME);
    fs::remove_file(at("target")).unwrap();
    symlink("two", at("target")).unwrap();
    let has_xattrs = rustix::fs::setxattr(at("xattr"), "user.new", b"", XattrFlags::empty()).is_ok();
    File::open(&place.tree).unwrap().set_modified(root_time).unwrap();

    let found = differences(&archive, &place.tree);
    let mut expected = vec![
        "added/keep: size: 10 bytes in the archive, 6 in the tree",
        "added/new: only in the tree",
        "content: content: digest ",
        "gone: only in the archive",
        "kind: kind: file in the archive, dir in the tree",
        "linked: hard link: a file of its own in the archive, one more name of added/keep in the tree",
        "mode: mode: 0644 in the archive, 4711 in the tree",
        "size: size: 4 bytes in the archive, 6 in the tree",
        "target: mtime: ",
        "target: target: one in the archive, two in the tree",
        "time: mtime: 1700000000123456789 ns in the archive, 1700000000123456790 ns in the tree",
        "unlinked2: hard link: one more name of unlinked in the archive, a file of its own in the tree",
        "unlinked2: content: digest ",
    ];
    if has_xattrs {
        expected.push("xattr: extended attribute user.new: only in the tree");
    } else {
        eprintln!("not tested: attributes, which the file system of the temporary folder does not keep");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "expected {expected}, found {found}");
    }
}

#[test]
fn owner_and_group_are_compared_each() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("not tested: only root gives files away");
        return;
    }
    let place = Place::of_files([("group", noise(1, 10)), ("owner", noise(2, 10)), ("same", noise(3, 10))]);
    let archive = open(pack(&place.packer()).0);
    let ours = fs::metadata(place.tree.join("same")).unwrap();
    let (uid, gid) = (ours.uid(), ours.gid());
    // Numbers that nobody has a name for.
    chown(place.tree.join("group"), None, Some(54_321)).unwrap();
    chown(place.tree.join("owner"), Some(54_321), None).unwrap();
    let expected = [
        format!("group: owner: {uid}:{gid} in the archive, {uid}:54321 in the tree"),
        format!("owner: owner: {uid}:{gid} in the archive, 54321:{gid} in the tree"),
    ];
    assert_eq!(differences(&archive, &place.tree), expected);
}

#[test]
fn several_inputs_are_compared_in_the_folder_that_holds_them() {
    let place = Place::of_files([("a/x", noise(1, 5000)), ("b/y", noise(2, 5000)), ("c/z", noise(3, 10))]);
    let packer = Packer::new().input(place.tree.join("a")).input(place.tree.join("b"));
    let archive = open(pack(&packer).0);
    assert_eq!(differences(&archive, &place.tree), ["c: only in the tree", "c/z: only in the tree"]);
    let options = AgainstOptions { exclude: vec!["c".to_owned()], ..AgainstOptions::default() };
    let report = archive.against(&place.tree, &options).unwrap();
    assert_eq!((report.differences.len(), report.entries, report.files, report.bytes), (0, 4, 2, 10_000));
}

#[test]
fn without_a_folder_there_is_nothing_to_compare_with() {
    let place = Place::of_files([("a", noise(1, 10))]);
    let archive = open(pack(&place.packer()).0);
    for missing in ["nowhere", "tree/a"] {
        let error = archive.against(place.beside(missing), &AgainstOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Input, "{error}");
    }
}

/// A file whose disk does not give back what was written to it.
struct BadDisk {
    file: Box<FileSink>,
    /// Which byte comes back changed.
    flip: u64,
}

impl AppendSink for BadDisk {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        self.file.append(parts)
    }

    fn written(&self) -> u64 {
        self.file.written()
    }

    fn identity(&self) -> Option<(u64, u64)> {
        self.file.identity()
    }

    fn reread(&mut self) -> io::Result<Option<File>> {
        let file = self.file.reread()?.expect("a file can be read back");
        let mut byte = [0];
        let at = self.flip % self.written();
        file.read_exact_at(&mut byte, at)?;
        byte[0] ^= 4;
        file.write_all_at(&byte, at)?;
        Ok(Some(file))
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.file.finish()
    }

    fn abort(self: Box<Self>) {
        self.file.abort();
    }
}

#[test]
fn what_the_disk_does_not_give_back_gets_no_name() {
    let place = Place::of_files([("a", noise(1, 100_000)), ("b", noise(2, 10))]);
    let out = place.beside("out");
    fs::create_dir(&out).unwrap();
    for flip in [0, 9, 1700, 50_000, 101_000, 102_500, u64::MAX] {
        let file = Box::new(FileSink::create(&out.join("a.crk"), FileSinkOptions::default()).unwrap());
        let error = place.packer().verify(true).pack_to_sink(Box::new(BadDisk { file, flip })).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "byte {flip}: {error}");
        assert_eq!(names_in(&out), [""; 0], "nothing is left behind");
    }
    place.packer().verify(true).pack(out.join("a.crk")).unwrap();
    assert_eq!(differences(&Archive::open(out.join("a.crk")).unwrap(), &place.tree), [""; 0]);
}

/// A file whose disk gives back another one.
struct OtherDisk(Box<FileSink>, PathBuf);

impl AppendSink for OtherDisk {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        self.0.append(parts)
    }

    fn written(&self) -> u64 {
        self.0.written()
    }

    fn identity(&self) -> Option<(u64, u64)> {
        self.0.identity()
    }

    fn reread(&mut self) -> io::Result<Option<File>> {
        File::open(&self.1).map(Some)
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.0.finish()
    }

    fn abort(self: Box<Self>) {
        self.0.abort();
    }
}

/// As when the writes never arrived, and an older archive stands in their place: every byte of it is right.
#[test]
fn an_intact_archive_that_is_not_the_one_written_gets_no_name() {
    let place = Place::of_files([("a", noise(1, 1000))]);
    let (older, out) = (place.beside("older.crk"), place.beside("out"));
    place.packer().pack(&older).unwrap();
    fs::write(place.tree.join("a"), "another").unwrap();
    fs::create_dir(&out).unwrap();
    let file = Box::new(FileSink::create(&out.join("a.crk"), FileSinkOptions::default()).unwrap());
    let error = place.packer().verify(true).pack_to_sink(Box::new(OtherDisk(file, older))).unwrap_err();
    assert!(error.kind() == ErrorKind::Damaged && error.to_string().contains("another archive"), "{error}");
    assert_eq!(names_in(&out), [""; 0], "nothing is left behind");
}

#[test]
fn a_stream_cannot_be_read_back() {
    let place = Place::of_files([("a", noise(1, 10))]);
    let error = place.packer().verify(true).pack_to_writer(Box::new(Vec::new())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
}
