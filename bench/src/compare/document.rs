//! `compare.json`: its fields stand in `docs/results.md`.

use std::collections::BTreeMap;

use carrack_measure::cache::{Cache, Refused};
use carrack_measure::host::{self, Host};
use carrack_measure::process::Usage;
use carrack_measure::stats::{Ratio, Summary};
use serde::Serialize;

use super::contenders::{Contender, Found};
use super::floors::Floor;
use super::place::{Seen, Synced};
use super::rounds::Outcome;
use super::rows::{Input, Operation, Row};
use crate::roofline::Rooflines;

/// Name and version of the schema: another version means that a reader has to look again.
pub(super) const SCHEMA: &str = "carrack.compare/1";

/// How it was measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Settings {
    /// Those that count.
    pub(super) rounds: u32,
    pub(super) level: i32,
    pub(super) synced: Synced,
    pub(super) caches: Vec<Cache>,
    pub(super) threads: Option<usize>,
    /// Unpacked trees were removed after each round, for want of room, not after the last one.
    pub(super) removed_each_round: bool,
}

/// What the runs of one row come to. Without a run that went well, most of it is empty.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Measured {
    pub(super) id: String,
    pub(super) input: String,
    pub(super) cache: Cache,
    pub(super) operation: Operation,
    pub(super) contender: Contender,
    /// Of its first run.
    pub(super) command: Option<String>,
    pub(super) synced: bool,
    /// ns.
    pub(super) wall: Option<Summary>,
    /// User and system time together, ns.
    pub(super) cpu: Option<Summary>,
    /// Bytes.
    pub(super) peak: Option<Summary>,
    /// Bytes through calls.
    pub(super) read: Option<Summary>,
    pub(super) written: Option<Summary>,
    pub(super) archive_bytes: Option<u64>,
    pub(super) base: Option<String>,
    pub(super) to_base: Option<Ratio>,
    pub(super) efficiency: Option<f64>,
    pub(super) not_held: usize,
    pub(super) failed: Option<String>,
}

/// A contender against itself.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Noise {
    pub(super) input: String,
    pub(super) cache: Cache,
    pub(super) operation: Operation,
    pub(super) ratio: Ratio,
}

/// What each part of packing could do alone.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Roofline {
    pub(super) input: String,
    pub(super) level: i32,
    pub(super) threads: usize,
    pub(super) blocks: u64,
    pub(super) stored_bytes: u64,
    pub(super) codec_ns: Summary,
    pub(super) read_ns: BTreeMap<String, Summary>,
    pub(super) write_ns: Summary,
}

impl Roofline {
    /// `None` when nothing was measured.
    pub(super) fn of(input: &Input, level: i32, found: &Rooflines) -> Option<Self> {
        let summary = |values: &[u64]| Summary::of(values.iter().map(|ns| *ns as f64));
        Some(Self {
            input: input.name.clone(),
            level,
            threads: found.threads,
            blocks: found.blocks,
            stored_bytes: found.stored_bytes,
            codec_ns: summary(&found.codec_ns)?,
            read_ns: found.read_ns.iter().filter_map(|(io, ns)| Some((io.clone(), summary(ns)?))).collect(),
            write_ns: summary(&found.write_ns)?,
        })
    }
}

/// One run.
#[derive(Clone, Debug, Serialize)]
struct SampleRecord {
    round: u32,
    place: usize,
    row: String,
    usage: Usage,
    archive_bytes: Option<u64>,
    cache: Seen,
}

/// The whole document.
#[derive(Debug, Serialize)]
pub(super) struct Document {
    schema: &'static str,
    /// The arguments of this program.
    command: Vec<String>,
    pub(super) host: Host,
    load_at_end: String,
    seed: u64,
    /// Why it ended early, if it did.
    pub(super) stopped: Option<String>,
    pub(super) inputs: Vec<Input>,
    pub(super) contenders: Vec<Found>,
    pub(super) settings: Settings,
    pub(super) caches_refused: Vec<Refused>,
    pub(super) rows: Vec<Measured>,
    pub(super) noise: Vec<Noise>,
    pub(super) rooflines: Vec<Roofline>,
    pub(super) floors: Vec<Floor>,
    samples: Vec<SampleRecord>,
}

/// Everything that was found out before the rounds.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) host: Host,
    pub(super) inputs: Vec<Input>,
    pub(super) contenders: Vec<Found>,
    pub(super) settings: Settings,
    pub(super) caches_refused: Vec<Refused>,
    pub(super) rooflines: Vec<Roofline>,
    pub(super) seed: u64,
}

impl Document {
    /// Judges what was measured.
    pub(super) fn new(facts: Facts, rows: &[Row], outcome: &Outcome) -> Self {
        let Facts { host, inputs, contenders, settings, caches_refused, rooflines, seed } = facts;
        let measured = super::judge::measured(rows, &inputs, outcome, &rooflines, settings.synced, seed);
        let floors = super::floors::floors(rows, &inputs, &measured, outcome, seed);
        let samples = outcome.samples.iter().map(|sample| SampleRecord {
            round: sample.round,
            place: sample.place,
            row: rows[sample.row].id.clone(),
            usage: sample.run.usage,
            archive_bytes: sample.run.archive_bytes,
            cache: sample.run.cache,
        });
        let stopped = outcome
            .stopped
            .map(|signal| format!("stopped by signal {signal} after {} of {} rounds", outcome.rounds, settings.rounds));
        Self {
            schema: SCHEMA,
            command: std::env::args().collect(),
            load_at_end: host::load(),
            host,
            seed,
            stopped,
            noise: super::judge::noise(&measured),
            floors,
            samples: samples.collect(),
            rows: measured,
            inputs,
            contenders,
            settings,
            caches_refused,
            rooflines,
        }
    }
}
