//! Reading the documents: each is there, missing, or damaged in a way that can be said.
//!
//! In: a folder. Out: [`Documents`]. Nothing here knows what is drawn of them.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::schema::{Compare, Document, Head, Noise, Run, Stages, Tune};
use carrack_measure::error::{Failure, Result};

/// Whether a document can be read.
#[derive(Debug)]
pub(super) enum Found<T> {
    /// There is no such file.
    Missing,
    /// It is there, and not what it should be.
    Damaged(Damage),
    /// It is there.
    Read(Box<T>),
}

impl<T> Found<T> {
    /// The document, if it could be read.
    pub(super) fn get(&self) -> Option<&T> {
        match self {
            Found::Read(document) => Some(document),
            _ => None,
        }
    }

    /// What is wrong with it, if something is.
    pub(super) fn damage(&self) -> Option<&Damage> {
        match self {
            Found::Damaged(damage) => Some(damage),
            _ => None,
        }
    }
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// Which file.
    pub(super) file: PathBuf,
    /// What it should hold.
    pub(super) expected: String,
    /// What it holds.
    pub(super) found: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: expected {}, found {}", self.file.display(), self.expected, self.found)
    }
}

/// Everything in a folder of results that the report knows.
#[derive(Debug)]
pub(super) struct Documents {
    pub(super) run: Found<Run>,
    pub(super) compare: Found<Compare>,
    pub(super) noise: Found<Noise>,
    pub(super) tune: Found<Tune>,
    pub(super) tune_unpack: Found<Tune>,
    /// By file name, in its order.
    pub(super) stages: Vec<(String, Found<Stages>)>,
}

impl Documents {
    /// Reads all that is in `folder`.
    ///
    /// # Errors
    /// When there is no folder, or no document in it.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let documents = Self {
            run: read(&folder.join("run.json")),
            compare: read(&folder.join("compare.json")),
            noise: read(&folder.join("aa.json")),
            tune: read(&folder.join("tune.json")),
            tune_unpack: read(&folder.join("tune-unpack.json")),
            stages: stage_files(folder)?.into_iter().map(|name| (name.clone(), read(&folder.join(&name)))).collect(),
        };
        if documents.heads().is_empty() && documents.damages().is_empty() {
            return Err(Failure::new(format!(
                "nothing to report: {} holds neither run.json, compare.json, aa.json, tune.json, tune-unpack.json nor *.stages.json; \
                 `make run` or `make compare` writes some",
                folder.display()
            )));
        }
        Ok(documents)
    }

    /// The name and the head of each document that could be read.
    pub(super) fn heads(&self) -> Vec<(&str, &Head)> {
        let fixed = [
            ("run.json", self.run.get().map(Document::head)),
            ("compare.json", self.compare.get().map(Document::head)),
            ("aa.json", self.noise.get().map(Document::head)),
            ("tune.json", self.tune.get().map(Document::head)),
            ("tune-unpack.json", self.tune_unpack.get().map(Document::head)),
        ];
        let stages = self.stages.iter().map(|(name, found)| (name.as_str(), found.get().map(Document::head)));
        fixed.into_iter().chain(stages).filter_map(|(name, head)| Some((name, head?))).collect()
    }

    /// What is wrong with those that could not.
    pub(super) fn damages(&self) -> Vec<&Damage> {
        let tunes = [self.tune.damage(), self.tune_unpack.damage()];
        let fixed = [self.run.damage(), self.compare.damage(), self.noise.damage()].into_iter().chain(tunes);
        let stages = self.stages.iter().map(|(_, found)| found.damage());
        fixed.chain(stages).flatten().collect()
    }
}

