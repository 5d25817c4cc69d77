//! Extended attributes of many rows: few rows have any, and those that do mostly have the same.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Family, Rare, Xattr};

/// Which attributes are stored, or restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XattrChoice {
    /// Access control lists.
    pub acls: bool,
    /// Everything but access control lists and labels.
    pub xattrs: bool,
    /// The label of SELinux, `security.selinux`. Other labels never: they say what one machine thinks of a file.
    pub selinux: bool,
}

impl XattrChoice {
    /// What goes with a file to another machine: everything but labels.
    pub const ALL: Self = Self { acls: true, xattrs: true, selinux: false };

    /// Whether there is anything to ask for.
    #[must_use]
    pub fn any(&self) -> bool {
        *self != Self::default()
    }

    /// Whether the attribute of this full name is among them.
    #[must_use]
    pub fn takes(&self, name: &[u8]) -> bool {
        match Family::of(name) {
            Family::Acl => self.acls,
            Family::Label => self.selinux && name == b"security.selinux",
            Family::Capability | Family::User | Family::Trusted => self.xattrs,
        }
    }
}

/// Extended attributes by row; what several rows have is kept once.
#[derive(Clone, Debug, Default)]
pub struct XattrTable {
    rows: Rare<u32>,
    sets: Vec<Arc<[Xattr]>>,
    numbers: HashMap<Arc<[Xattr]>, u32>,
    /// What the sets take, bytes.
    sets_bytes: usize,
}

impl XattrTable {
    /// Adds the attributes of a row behind the last one that has any.
    ///
    /// # Panics
    /// When `row` does not lie behind all rows so far.
    pub fn push(&mut self, row: u32, set: &Arc<[Xattr]>) {
        if set.is_empty() {
            return;
        }
        // Neighbours mostly have the same.
        let number = match self.sets.last() {
            Some(last) if Arc::ptr_eq(last, set) => self.sets.len() as u32 - 1,
            _ => *self.numbers.entry(Arc::clone(set)).or_insert_with(|| {
                self.sets.push(Arc::clone(set));
                let bytes = set.iter().map(|xattr| size_of::<Xattr>() + xattr.name.len() + xattr.value.len());
                self.sets_bytes += bytes.sum::<usize>() + 64;
                self.sets.len() as u32 - 1
            }),
        };
        self.rows.push(row, number);
    }

    /// The attributes of a row, in order of name.
    #[must_use]
    pub fn get(&self, row: u32) -> &[Xattr] {
        if self.rows.is_empty() {
            return &[];
        }
        self.rows.get(row).map_or(&[], |&number| &self.sets[number as usize])
    }

    /// How many rows have any.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether no row has any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        (self.sets_bytes + self.rows.len() * 8) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, value: &[u8]) -> Arc<[Xattr]> {
        [Xattr { name: name.into(), value: value.to_vec() }].into()
    }

    #[test]
    fn equal_sets_are_kept_once() {
        let mut table = XattrTable::default();
        let kept = set("user.a", b"1");
        for row in [1, 2, 5] {
            table.push(row, &kept);
        }
        table.push(6, &set("user.a", b"2"));
        table.push(7, &set("user.a", b"1"));
        table.push(8, &Vec::new().into());
        assert_eq!((table.len(), table.sets.len()), (5, 2));
        assert_eq!((table.get(2), table.get(7)), (&kept[..], &kept[..]));
        assert_eq!((table.get(0), table.get(8)), (&[][..], &[][..]));
        assert_eq!(table.get(6)[0].value, b"2");
    }
}
