//! An open archive: its rows, and the contents of its files.

mod reader;
mod rows;

use std::fmt;
use std::fs::File;
use std::io::Write;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::OFlags;

use crate::codec::{CodecId, Filters};
use crate::container::source::{FileSource, Source};
use crate::control::Escaped;
use crate::digest::{Digest, Hasher};
use crate::entry::{Entry, Kind, Row};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{BlockRow, Index, IndexError, Scratch};
use crate::restore::dictionaries::Dictionaries;
use crate::restore::frames::FrameError;
use reader::BlockReader;

/// An archive that is open for reading. Opening reads the footer alone; looking a path up reads one batch of rows;
/// reading a file decodes the blocks that hold it, and no others.
///
/// ```
/// use carrack_engine::archive::Archive;
/// use carrack_engine::pack::Packer;
///
/// let place = tempfile::tempdir()?;
/// std::fs::create_dir(place.path().join("tree"))?;
/// std::fs::write(place.path().join("tree/hello.txt"), "hello, world")?;
/// Packer::new().input(place.path().join("tree")).pack(place.path().join("tree.crk"))?;
///
/// let archive = Archive::open(place.path().join("tree.crk"))?;
/// assert_eq!(archive.read(b"hello.txt")?, b"hello, world");
/// assert_eq!(archive.read_range(b"hello.txt", 7..12)?, b"world");
/// for entry in archive.entries() {
///     let entry = entry?;
///     println!("{} {}", entry.size, String::from_utf8_lossy(&entry.path));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Archive {
    name: String,
    source: Arc<dyn Source>,
    index: Arc<Index>,
    dictionaries: Dictionaries,
    /// Readers that nobody uses at the moment.
    spare: Mutex<Vec<BlockReader>>,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Facts about a whole archive.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Version of the format.
    pub format: u16,
    /// The archive's id, in hexadecimal digits.
    pub archive_id: String,
    /// Proves the whole archive.
    pub root: Digest,
    /// Rows.
    pub entries: u64,
    /// Regular files.
    pub files: u64,
    /// Folders.
    pub folders: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Further names of files.
    pub hardlinks: u64,
    /// Pipes, sockets and devices.
    pub specials: u64,
    /// Bytes of content of all files.
    pub bytes: u64,
    /// Bytes of the archive.
    pub archive_bytes: u64,
    /// Frames.
    pub frames: u64,
    /// What the writer was asked for.
    pub options: serde_json::Value,
}

/// What the archive knows of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockInfo {
    /// Its number.
    pub seq: u64,
    /// What its payload is.
    pub kind: &'static str,
    /// How its payload is compressed.
    pub codec: &'static str,
    /// What was done to its bytes before that.
    pub filters: Filters,
    /// The frame whose payload is the dictionary of this one.
    pub dictionary: Option<u64>,
    /// Where it begins in the archive, bytes.
    pub offset: u64,
    /// Length of its payload, uncompressed, bytes.
    pub raw_len: u32,
    /// Length of its payload as stored, bytes.
    pub stored_len: u32,
    /// Digest of directory and payload as stored.
    pub digest: Digest,
}

impl From<&BlockRow> for BlockInfo {
    fn from(row: &BlockRow) -> Self {
        let &BlockRow { seq, kind, codec, filters, dictionary, offset, raw_len, stored_len, digest, .. } = row;
        Self {
            seq,
            kind: kind.name(),
            codec: CodecId(codec).name().unwrap_or("unknown"),
            filters: Filters(filters),
            dictionary,
            offset,
            raw_len,
            stored_len,
            digest,
        }
    }
}

