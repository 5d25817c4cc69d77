//! From numbers to places on the paper: straight, logarithmic, and the scale of percentiles.
//!
//! In: the numbers that will be shown, and the stretch that they get. Out: places within that stretch, whatever the
//! number, and ticks with labels.

use super::words::{percent, round_number, tame};

/// How a number becomes a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Law {
    Straight,
    /// By the logarithm.
    Log,
    /// A quantile q by the logarithm of 1 / (1 − q), as HdrHistogram plots them: each further nine takes the same room.
    Tail,
}

/// One mark of an axis.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    /// Its place.
    pub(super) at: f64,
    /// What stands beside it.
    pub(super) label: String,
}

/// A mapping of numbers to a stretch of the paper.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    law: Law,
    /// The ends of the domain, after the law.
    domain: (f64, f64),
    /// Their places.
    range: (f64, f64),
}

impl Scale {
    /// From zero to a round number above all of these.
    pub(super) fn from_zero(values: impl IntoIterator<Item = f64>, range: (f64, f64)) -> Self {
        let most = values.into_iter().filter_map(tame).fold(0.0, f64::max);
        let most = if most > 0.0 { most } else { 1.0 };
        let step = step(most, 4.0);
        Self { law: Law::Straight, domain: (0.0, (most / step).ceil() * step), range }
    }

    /// Around these, with some room at both ends.
    pub(super) fn around(values: impl IntoIterator<Item = f64>, range: (f64, f64)) -> Self {
        let (low, high) = ends(values.into_iter().filter_map(tame)).unwrap_or((0.0, 1.0));
        let room = ((high - low) * 0.08).max(low.abs().max(high.abs()) * 0.01).max(1e-9);
        Self { law: Law::Straight, domain: (low - room, high + room), range }
    }

    /// Logarithmic, around those of these that are above zero, at least a factor of six wide.
    pub(super) fn log(values: impl IntoIterator<Item = f64>, range: (f64, f64)) -> Self {
        let logs = values.into_iter().filter_map(tame).filter(|value| *value > 0.0).map(f64::log10);
        let (low, high) = ends(logs).unwrap_or((0.0, 1.0));
        let room = ((high - low) * 0.06).max((0.8 - (high - low)) / 2.0);
        Self { law: Law::Log, domain: (low - room, high + room), range }
    }

    /// Of quantiles, from the median's left to one sample in so many.
    pub(super) fn tail(samples: f64, range: (f64, f64)) -> Self {
        let most = tame(samples).unwrap_or(0.0).clamp(10.0, 1e7).log10();
        Self { law: Law::Tail, domain: (0.0, most), range }
    }

    /// The place of a number. What lies outside the domain stands at its end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let (low, high) = self.domain;
        let share = ((self.lawful(value) - low) / (high - low)).clamp(0.0, 1.0);
        let share = if share.is_finite() { share } else { 0.0 };
        self.range.0 + share * (self.range.1 - self.range.0)
    }

    /// Whether a number lies within the domain.
    pub(super) fn holds(&self, value: f64) -> bool {
        // Powers of ten and their logarithms are not exact.
        let hair = (self.domain.1 - self.domain.0) * 1e-9;
        (self.domain.0 - hair..=self.domain.1 + hair).contains(&self.lawful(value))
    }

    fn lawful(&self, value: f64) -> f64 {
        match self.law {
            Law::Straight => value,
            Law::Log => value.max(f64::MIN_POSITIVE).log10(),
            // The last sample, q = 1, is as far out as the paper goes.
            Law::Tail => -(1.0 - value.clamp(0.0, 1.0)).max(f64::MIN_POSITIVE).log10(),
        }
    }

    /// Ticks at round numbers, about `wanted` of them, in words of `label`.
    pub(super) fn ticks(&self, wanted: f64, label: impl Fn(f64) -> String) -> Vec<Tick> {
        let values = match self.law {
            Law::Straight => self.straight(wanted),
            Law::Log => self.decades(wanted),
            Law::Tail => [0.5, 0.9, 0.99, 0.999, 0.999_9, 0.999_99, 0.999_999].to_vec(),
        };
        let within = values.into_iter().filter(|value| self.holds(*value));
        within.map(|value| Tick { at: self.at(value), label: label(value) }).collect()
    }

    fn straight(&self, wanted: f64) -> Vec<f64> {
        let (low, high) = self.domain;
        let step = step(high - low, wanted);
        let first = (low / step - 1e-9).ceil();
        let steps = (0..=40_u32).map(|at| (first + f64::from(at)) * step);
        steps.take_while(|value| *value <= high + step * 1e-9).collect()
    }

    /// Powers of ten; where there are few, their doubles and fives too.
    fn decades(&self, wanted: f64) -> Vec<f64> {
        let (low, high) = self.domain;
        // A tame number's logarithm fits.
        let (first, last) = (low.floor() as i32, high.ceil() as i32);
        let parts: &[f64] = match high - low {
            wide if wide * 3.0 <= wanted + 1.0 => &[1.0, 2.0, 5.0],
            wide if wide * 2.0 <= wanted + 1.0 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let every = ((high - low) / wanted.max(1.0)).ceil().max(1.0) as i32;
        let powers = (first..=last).filter(|power| power.rem_euclid(every) == 0);
        powers.flat_map(|power| parts.iter().map(move |part| part * 10_f64.powi(power))).collect()
    }
}

