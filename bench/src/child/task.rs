//! The steps: as arguments, and carried out.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use carrack_backends::read::choose::{ReadOptions, open_backend};
use carrack_backends::sink::{self, FileSinkOptions};
use carrack_engine::archive::Archive;
use carrack_engine::codec::Codec;
use carrack_engine::control::Escaped;
use carrack_engine::pack::Packer;
use carrack_engine::unpack::Unpacker;
use carrack_engine::verify::VerifyOptions;
use carrack_fixtures::compare::{CompareOptions, Difference, trees};
use carrack_fixtures::rng::Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::contents;
use super::report::{Compared, Complaint, Counted, Packed, Sampled, Times, Unpacked, Verified};
use crate::contender::Contender;
use crate::naive::{Naive, walk};
use crate::roofline::RooflineTask;
use crate::slowed::Slowed;
use carrack_measure::cache::{Cache, Files};
use carrack_measure::error::{Context, Failure, Result};
use carrack_measure::units::parse_size;

/// The block compressors, by name.
pub(crate) const CODECS: [&str; 3] = ["zstd", "lz4", "store"];

/// The codec that a name and a level stand for; the level counts for zstd alone.
///
/// # Errors
/// An unknown name, or a level that zstd does not have.
pub(crate) fn codec(name: &str, level: i32) -> Result<Codec> {
    let level = (name == CODECS[0]).then_some(level);
    Codec::parse(name, level).map_err(|error| Failure::new(error.to_string()))
}

/// What all contenders share; what is not given is the engine's own default.
#[derive(Clone, Debug, clap::Args, Serialize)]
pub struct Settings {
    /// Block compressor; the naive contender knows zstd only
    #[arg(long, default_value = "zstd", value_parser = CODECS, value_name = "NAME")]
    pub codec: String,
    /// Level of zstd
    #[arg(long, default_value_t = 3, allow_negative_numbers = true, value_name = "N")]
    pub level: i32,
    /// Number of slots, that is, read buffers
    #[arg(long, value_name = "N")]
    pub slots: Option<u32>,
    /// Size of a slot, as in 4MiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub slot_size: Option<u32>,
    /// Threads that hash and compress [default: one a core]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
}

impl Settings {
    fn args(&self) -> Vec<OsString> {
        let mut args = vec![format!("--codec={}", self.codec), format!("--level={}", self.level)];
        args.extend(self.slots.map(|slots| format!("--slots={slots}")));
        args.extend(self.slot_size.map(|bytes| format!("--slot-size={bytes}")));
        args.extend(self.threads.map(|threads| format!("--threads={threads}")));
        args.into_iter().map(OsString::from).collect()
    }

    /// Threads of the naive contender.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
    }
}

/// How to pack.
#[derive(Clone, Debug, clap::Args)]
pub struct PackTask {
    /// The folder
    pub tree: PathBuf,
    /// The archive
    pub out: PathBuf,
    /// Who packs
    #[arg(long)]
    pub by: Contender,
    /// Make the archive durable
    #[arg(long)]
    pub sync: bool,
    /// Wait so long before the first read, ns (engine only): a planted slow-down
    #[arg(long, value_name = "NS")]
    pub delay_ns: Option<u64>,
    #[command(flatten)]
    /// How
    pub settings: Settings,
}

