//! What of an entry's metadata is restored: a mode, an owner, a time, attributes in; what a tree is asked for out.

use std::sync::Arc;

use carrack_backends::tree::Attributes;
use carrack_backends::witness::Time;

use crate::entry::Xattr;

/// What is restored beside contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Owner and group.
    pub owner: bool,
    /// The permission bits that are taken away from all entries: what the umask says, or none.
    pub umask: u32,
    /// All permission bits, setuid and setgid too (these only along with the owner).
    pub permissions: bool,
    /// Access control lists are to be those of the archive.
    pub acls: bool,
    /// The time of the last change.
    pub mtime: bool,
}

impl Default for Policy {
    /// What needs no privileges, exactly.
    fn default() -> Self {
        Self { owner: false, umask: 0, permissions: true, acls: false, mtime: true }
    }
}

/// The metadata of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a> {
    /// `mode & 0o7777`.
    pub mode: u32,
    /// Numbers of owner and group on this machine.
    pub owner: (u32, u32),
    /// Last change, ns since 1970-01-01 UTC; `None` for what is in no archive and only on the way.
    pub mtime_ns: Option<i64>,
    /// Extended attributes, those alone that are to be restored.
    pub xattrs: &'a [Xattr],
}

impl Policy {
    /// Whether an entry keeps setuid and setgid. Without its owner, a file must not run as somebody else.
    #[must_use]
    pub fn keeps_setuid(&self) -> bool {
        self.owner && self.permissions
    }

    /// What a tree is asked for.
    #[must_use]
    pub fn attributes<'a>(&self, meta: &Meta<'a>) -> Attributes<'a> {
        let bits = match (self.permissions, self.owner) {
            (true, true) => 0o7777,
            (true, false) => 0o1777,
            (false, _) => 0o777,
        };
        let time = |ns: i64| Time { sec: ns.div_euclid(1_000_000_000), nsec: ns.rem_euclid(1_000_000_000) as u32 };
        Attributes {
            mode: meta.mode & bits & !self.umask,
            owner: self.owner.then_some(meta.owner),
            mtime: meta.mtime_ns.filter(|_| self.mtime).map(time),
            xattrs: meta.xattrs,
            acls: self.acls,
        }
    }
}

/// Extended attributes that are shared by many entries; none for most.
pub type SharedXattrs = Option<Arc<[Xattr]>>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setuid_goes_with_the_owner_and_the_umask_counts_when_asked() {
        let meta = Meta { mode: 0o6757, owner: (1, 2), mtime_ns: Some(-1), xattrs: &[] };
        let exact = Policy::default();
        assert_eq!(exact.attributes(&meta).mode, 0o757);
        assert_eq!(exact.attributes(&Meta { mode: 0o1777, ..meta }).mode, 0o1777, "sticky takes nothing from anybody");
        assert_eq!(exact.attributes(&meta).mtime, Some(Time { sec: -1, nsec: 999_999_999 }));
        let owned = Policy { owner: true, ..exact };
        assert_eq!((owned.attributes(&meta).mode, owned.attributes(&meta).owner), (0o6757, Some((1, 2))));
        let masked = Policy { umask: 0o027, permissions: false, mtime: false, ..owned };
        assert_eq!((masked.attributes(&meta).mode, masked.attributes(&meta).mtime), (0o750, None));
    }
}
