//! One corpus × contender: the steps, what they cost, and what was wrong.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use carrack_fixtures::corpus::remove_tree;
use serde::Serialize;

use super::RunArgs;
use crate::child::{self, CODECS, Compared, Counted, PackTask, Packed, Sampled, Task, Unpacked, Verified};
use crate::contender::Contender;
use carrack_measure::error::{Context, Failure, Result};
use carrack_measure::host::Host;
use carrack_measure::process::Usage;
use carrack_measure::progress::Progress;
use carrack_measure::units::{rate, time};
use carrack_measure::work::Work;

/// What a step cost and what it reported.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Step<T> {
    pub(super) usage: Usage,
    pub(super) report: T,
}

/// One line of the table. A step that was not reached is `None`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) corpus: String,
    pub(super) contender: Contender,
    /// Why the machine does not have this backend.
    pub(super) unavailable: Option<String>,
    /// BLAKE3 of the whole archive.
    pub(super) archive_digest: Option<String>,
    /// Codec and digests alone, on as many threads, divided by the wall time of the pack: the share of it that cannot be
    /// saved with this codec.
    pub(super) efficiency: Option<f64>,
    pub(super) pack: Option<Step<Packed>>,
    pub(super) verify: Option<Step<Verified>>,
    pub(super) unpack: Option<Step<Unpacked>>,
    pub(super) compare: Option<Step<Compared>>,
    /// Paths that this user may not read, which are therefore neither in the archive nor compared.
    pub(super) unreadable: u64,
    /// What was not right, in words. Nothing: all was.
    pub(super) failures: Vec<String>,
}

impl Row {
    pub(super) fn new(corpus: &str, contender: Contender) -> Self {
        Self {
            corpus: corpus.to_owned(),
            contender,
            unavailable: None,
            archive_digest: None,
            efficiency: None,
            pack: None,
            verify: None,
            unpack: None,
            compare: None,
            unreadable: 0,
            failures: Vec::new(),
        }
    }

    pub(super) fn fail(&mut self, what: impl Into<String>) {
        self.failures.push(what.into());
    }

    /// For people who watch a log.
    pub(super) fn line(&self) -> String {
        let name = format!("{:<9} {:<6}", self.corpus, self.contender);
        if let Some(reason) = &self.unavailable {
            return format!("{name} unavailable: {reason}");
        }
        let Some(pack) = &self.pack else { return format!("{name} FAILED") };
        let mut line = format!(
            "{name} packed in {} ({:.0} MB/s)",
            time(pack.usage.wall_ns),
            rate(pack.report.bytes, pack.usage.wall_ns)
        );
        let verify = self.verify.as_ref().map(|step| ("verified", step.usage));
        let unpack = self.unpack.as_ref().map(|step| ("unpacked", step.usage));
        let compare = self.compare.as_ref().map(|step| ("compared", step.usage));
        for (what, usage) in [verify, unpack, compare].into_iter().flatten() {
            let _ = write!(line, ", {what} in {}", time(usage.wall_ns));
        }
        let right = match (self.failures.is_empty(), &self.compare) {
            (false, _) => "FAILED",
            (true, Some(_)) => "equal",
            (true, None) => "not compared",
        };
        format!("{line}: {right}")
    }
}

/// What the rows of a corpus have in common.
pub(super) struct Measured<'a> {
    pub(super) work: &'a Work,
    pub(super) host: &'a Host,
    pub(super) args: &'a RunArgs,
    pub(super) progress: &'a Progress,
    pub(super) corpus: &'a str,
    pub(super) tree: &'a Path,
    /// Digests and codec on the corpus's blocks in memory, ns.
    pub(super) codec_ns: Option<u64>,
}

