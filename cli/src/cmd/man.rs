//! `carrack man`.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use carrack_engine::control::Escaped;
use carrack_engine::error::{Error, ErrorKind, Result};
use clap::builder::Resettable;
use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::args::{Args, ManArgs};
use crate::exit::Exit;
use crate::output::{Ui, stdout_error};

pub(crate) fn run(args: &ManArgs, ui: &Ui) -> Result<Exit> {
    let pages = pages();
    if let Some(dir) = &args.out {
        write_all(dir, &pages)?;
        ui.note(format_args!("{} pages in {}", pages.len(), Escaped(dir.as_os_str().as_bytes())));
        return Ok(Exit::Done);
    }
    let name = args.command.as_ref().map_or_else(|| "carrack".to_owned(), |command| format!("carrack-{command}"));
    let Some((_, text)) = pages.iter().find(|(page, _)| *page == name) else {
        let known: Vec<_> = pages.iter().filter_map(|(page, _)| page.strip_prefix("carrack-")).collect();
        let message = format!("there is no command {:?}; there are {}", &name["carrack-".len()..], known.join(", "));
        return Err(Error::new(ErrorKind::Usage, message));
    };
    ui.stdout()?.write_all(text).map_err(stdout_error)?;
    Ok(Exit::Done)
}

/// Every page with its name: the overview, then one a command.
fn pages() -> Vec<(String, Vec<u8>)> {
    let mut top = Args::command().disable_help_subcommand(true);
    // Gives subcommands their full names and the flags that they inherit.
    top.build();
    let mut pages = vec![("carrack".to_owned(), render(&top))];
    for command in top.get_subcommands() {
        pages.push((format!("carrack-{}", command.get_name()), render(command)));
    }
    pages
}

/// One page. The examples get a section of their own, in which lines stay lines.
fn render(command: &Command) -> Vec<u8> {
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let bare = command.clone().after_help(Resettable::Reset);
    let mut text = Vec::new();
    // Writing into memory does not fail.
    let _ = Man::new(bare).manual("Carrack").source(concat!("carrack ", env!("CARGO_PKG_VERSION"))).render(&mut text);
    text.extend_from_slice(b".SH EXAMPLES\n.nf\n");
    for line in examples.lines().filter(|line| *line != "Examples:") {
        // A dot or a quote in front would be a command of roff.
        text.extend_from_slice(format!("\\&{}\n", line.replace('\\', "\\e").replace('-', "\\-")).as_bytes());
    }
    text.extend_from_slice(b".fi\n");
    text
}

fn write_all(dir: &Path, pages: &[(String, Vec<u8>)]) -> Result<()> {
    let failed = |path: &Path, error| {
        Error::with(ErrorKind::Output, format!("{}: cannot be written", Escaped(path.as_os_str().as_bytes())), error)
    };
    fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    for (name, text) in pages {
        let path = dir.join(format!("{name}.1"));
        fs::write(&path, text).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}
