//! Patterns of entries to leave out.
//!
//! In: patterns, then names and paths. Out: yes or no. It looks at bytes only, never at the file system.

use globset::{Candidate, GlobBuilder, GlobSet, GlobSetBuilder};

use super::error::WalkError;

/// Compiled patterns.
pub(super) struct Exclude {
    any: Set,
    folders: Set,
}

/// Patterns for a last name, and for a whole path.
struct Set {
    names: GlobSet,
    paths: GlobSet,
}

impl Exclude {
    pub(super) fn new(patterns: &[String]) -> Result<Self, WalkError> {
        // In the order of `Set`s above: any names, any paths, folder names, folder paths.
        let mut sets = [(); 4].map(|()| GlobSetBuilder::new());
        for pattern in patterns {
            let wrong = |reason: String| WalkError::Exclude { pattern: pattern.clone(), reason };
            let trimmed = pattern.trim_end_matches('/');
            let folders = trimmed.len() < pattern.len();
            let anchored = trimmed.contains('/');
            let glob = trimmed.trim_start_matches("./").trim_start_matches('/');
            if glob.is_empty() {
                return Err(wrong("expected a name or a path".into()));
            }
            let glob = GlobBuilder::new(glob).literal_separator(true).backslash_escape(true).build();
            let glob = glob.map_err(|error| wrong(error.kind().to_string()))?;
            sets[usize::from(folders) * 2 + usize::from(anchored)].add(glob);
        }
        let build = |set: &GlobSetBuilder| {
            set.build().map_err(|error| WalkError::Exclude {
                pattern: error.glob().unwrap_or_default().into(),
                reason: error.kind().to_string(),
            })
        };
        let [any_names, any_paths, folder_names, folder_paths] = &sets;
        Ok(Self {
            any: Set { names: build(any_names)?, paths: build(any_paths)? },
            folders: Set { names: build(folder_names)?, paths: build(folder_paths)? },
        })
    }

    /// Whether nothing is excluded.
    pub(super) fn is_empty(&self) -> bool {
        [&self.any, &self.folders].iter().all(|set| set.names.is_empty() && set.paths.is_empty())
    }

    /// Whether an entry is left out; `path` is only made when a pattern needs it.
    pub(super) fn matches(&self, name: &[u8], path: impl Fn() -> Vec<u8>, is_folder: bool) -> bool {
        self.any.matches(name, &path) || is_folder && self.folders.matches(name, &path)
    }
}

impl Set {
    fn matches(&self, name: &[u8], path: &impl Fn() -> Vec<u8>) -> bool {
        self.names.is_match_candidate(&Candidate::from_bytes(name))
            || !self.paths.is_empty() && self.paths.is_match_candidate(&Candidate::from_bytes(&path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(patterns: &[&str], path: &str, is_folder: bool) -> bool {
        let patterns: Vec<String> = patterns.iter().map(|&p| p.into()).collect();
        let name = path.rsplit('/').next().unwrap();
        Exclude::new(&patterns).unwrap().matches(name.as_bytes(), || path.into(), is_folder)
    }

    #[test]
    fn a_pattern_without_a_slash_matches_names_anywhere() {
        assert!(excluded(&["*.o"], "a/b/c.o", false));
        assert!(excluded(&["*.o"], "c.o", false));
        assert!(excluded(&["target"], "a/target", true));
        assert!(!excluded(&["target"], "a/target.txt", false));
        assert!(!excluded(&["a"], "a/b", false), "the folder a is left out, so its b never comes up");
    }

    #[test]
    fn a_pattern_with_a_slash_is_anchored_at_the_root() {
        for pattern in ["a/b", "/a/b", "./a/b", "a/?", "a/[a-c]", "**/b", "a/**", "a/{b,c}"] {
            assert!(excluded(&[pattern], "a/b", false), "{pattern}");
        }
        assert!(!excluded(&["a/b"], "x/a/b", false));
        assert!(!excluded(&["/b"], "a/b", false));
        assert!(excluded(&["/b"], "b", false));
        assert!(!excluded(&["a/*"], "a/x/y", false), "a star stays within one folder");
        assert!(excluded(&["a/**/y"], "a/x/x/y", false));
    }

    #[test]
    fn a_slash_at_the_end_means_folders_only() {
        assert!(excluded(&["cache/"], "x/cache", true));
        assert!(!excluded(&["cache/"], "x/cache", false));
        assert!(excluded(&["x/cache/"], "x/cache", true));
        assert!(!excluded(&["x/cache/"], "y/x/cache", true));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_matched_too() {
        let exclude = Exclude::new(&["x*".into()]).unwrap();
        assert!(exclude.matches(b"x\xff", Vec::new, false));
        assert!(!exclude.matches(b"\xffx", Vec::new, false));
    }

    #[test]
    fn malformed_patterns_are_named() {
        for pattern in ["[a", "", "/", "a{b"] {
            let error = Exclude::new(&[pattern.into()]).err().expect(pattern);
            assert!(error.to_string().contains(&format!("'{pattern}'")), "{error}");
        }
    }
}
