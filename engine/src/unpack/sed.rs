//! Expressions that change names, as those of GNU tar's `--transform`: `s/pattern/replacement/flags`, several with `;`
//! between them or one after the other.
//!
//! In: text, then names. Out: changed names. Patterns are basic regular expressions of POSIX with GNU's `\+`, `\?`, `\|`, or
//! extended ones with the flag `x`; they are put into the syntax of the crate `regex`, which takes linear time whatever
//! the pattern, and therefore knows no references back within a pattern: these are refused. A dot and a class like `[^a]`
//! meet any character, and any byte that belongs to none.
//!
//! | flag | |
//! |---|---|
//! | `g`, a number | every match; every match from that one on, or that one alone |
//! | `i`, `x` | upper and lower case are the same; an extended regular expression |
//! | `r` `s` `h`, `R` `S` `H` | names, targets of symlinks, of hard links: whether it is about them (all, unless one is left out) |

mod pattern;

use std::fmt;

use regex::bytes::{Captures, Regex, RegexBuilder};

/// What a changed text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The path of an entry.
    Name,
    /// What a symlink points to.
    Target,
}

/// Several expressions, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Transform(Vec<Expression>);

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SedError(String);

impl fmt::Display for SedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SedError {}

#[derive(Clone, Debug)]
struct Expression {
    pattern: Regex,
    replacement: Vec<Part>,
    /// The first match that is replaced, from 1.
    from: usize,
    all: bool,
    names: bool,
    targets: bool,
}

/// A part of a replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    /// What a group matched; 0 for the whole match.
    Group(usize),
    /// From here on, or for the next character alone.
    Case(Case),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Upper,
    Lower,
    NextUpper,
    NextLower,
    Same,
}

impl Transform {
    /// Adds the expressions of a text.
    ///
    /// # Errors
    /// When it is none.
    pub fn add(&mut self, text: &str) -> Result<(), SedError> {
        let wrong = |what: &str| SedError(format!("{text}: {what}"));
        let mut rest = text;
        loop {
            rest = rest.trim_start_matches(';');
            if rest.is_empty() {
                return if self.0.is_empty() {
                    Err(wrong("no expression: expected s/pattern/replacement/"))
                } else {
                    Ok(())
                };
            }
            let mut chars = rest.chars();
            let delimiter = match (chars.next(), chars.next()) {
                (Some('s'), Some(c)) if c != '\\' && c != '\n' && c != ';' => c,
                _ => return Err(wrong("expected s/pattern/replacement/")),
            };
            let body = chars.as_str();
            let (pattern, body) = section(body, delimiter, true).ok_or_else(|| wrong("the pattern has no end"))?;
            let (replacement, body) =
                section(body, delimiter, false).ok_or_else(|| wrong("the replacement has no end"))?;
            let (flags, more) = body.split_once(';').unwrap_or((body, ""));
            self.0.push(Expression::new(&pattern, &replacement, flags).map_err(|what| wrong(&what))?);
            rest = more;
        }
    }

    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What becomes of the path of an entry.
    #[must_use]
    pub fn name(&self, path: &[u8]) -> Vec<u8> {
        self.apply(path, What::Name)
    }

    /// The text changed by each expression that is about such texts.
    pub(super) fn apply(&self, text: &[u8], what: What) -> Vec<u8> {
        let is_about = |expression: &&Expression| match what {
            What::Name => expression.names,
            What::Target => expression.targets,
        };
        self.0.iter().filter(is_about).fold(text.to_vec(), |text, expression| expression.apply(&text))
    }
}

/// The text up to the delimiter, which may stand in it behind a backslash, and what follows. In the pattern, one between
/// brackets is no delimiter.
fn section(text: &str, delimiter: char, is_pattern: bool) -> Option<(String, &str)> {
    let mut found = String::new();
    let mut chars = text.char_indices();
    let mut bracket: Option<String> = None;
    while let Some((at, c)) = chars.next() {
        if let Some(inside) = &mut bracket {
            found.push(c);
            // A bracket that comes first, or behind ^, is a character of the class.
            if c == ']' && !matches!(inside.as_str(), "" | "^") {
                bracket = None;
            } else {
                inside.push(c);
            }
        } else if c == delimiter {
            return Some((found, &text[at + c.len_utf8()..]));
        } else if c == '\\' {
            let (_, next) = chars.next()?;
            if next != delimiter {
                found.push('\\');
            }
            found.push(next);
        } else {
            bracket = (is_pattern && c == '[').then(String::new);
            found.push(c);
        }
    }
    None
}

