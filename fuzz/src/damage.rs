//! Archives changed as disks, networks and hands do it, with no digest put right; and who notices.
//!
//! In: a sound archive, a seed. Out: a changed one, and what became of it: refused, found to be damaged, or, which must not
//! be, **silent**: something of it was given out as sound that is not what was packed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use carrack_engine::archive::Archive;
use carrack_engine::entry::{Entry, Kind};
use carrack_engine::index::Index;
use carrack_engine::restore::Workers;
use carrack_engine::verify::VerifyOptions;

/// Numbers that follow from a seed: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Starts with a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.number() % end as u64) as usize
    }

    /// A stretch of so many bytes, most often a short one.
    fn stretch(&mut self, len: usize) -> Range<usize> {
        let longest = 1 << self.below(12);
        let start = self.below(len);
        start..(start + 1 + self.below(longest)).min(len)
    }
}

/// Makes `bytes` a changed copy of `original`.
pub fn damage(original: &[u8], bytes: &mut Vec<u8>, rng: &mut Rng) {
    bytes.clear();
    bytes.extend_from_slice(original);
    let times = if rng.below(4) > 0 { 1 } else { 2 + rng.below(7) };
    for _ in 0..times {
        if !bytes.is_empty() {
            once(bytes, rng);
        }
    }
}

fn once(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let len = bytes.len();
    match rng.below(20) {
        0..=7 => bytes[rng.below(len)] ^= 1 << rng.below(8),
        8..=10 => bytes[rng.below(len)] = rng.number() as u8,
        11 => bytes[rng.below(len)] = if rng.below(2) == 0 { 0 } else { 0xff },
        12 => bytes[rng.stretch(len)].fill(0),
        13 => {
            for byte in &mut bytes[rng.stretch(len)] {
                *byte = rng.number() as u8;
            }
        }
        14 => swap(bytes, rng),
        15 => {
            let from = rng.stretch(len);
            let to = rng.below(len - from.len() + 1);
            bytes.copy_within(from, to);
        }
        16 => drop(bytes.drain(rng.stretch(len))),
        17 => {
            let doubled = bytes[rng.stretch(len)].to_vec();
            let at = rng.below(len + 1);
            bytes.splice(at..at, doubled);
        }
        18 => bytes.truncate(rng.below(len)),
        _ => bytes.extend((0..rng.below(200)).map(|_| rng.number() as u8)),
    }
}

/// Two stretches of one length change places: whole sectors half of the time.
fn swap(bytes: &mut [u8], rng: &mut Rng) {
    let sector = if rng.below(2) == 0 { 64 << rng.below(4) } else { 1 };
    let len = (1 + rng.below(512)).next_multiple_of(sector).min(bytes.len() / 2);
    let places = bytes.len() - 2 * len;
    let a = (rng.below(places + 1) / sector) * sector;
    let b = a + len + (rng.below(bytes.len() - a - 2 * len + 1) / sector) * sector;
    let (front, back) = bytes.split_at_mut(b);
    front[a..a + len].swap_with_slice(&mut back[..len]);
}

/// What became of a changed archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is not changed, or is what the archive was before something was appended.
    Same,
    /// It is not opened.
    Refused,
    /// It is opened, and verifying finds what is wrong.
    Found,
    /// Something was given out as sound that is not what was packed.
    Silent(String),
}

/// A sound archive, and what is in it.
pub struct Original {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
    rows: Vec<Entry>,
    contents: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Lengths at which it is a whole archive: what it was before something was appended.
    older: Vec<usize>,
}

impl Original {
    /// Reads a sound archive.
    ///
    /// # Panics
    /// When it is not.
    #[must_use]
    pub fn new(name: &str, bytes: Vec<u8>) -> Self {
        let archive = Archive::from_source(name, Arc::new(bytes.clone())).expect("the archive is sound");
        let rows: Vec<Entry> = archive.entries().map(|row| row.expect("the row is sound")).collect();
        let files = rows.iter().filter(|row| row.kind == Kind::File);
        let contents =
            files.map(|row| (row.path.clone(), archive.read(&row.path).expect("the file is sound"))).collect();
        let is_archive = |end: &usize| bytes[..*end].ends_with(b"ARROW1") && Index::open(&&bytes[..*end]).is_ok();
        let older = (0..bytes.len()).filter(is_archive).collect();
        Self { name: name.to_owned(), rows, contents, older, bytes }
    }

