//! Files with passages in common beside one another.
//!
//! In: files in the order of their paths, and their sketches. Out: the same files in chains. A chain begins with the first
//! file by path that has no place yet; behind each file follows the one, of those without a place, whose sketch has
//! most in common with its own, the nearest by path where several have as much; where none has [`LEAST`] values in common
//! the chain ends. So files that are like nothing else stay in the order of their paths.
//!
//! Whoever has one of the first [`LISTS`] values in common stands in one list, by path; only the [`LOOK`] nearest on each
//! side there are looked at (locality-sensitive hashing: Indyk and Motwani, STOC 1998). Those that have a place are
//! taken out of the lists, so that each step costs at most `2 × LISTS × LOOK` comparisons of 64 bytes, however many files
//! there are: the whole costs O(n log n) for sorting, and little more than that.

use std::cmp::Reverse;

use crate::sketch::{Sketch, VALUES};

/// Values by which files are found; the others only count.
const LISTS: usize = 8;
/// How many on each side of a file in each list are looked at.
const LOOK: usize = 4;
/// So many of their values must two files have in common for one to follow the other: with fewer, what is gained is less
/// than what their neighbours by path would have given (`docs/order.md`).
const LEAST: u32 = 4;

const _: () = assert!(LISTS <= VALUES && LEAST <= VALUES as u32);

/// Bytes that arranging takes for each file, the lists of rows included, sketches not.
pub(super) const BYTES_A_FILE: u64 = ((2 * LISTS + 2) * size_of::<u32>() + size_of::<bool>()) as u64;

/// Nobody.
const NONE: u32 = u32::MAX;

/// Neighbours in the lists, `LISTS` for each file.
struct Lists {
    before: Vec<[u32; LISTS]>,
    behind: Vec<[u32; LISTS]>,
}

impl Lists {
    /// Lists of all files, each in order of path. `memory` has room for all of their numbers.
    fn new(sketches: &[Sketch], memory: &mut [u32]) -> Self {
        let mut lists =
            Self { before: vec![[NONE; LISTS]; sketches.len()], behind: vec![[NONE; LISTS]; sketches.len()] };
        for list in 0..LISTS {
            let value = |file: u32| sketches[file as usize].value(list);
            memory.sort_unstable_by_key(|&file| (value(file), file));
            for pair in memory.windows(2) {
                let (one, other) = (pair[0], pair[1]);
                if value(one).is_some() && value(one) == value(other) {
                    lists.behind[one as usize][list] = other;
                    lists.before[other as usize][list] = one;
                }
            }
        }
        lists
    }

    /// Takes a file out of all lists; its own neighbours stay known.
    fn take(&mut self, file: u32) {
        for list in 0..LISTS {
            let (before, behind) = (self.before[file as usize][list], self.behind[file as usize][list]);
            if before != NONE {
                self.behind[before as usize][list] = behind;
            }
            if behind != NONE {
                self.before[behind as usize][list] = before;
            }
        }
    }

    /// The files to look at from one that was just taken out. Some come more than once.
    fn near(&self, file: u32) -> impl Iterator<Item = u32> {
        [&self.before, &self.behind].into_iter().flat_map(move |way| {
            (0..LISTS).flat_map(move |list| {
                let next = move |file: u32| Some(way[file as usize][list]).filter(|&next| next != NONE);
                std::iter::successors(next(file), move |&file| next(file)).take(LOOK)
            })
        })
    }
}

/// Arranges `rows`, which are in order of path; `sketches` has theirs, in the same order.
pub(super) fn arrange(rows: &mut [u32], sketches: &[Sketch]) {
    let mut order: Vec<u32> = (0..sketches.len() as u32).collect();
    let mut lists = Lists::new(sketches, &mut order);
    let mut has_place = vec![false; sketches.len()];
    order.clear();
    for first in 0..sketches.len() as u32 {
        let mut next = (!has_place[first as usize]).then_some(first);
        while let Some(file) = next {
            has_place[file as usize] = true;
            order.push(file);
            lists.take(file);
            next = most_alike(file, sketches, lists.near(file));
        }
    }
    // `order` holds places among `rows`; it becomes the rows themselves.
    order.iter_mut().for_each(|file| *file = rows[*file as usize]);
    rows.copy_from_slice(&order);
}

/// The one of `files` that has most in common with `file`, if that is enough.
fn most_alike(file: u32, sketches: &[Sketch], files: impl Iterator<Item = u32>) -> Option<u32> {
    let sketch = &sketches[file as usize];
    let ranked = files.map(|other| (sketch.common(&sketches[other as usize]), Reverse(other.abs_diff(file)), other));
    ranked.max().filter(|&(common, ..)| common >= LEAST).map(|(.., other)| other)
}
