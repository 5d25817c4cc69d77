//! Reads the names in an open folder.
//!
//! In: a folder's descriptor. Out: batches of names, in the file system's order, without `.` and `..`.

use std::ffi::CStr;
use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::FileType;

/// How many names one batch holds at most: the unit in which a large folder is shared among threads.
pub(super) const BATCH: usize = 1024;

/// Some names of one folder.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Each followed by a NUL.
    pub(super) bytes: Vec<u8>,
    pub(super) list: Vec<Name>,
}

/// One name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    pub(super) start: u32,
    /// Without the NUL.
    pub(super) len: u32,
    /// Whether it names a folder, where the file system says so along with the name.
    pub(super) is_folder: Option<bool>,
}

impl Names {
    /// The name, with its NUL.
    pub(super) fn get(&self, name: Name) -> &CStr {
        let with_nul = &self.bytes[name.start as usize..=(name.start + name.len) as usize];
        CStr::from_bytes_with_nul(with_nul).expect("names are taken from C strings")
    }

    fn push(&mut self, name: &CStr, file_type: FileType) {
        let is_folder = match file_type {
            FileType::Unknown => None,
            known => Some(known == FileType::Directory),
        };
        let bytes = name.to_bytes_with_nul();
        self.list.push(Name { start: self.bytes.len() as u32, len: bytes.len() as u32 - 1, is_folder });
        self.bytes.extend_from_slice(bytes);
    }
}

/// Buffer for what the kernel says, kept from folder to folder.
pub(super) struct Reader {
    #[cfg(target_os = "linux")]
    buffer: Vec<u8>,
}

/// Bytes of names that the kernel gives at once.
#[cfg(target_os = "linux")]
const BUFFER_LEN: usize = 64 << 10;

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            buffer: Vec::with_capacity(BUFFER_LEN),
        }
    }

    /// Reads all names of `folder`. Each full batch but the last goes to `full`; the last one, which may be empty, is
    /// returned along with the error that ended the reading early, if one did.
    pub(super) fn read(&mut self, folder: BorrowedFd<'_>, mut full: impl FnMut(Names)) -> (Names, Option<io::Error>) {
        let mut names = Names::default();
        let result = self.each(folder, |name, file_type| {
            if matches!(name.to_bytes(), b"." | b"..") {
                return;
            }
            if names.list.len() == BATCH {
                full(std::mem::take(&mut names));
            }
            names.push(name, file_type);
        });
        (names, result.err())
    }

    #[cfg(target_os = "linux")]
    fn each(&mut self, folder: BorrowedFd<'_>, mut found: impl FnMut(&CStr, FileType)) -> io::Result<()> {
        let mut dir = rustix::fs::RawDir::new(folder, self.buffer.spare_capacity_mut());
        while let Some(entry) = dir.next() {
            match entry {
                Ok(entry) => found(entry.file_name(), entry.file_type()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn each(&mut self, folder: BorrowedFd<'_>, mut found: impl FnMut(&CStr, FileType)) -> io::Result<()> {
        for entry in rustix::fs::Dir::read_from(folder)? {
            let entry = entry?;
            found(entry.file_name(), entry.file_type());
        }
        Ok(())
    }
}
