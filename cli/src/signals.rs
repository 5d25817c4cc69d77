//! How a run is stopped from outside. What flows in: SIGINT, SIGTERM, SIGHUP. What flows out: the engine's cancel flag,
//! which signal it was, and, where the run does not end by itself, the end of the process.
//!
//! The first signal asks the run to wind down and remove what it had begun. A run looks at that between two blocks, and a
//! block at the highest levels takes many seconds; a write to a pipe that nobody reads takes for ever. So a thread of its own
//! watches: when the orderly end has not come after [`GRACE`], or with the next signal, it removes what must not stay (see
//! [`carrack_backends::transient`]), says what the orderly end would say, and ends the process with the same exit code. One
//! more signal while it is at that ends the process at once, whatever lies about.
//!
//! Only commands that write or run long install this; the others end by the signal itself.

use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use carrack_backends::transient;
use carrack_engine::control::Cancel;
use carrack_engine::error::{Error, ErrorKind, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

use crate::exit::Exit;

/// How long the orderly end may take, so that something of 200 ms is left for the removal.
const GRACE: Duration = Duration::from_millis(50);

/// How long the removal waits for calls to the file system that make or move a name. On a busy disk they can take seconds, as
/// when a journal is full; on a network that is gone they take for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// Remembers the signal that stopped the run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    caught: Arc<AtomicUsize>,
    /// Somebody is ending the process already: the orderly end or the watch.
    ending: Arc<AtomicBool>,
}

impl Signals {
    /// Turns signals into a set flag from now on, and has the end of the process watched.
    /// `speech` begins the message of a run that the watch had to end.
    ///
    /// # Errors
    /// Of kind `Usage`, when the system refuses a handler or a thread.
    pub(crate) fn install(&self, speech: String) -> Result<Cancel> {
        let refused = |error| Error::with(ErrorKind::Usage, "signals cannot be watched for", error);
        let (alarm, bell) = UnixStream::pair().map_err(refused)?;
        let at_once = Arc::new(AtomicBool::new(false));
        let cancel = self.catch_all(&at_once, Some(&bell))?;
        let watch = Watch { signals: self.clone(), at_once, speech };
        let thread = thread::Builder::new().name("signals".to_owned()).stack_size(64 << 10);
        thread.spawn(move || watch.wait(alarm)).map_err(refused)?;
        Ok(cancel)
    }

    /// The same without a watch, for runs of other processes: the next signal ends this one at once.
    ///
    /// # Errors
    /// Of kind `Usage`, when the system refuses a handler.
    pub(crate) fn install_patient(&self) -> Result<Cancel> {
        self.catch_all(&Arc::default(), None)
    }

    fn catch_all(&self, at_once: &Arc<AtomicBool>, bell: Option<&UnixStream>) -> Result<Cancel> {
        let stop = if bell.is_some() { Arc::default() } else { Arc::clone(at_once) };
        let ignored = ignored_signals();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // What our parent told us to ignore (`nohup`, a background job of a script) stays ignored.
            let is_ignored = ignored.map_or(signal == SIGHUP, |mask| mask & (1 << (signal - 1)) != 0);
            if !is_ignored {
                self.catch(signal, &stop, at_once, bell).map_err(|error| {
                    Error::with(ErrorKind::Usage, format!("{} cannot be caught", name(signal)), error)
                })?;
            }
        }
        Ok(Cancel::from_flag(stop))
    }

    /// Handlers run in the order of registration: the one that ends the process must look at the flag before the last ones
    /// set it or have it set.
    fn catch(
        &self,
        signal: i32,
        stop: &Arc<AtomicBool>,
        at_once: &Arc<AtomicBool>,
        bell: Option<&UnixStream>,
    ) -> std::io::Result<()> {
        flag::register_conditional_shutdown(signal, code(signal), Arc::clone(at_once))?;
        flag::register_usize(signal, Arc::clone(&self.caught), usize::try_from(signal).unwrap_or(0))?;
        flag::register(signal, Arc::clone(stop))?;
        if let Some(bell) = bell {
            low_level::pipe::register(signal, bell.try_clone()?)?;
        }
        Ok(())
    }

    /// The signal that asked the run to stop.
    pub(crate) fn caught(&self) -> Option<i32> {
        match self.caught.load(Ordering::SeqCst) {
            0 => None,
            signal => i32::try_from(signal).ok(),
        }
    }

    /// Says that the run has come to its orderly end, so that the watch lets it speak. Where the watch was faster, the calling
    /// thread waits for the end of the process here.
    pub(crate) fn ended(&self) {
        if self.ending.swap(true, Ordering::SeqCst) {
            loop {
                thread::park();
            }
        }
    }
}

fn code(signal: i32) -> i32 {
    i32::from(Exit::Signal(signal).code())
}

/// What a run says that was stopped.
pub(crate) fn message(signal: i32) -> String {
    format!("stopped by {}", name(signal))
}

/// The thread that ends the process where the run does not.
struct Watch {
    signals: Signals,
    /// Set before the process is ended: a signal that comes now does so itself.
    at_once: Arc<AtomicBool>,
    speech: String,
}

impl Watch {
    /// Waits for a signal, and gives the run its time.
    fn wait(self, mut alarm: UnixStream) {
        let mut byte = [0];
        // Both ends stay open as long as the process lives.
        if !matches!(alarm.read(&mut byte), Ok(1)) {
            return;
        }
        // The next signal cuts the time short. That a socket takes no time limit only makes it longer.
        if alarm.set_read_timeout(Some(GRACE)).is_ok() {
            let _ = alarm.read(&mut byte);
        } else {
            thread::sleep(GRACE);
        }
        self.at_once.store(true, Ordering::SeqCst);
        let signal = self.signals.caught().unwrap_or(SIGTERM);
        if self.signals.ending.swap(true, Ordering::SeqCst) {
            // Nothing is left but to say how it ended, and nobody may be reading that.
            thread::sleep(GRACE);
            low_level::exit(code(signal));
        }
        transient::sweep(PATIENCE);
        say(&format!("{}{}\n", self.speech, message(signal)));
        low_level::exit(code(signal));
    }
}

/// Writes a short message to standard error, if that takes it without making us wait. (Rust's own handle has a lock, which
/// may be held by whoever waits.)
fn say(text: &str) {
    let stderr = std::io::stderr();
    let fd = stderr.as_fd();
    let mut ready = [PollFd::new(&fd, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    if poll(&mut ready, Some(&now)).is_ok() && ready[0].revents().contains(PollFlags::OUT) {
        let _ = rustix::io::write(fd, text.as_bytes());
    }
}

/// The mask of signals this process was started to ignore; `None` where the system does not tell.
fn ignored_signals() -> Option<u64> {
    parse_ignored(&fs::read_to_string("/proc/self/status").ok()?)
}

fn parse_ignored(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// The name of a signal.
pub(crate) fn name(signal: i32) -> &'static str {
    match signal {
        SIGINT => "SIGINT",
        SIGTERM => "SIGTERM",
        SIGHUP => "SIGHUP",
        _ => "a signal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\nSigCgt:\t0000000000000000\n";
        assert_eq!(parse_ignored(status), Some(0x1003));
        assert_eq!(parse_ignored("Name:\tx\n"), None);
    }
}