impl Measured<'_> {
    /// Does everything for one contender, and cleans up behind it.
    pub(super) fn row(&self, contender: Contender) -> Row {
        let mut row = Row::new(self.corpus, contender);
        if let Contender::Engine(io) = contender {
            row.unavailable = self.host.refusal(io).map(str::to_owned);
        } else if self.args.settings.codec != CODECS[0] {
            row.unavailable = Some("knows zstd only".to_owned());
        }
        let (archive, copy) = (self.work.join("archive"), self.work.join("copy"));
        let mut steps = super::STEPS;
        if row.unavailable.is_none()
            && let Err(failure) = self.steps(&mut row, &archive, &copy, &mut steps)
        {
            row.fail(failure.to_string());
        }
        self.progress.done(steps);
        let removed = remove_tree(&copy).map_err(|error| Failure::new(error.to_string()));
        if let Err(failure) = removed.and_then(|()| remove_file(&archive)) {
            row.fail(failure.to_string());
        }
        row
    }

    fn steps(&self, row: &mut Row, archive: &Path, copy: &Path, left: &mut u64) -> Result<()> {
        self.begin(row, "read once");
        child::run::<Sampled>(&Task::Sample { tree: self.tree.to_owned(), count: 0, seed: 0 })?;
        self.work.settle()?;
        self.begin(row, "pack");
        let task = PackTask {
            tree: self.tree.to_owned(),
            out: archive.to_owned(),
            by: row.contender,
            sync: !self.args.no_sync,
            delay_ns: None,
            settings: self.args.settings.clone(),
        };
        let (usage, report) = child::run::<Packed>(&Task::Pack(task))?;
        self.end(left);
        let (unreadable, others) = permissions(&report.warnings);
        row.unreadable = unreadable.count;
        complain(row, "while packing", &others);
        row.efficiency = self.codec_ns.map(|codec_ns| codec_ns as f64 / usage.wall_ns.max(1) as f64);
        row.pack = Some(Step { usage, report });
        row.archive_digest = Some(digest(archive)?);
        if row.contender == Contender::Naive {
            return Ok(()); // nothing can read what it writes
        }
        self.begin(row, "verify");
        let threads = self.args.settings.threads;
        let (usage, report) = child::run::<Verified>(&Task::Verify { archive: archive.to_owned(), threads })?;
        self.end(left);
        complain(row, "verify", &report.damage);
        row.verify = Some(Step { usage, report });
        self.begin(row, "unpack");
        self.work.settle()?;
        let task = Task::Unpack { archive: archive.to_owned(), dest: copy.to_owned(), threads };
        let (usage, report) = child::run::<Unpacked>(&task)?;
        self.end(left);
        complain(row, "while unpacking", &report.damage);
        complain(row, "while unpacking", &report.warnings);
        row.unpack = Some(Step { usage, report });
        self.begin(row, "compare");
        let task = Task::Compare { a: self.tree.to_owned(), b: copy.to_owned(), contents: false };
        let (usage, report) = child::run::<Compared>(&task)?;
        self.end(left);
        complain(row, "the unpacked tree differs", &beyond(&report.differences, &unreadable));
        row.compare = Some(Step { usage, report });
        Ok(())
    }

    fn begin(&self, row: &Row, step: &str) {
        self.progress.begin(&format!("{} {}: {step}", row.corpus, row.contender));
    }

    fn end(&self, left: &mut u64) {
        self.progress.done(1);
        *left -= 1;
    }
}

/// Tells warnings about files that this user may not read, which are nobody's fault, from all others.
fn permissions(warnings: &Counted) -> (Counted, Counted) {
    let (mut denied, mut others) = (Counted::default(), Counted::default());
    for warning in &warnings.first {
        let to = if warning.what.contains("Permission denied") { &mut denied } else { &mut others };
        to.first.push(warning.clone());
        to.count += 1;
    }
    // Those that were only counted count as serious.
    others.count += warnings.count - warnings.first.len() as u64;
    (denied, others)
}

/// The differences that lie neither at nor below a path that could not be read.
fn beyond(differences: &Counted, unreadable: &Counted) -> Counted {
    let known = |path: &str| {
        unreadable.first.iter().any(|denied| {
            path.strip_prefix(denied.path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    };
    let left: Vec<_> = differences.first.iter().filter(|difference| !known(&difference.path)).cloned().collect();
    let uncounted = differences.count - differences.first.len() as u64;
    Counted { count: left.len() as u64 + uncounted, first: left }
}

/// How many complaints of one kind a message quotes.
const QUOTED: usize = 3;

fn complain(row: &mut Row, when: &str, complaints: &Counted) {
    if complaints.count == 0 {
        return;
    }
    let mut quoted: Vec<String> = complaints.first.iter().take(QUOTED).map(ToString::to_string).collect();
    let more = complaints.count - quoted.len() as u64;
    if more > 0 {
        quoted.push(format!("and {more} more"));
    }
    row.fail(format!("{when}: {}", quoted.join("; ")));
}

fn digest(archive: &Path) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let file = fs::File::open(archive).at("open", archive)?;
    hasher.update_reader(file).at("read", archive)?;
    Ok(hasher.finalize().to_string())
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at("remove", path),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::child::Complaint;

    fn counted(of: &[(&str, &str)]) -> Counted {
        let one = |&(path, what): &(&str, &str)| Complaint { path: path.to_owned(), what: what.to_owned() };
        Counted { count: of.len() as u64, first: of.iter().map(one).collect() }
    }

    #[test]
    fn only_what_may_not_be_read_is_forgiven() {
        let denied = "cannot be read: Permission denied (os error 13)";
        let warnings = counted(&[("locked", denied), ("odd", "changed while it was read"), ("dir", denied)]);
        let (unreadable, others) = permissions(&warnings);
        assert_eq!((unreadable.count, others.count), (2, 1));
        let differences = counted(&[("dir/a", "only in A"), ("locked", "only in A"), ("locked2", "only in A")]);
        let left = beyond(&differences, &unreadable);
        assert_eq!((left.count, left.first[0].path.as_str()), (1, "locked2"));
    }

    #[test]
    fn complaints_that_were_only_counted_are_never_forgiven() {
        let mut warnings = counted(&[("locked", "cannot be read: Permission denied")]);
        warnings.count = 5;
        assert_eq!(permissions(&warnings).1.count, 4);
        let mut row = Row::new("mixed", Contender::Naive);
        complain(&mut row, "while packing", &counted(&[]));
        assert!(row.failures.is_empty());
        complain(&mut row, "while packing", &warnings);
        assert_eq!(row.failures, ["while packing: locked: cannot be read: Permission denied; and 4 more"]);
    }
}
