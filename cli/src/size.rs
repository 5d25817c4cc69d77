//! Sizes as people write and read them. What flows in: text or bytes. What flows out: bytes or text. All units are
//! binary: 1 KiB is 1024 bytes.

use std::fmt;
use std::fmt::Write;

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Reads `512`, `64k`, `1M`, `4MiB`, `1GiB` as bytes.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(format!("{text:?} is no size: write a whole number and a unit, as in 64k, 1M, 4MiB or 1GiB"));
    }
    let number: u64 = number.parse().map_err(|_| format!("{text:?} is larger than any size can be"))?;
    let power = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kib" => 1,
        "m" | "mib" => 2,
        "g" | "gib" => 3,
        "t" | "tib" => 4,
        "kb" | "mb" | "gb" | "tb" => {
            let letter = unit[..1].to_ascii_uppercase();
            return Err(format!("units are binary here: write {number}{letter}iB or {number}{letter} for {text:?}"));
        }
        _ if unit.starts_with('.') || unit.starts_with(',') => {
            return Err(format!(
                "{text:?} has a fraction: write a whole number of a smaller unit, as in 1536k for 1.5M"
            ));
        }
        _ => return Err(format!("{unit:?} is no unit: sizes end in k, M, G or T, or in KiB, MiB, GiB or TiB")),
    };
    number.checked_mul(1 << (10 * power)).ok_or_else(|| format!("{text:?} is larger than any size can be"))
}

/// Reads a size that fits 32 bits, bytes.
///
/// # Errors
/// As [`parse`], and for sizes of 4 GiB and more.
pub(crate) fn parse_u32(text: &str) -> Result<u32, String> {
    u32::try_from(parse(text)?).map_err(|_| format!("{text:?} is too large: the size must stay below 4GiB"))
}

/// Shows bytes in three digits and a binary unit: `1.21 MiB`. Obeys width and alignment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Human(pub(crate) u64);

impl fmt::Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Small::default();
        if self.0 < 1024 {
            write!(text, "{} B", self.0)?;
            return f.pad(text.as_str());
        }
        let mut unit = 0;
        let mut value = self.0 as f64;
        // What would be rounded to 1024 belongs to the next unit.
        while value >= 1023.5 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let digits = match value {
            v if v < 9.995 => 2,
            v if v < 99.95 => 1,
            _ => 0,
        };
        write!(text, "{value:.digits$} {}", UNITS[unit])?;
        f.pad(text.as_str())
    }
}

/// Shows bytes both ways: `1.21 MiB (1268777 bytes)`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Both(pub(crate) u64);

impl fmt::Display for Both {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("1 byte"),
            bytes @ 0..1024 => write!(f, "{bytes} bytes"),
            bytes => write!(f, "{} ({bytes} bytes)", Human(bytes)),
        }
    }
}

/// A few bytes of text on the stack, so that padding a number costs no allocation.
#[derive(Default)]
struct Small {
    bytes: [u8; 24],
    len: usize,
}

impl Small {
    fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

impl fmt::Write for Small {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let table: [(&str, u64); 15] = [
            ("0", 0),
            ("512", 512),
            ("512B", 512),
            ("64k", 64 << 10),
            ("64K", 64 << 10),
            ("64KiB", 64 << 10),
            ("1M", 1 << 20),
            ("1m", 1 << 20),
            ("4MiB", 4 << 20),
            ("4mib", 4 << 20),
            ("1G", 1 << 30),
            ("1GiB", 1 << 30),
            ("2T", 2 << 40),
            ("2TiB", 2 << 40),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, bytes) in table {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_told_how_to_be_one() {
        let table = [
            ("", "whole number"),
            ("k", "whole number"),
            ("-1", "whole number"),
            ("four", "whole number"),
            ("4X", "no unit"),
            ("4 M", "no unit"),
            ("4MiBs", "no unit"),
            ("4µ", "no unit"),
            ("4MB", "4MiB"),
            ("4kb", "4KiB"),
            ("1.5M", "fraction"),
            ("1,5M", "fraction"),
            ("18446744073709551616", "larger than"),
            ("16777216T", "larger than"),
        ];
        for (text, part) in table {
            let error = parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
        assert_eq!(parse_u32("4095M"), Ok(4095 << 20));
        assert!(parse_u32("4G").is_err_and(|error| error.contains("below 4GiB")));
    }

    #[test]
    fn sizes_are_shown() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (10 << 10, "10.0 KiB"),
            (999 << 10, "999 KiB"),
            ((1 << 20) - 1, "1.00 MiB"),
            (1_268_777, "1.21 MiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in table {
            assert_eq!(Human(bytes).to_string(), text);
        }
        assert_eq!(format!("{:>10}|", Human(1024)), "  1.00 KiB|");
        assert_eq!(Both(1).to_string(), "1 byte");
        assert_eq!(Both(1000).to_string(), "1000 bytes");
        assert_eq!(Both(1024).to_string(), "1.00 KiB (1024 bytes)");
    }
}