impl Archive {
    /// Opens an archive in a file.
    ///
    /// # Errors
    /// When the file cannot be read, is no archive, needs a newer version, or its footer is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = Escaped(path.as_os_str().as_bytes()).to_string();
        // A pipe is refused, and not waited for until somebody writes to it.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let source = File::options()
            .read(true)
            .custom_flags(flags)
            .open(path)
            .and_then(FileSource::new)
            .map_err(|error| Error::with(ErrorKind::Input, format!("cannot open {name}"), error))?;
        Self::from_source(name, Arc::new(source))
    }

    /// Opens an archive whose bytes come from anywhere; `name` stands for it in errors.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_source(name: impl Into<String>, source: Arc<dyn Source>) -> Result<Self> {
        let name = name.into();
        let index = Index::open(&*source).map_err(|error| index_error(&name, error))?;
        let (dictionaries, spare) = (Dictionaries::default(), Mutex::default());
        Ok(Self { name, source, index: Arc::new(index), dictionaries, spare })
    }

    /// Keeps at most so many bytes of decoded rows, so that whoever reads many files of a large archive decodes each batch
    /// of rows once: some 220 bytes an entry, 384 MiB at most by default, and none before they are asked for.
    #[must_use]
    pub fn keep_rows(self, bytes: usize) -> Self {
        self.index.keep(bytes);
        self
    }

    /// The name it goes by in errors.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its bytes come from.
    #[must_use]
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// Its index.
    #[must_use]
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Facts about the whole archive.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let manifest = self.index.manifest();
        let counts = manifest.counts;
        Summary {
            format: manifest.format,
            archive_id: manifest.archive_id.clone(),
            root: self.index.root(),
            entries: counts.entries,
            files: counts.files,
            folders: counts.dirs,
            symlinks: counts.symlinks,
            hardlinks: counts.hardlinks,
            specials: counts.fifos + counts.sockets + counts.devices,
            bytes: counts.bytes,
            archive_bytes: self.source.len(),
            frames: self.index.frames(),
            options: manifest.options.clone().into(),
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.index.rows()
    }

    /// Whether there is no row at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `each` for every row and its number, in order, without allocating for each.
    ///
    /// # Errors
    /// When the index is damaged, and what `each` says.
    pub fn for_each(&self, each: &mut dyn FnMut(u32, &Row<'_>) -> Result<()>) -> Result<()> {
        let mut rows = self.index.entries(&*self.source);
        while let Some((number, row)) = rows.next_row().map_err(|error| self.error(error))? {
            each(row_number(number), &row)?;
        }
        Ok(())
    }

    /// Every row in order. Ends after the first error.
    pub fn entries(&self) -> Box<dyn Iterator<Item = Result<Entry>> + '_> {
        let mut rows = Some(self.index.entries(&*self.source));
        Box::new(std::iter::from_fn(move || {
            let next = rows.as_mut()?.next_row();
            let next = next.map(|row| row.map(|(_, row)| Entry::from(&row)));
            if !matches!(next, Ok(Some(_))) {
                rows = None;
            }
            next.map_err(|error| self.error(error)).transpose()
        }))
    }

    /// The row of a path; the empty path is the archive's root.
    ///
    /// # Errors
    /// When the index is damaged. A path that is not there is `None`.
    pub fn find(&self, path: &[u8]) -> Result<Option<Entry>> {
        let found = self.index.find(&*self.source, path).map_err(|error| self.error(error))?;
        Ok(found.map(|found| Entry::from(&found.row(&mut Scratch::default()))))
    }

    /// The row of that number.
    ///
    /// # Errors
    /// When the index is damaged, or there is no such row.
    pub fn row(&self, number: u32) -> Result<Entry> {
        let found = self.index.row(&*self.source, number.into()).map_err(|error| self.error(error))?;
        Ok(Entry::from(&found.row(&mut Scratch::default())))
    }

    /// The path of the row of that number.
    ///
    /// # Errors
    /// As [`row`](Self::row).
    pub fn row_path(&self, number: u32) -> Result<Vec<u8>> {
        let found = self.index.row(&*self.source, number.into()).map_err(|error| self.error(error))?;
        Ok(found.batch.path(found.at).to_vec())
    }

    /// Calls `each` for every frame, in order.
    ///
    /// # Errors
    /// When the index is damaged, and what `each` says.
    pub fn blocks(&self, each: &mut dyn FnMut(&BlockInfo) -> Result<()>) -> Result<()> {
        let mut rows = self.index.blocks(&*self.source);
        for seq in 0..self.index.frames() {
            each(&BlockInfo::from(&rows.get(seq).map_err(|error| self.error(error))?))?;
        }
        Ok(())
    }

    fn block(&self, seq: u64) -> Result<BlockRow> {
        self.index.block(&*self.source, seq).map_err(|error| self.error(error))
    }

    /// The contents of a file, proved by its digest. A hard link stands for the file it names.
    ///
    /// # Errors
    /// When the path is not there or names no file, the file does not fit in memory, or a block it needs is damaged.
    pub fn read(&self, path: &[u8]) -> Result<Vec<u8>> {
        let entry = self.file(path)?;
        let mut bytes = self.room_for(path, entry.size)?;
        self.copy_entry(&entry, &mut bytes)?;
        Ok(bytes)
    }

    /// Some bytes of a file; what lies beyond its end is left out. Every block that is decoded is proved by its digest.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_range(&self, path: &[u8], range: Range<u64>) -> Result<Vec<u8>> {
        let entry = self.file(path)?;
        let range = range.start.min(entry.size)..range.end.min(entry.size);
        let mut bytes = self.room_for(path, range.end.saturating_sub(range.start))?;
        self.walk_contents(&entry, &range, &mut |piece| {
            match piece {
                Piece::Bytes(piece) => bytes.extend_from_slice(piece),
                Piece::Zeros(len) => bytes.resize(bytes.len() + len as usize, 0),
            }
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Memory for so many bytes of a file: holes make any size possible.
    fn room_for(&self, path: &[u8], len: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let too_many = || {
            let what = format!("{}: {len} bytes of {} do not fit in memory", self.name, Escaped(path));
            Error::new(ErrorKind::Output, what)
        };
        let room = usize::try_from(len).map_err(|_| too_many())?;
        bytes.try_reserve_exact(room).map_err(|_| too_many())?;
        Ok(bytes)
    }

    /// Copies the contents of a file to `out` and says how many bytes it has. A file in one block is proved before
    /// its first byte goes out; of a larger one each block is, and the whole at the end.
    ///
    /// # Errors
    /// As [`read`](Self::read), and what `out` says.
    pub fn copy_to(&self, path: &[u8], out: &mut dyn Write) -> Result<u64> {
        self.copy_entry(&self.file(path)?, out)
    }

    fn copy_entry(&self, entry: &Entry, out: &mut dyn Write) -> Result<u64> {
        let expected = entry.digest.unwrap_or_default();
        let in_one_piece = entry.holes.is_empty() && entry.extents.len() == 1;
        let mut hasher = Hasher::new();
        self.walk_contents(entry, &(0..entry.size), &mut |piece| match piece {
            Piece::Bytes(bytes) => {
                hasher.update(bytes);
                if in_one_piece {
                    self.check_digest(entry, &expected, &hasher.digest())?;
                }
                out.write_all(bytes).map_err(output_error)
            }
            Piece::Zeros(mut len) => {
                static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
                while len > 0 {
                    let part = len.min(ZEROS.len() as u64);
                    hasher.update_zeros(part);
                    out.write_all(&ZEROS[..part as usize]).map_err(output_error)?;
                    len -= part;
                }
                Ok(())
            }
        })?;
        self.check_digest(entry, &expected, &hasher.digest())?;
        Ok(entry.size)
    }

    fn check_digest(&self, entry: &Entry, expected: &Digest, found: &Digest) -> Result<()> {
        if expected == found {
            return Ok(());
        }
        let path = Escaped(&entry.path);
        Err(self.damaged(&format!("the content of {path} has the digest {found}, not {expected}")))
    }

    /// The row of a file; for a hard link, of the file it names.
    fn file(&self, path: &[u8]) -> Result<Entry> {
        let entry = self
            .find(path)?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("not in the archive: {}", Escaped(path))))?;
        match (entry.kind, entry.hardlink) {
            (Kind::File, _) => Ok(entry),
            (Kind::Hardlink, Some(first)) => self.row(first),
            (kind, _) => Err(Error::new(
                ErrorKind::Usage,
                format!("{} is a {}, which has no contents", Escaped(path), kind.name()),
            )),
        }
    }

    /// Goes through the bytes and holes of a file that lie in `range`, in order.
    fn walk_contents(
        &self,
        entry: &Entry,
        range: &Range<u64>,
        each: &mut dyn FnMut(Piece<'_>) -> Result<()>,
    ) -> Result<()> {
        let spare = || self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reader = spare().pop().unwrap_or_default();
        self.walk_with(&mut reader, entry, range, each)?;
        // After an error it is not kept: nobody knows what it holds.
        reader.wait_in(&mut spare());
        Ok(())
    }

    fn walk_with(
        &self,
        reader: &mut BlockReader,
        entry: &Entry,
        range: &Range<u64>,
        each: &mut dyn FnMut(Piece<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut holes = entry.holes.iter().peekable();
        let mut extents = entry.extents.iter();
        let mut at = 0;
        while at < range.end {
            if let Some(hole) = holes.next_if(|hole| hole.offset == at) {
                let inside = overlap(&(at..at + hole.len), range);
                if !inside.is_empty() {
                    each(Piece::Zeros(inside.end - inside.start))?;
                }
                at += hole.len;
                continue;
            }
            let Some(extent) = extents.next() else { break };
            let end = at + u64::from(extent.len);
            let inside = overlap(&(at..end), range);
            if !inside.is_empty() {
                let within = (inside.start - at) as usize..(inside.end - at) as usize;
                let bytes = reader.extent(self, extent, within.end)?;
                each(Piece::Bytes(&bytes[within]))?;
            }
            at = end;
        }
        Ok(())
    }

    /// An error that says that this archive is damaged.
    #[cold]
    pub(crate) fn damaged(&self, what: &dyn fmt::Display) -> Error {
        Error::new(ErrorKind::Damaged, format!("{}: {what}", self.name))
    }

    /// Sentences about the archive with its name in front.
    pub(crate) fn name_each(&self, what: Vec<String>) -> Vec<String> {
        what.into_iter().map(|what| format!("{}: {what}", self.name)).collect()
    }

    /// What the index said, about this archive.
    #[cold]
    pub(crate) fn error(&self, error: IndexError) -> Error {
        index_error(&self.name, error)
    }

    #[cold]
    fn frame_error(&self, seq: u64, error: FrameError) -> Error {
        let kind = match error.cause() {
            FrameError::Container(IndexError::Io { .. }) => ErrorKind::Input,
            FrameError::Codec(error) if error.needs_newer() => ErrorKind::Newer,
            _ => ErrorKind::Damaged,
        };
        Error::new(kind, format!("{}: block {seq}: {error}", self.name))
    }
}

/// What a file is made of.
enum Piece<'a> {
    Bytes(&'a [u8]),
    Zeros(u64),
}

fn overlap(a: &Range<u64>, b: &Range<u64>) -> Range<u64> {
    a.start.max(b.start)..a.end.min(b.end)
}

fn row_number(number: u64) -> u32 {
    u32::try_from(number).expect("the index refuses archives of more than 2^32 rows")
}

fn output_error(error: std::io::Error) -> Error {
    Error::with(ErrorKind::Output, "cannot write the output", error)
}

#[cold]
fn index_error(name: &str, error: IndexError) -> Error {
    let kind = match &error {
        IndexError::NotAnArchive { .. } => ErrorKind::NotAnArchive,
        IndexError::NewerVersion { .. } | IndexError::Unsupported { .. } => ErrorKind::Newer,
        IndexError::Io { .. } => ErrorKind::Input,
        IndexError::Refused { .. } => ErrorKind::Output,
        IndexError::Truncated { .. } | IndexError::Damaged(_) | IndexError::TooLarge { .. } => ErrorKind::Damaged,
    };
    Error::new(kind, format!("{name}: {error}"))
}
