//! The commit stage: frames are appended in the order of their seq, whatever the order they were compressed in.

use std::collections::BTreeMap;

use carrack_backends::sink::AppendSink;

use super::PipelineError;
use super::tasks::Frame;
use crate::container::align;
use crate::container::frame::{FrameHeader, HEADER_LEN};
use crate::index::{BlockRow, EncodedEntries, IndexWriter};
use crate::stages::{Recorder, Step};

pub(super) struct Committer<'a> {
    sink: &'a mut dyn AppendSink,
    next_seq: u64,
    /// Frames whose turn has not come: at most as many as there are frame buffers.
    waiting: BTreeMap<u64, Box<Frame>>,
    index: IndexWriter,
    /// Batches of rows in their order; those still being encoded are missing.
    batches: Vec<Option<EncodedEntries>>,
}

impl<'a> Committer<'a> {
    pub(super) fn new(sink: &'a mut dyn AppendSink, index: IndexWriter) -> Self {
        Self { sink, next_seq: 0, waiting: BTreeMap::new(), index, batches: Vec::new() }
    }

    /// Takes a frame and appends every frame whose turn it is; gives their boxes back through `done`.
    pub(super) fn commit(
        &mut self,
        frame: Box<Frame>,
        recorder: &mut Recorder,
        mut done: impl FnMut(Box<Frame>),
    ) -> Result<(), PipelineError> {
        self.waiting.insert(frame.seq, frame);
        while let Some(mut frame) = self.waiting.remove(&self.next_seq) {
            let begun_ns = recorder.since(Step::SequenceWait, frame.made_ns);
            let header = frame.header.as_ref().expect("a frame that comes here was compressed");
            let parts = [frame.stored_directory(), frame.stored_payload()];
            self.append(header, &frame.encoded_header, parts)?;
            let ended_ns = recorder.since(Step::Commit, begun_ns);
            recorder.between(Step::Block, frame.born_ns, ended_ns);
            frame.lease = None;
            self.next_seq += 1;
            done(frame);
        }
        Ok(())
    }

    /// Appends the frame of a dictionary. All of them come before the first block.
    pub(super) fn dictionary(&mut self, header: &FrameHeader, payload: &[u8]) -> Result<(), PipelineError> {
        assert_eq!(header.seq, self.next_seq, "dictionaries come in order, before every block");
        self.append(header, &header.encode(), [&[], payload])?;
        self.next_seq += 1;
        Ok(())
    }

    /// Appends a header, and the directory and payload it is about.
    fn append(
        &mut self,
        header: &FrameHeader,
        encoded: &[u8; HEADER_LEN],
        [directory, payload]: [&[u8]; 2],
    ) -> Result<(), PipelineError> {
        let offset = self.sink.written();
        let padding = align::padding(offset + header.frame_len());
        self.sink.append(&[encoded, directory, payload, padding]).map_err(PipelineError::Sink)?;
        self.index.block(&BlockRow::of(header, offset)).map_err(PipelineError::Index)
    }

    /// How many frames were appended.
    pub(super) fn committed(&self) -> u64 {
        self.next_seq
    }

    /// Bytes appended to the archive so far.
    pub(super) fn written(&self) -> u64 {
        self.sink.written()
    }

    /// Takes a batch of rows that was encoded.
    pub(super) fn batch(&mut self, number: usize, batch: EncodedEntries) {
        if self.batches.len() <= number {
            self.batches.resize_with(number + 1, || None);
        }
        self.batches[number] = Some(batch);
    }

    /// The index, when every frame is appended and every batch is encoded.
    pub(super) fn finish(self) -> IndexWriter {
        let mut index = self.index;
        for batch in self.batches {
            index.entries(batch.expect("every batch reported back"));
        }
        index
    }
}
