//! A tree in a folder on disk.
//!
//! **Invariant.** Every system call here works on one name, checked to be one, in a folder that was reached from the
//! root without following a link; what is made is made exclusively; what exists is never opened for writing. So
//! nothing outside the root changes, whatever the paths are and whoever else works in the tree. The tests
//! `nothing_leads_out` and `a_folder_swapped_for_a_link_leads_nowhere` hold it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{
    AtFlags, CWD, FileType, OFlags, fstat, linkat, mkdirat, openat, renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use super::attributes::{Origin, apply_to_folder, apply_to_odd};
use super::beneath::{Opener, PLACE, READABLE};
use super::confine::{Confined, confine};
use super::file::{DirFile, FIRST_MODE, write_all_at};
use super::folders::{Folder, Folders};
use super::name::{check, parse};
use super::refusals::Refusals;
use super::{Attributes, FileWriter, Refusal, SpecialKind, TreeWriter};
use crate::os;
use crate::transient::{self, Place, Transient};
use crate::witness::Witness;

/// How a [`DirTree`] treats what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirTreeOptions {
    /// Replace files, links and special files that are in the way. A file is written beside the old one and moved over
    /// it when it is complete; nothing is ever written into an old file or through a link. A folder is never replaced
    /// by anything else, nor emptied.
    pub force: bool,
    /// Make the destination, and the folders above it, when it does not exist.
    pub create: bool,
}

/// Writes into a folder, and never outside it.
#[derive(Debug)]
pub struct DirTree {
    dest: Arc<Path>,
    folders: Folders,
    force: bool,
    origin: Origin,
    refusals: Arc<Refusals>,
    /// The destination may be listed, so its descriptor is good for more than making things in it.
    root_reads: bool,
}

/// `error` with the path that it is about.
#[cold]
pub(super) fn failed(dest: &Path, path: &[u8], error: io::Error) -> io::Error {
    let dest = os::show(dest.as_os_str().as_bytes());
    let path = os::show(path);
    os::context(if path.is_empty() { dest } else { format!("{dest}/{path}") }, error)
}

/// What was made: its hidden name, if it does not have its own yet, and the note that it is not whole.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) hidden: Option<String>,
    transient: Transient,
}

impl Fresh {
    /// The name that it has.
    pub(super) fn here<'a>(&'a self, name: &'a [u8]) -> &'a [u8] {
        self.hidden.as_ref().map_or(name, |hidden| hidden.as_bytes())
    }

    /// Says that it is whole, and moves what has a hidden name over what has its own.
    pub(super) fn settle(&mut self, folder: &Folder, name: &[u8]) -> rustix::io::Result<()> {
        let Self { hidden, transient } = self;
        transient.end(|| hidden.as_ref().map_or(Ok(()), |hidden| renameat(folder, hidden.as_str(), folder, name)))
    }

    /// Removes it.
    pub(super) fn remove(&mut self, folder: &Folder, name: &[u8]) -> rustix::io::Result<()> {
        let Self { hidden, transient } = self;
        let here = hidden.as_ref().map_or(name, |hidden| hidden.as_bytes());
        transient.end(|| unlinkat(folder, here, AtFlags::empty()))
    }
}

impl DirTree {
    /// Opens the folder `dest` (here links are followed: the user named it) to write a tree into it.
    ///
    /// # Errors
    /// Naming `dest`: it does not exist ([`io::ErrorKind::NotFound`]), is not a folder, or may not be opened.
    pub fn open(dest: &Path, options: DirTreeOptions) -> io::Result<Self> {
        Self::open_with(dest, options, Opener::new())
    }

    pub(super) fn open_with(dest: &Path, options: DirTreeOptions, opener: Opener) -> io::Result<Self> {
        let named = |error| failed(dest, b"", error);
        let (root, root_reads) = match open_root(dest) {
            Err(Errno::NOENT) if options.create => {
                std::fs::create_dir_all(dest).map_err(named)?;
                open_root(dest)
            }
            result => result,
        }
        .map_err(|errno| named(errno.into()))?;
        Ok(Self {
            dest: dest.into(),
            folders: Folders::new(root, opener),
            force: options.force,
            origin: Origin::ask(),
            refusals: Arc::default(),
            root_reads,
        })
    }

