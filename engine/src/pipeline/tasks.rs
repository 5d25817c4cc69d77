//! The rayon tasks: hash a load, compress a block. They never wait for anything.

use carrack_backends::arena::Lease;

use super::Job;
use super::load::{Content, Load, Piece};
use super::shared::{Event, Shared};
use crate::codec::{Codec, CodecError, CodecId, Encoded, Encoder, FilterChoice, Filters};
use crate::container::frame::{FrameHeader, FrameKind, HEADER_LEN, digest_of};
use crate::dedup::{self, PieceSizes};
use crate::digest::{self, Digest};
use crate::index::PlainBatch;
use crate::limits::directory_decoded_max;
use crate::plan::ChunkKind;
use crate::stages::{Clock, Recorder, Step};

/// Level at which directories are compressed: they are small, and lists of names compress well.
const DIRECTORY_CODEC: Codec = Codec::Zstd { level: 3 };

/// What one rayon worker keeps from task to task.
pub(super) struct Worker {
    encoder: Encoder,
    directory_encoder: Encoder,
    pub recorder: Recorder,
}

impl Worker {
    pub(super) fn new(codec: Codec, filter: FilterChoice, clock: Clock) -> Result<Self, CodecError> {
        Ok(Self {
            encoder: Encoder::with_filter(codec, filter)?,
            directory_encoder: Encoder::new(DIRECTORY_CODEC)?,
            recorder: Recorder::new(clock),
        })
    }
}

/// A block to be compressed, then the frame made of it. The boxes and their buffers are used again and again; there
/// are only so many, which bounds the memory of frames that wait for their turn.
pub(super) struct Frame {
    pub seq: u64,
    /// The block's bytes, at the start of its region; kept only while they are needed.
    pub lease: Option<Lease>,
    /// How many of them.
    pub raw_len: usize,
    /// The number of the dictionary that suits it, which is also the seq of that one's frame.
    pub dictionary: Option<usize>,
    /// Records of the entries that start here, uncompressed.
    pub directory: Vec<u8>,
    /// Room for the compressed block: as long as the largest block.
    payload: Vec<u8>,
    directory_stored: Vec<u8>,
    /// What became of it.
    pub header: Option<FrameHeader>,
    pub encoded_header: [u8; HEADER_LEN],
    pub error: Option<CodecError>,
    /// When the first of its reads was queued, ns of the run's clock.
    pub born_ns: u64,
    /// When the block was given to the workers, likewise.
    pub given_ns: u64,
    /// When the frame was made, likewise.
    pub made_ns: u64,
}

impl Frame {
    pub(super) fn new(block_size: usize) -> Self {
        Self {
            seq: 0,
            lease: None,
            raw_len: 0,
            dictionary: None,
            directory: Vec::new(),
            payload: vec![0; block_size],
            directory_stored: Vec::new(),
            header: None,
            encoded_header: [0; HEADER_LEN],
            error: None,
            born_ns: 0,
            given_ns: 0,
            made_ns: 0,
        }
    }

    /// The directory as it is stored.
    pub(super) fn stored_directory(&self) -> &[u8] {
        match &self.header {
            Some(header) if header.directory_codec != CodecId::STORE.0 => {
                &self.directory_stored[..header.directory_stored_len as usize]
            }
            _ => &self.directory,
        }
    }

    /// The block as it is stored: what was compressed, or the bytes themselves where that did not pay.
    pub(super) fn stored_payload(&self) -> &[u8] {
        match (&self.header, &self.lease) {
            (Some(header), None) => &self.payload[..header.stored_len as usize],
            (_, Some(lease)) => &lease[..self.raw_len],
            (None, None) => &[],
        }
    }

    fn compress(&mut self, worker: &mut Worker, job: &Job) -> Result<(), CodecError> {
        self.directory_stored.resize(self.directory.len(), 0);
        let directory = worker.directory_encoder.encode(&self.directory, &mut self.directory_stored)?;
        let raw = self.lease.as_ref().map_or(&[][..], |lease| &lease[..self.raw_len]);
        let dictionary = self.dictionary.zip(job.dictionaries.as_ref());
        let dictionary = dictionary.map(|(number, dictionaries)| dictionaries.all()[number].encoder());
        let payload = worker.encoder.encode_with(dictionary, raw, &mut self.payload[..raw.len()])?;
        let (codec, filters, has_dictionary, stored_len) = match payload {
            Encoded::Stored => (CodecId::STORE, Filters::NONE, false, raw.len()),
            Encoded::Compressed { codec, filters, dictionary, len } => {
                // The raw bytes are done with: their slot can be filled again.
                self.lease = None;
                (codec, filters, dictionary, len)
            }
        };
        let (directory_codec, directory_stored_len) = match directory {
            Encoded::Compressed { codec, len, .. }
                if self.directory.len() as u64 <= directory_decoded_max(len32(len)) =>
            {
                (codec, len)
            }
            // Readers take for a bomb what shrinks further than that.
            Encoded::Stored | Encoded::Compressed { .. } => (CodecId::STORE, self.directory.len()),
        };
        let mut header = FrameHeader {
            archive_id: job.archive_id,
            seq: self.seq,
            kind: if self.raw_len == 0 { FrameKind::Table } else { FrameKind::Block },
            codec: codec.0,
            directory_codec: directory_codec.0,
            filters: filters.0,
            raw_len: len32(self.raw_len),
            stored_len: len32(stored_len),
            directory_raw_len: len32(self.directory.len()),
            directory_stored_len: len32(directory_stored_len),
            dictionary: self.dictionary.filter(|_| has_dictionary).map(|number| number as u64),
            digest: Digest::default(),
        };
        self.header = Some(header);
        header.digest = digest_of(self.stored_directory(), self.stored_payload());
        self.encoded_header = header.encode();
        self.header = Some(header);
        Ok(())
    }
}