/// One step.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Task {
    /// Pack a folder
    Pack(PackTask),
    /// Verify an archive
    Verify {
        /// The archive
        archive: PathBuf,
        /// Threads
        #[arg(long)]
        threads: Option<usize>,
    },
    /// Unpack an archive with all that is in it
    Unpack {
        /// The archive
        archive: PathBuf,
        /// The folder
        dest: PathBuf,
        /// Threads
        #[arg(long)]
        threads: Option<usize>,
    },
    /// Compare two folders byte for byte
    Compare {
        /// The first
        a: PathBuf,
        /// The second
        b: PathBuf,
        /// Only the bytes of regular files count
        #[arg(long)]
        contents: bool,
    },
    /// Bring files into a cache state and look at it
    Cache {
        /// Files and folders
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// The state
        #[arg(long)]
        state: Cache,
    },
    /// Measure how fast each part of packing could be alone
    Roofline(RooflineTask),
    /// Read all files of a folder, so that they are in the page cache, and draw some of them
    Sample {
        /// The folder
        tree: PathBuf,
        /// How many to draw
        #[arg(long, default_value_t = 0)]
        count: usize,
        /// Seed of the draw
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

impl Task {
    /// What it does, as one word.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Task::Pack(_) => "pack",
            Task::Verify { .. } => "verify",
            Task::Unpack { .. } => "unpack",
            Task::Compare { .. } => "compare",
            Task::Sample { .. } => "sample",
            Task::Cache { .. } => "cache",
            Task::Roofline(_) => "roofline",
        }
    }

    /// The arguments that stand for it behind `child`.
    #[must_use]
    pub fn args(&self) -> Vec<OsString> {
        let mut args = vec![OsString::from(self.name())];
        let threads = |threads: &Option<usize>| threads.map(|n| OsString::from(format!("--threads={n}")));
        let mut paths: Vec<&Path> = Vec::new();
        match self {
            Task::Pack(PackTask { tree, out, by, sync, delay_ns, settings }) => {
                args.push(format!("--by={by}").into());
                args.extend(sync.then(|| "--sync".into()));
                args.extend(delay_ns.map(|ns| format!("--delay-ns={ns}").into()));
                args.extend(settings.args());
                paths.extend([tree.as_path(), out]);
            }
            Task::Verify { archive, threads: n } => {
                args.extend(threads(n));
                paths.push(archive);
            }
            Task::Unpack { archive, dest, threads: n } => {
                args.extend(threads(n));
                paths.extend([archive.as_path(), dest]);
            }
            Task::Compare { a, b, contents } => {
                args.extend(contents.then(|| "--contents".into()));
                paths.extend([a.as_path(), b]);
            }
            Task::Cache { paths: files, state } => {
                args.push(format!("--state={state}").into());
                paths.extend(files.iter().map(PathBuf::as_path));
            }
            Task::Roofline(RooflineTask { tree, out, codec, level, threads: n, repeats, sync }) => {
                let numbers = [format!("--level={level}"), format!("--repeats={repeats}")];
                args.push(format!("--codec={codec}").into());
                args.extend(numbers.map(OsString::from));
                args.extend(threads(n));
                args.extend(sync.then(|| "--sync".into()));
                paths.extend([tree.as_path(), out]);
            }
            Task::Sample { tree, count, seed } => {
                args.extend([format!("--count={count}"), format!("--seed={seed}")].map(OsString::from));
                paths.push(tree);
            }
        }
        args.push("--".into());
        args.extend(paths.into_iter().map(|path| path.as_os_str().to_owned()));
        args
    }

    /// Carries it out and writes its report to standard output.
    ///
    /// # Errors
    /// When the step as a whole fails. What concerns single paths or blocks is in the report.
    pub fn carry_out(&self) -> Result<()> {
        match self {
            Task::Pack(task) => answer(&task.carry_out()?),
            Task::Verify { archive, threads } => answer(&verify(archive, *threads)?),
            Task::Unpack { archive, dest, threads } => answer(&unpack(archive, dest, *threads)?),
            Task::Compare { a, b, contents: false } => answer(&compare(a, b)?),
            Task::Compare { a, b, contents: true } => answer(&contents::compare(a, b)),
            Task::Cache { paths, state } => answer(&state.prepare(&Files::below(paths))?),
            Task::Roofline(task) => answer(&task.carry_out()?),
            Task::Sample { tree, count, seed } => answer(&sample(tree, *count, *seed)?),
        }
    }
}

fn answer(report: &impl Serialize) -> Result<()> {
    serde_json::to_writer(io::stdout().lock(), report).doing("write the report")
}

impl PackTask {
    fn carry_out(&self) -> Result<Packed> {
        match self.by {
            Contender::Engine(io) => {
                let Settings { ref codec, level, slots, slot_size, threads } = self.settings;
                let codec = self::codec(codec, level)?;
                let mut packer = Packer::new().input(&self.tree).codec(codec).io(io).sync(self.sync);
                if let Some(slots) = slots {
                    packer = packer.slots(slots);
                }
                if let Some(bytes) = slot_size {
                    packer = packer.slot_size(bytes);
                }
                if let Some(threads) = threads {
                    packer = packer.threads(threads);
                }
                let report = match self.delay_ns {
                    None => packer.pack(&self.out),
                    Some(ns) => {
                        let options = ReadOptions { choice: io, ..ReadOptions::default() };
                        let (backend, notes) = open_backend(&options).map_err(|e| Failure::new(e.to_string()))?;
                        let backend = Slowed::new(backend, Duration::from_nanos(ns));
                        let file = FileSinkOptions { force: false, sync: self.sync };
                        let sink = sink::create(&self.out, file).at("create", &self.out)?;
                        packer.pack_with(Box::new(backend), notes, sink)
                    }
                };
                let report = report.map_err(|error| Failure::new(error.to_string()))?;
                Ok(Packed {
                    entries: report.entries,
                    files: report.files,
                    bytes: report.bytes,
                    archive_bytes: report.archive_bytes,
                    blocks: report.blocks,
                    duplicate_bytes: report.duplicate_bytes,
                    backend: report.backend.to_owned(),
                    notes: report.notes,
                    warnings: Counted::warnings(&report.warnings),
                    root: report.root.to_string(),
                    times: Times::of(&report.stages),
                })
            }
            Contender::Naive => self.naive(),
        }
    }