/// A quantile as percent, with as many places as it has nines.
pub(super) fn quantile(q: f64) -> String {
    match q {
        ..0.991 => format!("{}%", round_number(q * 100.0)),
        ..0.999_1 => "99.9%".to_owned(),
        ..0.999_91 => "99.99%".to_owned(),
        ..0.999_991 => "99.999%".to_owned(),
        _ => "99.9999%".to_owned(),
    }
}

/// Labels of a scale of shares.
pub(super) fn whole_percent(share: f64) -> String {
    // A tick is a round number, which binary fractions are not.
    let rounded = (share * 1e4).round() / 1e4;
    if (rounded * 100.0).fract() == 0.0 { format!("{}%", rounded * 100.0) } else { percent(rounded) }
}

/// A round step that parts a span into about so many.
fn step(span: f64, wanted: f64) -> f64 {
    let rough = (span / wanted.max(1.0)).max(1e-12);
    let power = 10_f64.powf(rough.log10().floor());
    let factor = match rough / power {
        ..1.5 => 1.0,
        ..3.5 => 2.0,
        ..7.5 => 5.0,
        _ => 10.0,
    };
    factor * power
}

fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |ends: Option<(f64, f64)>, value| {
        Some(ends.map_or((value, value), |(low, high)| (low.min(value), high.max(value))))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::words::{number, short_time};

    fn labels(ticks: &[Tick]) -> Vec<&str> {
        ticks.iter().map(|tick| tick.label.as_str()).collect()
    }

    #[test]
    fn a_straight_scale_begins_at_zero_and_ends_round() {
        let scale = Scale::from_zero([110.0, 437.0], (100.0, 300.0));
        assert_eq!(labels(&scale.ticks(4.0, number)), ["0", "100", "200", "300", "400", "500"]);
        assert_eq!((scale.at(0.0), scale.at(250.0), scale.at(500.0)), (100.0, 200.0, 300.0));
        assert_eq!((scale.at(-9.0), scale.at(1e300)), (100.0, 300.0), "what lies outside stands at the end");
    }

    #[test]
    fn a_logarithmic_scale_gives_each_power_the_same_room() {
        let scale = Scale::log([1e3, 1e7], (0.0, 100.0));
        let ticks = scale.ticks(6.0, short_time);
        assert_eq!(labels(&ticks), ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms"]);
        let steps: Vec<f64> = ticks.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        assert!(steps.iter().all(|step| (step - steps[0]).abs() < 1e-9), "{steps:?}");
        assert!(Scale::log([5.0], (0.0, 1.0)).ticks(4.0, number).len() >= 2, "one value has ticks around it");
    }

    #[test]
    fn a_tail_gives_each_nine_the_same_room() {
        let scale = Scale::tail(10_000.0, (0.0, 400.0));
        let near = |q: f64, at: f64| assert!((scale.at(q) - at).abs() < 0.01, "{q}: {}", scale.at(q));
        near(0.0, 0.0);
        near(0.9, 100.0);
        near(0.99, 200.0);
        near(0.999, 300.0);
        near(1.0, 400.0);
        assert_eq!(labels(&scale.ticks(9.0, quantile)), ["50%", "90%", "99%", "99.9%", "99.99%"]);
    }

    #[test]
    fn no_numbers_are_too_odd_for_a_scale() {
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, -1.0, 1e-300, 1e300, f64::MAX, f64::MIN];
        let mut sets: Vec<Vec<f64>> = vec![vec![], odd.to_vec()];
        sets.extend(odd.iter().map(|value| vec![*value]));
        for values in &sets {
            let of = || values.iter().copied();
            let range = (10.0, 20.0);
            for scale in [
                Scale::from_zero(of(), range),
                Scale::around(of(), range),
                Scale::log(of(), range),
                Scale::tail(values.first().copied().unwrap_or(0.0), range),
            ] {
                assert!(odd.iter().all(|value| (10.0..=20.0).contains(&scale.at(*value))), "{values:?} {scale:?}");
                let ticks = scale.ticks(5.0, number);
                assert!(ticks.len() <= 41 && ticks.iter().all(|tick| tick.at.is_finite()), "{scale:?}: {ticks:?}");
            }
        }
    }
}
