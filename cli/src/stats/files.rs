//! The stages of a run as files: `OPERATION.stages.json` and `OPERATION.hlog`, as `docs/stats.md` describes them.

use std::fs;
use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use carrack_engine::error::{Error, ErrorKind, Result};
use carrack_engine::stages::{StageRow, Stages, Verdict};
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use serde::Serialize;

use super::Operation;
use crate::config::show;
use crate::time::Utc;

/// Name and version of the JSON document: another version means that a reader has to look again.
const SCHEMA: &str = "carrack.stages/1";
/// First line of a histogram log, as the Java implementation writes it.
const LOG_VERSION: &str = "[Histogram log format version 1.3]";
/// Names of the columns of a histogram log, likewise.
const LOG_LEGEND: &str = "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";
/// The third column of a histogram log is for eyes alone: it is in ms, the samples themselves are in ns.
const LOG_DIVISOR: f64 = 1e6;

/// The JSON document.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    operation: &'static str,
    began: Option<String>,
    wall_ns: u64,
    stages_wall_ns: u64,
    verdict: Option<&'a Verdict>,
    /// What the run had to do without, and why.
    notes: &'a [String],
    stages: &'a [StageRow],
}

/// The folder that the files go to. It is there, and can be written to.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    operation: Operation,
}

impl Folder {
    /// Makes the folder where it is missing, and a file in it to see whether that is possible.
    ///
    /// # Errors
    /// Of kind `Output`: there can be no such folder, or no file in it.
    pub(super) fn make(path: &Path, operation: Operation) -> Result<Self> {
        let failed = |what: &str, error: io::Error| {
            Error::with(ErrorKind::Output, format!("--stats-out {}: {what}", show(path)), error)
        };
        if fs::metadata(path).is_ok_and(|found| !found.is_dir()) {
            let message = format!("--stats-out {}: expected a folder, found a file", show(path));
            return Err(Error::new(ErrorKind::Output, message));
        }
        fs::create_dir_all(path).map_err(|error| failed("the folder cannot be made", error))?;
        let folder = Self { path: path.to_owned(), operation };
        let trial = folder.partial("hlog");
        fs::File::create(&trial)
            .and_then(|_| fs::remove_file(&trial))
            .map_err(|error| failed("nothing can be written into this folder", error))?;
        Ok(folder)
    }

    /// Writes both files, each whole or not at all; says where they are.
    ///
    /// # Errors
    /// Of kind `Output`, naming the file.
    pub(super) fn write(&self, stages: &Stages, notes: &[String], took: Duration) -> Result<String> {
        let json = self.file("stages.json", |bytes| json(bytes, self.operation, stages, notes, took))?;
        let log = self.file("hlog", |bytes| log(bytes, self.operation, stages))?;
        Ok(format!("{}, {}", show(&json), show(&log)))
    }

    fn file(&self, ending: &str, fill: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<PathBuf> {
        let place = self.path.join(format!("{}.{ending}", self.operation.name()));
        let partial = self.partial(ending);
        let mut bytes = Vec::new();
        let written =
            fill(&mut bytes).and_then(|()| fs::write(&partial, &bytes)).and_then(|()| fs::rename(&partial, &place));
        match written {
            Ok(()) => Ok(place),
            Err(error) => {
                // What is half-written helps nobody; that it cannot be removed would hide why.
                let _ = fs::remove_file(&partial);
                let message = format!("the run is done, but {} cannot be written", show(&place));
                Err(Error::with(ErrorKind::Output, message, error))
            }
        }
    }

    fn partial(&self, ending: &str) -> PathBuf {
        self.path.join(format!(".{}.{ending}.partial", self.operation.name()))
    }
}

fn json(
    bytes: &mut Vec<u8>,
    operation: Operation,
    stages: &Stages,
    notes: &[String],
    took: Duration,
) -> io::Result<()> {
    let document = Document {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        operation: operation.name(),
        began: stages.began.map(|began| format!("{:#}", Utc(unix_ns(began)))),
        wall_ns: u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
        stages_wall_ns: stages.wall_ns,
        verdict: stages.verdict.as_ref(),
        notes,
        stages: &stages.rows,
    };
    serde_json::to_writer_pretty(&mut *bytes, &document)?;
    bytes.write_all(b"\n")
}

/// Since 1970, ns; the ends of what can be told for clocks that are far off.
fn unix_ns(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

/// An interval log with one interval a stage, each from the begin to the end of the stages.
fn log(bytes: &mut Vec<u8>, operation: Operation, stages: &Stages) -> io::Result<()> {
    let mut serializer = V2DeflateSerializer::new();
    let mut head = IntervalLogWriterBuilder::new();
    head.add_comment(&format!("[carrack {} {}; samples in ns]", env!("CARGO_PKG_VERSION"), operation.name()));
    head.add_comment(LOG_VERSION);
    if let Some(began) = stages.began {
        head.with_start_time(began).with_base_time(began);
    }
    head.with_max_value_divisor(LOG_DIVISOR).begin_log_with(bytes, &mut serializer)?;
    // The writer of the library leaves the legend out, and begins every part with what it knows of the divisor.
    let mut lines = Vec::new();
    let mut body = IntervalLogWriterBuilder::new();
    let mut writer = body.with_max_value_divisor(LOG_DIVISOR).begin_log_with(&mut lines, &mut serializer)?;
    for row in &stages.rows {
        let tag = Tag::new(row.stage);
        let length = Duration::from_nanos(stages.wall_ns);
        writer.write_histogram(row.histogram(), Duration::ZERO, length, tag).map_err(io::Error::other)?;
    }
    bytes.extend_from_slice(LOG_LEGEND.as_bytes());
    let divisor = lines.iter().position(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    bytes.extend_from_slice(&lines[divisor..]);
    Ok(())
}
