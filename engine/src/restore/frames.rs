//! One frame, from the archive to proved, uncompressed bytes.

use std::io;

use crate::codec::{CodecError, CodecId, Decoder, DecoderDictionary, Filters, Form};
use crate::container::error::ContainerError;
use crate::container::frame::{FrameHeader, HEADER_LEN, digest_of};
use crate::container::id::ArchiveId;
use crate::container::source::Source;
use crate::index::BlockRow;
use crate::index::blocks::check_header;

/// Why a frame gave no bytes.
#[derive(Debug)]
pub enum FrameError {
    /// The frame is not what the index says, or its bytes are wrong.
    Container(ContainerError),
    /// The payload is proved but cannot be decoded.
    Codec(CodecError),
    /// The dictionary in the frame of that seq cannot be had.
    Dictionary(u64, Box<FrameError>),
}

impl FrameError {
    /// Whether the source failed, rather than the archive.
    pub fn io(self) -> Result<io::Error, Self> {
        match self {
            Self::Container(ContainerError::Io { source, .. }) => Ok(source),
            Self::Dictionary(seq, error) => error.io().map_err(|error| Self::dictionary(seq, error)),
            other => Err(other),
        }
    }

    /// What is wrong, wherever: of a dictionary's error the one inside.
    #[must_use]
    pub fn cause(&self) -> &Self {
        match self {
            Self::Dictionary(_, error) => error.cause(),
            other => other,
        }
    }

    /// An error about a dictionary that a block needs.
    #[cold]
    pub(super) fn dictionary(seq: u64, error: FrameError) -> Self {
        Self::Dictionary(seq, Box::new(error))
    }
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Container(error) => error.fmt(f),
            Self::Codec(error) => error.fmt(f),
            Self::Dictionary(seq, error) => write!(f, "its dictionary, frame {seq}: {error}"),
        }
    }
}

impl std::error::Error for FrameError {}

/// The bytes of one frame as they stand in the archive, in a buffer that is used again and again.
#[derive(Debug, Default)]
pub struct FrameBytes(Vec<u8>);

impl FrameBytes {
    /// Bytes that the buffer takes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Reads a frame, header and all.
    ///
    /// # Errors
    /// What the source says; that the archive ends before the frame does.
    pub fn read(&mut self, source: &dyn Source, block: &BlockRow) -> Result<(), FrameError> {
        let len = usize::try_from(block.frame_len).expect("a frame is bounded far below 4 GiB by its header's limits");
        if self.0.len() < len {
            self.0.resize(len, 0);
        }
        self.0.truncate(len);
        source.read("frame", &mut self.0, block.offset).map_err(FrameError::Container)
    }

    /// Checks the header against the index and the bytes against the header's digest.
    ///
    /// # Errors
    /// The first thing that is wrong, with its offset.
    pub fn check(&self, block: &BlockRow, archive_id: ArchiveId) -> Result<Proved<'_>, FrameError> {
        let header: &[u8; HEADER_LEN] = self.0.first_chunk().ok_or_else(|| {
            let error = ContainerError::damaged("frame", block.offset, "at least a header", self.0.len());
            FrameError::Container(error)
        })?;
        let header = FrameHeader::decode(header, block.offset).map_err(FrameError::Container)?;
        if header.archive_id != archive_id {
            let error = ContainerError::damaged("archive id of a frame", block.offset, archive_id, header.archive_id);
            return Err(FrameError::Container(error));
        }
        check_header(block, &header).map_err(FrameError::Container)?;
        let (directory, payload) = self.0[HEADER_LEN..].split_at(header.directory_stored_len as usize);
        let found = digest_of(directory, payload);
        if found != header.digest {
            let error = ContainerError::damaged("frame", block.offset, header.digest, found);
            return Err(FrameError::Container(error));
        }
        Ok(Proved { header, directory, payload })
    }
}

/// A frame whose digest is right.
#[derive(Debug)]
pub struct Proved<'a> {
    /// Its header.
    pub header: FrameHeader,
    directory: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Proved<'a> {
    /// How the block is stored.
    fn form(&self) -> Form {
        Form { codec: CodecId(self.header.codec), filters: Filters(self.header.filters) }
    }

    /// Whether the payload is the block itself.
    pub fn is_plain(&self) -> bool {
        self.form() == Form::from(CodecId::STORE)
    }

    /// The uncompressed block: borrowed where it was stored as it is, else decoded into `buffer`, with the dictionary that the
    /// header names.
    ///
    /// # Errors
    /// What the codec says.
    pub fn block<'b>(
        &self,
        dictionary: Option<&DecoderDictionary>,
        decoder: &mut Decoder,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], FrameError>
    where
        'a: 'b,
    {
        if self.is_plain() {
            return Ok(self.payload);
        }
        let len = self.header.raw_len as usize;
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        let out = &mut buffer[..len];
        decoder.decode_with(dictionary, self.form(), self.payload, out).map_err(FrameError::Codec)?;
        Ok(out)
    }

    /// The first `len` bytes of the uncompressed block, decoding no more than that takes.
    ///
    /// # Errors
    /// What the codec says.
    pub fn prefix<'b>(
        &self,
        len: usize,
        dictionary: Option<&DecoderDictionary>,
        decoder: &mut Decoder,
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], FrameError>
    where
        'a: 'b,
    {
        if self.is_plain() {
            return Ok(&self.payload[..len]);
        }
        if len == self.header.raw_len as usize {
            return self.block(dictionary, decoder, buffer);
        }
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        let out = &mut buffer[..len];
        let raw_len = self.header.raw_len as usize;
        let form = self.form();
        decoder.decode_prefix_with(dictionary, form, self.payload, raw_len, out).map_err(FrameError::Codec)?;
        Ok(out)
    }

    /// The uncompressed directory, decoded into `buffer`.
    ///
    /// # Errors
    /// What the codec says.
    pub fn directory<'b>(&self, decoder: &mut Decoder, buffer: &'b mut Vec<u8>) -> Result<&'b [u8], FrameError>
    where
        'a: 'b,
    {
        if self.header.directory_codec == CodecId::STORE.0 {
            return Ok(self.directory);
        }
        buffer.resize(self.header.directory_raw_len as usize, 0);
        let codec = CodecId(self.header.directory_codec);
        decoder.decode(codec, self.directory, buffer).map_err(FrameError::Codec)?;
        Ok(buffer)
    }
}
