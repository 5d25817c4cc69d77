//! A place with small corpora, and the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use carrack_fixtures::{Kind, Scale, generate};
use serde_json::Value;

/// A temporary folder with `corpus/` and `results/`.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    /// With these corpora at this scale.
    pub(crate) fn with(kinds: &[Kind], scale: f64) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for kind in kinds {
            generate(*kind, &place.corpus(), Scale::new(scale).unwrap(), 1, 2).unwrap();
        }
        place
    }

    pub(crate) fn corpus(&self) -> PathBuf {
        self.0.path().join("corpus")
    }

    pub(crate) fn results(&self) -> PathBuf {
        self.0.path().join("results")
    }

    /// `carrack-bench COMMAND --corpus … --results … ARGS`.
    pub(crate) fn bench(&self, command: &str, args: &[&str]) -> Output {
        program()
            .arg(command)
            .arg("--corpus")
            .arg(self.corpus())
            .arg("--results")
            .arg(self.results())
            .args(args)
            .output()
            .unwrap()
    }

    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.results().join(name)).unwrap()).unwrap()
    }

    /// What lies in the results, by name.
    pub(crate) fn left(&self) -> Vec<String> {
        names(&self.results())
    }
}

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_carrack-bench"))
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
