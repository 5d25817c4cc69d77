//! Starts processes, alone or as a pipeline, and reads the kernel's account of them.
//!
//! What flows in: commands. What flows out: [`Usage`] (wall time by our clock, the rest from `wait4`), what they wrote,
//! how they ended. What this module does not know: what they do.
//!
//! The peak of memory is the process's largest resident set. The kernel lets a process begin with the peak of the one
//! that started it, so the process that measures must stay small: whatever needs memory is done in a child.

#[allow(unsafe_code)]
mod reap;

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// What a run cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// From before the first process was started until the last one had ended (and a sync, where one belongs to it), ns.
    pub wall_ns: u64,
    /// Time in user mode, of all threads and processes, ns.
    pub user_ns: u64,
    /// Time in the kernel, of all threads and processes, ns.
    pub system_ns: u64,
    /// Largest resident set, bytes; for a pipeline the sum of those of its processes.
    pub peak_bytes: u64,
    /// What had to come from the disk, bytes: next to nothing when the page cache is warm.
    pub disk_read_bytes: u64,
    /// What was sent to be written to the disk, sooner or later, bytes.
    pub disk_written_bytes: u64,
    /// What `read`-like calls returned to all processes, from files and pipes alike, bytes. Mappings and io_uring are not
    /// counted by the kernel. `None` where it does not say (elsewhere than on Linux, or without `/proc`).
    #[serde(default)]
    pub read_bytes: Option<u64>,
    /// What `write`-like calls took from all processes, into files and pipes alike, bytes; see `read_bytes`.
    #[serde(default)]
    pub written_bytes: Option<u64>,
}

/// A run that has ended.
#[derive(Debug)]
pub struct Ran {
    /// What it cost.
    pub usage: Usage,
    /// What the last process wrote, if it was captured.
    pub stdout: Vec<u8>,
    /// What they wrote to standard error: its last few KiB.
    pub stderr: String,
    /// How each process ended.
    pub statuses: Vec<ExitStatus>,
    started: Instant,
}

/// Where the output of the last process goes.
#[derive(Debug)]
pub enum Stdout {
    /// Nowhere.
    Null,
    /// Into [`Ran::stdout`].
    Capture,
    /// Into this file.
    File(File),
}

/// How much of standard error is kept, bytes.
const STDERR_MAX: u64 = 4096;

impl Usage {
    /// Whether more than a hundredth of `input` bytes (and more than a program's own pages) came from the disk, so that
    /// the page cache was not warm.
    #[must_use]
    pub fn is_cold(&self, input: u64) -> bool {
        self.disk_read_bytes > (input / 100).max(1 << 20)
    }
}

impl Ran {
    /// Does what belongs to the run but not to its processes, such as a sync, and counts it to the wall time.
    ///
    /// # Errors
    /// What `then` says.
    pub fn and(&mut self, then: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        then()?;
        self.usage.wall_ns = nanoseconds(self.started);
        Ok(())
    }

    /// Whether every process ended with exit code 0.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.statuses.iter().all(ExitStatus::success)
    }

    /// How it ended, with the last words: for error messages. Of a pipeline those that failed, but not those that failed
    /// because their reader had gone.
    #[must_use]
    pub fn ending(&self) -> String {
        let failed = || self.statuses.iter().filter(|status| !status.success());
        let mut by_itself: Vec<&ExitStatus> =
            failed().filter(|status| status.signal() != Some(libc::SIGPIPE)).collect();
        if by_itself.is_empty() {
            by_itself = failed().collect();
        }
        let how = by_itself.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let how = if how.is_empty() { "exit status: 0".to_owned() } else { how };
        match self.stderr.trim() {
            "" => how,
            words => format!("{how}: {words}"),
        }
    }
}

