//! What the runs so far say about candidates that were not tried: each level of each knob costs its factor.
//!
//! In: points and the ratios found for them. Out: expected ratios of other points. Knobs interact, so this is only good
//! for deciding who runs next; what a candidate is worth, its own runs tell.

use super::grid::Grid;

/// How much is believed that a level makes no difference, in runs that said so. Keeps what few runs suggest small, and
/// the equations solvable.
const DOUBT: f64 = 0.5;

/// The logarithm of the ratio as a sum: one share for each level, and a constant.
pub(super) struct Model {
    weights: Vec<f64>,
    /// Where the levels of each knob begin in `weights`.
    begins: Vec<usize>,
}

impl Model {
    /// Least squares with a ridge over `(candidate, ratio, number of runs)`.
    pub(super) fn fit(grid: &Grid, found: &[(usize, f64, usize)]) -> Self {
        let mut begins = Vec::with_capacity(grid.levels().len());
        let mut size = 1;
        for &levels in grid.levels() {
            begins.push(size);
            size += usize::from(levels);
        }
        let mut model = Self { weights: vec![0.0; size], begins };
        // The normal equations, with the right side as the last column.
        let mut rows = vec![vec![0.0; size + 1]; size];
        for (at, row) in rows.iter_mut().enumerate() {
            row[at] = if at == 0 { 1e-6 } else { DOUBT };
        }
        for &(candidate, ratio, runs) in found {
            let places = model.places(grid.point(candidate));
            for &one in &places {
                for &other in &places {
                    rows[one][other] += runs as f64;
                }
                rows[one][size] += runs as f64 * ratio.ln();
            }
        }
        solve(&mut rows);
        model.weights = rows.iter().map(|row| row[size]).collect();
        model
    }

    /// The ratio to be expected of a point.
    pub(super) fn expect(&self, point: &[u8]) -> f64 {
        self.places(point).into_iter().map(|at| self.weights[at]).sum::<f64>().exp()
    }

    fn places(&self, point: &[u8]) -> Vec<usize> {
        let levels = self.begins.iter().zip(point).map(|(begin, &level)| begin + usize::from(level));
        std::iter::once(0).chain(levels).collect()
    }
}

/// Gauss and Jordan's elimination, with the largest pivot first; the ridge keeps every pivot away from zero.
fn solve(rows: &mut [Vec<f64>]) {
    for column in 0..rows.len() {
        let best = (column..rows.len()).max_by(|&a, &b| rows[a][column].abs().total_cmp(&rows[b][column].abs()));
        rows.swap(column, best.unwrap_or(column));
        let pivot = rows[column].clone();
        for (at, row) in rows.iter_mut().enumerate() {
            if at == column {
                row.iter_mut().for_each(|value| *value /= pivot[column]);
            } else {
                let factor = row[column] / pivot[column];
                row.iter_mut().zip(&pivot).for_each(|(value, from)| *value -= factor * from);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_of_levels_are_found_from_some_of_the_points() {
        let grid = Grid::new(&[3, 4], |_| true);
        let truth = |point: &[u8]| [1.0, 0.7, 1.3][usize::from(point[0])] * [1.0, 0.9, 0.6, 1.2][usize::from(point[1])];
        // Half of the points, many runs each: little is left to doubt.
        let found: Vec<_> = (0..12).step_by(2).map(|at| (at, truth(grid.point(at)), 100)).collect();
        let more: Vec<_> = [1, 7].into_iter().map(|at| (at, truth(grid.point(at)), 100)).collect();
        let model = Model::fit(&grid, &[found, more].concat());
        for at in 0..12 {
            let (expected, right) = (model.expect(grid.point(at)), truth(grid.point(at)));
            assert!((expected / right - 1.0).abs() < 0.03, "{:?}: {expected} for {right}", grid.point(at));
        }
    }

    #[test]
    fn nothing_found_means_no_difference_expected() {
        let grid = Grid::new(&[2, 2], |_| true);
        assert!((Model::fit(&grid, &[]).expect(&[1, 1]) - 1.0).abs() < 1e-9);
    }
}
