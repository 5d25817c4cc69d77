//! `carrack verify`.

use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use carrack_engine::archive::Archive;
use carrack_engine::control::Escaped;
use carrack_engine::error::Result;
use carrack_engine::verify::VerifyOptions;

use super::{Pace, count};
use crate::args::VerifyArgs;
use crate::exit::Exit;
use crate::output::Ui;
use crate::progress::Bar;
use crate::size::Both;
use crate::stats::{Operation, Stats};

pub(crate) fn run(args: &VerifyArgs, ui: &Ui) -> Result<Exit> {
    let stats = Stats::resolve(&args.stats, Operation::Verify, ui)?;
    let begin = Instant::now();
    let archive = Archive::open(&args.archive)?;
    let cancel = ui.signals.install()?;
    let bar = Bar::new(ui);
    let options = VerifyOptions {
        threads: args.threads.map(Into::into),
        memory_limit: args.memory_limit,
        stats: stats.are_wanted(),
        control: bar.control(cancel),
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
    stats.tell(ui, &report.stages, took)?;
    Ok(exit)
}
