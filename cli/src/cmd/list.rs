//! `carrack list`.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write;

use carrack_engine::archive::Archive;
use carrack_engine::ceiling::Ceiling;
use carrack_engine::entry::Row;
use carrack_engine::error::Result;
use carrack_engine::select::Selection;

use super::ROWS_LEN;
use crate::args::ListArgs;
use crate::exit::Exit;
use crate::output::{Ui, finish, stdout_error};
use crate::rows;
use crate::rows::{Long, Style};
use crate::select::patterns;

pub(crate) fn run(args: &ListArgs, ui: &Ui) -> Result<Exit> {
    let mut selection = Selection::new(patterns(&args.patterns)?);
    let archive = Archive::open(&args.archive)?.keep_rows(ROWS_LEN);
    Ceiling::from(args.ceiling).check_summary(&archive)?;
    let style = Style { terminal: ui.out_is_terminal, colour: ui.out_colour };
    let mut form = Form::new(args, style, &archive)?;
    let mut out = ui.buffered_stdout()?;
    let result = archive.for_each(&mut |number, row| {
        form.pass(number, row);
        if selection.takes(row.path) { form.write(&mut out, number, row) } else { Ok(()) }
    });
    // What was listed before an error is good, and is shown.
    let flushed = finish(&mut out);
    result.and(flushed)?;
    selection.check()?;
    Ok(Exit::Done)
}

/// How rows are written.
enum Form<'a> {
    Plain(Style),
    Null,
    Long(Long, FirstNames<'a>),
    /// With room for one line.
    Json(FirstNames<'a>, Vec<u8>),
}

impl<'a> Form<'a> {
    fn new(args: &ListArgs, style: Style, archive: &'a Archive) -> Result<Self> {
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

    fn write(&mut self, out: &mut dyn Write, number: u32, row: &Row<'_>) -> Result<()> {
        let written = match self {
            Form::Plain(style) => rows::plain(out, row, *style),
            Form::Null => rows::null(out, row),
            Form::Long(long, names) => long.write(out, row, names.get(row)?.as_deref()),
            Form::Json(names, line) => {
                line.clear();
                let first = names.get(row)?;
                rows::json(line, number, row, first.as_deref()).and_then(|()| out.write_all(line))
            }
        };
        written.map_err(stdout_error)
    }
}

/// The first names of files that have several: a hard link's row has but their number. Holds one path a file with
/// several names, found in a pass of its own that archives without hard links are spared; looks up in the index what is more
/// than [`NAMES_LEN`].
struct FirstNames<'a> {
    archive: &'a Archive,
    names: HashMap<u32, Option<Vec<u8>>>,
    /// Bytes that may still be kept.
    room: usize,
}

/// Bytes of first names that are kept at most.
const NAMES_LEN: usize = 16 << 20;
/// What a name takes besides its bytes.
const NAME_LEN: usize = 64;

impl<'a> FirstNames<'a> {
    fn of(archive: &'a Archive) -> Result<Self> {
        let (mut names, mut room) = (HashMap::new(), NAMES_LEN);
        if archive.summary().hardlinks > 0 {
            archive.for_each(&mut |_, row| {
                if let Some(first) = row.hardlink
                    && room >= NAME_LEN
                    && names.insert(first, None).is_none()
                {
                    room -= NAME_LEN;
                }
                Ok(())
            })?;
        }
        Ok(Self { archive, names, room })
    }

    /// A link's first name always comes before it.
    fn pass(&mut self, number: u32, row: &Row<'_>) {
        if !self.names.is_empty()
            && let Some(name) = self.names.get_mut(&number)
            && row.path.len() <= self.room
        {
            self.room -= row.path.len();
            *name = Some(row.path.to_vec());
        }
    }

    fn get(&self, row: &Row<'_>) -> Result<Option<Cow<'_, [u8]>>> {
        let Some(first) = row.hardlink else { return Ok(None) };
        match self.names.get(&first) {
            Some(Some(name)) => Ok(Some(name.into())),
            _ => Ok(Some(self.archive.row_path(first)?.into())),
        }
    }
}