/// The names of all `*.stages.json` in a folder, sorted.
fn stage_files(folder: &Path) -> Result<Vec<String>> {
    let cannot = |error: std::io::Error| {
        Failure::new(format!("cannot look for results in {}: {error}; `make run` makes some", folder.display()))
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let name = entry.map_err(cannot)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".stages.json") {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

fn read<T: Document>(file: &Path) -> Found<T> {
    match fs::read(file) {
        Ok(bytes) => parse(file, &bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Found::Missing,
        Err(error) => damaged(file, "a file that can be read".to_owned(), error.to_string()),
    }
}

/// Only the schema, so that another version is told from a damaged document.
#[derive(Deserialize)]
struct Label {
    schema: Option<String>,
}

fn parse<T: Document>(file: &Path, bytes: &[u8]) -> Found<T> {
    let schema = match serde_json::from_slice::<Label>(bytes) {
        Ok(label) => label.schema,
        Err(error) => return damaged(file, format!("a JSON document of schema {:?}", T::SCHEMA), error.to_string()),
    };
    if schema.as_deref() != Some(T::SCHEMA) {
        let found = schema.map_or_else(|| "a document without a schema".to_owned(), |name| format!("schema {name:?}"));
        return damaged(file, format!("schema {:?}", T::SCHEMA), found);
    }
    match serde_json::from_slice(bytes) {
        Ok(document) => Found::Read(Box::new(document)),
        Err(error) => damaged(file, format!("the fields of {:?}", T::SCHEMA), error.to_string()),
    }
}

fn damaged<T>(file: &Path, expected: String, found: String) -> Found<T> {
    Found::Damaged(Damage { file: file.to_owned(), expected, found })
}

#[cfg(test)]
mod tests {
    use super::super::schema::{Chosen, Point, Words};
    use super::*;

    fn found(text: &str) -> Found<Run> {
        parse(Path::new("r/run.json"), text.as_bytes())
    }

    #[test]
    fn another_version_and_damage_are_told_apart_and_name_the_file() {
        let told = |text: &str| found(text).damage().unwrap().to_string();
        assert_eq!(
            told(r#"{"schema":"carrack.run/1","rows":7}"#),
            "r/run.json: expected schema \"carrack.run/2\", found schema \"carrack.run/1\""
        );
        assert!(told("{}").ends_with("found a document without a schema"), "{}", told("{}"));
        let cut = told(r#"{"schema":"carrack.run/2","rows":["#);
        assert!(cut.contains("expected a JSON document") && cut.contains("line 1"), "{cut}");
        let odd = told(r#"{"schema":"carrack.run/2","rows":[{"corpus":7}]}"#);
        assert!(odd.contains("the fields of \"carrack.run/2\"") && odd.contains("expected a string"), "{odd}");
    }

    #[test]
    fn what_is_missing_or_null_is_empty() {
        let run = found(r#"{"schema":"carrack.run/2","seed":null,"rows":[{"pack":null,"unreadable":null},{}]}"#);
        assert_eq!(run.get().unwrap().rows.len(), 2);
        assert!(found(r#"{"schema":"carrack.run/2"}"#).get().unwrap().rows.is_empty());
    }

    #[test]
    fn commands_come_as_words_or_as_a_line() {
        let shell = |text: &str| serde_json::from_str::<Words>(text).unwrap().shell();
        assert_eq!(shell(r#"["a","b c","it's",""]"#), r"a 'b c' 'it'\''s' ''");
        assert_eq!(shell(r#""a --b 'c d'""#), "a --b 'c d'");
        assert_eq!(shell("null"), "");
    }

    #[test]
    fn points_and_choices_come_in_two_forms() {
        for text in ["[0.5, 7]", r#"{"quantile":0.5,"ns":7}"#] {
            assert_eq!(serde_json::from_str::<Point>(text).unwrap().values(), Some((0.5, 7.0)), "{text}");
        }
        assert_eq!(serde_json::from_str::<Point>("[1.5, 7]").unwrap().values(), None);
        assert_eq!(serde_json::from_str::<Point>("[null, 7]").unwrap().values(), None);
        for text in [r#"{"settings":{"io":"pool","slots":4}}"#, r#"{"io":"pool","slots":4}"#] {
            let chosen: Chosen = serde_json::from_str(text).unwrap();
            assert_eq!((chosen.settings().io.as_deref(), chosen.settings().slots), (Some("pool"), Some(4.0)));
        }
    }

    #[test]
    fn comparisons_come_plain_or_held() {
        let ratio = r#"{"rounds":[1.1],"mean":1.1,"low":1.0,"high":1.2}"#;
        let text =
            format!(r#"{{"schema":"carrack.aa/1","comparisons":[{ratio},{{"ratio":{ratio},"holds_one":true}}]}}"#);
        let found: Found<Noise> = parse(Path::new("aa.json"), text.as_bytes());
        let means = found.get().unwrap().comparisons.iter().map(|compared| compared.ratio().mean);
        assert_eq!(means.collect::<Vec<_>>(), [Some(1.1); 2]);
    }

    #[test]
    fn a_folder_without_documents_is_an_error_that_says_what_to_run() {
        let place = tempfile::tempdir().unwrap();
        let error = Documents::read(place.path()).unwrap_err().to_string();
        assert!(error.contains("nothing to report") && error.contains("make run"), "{error}");
        let error = Documents::read(&place.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("none"), "{error}");
        fs::write(place.path().join("x.stages.json"), "{").unwrap();
        let documents = Documents::read(place.path()).unwrap();
        assert_eq!((documents.damages().len(), documents.heads().len()), (1, 0));
    }
}
