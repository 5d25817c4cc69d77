//! An archive put together from pieces of a broken one and from new ones.

use std::io;
use std::sync::Arc;

use crate::container::source::Source;

/// Pieces one behind the other, some in memory, some in another source. Nothing is copied before it is asked for.
pub(super) struct Pieced {
    base: Arc<dyn Source>,
    /// Where each piece begins, and what it is.
    pieces: Vec<(u64, Piece)>,
    len: u64,
}

enum Piece {
    Memory(Vec<u8>),
    /// From this offset on.
    Base(u64),
}

impl Pieced {
    /// No piece yet.
    pub(super) fn new(base: Arc<dyn Source>) -> Self {
        Self { base, pieces: Vec::new(), len: 0 }
    }

    /// Adds bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Some((_, Piece::Memory(last))) = self.pieces.last_mut() {
            last.extend_from_slice(bytes);
        } else {
            self.pieces.push((self.len, Piece::Memory(bytes.to_vec())));
        }
        self.len += bytes.len() as u64;
    }

    /// Adds a stretch of the other source, which has that much.
    pub(super) fn push_base(&mut self, offset: u64, len: u64) {
        self.pieces.push((self.len, Piece::Base(offset)));
        self.len += len;
    }

    /// The bytes from `offset` on that lie in one piece: how many of `wanted`.
    fn part(&self, offset: u64, wanted: usize) -> Option<(u64, &Piece, usize)> {
        let at = self.pieces.partition_point(|&(start, _)| start <= offset).checked_sub(1)?;
        let end = self.pieces.get(at + 1).map_or(self.len, |&(start, _)| start);
        let (start, piece) = &self.pieces[at];
        let len = end.checked_sub(offset).filter(|&len| len > 0)?.min(wanted as u64);
        Some((offset - start, piece, len as usize))
    }
}

impl Source for Pieced {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buf.is_empty() {
            let (inside, piece, len) = self.part(offset, buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
            let (now, rest) = buf.split_at_mut(len);
            match piece {
                Piece::Memory(bytes) => now.copy_from_slice(&bytes[inside as usize..inside as usize + len]),
                Piece::Base(start) => self.base.read_at(now, start + inside)?,
            }
            buf = rest;
            offset += len as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_read_as_one() {
        let mut pieced = Pieced::new(Arc::new(b"0123456789".to_vec()));
        pieced.push(b"ab");
        pieced.push(b"");
        pieced.push(b"c");
        pieced.push_base(2, 3);
        pieced.push_base(7, 1);
        pieced.push(b"d");
        let expected = b"abc2347d";
        assert_eq!(pieced.len(), expected.len() as u64);
        for start in 0..=expected.len() {
            for end in start..=expected.len() {
                let mut buf = vec![0; end - start];
                pieced.read_at(&mut buf, start as u64).unwrap();
                assert_eq!(buf, expected[start..end]);
            }
        }
        assert!(pieced.read_at(&mut [0; 2], 7).is_err());
    }
}
