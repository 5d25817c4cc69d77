//! Points in time and durations as text. What flows in: nanoseconds. What flows out: UTC in the form of ISO 8601.
//! What this module does not know: time zones, and what time it is now.

use std::fmt;
use std::time::Duration;

const NS_A_SECOND: i64 = 1_000_000_000;
const SECONDS_A_DAY: i64 = 86_400;

/// Shows a point in time, ns since 1970-01-01 UTC, to the second: `2024-02-29T12:34:56Z`; with `{:#}` to the
/// nanosecond: `2024-02-29T12:34:56.000000007Z`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Utc(pub(crate) i64);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(NS_A_SECOND);
        let (year, month, day) = civil(seconds.div_euclid(SECONDS_A_DAY));
        let of_day = seconds.rem_euclid(SECONDS_A_DAY);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        // Years of an i64 in ns go from 1677 to 2262: always four digits.
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        for (at, digits, value) in
            [(0, 4, year), (5, 2, month), (8, 2, day), (11, 2, hour), (14, 2, minute), (17, 2, second)]
        {
            put(&mut text[at..at + digits], value);
        }
        let len = if f.alternate() {
            put(&mut text[20..29], self.0.rem_euclid(NS_A_SECOND));
            text.len()
        } else {
            text[19] = b'Z';
            20
        };
        f.write_str(str::from_utf8(&text[..len]).map_err(|_| fmt::Error)?)
    }
}

/// Writes a number with leading zeros into all of `place`.
fn put(place: &mut [u8], mut value: i64) {
    for digit in place.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// Year, month and day of the Gregorian calendar, from days since 1970-01-01. Counts in eras of 400 years that begin
/// on the first of March, so that the leap day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// Shows how long something took: `3.21 s`, `840 ms`, `12 µs`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Took(pub(crate) Duration);

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.as_nanos();
        let text = match ns {
            0..1_000 => format!("{ns} ns"),
            1_000..1_000_000 => format!("{:.1} µs", ns as f64 / 1e3),
            1_000_000..1_000_000_000 => format!("{:.1} ms", ns as f64 / 1e6),
            _ => format!("{:.2} s", ns as f64 / 1e9),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_on_both_sides_of_every_edge() {
        let table = [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_209_496, "2024-02-29T12:24:56Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (-2_208_988_800, "1900-01-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
        ];
        for (seconds, text) in table {
            assert_eq!(Utc(seconds * NS_A_SECOND).to_string(), text, "{seconds}");
        }
    }

    #[test]
    fn nanoseconds_are_exact_even_before_1970() {
        assert_eq!(format!("{:#}", Utc(7)), "1970-01-01T00:00:00.000000007Z");
        assert_eq!(format!("{:#}", Utc(-1)), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(format!("{:#}", Utc(i64::MAX)), "2262-04-11T23:47:16.854775807Z");
        assert_eq!(format!("{:#}", Utc(i64::MIN)), "1677-09-21T00:12:43.145224192Z");
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = civil(-110_000);
        for day in -109_999..110_000 {
            let now = civil(day);
            let next_day = (last.0, last.1, last.2 + 1);
            let next_month = (last.0, last.1 + 1, 1);
            let next_year = (last.0 + 1, 1, 1);
            assert!(now == next_day || (now == next_month && last.2 >= 28) || (now == next_year && last.1 == 12));
            assert!(now.2 <= 31 && now.1 <= 12);
            last = now;
        }
    }

    #[test]
    fn durations_keep_their_unit() {
        for (ns, text) in [(999, "999 ns"), (1_500, "1.5 µs"), (84_000_000, "84.0 ms"), (3_210_000_000, "3.21 s")] {
            assert_eq!(Took(Duration::from_nanos(ns)).to_string(), text);
        }
    }
}
