//! What is measured: one row for each input × cache state × operation × contender. Pure.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use carrack_measure::cache::Cache;
use serde::Serialize;

use super::contenders::{Contender, Found, Peer};

/// A tree that is packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Input {
    /// Unique among all inputs.
    pub(super) name: String,
    pub(super) path: PathBuf,
    /// Regular files.
    pub(super) files: u64,
    /// Bytes of their content.
    pub(super) bytes: u64,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Operation {
    Pack,
    Unpack,
    /// Carrack only, on the corpus of very many files.
    Verify,
    /// As verify; one sample a file.
    Cat,
}

impl Operation {
    pub(super) const ALL: [Operation; 4] = [Operation::Pack, Operation::Unpack, Operation::Verify, Operation::Cat];

    pub(super) fn name(self) -> &'static str {
        match self {
            Operation::Pack => "pack",
            Operation::Unpack => "unpack",
            Operation::Verify => "verify",
            Operation::Cat => "cat",
        }
    }

    /// Whether this row makes sense at all.
    fn is_for(self, contender: Contender, input: &Input, cache: Cache, choice: &Choice<'_>) -> bool {
        let of_very_many = contender == Contender::Carrack && input.name == VERY_MANY;
        match self {
            Operation::Pack => true,
            Operation::Unpack => contender.unpacks() && (input.name != VERY_MANY || choice.unpacks_very_many),
            Operation::Verify => of_very_many,
            // It reads a part of the archive only, so what came from the disk would not tell a cold run.
            Operation::Cat => of_very_many && cache == Cache::Hot,
        }
    }
}

/// The corpus with very many files.
pub(super) const VERY_MANY: &str = "tiny";

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::name).join(", ");
        let found = Self::ALL.into_iter().find(|operation| operation.name() == name.trim());
        found.ok_or_else(|| format!("unknown operation {name:?}: expected one of {known}"))
    }
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// `input/cache/operation/contender`.
    pub(super) id: String,
    /// Place among the inputs.
    pub(super) input: usize,
    pub(super) cache: Cache,
    pub(super) operation: Operation,
    pub(super) contender: Contender,
    /// Place of the row that it is compared with.
    pub(super) base: Option<usize>,
    /// Why it is not measured, though it was asked for.
    pub(super) missing: Option<String>,
}

/// What rows are made of.
#[derive(Debug)]
pub(super) struct Choice<'a> {
    pub(super) inputs: &'a [Input],
    pub(super) caches: &'a [Cache],
    pub(super) operations: &'a [Operation],
    /// Those that were asked for by name are there even when they are missing.
    pub(super) contenders: &'a [Found],
    /// Whether they were asked for by name.
    pub(super) named: bool,
    /// Whom all others are compared with.
    pub(super) base: Contender,
    /// Whether the corpus of very many files is unpacked, too: that takes every contender some seconds a round.
    pub(super) unpacks_very_many: bool,
    /// A planted slow-down, in hundredths of a percent.
    pub(super) plant: Option<u32>,
}

/// `tar|zstd` where it is there, otherwise the naive contender.
pub(super) fn default_base(contenders: &[Found]) -> Contender {
    let tar = Contender::Peer(Peer::TarZstd);
    let is_there = contenders.iter().any(|found| found.contender == tar && found.missing.is_none());
    if is_there { tar } else { Contender::Naive }
}

/// All rows, those of one input, cache state and operation beside one another.
pub(super) fn rows(choice: &Choice<'_>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (input, about) in choice.inputs.iter().enumerate() {
        for &cache in choice.caches {
            for &operation in choice.operations {
                let from = rows.len();
                let mut push = |contender: Contender, missing: Option<String>| {
                    if operation.is_for(contender, about, cache, choice) {
                        let id = format!("{}/{cache}/{operation}/{contender}", about.name);
                        rows.push(Row { id, input, cache, operation, contender, base: None, missing });
                    }
                };
                for Found { contender, missing, .. } in choice.contenders {
                    if missing.is_none() || choice.named {
                        push(*contender, missing.clone());
                    }
                    if *contender == Contender::Carrack && missing.is_none() {
                        push(Contender::Again, None);
                    }
                }
                if let (Some(hundredths), Operation::Pack) = (choice.plant, operation) {
                    push(Contender::Unplanted, None);
                    push(Contender::Planted(hundredths), None);
                }
                link(&mut rows, from, choice.base);
            }
        }
    }
    rows
}

