//! A sink that fails when told to, for tests of what happens then.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::AppendSink;

/// When a [`FaultSink`] fails. Errors are given as the system's numbers (`EIO` is 5, `ENOSPC` 28, `EPIPE` 32 on Linux;
/// `libc` and `rustix::io::Errno` name them).
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultSinkPlan {
    /// The append that fails (0 is the first) before it writes anything, and its error.
    pub fail_append: Option<(u64, i32)>,
    /// Bytes that fit. The append that does not fit writes what does and fails with the given error.
    pub capacity: Option<(u64, i32)>,
    /// The error of `finish`; the inner sink is then aborted.
    pub fail_finish: Option<i32>,
}

/// What happened to a [`FaultSink`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkEvent {
    /// An append of so many bytes succeeded.
    Appended(u64),
    /// An append failed after so many bytes.
    Failed(u64),
    /// `finish` succeeded.
    Finished,
    /// `finish` failed.
    FinishFailed,
    /// Aborted, or dropped without `finish`.
    Aborted,
}

/// Everything that happened to one [`FaultSink`], in order; lives on when the sink is gone.
#[derive(Clone, Debug, Default)]
pub struct SinkLog(Arc<Mutex<Vec<SinkEvent>>>);

impl SinkLog {
    /// All events so far.
    #[must_use]
    pub fn events(&self) -> Vec<SinkEvent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn push(&self, event: SinkEvent) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

/// Another sink, with faults.
pub struct FaultSink {
    /// `None` once finished or aborted.
    inner: Option<Box<dyn AppendSink>>,
    plan: FaultSinkPlan,
    appends: u64,
    broken: bool,
    log: SinkLog,
}

impl FaultSink {
    /// Wraps `inner`; the log tells afterwards what happened.
    #[must_use]
    pub fn new(inner: Box<dyn AppendSink>, plan: FaultSinkPlan) -> (Self, SinkLog) {
        let log = SinkLog::default();
        (Self { inner: Some(inner), plan, appends: 0, broken: false, log: log.clone() }, log)
    }

    fn inner(&self) -> &dyn AppendSink {
        self.inner.as_deref().expect("present until finish or drop, which consume the sink")
    }

    fn try_append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let number = self.appends;
        self.appends += 1;
        if let Some((nth, errno)) = self.plan.fail_append
            && nth == number
        {
            return Err(io::Error::from_raw_os_error(errno));
        }
        let inner = self.inner.as_mut().expect("present until finish or drop, which consume the sink");
        let Some((capacity, errno)) = self.plan.capacity else { return inner.append(parts) };
        for part in parts {
            let room = usize::try_from(capacity.saturating_sub(inner.written())).unwrap_or(usize::MAX);
            inner.append(&[&part[..part.len().min(room)]])?;
            if part.len() > room {
                return Err(io::Error::from_raw_os_error(errno));
            }
        }
        Ok(())
    }
}

impl AppendSink for FaultSink {
    fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let before = self.written();
        let result = self.try_append(parts);
        self.broken |= result.is_err();
        let len = self.written() - before;
        self.log.push(if result.is_ok() { SinkEvent::Appended(len) } else { SinkEvent::Failed(len) });
        result
    }

    fn written(&self) -> u64 {
        self.inner().written()
    }

    fn identity(&self) -> Option<(u64, u64)> {
        self.inner().identity()
    }

    fn replaces(&self) -> Option<(u64, u64)> {
        self.inner().replaces()
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        let inner = self.inner.take().expect("finish consumes the sink");
        let fault = match self.plan.fail_finish {
            _ if self.broken => Some(io::Error::other("an append failed before")),
            errno => errno.map(io::Error::from_raw_os_error),
        };
        let result = match fault {
            Some(error) => {
                inner.abort();
                Err(error)
            }
            None => inner.finish(),
        };
        self.log.push(if result.is_ok() { SinkEvent::Finished } else { SinkEvent::FinishFailed });
        result
    }

    fn abort(self: Box<Self>) {}
}

impl Drop for FaultSink {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            inner.abort();
            self.log.push(SinkEvent::Aborted);
        }
    }
}
