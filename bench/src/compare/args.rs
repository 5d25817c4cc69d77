//! The arguments of `carrack-bench compare`.

use std::path::{Path, PathBuf};

use carrack_measure::cache::Cache;
use carrack_measure::error::{Failure, Result};

use super::contenders::Contender;
use super::place::Synced;
use super::rows::{Operation, VERY_MANY};

/// Arguments of `carrack-bench compare`.
#[derive(Clone, Debug, clap::Args)]
pub struct CompareArgs {
    /// Folder with the corpora
    #[arg(long, value_name = "DIR", default_value = "corpus")]
    pub corpus: PathBuf,
    /// Where compare.json goes; archives and unpacked trees are here for a while too
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub results: PathBuf,
    /// These corpora [default: source, and tiny, without unpacking it, if it is there; none with --tree]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub only: Vec<String>,
    /// A tree of your own; may be given several times
    #[arg(long, value_name = "PATH")]
    pub tree: Vec<PathBuf>,
    /// Only these, as in 'tar|zstd,naive,carrack --io pread' [default: all that are installed]
    #[arg(long, visible_alias = "only-contenders", value_name = "LIST", value_delimiter = ',')]
    pub(super) contenders: Vec<Contender>,
    /// Also Carrack's other profiles and levels, and the levels of all others, for the plot of time against size
    #[arg(long)]
    pub(super) front: bool,
    /// Whom all others are compared with [default: tar|zstd if it takes part, else naive]
    #[arg(long, value_name = "NAME")]
    pub(super) base: Option<Contender>,
    /// What is in memory before each run: hot, data-cold, cold
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "hot")]
    pub caches: Vec<Cache>,
    /// pack, unpack, verify, cat (the last two of Carrack only, on the corpus tiny)
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = "pack,unpack,verify,cat")]
    pub(super) operations: Vec<Operation>,
    /// Rounds that count; one more is run before them [default: 7, with --quick 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1000))]
    rounds: Option<u32>,
    /// Level of zstd, and what corresponds to it for others
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=19))]
    pub level: i32,
    /// Threads for everybody who can be told [default: what each one thinks best]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<usize>,
    /// Whose output must be on the disk before the clock stops, for all contenders alike
    #[arg(long, value_enum, default_value_t = Synced::Pack)]
    pub synced: Synced,
    /// Seed of the order of runs, and of intervals
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Also measure a pack that was made so much slower on purpose, in percent, to see whether that is found
    #[arg(long, value_name = "PERCENT", value_parser = parse_percent)]
    pub plant: Option<u32>,
    /// The program carrack [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    pub carrack: Option<PathBuf>,
    /// The corpus source alone, two rounds: to see that it works
    #[arg(long)]
    pub quick: bool,
}

/// Hundredths of a percent.
fn parse_percent(text: &str) -> std::result::Result<u32, String> {
    let percent = text.parse::<f64>().ok().filter(|percent| (0.01..=1000.0).contains(percent));
    let percent = percent.ok_or_else(|| format!("{text:?}: expected a number of percent from 0.01 to 1000"))?;
    Ok((percent * 100.0).round() as u32)
}

/// At least one thread.
pub(super) fn parse_threads(text: &str) -> std::result::Result<usize, String> {
    let threads = text.parse().ok().filter(|threads| (1..=1024).contains(threads));
    threads.ok_or_else(|| format!("{text:?}: expected a number of threads from 1 to 1024"))
}

impl CompareArgs {
    pub(super) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 2 } else { 7 })
    }

    /// Name and path of each input. Names are made unique.
    pub(super) fn inputs(&self) -> Result<Vec<(String, PathBuf)>> {
        let corpora: Vec<String> = match (self.only.is_empty(), self.tree.is_empty()) {
            (false, _) => self.only.clone(),
            (true, false) => Vec::new(),
            (true, true) if self.quick => vec!["source".to_owned()],
            (true, true) => {
                let many = Some(VERY_MANY.to_owned()).filter(|many| self.corpus.join(many).is_dir());
                std::iter::once("source".to_owned()).chain(many).collect()
            }
        };
        let mut inputs: Vec<(String, PathBuf)> = Vec::new();
        for name in corpora {
            let path = self.corpus.join(&name);
            if !path.is_dir() {
                return Err(Failure::new(format!(
                    "no corpus {name:?} in {}: carrack-corpus makes it",
                    self.corpus.display()
                )));
            }
            inputs.push((name, path));
        }
        for tree in &self.tree {
            let name = last_name(tree);
            let taken = |name: &str| inputs.iter().any(|(other, _)| other == name);
            let numbered = (2..).map(|number| format!("{name}-{number}"));
            let unique = std::iter::once(name.clone()).chain(numbered).find(|name| !taken(name));
            inputs.push((unique.unwrap_or(name), tree.clone()));
        }
        Ok(inputs)
    }
}

/// The last name in a path that has one.
pub(super) fn last_name(path: &Path) -> String {
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    absolute.file_name().map_or_else(|| "root".to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_and_threads_are_checked() {
        assert_eq!([parse_percent("3"), parse_percent("0.5")], [Ok(300), Ok(50)]);
        for wrong in ["", "-3", "three", "0", "NaN", "1e9"] {
            assert!(parse_percent(wrong).unwrap_err().contains("percent"), "{wrong}");
        }
        assert_eq!(parse_threads("2"), Ok(2));
        assert!(parse_threads("0").is_err() && parse_threads("many").is_err());
    }
}