/// Finds for each row from `from` on the one that it is compared with.
fn link(rows: &mut [Row], from: usize, base: Contender) {
    let place = |of: Contender| Some(from + rows[from..].iter().position(|row| row.contender == of)?);
    let bases: Vec<Option<usize>> = rows[from..]
        .iter()
        .map(|row| match row.contender {
            Contender::Again => place(Contender::Carrack),
            Contender::Planted(_) => place(Contender::Unplanted),
            other if other == base => None,
            _ => place(base),
        })
        .collect();
    for (row, base) in rows[from..].iter_mut().zip(bases) {
        row.base = base;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(contender: &str, missing: Option<&str>) -> Found {
        Found { contender: contender.parse().unwrap(), version: None, missing: missing.map(str::to_owned) }
    }

    fn input(name: &str) -> Input {
        Input { name: name.to_owned(), path: name.into(), files: 1, bytes: 1 }
    }

    fn ids(contenders: &[Found], named: bool, plant: Option<u32>) -> Vec<String> {
        ids_with(contenders, named, plant, true)
    }

    fn ids_with(contenders: &[Found], named: bool, plant: Option<u32>, unpacks_very_many: bool) -> Vec<String> {
        let inputs = [input("source"), input("tiny")];
        let caches = [Cache::Hot, Cache::Cold];
        let base = default_base(contenders);
        let operations = Operation::ALL;
        let (inputs, caches, operations) = (&inputs[..], &caches[..], &operations[..]);
        let choice = Choice { inputs, caches, operations, contenders, named, base, unpacks_very_many, plant };
        let rows = rows(&choice);
        let base = |row: &Row| row.base.map_or_else(String::new, |base| format!(" to {}", rows[base].contender));
        rows.iter().map(|row| row.id.clone() + &base(row)).collect()
    }

    #[test]
    fn every_row_is_compared_within_its_group() {
        let contenders = [found("tar|zstd", None), found("naive", None), found("carrack", None)];
        let ids = ids(&contenders, false, Some(300));
        assert_eq!(
            ids[..9],
            [
                "source/hot/pack/tar|zstd",
                "source/hot/pack/naive to tar|zstd",
                "source/hot/pack/carrack to tar|zstd",
                "source/hot/pack/carrack (again) to carrack",
                "source/hot/pack/unplanted to tar|zstd",
                "source/hot/pack/planted 3% to unplanted",
                "source/hot/unpack/tar|zstd",
                "source/hot/unpack/carrack to tar|zstd",
                "source/hot/unpack/carrack (again) to carrack",
            ]
        );
        let of = |part: &str| ids.iter().filter(|id| id.contains(part)).count();
        assert_eq!([of("verify"), of("cat"), of("/cat/")], [2, 1, 1], "{ids:?}");
        assert_eq!((of("source/cold/"), of("tiny/hot/")), (9, 11));
        let fewer = ids_with(&contenders, false, Some(300), false);
        let left_out: Vec<_> = ids.iter().filter(|id| !fewer.contains(id)).collect();
        assert_eq!(left_out.len(), 6, "three contenders, in two states: {left_out:?}");
        assert!(left_out.iter().all(|id| id.starts_with("tiny/") && id.contains("/unpack/")), "{left_out:?}");
    }

    #[test]
    fn what_is_missing_has_a_row_only_where_it_was_asked_for() {
        let contenders = [found("tar|zstd", Some("not installed: zstd")), found("naive", None)];
        assert_eq!(ids(&contenders, false, None)[0], "source/hot/pack/naive");
        assert_eq!(ids(&contenders, true, None)[..2], ["source/hot/pack/tar|zstd to naive", "source/hot/pack/naive"]);
    }
}
