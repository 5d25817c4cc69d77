//! Salvages what is left of a broken archive.
//!
//! In: the bytes of what was an archive, whatever is missing of them. Out: a [`Salvaged`], an archive put together anew from the
//! frames that are intact and a new index, which can be listed, unpacked, or written to a file as it is.
//!
//! 1. Frames are searched by their magic (`scan`); header checksum and digest prove each. What cannot be read is as good as zeros (`scarred`).
//! 2. Rows come from the index where that is intact, else from the directories of the frames (`rows`).
//! 3. What has all its blocks is decoded and hashed (`hash`): the digest of a row is proved where there was one, and made where there was none.
//! 4. The new archive (`rebuilt`, `pieced`) has the frames as they were, at their own numbers, empty tables in place of those that are missing or
//!    that somebody wrote so that they cannot be decoded, and a new tail.
//!
//! Memory: all rows and their paths, some 300 bytes each; a frame and some 32 MiB of decoded blocks a thread.

mod hash;
mod pieced;
mod rebuilt;
mod rows;
mod scan;
mod scarred;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::ops::Range;
use std::sync::Arc;
use std::thread;

use crate::archive::Archive;
use crate::codec::{CodecError, Decoder};
use crate::container::id::ArchiveId;
use crate::container::source::Source;
use crate::control::{Control, Escaped, Progress, Stage};
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::index::rules::check_row;
use crate::index::{BlockRow, Index, IndexError};
use crate::restore::frames::FrameError;
use carrack_backends::sink::AppendSink;
use hash::{Blocks, Proof};
use rebuilt::{Left, put_together};
use rows::{Assembled, Records};
use scarred::Scarred;

/// Frames that may be missing between those that are left: each is replaced by one of 128 bytes.
const MISSING_MAX: u64 = 1 << 20;
/// Bytes that are copied at a time.
const COPY: usize = 1 << 20;

/// What was found and what was not.
#[derive(Clone, Debug, Default)]
pub struct SalvageReport {
    /// Rows of the new archive.
    pub entries: u64,
    /// Files among them.
    pub files: u64,
    /// Bytes of content of these files.
    pub bytes: u64,
    /// Frames that are intact.
    pub frames: u64,
    /// Frames whose numbers are missing between those that are intact.
    pub missing: u64,
    /// Intact frames whose contents or directories cannot be read, as somebody meant it: they are replaced as well.
    pub unreadable: u64,
    /// Whether the index of the archive was intact: then everything that is lost has a name here.
    pub has_index: bool,
    /// Stretches of the broken archive that hold no intact frame, bytes; the head, the tables and the footer are among them.
    pub gaps: Vec<Range<u64>>,
    /// Stretches that the system could not read, bytes, and what it said. They are taken for zeros, and belong to the gaps.
    pub unread: Vec<(Range<u64>, String)>,
    /// What is known to be lost: a path and the reason each.
    pub lost: Vec<(Vec<u8>, String)>,
    /// Folders whose own records are lost: they are there, with permissions 755.
    pub made_up: Vec<Vec<u8>>,
    /// Other archives among the bytes, which were left alone: the id of each in hexadecimal digits, and how many intact frames it
    /// has; in order of id.
    pub others: Vec<(String, u64)>,
}

impl SalvageReport {
    /// Whether everything is there.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let is_there = self.has_index && self.missing + self.unreadable == 0 && self.unread.is_empty();
        is_there && self.lost.is_empty() && self.made_up.is_empty()
    }
}

/// What is left of an archive, as an archive.
pub struct Salvaged {
    /// The archive: list it, read from it, unpack it.
    pub archive: Archive,
    /// What was found and what was not.
    pub report: SalvageReport,
}

/// What a scan found of one archive.
#[derive(Default)]
struct Found {
    frames: BTreeMap<u64, BlockRow>,
    /// Frames whose digests are right and whose directories cannot be read.
    undirected: BTreeSet<u64>,
    records: Records,
    bytes: u64,
}

/// Puts together what is left of an archive; `name` stands for it in errors.
///
/// # Errors
/// [`ErrorKind::NotAnArchive`] when there is no frame at all; when the source cannot be read, or the run was cancelled.
pub fn salvage(name: &str, source: Arc<dyn Source>, control: &Control) -> Result<Salvaged> {
    salvage_one(name, source, None, control)
}