fn len32(len: usize) -> u32 {
    u32::try_from(len).expect("blocks and directories are bounded far below 4 GiB")
}

/// What a worker is given. Each batch of rows and each other task sends one event at its end.
pub(super) enum Task {
    /// Hash every chunk of a load.
    Digest(Box<Load>),
    /// Compress a block and its directory, and make the header.
    Compress(Box<Frame>),
    /// Encode the next batch of rows that waits, if one still does: see [`Shared::encode`].
    Encode,
}

impl Task {
    /// What it does, for an error.
    pub(super) fn doing(&self) -> &'static str {
        match self {
            Task::Digest(_) => "hashing",
            Task::Compress(_) => "compressing",
            Task::Encode => "encoding rows",
        }
    }

    /// Does it, and says which event to send, if any.
    pub(super) fn run(self, job: &Job, shared: &Shared) -> Option<Event> {
        Some(match self {
            Task::Digest(load) => Event::Digested(digest(job, shared, load)),
            Task::Compress(frame) => Event::Compressed(compress(job, shared, frame)),
            Task::Encode => return None,
        })
    }
}

/// Encodes a batch of rows.
pub(super) fn encode(shared: &Shared, number: usize, batch: PlainBatch) -> Event {
    let begun_ns = shared.clock.now_ns();
    let encoded = batch.encode();
    shared.with_recorder(|recorder| {
        recorder.since(Step::Encode, begun_ns);
    });
    Event::Encoded(number, encoded)
}

fn digest(job: &Job, shared: &Shared, mut load: Box<Load>) -> Box<Load> {
    if !shared.is_stopped() {
        let begun_ns = shared.clock.now_ns();
        hash(job, &mut load);
        load.hashed_ns = shared.clock.now_ns();
        shared.with_recorder(|recorder| {
            recorder.between(Step::DigestWait, load.filled_ns, begun_ns);
            recorder.between(Step::Digest, begun_ns, load.hashed_ns);
        });
    }
    load
}

fn compress(job: &Job, shared: &Shared, mut frame: Box<Frame>) -> Box<Frame> {
    if !shared.is_stopped() {
        frame.error = shared.with_worker(|worker| {
            let begun_ns = worker.recorder.since(Step::CompressWait, frame.given_ns);
            let error = frame.compress(worker, job).err();
            frame.made_ns = worker.recorder.since(Step::Compress, begun_ns);
            error
        });
    }
    frame
}

fn hash(job: &Job, load: &mut Load) {
    let first_chunk = load.chunks(&job.plan).start;
    for (block, region) in load.blocks.clone().zip(&load.regions) {
        let mut at = 0;
        for index in job.plan.block(block) {
            let chunk = &job.plan.chunks()[index];
            let got = load.got[index - first_chunk];
            let is_hole = chunk.kind() == ChunkKind::Hole;
            let bytes = if is_hole { &[][..] } else { &region[at..at + got as usize] };
            let pieces = job.pieces.map_or(0, |sizes| cut(sizes, bytes, chunk.is_whole(), &mut load.pieces));
            load.contents.push(if got == 0 {
                Content::Nothing
            } else if chunk.is_whole() {
                Content::Whole(Digest::of(bytes), pieces)
            } else {
                load.digests.push(if is_hole {
                    digest::zeros(u64::from(got), chunk.offset())
                } else {
                    digest::part(bytes, chunk.offset())
                });
                let is_asked_for = job.dedup && !is_hole && pieces == 0;
                Content::Part(is_asked_for.then(|| dedup::key_of(bytes)), pieces)
            });
            at += chunk.data_len() as usize;
        }
    }
}

/// Cuts the bytes of a chunk into pieces and says into how many. A file that is not cut needs no piece: its digest says
/// as much. Nor does a chunk of zeros alone need more than one: they would all be alike.
fn cut(sizes: PieceSizes, bytes: &[u8], is_whole: bool, pieces: &mut Vec<Piece>) -> u32 {
    if bytes.is_empty() || is_whole && !sizes.cuts(len32(bytes.len())) {
        return 0;
    }
    if dedup::is_zeros(bytes) {
        pieces.push(Piece { key: dedup::key_of(bytes), len: len32(bytes.len()) });
        return 1;
    }
    let before = pieces.len();
    pieces.extend(sizes.cut(bytes).map(|piece| Piece { key: dedup::key_of(piece), len: len32(piece.len()) }));
    len32(pieces.len() - before)
}
