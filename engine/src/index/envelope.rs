//! Proof of every byte of an archive that is neither in a frame's body nor decoded as a row: head, frame headers,
//! padding, tables, markers, seal, footer, and whatever older tails an append left behind.
//!
//! Together with a check of every frame's digest and a pass over all rows this covers the whole archive.

use super::blocks::{BlockRow, check_header};
use super::footer::Footer;
use super::manifest::Place;
use super::open::{Index, check_digest, check_same};
use super::tail::end_of_stream;
use super::{IndexError, Result, schema};
use crate::container::frame::HEADER_LEN;
use crate::container::head::{self, HEAD};
use crate::container::seal::TRAILER_LEN;
use crate::container::{FrameHeader, Source, align};
use crate::digest::Digest;
use crate::limits::FOOTER_LEN_MAX;

/// How much of the blocks table is hashed at once, bytes.
const STEP_LEN: u64 = 1 << 20;

/// Checks every byte of an archive that no frame's digest covers, and that there is no byte but those of the format.
/// Frames are checked up to their headers: whoever decodes them checks their digests.
///
/// # Errors
/// The first thing that is wrong.
pub fn check_gaps(source: &dyn Source, index: &Index) -> Result<()> {
    check_same("length of the archive", 0, &index.end, &source.len())?;
    head::check(source)?;
    let older = older_tails(source, index)?;
    for tail in &older {
        check_tail(source, tail)?;
    }
    check_tail(source, index)?;
    check_frames(source, index, &older)
}

/// Indexes that an append left behind, the oldest first.
fn older_tails(source: &dyn Source, index: &Index) -> Result<Vec<Index>> {
    let mut tails: Vec<Index> = Vec::new();
    // Each seal stands in front of the tables that the next one speaks of: this comes to an end.
    while let Some(offset) = tails.last().unwrap_or(index).seal.previous {
        let newer = tails.last().unwrap_or(index);
        let mut bytes = [0; HEADER_LEN];
        source.read("older seal", &mut bytes, offset)?;
        let seal = crate::container::Seal::decode(&bytes, offset)?;
        let end = offset + (HEADER_LEN + TRAILER_LEN) as u64 + u64::from(seal.footer_len);
        if end > newer.seal.blocks_offset || seal.archive_id != newer.seal.archive_id {
            let expected = format!("a tail of archive {} in front of {}", newer.archive_id(), newer.seal.blocks_offset);
            let found = format!("one of {} up to {end}", seal.archive_id);
            return Err(IndexError::damaged("older seal", offset, expected, found));
        }
        tails.push(Index::open_at(source, end)?);
    }
    tails.reverse();
    Ok(tails)
}

/// Checks tables, markers and padding of one tail. Seal and footer were checked when it was opened.
fn check_tail(source: &dyn Source, index: &Index) -> Result<()> {
    check_blocks_table(source, index)?;
    for place in &index.entries {
        let bytes = source.bytes("entries batch", place.offset, place.len)?;
        check_digest("entries batch", &bytes, &place.digest, place.offset)?;
    }
    let end = end_of(&index.entries, index.seal.entries_offset);
    check_end_of_stream(source, end)
}

