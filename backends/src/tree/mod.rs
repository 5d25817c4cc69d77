//! Where unpacked entries are written to.
//!
//! What flows in: paths relative to the destination, bytes, metadata. What flows out: a tree in the destination, and
//! not one byte outside it, whatever the paths say. What it does not know: archives, blocks, digests.
//!
//! | tree | what it is for |
//! |---|---|
//! | [`DirTree`] | a folder on disk |
//! | [`MemoryTree`] | tests: keeps everything in memory |
//! | [`NullTree`] | benches: counts and forgets |
//! | [`FaultTree`] | tests: another tree that fails when told to |
//!
//! The order of work is the caller's: folders before what lies in them, files, then hard links to finished files,
//! symlinks last, folders' own metadata after everything in them (bottom-up), then one [`TreeWriter::sync`].

mod attributes;
mod beneath;
mod confine;
mod dir;
mod fault;
mod file;
mod folders;
mod memory;
mod name;
mod null;
mod refusals;
mod space;
#[cfg(test)]
mod tests;

use std::io;

pub use confine::Confined;
pub use dir::{DirTree, DirTreeOptions};
pub use fault::{FaultTree, FaultTreePlan};
pub use memory::{MemoryTree, Node};
pub use null::{NullCounts, NullTree};
pub use space::{Space, space};

use crate::witness::Time;
use crate::xattr::Xattr;

/// An error of a [`TreeWriter`] without the path in front, for messages that begin with that path anyway.
#[must_use]
pub fn without_path(error: &io::Error) -> &io::Error {
    crate::os::without_context(error)
}

/// Metadata that an entry gets at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// Permission bits with setuid, setgid and sticky: `mode & 0o7777`; other bits are ignored. Set as given, whatever
    /// the umask says: leaving bits out is the caller's decision. Symlinks have none.
    pub mode: u32,
    /// User and group number; `None` leaves what the system gives.
    pub owner: Option<(u32, u32)>,
    /// Last change of the contents; `None` leaves the present.
    pub mtime: Option<Time>,
    /// Extended attributes, file capabilities and access control lists.
    pub xattrs: &'a [Xattr],
    /// Access control lists are to be those in `xattrs`: what a folder hands down to what is made in it is taken away again.
    pub acls: bool,
}

/// Metadata that the system did not take from this process, or that the file system cannot keep, while everything else of
/// the entries is as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which metadata, such as `owner` or `attributes user.*`.
    pub what: String,
    /// What the system said.
    pub why: String,
    /// How many entries lack it.
    pub count: u64,
    /// The path of one of them.
    pub path: Vec<u8>,
}

/// The permission bits that this process takes away from what it makes unless told otherwise.
#[must_use]
pub fn umask() -> u32 {
    crate::os::umask()
}

/// Things that are neither files, folders nor links.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpecialKind {
    /// A named pipe.
    Fifo,
    /// A Unix domain socket.
    Socket,
    /// A character device.
    Char,
    /// A block device.
    Block,
}

/// Writes a tree; used by many threads at once.
///
/// Paths are relative, of bytes, separated by `/`. Each method refuses paths that are empty (but where noted) or
/// absolute, have empty components, `.` or `..`, components beyond 255 bytes or a NUL, with
/// [`io::ErrorKind::InvalidInput`]. A parent that is a symlink or not a folder is
/// [`io::ErrorKind::NotADirectory`], whether the archive or somebody else made it; a missing one
/// [`io::ErrorKind::NotFound`]. A name that is taken is [`io::ErrorKind::AlreadyExists`] unless the tree was opened to
/// replace. All errors name the path. Metadata that the system refuses is no error: see
/// [`refusals`](Self::refusals).
pub trait TreeWriter: Send + Sync {
    /// Makes a folder, accessible to its owner alone until [`set_folder`](Self::set_folder). A real folder that is
    /// there already is fine, and so is the empty path, the destination itself.
    ///
    /// # Errors
    /// As [above](Self), and what the system says.
    fn make_folder(&self, path: &[u8]) -> io::Result<()>;

    /// Makes a new file that will have `size` bytes, for writing in pieces.
    ///
    /// # Errors
    /// As [above](Self), and what the system says.
    fn create(&self, path: &[u8], size: u64) -> io::Result<Box<dyn FileWriter>>;

    /// Makes a whole new file in one go. After an error no part of it is left.
    ///
    /// # Errors
    /// As [above](Self), and what the system says.
    fn write_file(&self, path: &[u8], bytes: &[u8], attributes: &Attributes<'_>) -> io::Result<()>;

    /// Makes a symlink to `target`, which may be anything without a NUL: nothing is ever written through it.
    ///
    /// # Errors
    /// As [above](Self), and what the system says.
    fn symlink(&self, path: &[u8], target: &[u8], attributes: &Attributes<'_>) -> io::Result<()>;

    /// Gives the finished regular file `existing` one more name.
    ///
    /// # Errors
    /// As [above](Self), and what the system says; [`io::ErrorKind::InvalidInput`] when `existing` is anything but a
    /// regular file.
    fn hardlink(&self, existing: &[u8], path: &[u8]) -> io::Result<()>;

    /// Makes a named pipe, a socket or a device; `device` is its major and minor number, ignored for the first two.
    ///
    /// # Errors
    /// As [above](Self), and what the system says; devices take privileges.
    fn special(
        &self,
        path: &[u8],
        kind: SpecialKind,
        device: (u32, u32),
        attributes: &Attributes<'_>,
    ) -> io::Result<()>;

    /// Gives a folder its final metadata; the empty path is the destination itself. To be called when everything
    /// in it is done, its folders included: the permissions may forbid what would come after, and everything made in
    /// it changes its mtime.
    ///
    /// # Errors
    /// As [above](Self), and what the system says.
    fn set_folder(&self, path: &[u8], attributes: &Attributes<'_>) -> io::Result<()>;

    /// The metadata that was refused so far, each kind and reason once.
    fn refusals(&self) -> Vec<Refusal> {
        Vec::new()
    }

    /// Returns when everything has reached the disk. Also the one place where a network file system can report that
    /// it lost something.
    ///
    /// # Errors
    /// When it has not; as with any `fsync` it is no use to try again.
    fn sync(&self) -> io::Result<()>;
}

/// A file that is being written; several threads may write pieces of it. Dropped without
/// [`finish`](Self::finish), it is removed.
pub trait FileWriter: Send + Sync {
    /// Writes all `bytes` at `offset`. What is written nowhere reads as zeros, and takes no room where the file system
    /// can leave holes.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::InvalidInput`] beyond the size given to [`TreeWriter::create`]. The file
    /// can only be dropped then.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the file `size` bytes long, if it is not yet (a hole at its end), and gives it its metadata.
    ///
    /// # Errors
    /// What the system says, or that an earlier write failed; the file is removed then.
    fn finish(self: Box<Self>, size: u64, attributes: &Attributes<'_>) -> io::Result<()>;
}
