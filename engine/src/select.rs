//! Which rows a user means: paths with all that is below them, and patterns.
//!
//! In: patterns, then paths. Out: yes or no for each path, and the patterns that met nothing. It looks at bytes alone.

use globset::{Candidate, GlobBuilder, GlobMatcher};

use crate::control::Escaped;
use crate::error::{Error, ErrorKind, Result};

/// Paths with all below them, and globs. In a glob, `*` and `?` stay within one name, `**` does not; a glob without a
/// slash is compared with last names at any depth, one with a slash with whole paths. What a glob looks like may also be
/// the very name of an entry. Whatever lies below something selected is selected too.
#[derive(Debug)]
pub struct Selection(Vec<Item>);

#[derive(Debug)]
struct Item {
    text: String,
    glob: Option<GlobMatcher>,
    /// The glob is about the last name only.
    by_name: bool,
    met: bool,
}

impl Selection {
    /// Selects what any of the patterns matches, and everything below; no pattern selects everything.
    pub fn new(patterns: Vec<String>) -> Self {
        let item = |text: String| {
            // A name with a lone bracket is no glob, but it may well be a path.
            let is_glob = text.contains(['*', '?', '[', '{']);
            let glob = is_glob.then(|| GlobBuilder::new(&text).literal_separator(true).build().ok()).flatten();
            let glob = glob.map(|glob| glob.compile_matcher());
            Item { by_name: !text.contains('/'), glob, text, met: false }
        };
        Self(patterns.into_iter().map(item).collect())
    }

    /// Whether a path is selected.
    pub fn takes(&mut self, path: &[u8]) -> bool {
        let mut taken = self.0.is_empty();
        // Every item is asked, so that each one knows whether it met anything.
        for item in &mut self.0 {
            if item.takes(path) {
                item.met = true;
                taken = true;
            }
        }
        taken
    }

    /// Complains about what met nothing.
    ///
    /// # Errors
    /// Of kind `NotFound`, naming every such pattern.
    pub fn check(&self) -> Result<()> {
        let missing: Vec<_> =
            self.0.iter().filter(|item| !item.met).map(|item| Escaped(item.text.as_bytes()).to_string()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, format!("not in the archive: {}", missing.join(", "))))
    }
}

impl Item {
    fn takes(&self, path: &[u8]) -> bool {
        let literal = self.text.as_bytes();
        if path.strip_prefix(literal).is_some_and(|rest| rest.is_empty() || rest[0] == b'/') {
            return true;
        }
        let Some(glob) = &self.glob else { return false };
        // What lies below a folder that matches is taken with it.
        ancestors(path).any(|folder| {
            let subject = if self.by_name { last_name(folder) } else { folder };
            glob.is_match_candidate(&Candidate::from_bytes(subject))
        })
    }
}

/// The path, then each folder above it.
fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(path), |path| path.iter().rposition(|&byte| byte == b'/').map(|at| &path[..at]))
}

fn last_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(pattern: &str, path: &str) -> bool {
        Selection::new(vec![pattern.to_owned()]).takes(path.as_bytes())
    }

    #[test]
    fn a_path_selects_itself_and_all_below() {
        assert!(taken("a", "a") && taken("a", "a/b") && taken("a/b", "a/b/c"));
        assert!(!taken("a", "b/a"), "a plain name is a path, not a pattern");
        assert!(!taken("a/b", "a") && !taken("a/b", "a/bc") && !taken("b/c", "a/b/c"));
    }

    #[test]
    fn a_pattern_without_a_slash_is_about_names() {
        assert!(taken("*.rs", "main.rs") && taken("*.rs", "a/b/main.rs"));
        assert!(taken("t?st", "a/test/x"), "what lies below is taken too");
        assert!(!taken("*.rs", "main.rsx") && !taken("?", "ab"));
    }

    #[test]
    fn a_pattern_with_a_slash_is_about_paths() {
        assert!(taken("a/*.rs", "a/x.rs") && taken("a/**/x.rs", "a/b/c/x.rs") && taken("**/x", "b/x"));
        assert!(!taken("a/*.rs", "a/b/x.rs") && !taken("a/*.rs", "b/a/x.rs"));
        assert!(taken("{a,b}/[xy]", "b/y") && !taken("{a,b}/[xy]", "b/z"));
    }

    #[test]
    fn a_path_that_looks_like_a_pattern_is_found_as_it_is() {
        assert!(taken("a[1].txt", "a[1].txt") && taken("odd[", "odd["));
    }

    #[test]
    fn bytes_that_are_not_utf8_match_question_marks() {
        let mut selection = Selection::new(vec!["caf?".into()]);
        assert!(selection.takes(b"caf\xe9"));
    }

    #[test]
    fn what_meets_nothing_is_named() {
        let mut selection = Selection::new(vec!["a".into(), "no".into(), "*.no".into()]);
        assert!(selection.takes(b"a/b"));
        let error = selection.check().expect_err("two patterns met nothing");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), "not in the archive: no, *.no");
        assert!(Selection::new(Vec::new()).takes(b"x") && Selection::new(Vec::new()).check().is_ok());
    }
}
