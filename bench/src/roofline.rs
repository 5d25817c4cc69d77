//! Rooflines: how fast each part of packing could be if it were alone.
//!
//! In: a tree. Out: [`Rooflines`]: what digests and codec cost on the same blocks with the same threads, what reading
//! into slots costs with each backend, and what writing as many bytes as the archive has costs. Blocks are built as the
//! engine builds them, from its plan and its rules, equal chunks left out; they are in memory when the clock runs, a
//! bounded portion of the tree at a time.
//!
//! `codec_ns` is the processor time of all threads, divided by the number of threads: what a pack would take whose workers
//! never waited and were never unevenly loaded. The directories of frames and the index are not in it.

mod blocks;
mod reading;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use carrack_backends::read::choose::IoChoice;
use carrack_backends::sink::{self, FileSinkOptions};
use carrack_engine::plan::{Plan, PlanOptions};
use carrack_engine::walk::{self, Input, WalkOptions, Walked};
use carrack_fixtures::rng::Rng;
use carrack_measure::error::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::child::{CODECS, codec};

/// What to measure, and where to write meanwhile.
#[derive(Clone, Debug, clap::Args)]
pub struct RooflineTask {
    /// The folder
    pub tree: PathBuf,
    /// A file to write and remove again
    pub out: PathBuf,
    /// Block compressor
    #[arg(long, default_value = "zstd", value_parser = CODECS)]
    pub codec: String,
    /// Level of zstd
    #[arg(long, default_value_t = 3, allow_negative_numbers = true)]
    pub level: i32,
    /// Threads that hash and compress [default: one a core]
    #[arg(long)]
    pub threads: Option<usize>,
    /// How often each part is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeats: u32,
    /// Make what is written durable
    #[arg(long)]
    pub sync: bool,
}

/// What was found, one number a repeat.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Rooflines {
    /// Threads that hashed and compressed.
    pub threads: usize,
    /// Blocks after equal chunks were left out.
    pub blocks: u64,
    /// Bytes of content that were hashed.
    pub bytes: u64,
    /// Bytes of all blocks as they are stored.
    pub stored_bytes: u64,
    /// Digests and codec, ns.
    pub codec_ns: Vec<u64>,
    /// Reading into slots, ns, by backend; those that work here.
    pub read_ns: BTreeMap<String, Vec<u64>>,
    /// Writing `stored_bytes`, ns.
    pub write_ns: Vec<u64>,
}

impl RooflineTask {
    /// Measures.
    ///
    /// # Errors
    /// When the tree cannot be walked, threads cannot be started, or nothing can be written.
    pub fn carry_out(&self) -> Result<Rooflines> {
        let inputs = [Input { path: self.tree.clone() }];
        let walked = walk::walk(&inputs, &WalkOptions::default(), &|_| (), &|| false);
        let Walked { entries, .. } = walked.at("walk", &self.tree)?;
        let codec = codec(&self.codec, self.level)?;
        let plan = Plan::new(&entries, &PlanOptions { block_size: codec.block_size_default() }).doing("plan")?;
        let threads = self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let mut found = Rooflines { threads, ..Rooflines::default() };
        for _ in 0..self.repeats {
            let work = blocks::run(&entries, &plan, codec, threads)?;
            found.codec_ns.push(work.service_ns / threads.max(1) as u64);
            (found.blocks, found.bytes, found.stored_bytes) = (work.blocks, work.bytes, work.stored_bytes);
            for io in IoChoice::ALL.into_iter().filter(|io| *io != IoChoice::Auto) {
                if let Some(ns) = reading::run(io, &entries.paths, &plan, threads)? {
                    found.read_ns.entry(io.name().to_owned()).or_default().push(ns);
                }
            }
            found.write_ns.push(write(&self.out, found.stored_bytes, found.blocks, self.sync)?);
        }
        Ok(found)
    }
}

/// Writes so many bytes in so many pieces, as an archive is written, and removes them again; ns from before the file is
/// made until it is there. The bytes are random, so that no file system compresses them.
fn write(out: &Path, bytes: u64, pieces: u64, sync: bool) -> Result<u64> {
    let piece = usize::try_from(bytes.div_ceil(pieces.max(1))).doing("size a piece")?;
    let mut content = vec![0; piece];
    Rng::new(1).fill(&mut content);
    let begun = Instant::now();
    let mut sink = sink::create(out, FileSinkOptions { force: true, sync }).at("create", out)?;
    let mut left = bytes;
    while left > 0 {
        let len = left.min(piece as u64);
        sink.append(&[&content[..len as usize]]).at("write", out)?;
        left -= len;
    }
    sink.finish().at("finish", out)?;
    let ns = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    std::fs::remove_file(out).at("remove", out)?;
    Ok(ns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use carrack_engine::pack::Packer;

    #[test]
    fn the_blocks_are_those_of_the_engine() {
        let place = tempfile::tempdir().unwrap();
        let kind = carrack_fixtures::Kind::Versions;
        let scale = carrack_fixtures::Scale::new(0.3).unwrap();
        carrack_fixtures::generate(kind, place.path(), scale, 1, 2).unwrap();
        let tree = place.path().join(kind.name());
        let packed = Packer::new().input(&tree).pack(place.path().join("archive")).unwrap();
        assert!(packed.duplicate_bytes > 0 && packed.blocks > 1, "{packed:?}");
        let out = place.path().join("out");
        let codec = "zstd".to_owned();
        let task = RooflineTask { tree, out: out.clone(), codec, level: 3, threads: Some(3), repeats: 2, sync: false };
        let found = task.carry_out().unwrap();
        assert_eq!((found.blocks, found.bytes, found.threads), (packed.blocks, packed.bytes, 3));
        // The archive has headers, directories and tables besides.
        assert!(found.stored_bytes < packed.archive_bytes && found.stored_bytes > packed.archive_bytes / 2);
        assert_eq!((found.codec_ns.len(), found.write_ns.len()), (2, 2));
        assert!(found.read_ns["pread"].len() == 2 && found.codec_ns.iter().all(|ns| *ns > 0));
        assert!(!out.exists());
    }
}