impl Expression {
    fn new(pattern: &str, replacement: &str, flags: &str) -> Result<Self, String> {
        let (mut from, mut all, mut extended, mut ignore_case) = (None::<usize>, false, false, false);
        let (mut names, mut targets) = (true, true);
        for flag in flags.chars() {
            match flag {
                'g' => all = true,
                'i' => ignore_case = true,
                'x' => extended = true,
                'r' => names = true,
                'R' => names = false,
                's' => targets = true,
                'S' => targets = false,
                // A hard link has to lead to what its file is called now.
                'h' | 'H' => {}
                '0'..='9' => {
                    let digit = flag as usize - '0' as usize;
                    from = Some(from.unwrap_or(0).saturating_mul(10).saturating_add(digit));
                }
                flag => return Err(format!("unknown flag {}", flag.escape_debug())),
            }
        }
        if from == Some(0) {
            return Err("matches are counted from 1".to_owned());
        }
        let translated = pattern::translate(pattern, extended)?;
        let pattern = RegexBuilder::new(&translated)
            .case_insensitive(ignore_case)
            .build()
            .map_err(|error| format!("cannot use the pattern {pattern}: {error}"))?;
        let replacement = parts(replacement)?;
        let groups = pattern.captures_len();
        if let Some(Part::Group(group)) =
            replacement.iter().find(|part| matches!(part, Part::Group(group) if *group >= groups))
        {
            return Err(format!("the replacement names group {group}, and the pattern has {}", groups - 1));
        }
        Ok(Self { pattern, replacement, from: from.unwrap_or(1), all, names, targets })
    }

    fn apply(&self, text: &[u8]) -> Vec<u8> {
        let (mut changed, mut copied) = (Vec::with_capacity(text.len()), 0);
        for (number, captures) in self.pattern.captures_iter(text).enumerate() {
            if number + 1 < self.from {
                continue;
            }
            let whole = captures.get_match();
            changed.extend_from_slice(&text[copied..whole.start()]);
            self.replace(&captures, &mut changed);
            copied = whole.end();
            if !self.all {
                break;
            }
        }
        changed.extend_from_slice(&text[copied..]);
        changed
    }

    fn replace(&self, captures: &Captures<'_>, out: &mut Vec<u8>) {
        let (mut case, mut next) = (Case::Same, Case::Same);
        for part in &self.replacement {
            let text = match part {
                Part::Text(text) => &text[..],
                Part::Group(group) => captures.get(*group).map_or(&[][..], |group| group.as_bytes()),
                Part::Case(change @ (Case::NextUpper | Case::NextLower)) => {
                    next = *change;
                    continue;
                }
                Part::Case(change) => {
                    (case, next) = (*change, Case::Same);
                    continue;
                }
            };
            for chunk in text.utf8_chunks() {
                for c in chunk.valid().chars() {
                    let mut bytes = [0; 4];
                    match (std::mem::replace(&mut next, Case::Same), case) {
                        (Case::NextUpper, _) | (Case::Same, Case::Upper) => {
                            c.to_uppercase().for_each(|c| out.extend_from_slice(c.encode_utf8(&mut bytes).as_bytes()));
                        }
                        (Case::NextLower, _) | (Case::Same, Case::Lower) => {
                            c.to_lowercase().for_each(|c| out.extend_from_slice(c.encode_utf8(&mut bytes).as_bytes()));
                        }
                        _ => out.extend_from_slice(c.encode_utf8(&mut bytes).as_bytes()),
                    }
                }
                out.extend_from_slice(chunk.invalid());
            }
        }
    }
}

