//! Candidates as points of a grid: one level for each knob.
//!
//! In: how many levels each knob has, and which points make sense. Out: numbered points, the first of them the default,
//! and samples in which every level of every knob comes up equally often. It does not know what a knob does.

use std::collections::{HashMap, HashSet};

use carrack_fixtures::rng::Rng;

use crate::stats::shuffle;

/// Number of the candidate that is all defaults.
pub const DEFAULT: usize = 0;

/// A point: the level of each knob. Level 0 is the default.
pub type Point = Vec<u8>;

/// All candidates.
#[derive(Clone, Debug)]
pub struct Grid {
    levels: Vec<u8>,
    points: Vec<Point>,
}

impl Grid {
    /// All combinations of the levels of knobs (each has at least the level 0) that `makes_sense` lets through. The
    /// default does whatever it says.
    #[must_use]
    pub fn new(levels: &[u8], makes_sense: impl Fn(&[u8]) -> bool) -> Self {
        let mut points = vec![vec![0; levels.len()]];
        let mut point = vec![0; levels.len()];
        while next(&mut point, levels) {
            if makes_sense(&point) {
                points.push(point.clone());
            }
        }
        Self { levels: levels.to_vec(), points }
    }

    /// How many candidates there are, with the default.
    #[must_use]
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there is nothing but the default.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.points.len() <= 1
    }

    /// The point of a candidate.
    #[must_use]
    pub fn point(&self, candidate: usize) -> &[u8] {
        &self.points[candidate]
    }

    /// How many levels each knob has.
    #[must_use]
    pub fn levels(&self) -> &[u8] {
        &self.levels
    }

    /// So many candidates other than the default (all, if there are no more), in random order: each knob goes through
    /// its levels as evenly as the number allows. (A Latin hypercube sample: McKay, Beckman and Conover 1979.)
    #[must_use]
    pub fn sample(&self, count: usize, rng: &mut Rng) -> Vec<usize> {
        let mut rest: Vec<usize> = (1..self.len()).collect();
        shuffle(&mut rest, rng);
        if count >= rest.len() {
            return rest;
        }
        let by_point: HashMap<&[u8], usize> = self.points.iter().enumerate().map(|(at, p)| (&p[..], at)).collect();
        let columns: Vec<Vec<u8>> = self.levels.iter().map(|&levels| column(levels, count, rng)).collect();
        let mut drawn = Vec::with_capacity(count);
        let mut seen = HashSet::from([DEFAULT]);
        for row in 0..count {
            let point: Point = columns.iter().map(|column| column[row]).collect();
            // A combination that makes no sense, or came up before, is made good below.
            drawn.extend(by_point.get(&point[..]).copied().filter(|&candidate| seen.insert(candidate)));
        }
        let missing = count - drawn.len();
        drawn.extend(rest.into_iter().filter(|candidate| !seen.contains(candidate)).take(missing));
        drawn
    }
}

/// The next combination, as an odometer counts; false when all wheels are back at zero.
fn next(point: &mut [u8], levels: &[u8]) -> bool {
    for (level, &levels) in point.iter_mut().zip(levels).rev() {
        *level += 1;
        if *level < levels {
            return true;
        }
        *level = 0;
    }
    false
}

/// Every level about equally often, in random order.
fn column(levels: u8, count: usize, rng: &mut Rng) -> Vec<u8> {
    let mut order: Vec<u8> = (0..levels).collect();
    let mut column = Vec::with_capacity(count + order.len());
    while column.len() < count {
        shuffle(&mut order, rng);
        column.extend(&order);
    }
    column.truncate(count);
    shuffle(&mut column, rng);
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_every_combination_that_makes_sense_once() {
        let grid = Grid::new(&[3, 2, 4], |point| point[0] != 2 || point[1] == 0);
        assert_eq!(grid.len(), 3 * 2 * 4 - 4);
        assert_eq!(grid.point(DEFAULT), [0, 0, 0]);
        let all: HashSet<_> = (0..grid.len()).map(|at| grid.point(at).to_vec()).collect();
        assert_eq!(all.len(), grid.len());
        let alone = Grid::new(&[1, 1], |_| false);
        assert!(alone.is_empty() && alone.len() == 1);
    }

    #[test]
    fn a_sample_is_balanced_and_never_holds_the_default() {
        let grid = Grid::new(&[4, 4, 2], |_| true);
        let drawn = grid.sample(12, &mut Rng::new(5));
        let distinct: HashSet<_> = drawn.iter().collect();
        assert_eq!((drawn.len(), distinct.len()), (12, 12));
        assert!(!drawn.contains(&DEFAULT));
        for level in 0..4 {
            let times = drawn.iter().filter(|&&at| grid.point(at)[0] == level).count();
            assert!((2..=4).contains(&times), "level {level}: {times} of 12");
        }
        assert_eq!(drawn, grid.sample(12, &mut Rng::new(5)));
        assert_ne!(drawn, grid.sample(12, &mut Rng::new(6)));
    }

    #[test]
    fn a_large_enough_sample_is_everything() {
        let grid = Grid::new(&[3, 3], |_| true);
        let mut all = grid.sample(100, &mut Rng::new(1));
        all.sort_unstable();
        assert_eq!(all, (1..9).collect::<Vec<_>>());
    }
}
