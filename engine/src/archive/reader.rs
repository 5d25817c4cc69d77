//! Reads blocks of an open archive, one by one.
//!
//! In: extents. Out: their bytes, proved. It knows no files.

use super::Archive;
use crate::codec::Decoder;
use crate::container::frame::FrameKind;
use crate::entry::Extent;
use crate::error::Result;
use crate::restore::frames::FrameBytes;

/// How many readers wait to be used again at most.
const READERS_SPARE: usize = 8;
/// One whose buffers take more bytes than this does not wait.
const READER_BYTES: usize = 8 << 20;

/// Reads blocks one by one, into buffers that are used again. The last one stays decoded: neighbours are often asked for one
/// after the other.
#[derive(Default)]
pub(super) struct BlockReader {
    frame: FrameBytes,
    decoder: Decoder,
    buffer: Vec<u8>,
    /// Which block's first bytes the buffer holds, proved, and how many.
    held: Option<(u64, usize)>,
}

impl BlockReader {
    /// The first `wanted` bytes of an extent.
    pub(super) fn extent(&mut self, archive: &Archive, extent: &Extent, wanted: usize) -> Result<&[u8]> {
        let seq = u64::from(extent.block);
        let start = extent.offset as usize;
        let end = start + wanted;
        if self.held.is_some_and(|(held, len)| held == seq && end <= len) {
            return Ok(&self.buffer[start..end]);
        }
        let block = archive.block(seq)?;
        if block.kind != FrameKind::Block {
            return Err(archive.damaged(&format!("frame {seq} is a {}, not a block of contents", block.kind.name())));
        }
        if end > block.raw_len as usize {
            return Err(archive.damaged(&format!("block {seq} ends before byte {end}")));
        }
        let (source, id) = (&*archive.source, archive.index.archive_id());
        let dictionary = archive.dictionaries.of(&block, source, id, &|seq| archive.index.block(source, seq));
        let dictionary = dictionary.map_err(|error| archive.frame_error(seq, error))?;
        self.held = None;
        self.frame.read(&*archive.source, &block).map_err(|error| archive.frame_error(seq, error))?;
        let proved =
            self.frame.check(&block, archive.index.archive_id()).map_err(|error| archive.frame_error(seq, error))?;
        // With a dictionary all of the block is decoded anyway.
        let end_decoded = if dictionary.is_some() { block.raw_len as usize } else { end };
        let bytes = proved
            .prefix(end_decoded, dictionary.as_deref(), &mut self.decoder, &mut self.buffer)
            .map_err(|error| archive.frame_error(seq, error))?;
        if !proved.is_plain() {
            self.held = Some((seq, end_decoded));
        }
        Ok(&bytes[start..end])
    }

    /// Puts it among those that wait to be used again, unless there are enough or it takes too much.
    pub(super) fn wait_in(self, spare: &mut Vec<Self>) {
        if spare.len() < READERS_SPARE && self.frame.capacity() + self.buffer.capacity() <= READER_BYTES {
            spare.push(self);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::Packer;

    #[test]
    fn readers_wait_to_be_used_again_unless_they_are_many_or_large() {
        let mut spare = Vec::new();
        for _ in 0..READERS_SPARE + 3 {
            BlockReader::default().wait_in(&mut spare);
        }
        assert_eq!(spare.len(), READERS_SPARE);
        let mut spare = Vec::new();
        BlockReader { buffer: Vec::with_capacity(READER_BYTES + 1), ..BlockReader::default() }.wait_in(&mut spare);
        assert!(spare.is_empty());
    }

    /// What is held of a block is taken for no other block, and for no more of it than was decoded.
    #[test]
    fn a_block_that_is_held_serves_its_own_bytes_alone() {
        let place = tempfile::tempdir().unwrap();
        let tree = place.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let content = |n: usize| format!("{n} ").repeat(700).into_bytes();
        for n in 10..30 {
            std::fs::write(tree.join(n.to_string()), content(n)).unwrap();
        }
        let file = place.path().join("a.crk");
        Packer::new().input(&tree).block_size(4096).sync(false).pack(&file).unwrap();
        let archive = Archive::open(&file).unwrap();
        for n in [10, 11, 10, 29, 10, 28, 29, 10, 11, 12, 13] {
            assert_eq!(archive.read(n.to_string().as_bytes()).unwrap(), content(n));
            assert_eq!(archive.read_range(n.to_string().as_bytes(), 3..9).unwrap(), content(n)[3..9]);
        }
        assert_eq!(archive.spare.lock().unwrap().len(), 1);
    }
}