/// Runs commands as a pipeline, each one's output into the next one's input, and waits for all of them.
///
/// # Errors
/// When a process cannot be started or waited for; not when one of them fails.
pub fn run(commands: Vec<Command>, stdout: Stdout) -> io::Result<Ran> {
    let mut errors = tempfile::tempfile()?;
    let started = Instant::now();
    let mut children = start(commands, stdout, &errors)?;
    let mut captured = Vec::new();
    let read = match children.last_mut().and_then(|last| last.stdout.take()) {
        Some(mut pipe) => pipe.read_to_end(&mut captured).map(|_| ()),
        None => Ok(()),
    };
    let mut usage = Usage { read_bytes: Some(0), written_bytes: Some(0), ..Usage::default() };
    let mut statuses = Vec::new();
    for child in &children {
        let account = reap::wait(child.id())?;
        usage.user_ns += account.user_ns;
        usage.system_ns += account.system_ns;
        usage.peak_bytes += account.peak_bytes;
        usage.disk_read_bytes += account.disk_read_bytes;
        usage.disk_written_bytes += account.disk_written_bytes;
        usage.read_bytes = usage.read_bytes.zip(account.calls).map(|(sum, calls)| sum + calls.read_bytes);
        usage.written_bytes = usage.written_bytes.zip(account.calls).map(|(sum, calls)| sum + calls.written_bytes);
        statuses.push(account.status);
    }
    usage.wall_ns = nanoseconds(started);
    read?;
    let stderr = tail(&mut errors)?;
    Ok(Ran { usage, stdout: captured, stderr, statuses, started })
}

/// The last words: why something failed stands at the end of what it said.
fn tail(errors: &mut File) -> io::Result<String> {
    let len = errors.seek(SeekFrom::End(0))?;
    errors.seek(SeekFrom::Start(len.saturating_sub(STDERR_MAX)))?;
    let mut stderr = Vec::new();
    errors.take(STDERR_MAX).read_to_end(&mut stderr)?;
    Ok(String::from_utf8_lossy(&stderr).into_owned())
}

/// Starts them all. When one cannot be started, those before it are ended and reaped.
fn start(commands: Vec<Command>, stdout: Stdout, errors: &File) -> io::Result<Vec<Child>> {
    let mut children: Vec<Child> = Vec::new();
    let mut last_stdout = Some(match stdout {
        Stdout::Null => Stdio::null(),
        Stdout::Capture => Stdio::piped(),
        Stdout::File(file) => file.into(),
    });
    let count = commands.len();
    for (at, mut command) in commands.into_iter().enumerate() {
        let stdin = children.last_mut().and_then(|before| before.stdout.take()).map_or_else(Stdio::null, Stdio::from);
        let stdout = if at + 1 == count { last_stdout.take() } else { None };
        let child = errors
            .try_clone()
            .and_then(|errors| command.stdin(stdin).stdout(stdout.unwrap_or_else(Stdio::piped)).stderr(errors).spawn());
        // Here the command is dropped, and with it our ends of its pipes: a writer notices when its reader dies.
        match child {
            Ok(child) => children.push(child),
            Err(error) => {
                for mut child in children {
                    let _ = child.kill().and_then(|()| child.wait());
                }
                let program = command.get_program().to_string_lossy().into_owned();
                return Err(io::Error::new(error.kind(), format!("{program}: {error}")));
            }
        }
    }
    Ok(children)
}

