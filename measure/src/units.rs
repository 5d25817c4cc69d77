//! Numbers as people read and type them. Bytes are counted in powers of 1000 where they are shown (MB) and of 1024 where
//! they are typed as KiB, MiB or GiB (or K, M, G).

/// A size in bytes: `65536`, `64KiB`, `64k`, `4M`.
///
/// # Errors
/// Says what was expected.
pub fn parse_size(text: &str) -> Result<u32, String> {
    let expected = || format!("{text:?} is no size: expected bytes, or a number with KiB, MiB or GiB, below 4GiB");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => return Err(expected()),
    };
    let number: u32 = digits.parse().map_err(|_| expected())?;
    number.checked_mul(1 << shift).ok_or_else(expected)
}

/// A time, at three significant digits: `812 ns`, `45.1 µs`, `1.20 ms`, `3.41 s`.
#[must_use]
pub fn time(ns: u64) -> String {
    let (value, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..999_500 => (ns as f64 / 1e3, "µs"),
        999_500..999_500_000 => (ns as f64 / 1e6, "ms"),
        _ => (ns as f64 / 1e9, "s"),
    };
    let digits = match value {
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

/// Seconds with two places.
#[must_use]
pub fn seconds(ns: u64) -> String {
    format!("{:.2}", ns as f64 / 1e9)
}

/// Megabytes without places, with one below ten, with three below a tenth.
#[must_use]
pub fn megabytes(bytes: u64) -> String {
    let value = bytes as f64 / 1e6;
    let digits = match value {
        ..0.1 => 3,
        ..9.95 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// Megabytes a second.
#[must_use]
pub fn rate(bytes: u64, ns: u64) -> f64 {
    bytes as f64 * 1e3 / ns.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_typed() {
        assert_eq!(parse_size("65536"), Ok(65_536));
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("64k"), Ok(65_536));
        assert_eq!(parse_size("4MiB"), Ok(4 << 20));
        assert_eq!(parse_size("3g"), Ok(3 << 30));
        for wrong in ["", "MiB", "4MB", "-1", "4 MiB", "1.5M", "4GiB", "99999999999", "1µ"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_keep_three_digits_across_units() {
        let shown: Vec<_> = [7, 999, 1_000, 45_120, 999_499, 999_500, 9_996_000, 3_412_000_000, 120_000_000_000]
            .into_iter()
            .map(time)
            .collect();
        assert_eq!(shown, ["7 ns", "999 ns", "1.00 µs", "45.1 µs", "999 µs", "1.00 ms", "10.0 ms", "3.41 s", "120 s"]);
    }

    #[test]
    fn megabytes_and_rates_are_decimal() {
        assert_eq!([14_000, 4_200_000, 224_000_000].map(megabytes), ["0.014", "4.2", "224"]);
        assert!((rate(224_000_000, 500_000_000) - 448.0).abs() < 1e-9);
    }
}
