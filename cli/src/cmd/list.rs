//! `carrack list`.

use std::collections::HashMap;
use std::io;
use std::io::Write;

use carrack_engine::archive::Archive;
use carrack_engine::entry::Row;
use carrack_engine::error::Result;
use carrack_engine::select::Selection;

use crate::args::ListArgs;
use crate::exit::Exit;
use crate::output::{Ui, finish, stdout_error};
use crate::rows;
use crate::rows::{Long, Style};
use crate::select::patterns;

pub(crate) fn run(args: &ListArgs, ui: &Ui) -> Result<Exit> {
    let mut selection = Selection::new(patterns(&args.patterns)?);
    let archive = Archive::open(&args.archive)?;
    let style = Style { terminal: ui.out_is_terminal, colour: ui.out_colour };
    let mut form = Form::new(args, style, &archive)?;
    let mut out = ui.buffered_stdout()?;
    let result = archive.for_each(&mut |number, row| {
        form.pass(number, row);
        if selection.takes(row.path) { form.write(&mut out, number, row).map_err(stdout_error) } else { Ok(()) }
    });
    // What was listed before an error is good, and is shown.
    let flushed = finish(&mut out);
    result.and(flushed)?;
    selection.check()?;
    Ok(Exit::Done)
}

/// How rows are written.
enum Form {
    Plain(Style),
    Null,
    Long(Long, FirstNames),
    /// With room for one line.
    Json(FirstNames, Vec<u8>),
}

impl Form {
    fn new(args: &ListArgs, style: Style, archive: &Archive) -> Result<Self> {
        Ok(match args {
            ListArgs { null: true, .. } => Form::Null,
            ListArgs { json: true, .. } => Form::Json(FirstNames::of(archive)?, Vec::new()),
            ListArgs { long: true, .. } => Form::Long(Long::new(style), FirstNames::of(archive)?),
            _ => Form::Plain(style),
        })
    }

    /// Sees every row, selected or not.
    fn pass(&mut self, number: u32, row: &Row<'_>) {
        if let Form::Long(_, names) | Form::Json(names, _) = self {
            names.pass(number, row);
        }
    }

    fn write(&mut self, out: &mut dyn Write, number: u32, row: &Row<'_>) -> io::Result<()> {
        match self {
            Form::Plain(style) => rows::plain(out, row, *style),
            Form::Null => rows::null(out, row),
            Form::Long(long, names) => long.write(out, row, names.get(row)),
            Form::Json(names, line) => {
                line.clear();
                rows::json(line, number, row, names.get(row))?;
                out.write_all(line)
            }
        }
    }
}

/// The first names of files that have several: a hard link's row has but their number. Holds one path a file with
/// several names, found in a pass of its own that archives without hard links are spared.
#[derive(Default)]
struct FirstNames(HashMap<u32, Vec<u8>>);

impl FirstNames {
    fn of(archive: &Archive) -> Result<Self> {
        let mut names = HashMap::new();
        if archive.summary().hardlinks > 0 {
            archive.for_each(&mut |_, row| {
                if let Some(first) = row.hardlink {
                    names.entry(first).or_default();
                }
                Ok(())
            })?;
        }
        Ok(Self(names))
    }

    /// A link's first name always comes before it.
    fn pass(&mut self, number: u32, row: &Row<'_>) {
        if !self.0.is_empty()
            && let Some(name) = self.0.get_mut(&number)
        {
            name.extend_from_slice(row.path);
        }
    }

    fn get(&self, row: &Row<'_>) -> Option<&[u8]> {
        self.0.get(&row.hardlink?).map(Vec::as_slice)
    }
}
