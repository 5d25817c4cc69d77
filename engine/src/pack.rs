//! Packs a directory tree: walk → plan → pipeline → index → footer.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use carrack_backends::path::PathId;
use carrack_backends::read::ReadBackend;
use carrack_backends::read::choose::{ReadOptions, open_backend};
use carrack_backends::sink::{self, AppendSink, FileSinkOptions, StreamSink};

use serde_json::{Map, Value};

use crate::budget::{Settings, Tables, Wish};
use crate::codec::CodecError;
use crate::container::head::HEAD;
use crate::container::id::{ArchiveId, ArchiveIdHasher};
use crate::control::{Control, Progress, Stage, Warning};
use crate::dedup::PieceSizes;
use crate::dictionaries::{self, Dictionaries};
use crate::digest::Digest;
use crate::entry::{Entries, XattrChoice};
use crate::error::{Error, ErrorKind, Result};
use crate::pipeline::{self, Job, PipelineError};
use crate::plan::{Files, Kinds, Order, Plan, PlanOptions};
use crate::profile::{Choice, Dials};
use crate::scan;
use crate::stages::{Clock, Stages};
use crate::walk::{self, Input, WalkError, WalkOptions, Walked};

mod builder;
mod finish;
mod sharing;
#[cfg(all(test, feature = "shuttle"))]
mod shuttle_tests;

pub use sharing::Dedup;

/// Packs files and folders into an archive.
///
/// One folder alone becomes the root of the archive; several inputs, or a file, are stored under their names.
///
/// ```
/// use carrack_engine::pack::Packer;
/// use carrack_engine::archive::Archive;
///
/// let place = tempfile::tempdir()?;
/// std::fs::create_dir(place.path().join("tree"))?;
/// std::fs::write(place.path().join("tree/hello.txt"), "hello")?;
///
/// let target = place.path().join("tree.crk");
/// let report = Packer::new().input(place.path().join("tree")).pack(&target)?;
/// assert_eq!((report.files, report.bytes), (1, 5));
///
/// let archive = Archive::open(&target)?;
/// assert_eq!(archive.read(b"hello.txt")?, b"hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Packer {
    inputs: Vec<PathBuf>,
    base_dir: Option<PathBuf>,
    choice: Choice,
    read: ReadOptions,
    slots: Option<u32>,
    slot_size: Option<u32>,
    threads: Option<usize>,
    memory_limit: Option<u64>,
    exclude: Vec<String>,
    one_file_system: bool,
    xattrs: XattrChoice,
    force: bool,
    sync: bool,
    verify: bool,
    stats: bool,
    control: Control,
}

/// What a packed archive holds, and what went not quite right.
#[derive(Clone, Debug)]
pub struct PackReport {
    /// Rows of the archive.
    pub entries: u64,
    /// Regular files among them.
    pub files: u64,
    /// Bytes of content of all files.
    pub bytes: u64,
    /// Bytes of the archive.
    pub archive_bytes: u64,
    /// Frames in the archive.
    pub blocks: u64,
    /// Bytes of content that were found to be stored already.
    pub duplicate_bytes: u64,
    /// Name of the read backend.
    pub backend: &'static str,
    /// NUM_SLOTS.
    pub slots: u32,
    /// Bytes in a slot.
    pub slot_size: usize,
    /// Threads that hashed and compressed.
    pub threads: usize,
    /// What the backend had to do without, and why.
    pub notes: Vec<String>,
    /// What went wrong with single paths.
    pub warnings: Vec<Warning>,
    /// Proves the whole archive.
    pub root: Digest,
    /// Entries that were left out because they were excluded, on another file system, or the archive itself.
    pub left_out: u64,
    /// How long each stage took, and what the run waited for; empty without [`Packer::stats`].
    pub stages: Stages,
}

impl Default for Packer {
    fn default() -> Self {
        Self::new()
    }
}

impl Packer {
    /// Packs into the file `target`, which appears when it is complete, or not at all.
    ///
    /// # Errors
    /// When an input is missing, the target exists (without [`force`](Self::force)) or cannot be written, settings
    /// make no sense, or the run was cancelled. What concerns one file alone is a warning in the report.
    pub fn pack(&self, target: impl AsRef<Path>) -> Result<PackReport> {
        self.check()?;
        let options = FileSinkOptions { force: self.force, sync: self.sync };
        let sink = sink::create(target.as_ref(), options)
            .map_err(|error| Error::with(ErrorKind::Output, "cannot create the archive", error))?;
        self.pack_to_sink(sink)
    }