    fn naive(&self) -> Result<Packed> {
        if self.settings.codec != CODECS[0] {
            return Err(Failure::new(format!("the naive contender knows zstd only, not {}", self.settings.codec)));
        }
        let naive =
            Naive { threads: self.settings.workers(), level: self.settings.level, block: 1 << 20, sync: self.sync };
        let report = naive.pack(&self.tree, &self.out).doing("pack")?;
        let skipped = match report.skipped {
            0 => Vec::new(),
            skipped => vec![format!("{skipped} files or folders could not be read and were left out")],
        };
        Ok(Packed {
            entries: 0,
            files: report.files,
            bytes: report.bytes,
            archive_bytes: report.archive_bytes,
            blocks: report.blocks,
            duplicate_bytes: 0,
            backend: self.by.name().to_owned(),
            notes: skipped,
            warnings: Counted::default(),
            root: String::new(),
            times: Times::default(),
        })
    }
}

fn open(archive: &Path) -> Result<Archive> {
    Archive::open(archive).map_err(|error| Failure::new(error.to_string()))
}

fn verify(archive: &Path, threads: Option<usize>) -> Result<Verified> {
    let options = VerifyOptions { threads, ..VerifyOptions::default() };
    let report = open(archive)?.verify(&options).map_err(|error| Failure::new(error.to_string()))?;
    Ok(Verified {
        files: report.files,
        bytes: report.bytes,
        blocks: report.blocks,
        damage: Counted::sentences(&report.damage),
        times: Times::of(&report.stages),
    })
}

fn unpack(archive: &Path, dest: &Path, threads: Option<usize>) -> Result<Unpacked> {
    let archive = open(archive)?;
    let root = archive.find(b"").map_err(|error| Failure::new(error.to_string()))?;
    let keep = root.is_some_and(|root| keeps_owners(root.uid));
    let mut unpacker = Unpacker::new(&archive).specials(true).same_owner(keep);
    if let Some(threads) = threads {
        unpacker = unpacker.threads(threads);
    }
    let report = unpacker.unpack(dest).map_err(|error| Failure::new(error.to_string()))?;
    Ok(Unpacked {
        files: report.files,
        bytes: report.bytes,
        damage: Counted::sentences(&report.damage),
        warnings: Counted::warnings(&report.warnings),
        times: Times::of(&report.stages),
    })
}

/// Whether this user can give files the owner that they had: root can, and so can who owns them already. (Without its
/// owner a file does not get its setuid and setgid bits back either.)
fn keeps_owners(owner: u32) -> bool {
    let user = rustix::process::geteuid();
    user.is_root() || user.as_raw() == owner
}

/// Everything that an archive keeps counts, owners where they can be restored.
fn compare(a: &Path, b: &Path) -> Result<Compared> {
    let owners = keeps_owners(std::fs::metadata(a).at("look at", a)?.uid());
    let options =
        CompareOptions { owners, holes: true, max: super::report::COMPLAINTS_MAX, ..CompareOptions::default() };
    let differences = trees(a, b, &options).map_err(|error| Failure::new(error.to_string()))?;
    let words = |difference: &Difference| Complaint {
        path: Escaped(&difference.path).to_string(),
        what: difference.what.to_string(),
    };
    Ok(Compared { differences: Counted::of(&differences, words) })
}

fn sample(tree: &Path, count: usize, seed: u64) -> Result<Sampled> {
    let files = walk(tree, &AtomicU64::new(0));
    let read = |(path, _): &(PathBuf, u64)| -> u64 {
        let mut buffer = vec![0; 1 << 18];
        let Ok(mut file) = File::open(path) else { return 0 };
        std::iter::from_fn(|| file.read(&mut buffer).ok().filter(|&n| n > 0)).map(|n| n as u64).sum()
    };
    let bytes = files.par_iter().map(read).sum();
    let mut rng = Rng::new(seed);
    let draw = |_| {
        let (path, _) = files.get(rng.below(files.len() as u64) as usize)?;
        path.strip_prefix(tree).ok()?.to_str().map(str::to_owned)
    };
    let paths = (0..count).filter_map(draw).collect();
    Ok(Sampled { files: files.len() as u64, bytes, paths })
}
