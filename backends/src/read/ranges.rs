//! The files that are read by ranges: opened at the first range, closed after the last.
//!
//! What flows in: which ranges begin and which are complete. What flows out: open files, and the witness of a file
//! with its last completion. What it does not know: what is read from them, and by which thread.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, OnceLock};

use super::open::Source;
use crate::path::{PathId, PathTable};
use crate::witness::Witness;

/// A file that is read by ranges: opened at first use by whichever thread comes first, closed with its last holder.
#[derive(Debug, Default)]
pub(crate) struct RangeFile {
    opened: OnceLock<Result<Source, OpenFailure>>,
}

impl RangeFile {
    /// The open file.
    ///
    /// # Errors
    /// What [`Source::open`] said at first use: the same error for every range.
    pub(crate) fn source(&self, paths: &PathTable, path: PathId) -> io::Result<&Source> {
        let opened = self.opened.get_or_init(|| Source::open(paths, path).map_err(OpenFailure::of));
        opened.as_ref().map_err(OpenFailure::to_error)
    }
}

/// Why a file could not be opened, in a form that can be told more than once.
#[derive(Debug)]
enum OpenFailure {
    Os(i32),
    Other(io::ErrorKind, String),
}

impl OpenFailure {
    fn of(error: io::Error) -> Self {
        error.raw_os_error().map_or_else(|| Self::Other(error.kind(), error.to_string()), Self::Os)
    }

    fn to_error(&self) -> io::Error {
        match self {
            Self::Os(number) => io::Error::from_raw_os_error(*number),
            Self::Other(kind, text) => io::Error::new(*kind, text.clone()),
        }
    }
}

/// The files of the ranges in flight. Owned by the thread that owns the backend.
///
/// [`enter`](Self::enter) is called for every range in the order of submission, [`leave`](Self::leave) for every range
/// that is complete, in the order in which completions are handed out.
#[derive(Debug, Default)]
pub(crate) struct RangeFiles {
    held: HashMap<PathId, Held>,
}

#[derive(Debug, Default)]
struct Held {
    file: Arc<RangeFile>,
    /// Ranges that entered and have not left.
    unfinished: usize,
    /// The range marked `last` has entered.
    last_seen: bool,
}

impl RangeFiles {
    /// Counts a range in and gives the file to read it from.
    pub(crate) fn enter(&mut self, path: PathId, last: bool) -> Arc<RangeFile> {
        let held = self.held.entry(path).or_default();
        held.unfinished += 1;
        held.last_seen |= last;
        Arc::clone(&held.file)
    }

    /// Counts a completed range out. If it was the last one of its file, the file leaves the table (and closes with
    /// its last holder) and its witness is taken: `None` for every other range, after a failed open or `fstat`.
    pub(crate) fn leave(&mut self, path: PathId) -> Option<Witness> {
        let held = self.held.get_mut(&path)?;
        held.unfinished -= 1;
        if held.unfinished > 0 || !held.last_seen {
            return None;
        }
        let held = self.held.remove(&path)?;
        held.file.opened.get()?.as_ref().ok()?.witness()
    }

    /// Number of files held.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::Base;
    use std::fs::File;

    fn table(folder: &std::path::Path, names: &[&str]) -> PathTable {
        let mut table = PathTable::new();
        let base = table.push_base(Base { folder: Arc::new(File::open(folder).unwrap().into()), skip: 0 });
        for name in names {
            table.push(base, name.as_bytes());
        }
        table
    }

    #[test]
    fn a_file_is_held_until_its_last_range_left_whatever_the_order() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), b"12345").unwrap();
        let paths = table(dir.path(), &["f"]);
        let path = PathId(0);
        let mut files = RangeFiles::default();
        let first = files.enter(path, false);
        assert_eq!(first.source(&paths, path).unwrap().size(), 5);
        assert_eq!(files.leave(path), None, "more ranges may follow");
        assert_eq!(files.len(), 1, "and the file stays open for them");
        let second = files.enter(path, false);
        let third = files.enter(path, true);
        assert!(Arc::ptr_eq(&first, &second) && Arc::ptr_eq(&first, &third));
        assert_eq!(files.leave(path), None);
        let now = first.source(&paths, path).unwrap().witness();
        assert_eq!(files.leave(path), now);
        assert_eq!(files.len(), 0);
    }

    #[test]
    fn after_a_failed_open_every_range_fails_alike_and_the_next_try_opens_again() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        let paths = table(dir.path(), &["missing", "folder"]);
        for (path, kind) in [(PathId(0), io::ErrorKind::NotFound), (PathId(1), io::ErrorKind::InvalidInput)] {
            let mut files = RangeFiles::default();
            let file = files.enter(path, false);
            let errors = [(), ()].map(|()| file.source(&paths, path).unwrap_err());
            files.enter(path, true);
            assert_eq!(errors[0].kind(), kind);
            assert_eq!(errors[0].to_string(), errors[1].to_string());
            assert_eq!((files.leave(path), files.leave(path), files.len()), (None, None, 0));
        }
        let mut files = RangeFiles::default();
        std::fs::write(dir.path().join("missing"), b"here now").unwrap();
        let again = files.enter(PathId(0), true);
        assert_eq!(again.source(&paths, PathId(0)).unwrap().size(), 8);
    }
}
