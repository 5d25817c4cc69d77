//! How `pack` and `unpack` use what is remembered. What flows in: flags as they were typed. What flows out: the same
//! with what was not given filled in. What this module does not know: how it was found.

use std::path::Path;

use carrack_measure::host;

use super::args::Operation;
use super::settings::Settings;
use super::store::{Entry, Key, Store};
use crate::args::{IoName, PackArgs, UnpackArgs};
use crate::output::Ui;

/// Fills in flags of `pack`, and says so if asked to. Trouble with the file is a warning, and the defaults remain.
pub(crate) fn to_pack(args: &mut PackArgs, ui: &Ui) {
    if args.no_tune {
        return;
    }
    let Some(first) = args.inputs.first() else { return };
    let first = args.directory.as_ref().map_or_else(|| first.clone(), |directory| directory.join(first));
    if let Some((entry, store)) = remembered(Operation::Pack, &first, ui) {
        let taken = fill_pack(args, &entry.settings);
        say(ui, &taken, &entry, &store);
    }
}

/// Fills in flags of `unpack`: see [`to_pack`]. What counts is the file system that is written to.
pub(crate) fn to_unpack(args: &mut UnpackArgs, ui: &Ui) {
    if args.no_tune {
        return;
    }
    // The folder may be about to be made.
    let Ok(folder) = std::path::absolute(&args.directory) else { return };
    let Some(there) = folder.ancestors().find(|path| path.exists()) else { return };
    if let Some((entry, store)) = remembered(Operation::Unpack, there, ui) {
        let mut taken = Settings::default();
        if args.memory_limit.is_none() {
            fill(&mut args.threads, entry.settings.threads, &mut taken.threads);
        }
        say(ui, &taken, &entry, &store);
    }
}

/// The entry that fits, if there is a file at all.
fn remembered(operation: Operation, path: &Path, ui: &Ui) -> Option<(Entry, Store)> {
    let store = Store::of_user().ok()?;
    let memory = match store.load() {
        Ok(memory) => memory?,
        Err(what) => {
            ui.warning(&format_args!(
                "{what}; default settings are used (carrack tune writes the file anew once it is removed)"
            ));
            return None;
        }
    };
    let (host, filesystem) = (host::key(), host::filesystem(path));
    if filesystem.is_empty() {
        return None;
    }
    let entry = memory.find(Key { host: &host, filesystem: &filesystem, operation })?.clone();
    Some((entry, store))
}

fn say(ui: &Ui, taken: &Settings, entry: &Entry, store: &Store) {
    if !ui.verbose {
        return;
    }
    let from = format!("{}, {} on {}", store.name(), entry.date, entry.filesystem);
    if taken.is_default() {
        ui.note(format_args!("tuned: nothing to change here ({from})"));
        return;
    }
    let found = &entry.evidence;
    let (ratio, low, high) = (found.ratio, found.low, found.high);
    ui.note(format_args!("tuned: {taken} ({from}: {ratio:.3} [{low:.3}, {high:.3}] of the defaults' time)"));
}

/// Takes a setting where no flag was given, and notes it.
fn fill<T: Copy>(flag: &mut Option<T>, setting: Option<T>, taken: &mut Option<T>) {
    if flag.is_none() && setting.is_some() {
        (*flag, *taken) = (setting, setting);
    }
}

