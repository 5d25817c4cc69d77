//! The fields of the documents that the report reads, as `docs/results.md` gives them.
//!
//! A field that is missing or `null` is empty: a report of an unfinished document is better than none. A field of another
//! type makes the document unreadable, and the report says so. What is only shown and never counted with (facts about
//! the host, settings) stays as it is.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// A number; nothing where there is none. JSON has neither NaN nor infinity.
pub(super) type Num = Option<f64>;

/// What all documents begin with.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Head {
    pub(super) command: Words,
    pub(super) host: Value,
    pub(super) seed: Value,
    pub(super) settings: Value,
    pub(super) sync: Value,
    /// Why the measurement ended early, if it did.
    pub(super) stopped: Option<String>,
}

/// A document whose schema is known.
pub(super) trait Document: for<'a> Deserialize<'a> {
    /// Name and version of its schema.
    const SCHEMA: &'static str;
    /// What it begins with.
    fn head(&self) -> &Head;
}

macro_rules! documents {
    ($($name:ident $schema:literal),*) => {
        $(impl Document for $name {
            const SCHEMA: &'static str = $schema;
            fn head(&self) -> &Head {
                &self.head
            }
        })*
    };
}

documents!(Run "carrack.run/2", Compare "carrack.compare/1", Noise "carrack.aa/1", Tune "carrack.tune/1",
           Stages "carrack.stages/1");

/// The words of a command line, whether they come as a list or as one string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Ok(Self(match Value::deserialize(from)? {
            Value::Null => Vec::new(),
            Value::Array(words) => words.iter().map(word).collect(),
            other => vec![word(&other)],
        }))
    }
}

