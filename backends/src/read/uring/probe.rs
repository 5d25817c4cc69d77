//! What io_uring can do here, found out by doing it: kernel versions say nothing about sysctls, seccomp and limits.
//!
//! What flows in: the wanted depth. What flows out: a ring that works, whether direct descriptors do, or which step
//! was refused and where to look. What it does not know: backends, requests.

use std::ffi::{CStr, CString};
use std::fmt;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use io_uring::squeue::{Entry, Flags};
use io_uring::{opcode, types};
use rustix::process::{Resource, getrlimit};

use super::ring::{Ring, Target, read_entry};
use crate::read::open::READ_FLAGS;

/// How long the reads of the probe may take before io_uring counts as not working.
const PROBE_PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that the probe reads.
const PROBE_LEN: usize = 64;

/// Why io_uring cannot be used here: what was tried, what the kernel said, what to look at.
#[derive(Debug)]
pub struct ProbeError {
    tried: &'static str,
    source: io::Error,
    advice: String,
}

impl ProbeError {
    fn new(tried: &'static str, source: io::Error) -> Self {
        let advice = advice(&source, std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled").ok().as_deref());
        Self { tried, source, advice }
    }

    fn missing(what: &'static str) -> Self {
        let source = io::Error::new(io::ErrorKind::Unsupported, "the kernel does not offer it");
        Self { tried: what, source, advice: "Linux 5.11 and later have it".into() }
    }

    /// What to change so that it works.
    #[must_use]
    pub fn advice(&self) -> &str {
        &self.advice
    }
}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "io_uring is not usable: {}: {} ({})", self.tried, self.source, self.advice)
    }
}

impl std::error::Error for ProbeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Where to look for the reason of a refusal; `disabled` is what the sysctl says.
fn advice(error: &io::Error, disabled: Option<&str>) -> String {
    match (error.raw_os_error(), disabled.map(str::trim)) {
        (Some(libc::EPERM), Some("2")) => {
            "the sysctl kernel.io_uring_disabled is 2, which forbids it to everyone; 0 allows it".into()
        }
        (Some(libc::EPERM), Some("1")) => "the sysctl kernel.io_uring_disabled is 1, which allows it only to \
             CAP_SYS_ADMIN and to members of the group kernel.io_uring_group; 0 allows it to all"
            .into(),
        (Some(libc::EPERM | libc::EACCES), _) => "no sysctl forbids it, so a seccomp filter or a security module \
             does; container runtimes block it by default: allow io_uring_setup, io_uring_enter and \
             io_uring_register in the seccomp profile"
            .into(),
        (Some(libc::ENOSYS), _) => "the kernel was built without CONFIG_IO_URING or is older than 5.1, or a seccomp \
             filter hides it"
            .into(),
        (Some(libc::ENOMEM), _) => format!("too little lockable memory: {}", memlock()),
        (Some(libc::EMFILE | libc::ENFILE), _) => "too many open files: raise RLIMIT_NOFILE (`ulimit -n`)".into(),
        _ => "see io_uring_setup(2) for this error".into(),
    }
}

/// The limit on locked memory, and how to raise it.
pub(super) fn memlock() -> String {
    let now = getrlimit(Resource::Memlock).current.map_or("unlimited".into(), |bytes| format!("{bytes} bytes"));
    format!("RLIMIT_MEMLOCK is {now}; raise it with `ulimit -l` or LimitMEMLOCK=, or grant CAP_IPC_LOCK")
}

/// A ring that was seen to work.
pub(super) struct Probed {
    pub(super) ring: Ring,
    /// Whether linked open → read → close on direct descriptors works, or why not. Place numbers go up to the depth.
    pub(super) chains: Result<(), String>,
    /// Whether reads into registered buffers exist.
    pub(super) read_fixed: bool,
}

