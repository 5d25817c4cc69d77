//! From samples to summaries, ratios and verdicts. Pure.

use serde::Serialize;

use super::document::{Inputs, Outcome, Sample};
use super::job::Job;
use carrack_measure::stats::{Ratio, Summary};

/// What all runs of a job come to.
#[derive(Clone, Debug, Serialize)]
pub(super) struct JobSummary {
    pub(super) job: Job,
    pub(super) command: String,
    pub(super) synced: bool,
    /// ns.
    pub(super) wall: Summary,
    /// User and system time together, ns.
    pub(super) cpu: Summary,
    /// Bytes.
    pub(super) peak: Summary,
    /// How many runs had to read from the disk what should have been in the page cache.
    pub(super) cold_runs: usize,
    /// Bytes.
    pub(super) archive_bytes: Option<u64>,
    /// Wall time divided by that of the peer, round by round.
    pub(super) to_peer: Option<Ratio>,
}

/// Whether a floor is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Verdict {
    Pass,
    Miss,
    /// Something that it needs was missing or failed.
    Unmeasured,
}

/// A floor, and what was found.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Floor {
    pub(super) what: String,
    pub(super) unit: &'static str,
    /// The value must not exceed this.
    pub(super) limit: f64,
    pub(super) value: Option<f64>,
    /// 95% interval of the paired ratios, where it is one.
    pub(super) interval: Option<(f64, f64)>,
    pub(super) verdict: Verdict,
}

/// One summary for each job that has samples.
pub(super) fn summaries(outcome: &Outcome, inputs: &Inputs, seed: u64) -> Vec<JobSummary> {
    Job::ALL.into_iter().filter_map(|job| summary(outcome, inputs, job, seed)).collect()
}

fn summary(outcome: &Outcome, inputs: &Inputs, job: Job, seed: u64) -> Option<JobSummary> {
    let samples: Vec<&Sample> = outcome.of(job).collect();
    let first = samples.first()?;
    let of = |value: fn(&Sample) -> u64| Summary::of(samples.iter().map(|sample| value(sample) as f64));
    let input = if job.is_about_tiny() { inputs.tiny.as_ref()? } else { &inputs.tree };
    Some(JobSummary {
        job,
        command: first.run.command.clone(),
        synced: first.run.synced,
        wall: of(|sample| sample.run.usage.wall_ns)?,
        cpu: of(|sample| sample.run.usage.user_ns + sample.run.usage.system_ns)?,
        peak: of(|sample| sample.run.usage.peak_bytes)?,
        cold_runs: samples.iter().filter(|sample| sample.run.usage.is_cold(input.bytes)).count(),
        archive_bytes: samples.iter().find_map(|sample| sample.run.archive_bytes),
        to_peer: job.peer().and_then(|peer| ratio(outcome, job, peer, seed)),
    })
}

/// Wall times of two jobs, round by round.
fn ratio(outcome: &Outcome, a: Job, b: Job, seed: u64) -> Option<Ratio> {
    let pair = |sample: &Sample| {
        let other = outcome.of(b).find(|other| other.round == sample.round)?;
        Some((sample.run.usage.wall_ns as f64, other.run.usage.wall_ns as f64))
    };
    Ratio::of(&outcome.of(a).filter_map(pair).collect::<Vec<_>>(), seed)
}

