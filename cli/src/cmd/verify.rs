//! `carrack verify`.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use carrack_engine::against::AgainstOptions;
use carrack_engine::archive::Archive;
use carrack_engine::control::{Cancel, Escaped};
use carrack_engine::entry::XattrChoice;
use carrack_engine::error::Result;
use carrack_engine::verify::VerifyOptions;

use super::{Pace, count};
use crate::args::VerifyArgs;
use crate::config;
use crate::exit::Exit;
use crate::output::Ui;
use crate::progress::Bar;
use crate::size::Both;
use crate::stats::{Operation, Stats};

pub(crate) fn run(args: &VerifyArgs, ui: &Ui) -> Result<Exit> {
    let stats = Stats::resolve(&args.stats, Operation::Verify, ui)?;
    let begin = Instant::now();
    let archive = Archive::open(&args.archive)?;
    let cancel = ui.watch_signals()?;
    let bar = Bar::new(ui);
    let options = VerifyOptions {
        threads: args.threads.map(Into::into),
        memory_limit: args.ceiling.memory_limit(args.memory_limit),
        ceiling: args.ceiling.into(),
        stats: stats.are_wanted(),
        control: bar.control(cancel.clone()),
    };
    let result = archive.verify(&options);
    let took = begin.elapsed();
    bar.finish();
    let report = result?;
    for damage in &report.damage {
        ui.damage(damage);
    }
    ui.lost(&report.lost);
    let exit = Exit::of_report(report.damage.len() + report.lost.len(), 0);
    let verdict = if exit == Exit::Done { "intact" } else { "DAMAGED" };
    ui.note(format_args!(
        "{}: {verdict}: {}, {}, {} in {}, {}",
        Escaped(args.archive.as_os_str().as_bytes()),
        count(report.entries, "entry", "entries"),
        Both(report.bytes),
        count(report.files, "file", "files"),
        count(report.blocks, "block", "blocks"),
        Pace { bytes: report.bytes, took },
    ));
    stats.tell(ui, &report.stages, &[], took)?;
    match &args.against {
        // What a damaged archive says of a tree is worth nothing.
        Some(_) if exit != Exit::Done => Ok(exit),
        Some(dir) => against(args, &archive, dir, cancel, ui),
        None => Ok(exit),
    }
}

/// Compares an intact archive with a folder.
fn against(args: &VerifyArgs, archive: &Archive, dir: &Path, cancel: Cancel, ui: &Ui) -> Result<Exit> {
    let exclude = args.exclude.iter().map(|pattern| config::glob(pattern, "--exclude")).collect::<Result<_>>()?;
    let begin = Instant::now();
    let bar = Bar::new(ui);
    let options = AgainstOptions {
        threads: args.threads.map(Into::into),
        exclude,
        xattrs: XattrChoice { acls: !args.no_acls, xattrs: !args.no_xattrs, selinux: false },
        control: bar.control(cancel),
    };
    let result = archive.against(dir, &options);
    let took = begin.elapsed();
    bar.finish();
    let report = result?;
    for difference in &report.differences {
        ui.difference(difference);
    }
    let verdict = match report.differences.len() as u64 {
        0 => "the same".to_owned(),
        n => count(n, "difference", "differences"),
    };
    ui.note(format_args!(
        "{}: {verdict}: {} in both, {} in {}, {}",
        Escaped(dir.as_os_str().as_bytes()),
        count(report.entries, "entry", "entries"),
        Both(report.bytes),
        count(report.files, "file", "files"),
        Pace { bytes: report.bytes, took },
    ));
    Ok(Exit::of_report(0, report.differences.len()))
}
