//! Names of owners and groups, as this machine knows them.

use std::collections::BTreeSet;

use nix::unistd::{Gid, Group, Uid, User};

use crate::entry::Rare;

/// Names of all distinct users and groups, each looked up once, in order of number. Unknown ones are left out, and so
/// are those that could not be looked up: numbers are always stored, names are a help.
pub(super) fn names(uids: impl Iterator<Item = u32>, gids: impl Iterator<Item = u32>) -> (Rare<String>, Rare<String>) {
    let user = |uid| User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name);
    let group = |gid| Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| group.name);
    (look_up(uids, user), look_up(gids, group))
}

fn look_up(ids: impl Iterator<Item = u32>, name: impl Fn(u32) -> Option<String>) -> Rare<String> {
    let mut distinct = BTreeSet::new();
    let mut last = None;
    for id in ids {
        // Neighbours mostly have the same owner.
        if last.replace(id) != Some(id) {
            distinct.insert(id);
        }
    }
    let mut names = Rare::default();
    for id in distinct {
        if let Some(name) = name(id).filter(|name| !name.is_empty()) {
            names.push(id, name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn each_number_is_looked_up_once_and_unknown_ones_are_left_out() {
        let asked = RefCell::new(Vec::new());
        let names = look_up([5, 5, 0, 5, 7, 0].into_iter(), |id| {
            asked.borrow_mut().push(id);
            (id != 5).then(|| format!("u{id}"))
        });
        assert_eq!(*asked.borrow(), [0, 5, 7]);
        assert_eq!(names.iter().collect::<Vec<_>>(), [(0, &"u0".to_string()), (7, &"u7".to_string())]);
    }

    #[test]
    fn number_zero_is_root() {
        assert_eq!(names([0].into_iter(), [].into_iter()).0.get(0).map(String::as_str), Some("root"));
    }
}