impl Words {
    /// As it can be typed into a shell. One string was a whole command line already.
    pub(super) fn shell(&self) -> String {
        match self.0.as_slice() {
            [line] => line.clone(),
            words => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
        }
    }
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    pub(super) count: Num,
    pub(super) median: Num,
    pub(super) quarter: Num,
    pub(super) three_quarters: Num,
    pub(super) min: Num,
    pub(super) max: Num,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ratio {
    pub(super) rounds: Vec<Num>,
    pub(super) mean: Num,
    pub(super) low: Num,
    pub(super) high: Num,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Run {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) rows: Vec<RunRow>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RunRow {
    pub(super) corpus: String,
    pub(super) contender: String,
    pub(super) unavailable: Option<String>,
    pub(super) pack: Option<Step>,
    pub(super) verify: Option<Step>,
    pub(super) unpack: Option<Step>,
    pub(super) unreadable: Num,
    pub(super) failures: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Step {
    pub(super) usage: Usage,
    pub(super) report: Report,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Usage {
    pub(super) wall_ns: Num,
    pub(super) user_ns: Num,
    pub(super) system_ns: Num,
    pub(super) peak_bytes: Num,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Report {
    pub(super) bytes: Num,
    pub(super) archive_bytes: Num,
    pub(super) notes: Vec<String>,
    pub(super) stages: Vec<Stage>,
    pub(super) verdict: Option<Verdict>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Verdict {
    pub(super) bound: String,
    #[serde(flatten)]
    pub(super) figures: Map<String, Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stage {
    pub(super) stage: String,
    pub(super) kind: String,
    pub(super) unit: String,
    pub(super) count: Num,
    pub(super) p50_ns: Num,
    pub(super) p90_ns: Num,
    pub(super) p99_ns: Num,
    pub(super) p999_ns: Num,
    pub(super) max_ns: Num,
    pub(super) total_ns: Num,
    pub(super) share: Num,
    pub(super) curve: Vec<Point>,
}

/// One point of a percentile curve, as a pair or with names.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Point {
    Pair(Num, Num),
    Named { quantile: Num, ns: Num },
}

impl Point {
    /// Quantile from 0 to 1 and ns, when it has both.
    pub(super) fn values(self) -> Option<(f64, f64)> {
        let (quantile, ns) = match self {
            Point::Pair(quantile, ns) | Point::Named { quantile, ns } => (quantile?, ns?),
        };
        (0.0..=1.0).contains(&quantile).then_some((quantile, ns))
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Compare {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) inputs: Vec<Input>,
    pub(super) contenders: Vec<Contender>,
    pub(super) caches_refused: Vec<CacheRefused>,
    pub(super) rows: Vec<CompareRow>,
    pub(super) noise: Vec<NoiseRow>,
    pub(super) rooflines: Vec<Roofline>,
    pub(super) floors: Vec<Floor>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Input {
    pub(super) name: String,
    pub(super) files: Num,
    pub(super) bytes: Num,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Contender {
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) missing: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CacheRefused {
    pub(super) cache: String,
    pub(super) why: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CompareRow {
    pub(super) id: String,
    pub(super) input: String,
    pub(super) cache: String,
    pub(super) operation: String,
    pub(super) contender: String,
    pub(super) synced: bool,
    pub(super) wall: Option<Summary>,
    pub(super) cpu: Option<Summary>,
    pub(super) peak: Option<Summary>,
    pub(super) archive_bytes: Num,
    pub(super) base: Option<String>,
    pub(super) to_base: Option<Ratio>,
    pub(super) efficiency: Num,
    pub(super) not_held: Num,
    pub(super) failed: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct NoiseRow {
    pub(super) input: String,
    pub(super) cache: String,
    pub(super) operation: String,
    pub(super) ratio: Ratio,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Roofline {
    pub(super) input: String,
    pub(super) level: Num,
    pub(super) threads: Num,
    pub(super) codec_ns: Option<Summary>,
    pub(super) read_ns: Map<String, Value>,
    pub(super) write_ns: Option<Summary>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Floor {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) limit: Num,
    pub(super) value: Num,
    pub(super) low: Num,
    pub(super) high: Num,
    pub(super) held: Option<bool>,
}

/// `aa.json`: a contender against itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Noise {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) comparisons: Vec<Compared>,
    pub(super) not_held: Num,
}

/// One comparison of `aa.json`: a ratio, or an object that holds it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Compared {
    Held { ratio: Ratio },
    Plain(Ratio),
}

impl Compared {
    pub(super) fn ratio(&self) -> &Ratio {
        match self {
            Compared::Held { ratio } | Compared::Plain(ratio) => ratio,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Tune {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) input: TuneInput,
    pub(super) cache: String,
    pub(super) operation: String,
    pub(super) budget_ns: Num,
    pub(super) not_held: Num,
    pub(super) trials: Vec<Trial>,
    pub(super) confirmed: Vec<Confirmed>,
    pub(super) chosen: Option<Chosen>,
    pub(super) verdict: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TuneInput {
    pub(super) paths: Vec<String>,
    pub(super) files: Num,
    pub(super) bytes: Num,
    pub(super) sampled: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Trial {
    pub(super) settings: Settings,
    pub(super) default: bool,
    pub(super) rung: Num,
    pub(super) median_ns: Num,
    pub(super) memory_bytes: Num,
    pub(super) to_default: Option<Ratio>,
    pub(super) failed: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Confirmed {
    pub(super) settings: Settings,
    pub(super) to_default: Ratio,
}

/// The settings of a tuner's trial.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    /// Which backend; none where nothing reads by one.
    pub(super) io: Option<String>,
    pub(super) slots: Num,
    pub(super) slot_size: Num,
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

/// What the tuner took: the settings, or an object that holds them.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Chosen {
    Held { settings: Settings },
    Plain(Settings),
}

impl Chosen {
    pub(super) fn settings(&self) -> &Settings {
        match self {
            Chosen::Held { settings } | Chosen::Plain(settings) => settings,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Stages {
    #[serde(flatten)]
    pub(super) head: Head,
    pub(super) operation: String,
    pub(super) backend: String,
    pub(super) wall_ns: Num,
    pub(super) verdict: Option<Verdict>,
    pub(super) stages: Vec<Stage>,
}
