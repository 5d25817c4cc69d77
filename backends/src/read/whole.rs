//! All of a file, from its beginning to its end, by whoever asks: for comparing, where no slot waits for the bytes.

use std::io;
use std::os::fd::AsFd;

use super::open::{Source, read_full};
use crate::path::{PathId, PathTable};

/// Some of a file's contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch<'a> {
    /// Bytes that were read.
    Bytes(&'a [u8]),
    /// A hole, or its part: so many zeros that were not read.
    Zeros(u64),
}

/// Longest stretch of zeros that is given at once, bytes.
const ZEROS: u64 = 64 << 20;

/// Hands the contents of a regular file to `each`, in order, read into `buffer` piece by piece; holes are not read. Ends
/// early when `each` gives back false. What is behind the end that the file had when it was opened is left aside.
///
/// # Errors
/// `InvalidInput` for what is no regular file; else what `openat`, `fstat` and `pread` say.
///
/// # Panics
/// When the buffer is empty.
pub fn read_whole(
    paths: &PathTable,
    path: PathId,
    buffer: &mut [u8],
    mut each: impl FnMut(Stretch<'_>) -> bool,
) -> io::Result<()> {
    assert!(!buffer.is_empty(), "a buffer of 0 bytes holds nothing");
    let source = Source::open(paths, path)?;
    let (mut at, size) = (0, source.size());
    while at < size {
        let mut hole = next_data(&source, at, size) - at;
        while hole > 0 {
            let len = hole.min(ZEROS);
            if !each(Stretch::Zeros(len)) {
                return Ok(());
            }
            (at, hole) = (at + len, hole - len);
        }
        let len = read_full(source.as_fd(), at, buffer, size)?;
        if len == 0 {
            break;
        }
        if !each(Stretch::Bytes(&buffer[..len])) {
            return Ok(());
        }
        at += len as u64;
    }
    Ok(())
}

/// Where the next data is, at `at` or behind; `size` where there is none. What the system does not tell is data.
fn next_data(source: &Source, at: u64, size: u64) -> u64 {
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
    {
        use rustix::fs::{SeekFrom, seek};
        match seek(source, SeekFrom::Data(at)) {
            Ok(data) => data.clamp(at, size),
            Err(rustix::io::Errno::NXIO) => size,
            Err(_) => at,
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos", target_os = "freebsd")))]
    {
        let _ = (source, size);
        at
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::sync::Arc;

    use super::*;
    use crate::path::Base;

    #[test]
    fn all_bytes_come_in_order_and_holes_as_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let file = File::create(dir.path().join("file")).unwrap();
        let mut expected = vec![0; 300_000];
        for at in [0, 100_000, 200_000] {
            expected[at..at + 10].fill(b'x');
            file.write_all_at(b"xxxxxxxxxx", at as u64).unwrap();
        }
        file.set_len(300_000).unwrap();
        let mut table = PathTable::new();
        let base = table.push_base(Base { folder: Arc::new(File::open(dir.path()).unwrap().into()), skip: 0 });
        let path = table.push(base, b"file");
        let (mut found, mut buffer) = (Vec::new(), [0; 1000]);
        let mut take = |stretch: Stretch<'_>| {
            match stretch {
                Stretch::Bytes(bytes) => found.extend_from_slice(bytes),
                Stretch::Zeros(len) => found.resize(found.len() + len as usize, 0),
            }
            true
        };
        read_whole(&table, path, &mut buffer, &mut take).unwrap();
        assert!(found == expected);
        let mut calls = 0;
        let mut stop = |_: Stretch<'_>| {
            calls += 1;
            false
        };
        read_whole(&table, path, &mut buffer, &mut stop).unwrap();
        assert_eq!(calls, 1);
    }
}
