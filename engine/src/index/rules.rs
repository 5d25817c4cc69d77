//! What rows of the entries table must be: each alone, and all of them to one another.

use crate::container::rules::{Fault, check_metadata};
use crate::entry::{Extent, Kind, Row};
use crate::limits::{BLOCK_SIZE_MAX, FRAMES_MAX};

/// Checks everything about a row that needs no other row.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_row(row: &Row<'_>) -> Result<(), Box<Fault>> {
    check_metadata(row)?;
    let is_file = row.kind == Kind::File;
    if row.digest.is_some() != is_file {
        return Err(Fault::new("digest", "one for each file and no other row", row.kind.name()));
    }
    if !is_file && !row.extents.is_empty() {
        return Err(Fault::new("extents", "none but for files", row.kind.name()));
    }
    let mut holes_before = row.holes.iter().peekable();
    let (mut sum, mut at) = (0u64, 0u64);
    for extent in row.extents {
        check_extent(extent)?;
        sum = sum.saturating_add(extent.len.into());
        while let Some(hole) = holes_before.next_if(|hole| hole.offset <= at) {
            at = at.saturating_add(hole.len);
        }
        at = at.saturating_add(extent.len.into());
        if let Some(hole) = holes_before.peek().filter(|hole| hole.offset < at) {
            let found = format!("one that ends at {at}, a hole at {}", hole.offset);
            return Err(Fault::new("extents", "none that runs into a hole", found));
        }
    }
    // Holes are inside the file and apart, so their sum is no more than its size.
    let holes: u64 = row.holes.iter().map(|hole| hole.len).sum();
    if is_file && sum.checked_add(holes) != Some(row.size) {
        let found = format!("{sum} bytes in extents, {holes} in holes, size {}", row.size);
        return Err(Fault::new("extents", "lengths that add up with the holes to the size", found));
    }
    Ok(())
}

fn check_extent(extent: &Extent) -> Result<(), Box<Fault>> {
    let end = extent.offset.checked_add(extent.len);
    if extent.len == 0 || u64::from(extent.block) >= FRAMES_MAX || end.is_none_or(|end| end > BLOCK_SIZE_MAX) {
        return Err(Fault::new("extent", "not empty, within a block", format_args!("{extent:?}")));
    }
    Ok(())
}

