//! How large a tree is, folder by folder. What flows in: paths. What flows out: totals of every folder, and the pieces
//! that a sample is drawn from. Nothing is kept for a single file: a tree may have very many.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use carrack_fixtures::rng::Rng;
use carrack_measure::stats::shuffle;

/// What a file costs beside its bytes, as bytes: opening and closing it takes about as long as reading so many.
const FILE_WEIGHT: u64 = 8 << 10;

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Amount {
    /// Files of every kind.
    pub(super) files: u64,
    /// Bytes of regular files.
    pub(super) bytes: u64,
}

impl Amount {
    /// Files and bytes as one number, bytes.
    pub(super) fn weight(self) -> u64 {
        self.bytes.saturating_add(self.files.saturating_mul(FILE_WEIGHT))
    }

    pub(super) fn add(&mut self, other: Self) {
        self.files = self.files.saturating_add(other.files);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// A folder, with all below it.
#[derive(Debug)]
struct Folder {
    parent: Option<usize>,
    /// Its path for a root, its name for others.
    name: OsString,
    amount: Amount,
}

/// All that was looked at.
#[derive(Debug, Default)]
pub(super) struct Survey {
    folders: Vec<Folder>,
    /// Inputs that are no folders.
    files: Vec<(PathBuf, Amount)>,
    pub(super) total: Amount,
    /// Whether there was time for all of it.
    pub(super) complete: bool,
}

/// A part of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) path: PathBuf,
    pub(super) is_folder: bool,
    pub(super) amount: Amount,
}

/// Looks at these paths until all is seen or the time is up; in random order, so that what was seen by then is typical.
pub(super) fn survey(inputs: &[PathBuf], until: Instant, rng: &mut Rng) -> Survey {
    let mut survey = Survey { complete: true, ..Survey::default() };
    let mut left = Vec::new();
    for input in inputs {
        match fs::metadata(input) {
            Ok(meta) if meta.is_dir() => left.push((None, input.clone().into_os_string())),
            Ok(meta) => {
                let amount = Amount { files: 1, bytes: meta.len() };
                survey.files.push((input.clone(), amount));
                survey.total.add(amount);
            }
            // Whoever packs it will say so.
            Err(_) => {}
        }
    }
    while let Some((parent, name)) = left.pop() {
        if Instant::now() >= until {
            survey.complete = false;
            break;
        }
        survey.folders.push(Folder { parent, name, amount: Amount::default() });
        let number = survey.folders.len() - 1;
        let (own, mut below) = list(&survey.path(number));
        survey.add(number, own);
        shuffle(&mut below, rng);
        left.extend(below.into_iter().map(|name| (Some(number), name)));
    }
    survey
}

/// What lies in a folder itself, and the names of the folders in it.
fn list(path: &Path) -> (Amount, Vec<OsString>) {
    let (mut own, mut below) = (Amount::default(), Vec::new());
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        match entry.metadata() {
            Ok(meta) if meta.is_dir() => below.push(entry.file_name()),
            Ok(meta) => own.add(amount_of(&meta)),
            Err(_) => {}
        }
    }
    // The order of a folder is the file system's own.
    below.sort_unstable();
    (own, below)
}

fn amount_of(meta: &fs::Metadata) -> Amount {
    // Holes cost next to nothing.
    let bytes = if meta.is_file() { meta.len().min(meta.blocks().saturating_mul(512)) } else { 0 };
    Amount { files: 1, bytes }
}

impl Survey {
    fn path(&self, number: usize) -> PathBuf {
        let mut names = Vec::new();
        let mut at = Some(number);
        while let Some(number) = at {
            names.push(&self.folders[number].name);
            at = self.folders[number].parent;
        }
        names.into_iter().rev().collect()
    }

    fn add(&mut self, number: usize, amount: Amount) {
        self.total.add(amount);
        let mut at = Some(number);
        while let Some(number) = at {
            self.folders[number].amount.add(amount);
            at = self.folders[number].parent;
        }
    }

    /// Every folder that weighs at most `most` and does not lie in another such one, and every file that lies in none:
    /// in random order, at most `count` of the files of any folder.
    pub(super) fn pieces(&self, most: u64, count: usize, rng: &mut Rng) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        for (path, amount) in &self.files {
            pieces.push(Piece { path: path.clone(), is_folder: false, amount: *amount });
        }
        for (number, folder) in self.folders.iter().enumerate() {
            let small = |folder: &Folder| folder.amount.weight() <= most;
            if !small(folder) {
                pieces.extend(loose(&self.path(number), count, rng));
            } else if folder.parent.is_none_or(|parent| !small(&self.folders[parent])) && folder.amount.files > 0 {
                pieces.push(Piece { path: self.path(number), is_folder: true, amount: folder.amount });
            }
        }
        shuffle(&mut pieces, rng);
        pieces
    }
}

/// Regular files of a folder itself, so many at most, each as likely as the others.
fn loose(path: &Path, count: usize, rng: &mut Rng) -> Vec<Piece> {
    let mut names: Vec<OsString> =
        fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name()).collect();
    names.sort_unstable();
    shuffle(&mut names, rng);
    let mut pieces = Vec::new();
    for name in names {
        let path = path.join(name);
        if let Ok(meta) = fs::symlink_metadata(&path)
            && meta.is_file()
        {
            pieces.push(Piece { path, is_folder: false, amount: amount_of(&meta) });
        }
        if pieces.len() >= count {
            break;
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tree() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        for folder in 0..10 {
            let path = place.path().join(format!("{folder}/deep"));
            fs::create_dir_all(&path).unwrap();
            for file in 0..5 {
                fs::write(path.join(format!("{file}")), vec![1; 10_000]).unwrap();
            }
        }
        fs::write(place.path().join("large"), vec![1; 900_000]).unwrap();
        fs::create_dir(place.path().join("empty")).unwrap();
        place
    }

    fn look(inputs: &[PathBuf]) -> Survey {
        survey(inputs, Instant::now() + Duration::from_secs(3600), &mut Rng::new(1))
    }

    #[test]
    fn everything_is_counted_once() {
        let place = tree();
        let found = look(&[place.path().to_owned(), place.path().join("large")]);
        assert!(found.complete);
        assert_eq!(found.total, Amount { files: 52, bytes: 500_000 + 2 * 900_000 });
    }

    #[test]
    fn pieces_are_folders_where_they_are_small_and_files_elsewhere() {
        let place = tree();
        let found = look(&[place.path().to_owned()]);
        let pieces = found.pieces(5 * (10_000 + FILE_WEIGHT), 1000, &mut Rng::new(1));
        assert_eq!(pieces.len(), 11);
        assert_eq!(pieces.iter().filter(|piece| piece.is_folder).count(), 10);
        let mut sum = Amount::default();
        pieces.iter().for_each(|piece| sum.add(piece.amount));
        assert_eq!(sum, found.total);
        let whole = found.pieces(u64::MAX, 1000, &mut Rng::new(1));
        assert_eq!(whole.iter().map(|piece| &*piece.path).collect::<Vec<_>>(), [place.path()]);
        assert_eq!(found.pieces(1, 2, &mut Rng::new(1)).len(), 10 * 2 + 1, "two of the files of each folder");
    }

    #[test]
    fn what_there_was_no_time_for_is_known_to_be_missing() {
        let place = tree();
        let found = survey(&[place.path().to_owned()], Instant::now(), &mut Rng::new(1));
        assert!(!found.complete && found.total == Amount::default());
    }
}
