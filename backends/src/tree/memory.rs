//! A tree in memory that keeps the same rules as one on disk.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::name::check;
use super::{Attributes, FileWriter, SpecialKind, TreeWriter};
use crate::os;

/// Something in a [`MemoryTree`]; its metadata without extended attributes, which it does not keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A folder, with its metadata once that is set.
    Folder(Option<Attributes<'static>>),
    /// A file that is being written.
    Unfinished,
    /// A finished file.
    File {
        /// Its contents, holes as zeros.
        bytes: Vec<u8>,
        /// Its metadata.
        attributes: Attributes<'static>,
    },
    /// A symlink.
    Symlink {
        /// Where it points.
        target: Vec<u8>,
        /// Its metadata.
        attributes: Attributes<'static>,
    },
    /// One more name of a finished file.
    Hardlink {
        /// Path of that file.
        existing: Vec<u8>,
    },
    /// Something else.
    Special {
        /// What it is.
        kind: SpecialKind,
        /// Major and minor number as given.
        device: (u32, u32),
        /// Its metadata.
        attributes: Attributes<'static>,
    },
}

type Nodes = BTreeMap<Vec<u8>, Node>;

/// Keeps everything in memory. Clones share it, so a test can look at what an engine wrote. Replaces nothing.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree(Arc<Mutex<Nodes>>);

fn refuse<T>(kind: io::ErrorKind, path: &[u8], what: &str) -> io::Result<T> {
    Err(io::Error::new(kind, format!("{}: {what}", os::show(path))))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The parents of a path must be folders: the first that is missing, or is something else, decides.
fn check_parent(nodes: &Nodes, path: &[u8]) -> io::Result<()> {
    check(path)?;
    let parents = path.iter().enumerate().filter(|&(_, &byte)| byte == b'/').map(|(slash, _)| &path[..slash]);
    for parent in parents {
        match nodes.get(parent) {
            Some(Node::Folder(_)) => {}
            Some(_) => return refuse(io::ErrorKind::NotADirectory, path, "a parent is not a folder"),
            None => return refuse(io::ErrorKind::NotFound, path, "a parent does not exist"),
        }
    }
    Ok(())
}

impl MemoryTree {
    /// An empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything in it, by path.
    #[must_use]
    pub fn nodes(&self) -> BTreeMap<Vec<u8>, Node> {
        lock(&self.0).clone()
    }

    fn add(&self, path: &[u8], node: Node) -> io::Result<()> {
        let mut nodes = lock(&self.0);
        check_parent(&nodes, path)?;
        match nodes.get(path) {
            Some(_) => refuse(io::ErrorKind::AlreadyExists, path, "already exists"),
            None => {
                nodes.insert(path.to_vec(), node);
                Ok(())
            }
        }
    }
}

struct MemoryFile {
    tree: MemoryTree,
    path: Vec<u8>,
    size: u64,
    bytes: Mutex<Vec<u8>>,
    finished: bool,
}

impl FileWriter for MemoryFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64).filter(|&end| end <= self.size);
        let Some(end) = end.and_then(|end| usize::try_from(end).ok()) else {
            return refuse(io::ErrorKind::InvalidInput, &self.path, "a write beyond its end");
        };
        let mut content = lock(&self.bytes);
        if content.len() < end {
            content.resize(end, 0);
        }
        content[end - bytes.len()..end].copy_from_slice(bytes);
        Ok(())
    }

    fn finish(mut self: Box<Self>, size: u64, attributes: &Attributes) -> io::Result<()> {
        attributes.check()?;
        let mut bytes = std::mem::take(&mut *lock(&self.bytes));
        let Ok(size) = usize::try_from(size) else {
            return refuse(io::ErrorKind::OutOfMemory, &self.path, "does not fit in memory");
        };
        bytes.resize(size, 0);
        lock(&self.tree.0).insert(self.path.clone(), Node::File { bytes, attributes: attributes.bare() });
        self.finished = true;
        Ok(())
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        if !self.finished {
            lock(&self.tree.0).remove(&self.path);
        }
    }
}

impl TreeWriter for MemoryTree {
    fn make_folder(&self, path: &[u8]) -> io::Result<()> {
        if path.is_empty() {
            return Ok(());
        }
        check(path)?;
        if let Some(Node::Folder(_)) = lock(&self.0).get(path) {
            return Ok(());
        }
        self.add(path, Node::Folder(None))
    }

    fn create(&self, path: &[u8], size: u64) -> io::Result<Box<dyn FileWriter>> {
        self.add(path, Node::Unfinished)?;
        Ok(Box::new(MemoryFile {
            tree: self.clone(),
            path: path.to_vec(),
            size,
            bytes: Mutex::default(),
            finished: false,
        }))
    }

    fn write_file(&self, path: &[u8], bytes: &[u8], attributes: &Attributes) -> io::Result<()> {
        attributes.check()?;
        self.add(path, Node::File { bytes: bytes.to_vec(), attributes: attributes.bare() })
    }

    fn symlink(&self, path: &[u8], target: &[u8], attributes: &Attributes) -> io::Result<()> {
        attributes.check()?;
        if target.is_empty() || target.contains(&0) {
            return refuse(io::ErrorKind::InvalidInput, path, "a link to no possible path");
        }
        self.add(path, Node::Symlink { target: target.to_vec(), attributes: attributes.bare() })
    }

    fn hardlink(&self, existing: &[u8], path: &[u8]) -> io::Result<()> {
        check(path)?;
        let first = {
            let nodes = lock(&self.0);
            check_parent(&nodes, existing)?;
            match nodes.get(existing) {
                Some(Node::File { .. } | Node::Unfinished) => existing.to_vec(),
                Some(Node::Hardlink { existing }) => existing.clone(),
                Some(_) => return refuse(io::ErrorKind::InvalidInput, existing, "is not a regular file"),
                None => return refuse(io::ErrorKind::NotFound, existing, "does not exist"),
            }
        };
        self.add(path, Node::Hardlink { existing: first })
    }

    fn special(&self, path: &[u8], kind: SpecialKind, device: (u32, u32), attributes: &Attributes) -> io::Result<()> {
        attributes.check()?;
        self.add(path, Node::Special { kind, device, attributes: attributes.bare() })
    }

    fn set_folder(&self, path: &[u8], attributes: &Attributes) -> io::Result<()> {
        attributes.check()?;
        if path.is_empty() {
            lock(&self.0).insert(Vec::new(), Node::Folder(Some(attributes.bare())));
            return Ok(());
        }
        check(path)?;
        let mut nodes = lock(&self.0);
        check_parent(&nodes, path)?;
        match nodes.get_mut(path) {
            Some(Node::Folder(kept)) => {
                *kept = Some(attributes.bare());
                Ok(())
            }
            Some(_) => refuse(io::ErrorKind::NotADirectory, path, "is not a folder"),
            None => refuse(io::ErrorKind::NotFound, path, "does not exist"),
        }
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
