//! Folders are made, and given their metadata, by many threads at once: in an order that any tree can live with.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind as IoKind};
use std::sync::{Arc, Mutex};

use carrack_backends::tree::{Attributes, FileWriter, MemoryTree, SpecialKind, TreeWriter};
use carrack_engine::archive::Archive;
use carrack_engine::error::ErrorKind;
use carrack_engine::unpack::Unpacker;
use carrack_fixtures::tree::{Builder, What};

use crate::support::{Place, TIME, assert_same_trees, no_hang, noise, open, pack, unpack_clean};

/// Four levels with many folders in each, files in the lowest, and links in all.
fn place() -> Place {
    let mut plan = Builder::new(TIME);
    for a in 0..5 {
        for b in 0..8 {
            for c in 0..5 {
                let path = format!("{a}/{b}/{c}");
                let mode = [0o755, 0o700, 0o555, 0o1777, 0o2750][c];
                plan.push(path.clone(), What::Dir, mode, TIME + (a * 100 + b * 10) as i64);
                plan.file(format!("{path}/file"), noise((a * 64 + b * 8 + c) as u64, 10), TIME);
            }
            plan.symlink(format!("{a}/{b}/link"), "nowhere", TIME);
        }
    }
    Place::new(plan.finish())
}

fn archive(place: &Place) -> Archive {
    open(pack(&place.packer().block_size(4096)).0)
}

type Refusal = Box<dyn Fn(&str, &[u8]) -> Option<IoKind> + Send + Sync>;

/// A tree in memory that notes what is done to folders, and refuses some of what is done.
pub(crate) struct Watched {
    tree: MemoryTree,
    refuse: Refusal,
    seen: Mutex<Seen>,
}

/// Paths of folders, each with a `/` in front and behind: one is below another exactly when it begins with it.
#[derive(Default)]
struct Seen {
    made: BTreeSet<Vec<u8>>,
    set: BTreeSet<Vec<u8>>,
}

fn slashed(path: &[u8]) -> Vec<u8> {
    if path.is_empty() { b"/".to_vec() } else { [b"/", path, b"/"].concat() }
}

impl Watched {
    /// `refuse` is asked before a folder is made ("make") or given its metadata ("set"), and a small file is written ("write").
    pub(crate) fn new(refuse: impl Fn(&str, &[u8]) -> Option<IoKind> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { tree: MemoryTree::default(), refuse: Box::new(refuse), seen: Mutex::default() })
    }

    fn ask(&self, what: &str, path: &[u8]) -> io::Result<()> {
        (self.refuse)(what, path).map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// Something is made at `path`: no folder above has been finished.
    fn comes(&self, path: &[u8]) {
        let seen = self.seen.lock().unwrap();
        let path = slashed(path);
        let above = seen.set.iter().find(|folder| path.starts_with(folder));
        assert!(above.is_none(), "{} after the metadata of {above:?}", path.escape_ascii());
    }
}

impl TreeWriter for Watched {
    fn make_folder(&self, path: &[u8]) -> io::Result<()> {
        self.ask("make", path)?;
        self.comes(path);
        self.tree.make_folder(path)?;
        self.seen.lock().unwrap().made.insert(slashed(path));
        Ok(())
    }

    fn create(&self, path: &[u8], size: u64) -> io::Result<Box<dyn FileWriter>> {
        self.comes(path);
        self.tree.create(path, size)
    }

    fn write_file(&self, path: &[u8], bytes: &[u8], attributes: &Attributes) -> io::Result<()> {
        self.ask("write", path)?;
        self.comes(path);
        self.tree.write_file(path, bytes, attributes)
    }

    fn symlink(&self, path: &[u8], target: &[u8], attributes: &Attributes) -> io::Result<()> {
        self.comes(path);
        self.tree.symlink(path, target, attributes)
    }

