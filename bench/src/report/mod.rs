//! `carrack-bench report`: what the documents of a folder of results say, as one page and as tables.
//!
//! What flows in: `run.json`, `compare.json`, `aa.json`, `tune.json`, `*.stages.json` (`docs/results.md`), whichever are
//! there. What flows out: `report.html`, which needs no other file and no network, or tables on a terminal. What this
//! module does not know: how anything is measured; it reads what was written.
//!
//! ```text
//! document, schema ──► facts ──► charts (svg, scale) ──► page
//!                        └─────────────────────────────► text
//! ```

mod charts;
mod document;
mod facts;
mod page;
mod scale;
mod schema;
mod svg;
mod text;
mod words;

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use carrack_measure::error::{Context, Result};
use document::Documents;
use facts::Facts;

/// Arguments of `carrack-bench report`.
#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    /// Folder with the documents
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub results: PathBuf,
    /// The page to write [default: report.html in the folder of the documents]
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    pub out: Option<PathBuf>,
    /// Print tables instead of writing a page
    #[arg(long)]
    pub text: bool,
}

/// Writes the page, or prints the tables. False when a document could not be read: it has been said then, there and on
/// standard error.
///
/// # Errors
/// When there is no document at all, or the page cannot be written.
pub fn run(args: &ReportArgs) -> Result<bool> {
    let documents = Documents::read(&args.results)?;
    let facts = Facts::of(&documents);
    if args.text {
        // Whoever reads only the first lines has had enough.
        let written = std::io::stdout().write_all(text::text(&facts).as_bytes());
        written
            .or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
            .doing("print")?;
    } else {
        let place = args.out.clone().unwrap_or_else(|| args.results.join("report.html"));
        save(&place, &page::page(&documents, &facts))?;
        println!("Report: {}", place.display());
    }
    let damages = documents.damages();
    for damage in &damages {
        eprintln!("carrack-bench: {damage}");
    }
    Ok(damages.is_empty())
}

/// Writes the page under a temporary name and gives it its own when it is complete.
fn save(place: &Path, page: &str) -> Result<()> {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let temporary = place.with_file_name(name);
    fs::write(&temporary, page).at("write", &temporary)?;
    fs::rename(&temporary, place).at("rename to", place)
}

#[cfg(test)]
mod tests;
