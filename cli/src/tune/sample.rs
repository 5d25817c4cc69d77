//! What is packed and unpacked in every run. What flows in: the user's inputs, and how much may be taken. What flows
//! out: arguments for `pack`. What this module does not know: what is tried on it.
//!
//! All of the inputs where that is little enough. Otherwise a sample: folders and files drawn at random, read where they
//! lie, so that the mix of sizes, the file system and the layout on the disk are the user's own. Folders are reached
//! through links in a folder of ours, as two inputs of one name cannot be packed together. Of a file that is larger than
//! the whole sample may be, the first part is copied.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use carrack_engine::control::Escaped;
use carrack_engine::error::{Error, ErrorKind, Result};
use carrack_fixtures::rng::{Rng, seed_of};
use carrack_fixtures::{Kind, Scale, generate};
use carrack_measure::host::filesystem;

use super::survey::{Amount, Piece, Survey, survey};

/// A sample has so many pieces at least, as far as there are small ones: one folder is no mix.
const PIECES: u64 = 16;

/// More inputs than this are not given to one process.
const PIECES_MAX: usize = 2000;

/// Weight of the generated tree at its full scale, bytes: 224 MB in 14,644 entries.
const GENERATED: u64 = 344 << 20;

/// Where a sample comes from.
#[derive(Debug)]
pub(super) struct Source {
    inputs: Vec<PathBuf>,
    survey: Survey,
    seed: u64,
}

/// What every run reads.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// Arguments of `pack` for it.
    pub(super) args: Vec<OsString>,
    /// Where it lies.
    pub(super) roots: Vec<PathBuf>,
    pub(super) amount: Amount,
    /// Whether it is not all of the inputs.
    pub(super) sampled: bool,
}

impl Source {
    /// Looks at what the user named, for a limited time.
    ///
    /// # Errors
    /// Of kind `Input`, when a path is missing or all of them are empty.
    pub(super) fn of_user(inputs: &[PathBuf], time: Duration, seed: u64) -> Result<Self> {
        let mut found = Vec::with_capacity(inputs.len());
        for input in inputs {
            let shown = Escaped(input.as_os_str().as_bytes());
            let path = fs::canonicalize(input);
            found.push(
                path.map_err(|error| Error::with(ErrorKind::Input, format!("{shown}: cannot be sampled"), error))?,
            );
        }
        let source = Self::new(found, time, seed);
        if source.survey.total.bytes == 0 {
            let shown: Vec<_> = inputs.iter().map(|input| Escaped(input.as_os_str().as_bytes()).to_string()).collect();
            let message = format!("{}: there are no contents to pack, and nothing to time", shown.join(", "));
            return Err(Error::new(ErrorKind::Input, message));
        }
        Ok(source)
    }

    /// Generates a tree of about that weight below `folder`.
    ///
    /// # Errors
    /// Of kind `Output`, when it cannot be written.
    pub(super) fn generated(folder: &Path, weight: u64, seed: u64) -> Result<Self> {
        let scale = (weight as f64 / GENERATED as f64).clamp(0.002, 1.0);
        let made = Scale::new(scale).and_then(|scale| generate(Kind::Source, folder, scale, seed, 0));
        made.map_err(|error| Error::with(ErrorKind::Output, "cannot generate a tree to measure with", error))?;
        Ok(Self::new(vec![folder.join(Kind::Source.name())], Duration::from_secs(3600), seed))
    }

    fn new(inputs: Vec<PathBuf>, time: Duration, seed: u64) -> Self {
        let mut rng = Rng::new(seed_of(&[seed, 2]));
        let survey = survey(&inputs, Instant::now() + time, &mut rng);
        Self { inputs, survey, seed }
    }

    /// The paths as they were found.
    pub(super) fn inputs(&self) -> &[PathBuf] {
        &self.inputs
    }

    /// All of it if it weighs no more than `most`, otherwise a part that weighs about that. Links and copies go into
    /// `folder`, which is made and must not be there. The same seed draws the same pieces.
    ///
    /// # Errors
    /// When links or copies cannot be made, or nothing is small enough.
    pub(super) fn take(&self, most: u64, folder: &Path) -> Result<Sample> {
        if self.survey.complete && self.survey.total.weight() <= most {
            let args = self.inputs.iter().map(|input| input.clone().into_os_string()).collect();
            return Ok(Sample { args, roots: self.inputs.clone(), amount: self.survey.total, sampled: false });
        }
        let mut rng = Rng::new(seed_of(&[self.seed, 3]));
        let pieces = self.survey.pieces(most / PIECES, PIECES_MAX, &mut rng);
        let draw = Draw { most, folder, copies: self.can_copy(folder) };
        let sample = draw.from(&pieces).map_err(|error| {
            let folder = Escaped(folder.as_os_str().as_bytes()).to_string();
            Error::with(ErrorKind::Output, format!("{folder}: cannot put together a sample"), error)
        })?;
        if sample.amount.bytes == 0 {
            let message = "no part is small enough to be packed within the time: give a longer --budget, or a --work folder \
                           on the same file system";
            return Err(Error::new(ErrorKind::Input, message));
        }
        Ok(sample)
    }