    /// Packs into a stream, such as standard output.
    ///
    /// # Errors
    /// As [`pack`](Self::pack).
    pub fn pack_to_writer(&self, writer: Box<dyn Write + Send>) -> Result<PackReport> {
        self.pack_to_sink(Box::new(StreamSink::new(writer, "the output stream")))
    }

    /// Packs into any sink.
    ///
    /// # Errors
    /// As [`pack`](Self::pack).
    pub fn pack_to_sink(&self, sink: Box<dyn AppendSink>) -> Result<PackReport> {
        self.check()?;
        let (backend, notes) = open_backend(&self.read)
            .map_err(|error| Error::with(ErrorKind::Usage, "cannot read with the backend asked for", error))?;
        self.pack_with(backend, notes, sink)
    }

    /// Packs with a backend of the caller's own: for tests and measurements.
    ///
    /// # Errors
    /// As [`pack`](Self::pack).
    pub fn pack_with(
        &self,
        backend: Box<dyn ReadBackend>,
        mut notes: Vec<String>,
        mut sink: Box<dyn AppendSink>,
    ) -> Result<PackReport> {
        let dials = self.check()?;
        let wish = self.wish(&dials);
        wish.check()?;
        if self.verify && sink.identity().is_none() {
            let what = "to verify what was written, it must be read back, and a stream cannot be: pack into a file";
            return Err(Error::new(ErrorKind::Usage, what));
        }
        let Walked { entries, problems, left_out, labels } = self.walk(&*sink, &wish)?;
        notes.extend(labels.iter().map(|(name, count)| label_note(name, *count)));
        let mut warnings: Vec<Warning> =
            problems.into_iter().map(|problem| Warning::new(&problem.path, problem.what.to_string())).collect();
        let plan = self.plan(&entries, &wish)?;
        let mut pieces = dials.dedup.pieces(dials.chunk_size, plan.data_bytes())?;
        if let Some(sizes) = pieces {
            let (sizes, note) = sharing::within(&wish, sizes, &entries, &plan);
            notes.extend(note);
            pieces = Some(sizes);
        }
        let kinds = dials.dictionary.map(|_| Dictionaries::kinds(&entries));
        let tables = Tables::of(&entries, &plan, &wish, pieces, kinds.as_ref().map_or(0, Kinds::len));
        let settings = wish.settings(&tables)?;
        notes.extend(wish.note(&tables, &settings));
        let dictionaries = self.dictionaries(&dials, &entries, &plan, kinds, settings.threads)?;
        let job = self.job(&dials, entries, plan, pieces, dictionaries, &settings);
        let backend_name = backend.caps().name;
        let Settings { slots, slot_size, threads, .. } = settings;

        sink.append(&[HEAD]).map_err(|error| Error::with(ErrorKind::Output, "cannot write the archive", error))?;
        let outcome = pipeline::run(job, backend, &mut *sink).map_err(pipeline_error)?;
        notes.extend(outcome.notes);
        warnings.extend(outcome.warnings);
        let counts = *outcome.index.counts();
        let blocks = outcome.index.frames().count;
        self.control.report(&Progress {
            stage: Stage::Finish,
            bytes: counts.bytes,
            bytes_total: counts.bytes,
            entries: counts.entries,
            entries_total: counts.entries,
            stored: sink.written(),
        });
        let root = finish::append_tail(&mut *sink, outcome.index)?;
        if self.verify {
            self.verify_written(&mut *sink, root)?;
        }
        let archive_bytes = finish::finish(sink, &self.control.cancel)?;
        Ok(PackReport {
            entries: counts.entries,
            files: counts.files,
            bytes: counts.bytes,
            archive_bytes,
            blocks,
            duplicate_bytes: outcome.duplicate_bytes,
            backend: backend_name,
            slots,
            slot_size,
            threads,
            notes,
            warnings,
            root,
            left_out: left_out.excluded + left_out.output + left_out.other_file_systems,
            stages: outcome.stages,
        })
    }

    fn check(&self) -> Result<Dials> {
        if self.inputs.is_empty() {
            return Err(Error::new(ErrorKind::Usage, "there is nothing to pack: name a file or folder"));
        }
        self.choice.dials()
    }

