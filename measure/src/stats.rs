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
    /// 95% of the means of rounds drawn anew lie between these.
    pub low: f64,
    /// See `low`.
    pub high: f64,
}

impl Ratio {
    /// Of pairs (a, b), all positive; `None` when there are none. The same pairs and seed give the same interval.
    #[must_use]
    pub fn of(pairs: &[(f64, f64)], seed: u64) -> Option<Self> {
        if pairs.is_empty() {
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
        let [low, high] = [0.025, 0.975].map(|at| quantile(&means, at).exp());
        let mean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
        Some(Self { rounds, mean, low, high })
    }
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

    #[test]
    fn intervals_hold_the_truth_about_as_often_as_they_say() {
        let mut rng = Rng::new(3);
        // The sum of twelve numbers from 0 to 1 is nearly normal.
        let mut noise = || (0..12).map(|_| rng.below(1 << 20) as f64 / f64::from(1 << 20)).sum::<f64>() - 6.0;
        let mut held = 0;
        for seed in 0..60 {
            let pairs: Vec<_> =
                (0..20).map(|_| ((0.8_f64.ln() + 0.05 * noise()).exp(), (0.05 * noise()).exp())).collect();
            let ratio = Ratio::of(&pairs, seed).unwrap();
            assert!(ratio.low <= ratio.mean && ratio.mean <= ratio.high);
            held += u32::from((ratio.low..=ratio.high).contains(&0.8));
        }
        assert!((50..=60).contains(&held), "{held} of 60");
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
