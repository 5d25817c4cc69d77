//! What the tests share: running the binary, building small trees, comparing trees.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The binary, in an environment that says nothing about colours, and without anything that was found by tuning.
pub(crate) fn carrack() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carrack"));
    command.env_remove("NO_COLOR").env("TERM", "xterm").env("XDG_CONFIG_HOME", "/dev/null").stdin(Stdio::null());
    command
}

/// What a run left behind.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.out).expect("standard output is UTF-8")
    }

    /// The run, if it ended with this code.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "out: {}\nerr: {}", String::from_utf8_lossy(&self.out), self.err);
        self
    }

    /// The run, if it said this on standard error.
    #[track_caller]
    pub(crate) fn says(self, part: &str) -> Self {
        assert!(self.err.contains(part), "expected {part:?} in: {}", self.err);
        self
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let err = String::from_utf8(output.stderr).expect("standard error is UTF-8, whatever the names");
        assert!(!err.contains("panicked"), "{err}");
        Self { code: output.status.code(), out: output.stdout, err }
    }
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Run {
    command.output().expect("the binary runs").into()
}

/// Runs carrack with some arguments.
#[track_caller]
pub(crate) fn call<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    run(carrack().args(args))
}

/// A folder with an input tree in `src` and room for everything else.
pub(crate) struct Place {
    pub(crate) dir: TempDir,
}

impl Place {
    /// A folder with an empty `src`.
    pub(crate) fn empty() -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        fs::create_dir(dir.path().join("src")).unwrap();
        Self { dir }
    }

    /// A folder with a small tree: nested and empty folders, empty, small and larger files, equal files, links.
    pub(crate) fn small() -> Self {
        let place = Self::empty();
        place.file("src/README.md", b"# A tree\n");
        place.file("src/empty", b"");
        place.file("src/lib/main.rs", b"fn main() {}\n");
        place.file("src/lib/deep/er/x.rs", "// grün\n".repeat(5000).as_bytes());
        place.file("src/lib/copy.rs", b"fn main() {}\n");
        place.file("src/noise", &noise(300_000));
        fs::create_dir(place.path("src/hollow")).unwrap();
        symlink("../README.md", place.path("src/lib/link")).unwrap();
        fs::hard_link(place.path("src/lib/main.rs"), place.path("src/lib/other.rs")).unwrap();
        fs::set_permissions(place.path("src/lib/copy.rs"), fs::Permissions::from_mode(0o750)).unwrap();
        place
    }

    /// A small tree, packed to `a.crk`.
    pub(crate) fn packed() -> Self {
        let place = Self::small();
        place.pack(&[]);
        place
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file and the folders above it.
    pub(crate) fn file(&self, name: impl AsRef<Path>, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Runs carrack in this folder.
    #[track_caller]
    pub(crate) fn call<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Run {
        run(carrack().args(args).current_dir(self.dir.path()))
    }

    /// Packs `src` to `a.crk`.
    #[track_caller]
    pub(crate) fn pack(&self, flags: &[&str]) -> Run {
        self.call([&["pack", "src", "-o", "a.crk"], flags].concat()).code(0)
    }

    /// The names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let names = fs::read_dir(self.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// Bytes that no codec shortens, always the same.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// What matters of one path.
#[derive(Debug, PartialEq, Eq)]
struct Fact {
    mode: u32,
    mtime: (i64, i64),
    links: u64,
    content: Vec<u8>,
}

fn facts(root: &Path) -> BTreeMap<Vec<u8>, Fact> {
    let mut facts = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let kind = meta.file_type();
        let mut content = Vec::new();
        if kind.is_dir() {
            todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if kind.is_symlink() {
            content = fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec();
        } else if kind.is_file() {
            content = fs::read(&path).unwrap();
        }
        let links = if kind.is_dir() { 0 } else { meta.nlink() };
        let fact = Fact { mode: meta.mode(), mtime: (meta.mtime(), meta.mtime_nsec()), links, content };
        let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        facts.insert(name, fact);
    }
    facts
}

/// Compares two trees: names, kinds, modes, times, numbers of links, contents, targets.
#[track_caller]
pub(crate) fn assert_same_tree(left: &Path, right: &Path) {
    let (left, right) = (facts(left), facts(right));
    let names = |facts: &BTreeMap<Vec<u8>, Fact>| {
        facts.keys().map(|name| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&left), names(&right));
    for (name, fact) in &left {
        let other = &right[name];
        // Contents would flood the screen.
        assert!(fact.content == other.content, "{} has other contents", String::from_utf8_lossy(name));
        assert_eq!(
            (fact.mode, fact.mtime, fact.links),
            (other.mode, other.mtime, other.links),
            "{}",
            String::from_utf8_lossy(name)
        );
    }
}
