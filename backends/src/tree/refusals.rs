//! Metadata that could not be set, by kind and reason.
//!
//! What flows in: what was refused, of which path. What flows out: one [`Refusal`] a kind and reason, however many paths
//! there are.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

use super::Refusal;
use crate::xattr::Family;

/// Counts refusals; shared by all threads.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<BTreeMap<(&'static str, i32), Count>>);

#[derive(Debug)]
struct Count {
    count: u64,
    path: Box<[u8]>,
}

impl Refusals {
    /// What was refused so far, in order of kind.
    pub(super) fn all(&self) -> Vec<Refusal> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refusal = |(&(what, errno), kept): (&(&'static str, i32), &Count)| Refusal {
            what: what.to_owned(),
            why: std::io::Error::from_raw_os_error(errno).to_string(),
            count: kept.count,
            path: kept.path.to_vec(),
        };
        kept.iter().map(refusal).collect()
    }

    /// Those of one path, to be noted as they come.
    pub(super) fn of<'a>(&'a self, path: &'a [u8]) -> Noting<'a> {
        Noting { refusals: self, path }
    }
}

/// Notes what is refused of one path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noting<'a> {
    refusals: &'a Refusals,
    path: &'a [u8],
}

impl Noting<'_> {
    /// Whether `result` is fine. A refusal is noted and is not; everything else is an error.
    pub(super) fn allowed(&self, what: &'static str, result: rustix::io::Result<()>) -> rustix::io::Result<bool> {
        match result {
            Ok(()) => Ok(true),
            // Not this process, not with this number, or not on this file system.
            Err(errno @ (Errno::PERM | Errno::ACCESS | Errno::INVAL | Errno::NOTSUP | Errno::OVERFLOW)) => {
                self.note(what, errno);
                Ok(false)
            }
            Err(errno) => Err(errno),
        }
    }

    /// Notes an extended attribute that was refused, whatever the reason: that there is no room for it is said of a file
    /// system's tables, not of the disk.
    pub(super) fn attribute(&self, name: &[u8], errno: Errno) {
        let what = match Family::of(name) {
            Family::Acl => "access control list",
            Family::Capability => "capabilities of a program",
            Family::User => "attributes user.*",
            Family::Label => "labels security.*",
            Family::Trusted if name.starts_with(b"trusted.") => "attributes trusted.*",
            Family::Trusted => "attributes of a file system",
        };
        self.note(what, errno);
    }

    fn note(&self, what: &'static str, errno: Errno) {
        let mut kept = self.refusals.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Count { count: 0, path: self.path.into() };
        kept.entry((what, errno.raw_os_error())).or_insert_with(new).count += 1;
    }
}
