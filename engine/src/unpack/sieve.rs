//! Which metadata of an archive's rows is restored on this machine, and what is not.
//!
//! In: rows. Out: owners by the numbers that they have here, modes, the attributes to restore; a count of what is left away.
//! It asks the system for names of users and groups, and for nothing else.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use nix::unistd::{Group, User};

use crate::control::Warning;
use crate::entry::{Family, Kind, Row, Xattr, XattrChoice};
use crate::restore::SharedXattrs;

/// What goes through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mesh {
    /// Owners go by name where this machine knows it.
    pub(super) by_name: bool,
    /// setuid and setgid are restored.
    pub(super) setuid: bool,
    /// Which attributes.
    pub(super) xattrs: XattrChoice,
    /// Those too that give rights or belong to the system: along with the owner.
    pub(super) privileged: bool,
    /// What the caller decided himself is not told.
    pub(super) tell: Tell,
}

/// What is told of when it is left away.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tell {
    pub(super) permissions: bool,
    pub(super) acls: bool,
    pub(super) xattrs: bool,
}

/// What of a row is restored.
pub(super) struct Sieved {
    pub(super) mode: u32,
    pub(super) owner: (u32, u32),
    pub(super) xattrs: SharedXattrs,
}

/// Lets through what is restored, and counts the rest.
pub(super) struct Sieve {
    mesh: Mesh,
    users: HashMap<String, Option<u32>>,
    groups: HashMap<String, Option<u32>>,
    /// The attributes of a row before, and what went through of them: the next are mostly the same.
    last: Option<(Vec<Xattr>, SharedXattrs)>,
    left: BTreeMap<&'static str, Left>,
}

/// How many entries lack something, and one of them.
struct Left {
    count: u64,
    path: Vec<u8>,
}

const SETUID: &str = "setuid or setgid not restored: it goes with the owner and the exact permissions";
const ACL: &str = "access control list not restored: it goes with the exact permissions";
const PRIVILEGED: &str = "capabilities or attributes trusted.* not restored: they go with the owner";
const LABEL: &str = "label security.* not restored: it says what another machine thought of the file";

impl Sieve {
    pub(super) fn new(mesh: Mesh) -> Self {
        Self { mesh, users: HashMap::new(), groups: HashMap::new(), last: None, left: BTreeMap::new() }
    }

    /// What of a row is restored. Further names of a file are not counted again.
    pub(super) fn take(&mut self, row: &Row<'_>) -> Sieved {
        let mut mode = row.mode;
        if row.kind != Kind::Hardlink && mode & 0o6000 != 0 && !self.mesh.setuid && self.mesh.tell.permissions {
            self.leave(SETUID, row.path);
        }
        if !self.mesh.xattrs.acls {
            mode = without_list(mode, row.xattrs);
        }
        let xattrs = self.xattrs(row);
        Sieved { mode, owner: self.owner(row), xattrs }
    }

    /// One warning for each kind of metadata that was left away.
    pub(super) fn into_warnings(self) -> Vec<Warning> {
        let warning = |(what, left): (&str, Left)| Warning::new(&left.path, counted(what, left.count));
        self.left.into_iter().map(warning).collect()
    }

    fn leave(&mut self, what: &'static str, path: &[u8]) {
        self.left.entry(what).or_insert_with(|| Left { count: 0, path: path.to_vec() }).count += 1;
    }

    fn xattrs(&mut self, row: &Row<'_>) -> SharedXattrs {
        if row.xattrs.is_empty() {
            return None;
        }
        let families = [
            (Family::Acl, ACL, self.mesh.tell.acls),
            (Family::Capability, PRIVILEGED, self.mesh.tell.xattrs),
            (Family::Label, LABEL, self.mesh.tell.xattrs),
        ];
        for (family, what, tell) in families {
            let is_left = |xattr: &Xattr| same(Family::of(&xattr.name), family) && !self.mesh.takes(&xattr.name);
            if tell && row.xattrs.iter().any(is_left) {
                self.leave(what, row.path);
            }
        }
        if let Some((before, kept)) = &self.last
            && before == row.xattrs
        {
            return kept.clone();
        }
        let kept: Vec<Xattr> = row.xattrs.iter().filter(|xattr| self.mesh.takes(&xattr.name)).cloned().collect();
        let kept: SharedXattrs = (!kept.is_empty()).then(|| Arc::from(kept));
        self.last = Some((row.xattrs.to_vec(), kept.clone()));
        kept
    }

    fn owner(&mut self, row: &Row<'_>) -> (u32, u32) {
        if !self.mesh.by_name {
            return (row.uid, row.gid);
        }
        let user = |name: &str| User::from_name(name).ok().flatten().map(|user| user.uid.as_raw());
        let group = |name: &str| Group::from_name(name).ok().flatten().map(|group| group.gid.as_raw());
        let uid = row.owner.and_then(|name| look_up(&mut self.users, name, user)).unwrap_or(row.uid);
        let gid = row.group.and_then(|name| look_up(&mut self.groups, name, group)).unwrap_or(row.gid);
        (uid, gid)
    }
}

