//! Exit codes: what flows in is how a run ended, what flows out is the number that scripts look at.

use std::io;
use std::process::ExitCode;

use carrack_engine::error::ErrorKind;

/// The number of SIGPIPE, the same on every Unix system.
pub(crate) const SIGPIPE: i32 = 13;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, and nothing to remark: 0.
    Done,
    /// Done, but for what the warnings name: 1.
    Warnings,
    /// Failed: 2.
    Failed,
    /// The archive is damaged: 3.
    Damaged,
    /// Stopped by a signal, as a shell shows it: 128 and the signal's number.
    Signal(i32),
}

impl Exit {
    /// What a failed engine call means.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Damaged => Exit::Damaged,
            ErrorKind::Usage
            | ErrorKind::Input
            | ErrorKind::Output
            | ErrorKind::NotAnArchive
            | ErrorKind::Newer
            | ErrorKind::NotFound
            | ErrorKind::TooLarge
            | ErrorKind::Cancelled => Exit::Failed,
        }
    }

    /// What a finished run means that found so much damage and gave so many warnings.
    pub(crate) fn of_report(damage: usize, warnings: usize) -> Self {
        match (damage, warnings) {
            (0, 0) => Exit::Done,
            (0, _) => Exit::Warnings,
            _ => Exit::Damaged,
        }
    }

    /// The worse of two, for a command that goes on after a failure.
    pub(crate) fn worse(self, other: Self) -> Self {
        if other.code() > self.code() { other } else { self }
    }

    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Warnings => 1,
            Exit::Failed => 2,
            Exit::Damaged => 3,
            Exit::Signal(number) => 128_u8.saturating_add(u8::try_from(number).unwrap_or(0)),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Prints what clap has to say, help or complaint. Arguments that make no sense are a failure: 2.
pub(crate) fn of_clap(message: &clap::Error) -> Exit {
    match message.print() {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Signal(SIGPIPE),
        Err(_) => Exit::Failed,
        Ok(()) if message.use_stderr() => Exit::Failed,
        Ok(()) => Exit::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_its_code() {
        let table = [
            (ErrorKind::Usage, 2),
            (ErrorKind::Input, 2),
            (ErrorKind::Output, 2),
            (ErrorKind::NotAnArchive, 2),
            (ErrorKind::Newer, 2),
            (ErrorKind::Damaged, 3),
            (ErrorKind::NotFound, 2),
            (ErrorKind::TooLarge, 2),
            (ErrorKind::Cancelled, 2),
        ];
        for (kind, code) in table {
            assert_eq!(Exit::of(kind).code(), code, "{kind:?}");
        }
    }

    #[test]
    fn damage_outweighs_warnings() {
        assert_eq!(Exit::of_report(0, 0).code(), 0);
        assert_eq!(Exit::of_report(0, 7).code(), 1);
        assert_eq!(Exit::of_report(1, 0).code(), 3);
        assert_eq!(Exit::of_report(1, 7).code(), 3);
        assert_eq!(Exit::Failed.worse(Exit::Damaged), Exit::Damaged);
        assert_eq!(Exit::Failed.worse(Exit::Done), Exit::Failed);
    }

    #[test]
    fn signals_end_as_a_shell_shows_them() {
        assert_eq!(Exit::Signal(2).code(), 130);
        assert_eq!(Exit::Signal(15).code(), 143);
        assert_eq!(Exit::Signal(SIGPIPE).code(), 141);
    }
}
