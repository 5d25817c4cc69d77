//! A stretch of a file, at once and by whoever asks: for what is decided before a backend reads contents.

use std::io;
use std::os::fd::AsFd;

use super::open::{Source, read_full};
use crate::path::{PathId, PathTable};

/// Reads from the start of a regular file until `buf` is full or the file ends, and says how many bytes that were.
///
/// # Errors
/// `InvalidInput` for what is no regular file; else what `openat`, `fstat` and `pread` say.
pub fn read_head(paths: &PathTable, path: PathId, buf: &mut [u8]) -> io::Result<usize> {
    read_stretch(paths, path, 0, buf)
}

/// Reads a regular file from `offset` on until `buf` is full or the file ends, and says how many bytes that were.
///
/// # Errors
/// As [`read_head`].
pub fn read_stretch(paths: &PathTable, path: PathId, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    let source = Source::open(paths, path)?;
    read_full(source.as_fd(), offset, buf, source.size())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;
    use crate::path::Base;

    #[test]
    fn only_the_beginning_of_regular_files_is_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "a few bytes").unwrap();
        fs::create_dir(dir.path().join("folder")).unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        let mut table = PathTable::new();
        let base = table.push_base(Base { folder: Arc::new(fs::File::open(dir.path()).unwrap().into()), skip: 0 });
        let [file, folder, gone, link] =
            ["file", "folder", "gone", "link"].map(|name| table.push(base, name.as_bytes()));

        let mut buf = [0; 5];
        assert_eq!((read_head(&table, file, &mut buf).unwrap(), &buf[..]), (5, &b"a few"[..]));
        let mut buf = [0; 50];
        assert_eq!(read_head(&table, file, &mut buf).unwrap(), 11);
        assert_eq!((read_stretch(&table, file, 2, &mut buf).unwrap(), &buf[..9]), (9, &b"few bytes"[..]));
        assert_eq!(read_stretch(&table, file, 20, &mut buf).unwrap(), 0);
        for (path, kind) in [
            (folder, io::ErrorKind::InvalidInput),
            (link, io::ErrorKind::InvalidInput),
            (gone, io::ErrorKind::NotFound),
        ] {
            assert_eq!(read_head(&table, path, &mut buf).unwrap_err().kind(), kind);
        }
    }
}