    /// Opens, lists, reads and verifies a changed copy.
    #[must_use]
    pub fn judge(&self, changed: &[u8], workers: &Workers, options: &VerifyOptions) -> Verdict {
        let is_older = self.older.contains(&changed.len()) && self.bytes.starts_with(changed);
        if changed == self.bytes || is_older {
            return Verdict::Same;
        }
        let Ok(archive) = Archive::from_source("changed", Arc::new(changed.to_vec())) else { return Verdict::Refused };
        if let Some(what) = self.wrong_rows(&archive).or_else(|| self.wrong_contents(&archive)) {
            return Verdict::Silent(what);
        }
        match archive.verify_with(workers, options) {
            Ok(report) if report.damage.is_empty() => Verdict::Silent("it verifies".to_owned()),
            _ => Verdict::Found,
        }
    }

    /// A row that is given out and is not one that was packed.
    fn wrong_rows(&self, archive: &Archive) -> Option<String> {
        let mut wrong = None;
        let mut count = 0;
        let listed = archive.for_each(&mut |number, row| {
            count += 1;
            if self.rows.get(number as usize).is_none_or(|packed| packed.row() != *row) {
                wrong.get_or_insert_with(|| format!("row {number} is {}", row.path.escape_ascii()));
            }
            Ok(())
        });
        if listed.is_ok() && count != self.rows.len() {
            wrong.get_or_insert_with(|| format!("{count} rows are listed"));
        }
        wrong
    }

    /// A file that is given out and does not hold what was packed.
    fn wrong_contents(&self, archive: &Archive) -> Option<String> {
        let is_wrong = |path: &[u8], packed: &[u8]| archive.read(path).is_ok_and(|read| read != packed);
        let mut wrong = self.contents.iter().filter(|(path, packed)| is_wrong(path, packed));
        wrong.next().map(|(path, _)| format!("{} holds something else", path.escape_ascii()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::Parts;
    use crate::seeds;

    fn judge(original: &Original, changed: &[u8]) -> Verdict {
        original.judge(changed, &Workers::start(1).unwrap(), &VerifyOptions::default())
    }

    #[test]
    fn what_is_changed_is_found_and_what_lies_is_silent() {
        let archives = seeds::archives();
        let original = Original::new("store", archives.iter().find(|(name, _)| *name == "store").unwrap().1.clone());
        assert_eq!(judge(&original, &original.bytes), Verdict::Same);
        assert_eq!(judge(&original, &original.bytes[1..]), Verdict::Refused);
        let mut changed = original.bytes.clone();
        changed[100] ^= 1;
        assert_eq!(judge(&original, &changed), Verdict::Found);
        // With all digests put right, nobody can tell: this is what must never come of a change without that.
        let mut parts = Parts::parse(&original.bytes).unwrap();
        parts.manifest["options"]["x"] = 1.into();
        assert!(matches!(judge(&original, &parts.write()), Verdict::Silent(_)));
        let other = &archives.iter().find(|(name, _)| *name == "batches").unwrap().1;
        assert!(matches!(judge(&original, other), Verdict::Silent(_)));
    }

    #[test]
    fn what_an_archive_was_before_an_append_is_no_damage() {
        let (_, bytes) = seeds::archives().into_iter().find(|(name, _)| *name == "appended").unwrap();
        let original = Original::new("appended", bytes);
        assert_eq!(original.older.len(), 2);
        assert_eq!(judge(&original, &original.bytes[..original.older[0]]), Verdict::Same);
        assert_eq!(judge(&original, &original.bytes[..original.older[0] - 1]), Verdict::Refused);
    }

    #[test]
    fn every_way_to_change_an_archive_is_tried() {
        let original: Vec<u8> = (0..=255).collect();
        let (mut rng, mut bytes) = (Rng::new(1), Vec::new());
        let (mut shorter, mut longer, mut unchanged) = (0, 0, 0);
        for _ in 0..4000 {
            damage(&original, &mut bytes, &mut rng);
            shorter += usize::from(bytes.len() < original.len());
            longer += usize::from(bytes.len() > original.len());
            unchanged += usize::from(bytes == original);
        }
        assert!(shorter > 200 && longer > 200 && unchanged < 100, "{shorter} {longer} {unchanged}");
    }
}
