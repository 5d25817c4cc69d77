//! `carrack salvage`.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Instant;

use carrack_backends::sink::{self, FileSinkOptions};
use carrack_engine::container::source::FileSource;
use carrack_engine::control::{Control, Escaped};
use carrack_engine::error::{Error, ErrorKind, Result};
use carrack_engine::salvage::{SalvageReport, salvage_one};
use carrack_engine::unpack::Unpacker;

use super::{Pace, count};
use crate::args::SalvageArgs;
use crate::exit::Exit;
use crate::output::Ui;
use crate::progress::Bar;
use crate::size::Both;

pub(crate) fn run(args: &SalvageArgs, ui: &Ui) -> Result<Exit> {
    let begin = Instant::now();
    let name = Escaped(args.archive.as_os_str().as_bytes()).to_string();
    let source = File::open(&args.archive)
        .and_then(FileSource::new)
        .map_err(|error| Error::with(ErrorKind::Input, format!("cannot open {name}"), error))?;
    let cancel = ui.watch_signals()?;
    let bar = Bar::new(ui);
    let control = bar.control(cancel);
    let result = salvaged(args, &name, Arc::new(source), &control, ui);
    let took = begin.elapsed();
    bar.finish();
    let (report, damage) = result?;
    tell(&report, ui);
    ui.note(format_args!(
        "{name}: {}, {} in {}, from {}, {}",
        count(report.entries, "entry", "entries"),
        Both(report.bytes),
        count(report.files, "file", "files"),
        count(report.frames, "intact frame", "intact frames"),
        Pace { bytes: report.bytes, took },
    ));
    Ok(Exit::of_report(damage + usize::from(!report.is_whole()), 0))
}

/// Gets back what is left, and writes it where it was asked for. Says how much was damaged on that way.
fn salvaged(
    args: &SalvageArgs,
    name: &str,
    source: Arc<FileSource>,
    control: &Control,
    ui: &Ui,
) -> Result<(SalvageReport, usize)> {
    let salvaged = salvage_one(name, source, args.archive_id.as_deref(), control)?;
    if let Some(target) = &args.output {
        let options = FileSinkOptions { force: args.force, sync: true };
        let cannot = |error| Error::with(ErrorKind::Output, "cannot create the archive", error);
        salvaged.write(sink::create(target, options).map_err(cannot)?, control)?;
    }
    let mut damage = 0;
    if let Some(folder) = &args.directory {
        let unpacker = Unpacker::new(&salvaged.archive).specials(true).force(args.force).control(control.clone());
        let unpacked = unpacker.unpack(folder)?;
        ui.warnings(&unpacked.warnings);
        unpacked.damage.iter().for_each(|what| ui.damage(what));
        ui.lost(&unpacked.lost);
        damage = unpacked.damage.len() + unpacked.lost.len();
    }
    Ok((salvaged.report, damage))
}

/// Says what is lost, and what cannot be known.
fn tell(report: &SalvageReport, ui: &Ui) {
    for (path, why) in &report.lost {
        ui.damage(&format_args!("{}: lost: {why}", Escaped(path)));
    }
    for path in &report.made_up {
        ui.warning(&format_args!("{}: its own record is lost: a folder with permissions 755", Escaped(path)));
    }
    for (range, why) in &report.unread {
        ui.damage(&format_args!("bytes {} to {} cannot be read: {why}", range.start, range.end));
    }
    for gap in &report.gaps {
        ui.note(format_args!("no frame from byte {} to {}", gap.start, gap.end));
    }
    for (id, frames) in &report.others {
        ui.note(format_args!("{} of another archive left alone: --archive-id {id}", count(*frames, "frame", "frames")));
    }
    if report.unreadable > 0 {
        let frames = count(report.unreadable, "frame is", "frames are");
        ui.damage(&format_args!("{frames} intact and cannot be read"));
    }
    if report.missing > 0 {
        ui.damage(&format_args!("{} missing", count(report.missing, "frame is", "frames are")));
    }
    if !report.has_index {
        ui.damage(&"the index is lost: what began in missing frames, or behind the last one, has no name any more");
    }
}
