//! Early writeback: asks the kernel to begin writing what was appended while more is still being made, so that the
//! `fsync` at the end finds little left to do.

use std::fs::File;

/// How much is appended between two requests, bytes: large enough for long sequential writes, small enough that a
/// little is left at the end (`docs/benchmarks.md` has the measurement).
const STEP: u64 = 4 << 20;

/// Follows how far a file was handed to the kernel for writing.
#[derive(Debug, Default)]
pub(super) struct Writeback {
    asked: u64,
}

impl Writeback {
    /// Tells that `file` holds `written` bytes now. Every few MiB the kernel is asked to begin writing them.
    ///
    /// It is a hint: what it says is ignored, because whatever goes wrong with the writing itself is kept by the
    /// kernel for the `fsync` (a request that does not wait does not take errors away from it).
    pub(super) fn written(&mut self, file: &File, written: u64) {
        if written - self.asked >= STEP {
            begin(file, self.asked, written - self.asked);
            self.asked = written;
        }
    }
}

#[cfg(target_os = "linux")]
fn begin(file: &File, offset: u64, len: u64) {
    use std::os::fd::AsRawFd;
    let (Ok(offset), Ok(len)) = (i64::try_from(offset), i64::try_from(len)) else { return };
    // SAFETY: the call takes numbers only, no memory of ours; the borrow of `file` keeps its descriptor open.
    let _ = unsafe { libc::sync_file_range(file.as_raw_fd(), offset, len, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Other systems have no such request.
#[cfg(not(target_os = "linux"))]
fn begin(_file: &File, _offset: u64, _len: u64) {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn it_asks_for_whole_steps_and_changes_no_byte() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        let file = File::create_new(&path).unwrap();
        let piece: Vec<u8> = (0..STEP / 4 + 1).map(|at| (at % 251) as u8).collect();
        let (mut writeback, mut written, mut asked) = (Writeback::default(), 0, Vec::new());
        for _ in 0..9 {
            file.write_all_at(&piece, written).unwrap();
            written += piece.len() as u64;
            writeback.written(&file, written);
            asked.push(writeback.asked / piece.len() as u64);
        }
        assert_eq!(asked, [0, 0, 0, 4, 4, 4, 4, 8, 8], "every fourth piece completes a step");
        assert!(std::fs::read(&path).unwrap() == piece.repeat(9));
    }
}
