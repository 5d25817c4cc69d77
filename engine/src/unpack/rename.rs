//! What entries are called where they are unpacked.
//!
//! In: paths of the archive. Out: paths beneath the destination, or why there is none. Two entries never get one path: the
//! first in the order of the rows has it.

use std::collections::{HashMap, HashSet};

use super::sed::{Transform, What};
use crate::container::rules::check_path;
use crate::control::{Escaped, Warning};

/// Expressions, then components to leave out in front.
#[derive(Clone, Debug, Default)]
pub(super) struct Renames {
    pub(super) transform: Transform,
    /// Components to leave out in front.
    pub(super) strip: usize,
}

/// What became of a path.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Renamed {
    /// It is this one.
    To(Vec<u8>),
    /// All of it was left out: tar says nothing of it either.
    Gone,
    /// It cannot be one.
    Wrong(String),
}

impl Renames {
    /// Whether paths stay as they are.
    pub(super) fn is_empty(&self) -> bool {
        self.strip == 0 && self.transform.is_empty()
    }

    /// The path beneath the destination. The root of the archive stays the destination itself.
    pub(super) fn path(&self, path: &[u8]) -> Renamed {
        if path.is_empty() || self.is_empty() {
            return Renamed::To(path.to_vec());
        }
        let changed = self.transform.name(path);
        let rest = changed.split(|&byte| byte == b'/').skip(self.strip).collect::<Vec<_>>().join(&b'/');
        if rest.is_empty() {
            return match self.strip {
                0 => Renamed::Wrong("renamed, nothing is left of its path".to_owned()),
                _ => Renamed::Gone,
            };
        }
        match check_path(&rest) {
            Ok(()) => Renamed::To(rest),
            Err(fault) => Renamed::Wrong(format!("renamed to {}, which leads nowhere: {fault}", Escaped(&rest))),
        }
    }

    /// What a symlink leads to.
    pub(super) fn target(&self, target: &[u8]) -> Vec<u8> {
        self.transform.apply(target, What::Target)
    }
}

/// The paths that are taken.
#[derive(Default)]
pub(super) struct Taken {
    /// By path: the path in the archive, and whether it is a folder.
    paths: HashMap<Vec<u8>, (Vec<u8>, bool)>,
    pub(super) warnings: Vec<Warning>,
}

impl Taken {
    /// Whether an entry gets its new path. When it does not, that is warned of: another one has it.
    pub(super) fn take(&mut self, path: &[u8], from: &[u8], is_folder: bool) -> bool {
        let Some((first, first_is_folder)) = self.paths.get(path) else {
            self.paths.insert(path.to_vec(), (from.to_vec(), is_folder));
            return true;
        };
        let (new, first) = (Escaped(path), Escaped(first));
        let what = match is_folder && *first_is_folder {
            true => format!("renamed to {new}, together with {first}, whose owner, mode and time the folder has"),
            false => format!("not written: renamed to {new}, as {first} is"),
        };
        self.warnings.push(Warning::new(from, what));
        false
    }

    /// Says that an entry has no path to be written to.
    pub(super) fn refuse(&mut self, from: &[u8], why: &str) {
        self.warnings.push(Warning::new(from, format!("not written: {why}")));
    }

    /// Folders that others lie in and that no entry stands for, each before what lies in it.
    pub(super) fn missing_folders(&self) -> Vec<Vec<u8>> {
        let mut missing = HashSet::new();
        for path in self.paths.keys() {
            for folder in super::wish::folders_above(path) {
                if !self.paths.contains_key(folder) && !missing.contains(folder) {
                    missing.insert(folder.to_vec());
                }
            }
        }
        let mut missing: Vec<_> = missing.into_iter().collect();
        missing.sort_unstable();
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renames(strip: usize, expression: &str) -> Renames {
        let mut transform = Transform::default();
        if !expression.is_empty() {
            transform.add(expression).unwrap();
        }
        Renames { transform, strip }
    }

    #[test]
    fn expressions_come_before_stripping() {
        let to = |path: &str| Renamed::To(path.into());
        assert_eq!(renames(1, "s,^a,X/Y,").path(b"a/b"), to("Y/b"), "as with tar");
        assert_eq!(renames(2, "").path(b"a/b/c/d"), to("c/d"));
        assert_eq!(renames(2, "").path(b"a/b"), Renamed::Gone);
        assert_eq!(renames(9, "").path(b""), to(""), "the root is the destination");
    }

    #[test]
    fn no_expression_leads_out() {
        for expression in ["s,^,/,", "s,a,..,", "s,/,//,", "s,b,,", "s,.*,,", "s,a,a/./,", "s,$,/../../x,"] {
            let renamed = renames(0, expression).path(b"a/b");
            assert!(matches!(renamed, Renamed::Wrong(_)), "{expression}: {renamed:?}");
        }
    }

    #[test]
    fn a_path_is_taken_once_and_folders_between_are_found() {
        let mut taken = Taken::default();
        assert!(taken.take(b"x", b"a", true) && taken.take(b"x/p/q/f", b"f", false) && taken.take(b"g/h", b"h", false));
        assert!(!taken.take(b"x", b"b", true) && !taken.take(b"g/h", b"i", false));
        assert_eq!(taken.missing_folders(), [&b"g"[..], b"x/p", b"x/p/q"]);
        let warned: Vec<_> = taken.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warned.len(), 2);
        assert!(warned[0].starts_with("b: renamed to x, together with a"), "{warned:?}");
        assert!(warned[1].starts_with("i: not written: renamed to g/h, as h is"), "{warned:?}");
    }
}
