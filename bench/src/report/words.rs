//! Numbers as people read them, from any number that a document can hold.

use carrack_measure::units;

/// Beyond this, numbers of a document are taken for this: ns, bytes and rates stay far below it, and no sum or
/// difference of two such numbers overflows.
const GREATEST: f64 = 1e18;

/// A number that can be drawn: finite and not absurd.
pub(super) fn tame(value: f64) -> Option<f64> {
    value.is_finite().then(|| value.clamp(-GREATEST, GREATEST))
}

/// `a / b`, where that is a number that can be drawn.
pub(super) fn quotient(a: f64, b: f64) -> Option<f64> {
    if b > 0.0 { tame(a / b) } else { None }
}

/// Three significant digits, thousands set apart: `0.763`, `41.2`, `1 234`.
pub(super) fn number(value: f64) -> String {
    let Some(value) = tame(value) else { return "?".to_owned() };
    match value.abs() {
        0.0 => "0".to_owned(),
        ..0.000_95 | 1e12.. => format!("{value:.1e}"),
        ..0.999_5 => format!("{value:.3}"),
        ..9.995 => format!("{value:.2}"),
        ..99.95 => format!("{value:.1}"),
        _ => grouped(value),
    }
}

/// The same without zeros at its end: for round numbers.
pub(super) fn round_number(value: f64) -> String {
    let shown = number(value);
    if shown.contains('.') && !shown.contains('e') {
        shown.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        shown
    }
}

/// A whole number, in groups of three digits that no line break parts.
pub(super) fn grouped(value: f64) -> String {
    let Some(value) = tame(value) else { return "?".to_owned() };
    let digits = format!("{:.0}", value.abs());
    let mut text = if value < 0.0 { "−".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A ratio, with two places.
pub(super) fn ratio(value: f64) -> String {
    match tame(value) {
        Some(value) if value.abs() < 1000.0 => format!("{value:.2}"),
        _ => number(value),
    }
}

/// A ratio and its interval: `0.757 [0.720, 0.798]`. Two places would hide on which side of 1 an end lies.
pub(super) fn interval(mean: f64, low: f64, high: f64) -> String {
    let shown = |value: f64| if value.abs() < 9.9995 { format!("{value:.3}") } else { ratio(value) };
    format!("{} [{}, {}]", shown(mean), shown(low), shown(high))
}

/// A time, at three significant digits.
pub(super) fn time(ns: f64) -> String {
    // The cast holds any number: below 0 it gives 0.
    units::time(ns.round() as u64)
}

/// A time on an axis: `10 µs`, without places.
pub(super) fn short_time(ns: f64) -> String {
    let (value, unit) = match ns {
        ..1e3 => (ns, "ns"),
        ..1e6 => (ns / 1e3, "µs"),
        ..1e9 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    // Ticks are one digit and zeros, and binary fractions of them are not.
    let value = (value * 1e6).round() / 1e6;
    if value < 1e6 { format!("{value} {unit}") } else { format!("{value:.0e} {unit}") }
}

/// A size, MB and GB of powers of 1000.
pub(super) fn bytes(value: f64) -> String {
    match value.abs() {
        ..1e3 => format!("{value:.0} B"),
        ..1e6 => format!("{} kB", number(value / 1e3)),
        ..1e9 => format!("{} MB", number(value / 1e6)),
        _ => format!("{} GB", number(value / 1e9)),
    }
}

/// A size as it is set: KiB, MiB of powers of 1024, where it is a whole number of them.
pub(super) fn binary_bytes(value: f64) -> String {
    let whole = |unit: f64| value >= unit && (value / unit).fract() == 0.0;
    match value {
        _ if whole(1_073_741_824.0) => format!("{} GiB", value / 1_073_741_824.0),
        _ if whole(1_048_576.0) => format!("{} MiB", value / 1_048_576.0),
        _ if whole(1024.0) => format!("{} KiB", value / 1024.0),
        _ => format!("{value} B"),
    }
}

/// A share of 1, as percent.
pub(super) fn percent(share: f64) -> String {
    match share.abs() * 100.0 {
        0.0 => "0%".to_owned(),
        ..0.095 => "<0.1%".to_owned(),
        ..9.95 => format!("{:.1}%", share * 100.0),
        value if value < 1e6 => format!("{:.0}%", share * 100.0),
        _ => format!("{}%", number(share * 100.0)),
    }
}

/// `1 row`, `2 rows`.
pub(super) fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// At most so many characters; what is cut off shows as an ellipsis.
pub(super) fn clipped(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits() {
        let shown: Vec<String> =
            [0.0, 0.000_1, 0.763_4, 1.0, 41.234, 412.3, 1_234_567.0, 1e300, f64::NAN].map(number).into();
        let expected = ["0", "1.0e-4", "0.763", "1.00", "41.2", "412", "1\u{202f}234\u{202f}567", "1.0e18", "?"];
        assert_eq!(shown, expected);
        assert_eq!(grouped(-1234.0), "−1\u{202f}234");
    }

    #[test]
    fn sizes_and_times_have_units() {
        assert_eq!([512.0, 2_500.0, 224e6, 3e9].map(bytes), ["512 B", "2.50 kB", "224 MB", "3.00 GB"]);
        assert_eq!([65_536.0, 1_048_576.0, 1000.0].map(binary_bytes), ["64 KiB", "1 MiB", "1000 B"]);
        assert_eq!([10.0, 2e4, 5e7, 1e9].map(short_time), ["10 ns", "20 µs", "50 ms", "1 s"]);
        assert_eq!([-5.0, f64::NAN, 1e300].map(time)[..2], ["0 ns", "0 ns"]);
        assert_eq!([0.0, 0.0001, 0.042, 0.5, 1.0].map(percent), ["0%", "<0.1%", "4.2%", "50%", "100%"]);
    }

    #[test]
    fn long_words_are_clipped_by_characters() {
        assert_eq!(clipped("ätherisch", 4), "äth…");
        assert_eq!(clipped("kurz", 4), "kurz");
        assert_eq!(clipped("x", 0), "…");
    }

    #[test]
    fn no_division_gives_what_cannot_be_drawn() {
        assert_eq!(quotient(1.0, 0.0), None);
        assert_eq!(quotient(f64::NAN, 1.0), None);
        assert_eq!(quotient(1e308, 1e-10), None, "infinite");
        assert_eq!(quotient(1.0, 4.0), Some(0.25));
    }
}