/// As [`salvage`], but of several archives among the bytes the one of this id, in hexadecimal digits: an archive that was packed
/// into another one, say.
///
/// # Errors
/// As [`salvage`]; also [`ErrorKind::Usage`] when there is nothing of an archive of that id.
pub fn salvage_one(name: &str, source: Arc<dyn Source>, id: Option<&str>, control: &Control) -> Result<Salvaged> {
    let wanted = id.map(|id| wanted(name, id)).transpose()?;
    let unreadable = |error: IndexError| Error::with(ErrorKind::Input, format!("{name} cannot be read"), error);
    let scarred = Arc::new(Scarred::new(Arc::clone(&source)));
    let (mut found, gaps) = scan(&*scarred, control).map_err(unreadable)?;
    check(control)?;
    let index = Index::open(&*scarred).ok();
    let bytes: HashMap<ArchiveId, u64> = found.iter().map(|(id, found)| (*id, found.bytes)).collect();
    let known = index.as_ref().map(Index::archive_id);
    if let Some(id) = wanted.filter(|id| !found.contains_key(id) && known != Some(*id)) {
        return Err(absent(name, id, &others(&found)));
    }
    let Some(archive_id) = wanted.or(known).or_else(|| scan::largest(&bytes)) else {
        return Err(Error::new(
            ErrorKind::NotAnArchive,
            format!("{name}: there is no intact part of an archive in it"),
        ));
    };
    // None at all where the index alone is intact.
    let Found { mut frames, undirected, records, .. } = found.remove(&archive_id).unwrap_or_default();
    let index = index.filter(|index| index.archive_id() == archive_id);
    let listed = index.as_ref().and_then(|index| rows_of(index, &*scarred));
    let options = listed.as_ref().and(index.as_ref()).map(|index| index.manifest().options.clone());

    let mut report = SalvageReport {
        frames: frames.len() as u64,
        has_index: listed.is_some(),
        gaps,
        others: others(&found),
        ..SalvageReport::default()
    };
    let expected = index.as_ref().filter(|_| listed.is_some()).map(Index::frames);
    let end = expected.unwrap_or(0).max(frames.last_key_value().map_or(0, |(seq, _)| seq + 1));
    report.missing = end - report.frames;
    if report.missing > MISSING_MAX {
        let text = format!(
            "{name}: {} frames are missing between those that are left: more than {MISSING_MAX}",
            report.missing
        );
        return Err(Error::new(ErrorKind::Damaged, text));
    }
    let mut assembled = Assembled::default();
    let rows = match listed {
        Some(rows) => Records::of_index(rows),
        None => records.into_rows(&mut assembled.lost),
    };
    rows::assemble(rows, &frames, &mut assembled);
    let blocks = Blocks { source: &*scarred, archive_id, rows: &frames };
    let (entries, undecodable) = proved(assembled, &blocks, control, &mut report).map_err(unreadable)?;
    check(control)?;
    frames.retain(|seq, _| !undecodable.contains(seq));
    report.unreadable = (undecodable.len() + undirected.difference(&undecodable).count()) as u64;
    let left = Left { archive_id, frames, undirected, end };
    let archive = put_together(name, &source, &left, (entries, options.unwrap_or_default()), &mut report)?;
    report.lost.sort();
    report.unread = scarred.unread();
    Ok(Salvaged { archive, report })
}

fn wanted(name: &str, id: &str) -> Result<ArchiveId> {
    ArchiveId::from_hex(id).ok_or_else(|| {
        Error::new(
            ErrorKind::Usage,
            format!("{name}: an archive id has 32 hexadecimal digits, and {} has not", Escaped(id.as_bytes())),
        )
    })
}

/// Nothing of the archive that was asked for is there.
#[cold]
fn absent(name: &str, id: ArchiveId, others: &[(String, u64)]) -> Error {
    let mut text = format!("{name}: there is no intact part of an archive {id} in it");
    for (at, (id, frames)) in others.iter().take(8).enumerate() {
        let _ = write!(text, "{} {id} ({frames} frames)", if at == 0 { "; there is" } else { "," });
    }
    Error::new(ErrorKind::Usage, text)
}

/// Which archives were found, each with the number of its frames.
fn others(found: &HashMap<ArchiveId, Found>) -> Vec<(String, u64)> {
    let mut others: Vec<_> = found.iter().map(|(id, found)| (id.to_string(), found.frames.len() as u64)).collect();
    others.sort();
    others
}

impl Salvaged {
    /// Writes the archive. The sink gives it its name, or leaves nothing behind.
    ///
    /// # Errors
    /// When it cannot be read or written, or the run was cancelled.
    pub fn write(&self, mut sink: Box<dyn AppendSink>, control: &Control) -> Result<u64> {
        let cannot = |error| Error::with(ErrorKind::Output, "cannot write the archive", error);
        let source = self.archive.source();
        let (mut buffer, mut at) = (vec![0; COPY], 0);
        while at < source.len() {
            check(control)?;
            let len = (source.len() - at).min(COPY as u64) as usize;
            let unreadable = |error| Error::with(ErrorKind::Input, "what is left cannot be read any more", error);
            source.read("what is left of an archive", &mut buffer[..len], at).map_err(unreadable)?;
            sink.append(&[&buffer[..len]]).map_err(cannot)?;
            at += len as u64;
        }
        check(control)?;
        sink.finish().map_err(|error| Error::with(ErrorKind::Output, "cannot finish the archive", error))?;
        Ok(at)
    }
}

