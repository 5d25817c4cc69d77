//! Regular expressions of POSIX in the syntax of the crate `regex`.

/// Any character, a newline too, or a byte that belongs to none.
const ANY: &str = r"(?s:.|(?-u:[\x80-\xFF]))";

/// Translates a basic or an extended regular expression.
pub(super) fn translate(pattern: &str, extended: bool) -> Result<String, String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    // Whether nothing stands before that could be repeated, or that an anchor could not follow.
    let mut at_start = true;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let was_start = std::mem::replace(&mut at_start, false);
        match c {
            '\\' => {
                let next = rest.chars().next().ok_or("the pattern ends with a backslash")?;
                rest = &rest[next.len_utf8()..];
                at_start = escaped(next, extended, &mut out)?;
            }
            '[' => rest = class(rest, &mut out)?,
            '.' => out.push_str(ANY),
            '*' if was_start && !extended => out.push_str(r"\*"),
            '*' => out.push('*'),
            '^' if was_start || extended => {
                out.push_str(r"\A");
                at_start = !extended;
            }
            '$' if extended || ends(rest) => out.push_str(r"\z"),
            '(' | ')' | '|' | '{' | '}' | '+' | '?' if extended => {
                out.push(c);
            }
            c => literal(c, &mut out),
        }
    }
    Ok(out)
}

/// A character behind a backslash. Says whether a new beginning follows it.
fn escaped(c: char, extended: bool, out: &mut String) -> Result<bool, String> {
    match c {
        '(' | '|' if !extended => {
            out.push(c);
            return Ok(true);
        }
        ')' | '{' | '}' | '+' | '?' if !extended => out.push(c),
        '1'..='9' => return Err("references back within the pattern are not supported".to_owned()),
        'n' => out.push_str(r"\n"),
        'w' | 'W' | 'b' | 'B' | 's' | 'S' => out.extend(['\\', c]),
        '<' => out.push_str(r"\b{start}"),
        '>' => out.push_str(r"\b{end}"),
        '`' => out.push_str(r"\A"),
        '\'' => out.push_str(r"\z"),
        c => literal(c, out),
    }
    Ok(false)
}

/// Whether a `$` with this behind it is an anchor in a basic regular expression.
fn ends(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with(r"\)") || rest.starts_with(r"\|")
}

/// A character that stands for itself.
fn literal(c: char, out: &mut String) {
    // Behind a backslash, these two would be the edges of a word.
    if c.is_ascii_punctuation() && !matches!(c, '<' | '>') {
        out.push('\\');
    }
    out.push(c);
}

/// A class of characters, without its opening bracket; gives back what follows it. A backslash is a character as any other
/// in it.
fn class<'t>(text: &'t str, out: &mut String) -> Result<&'t str, String> {
    const NO_END: &str = "a bracket has no end";
    let (negated, mut rest) = text.strip_prefix('^').map_or((false, text), |rest| (true, rest));
    let mut inside = String::new();
    let mut is_first = true;
    loop {
        let c = rest.chars().next().ok_or(NO_END)?;
        rest = &rest[c.len_utf8()..];
        match c {
            ']' if !is_first => break,
            '[' if rest.starts_with(':') => {
                let end = rest.find(":]").ok_or(NO_END)? + 2;
                inside.push('[');
                inside.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            '[' if rest.starts_with(['.', '=']) => {
                return Err("collating elements ([. .], [= =]) are not supported".to_owned());
            }
            // A range, unless it stands first or last.
            '-' if !is_first && !rest.starts_with(']') => inside.push('-'),
            c => literal(c, &mut inside),
        }
        is_first = false;
    }
    if negated {
        out.push_str(&format!(r"(?:[^{inside}]|(?-u:[\x80-\xFF]))"));
    } else {
        out.push_str(&format!("[{inside}]"));
    }
    Ok(rest)
}
