//! `carrack pack`.

use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use carrack_backends::sink::stdout;
use carrack_engine::control::Escaped;
use carrack_engine::error::{Error, ErrorKind, Result};
use carrack_engine::pack::PackReport;

use super::{Pace, count, ratio};
use crate::args::PackArgs;
use crate::config::{Pack, Target};
use crate::exit::Exit;
use crate::output::{Ui, stdout_error};
use crate::progress::Bar;
use crate::size::Both;
use crate::stats::{Operation, Stats};
use crate::tune;

pub(crate) fn run(mut args: PackArgs, ui: &Ui) -> Result<Exit> {
    tune::apply::to_pack(&mut args, ui);
    let stats_args = args.stats.clone();
    let config = Pack::resolve(args)?;
    if config.target == Target::Stdout && ui.out_is_terminal {
        let message = "an archive is nothing for a terminal: send it on (-o - | …, -o - > FILE) or give -o FILE";
        return Err(Error::new(ErrorKind::Usage, message));
    }
    let stats = Stats::resolve(&stats_args, Operation::Pack, ui)?;
    if ui.verbose {
        ui.note(config.describe());
    }
    let cancel = ui.watch_signals()?;
    let bar = Bar::new(ui);
    let begin = Instant::now();
    let packer = config.packer().stats(stats.are_wanted()).control(bar.control(cancel));
    let result = match &config.target {
        Target::File(path) => packer.pack(path),
        Target::Stdout => packer
            .pack_to_sink(Box::new(stdout().map_err(stdout_error)?))
            .inspect_err(|error| ui.note_closed_pipe(error)),
    };
    let took = begin.elapsed();
    bar.finish();
    let report = result?;
    ui.warnings(&report.warnings);
    summary(ui, &config.target, &report, took);
    stats.tell(ui, &report.stages, &report.notes, took)?;
    Ok(Exit::of_report(0, report.warnings.len()))
}

fn summary(ui: &Ui, target: &Target, report: &PackReport, took: Duration) {
    for note in &report.notes {
        ui.note(note);
    }
    let name = match target {
        Target::File(path) => Escaped(path.as_os_str().as_bytes()).to_string(),
        Target::Stdout => "standard output".to_owned(),
    };
    let ratio =
        ratio(report.archive_bytes, report.bytes).map_or_else(String::new, |ratio| format!(", ratio {ratio:.3}"));
    ui.note(format_args!(
        "{name}: {}, {} -> {}{ratio}, {}, read by {}",
        count(report.entries, "entry", "entries"),
        Both(report.bytes),
        Both(report.archive_bytes),
        Pace { bytes: report.bytes, took },
        report.backend,
    ));
    if report.left_out > 0 {
        ui.note(format_args!("{} left out", count(report.left_out, "path", "paths")));
    }
    if ui.verbose {
        ui.note(format_args!(
            "{}, {}, {} stored once only, {} slots of {}, {}, root digest {}",
            count(report.files, "file", "files"),
            count(report.blocks, "block", "blocks"),
            Both(report.duplicate_bytes),
            report.slots,
            Both(report.slot_size as u64),
            count(report.threads as u64, "thread", "threads"),
            report.root,
        ));
    }
}
