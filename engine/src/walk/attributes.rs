//! Asks for the extended attributes of what was found.
//!
//! In: a name in an open folder. Out: its attributes in order of name, as far as they are to be stored. Most entries have
//! none, which one call tells; file systems that know no attributes are asked once each.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use carrack_backends::xattr;

use super::error::What;
use crate::entry::{Family, Xattr, XattrChoice};

/// Bytes of names for which there is room at once.
const NAMES: usize = 1 << 10;

/// What one thread needs for it.
pub(super) struct Asker {
    choice: XattrChoice,
    /// Device of a file system without attributes.
    without: Option<u64>,
    names: Vec<u8>,
    value: Vec<u8>,
    /// The last attributes found: the next are mostly the same.
    last: Option<Arc<[Xattr]>>,
    /// How many entries have labels that are left aside, by name.
    pub(super) aside: BTreeMap<Vec<u8>, u64>,
}

impl Asker {
    pub(super) fn new(choice: XattrChoice) -> Self {
        let names = if choice.any() { vec![0; NAMES] } else { Vec::new() };
        Self { choice, without: None, names, value: Vec::new(), last: None, aside: BTreeMap::new() }
    }

    /// The attributes of `name`, which lies on the device `dev`; of what it leads to where it is a link and `follow` says
    /// so. What can be read is given even when something else cannot.
    pub(super) fn ask(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &CStr,
        dev: u64,
        follow: bool,
    ) -> (Option<Arc<[Xattr]>>, Option<What>) {
        if !self.choice.any() || self.without == Some(dev) {
            return (None, None);
        }
        let len = match self.list(folder, name, follow) {
            Ok(0) => return (None, None),
            Ok(len) => len,
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
                self.without = Some(dev);
                return (None, None);
            }
            Err(error) => return (None, Some(What::Io { call: "listxattr", error })),
        };
        let (mut set, mut problem) = (Vec::new(), None);
        let list = std::mem::take(&mut self.names);
        for attribute in list[..len].split(|&byte| byte == 0).filter(|attribute| !attribute.is_empty()) {
            if !self.choice.takes(attribute) {
                if self.choice.xattrs && Family::of(attribute) == Family::Label {
                    *self.aside.entry(attribute.to_vec()).or_default() += 1;
                }
                continue;
            }
            match self.value(folder, name, attribute, follow) {
                Ok(Some(value)) => set.push(Xattr { name: attribute.to_vec(), value }),
                Ok(None) => {}
                Err(error) => {
                    problem.get_or_insert(What::Xattr { name: attribute.to_vec(), error });
                }
            }
        }
        self.names = list;
        (self.shared(set), problem)
    }

    /// Length of the list of names, which is then in `names`.
    fn list(&mut self, folder: BorrowedFd<'_>, name: &CStr, follow: bool) -> std::io::Result<usize> {
        match xattr::list(folder, name, follow, &mut self.names) {
            Err(error) if xattr::is_too_short(&error) && self.names.len() < xattr::LEN_MAX => {
                self.names.resize(xattr::LEN_MAX, 0);
                xattr::list(folder, name, follow, &mut self.names)
            }
            result => result,
        }
    }

    /// The value of an attribute; `None` when it has vanished since it was listed.
    fn value(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &CStr,
        attribute: &[u8],
        follow: bool,
    ) -> std::io::Result<Option<Vec<u8>>> {
        self.value.resize(xattr::LEN_MAX, 0);
        let attribute = CString::new(attribute)?;
        match xattr::get(folder, name, &attribute, follow, &mut self.value) {
            Ok(len) => Ok(Some(self.value[..len].to_vec())),
            Err(error) if xattr::is_missing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The set in order of name, in memory that it shares with the one before if it is the same.
    fn shared(&mut self, mut set: Vec<Xattr>) -> Option<Arc<[Xattr]>> {
        if set.is_empty() {
            return None;
        }
        set.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        set.dedup_by(|later, earlier| later.name == earlier.name);
        if self.last.as_deref() != Some(&set[..]) {
            self.last = Some(set.into());
        }
        self.last.clone()
    }
}