    fn hardlink(&self, existing: &[u8], path: &[u8]) -> io::Result<()> {
        self.comes(path);
        self.tree.hardlink(existing, path)
    }

    fn special(&self, path: &[u8], kind: SpecialKind, device: (u32, u32), attributes: &Attributes) -> io::Result<()> {
        self.comes(path);
        self.tree.special(path, kind, device, attributes)
    }

    fn set_folder(&self, path: &[u8], attributes: &Attributes) -> io::Result<()> {
        self.ask("set", path)?;
        self.comes(path);
        self.tree.set_folder(path, attributes)?;
        self.seen.lock().unwrap().set.insert(slashed(path));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.tree.sync()
    }
}

#[test]
fn folders_of_every_level_come_back() {
    no_hang("unpacking folders", || {
        let place = place();
        let archive = archive(&place);
        for threads in [1, 2, 5] {
            let dest = place.beside(&format!("out{threads}"));
            let report = Unpacker::new(&archive).threads(threads).unpack(&dest).unwrap();
            assert_eq!(report.warnings.len(), 0);
            assert_same_trees(&place.tree, &dest);
        }
        unpack_clean(&archive, &place.beside("once more"));
    });
}

/// `Watched` panics when anything is made below a folder whose metadata is set; `MemoryTree` refuses what has no parent.
#[test]
fn metadata_comes_last_and_children_first() {
    no_hang("watching folders", || {
        let archive = archive(&place());
        for threads in [1, 2, 5] {
            let tree = Watched::new(|_, _| None);
            let report = Unpacker::new(&archive).threads(threads).unpack_to_tree(tree.clone()).unwrap();
            assert_eq!(report.warnings.len(), 0);
            let seen = tree.seen.lock().unwrap();
            assert_eq!(seen.made.len(), 5 + 5 * 8 + 5 * 8 * 5);
            assert!(seen.set.is_superset(&seen.made), "every folder gets its metadata");
        }
    });
}

#[test]
fn folders_that_fail_are_warned_of_once_each_in_order() {
    no_hang("folders that fail", || {
        let archive = archive(&place());
        for threads in [1, 5] {
            let tree = Watched::new(|what, path| match (what, path) {
                ("make", b"3/1/4" | b"1/7") | ("set", b"0/0/3" | b"4" | b"2/6") => Some(IoKind::PermissionDenied),
                _ => None,
            });
            let report = Unpacker::new(&archive).threads(threads).unpack_to_tree(tree).unwrap();
            let mut warned = report.warnings.iter().map(|warning| String::from_utf8(warning.path.clone()).unwrap());
            let below = (0..5).map(|c| format!("1/7/{c}"));
            let made: Vec<String> = warned.by_ref().take(7).collect();
            assert_eq!(
                made,
                ["1/7".to_owned()].into_iter().chain(below).chain(["3/1/4".to_owned()]).collect::<Vec<_>>()
            );
            let files = (0..5).map(|c| format!("1/7/{c}/file")).chain(["3/1/4/file".to_owned(), "1/7/link".to_owned()]);
            assert!(warned.by_ref().take(7).eq(files), "their files and links are named too");
            assert!(warned.eq(["0/0/3", "2/6", "4"]), "and what was made, but not all the way, comes last");
            assert_eq!(report.files, 5 * 8 * 5 - 6);
        }
    });
}

#[test]
fn a_disk_that_is_full_of_folders_ends_the_run() {
    no_hang("a full disk", || {
        let archive = archive(&place());
        for full in [("make", b"2/2/2".as_slice()), ("set", b"2/2")] {
            let tree = Watched::new(move |what, path| ((what, path) == full).then_some(IoKind::StorageFull));
            let error = Unpacker::new(&archive).threads(2).unpack_to_tree(tree.clone()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Output, "{error}");
            assert!(!tree.seen.lock().unwrap().set.contains(&b"/2/"[..]), "nothing goes on behind it");
        }
    });
}
