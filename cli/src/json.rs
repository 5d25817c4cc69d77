//! JSON that no terminal takes for commands. What flows in: values. What flows out: JSON in one line, the same value to any
//! parser, in which control characters of every sort and those that are not seen are written as `\uXXXX`.
//!
//! JSON itself only asks for that up to U+001F: U+009B alone begins a command on many terminals.

use std::io;

use carrack_engine::control::commands;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

/// Writes a value.
///
/// # Errors
/// What `out` says.
pub(crate) fn write(out: &mut dyn io::Write, value: &impl Serialize) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(out, Quiet))
}

/// As compact as can be.
struct Quiet;

impl Formatter for Quiet {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, out: &mut W, mut text: &str) -> io::Result<()> {
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return out.write_all(text.as_bytes());
        }
        while let Some((at, c)) = text.char_indices().find(|&(_, c)| commands(c)) {
            out.write_all(&text.as_bytes()[..at])?;
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}")?;
            }
            text = &text[at + c.len_utf8()..];
        }
        out.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_the_same_and_commands_nothing() {
        for text in ["", "plain", "grün \u{1f600}", "\x1b[2J\u{9b}2J\x7f\u{202e}a\"\\\n", "\u{feff}"] {
            let mut bytes = Vec::new();
            write(&mut bytes, &text).unwrap();
            let json = String::from_utf8(bytes).unwrap();
            assert!(!json.chars().any(commands), "{json:?}");
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
        let mut bytes = Vec::new();
        write(&mut bytes, &"é\u{85}").unwrap();
        assert_eq!(bytes, "\"é\\u0085\"".as_bytes());
    }
}
