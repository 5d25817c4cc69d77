//! The one call that std lacks: waiting for a process and taking the kernel's account of it.
//!
//! `wait4` tells times and the peak of memory; what went through `read` and `write` stands in `/proc/PID/io`, which exists
//! as long as a process that has ended is not reaped. So it is waited for twice: once to look, once to reap.

use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// What the kernel counted for one process and the children that it waited for.
pub(super) struct Account {
    pub(super) status: ExitStatus,
    pub(super) user_ns: u64,
    pub(super) system_ns: u64,
    /// Largest resident set of any of them, bytes.
    pub(super) peak_bytes: u64,
    /// What had to come from the disk, bytes.
    pub(super) disk_read_bytes: u64,
    /// What was sent to be written to the disk, sooner or later, bytes.
    pub(super) disk_written_bytes: u64,
    /// What went through calls, where the kernel says so.
    pub(super) calls: Option<Calls>,
}

/// Bytes that `read`- and `write`-like calls moved, of a process and the children that it waited for.
#[derive(Clone, Copy)]
pub(super) struct Calls {
    pub(super) read_bytes: u64,
    pub(super) written_bytes: u64,
}

/// The unit of the kernel's counts of blocks, bytes.
const BLOCK: u64 = 512;

/// Waits until the child `pid` has ended.
pub(super) fn wait(pid: u32) -> io::Result<Account> {
    let pid = libc::pid_t::try_from(pid).map_err(io::Error::other)?;
    let calls = calls(pid);
    let mut status = 0;
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both pointers are to live variables of the types that wait4 writes, owned by this frame.
        let waited = unsafe { libc::wait4(pid, &raw mut status, 0, usage.as_mut_ptr()) };
        if waited == pid {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: zeroed above, which is a valid `rusage` (integers only), and then filled by the kernel.
    let usage = unsafe { usage.assume_init() };
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    Ok(Account {
        status: ExitStatus::from_raw(status),
        user_ns: nanoseconds(usage.ru_utime),
        system_ns: nanoseconds(usage.ru_stime),
        peak_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * unit,
        disk_read_bytes: u64::try_from(usage.ru_inblock).unwrap_or(0) * BLOCK,
        disk_written_bytes: u64::try_from(usage.ru_oublock).unwrap_or(0) * BLOCK,
        calls,
    })
}

/// Waits until the process has ended, leaves it unreaped, and reads the account of what it read and wrote.
#[cfg(target_os = "linux")]
fn calls(pid: libc::pid_t) -> Option<Calls> {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let id = WaitId::Pid(Pid::from_raw(pid)?);
    let mut ended = waitid(id.clone(), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    while ended.as_ref().err() == Some(&rustix::io::Errno::INTR) {
        ended = waitid(id.clone(), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
    }
    ended.ok()?;
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    Some(Calls { read_bytes: value("rchar:")?, written_bytes: value("wchar:")? })
}

#[cfg(not(target_os = "linux"))]
fn calls(_: libc::pid_t) -> Option<Calls> {
    None
}

fn nanoseconds(time: libc::timeval) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    seconds * 1_000_000_000 + u64::try_from(time.tv_usec).unwrap_or(0) * 1_000
}
