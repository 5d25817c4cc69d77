//! Medians, spreads, and how sure a ratio is.
//!
//! In: numbers of repeated runs. Out: [`Summary`] and [`Ratio`]. It knows nothing of what was measured.

use carrack_fixtures::rng::Rng;
use serde::Serialize;

/// What repeated measurements of one thing come to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Number of measurements.
    pub count: usize,
    /// Half lie below.
    pub median: f64,
    /// A quarter lies below.
    pub quarter: f64,
    /// A quarter lies above.
    pub three_quarters: f64,
    /// Least.
    pub min: f64,
    /// Greatest.
    pub max: f64,
}

impl Summary {
    /// Of these numbers; `None` when there are none.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (&min, &max) = (sorted.first()?, sorted.last()?);
        let [quarter, median, three_quarters] = [0.25, 0.5, 0.75].map(|at| quantile(&sorted, at));
        Some(Self { count: sorted.len(), median, quarter, three_quarters, min, max })
    }
}

/// By straight lines between neighbours.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// How often the rounds are drawn anew.
const RESAMPLES: usize = 10_000;

/// How two things compare that were measured side by side, round by round.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ratio {
    /// a / b of each round.
    pub rounds: Vec<f64>,
    /// Their geometric mean.
    pub mean: f64,
    /// The truth lies between these in 95 of 100 such experiments: see [`Ratio::of`].
    pub low: f64,
    /// See `low`.
    pub high: f64,
}

impl Ratio {
    /// Of pairs (a, b), all positive; `None` when there are fewer than two, as one alone says nothing about how sure it
    /// is. The same pairs and seed give the same interval.
    ///
    /// The interval is the percentile bootstrap of the mean logarithm, stretched around the mean by `√(n/(n−1)) ·
    /// t(n−1)/1.96`: drawn from few rounds, the plain one is too narrow and would hold the truth in some 90 of 100
    /// experiments with ten rounds (T. Hesterberg, "What Teachers Should Know About the Bootstrap", The American
    /// Statistician 69, 2015, section 3.2, which stretches in terms of quantiles).
    #[must_use]
    pub fn of(pairs: &[(f64, f64)], seed: u64) -> Option<Self> {
        if pairs.len() < 2 {
            return None;
        }
        let rounds: Vec<f64> = pairs.iter().map(|(a, b)| a / b).collect();
        let logs: Vec<f64> = rounds.iter().map(|ratio| ratio.ln()).collect();
        let mut rng = Rng::new(seed);
        let mut mean_of_some = |_| {
            let sum: f64 = (0..logs.len()).map(|_| *rng.pick(&logs)).sum();
            sum / logs.len() as f64
        };
        let mut means: Vec<f64> = (0..RESAMPLES).map(&mut mean_of_some).collect();
        means.sort_unstable_by(f64::total_cmp);
        let mean = logs.iter().sum::<f64>() / logs.len() as f64;
        let stretch = stretch(logs.len());
        let [low, high] = [0.025, 0.975].map(|at| (mean + stretch * (quantile(&means, at) - mean)).exp());
        Some(Self { rounds, mean: mean.exp(), low, high })
    }

    /// Whether the interval holds `value`.
    #[must_use]
    pub fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// By how much an interval drawn from so many rounds (at least two) is too narrow.
fn stretch(rounds: usize) -> f64 {
    /// 97.5% quantile of Student's t with 1, 2, … degrees of freedom.
    const T: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];
    let normal = 1.959_964_f64;
    let freedom = rounds - 1;
    // Beyond the table by the first term of the expansion in 1/freedom.
    let expanded = normal + (normal.powi(3) + normal) / (4.0 * freedom as f64);
    let t = T.get(freedom - 1).copied().unwrap_or(expanded);
    (rounds as f64 / freedom as f64).sqrt() * t / normal
}

/// Puts things in random order: each order is as likely as any other.
pub fn shuffle<T>(things: &mut [T], rng: &mut Rng) {
    for last in (1..things.len()).rev() {
        things.swap(last, rng.below(last as u64 + 1) as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_on_straight_lines() {
        let summary = Summary::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((summary.min, summary.quarter, summary.median), (1.0, 1.75, 2.5));
        assert_eq!((summary.three_quarters, summary.max, summary.count), (3.25, 4.0, 4));
        assert_eq!(Summary::of([7.0]).unwrap().median, 7.0);
        assert_eq!(Summary::of([]), None);
    }

    #[test]
    fn a_constant_ratio_has_no_spread_whatever_the_rounds_were_like() {
        let ratio = Ratio::of(&[(1.0, 2.0), (10.0, 20.0), (0.1, 0.2)], 1).unwrap();
        for value in [ratio.mean, ratio.low, ratio.high] {
            assert!((value - 0.5).abs() < 1e-12, "{ratio:?}");
        }
    }

    /// How many of 60 intervals hold the truth.
    fn held(rounds: u32, seed: u64) -> u32 {
        let mut rng = Rng::new(seed);
        // The sum of twelve numbers from 0 to 1 is nearly normal.
        let mut noise = || (0..12).map(|_| rng.below(1 << 20) as f64 / f64::from(1 << 20)).sum::<f64>() - 6.0;
        let mut held = 0;
        for seed in 0..60 {
            let pairs: Vec<_> =
                (0..rounds).map(|_| ((0.8_f64.ln() + 0.05 * noise()).exp(), (0.05 * noise()).exp())).collect();
            let ratio = Ratio::of(&pairs, seed).unwrap();
            assert!(ratio.low <= ratio.mean && ratio.mean <= ratio.high);
            held += u32::from(ratio.holds(0.8));
        }
        held
    }

    #[test]
    fn intervals_hold_the_truth_about_as_often_as_they_say_even_with_few_rounds() {
        for rounds in [4, 7, 20] {
            let held: u32 = (0..10).map(|seed| held(rounds, 1000 + seed)).sum();
            // 570 are 95%, and 16 are three standard deviations.
            assert!((554..=586).contains(&held), "{rounds} rounds: {held} of 600");
        }
    }

    #[test]
    fn one_round_gives_no_interval_and_more_rounds_stretch_less() {
        assert_eq!(Ratio::of(&[(1.0, 2.0)], 1), None);
        let stretches: Vec<f64> = [2, 3, 7, 31, 32, 1000].map(stretch).to_vec();
        assert!(stretches.windows(2).all(|pair| pair[0] > pair[1]), "{stretches:?}");
        assert!((stretches[5] - 1.0).abs() < 0.01, "{stretches:?}");
    }

    #[test]
    fn a_shuffle_keeps_everything_and_follows_its_seed() {
        let order = |seed| {
            let mut things: Vec<u32> = (0..50).collect();
            shuffle(&mut things, &mut Rng::new(seed));
            things
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        let mut sorted = order(3);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    }
}
