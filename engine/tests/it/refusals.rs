//! What is in the way of an archive or of a tree: it is left alone, named, and costs nothing else.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use carrack_engine::codec::Codec;
use carrack_engine::error::ErrorKind;
use carrack_engine::unpack::Unpacker;
use carrack_fixtures::content::Content;
use carrack_fixtures::tree::Builder;

use crate::failures::{BLOCK, packer, place};
use crate::support::{Place, TIME, assert_same_trees, names_in, no_hang, noise, open, pack, unpack_clean};

#[test]
fn names_that_are_taken_are_left_alone_unless_forced() {
    let mut plan = Builder::new(TIME);
    plan.file("file", Content::bytes("new"), TIME);
    plan.file("large", noise(1, 30_000), TIME);
    plan.file("other", Content::bytes("other"), TIME);
    plan.hardlink("x-file", "file");
    plan.hardlink("x-other", "other");
    plan.symlink("y-link", "target", TIME);
    plan.file("folder/inner", Content::bytes("inner"), TIME);
    let place = Place::new(plan.finish());
    let archive = open(pack(&place.packer().block_size(BLOCK)).0);
    let dest = place.beside("out");
    std::fs::create_dir(&dest).unwrap();
    for name in ["file", "large", "y-link"] {
        std::fs::write(dest.join(name), "old").unwrap();
    }
    let report = Unpacker::new(&archive).threads(2).unpack(&dest).unwrap();
    let mut named: Vec<String> =
        report.warnings.iter().map(|warning| String::from_utf8(warning.path.clone()).unwrap()).collect();
    named.sort();
    // The other name of a file that was not written must not become a name of what is there instead.
    assert_eq!(named, ["file", "large", "x-file", "y-link"]);
    assert_eq!((report.files, report.lost.len(), report.damage.len()), (2, 0, 0));
    for name in ["file", "large", "y-link"] {
        assert_eq!(std::fs::read(dest.join(name)).unwrap(), b"old", "{name}");
    }
    assert!(!dest.join("x-file").exists());
    assert_eq!(std::fs::read(dest.join("x-other")).unwrap(), b"other");
    assert_eq!(std::fs::read(dest.join("folder/inner")).unwrap(), b"inner");

    let report = Unpacker::new(&archive).force(true).unpack(&dest).unwrap();
    assert_eq!(report.warnings, []);
    assert_same_trees(&place.tree, &dest);
    // And once more over itself.
    assert_eq!(Unpacker::new(&archive).force(true).unpack(&dest).unwrap().warnings, []);
    assert_same_trees(&place.tree, &dest);
}

/// A file that is both in the way and damaged is counted once.
#[test]
fn a_file_that_fails_twice_is_counted_once() {
    let place = Place::of_files([("large", noise(1, 200_000))]);
    let (mut bytes, _) = pack(&place.packer().block_size(BLOCK).codec(Codec::Store));
    let archive = open(bytes.clone());
    let mut offsets = Vec::new();
    archive
        .blocks(&mut |block| {
            offsets.push(block.offset);
            Ok(())
        })
        .unwrap();
    bytes[offsets[offsets.len() / 2] as usize + 2000] ^= 1;
    let archive = open(bytes);
    let dest = place.beside("out");
    std::fs::create_dir(&dest).unwrap();
    std::fs::write(dest.join("large"), "old").unwrap();
    let report = Unpacker::new(&archive).threads(3).unpack(&dest).unwrap();
    assert_eq!(report.files, 0);
    assert_eq!((report.damage.len(), report.lost), (1, vec![b"large".to_vec()]));
    assert_eq!(std::fs::read(dest.join("large")).unwrap(), b"old");
}

#[test]
fn a_folder_in_the_way_costs_what_would_lie_at_its_place() {
    let place = place();
    let archive = open(pack(&packer(&place)).0);
    let dest = place.beside("out");
    std::fs::create_dir_all(dest.join("large/in the way")).unwrap();
    std::fs::write(dest.join("2"), "a file where a folder is to be").unwrap();
    for force in [false, true] {
        let report = Unpacker::new(&archive).force(force).unpack(&dest).unwrap();
        assert!(report.warnings.iter().any(|warning| warning.path == b"large"), "{:?}", report.warnings);
        assert!(dest.join("large/in the way").exists());
        assert_eq!(dest.join("2").is_dir(), force);
        assert_eq!(std::fs::read(dest.join("1/05")).ok(), place.plan.bytes(b"1/05"));
        assert_eq!(dest.join("2/06").exists(), force);
    }
}

#[test]
fn owners_that_are_not_restored_take_setuid_away() {
    let mut plan = Builder::new(TIME);
    for (name, size) in [("small", 10), ("large", 30_000)] {
        plan.push(name, carrack_fixtures::tree::What::File(noise(1, size)), 0o6755, TIME);
    }
    let place = Place::new(plan.finish());
    let archive = open(pack(&place.packer().block_size(BLOCK)).0);
    for (same_owner, mode) in [(false, 0o755), (true, 0o6755)] {
        if same_owner && !rustix::process::geteuid().is_root() {
            eprintln!("not tested: only root can give files away");
            continue;
        }
        let dest = place.beside(&format!("out {same_owner}"));
        Unpacker::new(&archive).same_owner(same_owner).unpack(&dest).unwrap();
        for name in ["small", "large"] {
            let found = std::fs::metadata(dest.join(name)).unwrap().permissions().mode() & 0o7777;
            assert_eq!(found, mode, "{name}: {found:o}");
        }
    }
}

/// A file system of 300 KiB, unmounted with the value; `None` where nobody may mount.
struct Tmpfs(std::path::PathBuf);

impl Tmpfs {
    fn mount(at: std::path::PathBuf) -> Option<Self> {
        std::fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=300k", "none"]).arg(&at);
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(at)),
            other => {
                eprintln!("not tested: nothing can be mounted here: {other:?}");
                None
            }
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

#[test]
fn a_disk_that_is_really_full_is_told_and_left_clean() {
    no_hang("a full disk", || {
        let place = Place::of_files([("large", noise(1, 2 << 20)), ("small", noise(2, 100))]);
        let Some(full) = Tmpfs::mount(place.beside("full")) else { return };
        let error = place.packer().block_size(64 << 10).pack(full.0.join("x.crk")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Output);
        assert!(error.to_string().contains("No space left"), "{error}");
        assert_eq!(names_in(&full.0), [""; 0]);

        let archive = open(pack(&place.packer().block_size(64 << 10)).0);
        let error = Unpacker::new(&archive).unpack(full.0.join("out")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
        assert!(!full.0.join("out").exists(), "it was asked before");
        let error = Unpacker::new(&archive).space_check(false).unpack(full.0.join("out")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Output);
        assert!(error.to_string().contains("No space left"), "{error}");
        assert!(!full.0.join("out/large").exists(), "half a file is left");
    });
}

#[test]
fn a_target_that_cannot_be_made_is_told() {
    let place = place();
    for target in ["missing/x.crk", "tree"] {
        let error = packer(&place).pack(place.beside(target)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Output, "{error}");
    }
    std::fs::write(place.beside("file"), "").unwrap();
    let archive = open(pack(&packer(&place)).0);
    let error = Unpacker::new(&archive).unpack(place.beside("file")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Output, "{error}");
    unpack_clean(&archive, &place.beside("made/on/the/way"));
}