/// The parts of a replacement.
fn parts(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut chars = text.chars();
    let plain = |c: char, parts: &mut Vec<Part>| {
        let mut bytes = [0; 4];
        let bytes = c.encode_utf8(&mut bytes).as_bytes();
        match parts.last_mut() {
            Some(Part::Text(text)) => text.extend_from_slice(bytes),
            _ => parts.push(Part::Text(bytes.to_vec())),
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '&' => parts.push(Part::Group(0)),
            '\\' => match chars.next() {
                None => return Err("the replacement ends with a backslash".to_owned()),
                Some(digit @ '0'..='9') => parts.push(Part::Group(digit as usize - '0' as usize)),
                Some('U') => parts.push(Part::Case(Case::Upper)),
                Some('L') => parts.push(Part::Case(Case::Lower)),
                Some('u') => parts.push(Part::Case(Case::NextUpper)),
                Some('l') => parts.push(Part::Case(Case::NextLower)),
                Some('E') => parts.push(Part::Case(Case::Same)),
                Some('n') => plain('\n', &mut parts),
                Some(c) => plain(c, &mut parts),
            },
            c => plain(c, &mut parts),
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(expressions: &str, name: &str) -> String {
        let mut transform = Transform::default();
        transform.add(expressions).unwrap();
        String::from_utf8(transform.apply(name.as_bytes(), What::Name)).unwrap()
    }

    fn complaint(expressions: &str) -> String {
        Transform::default().add(expressions).unwrap_err().to_string()
    }

    /// What GNU tar 1.34 makes of the same.
    #[test]
    fn names_change_as_with_tar() {
        for (expressions, name, expected) in [
            ("s,b,Q/R,", "a/b/c/b", "a/Q/R/c/b"),
            ("s,a/,Z/,", "a/b", "Z/b"),
            (r"s/\(.\)\/\(.\)/\2\/\1/g", "a/b/c", "b/a/c"),
            (r"s/f/\U&/", "a/f", "a/F"),
            ("s,a,b,2;s,B,x,i", "a/a", "a/x"),
            ("s/^/x-/", "a", "x-a"),
            ("s/$/.bak/", "a", "a.bak"),
            ("s/[^/]*$/x/", "a/b", "a/x"),
            ("s/a*/x/g", "baac", "xbxcx"),
            ("s/./x/2g", "abc", "axx"),
            ("s/(a)+/x/", "(a)+a", "xa"),
            ("s/(a)+/x/x", "baac", "bxc"),
            (r"s/\(a\)\{2\}/[&]/", "baac", "b[aa]c"),
            (r"s/a\+\?b\|c/x/", "aab", "x"),
            ("s/*/x/", "a*", "ax"),
            ("s/a^b$c/x/", "a^b$c", "x"),
            (r"s/[]/]/x/", "a]", "ax"),
            (r"s/[\n]/x/", r"a\", "ax"),
            ("s/[a-c&&b~~-]/x/g", "acdb&~-e", "xxdxxxxe"),
            ("s/[[:digit:]]\\+/N/", "v123", "vN"),
            (r"s/\(.*\)\.txt/\u\1/", "note.txt", "Note"),
            (r"s/.*/\L\u&\E-X/", "hELLO", "Hello-X"),
            (r"s|\||/|", "a|b", "a/b"),
        ] {
            assert_eq!(changed(expressions, name), expected, "{expressions} of {name}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_met_by_a_dot() {
        let mut transform = Transform::default();
        transform.add("s/^.*$/[&]/").unwrap();
        assert_eq!(transform.apply(b"caf\xe9\nx", What::Name), b"[caf\xe9\nx]");
        let mut transform = Transform::default();
        transform.add("s/[^a]/-/g").unwrap();
        assert_eq!(transform.apply(b"a\xff\xc3\xa4a", What::Name), b"a--a");
    }

    #[test]
    fn flags_say_what_an_expression_is_about() {
        let mut transform = Transform::default();
        transform.add("s/a/b/S;s/b/c/R").unwrap();
        assert_eq!(transform.apply(b"a", What::Name), b"b");
        assert_eq!(transform.apply(b"ab", What::Target), b"ac");
    }

    #[test]
    fn what_is_no_expression_is_refused_with_the_reason() {
        for (text, part) in [
            ("", "no expression"),
            ("y/a/b/", "expected s/"),
            ("s/a", "the pattern has no end"),
            ("s/a/b", "the replacement has no end"),
            ("s/a/b/q", "unknown flag q"),
            ("s/a/b/0", "counted from 1"),
            (r"s/\(a\)\1/b/", "references back"),
            (r"s/a/\1/", "group 1"),
            (r"s/\(a/b/", "cannot use the pattern"),
            ("s/a/b/;x", "expected s/"),
        ] {
            let said = complaint(text);
            assert!(said.contains(part), "{text}: {said}");
        }
    }
}