/// Sets up a ring for `depth` chains and tries what the backend needs.
///
/// # Errors
/// When not even a plain read works.
pub(super) fn probe(depth: u32, want_chains: bool) -> Result<Probed, ProbeError> {
    // Three entries a chain; the kernel makes room for twice as many completions as submissions.
    let entries = (depth * 3).next_power_of_two();
    let mut ring = Ring::new(entries).map_err(|error| ProbeError::new("io_uring_setup", error))?;
    let params = ring.raw().params();
    if !params.is_feature_ext_arg() || !params.is_feature_nodrop() {
        return Err(ProbeError::missing("waiting with a time limit"));
    }
    let mut opcodes = io_uring::Probe::new();
    ring.raw()
        .submitter()
        .register_probe(&mut opcodes)
        .map_err(|error| ProbeError::new("io_uring_register, listing operations", error))?;
    if !opcodes.is_supported(opcode::Read::CODE) || !opcodes.is_supported(opcode::AsyncCancel::CODE) {
        return Err(ProbeError::missing("read and cancel operations"));
    }
    let subject = Subject::find();
    if let Some(subject) = &subject {
        subject.read_plain(&mut ring).map_err(|error| ProbeError::new("a first read", error))?;
    }
    let chains = if !want_chains {
        Err("they were turned off".into())
    } else if !opcodes.is_supported(opcode::OpenAt::CODE) || !opcodes.is_supported(opcode::Close::CODE) {
        Err("this kernel lacks the operations".into())
    } else {
        try_chains(&mut ring, depth, subject.as_ref())
    };
    Ok(Probed { ring, chains, read_fixed: opcodes.is_supported(opcode::ReadFixed::CODE) })
}

/// Registers the table of files and runs one chain over it.
fn try_chains(ring: &mut Ring, depth: u32, subject: Option<&Subject>) -> Result<(), String> {
    let subject = subject.ok_or("there was no readable file to try them on")?;
    ring.register_places(depth).map_err(|error| {
        let hint = if error.raw_os_error() == Some(libc::EMFILE) { "; raise RLIMIT_NOFILE (`ulimit -n`)" } else { "" };
        format!("a table of {depth} files was refused: {error}{hint}")
    })?;
    subject.read_chain(ring, depth - 1).map_err(|error| format!("a first chain failed: {error}"))
}

/// A file to try reading on, and its first bytes.
struct Subject {
    name: CString,
    file: std::fs::File,
    start: Vec<u8>,
    /// Where the subject was made for the purpose; removed with it.
    made: Option<tempfile::NamedTempFile>,
}

impl Subject {
    /// This program itself, or a temporary file where that cannot be read.
    fn find() -> Option<Self> {
        Self::own_program().or_else(Self::temporary)
    }

    fn own_program() -> Option<Self> {
        Self::at(&std::env::current_exe().ok()?)
    }

    fn temporary() -> Option<Self> {
        let mut made = tempfile::NamedTempFile::new().ok()?;
        io::Write::write_all(&mut made, &[0x5a; PROBE_LEN]).ok()?;
        let mut subject = Self::at(made.path())?;
        subject.made = Some(made);
        Some(subject)
    }

