//! What the suites share: how long they measure, which backends there are, bytes of each kind, corpora on disk.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use carrack_backends::read::choose::{IoChoice, ReadOptions, open_backend};
use carrack_engine::archive::Archive;
use carrack_engine::pack::Packer;
use carrack_fixtures::content::{Content, Lang, Recipe, Style};
use carrack_fixtures::tree::What;
use carrack_fixtures::{Kind, Scale};
use criterion::{Criterion, Throughput};
use tempfile::TempDir;

/// Whether this is a quick run: fewer benchmarks, each measured briefly, over the same inputs as in a full run.
/// `CARRACK_BENCH_QUICK` asks for it by any value but `0`.
pub(crate) fn quick() -> bool {
    static QUICK: OnceLock<bool> = OnceLock::new();
    *QUICK
        .get_or_init(|| std::env::var_os("CARRACK_BENCH_QUICK").is_some_and(|value| !value.is_empty() && value != "0"))
}

/// How long the suites measure unless options say otherwise (`--measurement-time`, `--sample-size` and so on).
pub(crate) fn config() -> Criterion {
    let config = Criterion::default();
    if quick() {
        let config = config.warm_up_time(Duration::from_millis(100)).measurement_time(Duration::from_millis(300));
        config.sample_size(10).nresamples(10_000)
    } else {
        config.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20)
    }
}

/// `all` values of a parameter, or in a quick run those `few`.
pub(crate) fn pick<'a, T>(all: &'a [T], few: &'a [T]) -> &'a [T] {
    if quick() { few } else { all }
}

/// The backends that work here. Which others do not, and why, is said on stderr once.
pub(crate) fn backends() -> &'static [IoChoice] {
    static WORKING: OnceLock<Vec<IoChoice>> = OnceLock::new();
    let works = |choice: &IoChoice| match open_backend(&ReadOptions { choice: *choice, ..ReadOptions::default() }) {
        Ok(_) => true,
        Err(refusal) => {
            eprintln!("the benchmarks of {choice} are skipped: {refusal}");
            false
        }
    };
    let named = || IoChoice::ALL.into_iter().filter(|choice| *choice != IoChoice::Auto);
    WORKING.get_or_init(|| named().filter(works).collect())
}

/// A folder of its own, removed when it is dropped: below `TMPDIR` where that is set, else below `target/tmp`, which is
/// more often than `/tmp` on the disk that people mean.
pub(crate) fn scratch() -> TempDir {
    let made = tempfile::Builder::new().prefix("carrack-suites-").tempdir_in(place());
    made.expect("there is a temporary folder that can be written")
}

/// Where [`scratch`] makes its folders.
pub(crate) fn place() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        std::env::var_os("TMPDIR").map_or_else(
            || {
                let place = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
                std::fs::create_dir_all(&place).expect("the target folder can be written");
                place
            },
            PathBuf::from,
        )
    })
}

/// The first `len` bytes of what a corpus of this kind is made of, as they lie behind one another in a block.
///
/// # Panics
/// For the corpora that are about names and shapes, not about contents.
pub(crate) fn bytes(kind: Kind, len: usize) -> Vec<u8> {
    // Recipes with the length of one file (or of the part of a file that fits a block), taken in turn.
    let files: &[(Recipe, u64)] = match kind {
        Kind::Source => &[
            (Recipe::Source(Lang::Rust, 1), 16 << 10),
            (Recipe::Source(Lang::C, 1), 4 << 10),
            (Recipe::Source(Lang::Python, 1), 8 << 10),
            (Recipe::Source(Lang::Script, 1), 32 << 10),
        ],
        Kind::Logs => &[(Recipe::Records(Style::Access), 512 << 10), (Recipe::Records(Style::Service), 512 << 10)],
        Kind::Json => &[(Recipe::Records(Style::Document), 64 << 10), (Recipe::Records(Style::Events), 256 << 10)],
        Kind::Csv => &[(Recipe::Records(Style::Csv), 1 << 20)],
        Kind::Binary => &[(Recipe::Executable, 256 << 10)],
        Kind::Media => &[(Recipe::Noise, 1 << 20)],
        other => panic!("no bytes are typical of {other}"),
    };
    let mut bytes = Vec::with_capacity(len);
    for (seed, (recipe, file)) in (1..).zip(files.iter().cycle()) {
        if bytes.len() >= len {
            break;
        }
        bytes.extend(Content::stream(*recipe, seed, *file).to_vec());
    }
    bytes.truncate(len);
    bytes
}

/// A corpus whose files are known at once and written when somebody first asks where they are.
pub(crate) struct Corpus {
    kind: Kind,
    scale: Scale,
    files: Vec<(PathBuf, u64)>,
    place: OnceCell<TempDir>,
}

impl Corpus {
    /// A small tree of source code: 675 files, 11 MB.
    pub(crate) fn source() -> Self {
        Self::planned(Kind::Source, 0.05)
    }

    /// 3,000 files under 1 KiB.
    pub(crate) fn tiny() -> Self {
        Self::planned(Kind::Tiny, 0.03)
    }

    /// Two files of 32 MB.
    pub(crate) fn large() -> Self {
        Self::planned(Kind::Huge, 0.16)
    }

    fn planned(kind: Kind, scale: f64) -> Self {
        let scale = Scale::new(scale).expect("the scale is a constant");
        let tree = kind.plan(scale, SEED);
        let file = |node: &carrack_fixtures::tree::Node| match &node.what {
            What::File(content) => {
                let path = std::str::from_utf8(&node.path).expect("these corpora have plain names");
                Some((PathBuf::from(path), content.len()))
            }
            _ => None,
        };
        Self { kind, scale, files: tree.nodes().iter().filter_map(file).collect(), place: OnceCell::new() }
    }

    /// Its name in benchmarks.
    pub(crate) fn name(&self) -> &'static str {
        if self.kind == Kind::Huge { "large" } else { self.kind.name() }
    }

    /// Its files, relative to the folder, and their lengths in bytes.
    pub(crate) fn files(&self) -> &[(PathBuf, u64)] {
        &self.files
    }

    /// Bytes in all its files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, len)| len).sum()
    }

    /// What one pass over all of it handles: criterion prints files a second and bytes a second.
    pub(crate) fn throughput(&self) -> Throughput {
        Throughput::ElementsAndBytes { elements: self.files.len() as u64, bytes: self.bytes() }
    }

    /// Its folder. Written at the first call; its files are in the page cache then.
    pub(crate) fn folder(&self) -> PathBuf {
        let place = self.place.get_or_init(|| {
            let place = scratch();
            let made = carrack_fixtures::generate(self.kind, place.path(), self.scale, SEED, 0)
                .expect("the temporary folder has room for a small corpus");
            assert_eq!((made.counts.files, made.bytes), (self.files.len() as u64, self.bytes()), "as planned");
            place
        });
        place.path().join(self.kind.name())
    }
}

/// The seed of every corpus.
const SEED: u64 = 1;

/// A corpus packed with default settings, in a folder of its own.
pub(crate) struct Packed {
    /// The archive, in the page cache.
    pub(crate) file: PathBuf,
    /// Removed with all that is beside the archive when this is dropped.
    _place: TempDir,
}

impl Packed {
    /// Packs it.
    pub(crate) fn new(corpus: &Corpus) -> Self {
        let place = scratch();
        let file = place.path().join("archive.crk");
        Packer::new().input(corpus.folder()).sync(false).pack(&file).expect("the corpus was just written");
        Self { file, _place: place }
    }

    /// Opens the archive.
    pub(crate) fn open(&self) -> Archive {
        Archive::open(&self.file).expect("it was just packed")
    }
}
