//! What the program reads from people: `tune.toml`, sizes, times, patterns, command lines.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use carrack_cli::reading;

/// Reads the input as each of them.
pub fn check(input: &[u8]) {
    if let Ok(text) = str::from_utf8(input) {
        if let Ok(written) = reading::tune_file(text) {
            let again = reading::tune_file(&written).expect("what is written can be read");
            assert_eq!(written, again, "what is read is what was written");
        }
        if let Ok(bytes) = reading::size(text) {
            let _ = reading::shown_size(bytes);
            assert_eq!(reading::size(&bytes.to_string()), Ok(bytes));
        }
        let _ = reading::duration(text);
    }
    if let Some(ns) = input.first_chunk() {
        let shown = reading::shown_time(i64::from_le_bytes(*ns));
        assert_eq!(shown.len(), "1970-01-01T00:00:00.000000000Z".len());
    }
    let _ = reading::patterns(input);
    let words: Vec<OsString> =
        input.split(|&byte| byte == b'\n').take(16).map(|word| OsString::from_vec(word.to_vec())).collect();
    let _ = reading::arguments(&words);
}