    fn at(path: &std::path::Path) -> Option<Self> {
        let file = std::fs::File::open(path).ok()?;
        let mut start = vec![0; PROBE_LEN];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut start, 0).ok()?;
        Some(Self { name: CString::new(path.as_os_str().as_bytes()).ok()?, file, start, made: None })
    }

    fn read_plain(&self, ring: &mut Ring) -> io::Result<()> {
        let target = Target::Fd(self.file.as_raw_fd());
        self.run(ring, |at| vec![read_entry(target, at, PROBE_LEN as u32, 0, None)], 0)
    }

    fn read_chain(&self, ring: &mut Ring, place: u32) -> io::Result<()> {
        self.run(ring, |at| chain_entries(None, &self.name, place, at, PROBE_LEN as u32, None).to_vec(), 1)
    }

    /// Runs the entries and compares what the one at `read` brought.
    fn run(&self, ring: &mut Ring, entries: impl Fn(*mut u8) -> Vec<Entry>, read: usize) -> io::Result<()> {
        let mut buf = vec![0_u8; PROBE_LEN];
        let entries: Vec<Entry> =
            (0_u64..).zip(entries(buf.as_mut_ptr())).map(|(i, entry)| entry.user_data(i)).collect();
        let mut done: Vec<(u64, i32)> = Vec::new();
        // SAFETY: the name lives in `self`; the buffer lives until all entries have completed, else it is leaked.
        let pushed = unsafe { ring.push(&entries) };
        let waited = pushed.and_then(|()| {
            let started = Instant::now();
            while done.len() < entries.len() {
                ring.wait(entries.len() - done.len(), PROBE_PATIENCE)?;
                ring.harvest(&mut done);
                if done.len() < entries.len() && started.elapsed() > PROBE_PATIENCE {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
            Ok(())
        });
        if let Err(error) = waited {
            std::mem::forget(buf);
            return Err(error);
        }
        // The first failure is the cause of those behind it.
        done.sort_unstable();
        if let Some(&(_, failed)) = done.iter().find(|&&(_, result)| result < 0) {
            return Err(io::Error::from_raw_os_error(-failed));
        }
        if done[read].1 != PROBE_LEN as i32 || buf != self.start {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it brought other bytes than a plain read"));
        }
        Ok(())
    }
}

/// The three linked entries that open `name` (below `folder`, or absolute) in `place` of the table of files, read its
/// first `len` bytes to `at`, and close it again.
///
/// The open must succeed for the rest to run (`IO_LINK`), so nothing is ever read from what stood in the place before.
/// The close runs whatever the read says (`IO_HARDLINK`): a plain link breaks on a short read and leaves the file open.
/// `O_CLOEXEC` is left out: a direct descriptor cannot be inherited and the kernel refuses the flag.
pub(super) fn chain_entries(
    folder: Option<i32>,
    name: &CStr,
    place: u32,
    at: *mut u8,
    len: u32,
    buffer: Option<u16>,
) -> [Entry; 3] {
    let flags = READ_FLAGS.difference(rustix::fs::OFlags::CLOEXEC).bits();
    let destination = types::DestinationSlot::try_from_slot_target(place).expect("places are few");
    let open = opcode::OpenAt::new(types::Fd(folder.unwrap_or(libc::AT_FDCWD)), name.as_ptr())
        .flags(flags.cast_signed())
        .file_index(Some(destination))
        .build()
        .flags(Flags::IO_LINK);
    let read = read_entry(Target::Fixed(place), at, len, 0, buffer).flags(Flags::IO_HARDLINK);
    let close = opcode::Close::new(types::Fixed(place)).build();
    [open, read, close]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_says_where_to_look() {
        let says = |errno, sysctl| advice(&io::Error::from_raw_os_error(errno), sysctl);
        assert!(says(libc::EPERM, Some("2\n")).contains("kernel.io_uring_disabled is 2"));
        assert!(says(libc::EPERM, Some("1\n")).contains("kernel.io_uring_group"));
        assert!(says(libc::EPERM, Some("0\n")).contains("seccomp"));
        assert!(says(libc::EPERM, None).contains("seccomp"));
        assert!(says(libc::ENOSYS, None).contains("CONFIG_IO_URING"));
        assert!(says(libc::ENOMEM, None).contains("RLIMIT_MEMLOCK is"));
        assert!(says(libc::EMFILE, None).contains("RLIMIT_NOFILE"));
    }

    #[test]
    fn the_error_names_the_step_the_reason_and_the_remedy() {
        let error = ProbeError::new("io_uring_setup", io::Error::from_raw_os_error(libc::ENOSYS));
        let text = error.to_string();
        assert!(text.contains("io_uring_setup: ") && text.contains("os error 38"), "{text}");
        assert!(text.contains(error.advice()), "{text}");
    }

    #[test]
    fn a_temporary_file_serves_where_the_program_cannot_be_read() {
        let subject = Subject::temporary().expect("a temporary file");
        let mut ring = Ring::new(8).unwrap();
        subject.read_plain(&mut ring).unwrap();
        ring.register_places(2).unwrap();
        subject.read_chain(&mut ring, 1).unwrap();
        subject.read_chain(&mut ring, 1).expect("the place is free again");
    }

    #[test]
    fn a_chain_that_cannot_open_its_file_says_why_and_reads_nothing() {
        let mut subject = Subject::temporary().unwrap();
        let mut ring = Ring::new(8).unwrap();
        ring.register_places(1).unwrap();
        subject.read_chain(&mut ring, 0).unwrap();
        subject.name = c"/nonexistent/file".into();
        let error = subject.read_chain(&mut ring, 0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn the_close_runs_after_a_short_read() {
        let subject = Subject::temporary().unwrap();
        let mut ring = Ring::new(8).unwrap();
        ring.register_places(1).unwrap();
        let mut buf = vec![0_u8; 2 * PROBE_LEN];
        let entries = chain_entries(None, &subject.name, 0, buf.as_mut_ptr(), buf.len() as u32, None);
        // SAFETY: the name and the buffer outlive the wait below, after which all entries have completed.
        unsafe { ring.push(&entries) }.unwrap();
        let mut done = Vec::new();
        ring.wait(3, PROBE_PATIENCE).unwrap();
        ring.harvest(&mut done);
        assert_eq!(done.iter().map(|&(_, result)| result).collect::<Vec<_>>(), [0, PROBE_LEN as i32, 0]);
    }

    #[test]
    fn a_table_larger_than_allowed_is_refused_with_the_limit_to_raise() {
        let mut ring = Ring::new(8).unwrap();
        let subject = Subject::temporary().unwrap();
        let text = try_chains(&mut ring, u32::MAX >> 1, Some(&subject)).unwrap_err();
        assert!(text.contains("was refused") && text.contains("RLIMIT_NOFILE"), "{text}");
    }
}
