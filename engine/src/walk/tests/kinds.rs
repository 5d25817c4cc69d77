use super::*;
use crate::entry::{Device, Hole};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

#[test]
fn metadata_is_that_of_the_file_system() {
    let tree = new_folder();
    plant(tree.path(), &["f"]);
    let file = tree.path().join("f");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o4751)).unwrap();
    let walked = walk_one(tree.path(), &WalkOptions::default());
    let (row, meta) = (row(&walked, "f") as usize, fs::metadata(&file).unwrap());
    assert_eq!(walked.entries.modes.get(row), 0o4751);
    assert_eq!((walked.entries.uids.get(row), walked.entries.gids.get(row)), (meta.uid(), meta.gid()));
    let opened = fs::File::open(&file).unwrap();
    let witness = carrack_backends::witness::Witness::of_fd(std::os::fd::AsFd::as_fd(&opened)).unwrap();
    assert_eq!(walked.entries.witnesses.get(row), witness, "what a backend sees later must compare equal");
    assert_eq!(witness.mtime.sec, meta.mtime());
}

#[test]
fn the_first_path_is_the_file_and_later_ones_are_links_to_it() {
    let tree = new_folder();
    plant(tree.path(), &["b/first", "c/other", "a/"]);
    let first = tree.path().join("b/first");
    fs::hard_link(&first, tree.path().join("b.later")).unwrap();
    fs::hard_link(&first, tree.path().join("c/last")).unwrap();
    let walked = walk_one(tree.path(), &WalkOptions::default());
    assert_eq!(paths(&walked), ["", "a", "b", "b.later", "b/first", "c", "c/last", "c/other"]);
    assert_eq!(kind(&walked, "b.later"), Kind::File);
    assert_eq!(kind(&walked, "b/first"), Kind::Hardlink);
    assert_eq!(kind(&walked, "c/other"), Kind::File);
    let links: Vec<_> = walked.entries.hardlinks.iter().map(|(row, first)| (row, *first)).collect();
    assert_eq!(links, [(4, 3), (6, 3)]);
    assert_eq!(walked.entries.witnesses.get(4), walked.entries.witnesses.get(3));
    assert_eq!(walked.entries.size(4), 0, "the content belongs to the first name");
    assert!(walked.entries.modes.iter().all(|mode| mode & !0o7777 == 0));

    // Across inputs too, and a name that is left out is not the first.
    let options = WalkOptions { exclude: vec!["first".into()], ..WalkOptions::default() };
    let walked = walk_in(tree.path(), &["c", "b"], &options).unwrap();
    assert_eq!(paths(&walked), ["b", "c", "c/last", "c/other"]);
    assert_eq!(kind(&walked, "c/last"), Kind::File);
    let walked = walk_in(tree.path(), &["c", "b"], &WalkOptions::default()).unwrap();
    assert_eq!(walked.entries.hardlinks.get(row(&walked, "c/last")), Some(&row(&walked, "b/first")));
}

#[test]
fn symlinks_are_stored_and_not_followed() {
    let tree = new_folder();
    plant(tree.path(), &["d/x"]);
    symlink("d", tree.path().join("to-dir")).unwrap();
    symlink("no/such\u{1}thing", tree.path().join("dangling")).unwrap();
    symlink(".", tree.path().join("d/loop")).unwrap();
    let long = "x/".repeat(2000);
    symlink(&long, tree.path().join("long")).unwrap();
    let walked = walk_one(tree.path(), &WalkOptions::default());
    assert_eq!(paths(&walked), ["", "d", "d/loop", "d/x", "dangling", "long", "to-dir"]);
    let target = |path| &walked.entries.link_targets.get(row(&walked, path)).unwrap()[..];
    assert_eq!(kind(&walked, "to-dir"), Kind::Symlink);
    assert_eq!(target("to-dir"), b"d");
    assert_eq!(target("dangling"), b"no/such\x01thing");
    assert_eq!(target("d/loop"), b".");
    assert_eq!(target("long"), long.as_bytes());
}

#[test]
fn fifos_sockets_and_devices_are_told_apart() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let tree = new_folder();
    mknodat(CWD, tree.path().join("fifo"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(tree.path().join("socket")).unwrap();
    let walked = walk_one(tree.path(), &WalkOptions::default());
    assert_eq!(kind(&walked, "fifo"), Kind::Fifo);
    assert_eq!(kind(&walked, "socket"), Kind::Socket);
    assert_eq!(walked.entries.devices.iter().count(), 0);

    let walked = walk_in(Path::new("/"), &["dev/null"], &WalkOptions::default()).unwrap();
    assert_eq!(paths(&walked), ["null"]);
    assert_eq!(kind(&walked, "null"), Kind::CharDevice);
    assert_eq!(walked.entries.devices.get(0), Some(&Device { major: 1, minor: 3 }));
}

#[test]
fn holes_are_mapped() {
    let tree = new_folder();
    let sparse = |name: &str, size: u64, data: &[u64]| {
        let mut file = fs::File::create(tree.path().join(name)).unwrap();
        for &at in data {
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(b"data").unwrap();
        }
        file.set_len(size).unwrap();
        file.sync_all().unwrap();
        file.metadata().unwrap().blocks() * 512 < size
    };
    let mut sparse_here = sparse("middle", 1_000_000, &[300_000]);
    sparse_here &= sparse("ends", 200_000, &[0, 199_990]);
    sparse_here &= sparse("all", 100_000, &[]);
    sparse("small", 4000, &[]);
    sparse("dense", 100, &[0]);
    if !sparse_here {
        eprintln!("skipped: this file system makes no holes");
        return;
    }
    let walked = walk_one(tree.path(), &WalkOptions::default());
    let holes = |path| {
        let holes: Option<&[Hole]> = walked.entries.holes.get(row(&walked, path)).map(|holes| &holes[..]);
        holes.map(|holes| holes.iter().map(|hole| (hole.offset, hole.len)).collect::<Vec<_>>())
    };
    assert_eq!(holes("all"), Some(vec![(0, 100_000)]));
    assert_eq!(holes("small"), None);
    assert_eq!(holes("dense"), None);
    // The file system may keep more than was written, but never less.
    let middle = holes("middle").unwrap();
    assert!(middle.iter().all(|&(offset, len)| offset + len <= 299_008 || offset >= 303_104), "{middle:?}");
    assert_eq!(middle.last().map(|&(offset, len)| offset + len), Some(1_000_000));
    let ends = holes("ends").unwrap();
    assert!(ends.iter().all(|&(offset, len)| offset >= 4096 && offset + len <= 196_608), "{ends:?}");
    assert!(middle.iter().chain(&ends).all(|&(offset, len)| offset % 4096 == 0 && len >= 4096));
}

#[test]
fn owners_are_known_by_name() {
    let tree = new_folder();
    let walked = walk_one(tree.path(), &WalkOptions::default());
    let (uid, gid) = (walked.entries.uids.get(0), walked.entries.gids.get(0));
    let output = std::process::Command::new("id").args(["-un", &uid.to_string()]).output().unwrap();
    let name = String::from_utf8(output.stdout).unwrap();
    let expected = output.status.success().then(|| name.trim());
    assert_eq!(walked.entries.owners.get(uid).map(String::as_str), expected);
    assert!(gid != 0 || walked.entries.groups.get(0).map(String::as_str) == Some("root"));
}
