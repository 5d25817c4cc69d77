//! A source of which some places cannot be read, as on a disk that fails: they are taken for zeros, which have not the digest
//! of what was there, and noted.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::container::source::Source;

/// What is given up at once, bytes: a sector of most disks, and a page.
const PIECE: u64 = 4096;

/// What a medium says that cannot give back what was written to it, by way of the kernel's block layer and file systems.
#[cfg(target_os = "linux")]
const MEDIUM: &[Errno] = &[Errno::IO, Errno::BADMSG, Errno::ILSEQ, Errno::REMOTEIO, Errno::NODATA, Errno::UCLEAN];
#[cfg(not(target_os = "linux"))]
const MEDIUM: &[Errno] = &[Errno::IO];

/// Bytes of another source, and zeros where that cannot be read.
pub(super) struct Scarred {
    base: Arc<dyn Source>,
    /// Pieces that cannot be read, by number, and why: nobody asks for them again, as a failing disk takes seconds to refuse.
    scars: Mutex<BTreeMap<u64, String>>,
}

impl Scarred {
    pub(super) fn new(base: Arc<dyn Source>) -> Self {
        Self { base, scars: Mutex::default() }
    }

    /// What could not be read so far, in order: stretches of bytes, each with the reason.
    pub(super) fn unread(&self) -> Vec<(Range<u64>, String)> {
        let mut unread: Vec<(Range<u64>, String)> = Vec::new();
        for (&piece, why) in &*self.scars() {
            let range = piece * PIECE..((piece + 1) * PIECE).min(self.len());
            match unread.last_mut() {
                Some((last, before)) if last.end == range.start && before == why => last.end = range.end,
                _ => unread.push((range, why.clone())),
            }
        }
        unread
    }

    fn scars(&self) -> MutexGuard<'_, BTreeMap<u64, String>> {
        self.scars.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what lies within one piece.
    fn piece(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let number = offset / PIECE;
        let is_known = self.scars().contains_key(&number);
        if !is_known {
            match self.base.read_at(buf, offset) {
                Err(error) if is_of_medium(&error) => drop(self.scars().insert(number, error.to_string())),
                result => return result,
            }
        }
        buf.fill(0);
        Ok(())
    }
}

fn is_of_medium(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| MEDIUM.iter().any(|errno| errno.raw_os_error() == code))
}

impl Source for Scarred {
    fn len(&self) -> u64 {
        self.base.len()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let end = (offset + buf.len() as u64).div_ceil(PIECE);
        let is_scarred = self.scars().range(offset / PIECE..end).next().is_some();
        if !is_scarred {
            match self.base.read_at(buf, offset) {
                Err(error) if is_of_medium(&error) => {}
                result => return result,
            }
        }
        let (mut rest, mut at) = (buf, offset);
        while !rest.is_empty() {
            let len = (PIECE - at % PIECE).min(rest.len() as u64);
            let (now, behind) = rest.split_at_mut(len as usize);
            self.piece(now, at)?;
            (rest, at) = (behind, at + len);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers 0 to 250 over and over, and some pieces that fail.
    struct Failing(Vec<u64>, Errno);

    impl Source for Failing {
        fn len(&self) -> u64 {
            10 * PIECE + 100
        }

        fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
            let pieces = offset / PIECE..(offset + buf.len() as u64).div_ceil(PIECE);
            if self.0.iter().any(|piece| pieces.contains(piece)) {
                return Err(self.1.into());
            }
            buf.iter_mut().zip(offset..).for_each(|(byte, at)| *byte = (at % 251) as u8);
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_read_is_zeros_and_all_around_it_is_there() {
        let source = Scarred::new(Arc::new(Failing(vec![0, 3, 4, 10], Errno::IO)));
        for (start, end) in [(0, source.len()), (4000, 4200), (5000, 5001), (12_287, 20_481), (0, 1)] {
            let mut buf = vec![0xaa; (end - start) as usize];
            source.read_at(&mut buf, start).unwrap();
            for (byte, at) in buf.iter().zip(start..) {
                let is_lost = [0, 3, 4, 10].contains(&(at / PIECE));
                assert_eq!(*byte, if is_lost { 0 } else { (at % 251) as u8 }, "{at}");
            }
        }
        let unread: Vec<_> = source.unread().into_iter().map(|(range, _)| range).collect();
        assert_eq!(unread, [0..PIECE, 3 * PIECE..5 * PIECE, 10 * PIECE..source.len()]);
        assert!(source.unread()[0].1.contains("Input/output error"), "{:?}", source.unread());
    }

    #[test]
    fn what_is_no_fault_of_the_medium_is_an_error() {
        let source = Scarred::new(Arc::new(Failing(vec![2], Errno::NOMEM)));
        source.read_at(&mut [0; 10], 0).unwrap();
        assert!(source.read_at(&mut [0; 10], 2 * PIECE).is_err());
        assert_eq!(source.unread(), []);
    }
}
