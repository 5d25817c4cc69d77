//! The order in which contents are stored: which file's bytes come first.
//!
//! In: the paths of a walk, and sketches of the contents where likeness counts. Out: [`Files`], the rows of all files that
//! have any content, each once. It reads nothing, and the same input always gives the same order. Rows of the index are
//! sorted by path whatever it says.
//!
//! A block is compressed by itself, so bytes that resemble one another must lie in the same block to gain from it. Paths
//! bring together what belongs together, which is hard to beat where folders hold one kind of thing; a type brings
//! together what is written in one language or format, a sketch what has passages in common.

pub(super) mod kind;
mod likeness;

use carrack_backends::path::PathId;

use kind::Kind;

use crate::entry::Entries;
use crate::sketch::Sketch;

/// A name that so many files of a kind have, at least, says more about them than their folders do: what is called
/// `Cargo.toml`, `package.json` or `Makefile` has much in common with its namesakes. `docs/order.md` has the measurements.
const NAMESAKES: usize = 16;

/// Two namesakes whose sizes are no further apart than one part in this many are taken for versions of one file.
const NEAR: u64 = 20;

/// How the contents of an archive are ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Order {
    /// By path.
    #[default]
    Path,
    /// By type: what the name says about the contents, then by name where many files share one, then by path.
    Type,
    /// By likeness: files with passages in common beside one another. Every file is read once more for it.
    Similar,
}

impl Order {
    /// Every order.
    pub const ALL: [Order; 3] = [Order::Path, Order::Type, Order::Similar];

    /// Its name in options and in the manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Order::Path => "path",
            Order::Type => "type",
            Order::Similar => "similar",
        }
    }

    /// Bytes that putting so many files into this order takes at most, the list of rows included; none for paths.
    #[must_use]
    pub fn bytes_for(self, files: u64) -> u64 {
        match self {
            Order::Path => 0,
            // A row, its kind beside it while that is sorted, another row.
            Order::Type => files * (3 * size_of::<u32>() + size_of::<Kind>() + size_of::<usize>()) as u64,
            Order::Similar => files * (likeness::BYTES_A_FILE + size_of::<Sketch>() as u64),
        }
    }
}

/// The rows of all files that have any content, each once, in the order in which they are to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files(Vec<u32>);

impl Files {
    /// By path: rows as they come.
    #[must_use]
    pub fn by_path(entries: &Entries) -> Self {
        Self((0..entries.len() as u32).filter(|&row| entries.size(row) > 0).collect())
    }

    /// By type: by kind of file; of one kind first what has namesakes to lie beside, by name: where there are
    /// `NAMESAKES`, all of them by path, else those of nearly equal sizes by size; then the others by path.
    #[must_use]
    pub fn by_type(entries: &Entries) -> Self {
        let Self(mut rows) = Self::by_path(entries);
        let name = |row: u32| kind::name(entries.paths.path(PathId(row)));
        rows.sort_by_cached_key(|&row| (Kind::of(name(row)), row));
        let mut others = Vec::new();
        let mut rest = &mut rows[..];
        while let Some(&first) = rest.first() {
            let kind = Kind::of(name(first));
            let len = rest.partition_point(|&row| Kind::of(name(row)) <= kind);
            let (same, behind) = rest.split_at_mut(len);
            same.sort_unstable_by(|&a, &b| {
                let sizes = || entries.size(a).cmp(&entries.size(b));
                name(a).cmp(name(b)).then_with(sizes).then(a.cmp(&b))
            });
            namesakes_first(same, &mut others, |a, b| name(a) == name(b), |row| entries.size(row));
            rest = behind;
        }
        Self(rows)
    }

    /// By likeness. `sketches` has one for each file of `by_path`, in the same order; files that are like no other stay among
    /// their neighbours by path.
    ///
    /// # Panics
    /// When there is not one sketch a file.
    #[must_use]
    pub fn by_likeness(by_path: Self, sketches: &[Sketch]) -> Self {
        let Self(mut rows) = by_path;
        assert_eq!(rows.len(), sketches.len(), "one sketch a file");
        likeness::arrange(&mut rows, sketches);
        Self(rows)
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[u32] {
        &self.0
    }
}

/// Moves rows that have namesakes to lie beside to the front, and puts the others behind them by path. `rows` are sorted by
/// name, then by size; `others` is memory to use.
fn namesakes_first(
    rows: &mut [u32],
    others: &mut Vec<u32>,
    same: impl Fn(u32, u32) -> bool,
    size: impl Fn(u32) -> u64,
) {
    others.clear();
    // Of two sizes in order.
    let near = |a: u32, b: u32| size(b) - size(a) <= size(b) / NEAR;
    let (mut from, mut to) = (0, 0);
    while let Some(&first) = rows.get(from) {
        let end = from + rows[from..].iter().take_while(|&&row| same(first, row)).count();
        if end - from >= NAMESAKES {
            rows[from..end].sort_unstable();
            rows.copy_within(from..end, to);
            to += end - from;
        } else {
            // What lies before `from` was moved or is kept, but not the neighbour before: it is remembered.
            let mut before = None;
            for at in from..end {
                let row = rows[at];
                let behind = rows[at + 1..end].first();
                if before.is_some_and(|before| near(before, row)) || behind.is_some_and(|&behind| near(row, behind)) {
                    rows[to] = row;
                    to += 1;
                } else {
                    others.push(row);
                }
                before = Some(row);
            }
        }
        from = end;
    }
    others.sort_unstable();
    rows[to..].copy_from_slice(others);
}

#[cfg(test)]
mod tests;