fn check(control: &Control) -> Result<()> {
    if control.cancel.is_cancelled() {
        return Err(Error::new(ErrorKind::Cancelled, "stopped before the end; nothing was written"));
    }
    Ok(())
}

/// The frames of each archive, and the stretches without any, bytes.
type Scanned = (HashMap<ArchiveId, Found>, Vec<Range<u64>>);

/// Looks for frames.
fn scan(source: &dyn Source, control: &Control) -> std::result::Result<Scanned, IndexError> {
    let mut found: HashMap<ArchiveId, Found> = HashMap::new();
    let (mut decoder, mut buffer) = (Decoder::new(), Vec::new());
    let progress = |bytes| {
        let (bytes_total, entries, entries_total, stored) = (source.len(), 0, 0, 0);
        control.report(&Progress { stage: Stage::Salvage, bytes, bytes_total, entries, entries_total, stored });
        !control.cancel.is_cancelled()
    };
    let gaps = scan::frames(
        source,
        &mut |row, proved| {
            let found = found.entry(proved.header.archive_id).or_default();
            if found.frames.contains_key(&row.seq) {
                return;
            }
            found.frames.insert(row.seq, *row);
            found.bytes += row.frame_len;
            // What an unreadable directory told is lost; the contents of its block are not.
            let told = proved.directory(&mut decoder, &mut buffer);
            match told.and_then(|directory| found.records.add_all(directory).map_err(FrameError::Container)) {
                Err(error) if !is_readable_elsewhere(&error) => drop(found.undirected.insert(row.seq)),
                _ => {}
            }
        },
        &progress,
    )?;
    Ok((found, gaps))
}

/// Whether somebody else can make something of it: a newer version, or a machine with more memory.
fn is_readable_elsewhere(error: &FrameError) -> bool {
    match error.cause() {
        FrameError::Codec(error) => error.needs_newer() || matches!(error, CodecError::Failed { .. }),
        FrameError::Container(error) => matches!(error, IndexError::Unsupported { .. }),
        FrameError::Dictionary(..) => false,
    }
}

/// Every row of an index, if all of it is intact.
fn rows_of(index: &Index, source: &dyn Source) -> Option<Vec<Entry>> {
    let mut rows = index.entries(source);
    let mut entries = Vec::new();
    loop {
        match rows.next_row() {
            Ok(Some((_, row))) => entries.push(Entry::from(&row)),
            Ok(None) => return Some(entries),
            Err(_) => return None,
        }
    }
}

/// The rows whose contents can be decoded, with their digests, and the frames that cannot be decoded.
fn proved(
    assembled: Assembled,
    blocks: &Blocks<'_>,
    control: &Control,
    report: &mut SalvageReport,
) -> std::result::Result<(Vec<Entry>, BTreeSet<u64>), IndexError> {
    let Assembled { entries, lost, made_up } = assembled;
    report.lost = lost;
    report.made_up = made_up;
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let stop = || control.cancel.is_cancelled();
    let Proof { digests, undecodable } = hash::digests(&entries, blocks, threads, &stop)?;
    let mut places = vec![None; entries.len()];
    let mut kept: Vec<Entry> = Vec::with_capacity(entries.len());
    for (at, (mut entry, digest)) in entries.into_iter().zip(digests).enumerate() {
        let why = match digest {
            Some(Err(why)) => Some(why),
            Some(Ok(digest)) => {
                entry.digest = Some(digest);
                None
            }
            None => None,
        };
        // A link comes behind the file it names.
        let why = why.or_else(|| match entry.hardlink {
            Some(first) => match places.get(first as usize).copied().flatten() {
                Some(place) => {
                    entry.hardlink = Some(place);
                    None
                }
                None => Some("the file that it names is lost".to_owned()),
            },
            None => None,
        });
        // No writer makes such a record, but somebody may.
        let why = why.or_else(|| check_row(&entry.row()).err().map(|fault| fault.to_string()));
        match why {
            Some(why) => report.lost.push((entry.path, why)),
            None => {
                places[at] = u32::try_from(kept.len()).ok();
                kept.push(entry);
            }
        }
    }
    Ok((kept, undecodable))
}