    /// Has the kernel keep the calling thread, and those that it starts from now on, from making, changing and removing
    /// names anywhere but in this tree, where the kernel can.
    #[must_use]
    pub fn confine(&self) -> Confined {
        confine(self.folders.root().as_fd())
    }

    /// Adds the path to the error of `work`.
    fn named<T>(&self, path: &[u8], work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        work().map_err(|error| failed(&self.dest, path, error))
    }

    /// Calls `make` with `name`; when that is taken, and what has it is to be replaced, with hidden names instead until
    /// one is free.
    fn make<T>(
        &self,
        folder: &Arc<Folder>,
        name: &[u8],
        mut make: impl FnMut(&[u8]) -> rustix::io::Result<T>,
    ) -> io::Result<(T, Fresh)> {
        let place = Arc::clone(folder) as Place;
        let own = transient::make(&place, || self.folders.sparing(|| make(name)).map(|made| (made, name)));
        match own {
            Err(Errno::EXIST) if self.force => {
                let there = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
                if there.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory) {
                    return Err(io::Error::new(io::ErrorKind::IsADirectory, "a folder has that name"));
                }
                let ((made, hidden), transient) = transient::make(&place, || {
                    let made = os::with_hidden_name(|hidden| self.folders.sparing(|| make(hidden.as_bytes())));
                    made.map(|(made, hidden)| ((made, hidden.clone()), hidden.into_bytes()))
                })?;
                Ok((made, Fresh { hidden: Some(hidden), transient }))
            }
            result => result.map(|(made, transient)| (made, Fresh { hidden: None, transient })).map_err(Into::into),
        }
    }

    /// [`make`](Self::make), `fill` what was made (it is told its present name), and put it in its place; whatever
    /// fails, nothing is left.
    fn make_whole<T>(
        &self,
        folder: &Arc<Folder>,
        name: &[u8],
        make: impl FnMut(&[u8]) -> rustix::io::Result<T>,
        fill: impl FnOnce(T, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let (made, mut fresh) = self.make(folder, name, make)?;
        let result = fill(made, fresh.here(name)).and_then(|()| Ok(fresh.settle(folder, name)?));
        if result.is_err() {
            let _ = fresh.remove(folder, name);
        }
        result
    }

    fn make_file(&self, folder: &Folder, name: &[u8], mode: u32) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(folder, name, flags, os::mode(mode))
    }

    /// Something has the name of a folder to be: fine when it is one, replaced when it is not and may be.
    fn reuse_folder(&self, parent: &Folder, name: &[u8]) -> io::Result<()> {
        match self.folders.sparing(|| openat(parent, name, PLACE, rustix::fs::Mode::empty())) {
            Ok(place) if self.force => self.let_in(&place),
            Ok(_) => Ok(()),
            Err(Errno::NOTDIR | Errno::LOOP) if self.force => {
                // A folder cannot be moved over anything else in one step: `unlinkat` removes all but folders.
                unlinkat(parent, name, AtFlags::empty())?;
                Ok(mkdirat(parent, name, os::mode(0o700))?)
            }
            Err(Errno::NOTDIR | Errno::LOOP) => Err(Errno::EXIST.into()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// A tree unpacked before may hold folders that their owner may not write to; to replace what is in them, they are
    /// opened. They get their final permissions at the end like all folders.
    fn let_in(&self, place: &OwnedFd) -> io::Result<()> {
        let stat = fstat(place)?;
        if stat.st_uid != self.origin.uid() || os::mode_bits(&stat) & 0o700 == 0o700 {
            return Ok(());
        }
        #[cfg(target_os = "linux")]
        return Ok(super::attributes::unlock(place.as_fd(), &stat)?);
        #[cfg(not(target_os = "linux"))]
        Ok(rustix::fs::fchmod(place, os::mode(os::mode_bits(&stat) | 0o700))?)
    }

    /// A folder, open so that its metadata can be changed.
    fn open_for_metadata(&self, path: &[u8]) -> io::Result<OwnedFd> {
        let result = match path {
            b"" => openat(self.folders.root(), ".", READABLE, rustix::fs::Mode::empty()),
            _ => self.folders.open(path, READABLE),
        };
        match result {
            // It was there before and may not be listed, not even by its owner.
            #[cfg(target_os = "linux")]
            Err(Errno::ACCESS) => {
                let place = self.folders.get(path)?;
                super::attributes::unlock(place.as_fd(), &fstat(&*place)?)?;
                Ok(openat(&*place, ".", READABLE, rustix::fs::Mode::empty())?)
            }
            result => Ok(result?),
        }
    }

    /// A regular file: its folder, its name there, and what it is.
    fn regular<'a>(&self, path: &'a [u8]) -> io::Result<(Arc<Folder>, &'a [u8], Witness)> {
        let (folder, name) = parse(path)?;
        let folder = self.folders.get(folder)?;
        let stat = statat(&*folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file"));
        }
        Ok((folder, name, Witness::from(stat)))
    }
}

/// Opens the destination: to list if that is allowed (and then it can be synced), as a mere place if not.
fn open_root(dest: &Path) -> rustix::io::Result<(OwnedFd, bool)> {
    // The user may well have named a link.
    let followed = |flags: OFlags| openat(CWD, dest, flags.difference(OFlags::NOFOLLOW), rustix::fs::Mode::empty());
    match followed(READABLE) {
        Err(Errno::ACCESS) => Ok((followed(PLACE)?, false)),
        result => Ok((result?, true)),
    }
}

impl TreeWriter for DirTree {
    fn make_folder(&self, path: &[u8]) -> io::Result<()> {
        if path.is_empty() {
            return Ok(());
        }
        self.named(path, || {
            let (parent, name) = parse(path)?;
            let parent = self.folders.get(parent)?;
            match mkdirat(&*parent, name, os::mode(0o700)) {
                Err(Errno::EXIST) => self.reuse_folder(&parent, name),
                result => Ok(result?),
            }
        })
    }

    fn create(&self, path: &[u8], size: u64) -> io::Result<Box<dyn FileWriter>> {
        self.named(path, || {
            let (folder, name) = parse(path)?;
            let folder = self.folders.get(folder)?;
            let (fd, fresh) = self.make(&folder, name, |name| self.make_file(&folder, name, FIRST_MODE))?;
            Ok(Box::new(DirFile {
                fd,
                folder,
                fresh,
                path: path.into(),
                dest: Arc::clone(&self.dest),
                origin: self.origin,
                refusals: Arc::clone(&self.refusals),
                size,
                end: 0.into(),
                broken: false.into(),
                finished: false,
            }) as Box<dyn FileWriter>)
        })
    }

    fn write_file(&self, path: &[u8], bytes: &[u8], attributes: &Attributes) -> io::Result<()> {
        self.named(path, || {
            let (folder, name) = parse(path)?;
            attributes.check()?;
            let folder = self.folders.get(folder)?;
            let mode = self.origin.first_mode(attributes);
            let make = |name: &[u8]| self.make_file(&folder, name, mode);
            self.make_whole(&folder, name, make, |fd, _| {
                write_all_at(fd.as_fd(), bytes, 0)?;
                Ok(self.origin.apply_to_new(fd.as_fd(), &folder, mode, attributes, self.refusals.of(path))?)
            })
        })
    }

    fn symlink(&self, path: &[u8], target: &[u8], attributes: &Attributes) -> io::Result<()> {
        self.named(path, || {
            let (folder, name) = parse(path)?;
            attributes.check()?;
            let folder = self.folders.get(folder)?;
            let make = |name: &[u8]| symlinkat(target, &*folder, name);
            self.make_whole(&folder, name, make, |(), name| {
                apply_to_odd(&folder, name, FileType::Symlink, attributes, self.refusals.of(path))
            })
        })
    }

    fn hardlink(&self, existing: &[u8], path: &[u8]) -> io::Result<()> {
        self.named(path, || {
            check(path)?;
            // A link that somebody puts in its place now is not followed either, only given a second name itself.
            let (from, from_name, file) = self
                .regular(existing)
                .map_err(|error| os::context(format!("hard link to {}", os::show(existing)), error))?;
            let (folder, name) = parse(path)?;
            let folder = self.folders.get(folder)?;
            if self.force
                && let Ok(there) = statat(&*folder, name, AtFlags::SYMLINK_NOFOLLOW).map(Witness::from)
                && (there.dev, there.ino) == (file.dev, file.ino)
            {
                return Ok(()); // So it is already; and a rename between two names of one file would do nothing.
            }
            let make = |name: &[u8]| linkat(&*from, from_name, &*folder, name, AtFlags::empty());
            self.make_whole(&folder, name, make, |(), _| Ok(()))
        })
    }

    fn special(&self, path: &[u8], kind: SpecialKind, device: (u32, u32), attributes: &Attributes) -> io::Result<()> {
        self.named(path, || {
            let (folder, name) = parse(path)?;
            attributes.check()?;
            let folder = self.folders.get(folder)?;
            let (kind, make) = node_maker(&folder, kind, device)?;
            self.make_whole(&folder, name, make, |(), name| {
                apply_to_odd(&folder, name, kind, attributes, self.refusals.of(path))
            })
        })
    }

    fn set_folder(&self, path: &[u8], attributes: &Attributes) -> io::Result<()> {
        self.named(path, || {
            if !path.is_empty() {
                check(path)?;
            }
            attributes.check()?;
            Ok(apply_to_folder(self.open_for_metadata(path)?.as_fd(), attributes, self.refusals.of(path))?)
        })
    }

    fn refusals(&self) -> Vec<Refusal> {
        self.refusals.all()
    }

    fn sync(&self) -> io::Result<()> {
        self.named(b"", || {
            #[cfg(target_os = "linux")]
            if self.root_reads {
                return Ok(rustix::fs::syncfs(&**self.folders.root())?);
            }
            if self.root_reads {
                rustix::fs::fsync(&**self.folders.root())?;
            }
            rustix::fs::sync();
            Ok(())
        })
    }
}

type NodeMaker<'a> = Box<dyn FnMut(&[u8]) -> rustix::io::Result<()> + 'a>;

/// Says how to make a special file in `folder`.
#[cfg(target_os = "linux")]
fn node_maker(folder: &Folder, kind: SpecialKind, (major, minor): (u32, u32)) -> io::Result<(FileType, NodeMaker<'_>)> {
    let (kind, device) = match kind {
        SpecialKind::Fifo => (FileType::Fifo, 0),
        SpecialKind::Socket => (FileType::Socket, 0),
        SpecialKind::Char => (FileType::CharacterDevice, rustix::fs::makedev(major, minor)),
        SpecialKind::Block => (FileType::BlockDevice, rustix::fs::makedev(major, minor)),
    };
    let mode = os::mode(FIRST_MODE);
    Ok((kind, Box::new(move |name| rustix::fs::mknodat(folder, name, kind, mode, device))))
}

/// Elsewhere device numbers differ in shape, and so in meaning.
#[cfg(not(target_os = "linux"))]
fn node_maker(_: &Folder, kind: SpecialKind, _: (u32, u32)) -> io::Result<(FileType, NodeMaker<'_>)> {
    let what = format!("special files ({kind:?}) are made on Linux only");
    Err(io::Error::new(io::ErrorKind::Unsupported, what))
}
