//! The stages: their names, what kind of time each is, and what one sample is about. Here and nowhere else.

use serde::Serialize;

/// What kind of time a stage's samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Somebody worked on it, be it a thread or the kernel.
    Service,
    /// It lay ready, or somebody waited for it, and nobody worked on it.
    Wait,
    /// Its whole way through several stages, services and waits together.
    Road,
}

impl Kind {
    /// Its name in tables and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Service => "service",
            Kind::Wait => "wait",
            Kind::Road => "road",
        }
    }
}

/// What one sample of a stage is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// One read that a backend was asked for; on the way back, the read of one frame.
    Request,
    /// One slot, that is, one load: some blocks that are read together.
    Slot,
    /// One block.
    Block,
    /// One frame: a block as it is stored.
    Frame,
    /// One file.
    File,
    /// One batch of rows of the index.
    Batch,
    /// One message to the coordinator.
    Event,
}

impl Unit {
    /// Its name in tables and in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Unit::Request => "request",
            Unit::Slot => "slot",
            Unit::Block => "block",
            Unit::Frame => "frame",
            Unit::File => "file",
            Unit::Batch => "batch",
            Unit::Event => "event",
        }
    }
}

/// A stretch of the road whose time is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The reader wants an empty slot → it has one. Reads that are under way go on meanwhile.
    SlotWait,
    /// The thread that reads frames wants an empty buffer → it has one.
    BufferWait,
    /// A read is queued → handed to the kernel.
    QueueWait,
    /// A read is handed to the kernel → found complete. On the way back: reading one frame of the archive.
    Read,
    /// The first read of a file is queued → its last read is complete, reading it again included.
    File,
    /// The last read of a slot is complete → a worker begins to hash it.
    DigestWait,
    /// Hashing the chunks of one slot.
    Digest,
    /// A slot is hashed → its turn to be placed has come.
    PlaceWait,
    /// Placing the chunks of one slot: finding duplicates, building blocks and rows.
    Place,
    /// A block is sealed → there is a free frame for it.
    FrameWait,
    /// A block has its frame → a worker begins to compress it.
    CompressWait,
    /// Compressing one block and its directory, and hashing what is stored.
    Compress,
    /// A frame is made → its turn to be committed has come.
    SequenceWait,
    /// Appending one frame to the sink.
    Commit,
    /// Encoding one batch of rows of the index.
    Encode,
    /// The coordinator has nothing to do → the next event is there.
    EventWait,
    /// A frame is read → a worker begins to check it.
    DecodeWait,
    /// Checking and decoding one frame.
    Decode,
    /// Hashing the files of one block against their digests, where nothing is written.
    Prove,
    /// Proving, creating, writing and closing the files of one block.
    Write,
    /// The first read of a block is queued → its frame is committed. On the way back: its frame's read begins → all that
    /// it holds is delivered.
    Block,
}

impl Step {
    /// Every step, in the order of the flow.
    pub const ALL: [Step; 21] = [
        Step::SlotWait,
        Step::BufferWait,
        Step::QueueWait,
        Step::Read,
        Step::File,
        Step::DigestWait,
        Step::Digest,
        Step::PlaceWait,
        Step::Place,
        Step::FrameWait,
        Step::CompressWait,
        Step::Compress,
        Step::SequenceWait,
        Step::Commit,
        Step::Encode,
        Step::EventWait,
        Step::DecodeWait,
        Step::Decode,
        Step::Prove,
        Step::Write,
        Step::Block,
    ];

    /// Its name in tables, in JSON and as a tag of histogram logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Step::SlotWait => "slot_wait",
            Step::QueueWait => "queue_wait",
            Step::Read => "read",
            Step::File => "file",
            Step::DigestWait => "digest_wait",
            Step::Digest => "digest",
            Step::PlaceWait => "place_wait",
            Step::Place => "place",
            Step::FrameWait => "frame_wait",
            Step::CompressWait => "compress_wait",
            Step::Compress => "compress",
            Step::SequenceWait => "sequence_wait",
            Step::Commit => "commit",
            Step::Encode => "encode",
            Step::EventWait => "event_wait",
            Step::BufferWait => "buffer_wait",
            Step::DecodeWait => "decode_wait",
            Step::Decode => "decode",
            Step::Prove => "prove",
            Step::Write => "write",
            Step::Block => "block",
        }
    }

    /// What kind of time it is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Step::Read
            | Step::Digest
            | Step::Place
            | Step::Compress
            | Step::Commit
            | Step::Encode
            | Step::Decode
            | Step::Prove
            | Step::Write => Kind::Service,
            Step::SlotWait
            | Step::QueueWait
            | Step::DigestWait
            | Step::PlaceWait
            | Step::FrameWait
            | Step::CompressWait
            | Step::SequenceWait
            | Step::EventWait
            | Step::BufferWait
            | Step::DecodeWait => Kind::Wait,
            Step::File | Step::Block => Kind::Road,
        }
    }

    /// What one sample is about.
    #[must_use]
    pub fn unit(self) -> Unit {
        match self {
            Step::QueueWait | Step::Read => Unit::Request,
            Step::SlotWait | Step::DigestWait | Step::Digest | Step::PlaceWait | Step::Place => Unit::Slot,
            Step::FrameWait | Step::CompressWait | Step::Compress | Step::Prove | Step::Write | Step::Block => {
                Unit::Block
            }
            Step::SequenceWait | Step::Commit | Step::BufferWait | Step::DecodeWait | Step::Decode => Unit::Frame,
            Step::File => Unit::File,
            Step::Encode => Unit::Batch,
            Step::EventWait => Unit::Event,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_stands_at_its_own_number_and_says_in_its_name_whether_it_is_a_wait() {
        for (number, step) in Step::ALL.into_iter().enumerate() {
            assert_eq!(step as usize, number, "{step:?}");
            assert_eq!(step.name().ends_with("_wait"), step.kind() == Kind::Wait, "{step:?}");
            assert!(step.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{step:?}");
        }
    }

    #[test]
    fn names_in_json_are_those_in_tables() {
        for step in Step::ALL {
            assert_eq!(serde_json::to_value(step.kind()).unwrap(), step.kind().name());
            assert_eq!(serde_json::to_value(step.unit()).unwrap(), step.unit().name());
        }
    }
}