/// Checks the blocks table as the Arrow file that it is.
fn check_blocks_table(source: &dyn Source, index: &Index) -> Result<()> {
    let (what, seal) = ("blocks table", &index.seal);
    let table_end = seal.blocks_offset + seal.blocks_len;
    let mut hasher = blake3::Hasher::new();
    let mut at = seal.blocks_offset;
    while at < table_end {
        let step = STEP_LEN.min(table_end - at);
        hasher.update(&source.bytes(what, at, step)?);
        at += step;
    }
    check_same(what, seal.blocks_offset, &index.blocks_table, &Digest(*hasher.finalize().as_bytes()))?;
    align::check_zeros(source, "padding behind the blocks table", table_end, seal.entries_offset)?;

    let head = source.bytes(what, seal.blocks_offset, schema::BLOCKS_HEAD.len() as u64)?;
    if head != *schema::BLOCKS_HEAD {
        return Err(IndexError::damaged(what, seal.blocks_offset, "the head of the format", "another one"));
    }
    let batches_end = end_of(&index.blocks, seal.blocks_offset + head.len() as u64);
    check_end_of_stream(source, batches_end)?;
    let footer_offset = batches_end + crate::limits::ALIGN;
    let footer_len = table_end.checked_sub(footer_offset + TRAILER_LEN as u64);
    let Some(footer_len) = footer_len.filter(|&len| len <= u64::from(FOOTER_LEN_MAX)) else {
        return Err(IndexError::damaged(what, footer_offset, "a footer that ends with the table", table_end));
    };
    let footer = source.bytes(what, footer_offset, footer_len + TRAILER_LEN as u64)?;
    let (flatbuffer, trailer) = footer.split_at(footer_len as usize);
    if trailer[..4] != (footer_len as u32).to_le_bytes() || trailer[4..] != super::footer::END_MAGIC {
        let found = trailer.escape_ascii();
        return Err(IndexError::damaged(what, footer_offset + footer_len, "the footer's length and ARROW1", found));
    }
    let footer = Footer::parse(flatbuffer, &schema::BLOCKS, footer_offset)?;
    let arrow = footer.blocks.iter().map(|b| (b.offset, u64::from(b.metadata_len) + b.body_len));
    let listed = index.blocks.iter().map(|place| (place.offset - seal.blocks_offset, place.len));
    if !arrow.eq(listed) {
        return Err(IndexError::damaged(what, footer_offset, "the same batches as in the manifest's list", "others"));
    }
    Ok(())
}

/// Checks the headers of all frames against the blocks table, and that they follow one another, older tails between
/// them, from the head to the table.
fn check_frames(source: &dyn Source, index: &Index, older: &[Index]) -> Result<()> {
    let mut older = older.iter().map(|tail| (tail.seal.blocks_offset, tail.end)).peekable();
    let mut end = HEAD.len() as u64;
    let mut skip_tails = |mut end: u64| -> Result<u64> {
        while let Some((_, tail_end)) = older.next_if(|&(start, _)| start == end) {
            end = align::up(tail_end).unwrap_or(u64::MAX);
            align::check_zeros(source, "padding behind an older tail", tail_end, end)?;
        }
        Ok(end)
    };
    let mut frames = super::Frames::default();
    index.for_each_block(source, |row| {
        let start = skip_tails(end)?;
        check_same("start of a frame", row.offset, &start, &row.offset)?;
        check_frame(source, index, row)?;
        let frame_end = row.offset + row.frame_len;
        end = align::up(frame_end).unwrap_or(u64::MAX);
        frames.count += 1;
        frames.raw_bytes += u64::from(row.raw_len);
        frames.stored_bytes += u64::from(row.stored_len);
        align::check_zeros(source, "padding behind a frame", frame_end, end)
    })?;
    let start = skip_tails(end)?;
    check_same("start of the blocks table", start, &index.seal.blocks_offset, &start)?;
    if frames != index.manifest.frames {
        let expected = format!("{:?}", index.manifest.frames);
        return Err(IndexError::damaged("sums over frames", index.seal_offset, expected, format_args!("{frames:?}")));
    }
    Ok(())
}

fn check_frame(source: &dyn Source, index: &Index, row: &BlockRow) -> Result<()> {
    let mut bytes = [0; HEADER_LEN];
    source.read("frame header", &mut bytes, row.offset)?;
    let header = FrameHeader::decode(&bytes, row.offset)?;
    check_same("archive id of a frame", row.offset, &index.seal.archive_id, &header.archive_id)?;
    check_header(row, &header)
}

fn check_end_of_stream(source: &dyn Source, offset: u64) -> Result<()> {
    let expected = end_of_stream();
    let found = source.bytes("end-of-stream marker", offset, expected.len() as u64)?;
    match found.iter().zip(&expected).position(|(a, b)| a != b) {
        Some(at) => Err(IndexError::damaged("end-of-stream marker", offset + at as u64, expected[at], found[at])),
        None => Ok(()),
    }
}

/// Where the batches of a table end that begin at `start`.
fn end_of(places: &[Place], start: u64) -> u64 {
    places.last().map_or(start, |place| place.offset + place.len)
}