    fn walk(&self, sink: &dyn AppendSink, wish: &Wish) -> Result<Walked> {
        let inputs: Vec<Input> = self.inputs.iter().map(|path| Input { path: path.clone() }).collect();
        let options = WalkOptions {
            base: self.base_dir.clone(),
            exclude: self.exclude.clone(),
            one_file_system: self.one_file_system,
            leave_out: sink.identity().into_iter().chain(sink.replaces()).collect(),
            entries_max: wish.entries_max(),
            xattrs: self.xattrs,
            ..WalkOptions::default()
        };
        let progress = |entries| {
            self.control.report(&Progress {
                stage: Stage::Walk,
                bytes: 0,
                bytes_total: 0,
                entries,
                entries_total: 0,
                stored: 0,
            });
        };
        let stop = || self.control.cancel.is_cancelled();
        walk::walk(&inputs, &options, &progress, &stop).map_err(|error| match error {
            WalkError::Stopped => cancelled(),
            WalkError::TooManyEntries if wish.entries_max().is_some() => wish.too_many_entries(),
            WalkError::Exclude { .. } => Error::with(ErrorKind::Usage, "cannot walk the inputs", error),
            error => Error::with(ErrorKind::Input, "cannot walk the inputs", error),
        })
    }

    /// What is read in which order, which may take a look at every file.
    fn plan(&self, entries: &Entries, wish: &Wish) -> Result<Plan> {
        let options = PlanOptions { block_size: wish.block_size };
        if wish.order != Order::Path {
            // What does not fit is known before the work.
            wish.settings(&Tables::of_order(entries, wish))?;
        }
        let files = match wish.order {
            Order::Path => None,
            Order::Type => Some(Files::by_type(entries)),
            Order::Similar => Some(self.by_likeness(entries)?),
        };
        let plan = match files {
            None => Plan::new(entries, &options),
            Some(files) => Plan::ordered(entries, &options, &files),
        };
        plan.map_err(|error| Error::with(ErrorKind::Input, "cannot plan the archive", error))
    }

    fn by_likeness(&self, entries: &Entries) -> Result<Files> {
        let by_path = Files::by_path(entries);
        let files = by_path.rows().len() as u64;
        let progress = |done, bytes| {
            self.control.report(&Progress {
                stage: Stage::Scan,
                bytes,
                bytes_total: 0,
                entries: done,
                entries_total: files,
                stored: 0,
            });
        };
        let stop = || self.control.cancel.is_cancelled();
        let sketches = scan::sketches(entries, by_path.rows(), default_threads(), &progress, &stop);
        Ok(Files::by_likeness(by_path, &sketches.ok_or_else(cancelled)?))
    }

    /// What blocks of one kind have in common, found out from a sample.
    fn dictionaries(
        &self,
        dials: &Dials,
        entries: &Entries,
        plan: &Plan,
        kinds: Option<Kinds>,
        threads: usize,
    ) -> Result<Option<Dictionaries>> {
        let (Some(kinds), Some(len)) = (kinds, dials.dictionary) else { return Ok(None) };
        let &Dials { codec, filter, .. } = dials;
        let settings = dictionaries::Settings { codec, filter, len, threads };
        let progress = |done: usize, groups: usize| {
            self.control.report(&Progress {
                stage: Stage::Train,
                bytes: 0,
                bytes_total: 0,
                entries: done as u64,
                entries_total: groups as u64,
                stored: 0,
            });
        };
        let stop = || self.control.cancel.is_cancelled();
        let made = Dictionaries::train(entries, plan, kinds, &settings, &progress, &stop);
        if stop() {
            return Err(cancelled());
        }
        let cannot = |error: CodecError| Error::with(ErrorKind::Output, "cannot make dictionaries", error);
        made.map(Some).map_err(cannot)
    }

    fn wish(&self, dials: &Dials) -> Wish {
        Wish {
            limit: self.memory_limit,
            codec: dials.codec,
            filter: dials.filter,
            block_size: dials.block_size,
            dedup: dials.dedup != Dedup::None,
            order: dials.order,
            dictionary: dials.dictionary,
            slots: self.slots,
            slot_size: self.slot_size,
            threads: self.threads.map(at_most_useful),
            cores: default_threads(),
        }
    }