    /// A copy says nothing about the file system of the tree when it lies on another one.
    fn can_copy(&self, folder: &Path) -> bool {
        let there = folder.parent().map(filesystem);
        self.inputs.first().map(|input| filesystem(input)) == there
    }
}

struct Draw<'a> {
    most: u64,
    folder: &'a Path,
    copies: bool,
}

impl Draw<'_> {
    fn from(&self, pieces: &[Piece]) -> io::Result<Sample> {
        fs::create_dir(self.folder)?;
        let mut sample = Sample { args: Vec::new(), roots: Vec::new(), amount: Amount::default(), sampled: true };
        let mut names = HashSet::new();
        for piece in pieces {
            if sample.roots.len() >= PIECES_MAX || sample.amount.weight() >= self.most {
                break;
            }
            let own = self.folder.join(format!("{:04}", sample.roots.len()));
            if piece.is_folder {
                if sample.amount.weight() + piece.amount.weight() > self.most.saturating_add(self.most / PIECES) {
                    continue;
                }
                std::os::unix::fs::symlink(&piece.path, &own)?;
                // The slash at the end asks to go through the link.
                let mut arg = own.into_os_string();
                arg.push("/");
                sample.args.push(arg);
                sample.roots.push(piece.path.clone());
                sample.amount.add(piece.amount);
            } else if piece.amount.weight() <= self.most - sample.amount.weight() {
                let name = piece.path.file_name().unwrap_or_default();
                // Names of ours are four digits.
                if name.as_bytes().iter().all(u8::is_ascii_digit) || !names.insert(name.to_owned()) {
                    continue;
                }
                sample.args.push(piece.path.clone().into_os_string());
                sample.roots.push(piece.path.clone());
                sample.amount.add(piece.amount);
            } else if piece.amount.weight() > self.most && self.copies {
                let bytes = io::copy(&mut File::open(&piece.path)?.take(self.most / 4), &mut File::create_new(&own)?)?;
                sample.args.push(own.clone().into_os_string());
                sample.roots.push(own);
                sample.amount.add(Amount { files: 1, bytes });
            }
        }
        Ok(sample)
    }
}

/// The weight of a generated tree for runs of about that time, bytes: by a rate that a fast machine has.
pub(super) fn weight_for(run: Duration) -> u64 {
    /// Bytes a second.
    const RATE: f64 = 500e6;
    (run.as_secs_f64() * RATE) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        for folder in 0..40 {
            // The same last name everywhere.
            let path = place.path().join(format!("tree/{folder}/src"));
            fs::create_dir_all(&path).unwrap();
            for file in 0..4 {
                fs::write(path.join(format!("{file}.rs")), vec![1; 20_000]).unwrap();
            }
        }
        place
    }

    fn source(place: &Path) -> Source {
        Source::of_user(&[place.join("tree")], Duration::from_secs(3600), 7).unwrap()
    }

    #[test]
    fn little_is_taken_as_a_whole() {
        let place = tree();
        let source = source(place.path());
        let sample = source.take(u64::MAX, &place.path().join("links")).unwrap();
        assert!(!sample.sampled && sample.amount == source.survey.total);
        assert_eq!(sample.args, [fs::canonicalize(place.path().join("tree")).unwrap()]);
        assert!(!place.path().join("links").exists());
    }

    #[test]
    fn of_much_a_part_is_drawn_and_the_same_seed_draws_the_same() {
        let place = tree();
        let source = source(place.path());
        let most = source.survey.total.weight() / 2;
        let sample = source.take(most, &place.path().join("a")).unwrap();
        assert!(sample.sampled && sample.args.len() >= PIECES as usize / 2);
        let weight = sample.amount.weight();
        assert!(weight <= most + most / PIECES && weight > most / 2, "{weight} of {most}");
        assert_eq!(sample.roots, source.take(most, &place.path().join("b")).unwrap().roots);
        let other = Source::of_user(&[place.path().join("tree")], Duration::from_secs(3600), 8).unwrap();
        assert_ne!(sample.roots, other.take(most, &place.path().join("c")).unwrap().roots);
    }

    #[test]
    fn of_a_file_that_is_too_large_the_beginning_is_taken() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("tree")).unwrap();
        fs::write(place.path().join("tree/image"), vec![1; 4_000_000]).unwrap();
        let source = Source::of_user(&[place.path().join("tree")], Duration::from_secs(3600), 7).unwrap();
        let sample = source.take(1_000_000, &place.path().join("copies")).unwrap();
        assert_eq!((sample.amount.bytes, sample.roots.len()), (250_000, 1));
        assert_eq!(fs::metadata(&sample.roots[0]).unwrap().len(), 250_000);
    }

    #[test]
    fn what_is_missing_or_empty_is_named() {
        let place = tempfile::tempdir().unwrap();
        let look = |path: PathBuf| Source::of_user(&[path], Duration::from_secs(1), 1).unwrap_err().to_string();
        assert!(look(place.path().join("nowhere")).contains("nowhere: cannot be sampled: No such file"));
        assert!(look(place.path().to_owned()).contains("there are no contents to pack"));
    }
}