/// Checks that every extent of a row lies within its block, whose uncompressed length `raw_len` tells; `None` says
/// that there is no such block of contents.
///
/// # Errors
/// The first extent that does not.
pub fn check_extents(row: &Row<'_>, mut raw_len: impl FnMut(u32) -> Option<u32>) -> Result<(), Box<Fault>> {
    for extent in row.extents {
        match raw_len(extent.block) {
            None => return Err(Fault::new("extent", "a block of contents", format_args!("block {}", extent.block))),
            Some(len) if u64::from(extent.offset) + u64::from(extent.len) > u64::from(len) => {
                return Err(Fault::new("extent", "within its block", format_args!("{extent:?} of {len} bytes")));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Checks rows in order against those before: sorted and unique, each below a folder that came before, each hard link
/// to a file that came before. Keeps one bit a row.
#[derive(Debug, Default)]
pub struct Sequence {
    rows: u64,
    path: Vec<u8>,
    folders: Folders,
    files: Vec<u64>,
}

impl Sequence {
    /// Nothing seen yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the next row.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&mut self, row: &Row<'_>) -> Result<(), Box<Fault>> {
        if self.rows > 0 && row.path <= self.path.as_slice() {
            return Err(Fault::new("path", "rows in ascending order of path", row.path.escape_ascii()));
        }
        if !self.folders.holds_parent_of(row.path) {
            return Err(Fault::new("path", "a folder in a row before", row.path.escape_ascii()));
        }
        if row.kind == Kind::Dir {
            self.folders.push(row.path);
        }
        if let Some(first) = row.hardlink
            && !self.is_file(first)
        {
            return Err(Fault::new("hard link", "an earlier row with a file", format_args!("row {first}")));
        }
        self.remember(row.kind == Kind::File);
        self.path.clear();
        self.path.extend_from_slice(row.path);
        Ok(())
    }

    fn is_file(&self, row: u32) -> bool {
        self.files.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    fn remember(&mut self, is_file: bool) {
        if self.rows.is_multiple_of(64) {
            self.files.push(0);
        }
        if let Some(word) = self.files.last_mut() {
            *word |= u64::from(is_file) << (self.rows % 64);
        }
        self.rows += 1;
    }
}

/// The folders that entries to come may lie in.
///
/// In byte order, what lies below `a` does not follow `a` at once: `a-b` stands between `a` and `a/c`. But a folder can
/// get children only while the paths that come have it as a prefix that is followed by no more than `/`, so that the
/// folders of interest are prefixes of one another: one path and the lengths at which it is cut hold them all.
#[derive(Debug, Default)]
struct Folders {
    longest: Vec<u8>,
    lens: Vec<usize>,
}

impl Folders {
    /// Drops the folders that can get no more children, and looks whether the parent of `path` is left.
    fn holds_parent_of(&mut self, path: &[u8]) -> bool {
        while let Some(&len) = self.lens.last() {
            let is_prefix = path.get(..len) == Some(&self.longest[..len]);
            if is_prefix && path.get(len).is_none_or(|&next| next <= b'/') {
                break;
            }
            self.lens.pop();
        }
        match path.iter().rposition(|&byte| byte == b'/') {
            Some(parent) => self.lens.binary_search(&parent).is_ok(),
            None => true,
        }
    }

    /// Adds a folder whose path comes behind all before.
    fn push(&mut self, path: &[u8]) {
        // The root's own row is nobody's prefix with a slash behind it: top-level entries need no folder.
        if !path.is_empty() {
            self.longest.clear();
            self.longest.extend_from_slice(path);
            self.lens.push(path.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::entry::Hole;

    fn check_all(rows: &[(&[u8], Kind)]) -> Result<(), Box<Fault>> {
        let mut sequence = Sequence::new();
        rows.iter().try_for_each(|&(path, kind)| sequence.check(&Row::new(path, kind)))
    }

    #[test]
    fn a_folder_serves_until_its_children_have_passed() {
        use Kind::{Dir, File};
        check_all(&[
            (b"", Dir),
            (b"a", Dir),
            (b"a!", Dir),
            (b"a!/x", File),
            (b"a-b", File),
            (b"a/b", Dir),
            (b"a/b/c", File),
            (b"a/b0", Dir),
            (b"a/b0/c", File),
            (b"a0", Dir),
            (b"a0/x", File),
        ])
        .unwrap();
        check_all(&[(b"x", File), (b"y", Dir)]).unwrap();
        for bad in [
            &[(&b"a/b"[..], File)][..],
            &[(b"a", File), (b"a/b", File)],
            &[(b"a", Dir), (b"a/b/c", File)],
            &[(b"a", Dir), (b"b", Dir), (b"bb/c", File)],
            &[(b"a", Dir), (b"a", Dir)],
            &[(b"b", Dir), (b"a", Dir)],
            &[(b"a", Dir), (b"", Dir)],
        ] {
            assert!(check_all(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_hard_link_names_an_earlier_file() {
        let link = |to| Row { hardlink: Some(to), ..Row::new(b"c", Kind::Hardlink) };
        let sequence = || {
            let mut sequence = Sequence::new();
            sequence.check(&Row::new(b"a", Kind::File)).unwrap();
            sequence.check(&Row::new(b"b", Kind::Dir)).unwrap();
            sequence
        };
        sequence().check(&link(0)).unwrap();
        for to in [1, 2, 3, 64, u32::MAX] {
            assert!(sequence().check(&link(to)).is_err(), "{to}");
        }
    }

    #[test]
    fn the_bytes_of_a_file_are_accounted_for() {
        let extents = [Extent { block: 0, offset: 10, len: 20 }, Extent { block: 1, offset: 0, len: 5 }];
        let holes = [Hole { offset: 0, len: 75 }];
        let file = Row {
            size: 100,
            extents: &extents,
            holes: &holes,
            digest: Some(Digest::of(b"")),
            ..Row::new(b"a", Kind::File)
        };
        check_row(&file).unwrap();
        let big = [Extent { block: 0, offset: u32::MAX, len: 2 }];
        let empty = [Extent { block: 0, offset: 0, len: 0 }];
        let between = [Hole { offset: 10, len: 70 }, Hole { offset: 95, len: 5 }];
        let in_step = [Hole { offset: 20, len: 70 }, Hole { offset: 95, len: 5 }];
        check_row(&Row { holes: &in_step, ..file }).unwrap();
        for row in [
            Row { holes: &between, ..file },
            Row { size: 101, ..file },
            Row { size: 99, ..file },
            Row { digest: None, ..file },
            Row { extents: &[], ..file },
            Row { size: 2, holes: &[], extents: &big, ..file },
            Row { size: 0, holes: &[], extents: &empty, ..file },
            Row { digest: Some(Digest::of(b"")), ..Row::new(b"a", Kind::Dir) },
            Row { extents: &extents, ..Row::new(b"a", Kind::Dir) },
        ] {
            assert!(check_row(&row).is_err(), "{row:?}");
        }
        check_extents(&file, |block| Some([30, 5][block as usize])).unwrap();
        assert!(check_extents(&file, |block| Some([29, 5][block as usize])).is_err());
        assert!(check_extents(&file, |block| (block == 0).then_some(30)).is_err());
    }
}
