//! Files in groups by kind: what blocks may have in common.
//!
//! In: the paths and sizes of a walk. Out: for each row the group of its file. The kinds of which there is most have a
//! group each, all others share the last one. Nothing is read, and the same input always gives the same groups.

use std::cmp::Reverse;
use std::collections::HashMap;

use carrack_backends::path::PathId;

use super::Chunk;
use super::order::kind::{Kind, name};
use crate::entry::Entries;

/// Most groups there are.
pub const GROUPS_MAX: usize = 8;

/// Stands for no group.
const NONE: u8 = u8::MAX;

/// The groups of all rows, a byte each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kinds {
    of_row: Vec<u8>,
    bytes: Vec<u64>,
}

impl Kinds {
    /// The groups of all files. Only what comes to `least` bytes of contents is a group; files that are in none have nothing in
    /// common with enough others.
    #[must_use]
    pub fn of(entries: &Entries, least: u64) -> Self {
        let kind = |row: u32| Kind::of(name(entries.paths.path(PathId(row))));
        let rows = || (0..entries.len() as u32).filter(|&row| entries.size(row) > 0);
        let mut amounts: HashMap<Kind, u64> = HashMap::new();
        for row in rows() {
            *amounts.entry(kind(row)).or_default() += entries.size(row);
        }
        let mut ranked: Vec<(Kind, u64)> = amounts.into_iter().collect();
        ranked.sort_unstable_by_key(|&(kind, bytes)| (Reverse(bytes), kind));
        let own = ranked.iter().take(GROUPS_MAX - 1).take_while(|(_, bytes)| *bytes >= least).count();
        let others: u64 = ranked[own..].iter().map(|(_, bytes)| bytes).sum();
        let mut bytes: Vec<u64> = ranked[..own].iter().map(|&(_, bytes)| bytes).collect();
        let mut rest = NONE;
        if others >= least {
            rest = own as u8;
            bytes.push(others);
        }
        let group: HashMap<Kind, u8> = ranked[..own].iter().zip(0..).map(|(&(kind, _), at)| (kind, at)).collect();
        let mut of_row = Vec::new();
        if !bytes.is_empty() {
            of_row = vec![NONE; entries.len()];
            for row in rows() {
                of_row[row as usize] = group.get(&kind(row)).copied().unwrap_or(rest);
            }
        }
        Self { of_row, bytes }
    }

    /// Number of groups.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is no group.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes of contents in a group.
    ///
    /// # Panics
    /// When there is no such group.
    #[must_use]
    pub fn bytes(&self, group: usize) -> u64 {
        self.bytes[group]
    }

    /// The group of the file in this row.
    #[must_use]
    pub fn group(&self, row: u32) -> Option<usize> {
        self.of_row.get(row as usize).filter(|&&group| group != NONE).map(|&group| group.into())
    }

    /// The group that most bytes of these chunks belong to.
    #[must_use]
    pub fn most(&self, chunks: &[Chunk]) -> Option<usize> {
        let mut tally = Tally::default();
        for chunk in chunks {
            tally.add(self.group(chunk.row()), chunk.data_len());
        }
        tally.take()
    }
}

/// How many bytes of a block belong to which group.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// One a group, and those that are in none.
    bytes: [u64; GROUPS_MAX + 1],
}

impl Tally {
    /// Counts so many bytes.
    pub fn add(&mut self, group: Option<usize>, len: u32) {
        self.bytes[group.unwrap_or(GROUPS_MAX)] += u64::from(len);
    }

    /// The group of most bytes, the first of several that have as many; `None` when most are in no group. Counting begins anew.
    pub fn take(&mut self) -> Option<usize> {
        let Self { bytes } = std::mem::take(self);
        let (group, _) = bytes.iter().enumerate().max_by_key(|&(group, bytes)| (bytes, Reverse(group)))?;
        (group < GROUPS_MAX && bytes[group] > 0).then_some(group)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use carrack_backends::path::{Base, PathTable};
    use carrack_backends::witness::Witness;

    use super::*;
    use crate::entry::Kind as Entry;

    fn entries(files: &[(&str, u64)]) -> Entries {
        let mut paths = PathTable::new();
        let base = paths.push_base(Base { folder: Arc::new(std::fs::File::open("/").unwrap().into()), skip: 0 });
        let mut entries = Entries::default();
        for &(path, size) in files {
            paths.push(base, path.as_bytes());
            entries.kinds.push(Entry::File);
            entries.witnesses.push(Witness { size, ..Witness::default() });
        }
        entries.paths = Arc::new(paths);
        entries
    }

    #[test]
    fn large_kinds_have_groups_of_their_own_and_others_share_one() {
        let files = [("a.rs", 50), ("b.py", 80), ("c.rs", 40), ("d.po", 6), ("e.mo", 5), ("f.py", 0)];
        let kinds = Kinds::of(&entries(&files), 10);
        let groups: Vec<_> = (0..files.len() as u32).map(|row| kinds.group(row)).collect();
        assert_eq!(groups, [Some(0), Some(1), Some(0), Some(2), Some(2), None]);
        assert_eq!((kinds.len(), kinds.bytes(0), kinds.bytes(1), kinds.bytes(2)), (3, 90, 80, 11));

        let few = Kinds::of(&entries(&files), 12);
        assert_eq!((few.len(), few.group(3)), (2, None));
        assert!(Kinds::of(&entries(&files), 1000).is_empty());
    }

    #[test]
    fn there_are_never_more_groups_than_that() {
        let names: Vec<String> = (0..26).map(|n| format!("f.k{}x", char::from(b'a' + n))).collect();
        let files: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 100)).collect();
        let kinds = Kinds::of(&entries(&files), 1);
        assert_eq!(kinds.len(), GROUPS_MAX);
        assert_eq!((0..26).filter(|&row| kinds.group(row) == Some(GROUPS_MAX - 1)).count(), 26 - (GROUPS_MAX - 1));
    }

    #[test]
    fn most_bytes_win_and_none_when_they_are_in_no_group() {
        let mut tally = Tally::default();
        assert_eq!(tally.take(), None);
        for (group, len) in [(Some(3), 10), (Some(1), 5), (Some(1), 5), (None, 9)] {
            tally.add(group, len);
        }
        assert_eq!(tally.take(), Some(1));
        tally.add(Some(0), 4);
        tally.add(None, 5);
        assert_eq!(tally.take(), None);
    }
}