    fn job(
        &self,
        dials: &Dials,
        entries: Entries,
        plan: Plan,
        pieces: Option<PieceSizes>,
        dictionaries: Option<Dictionaries>,
        settings: &Settings,
    ) -> Job {
        let options = options(dials, pieces);
        let archive_id = archive_id(&options, &entries);
        let &Settings { slots, slot_size, frames, threads, .. } = settings;
        Job {
            entries: Arc::new(entries),
            plan,
            codec: dials.codec,
            filter: dials.filter,
            dictionaries,
            block_size: dials.block_size,
            slots,
            slot_size,
            frames,
            threads,
            dedup: dials.dedup != Dedup::None,
            pieces,
            archive_id,
            options,
            control: self.control.clone(),
            clock: Clock::new(self.stats),
        }
    }
}

/// The options that the archive's bytes depend on, as they stand in its manifest.
fn options(dials: &Dials, pieces: Option<PieceSizes>) -> Map<String, Value> {
    let mut options = Map::from_iter([
        ("block_size".to_owned(), dials.block_size.into()),
        ("codec".to_owned(), dials.codec.id().name().into()),
        ("dedup".to_owned(), dials.dedup.name().into()),
        ("filter".to_owned(), dials.filter.to_string().into()),
        ("level".to_owned(), dials.codec.level().into()),
    ]);
    if let Some(sizes) = pieces {
        options.insert("chunk_size".to_owned(), sizes.mean().into());
    }
    if let Some(len) = dials.dictionary {
        options.insert("dictionary".to_owned(), len.into());
    }
    // What is by path says nothing of it, as before there was a choice.
    if dials.order != Order::Path {
        options.insert("order".to_owned(), dials.order.name().into());
    }
    options
}

/// Says that entries have a label of a security module, which is not stored.
fn label_note(name: &[u8], count: u64) -> String {
    let of = if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") };
    let how = if name == b"security.selinux" { "; asked for, it is" } else { "" };
    format!("{} of {of} is not stored: it says what this machine thinks of a file{how}", name.escape_ascii())
}

/// As many threads as the process may use at once.
fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// So many threads, or one more than the process may use at once if that is less. A thread that hashes, compresses or
/// decodes waits for nothing, so further ones only take turns, each with a codec's context and with blocks of its own
/// that fall out of the cache meanwhile.
fn at_most_useful(threads: usize) -> usize {
    threads.min(default_threads() + 1)
}

/// The number of threads asked for, as far as they are useful, or the default.
pub(crate) fn threads(wanted: Option<usize>) -> Result<usize> {
    match wanted {
        Some(0) => Err(Error::new(ErrorKind::Usage, "0 threads: at least one is needed")),
        wanted => Ok(wanted.map_or_else(default_threads, at_most_useful)),
    }
}

/// Derived from the options and from everything the walk saw that ends up in the archive: the same tree and the same
/// options give the same id.
fn archive_id(options: &Map<String, Value>, entries: &Entries) -> ArchiveId {
    let mut hasher = ArchiveIdHasher::default();
    hasher.update(Value::Object(options.clone()).to_string().as_bytes());
    // Gathered in a buffer, as BLAKE3 is fast on long inputs only.
    let mut bytes = Vec::with_capacity(1 << 16);
    for row in 0..entries.len() {
        let witness = entries.witnesses.get(row);
        let path = entries.paths.path(PathId(row as u32));
        bytes.extend_from_slice(&(path.len() as u32).to_le_bytes());
        bytes.extend_from_slice(path);
        bytes.push(entries.kinds[row].number());
        bytes.extend_from_slice(&entries.size(row as u32).to_le_bytes());
        bytes.extend_from_slice(&witness.mtime.sec.to_le_bytes());
        bytes.extend_from_slice(&witness.mtime.nsec.to_le_bytes());
        bytes.extend_from_slice(&entries.modes.get(row).to_le_bytes());
        // Most have none, and count as if there were no such thing.
        for xattr in entries.xattrs.get(row as u32) {
            for part in [&xattr.name, &xattr.value] {
                bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
                bytes.extend_from_slice(part);
            }
        }
        if bytes.len() >= (1 << 16) - 4096 {
            hasher.update(&bytes);
            bytes.clear();
        }
    }
    hasher.update(&bytes);
    hasher.finish()
}

fn cancelled() -> Error {
    Error::new(ErrorKind::Cancelled, "stopped before the end; nothing was written")
}

#[cold]
fn pipeline_error(error: PipelineError) -> Error {
    match error {
        PipelineError::Cancelled => cancelled(),
        PipelineError::Sink(error) => Error::with(ErrorKind::Output, "cannot write the archive", error),
        PipelineError::Settings(what) => Error::new(ErrorKind::Usage, what),
        error => Error::with(ErrorKind::Input, "packing failed", error),
    }
}