fn nanoseconds(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A command as somebody would type it, with its folder and what it finds in its environment beyond ours.
#[must_use]
pub fn shown(commands: &[Command]) -> String {
    let one = |command: &Command| {
        let folder = command.get_current_dir().map(|folder| format!("cd {} && ", quoted(&folder.to_string_lossy())));
        let set = command.get_envs().filter_map(|(name, value)| Some((name.to_string_lossy(), value?)));
        let set = set.map(|(name, value)| format!("{name}={}", quoted(&value.to_string_lossy())));
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words = set.chain(words.map(|word| quoted(&word.to_string_lossy())));
        folder.unwrap_or_default() + &words.collect::<Vec<_>>().join(" ")
    };
    commands.iter().map(one).collect::<Vec<_>>().join(" | ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_pipeline_passes_bytes_and_adds_up_its_processes() {
        let busy = "i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done; echo ready";
        let ran = run(vec![sh(busy), sh("cat; echo more")], Stdout::Capture).unwrap();
        assert!(ran.ok(), "{}", ran.ending());
        assert_eq!(ran.stdout, b"ready\nmore\n");
        assert!(ran.usage.user_ns + ran.usage.system_ns > 0 && ran.usage.peak_bytes > 1 << 16, "{:?}", ran.usage);
    }

    #[test]
    fn what_came_from_the_disk_tells_cold_from_warm() {
        let read = |disk_read_bytes| Usage { disk_read_bytes, ..Usage::default() };
        assert!(!read(1 << 20).is_cold(0) && read((1 << 20) + 1).is_cold(0));
        assert!(!read(2_000_000).is_cold(200_000_000) && read(2_000_001).is_cold(200_000_000));
    }

    #[test]
    fn a_failure_is_told_with_its_last_words() {
        let ran = run(vec![sh("echo oh no >&2; exit 3"), sh("cat")], Stdout::Null).unwrap();
        assert!(!ran.ok());
        assert_eq!(ran.ending(), "exit status: 3: oh no");
        let ran = run(vec![sh("kill -9 $$")], Stdout::Null).unwrap();
        assert!(ran.ending().contains("signal: 9"), "{}", ran.ending());
    }

    #[test]
    fn of_much_that_is_said_the_end_is_kept() {
        let ran =
            run(vec![sh("i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i >&2; done")], Stdout::Null).unwrap();
        assert!(ran.stderr.ends_with("line 3000\n") && ran.stderr.len() == STDERR_MAX as usize, "{}", ran.stderr.len());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn bytes_that_go_through_calls_are_counted_for_children_of_children_too() {
        // `cat` is a child of the shell; the bytes go through a pipe, so two processes read them and two write them.
        let ran = run(vec![sh("head -c 3000000 /dev/zero; true"), sh("cat; true")], Stdout::Null).unwrap();
        let (read, written) = (ran.usage.read_bytes.unwrap(), ran.usage.written_bytes.unwrap());
        assert!((6_000_000..6_500_000).contains(&read), "{read}");
        assert!((6_000_000..6_100_000).contains(&written), "{written}");
    }

    #[test]
    fn a_writer_notices_that_its_reader_is_gone() {
        // Would hang if this process kept the reading end of the pipe.
        let ran = run(vec![sh("while echo y; do :; done 2>/dev/null"), sh("exit 1")], Stdout::Null).unwrap();
        assert!(!ran.ok());
        // That is not why it failed.
        let ran = run(vec![sh("kill -PIPE $$"), sh("exit 4")], Stdout::Null).unwrap();
        assert_eq!(ran.ending(), "exit status: 4");
        let ran = run(vec![sh("exit 5"), sh("exit 4")], Stdout::Null).unwrap();
        assert_eq!(ran.ending(), "exit status: 5, exit status: 4");
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let error = run(vec![sh("cat"), Command::new("no-such-program-at-all")], Stdout::Null).unwrap_err();
        assert!(error.to_string().starts_with("no-such-program-at-all: "), "{error}");
    }

    #[test]
    fn what_follows_counts_to_the_wall_time() {
        let mut ran = run(vec![sh("true")], Stdout::Null).unwrap();
        let before = ran.usage;
        ran.and(|| {
            std::thread::sleep(std::time::Duration::from_millis(20));
            Ok(())
        })
        .unwrap();
        assert!(ran.usage.wall_ns >= before.wall_ns + 20_000_000);
        assert_eq!(ran.usage.user_ns, before.user_ns);
    }

    #[test]
    fn commands_are_shown_as_they_would_be_typed() {
        let mut tar = Command::new("tar");
        tar.args(["-C", "a folder", "-cf", "-", "."]);
        assert_eq!(shown(&[tar, sh("it's")]), r"tar -C 'a folder' -cf - . | sh -c 'it'\''s'");
        let mut borg = Command::new("borg");
        borg.current_dir("/a tree").env("BORG_REPO", "x y").arg("create");
        assert_eq!(shown(&[borg]), "cd '/a tree' && BORG_REPO='x y' borg create");
    }
}