/// A sentence about a number of entries, of which the path beside it is one.
pub(super) fn counted(what: &str, count: u64) -> String {
    match count {
        1 => what.to_owned(),
        count => format!("{what}; so with {count} entries"),
    }
}

impl Mesh {
    fn takes(&self, name: &[u8]) -> bool {
        self.xattrs.takes(name) && (self.privileged || matches!(Family::of(name), Family::Acl | Family::User))
    }
}

/// Whether two families are told of together.
fn same(a: Family, b: Family) -> bool {
    let plain = |family| if family == Family::Trusted { Family::Capability } else { family };
    plain(a) == plain(b)
}

/// The number of a name on this machine, asked for once.
fn look_up(known: &mut HashMap<String, Option<u32>>, name: &str, ask: impl Fn(&str) -> Option<u32>) -> Option<u32> {
    if let Some(number) = known.get(name) {
        return *number;
    }
    let number = ask(name);
    known.insert(name.to_owned(), number);
    number
}

/// A mode for a file whose access control list is not restored. Where there is one, the middle bits of the mode say what
/// the list allows at most, not what the group may do: without the list they would open the file to the group.
fn without_list(mode: u32, xattrs: &[Xattr]) -> u32 {
    let list = xattrs.iter().find(|xattr| xattr.name == b"system.posix_acl_access");
    let entries = list.and_then(|list| list.value.strip_prefix(&[2, 0, 0, 0]));
    // Tag and permissions, 16 bits each, and the number of a user or group. Tag 4 is the file's own group.
    let group = entries.and_then(|entries| entries.chunks_exact(8).find(|entry| entry[..2] == [4, 0]));
    match group {
        Some(entry) => mode & !0o070 | mode & 0o070 & (u32::from(entry[2] & 7) << 3),
        None => mode,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mesh() -> Mesh {
        let tell = Tell { permissions: true, acls: true, xattrs: true };
        Mesh { by_name: false, setuid: false, xattrs: XattrChoice::ALL, privileged: false, tell }
    }

    fn xattr(name: &str, value: &[u8]) -> Xattr {
        Xattr { name: name.into(), value: value.to_vec() }
    }

    #[test]
    fn what_gives_rights_goes_with_the_owner_and_is_counted_once() {
        let list = [xattr("security.capability", b"c"), xattr("trusted.a", b"t"), xattr("user.a", b"u")];
        let row = |path| Row { mode: 0o4755, xattrs: &list, ..Row::new(path, Kind::File) };
        let mut sieve = Sieve::new(mesh());
        for path in [&b"a"[..], b"b"] {
            assert_eq!(sieve.take(&row(path)).xattrs.as_deref(), Some(&list[2..]));
        }
        let warnings = sieve.into_warnings();
        let told = |warning: &Warning| (warning.path.clone(), warning.what.contains("2 entries"));
        let told: Vec<_> = warnings.iter().map(told).collect();
        assert_eq!(told, [(b"a".to_vec(), true), (b"a".to_vec(), true)], "{warnings:?}");

        let mut sieve = Sieve::new(Mesh { privileged: true, setuid: true, ..mesh() });
        assert_eq!(sieve.take(&row(b"a")).xattrs.as_deref(), Some(&list[..]));
        assert_eq!(sieve.into_warnings(), []);
    }

    #[test]
    fn without_its_list_a_file_is_not_opened_to_its_group() {
        let list = [
            2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 4, 0, 4, 0, 255, 255, 255, 255, 16, 0, 6, 0, 255, 255, 255, 255,
        ];
        let acl = [xattr("system.posix_acl_access", &list)];
        let row = Row { mode: 0o664, xattrs: &acl, ..Row::new(b"a", Kind::File) };
        let without = Mesh { xattrs: XattrChoice { acls: false, ..XattrChoice::ALL }, ..mesh() };
        let sieved = Sieve::new(without).take(&row);
        assert_eq!((sieved.mode, sieved.xattrs.is_none()), (0o644, true));
        assert_eq!(Sieve::new(mesh()).take(&row).mode, 0o664);
        for cut in 0..list.len() {
            let _ = without_list(0o664, &[xattr("system.posix_acl_access", &list[..cut])]);
        }
    }

    #[test]
    fn owners_go_by_name_where_there_is_one() {
        let row = |owner, group| Row { uid: 77, gid: 78, owner, group, ..Row::new(b"a", Kind::File) };
        let mut sieve = Sieve::new(Mesh { by_name: true, ..mesh() });
        assert_eq!(sieve.take(&row(Some("root"), Some("root"))).owner, (0, 0));
        assert_eq!(sieve.take(&row(Some("no such user here"), None)).owner, (77, 78));
        assert_eq!(Sieve::new(mesh()).take(&row(Some("root"), Some("root"))).owner, (77, 78));
    }
}