/// Fills in what was not given and goes with what was; says what.
fn fill_pack(args: &mut PackArgs, settings: &Settings) -> Settings {
    let mut taken = Settings::default();
    // A flag that belongs to one backend rules out the others.
    let goes = |io: &IoName| {
        (args.readers.is_none() || *io == IoName::Pool)
            && (args.depth.is_none() || *io == IoName::Uring)
            && (args.direct.is_none() || *io != IoName::Mmap)
    };
    let io = settings.io.filter(goes);
    let backend = args.io.or(io).unwrap_or(IoName::Auto);
    fill(&mut args.io, io, &mut taken.io);
    if backend == IoName::Pool {
        fill(&mut args.readers, settings.readers, &mut taken.readers);
    }
    if backend == IoName::Uring {
        fill(&mut args.depth, settings.depth, &mut taken.depth);
    }
    if backend != IoName::Mmap {
        fill(&mut args.direct, settings.direct, &mut taken.direct);
    }
    // What was found without a limit is nothing that a limit must make room for.
    let settings = if args.memory_limit.is_some() {
        &Settings { slots: None, slot_size: None, threads: None, ..settings.clone() }
    } else {
        settings
    };
    fill(&mut args.slots, settings.slots, &mut taken.slots);
    let mut slot_size = None;
    fill(&mut args.slot_size, settings.slot_size.map(Into::into), &mut slot_size);
    taken.slot_size = slot_size.and(settings.slot_size);
    fill(&mut args.threads, settings.threads, &mut taken.threads);
    if taken.io == Some(IoName::Uring) {
        // io_uring if the kernel lets us now too, and what stands in for it, with the reason, if not.
        args.io = Some(IoName::Auto);
    }
    taken
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroUsize};

    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};
    use crate::config::Pack;

    fn pack(flags: &[&str]) -> PackArgs {
        match Args::parse_from([&["carrack", "pack", "src", "-o", "x.crk"], flags].concat()).command {
            Command::Pack(args) => args,
            other => panic!("{other:?}"),
        }
    }

    fn tuned(io: IoName) -> Settings {
        Settings {
            io: Some(io),
            slots: NonZeroU32::new(16),
            slot_size: NonZeroU32::new(2 << 20),
            readers: NonZeroUsize::new(5).filter(|_| io == IoName::Pool),
            depth: NonZeroU32::new(64).filter(|_| io == IoName::Uring),
            threads: NonZeroUsize::new(3),
            direct: Some(1 << 20).filter(|_| io != IoName::Mmap),
        }
    }

    #[test]
    fn what_was_not_given_is_filled_in() {
        let mut args = pack(&[]);
        let settings = tuned(IoName::Pool);
        assert_eq!(fill_pack(&mut args, &settings), settings);
        assert_eq!((args.io, args.readers, args.slots), (settings.io, settings.readers, settings.slots));
        assert_eq!((args.slot_size, args.threads, args.direct), (Some(2 << 20), settings.threads, settings.direct));
    }

    #[test]
    fn a_memory_limit_takes_no_sizes_that_were_found_without_one() {
        let mut args = pack(&["--memory-limit", "100M"]);
        fill_pack(&mut args, &tuned(IoName::Pool));
        assert_eq!((args.slots, args.slot_size, args.threads), (None, None, None));
        assert_eq!((args.io, args.readers), (Some(IoName::Pool), NonZeroUsize::new(5)));
    }

    #[test]
    fn flags_that_were_given_win_one_by_one() {
        let mut args = pack(&["--slots", "4", "--threads", "1"]);
        let taken = fill_pack(&mut args, &tuned(IoName::Pool));
        assert_eq!((args.slots, args.threads), (NonZeroU32::new(4), NonZeroUsize::new(1)));
        assert_eq!((taken.slots, taken.threads), (None, None));
        assert_eq!((args.io, args.slot_size), (Some(IoName::Pool), Some(2 << 20)));
        let mut args = pack(&["--io", "auto"]);
        fill_pack(&mut args, &tuned(IoName::Pool));
        assert_eq!((args.io, args.readers), (Some(IoName::Auto), None));
    }

    #[test]
    fn no_flag_meets_a_setting_that_it_does_not_go_with() {
        let given: [&[&str]; 9] = [
            &["--readers", "2"],
            &["--depth", "9"],
            &["--direct"],
            &["--io", "mmap"],
            &["--io", "pread"],
            &["--io", "pool", "--readers", "2"],
            &["--io", "uring", "--depth", "9"],
            &["--io", "auto", "--direct=64k"],
            &[],
        ];
        for io in [IoName::Auto, IoName::Uring, IoName::Pool, IoName::Pread, IoName::Mmap] {
            for flags in given {
                let mut args = pack(flags);
                fill_pack(&mut args, &tuned(io));
                assert!(Pack::resolve(args).is_ok(), "{io:?} {flags:?}");
            }
        }
    }

    #[test]
    fn a_tuned_io_uring_may_be_refused() {
        let mut args = pack(&[]);
        let taken = fill_pack(&mut args, &tuned(IoName::Uring));
        assert_eq!((args.io, args.depth), (Some(IoName::Auto), NonZeroU32::new(64)));
        assert_eq!(taken.io, Some(IoName::Uring), "what is said is what was tuned");
        let mut args = pack(&["--io", "uring"]);
        fill_pack(&mut args, &tuned(IoName::Uring));
        assert_eq!(args.io, Some(IoName::Uring), "who insists gets an error");
    }
}