/// All floors.
pub(super) fn floors(outcome: &Outcome, inputs: &Inputs, summaries: &[JobSummary], seed: u64) -> Vec<Floor> {
    let of = |job: Job| summaries.iter().find(|summary| summary.job == job);
    let medians = |a: Job, b: Job| Some(of(a)?.wall.median / of(b)?.wall.median);
    let interval = |a, b| ratio(outcome, a, b, seed).map(|ratio| (ratio.low, ratio.high));
    let size = |job| of(job).and_then(|summary| summary.archive_bytes).map(|bytes| bytes as f64);
    let tiny = inputs.tiny.as_ref().map_or(0, |tiny| tiny.files);
    let peaks = [Job::PackTiny, Job::VerifyTiny].map(|job| of(job).map(|summary| summary.peak.max / 1e6));
    vec![
        Floor::new("pack: wall, carrack / tar | zstd", "", 0.85, medians(Job::PackAuto, Job::PackTar))
            .between(interval(Job::PackAuto, Job::PackTar)),
        Floor::new(
            "pack: archive bytes, carrack / tar | zstd",
            "",
            1.05,
            size(Job::PackAuto).zip(size(Job::PackTar)).map(|(a, b)| a / b),
        ),
        Floor::new("pack: wall, carrack / naive", "", 1.0, medians(Job::PackAuto, Job::PackNaive))
            .between(interval(Job::PackAuto, Job::PackNaive)),
        Floor::new("unpack: wall, carrack / zstd | tar", "", 0.9, medians(Job::Unpack, Job::UnpackTar))
            .between(interval(Job::Unpack, Job::UnpackTar)),
        Floor::new(format!("peak memory, pack, {tiny} files"), "MB", 350.0, peaks[0]),
        Floor::new(format!("peak memory, verify, {tiny} files"), "MB", 350.0, peaks[1]),
        Floor::new(
            format!("cat of one file out of {tiny}, median"),
            "ms",
            20.0,
            of(Job::CatTiny).map(|summary| summary.wall.median / 1e6),
        ),
    ]
}

impl Floor {
    fn new(what: impl Into<String>, unit: &'static str, limit: f64, value: Option<f64>) -> Self {
        let verdict = match value {
            None => Verdict::Unmeasured,
            Some(value) if value <= limit => Verdict::Pass,
            Some(_) => Verdict::Miss,
        };
        Self { what: what.into(), unit, limit, value, interval: None, verdict }
    }

    fn between(mut self, interval: Option<(f64, f64)>) -> Self {
        self.interval = interval;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::Input;
    use super::super::job::Run;
    use super::*;
    use carrack_measure::process::Usage;

    fn outcome(walls: &[(Job, &[u64])]) -> Outcome {
        let mut outcome = Outcome::default();
        for &(job, walls) in walls {
            for (at, &wall_ns) in walls.iter().enumerate() {
                let usage = Usage { wall_ns, user_ns: 3, system_ns: 4, peak_bytes: 400_000_000, ..Usage::default() };
                let run = Run { command: String::new(), synced: false, usage, archive_bytes: Some(wall_ns * 10) };
                outcome.samples.push(Sample { round: at as u32 + 1, place: 0, job, run });
            }
        }
        outcome
    }

    fn inputs() -> Inputs {
        let input = |files| Input { path: "x".into(), files, bytes: 1 };
        Inputs { tree: input(10), tiny: Some(input(100_000)) }
    }

    fn verdicts(outcome: &Outcome) -> Vec<Verdict> {
        floors(outcome, &inputs(), &summaries(outcome, &inputs(), 1), 1).iter().map(|floor| floor.verdict).collect()
    }

    #[test]
    fn floors_are_judged_by_medians_and_what_is_missing_is_not_passed() {
        use Verdict::{Miss, Pass, Unmeasured};
        let samples = outcome(&[
            (Job::PackTar, &[100, 100, 1000]),
            (Job::PackAuto, &[80, 80, 500]),
            (Job::UnpackTar, &[100]),
            (Job::Unpack, &[95]),
            (Job::PackTiny, &[1]),
            (Job::CatTiny, &[19_000_000, 21_000_000, 20_000_000]),
        ]);
        assert_eq!(verdicts(&samples), [Pass, Pass, Unmeasured, Miss, Miss, Unmeasured, Pass]);
    }

    #[test]
    fn ratios_are_taken_within_rounds() {
        // Both are three times as slow in every second round: their ratio is not.
        let samples = outcome(&[(Job::PackTar, &[100, 300, 100, 300]), (Job::PackAuto, &[50, 150, 50, 150])]);
        let all = summaries(&samples, &inputs(), 1);
        let auto = all.iter().find(|summary| summary.job == Job::PackAuto).unwrap();
        let ratio = auto.to_peer.as_ref().unwrap();
        assert_eq!(ratio.rounds, [0.5; 4]);
        assert!((ratio.high - ratio.low).abs() < 1e-9);
        assert_eq!((auto.cpu.median, auto.wall.max), (7.0, 150.0));
    }
}
