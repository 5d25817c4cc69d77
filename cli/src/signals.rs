//! How a run is stopped from outside. What flows in: SIGINT, SIGTERM, SIGHUP. What flows out: the engine's cancel flag,
//! and which signal it was. The first signal asks the run to wind down and remove what it had begun; the second one
//! ends the process at once, whatever lies about.
//!
//! Only commands that write or run long install this; the others end by the signal itself.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use carrack_engine::control::Cancel;
use carrack_engine::error::{Error, ErrorKind, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::Exit;

/// Remembers the signal that stopped the run.
#[derive(Debug, Default)]
pub(crate) struct Signals {
    caught: Arc<AtomicUsize>,
}

impl Signals {
    /// Turns signals into a set flag from now on.
    ///
    /// # Errors
    /// Of kind `Usage`, when the system refuses a handler.
    pub(crate) fn install(&self) -> Result<Cancel> {
        let stop = Arc::new(AtomicBool::new(false));
        let ignored = ignored_signals();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // What our parent told us to ignore (`nohup`, a background job of a script) stays ignored.
            let is_ignored = ignored.map_or(signal == SIGHUP, |mask| mask & (1 << (signal - 1)) != 0);
            if !is_ignored {
                self.catch(signal, &stop).map_err(|error| {
                    Error::with(ErrorKind::Usage, format!("{} cannot be caught", name(signal)), error)
                })?;
            }
        }
        Ok(Cancel::from_flag(stop))
    }

    /// Handlers run in the order of registration: the one that ends the process must look at the flag before the
    /// last one sets it.
    fn catch(&self, signal: i32, stop: &Arc<AtomicBool>) -> std::io::Result<()> {
        flag::register_conditional_shutdown(signal, i32::from(Exit::Signal(signal).code()), Arc::clone(stop))?;
        flag::register_usize(signal, Arc::clone(&self.caught), usize::try_from(signal).unwrap_or(0))?;
        flag::register(signal, Arc::clone(stop))?;
        Ok(())
    }

    /// The signal that asked the run to stop.
    pub(crate) fn caught(&self) -> Option<i32> {
        match self.caught.load(Ordering::SeqCst) {
            0 => None,
            signal => i32::try_from(signal).ok(),
        }
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
