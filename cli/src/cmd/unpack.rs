//! `carrack unpack`.

use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use carrack_backends::tree::Confined;
use carrack_engine::archive::Archive;
use carrack_engine::control::Escaped;
use carrack_engine::error::{Error, ErrorKind, Result};
use carrack_engine::unpack::{Transform, Unpacker};

use super::{Pace, count};
use crate::args::UnpackArgs;
use crate::exit::Exit;
use crate::output::Ui;
use crate::progress::Bar;
use crate::select;
use crate::size::Both;
use crate::stats::{Operation, Stats};
use crate::tune;

pub(crate) fn run(mut args: UnpackArgs, ui: &Ui) -> Result<Exit> {
    tune::apply::to_unpack(&mut args, ui);
    let patterns = select::patterns(&args.patterns)?;
    let stats = Stats::resolve(&args.stats, Operation::Unpack, ui)?;
    let begin = Instant::now();
    let archive = Archive::open(&args.archive)?;
    let cancel = ui.watch_signals()?;
    let bar = Bar::new(ui);
    let mut unpacker = Unpacker::new(&archive)
        .select(patterns)
        .force(args.force)
        .specials(!args.no_specials)
        .numeric_owner(args.numeric_owner)
        .selinux(args.selinux)
        .touch(args.touch)
        .strip_components(args.strip_components)
        .transform(transform(&args.transform)?)
        .sync(args.sync)
        .memory_limit(args.ceiling.memory_limit(args.memory_limit))
        .ceiling(args.ceiling.into())
        .space_check(!args.no_space_check)
        .stats(stats.are_wanted())
        .control(bar.control(cancel));
    if args.same_permissions || args.no_same_permissions {
        unpacker = unpacker.same_permissions(args.same_permissions);
    }
    if args.acls || args.no_acls {
        unpacker = unpacker.acls(args.acls);
    }
    if args.xattrs || args.no_xattrs {
        unpacker = unpacker.xattrs(args.xattrs);
    }
    // Neither flag given leaves the choice to the engine, which knows who we are.
    if args.same_owner || args.no_same_owner {
        unpacker = unpacker.same_owner(args.same_owner);
    }
    if let Some(n) = args.threads {
        unpacker = unpacker.threads(n.into());
    }
    let result = unpacker.unpack(&args.directory);
    let took = begin.elapsed();
    bar.finish();
    let report = result?;
    if ui.verbose {
        ui.note(match &report.confined {
            Confined::Yes => "confined to the destination by Landlock".to_owned(),
            Confined::No(why) => format!("not confined to the destination by the kernel: {why}"),
        });
    }
    ui.warnings(&report.warnings);
    for damage in &report.damage {
        ui.damage(damage);
    }
    ui.lost(&report.lost);
    ui.note(format_args!(
        "{}: {}, {}, {}",
        Escaped(args.directory.as_os_str().as_bytes()),
        count(report.entries, "entry", "entries"),
        Both(report.bytes),
        Pace { bytes: report.bytes, took },
    ));
    if report.skipped_specials > 0 {
        let skipped = count(report.skipped_specials, "special file", "special files");
        ui.note(format_args!("{skipped} not made, as asked: --specials makes them"));
    }
    stats.tell(ui, &report.stages, &[], took)?;
    Ok(Exit::of_report(report.damage.len() + report.lost.len(), report.warnings.len()))
}

/// The expressions of `--transform`, one after the other.
fn transform(expressions: &[String]) -> Result<Transform> {
    let mut transform = Transform::default();
    for text in expressions {
        transform.add(text).map_err(|error| Error::with(ErrorKind::Usage, "--transform", error))?;
    }
    Ok(transform)
}
