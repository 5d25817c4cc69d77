//! Where readers get bytes from. Readers of the format do no I/O themselves: they ask a [`Source`] for bytes at an
//! offset, so that a file, a map in memory or a range request over a network serve them alike.

use std::fs::File;
use std::io;

use super::error::ContainerError;

/// Bytes that can be read at any offset, by several threads at once.
pub trait Source: Send + Sync {
    /// Number of bytes in all. Does not change while an archive is open.
    fn len(&self) -> u64;

    /// Fills `buf` with the bytes from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` when the bytes end before `buf` is full; what the system says.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()>;

    /// Whether there is no byte at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl dyn Source + '_ {
    /// Fills `buf` with the bytes from `offset` on, for what the caller names `what`.
    ///
    /// # Errors
    /// [`ContainerError::Truncated`] when the bytes end too early, [`ContainerError::Io`] otherwise.
    pub fn read(&self, what: &'static str, buf: &mut [u8], offset: u64) -> Result<(), ContainerError> {
        let needed = buf.len() as u64;
        if offset.checked_add(needed).is_none_or(|end| end > self.len()) {
            return Err(ContainerError::Truncated { what, offset, needed, len: self.len() });
        }
        self.read_at(buf, offset).map_err(|source| ContainerError::Io { what, offset, source })
    }

    /// The `len` bytes from `offset` on. The caller has compared `len` with a limit.
    ///
    /// # Errors
    /// As `read`; checked against the end before memory is asked for.
    pub fn bytes(&self, what: &'static str, offset: u64, len: u64) -> Result<Vec<u8>, ContainerError> {
        if offset.checked_add(len).is_none_or(|end| end > self.len()) || usize::try_from(len).is_err() {
            return Err(ContainerError::Truncated { what, offset, needed: len, len: self.len() });
        }
        let mut bytes = vec![0; len as usize];
        self.read(what, &mut bytes, offset)?;
        Ok(bytes)
    }
}

/// An open file and its length at the time it was opened.
#[derive(Debug)]
pub struct FileSource {
    file: File,
    len: u64,
}

impl FileSource {
    /// Asks for the length once.
    ///
    /// # Errors
    /// What `fstat` says; `InvalidInput` for anything but a regular file, since only those can be read at an offset.
    pub fn new(file: File) -> io::Result<Self> {
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        Ok(Self { file, len: meta.len() })
    }

    /// The file itself.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Source for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buf, offset)
    }
}

impl Source for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let part = usize::try_from(offset).ok().and_then(|start| self.get(start..)?.get(..buf.len()));
        buf.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl Source for Vec<u8> {
    fn len(&self) -> u64 {
        Source::len(self.as_slice())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.as_slice().read_at(buf, offset)
    }
}

impl<S: Source + ?Sized> Source for &S {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        (**self).read_at(buf, offset)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn check(source: &dyn Source) {
        let mut buf = [0u8; 3];
        source.read("x", &mut buf, 2).unwrap();
        assert_eq!(&buf, b"cde");
        assert_eq!((source.len(), source.is_empty()), (5, false));
        assert_eq!(source.bytes("x", 5, 0).unwrap(), b"");
        for (offset, len) in [(3, 3), (6, 0), (u64::MAX, 1), (0, u64::MAX)] {
            assert!(matches!(source.bytes("x", offset, len), Err(ContainerError::Truncated { .. })), "{offset} {len}");
        }
        assert!(source.read_at(&mut buf, 4).is_err());
    }

    #[test]
    fn memory_and_files_are_read_alike() {
        check(&b"abcde".to_vec());
        check(&b"abcde".as_slice());
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"abcde").unwrap();
        check(&FileSource::new(file).unwrap());
        assert!(FileSource::new(File::open("/").unwrap()).is_err());
    }
}
