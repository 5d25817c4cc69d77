//! What is not the same in an archive and in a tree, in words.

use std::fmt;

use crate::control::Escaped;
use crate::digest::Digest;
use crate::entry::{Device, Kind, Xattr, XattrChoice};

/// Something that is not the same in the archive and in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Path in both.
    pub path: Vec<u8>,
    /// What differs there.
    pub what: What,
}

/// In what an entry differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The tree has no such path.
    OnlyInArchive,
    /// The archive has no such path.
    OnlyInTree,
    /// One is, say, a file and the other a folder.
    Kind {
        /// In the archive.
        archive: Kind,
        /// In the tree.
        tree: Kind,
    },
    /// `mode & 0o7777`.
    Mode {
        /// In the archive.
        archive: u32,
        /// In the tree.
        tree: u32,
    },
    /// Owner and group, by number.
    Owner {
        /// In the archive.
        archive: (u32, u32),
        /// In the tree.
        tree: (u32, u32),
    },
    /// Time of the last change, ns since 1970-01-01 UTC.
    Mtime {
        /// In the archive.
        archive: i64,
        /// In the tree.
        tree: i128,
    },
    /// Length of a file, bytes.
    Size {
        /// In the archive.
        archive: u64,
        /// In the tree.
        tree: u64,
    },
    /// The bytes of a file.
    Content {
        /// Their digest in the archive.
        archive: Digest,
        /// And in the tree.
        tree: Digest,
    },
    /// Where a symlink leads.
    Target {
        /// In the archive.
        archive: Vec<u8>,
        /// In the tree.
        tree: Vec<u8>,
    },
    /// The first name of the file that this is one more name of.
    Hardlink {
        /// In the archive.
        archive: Option<Vec<u8>>,
        /// In the tree.
        tree: Option<Vec<u8>>,
    },
    /// Number of a device.
    Device {
        /// In the archive.
        archive: Option<Device>,
        /// In the tree.
        tree: Option<Device>,
    },
    /// An extended attribute that one side lacks, or that has another value.
    Xattr {
        /// Its full name.
        name: Vec<u8>,
        /// How it differs.
        how: &'static str,
    },
    /// The tree could not be looked at here, so nothing is known.
    Unreadable(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Escaped(&self.path), self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            What::OnlyInArchive => f.write_str("only in the archive"),
            What::OnlyInTree => f.write_str("only in the tree"),
            What::Kind { archive, tree } => {
                write!(f, "kind: {} in the archive, {} in the tree", archive.name(), tree.name())
            }
            What::Mode { archive, tree } => write!(f, "mode: {archive:04o} in the archive, {tree:04o} in the tree"),
            What::Owner { archive: (uid, gid), tree: (tree_uid, tree_gid) } => {
                write!(f, "owner: {uid}:{gid} in the archive, {tree_uid}:{tree_gid} in the tree")
            }
            What::Mtime { archive, tree } => write!(f, "mtime: {archive} ns in the archive, {tree} ns in the tree"),
            What::Size { archive, tree } => write!(f, "size: {archive} bytes in the archive, {tree} in the tree"),
            What::Content { archive, tree } => {
                write!(f, "content: digest {archive} in the archive, {tree} in the tree")
            }
            What::Target { archive, tree } => {
                write!(f, "target: {} in the archive, {} in the tree", Escaped(archive), Escaped(tree))
            }
            What::Hardlink { archive, tree } => {
                let name = |first: &Option<Vec<u8>>| match first {
                    Some(first) => format!("one more name of {}", Escaped(first)),
                    None => "a file of its own".to_owned(),
                };
                write!(f, "hard link: {} in the archive, {} in the tree", name(archive), name(tree))
            }
            What::Device { archive, tree } => {
                let number = |device: &Option<Device>| {
                    device.map_or_else(|| "none".to_owned(), |device| format!("{}:{}", device.major, device.minor))
                };
                write!(f, "device: {} in the archive, {} in the tree", number(archive), number(tree))
            }
            What::Xattr { name, how } => write!(f, "extended attribute {}: {how}", Escaped(name)),
            What::Unreadable(why) => write!(f, "unreadable: {why}"),
        }
    }
}

/// The extended attributes that differ, of those that are compared. Both lists are in order of name.
pub(super) fn xattrs(archive: &[Xattr], tree: &[Xattr], choice: XattrChoice) -> Vec<What> {
    let of =
        |list: &[Xattr], name: &[u8]| list.iter().find(|xattr| xattr.name == name).map(|xattr| xattr.value.clone());
    let mut names: Vec<&[u8]> = archive.iter().chain(tree).map(|xattr| &xattr.name[..]).collect();
    names.sort_unstable();
    names.dedup();
    let how = |name: &[u8]| match (of(archive, name), of(tree, name)) {
        (Some(a), Some(b)) if a == b => None,
        (Some(_), Some(_)) => Some("another value"),
        (Some(_), None) => Some("only in the archive"),
        _ => Some("only in the tree"),
    };
    let taken = names.into_iter().filter(|name| choice.takes(name));
    taken.filter_map(|name| how(name).map(|how| What::Xattr { name: name.to_vec(), how })).collect()
}
