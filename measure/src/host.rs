//! Facts about the machine, without which a number means little.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use carrack_backends::read::choose::{IoChoice, ReadOptions, open_backend};
use rustix::process::{Resource, getrlimit};
use serde::Serialize;

use crate::device::Device;

/// The machine, at the time of a run. What could not be found out is empty.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    /// Model of the processor.
    pub cpu: String,
    /// How many threads may run at once.
    pub cores: usize,
    /// Main memory, bytes.
    pub memory_bytes: u64,
    /// Version of the kernel.
    pub kernel: String,
    /// Operating system and architecture that the program was built for.
    pub target: String,
    /// File system of the inputs.
    pub corpus_filesystem: String,
    /// File system of the outputs.
    pub work_filesystem: String,
    /// Block device of the inputs.
    pub corpus_device: Device,
    /// Block device of the outputs.
    pub work_device: Device,
    /// How much memory may be locked, bytes; none means without limit. io_uring's registered buffers count.
    pub memlock_bytes: Option<u64>,
    /// When anonymous memory gets huge pages.
    pub transparent_huge_pages: String,
    /// Each backend, and why it cannot be had.
    pub backends: Vec<Probe>,
    /// Load averages over 1, 5 and 15 minutes when the run began: anything much above 0 disturbs it.
    pub load_at_start: String,
    /// Version of Carrack.
    pub version: &'static str,
    /// Versions of what else takes part, by name: the compiler and, where they are asked, libraries and other programs.
    pub versions: BTreeMap<String, String>,
    /// Whether this was built with optimisation.
    pub optimised: bool,
}

/// Whether a backend works here.
#[derive(Clone, Debug, Serialize)]
pub struct Probe {
    /// Its name.
    pub backend: &'static str,
    /// Why not; none means that it does.
    pub refused: Option<String>,
}

impl Host {
    /// Looks around.
    #[must_use]
    pub fn look(corpus: &Path, work: &Path) -> Self {
        let (corpus_mount, work_mount) = (Mount::of(corpus), Mount::of(work));
        Self {
            cpu: field("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kibibytes(&field("/proc/meminfo", "MemTotal")),
            kernel: read("/proc/sys/kernel/osrelease"),
            target: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            corpus_device: Device::below(corpus, &corpus_mount.source),
            work_device: Device::below(work, &work_mount.source),
            corpus_filesystem: corpus_mount.shown(),
            work_filesystem: work_mount.shown(),
            memlock_bytes: getrlimit(Resource::Memlock).current,
            transparent_huge_pages: chosen(&read("/sys/kernel/mm/transparent_hugepage/enabled")),
            backends: IoChoice::ALL.into_iter().filter(|io| *io != IoChoice::Auto).map(probe).collect(),
            load_at_start: load(),
            version: env!("CARGO_PKG_VERSION"),
            versions: BTreeMap::from([("rustc".to_owned(), env!("CARRACK_RUSTC").to_owned())]),
            optimised: !cfg!(debug_assertions),
        }
    }

    /// Why a backend cannot be had, if it cannot.
    #[must_use]
    pub fn refusal(&self, io: IoChoice) -> Option<&str> {
        self.backends.iter().find(|probe| probe.backend == io.name())?.refused.as_deref()
    }

    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let memory = self.memory_bytes as f64 / f64::from(1 << 30);
        format!(
            "{} × {}, {memory:.0} GiB, {} {}, {}, load {}",
            self.cores, self.cpu, self.target, self.kernel, self.work_filesystem, self.load_at_start
        )
    }
}

/// The load averages now.
#[must_use]
pub fn load() -> String {
    read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn probe(io: IoChoice) -> Probe {
    let options = ReadOptions { choice: io, ..ReadOptions::default() };
    Probe { backend: io.name(), refused: open_backend(&options).err().map(|error| error.to_string()) }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// The value of the first line `name : value`.
fn field(path: &str, name: &str) -> String {
    let text = read(path);
    let values = text.lines().filter_map(|line| line.split_once(':'));
    values.filter(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned()).next().unwrap_or_default()
}

fn kibibytes(text: &str) -> u64 {
    text.split(' ').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// `b` of `a [b] c`.
pub(crate) fn chosen(text: &str) -> String {
    text.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map_or("", |(word, _)| word).to_owned()
}

/// What tells this machine from others, whatever it is busy with: its name, its processor, its cores, its system.
#[must_use]
pub fn key() -> String {
    let uname = rustix::system::uname();
    let cpu = field("/proc/cpuinfo", "model name");
    let cpu = if cpu.is_empty() { std::env::consts::ARCH } else { &cpu };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}: {cores} × {cpu}, {}", uname.nodename().to_string_lossy(), std::env::consts::OS)
}

/// Type and device of the file system that a path lies on, such as `ext4 on /dev/sda1`: that of the longest mount point
/// that the path begins with. Empty where it cannot be found out.
#[must_use]
pub fn filesystem(path: &Path) -> String {
    Mount::of(path).shown()
}

/// The file system that a path lies on. Empty when it was not found.
#[derive(Default)]
struct Mount {
    kind: String,
    /// What was mounted: a device, or a word.
    source: String,
}

impl Mount {
    /// The longest mount point that the path begins with.
    fn of(path: &Path) -> Self {
        let Ok(path) = path.canonicalize() else { return Self::default() };
        let mounts = read("/proc/self/mountinfo");
        let mount = |line: &str| {
            let (left, right) = line.split_once(" - ")?;
            let point = left.split(' ').nth(4)?.replace("\\040", " ");
            let mut words = right.split(' ').map(str::to_owned);
            let mount = Self { kind: words.next()?, source: words.next()? };
            path.starts_with(&point).then_some((point.len(), mount))
        };
        // Of equal ones the last counts: it hides the others.
        mounts.lines().filter_map(mount).max_by_key(|(len, _)| *len).map(|(_, mount)| mount).unwrap_or_default()
    }

    fn shown(&self) -> String {
        if self.kind.is_empty() { String::new() } else { format!("{} on {}", self.kind, self.source) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_finds_the_machine() {
        let host = Host::look(Path::new("/"), Path::new("/proc"));
        assert!(host.cores > 0);
        assert_eq!(host.backends.len(), 4);
        assert_eq!(host.refusal(IoChoice::Pread), None);
        #[cfg(target_os = "linux")]
        {
            assert!(host.memory_bytes > 1 << 20 && !host.kernel.is_empty());
            assert!(host.work_filesystem.starts_with("proc on "), "{}", host.work_filesystem);
        }
        assert!(!host.line().is_empty());
        assert!(host.versions["rustc"].starts_with("rustc 1."), "{:?}", host.versions);
    }

    #[test]
    fn the_key_of_a_machine_stays_and_has_one_line() {
        assert_eq!(key(), key());
        assert!(key().contains(std::env::consts::OS) && !key().contains('\n'), "{}", key());
        assert_eq!(filesystem(Path::new("/no/such/path")), "");
    }

    #[test]
    fn words_in_brackets_are_the_chosen_ones() {
        assert_eq!(chosen("always [madvise] never"), "madvise");
        assert_eq!(chosen(""), "");
        assert_eq!(kibibytes("24 kB"), 24 * 1024);
    }
}
