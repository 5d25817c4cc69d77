//! Looks at one name in an open folder.
//!
//! In: a descriptor, a name. Out: an [`Item`] without its name, with what else its kind calls for, or what is wrong.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use carrack_backends::witness::{Time, Witness};
use rustix::fs::{AtFlags, FileType, Stat};

use super::error::What;
use super::holes;
use super::item::{Extra, Item, LINKED, NONE};
use crate::entry::{Device, Kind};
use crate::limits;

/// Asks the system about a name, itself and not what it may link to.
pub(super) fn stat(folder: BorrowedFd<'_>, name: &CStr) -> Result<Stat, What> {
    rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| What::Io { call: "stat", error: error.into() })
}

/// What was said of an entry, as an item. The second value is something to report though the entry is kept.
// The fields of `stat` differ in width and sign from system to system.
#[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
pub(super) fn item(stat: &Stat) -> Result<(Item, Option<What>), What> {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::Socket => Kind::Socket,
        FileType::CharacterDevice => Kind::CharDevice,
        FileType::BlockDevice => Kind::BlockDevice,
        FileType::Unknown => return Err(What::UnknownType(stat.st_mode as u32 & 0o170_000)),
    };
    let mut witness = Witness::from(*stat);
    let sec = witness.mtime.sec;
    let mut remark = None;
    if let Some(nearest) = nearest_time(witness.mtime) {
        if kind == Kind::File {
            return Err(What::Time { sec, kept: false });
        }
        witness.mtime = nearest;
        remark = Some(What::Time { sec, kept: true });
    }
    if !matches!(kind, Kind::File | Kind::Dir) && stat.st_nlink as u64 > 1 {
        remark = remark.or(Some(What::LinkedOdd(stat.st_nlink as u64)));
    }
    let linked = if kind == Kind::File && stat.st_nlink as u64 > 1 { LINKED } else { 0 };
    let item = Item {
        witness,
        name_start: 0,
        uid: stat.st_uid,
        gid: stat.st_gid,
        extra: NONE,
        mode: (stat.st_mode as u32 & 0o7777) as u16 | linked,
        name_len: 0,
        kind,
    };
    Ok((item, remark))
}

/// What else is to know of a symlink, a device or a sparse file.
#[allow(clippy::unnecessary_cast, clippy::cast_lossless)]
pub(super) fn extra(
    folder: BorrowedFd<'_>,
    name: &CStr,
    stat: &Stat,
    kind: Kind,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Extra>, What> {
    match kind {
        Kind::Symlink => target(folder, name).map(|target| Some(Extra::Target(target))),
        Kind::CharDevice | Kind::BlockDevice => {
            let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
            Ok(Some(Extra::Device(Device { major, minor })))
        }
        Kind::File if (stat.st_blocks as u64).saturating_mul(512) < stat.st_size as u64 => {
            let holes = holes::of_file(folder, name, stat.st_size as u64, stop);
            Ok((!holes.is_empty()).then(|| Extra::Holes(holes.into())))
        }
        _ => Ok(None),
    }
}

fn target(folder: BorrowedFd<'_>, name: &CStr) -> Result<Box<[u8]>, What> {
    let mut buffer = [const { std::mem::MaybeUninit::uninit() }; limits::LINK_TARGET_LEN_MAX + 1];
    let (target, _) = rustix::fs::readlinkat_raw(folder, name, &mut buffer)
        .map_err(|error| What::Io { call: "readlink", error: error.into() })?;
    if target.len() > limits::LINK_TARGET_LEN_MAX {
        return Err(What::TargetTooLong(target.len()));
    }
    Ok((&*target).into())
}

/// For a time that does not fit in 64 bits of nanoseconds, the nearest one that does.
fn nearest_time(time: Time) -> Option<Time> {
    const NS: i128 = 1_000_000_000;
    let ns = i128::from(time.sec) * NS + i128::from(time.nsec);
    let nearest = ns.clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    (nearest != ns).then(|| Time { sec: nearest.div_euclid(NS) as i64, nsec: nearest.rem_euclid(NS) as u32 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_times_that_do_not_fit_are_moved() {
        let time = |sec, nsec| Time { sec, nsec };
        for fits in
            [time(0, 0), time(-1, 999_999_999), time(9_223_372_036, 854_775_807), time(-9_223_372_037, 145_224_192)]
        {
            assert_eq!(nearest_time(fits), None, "{fits:?}");
        }
        assert_eq!(nearest_time(time(9_223_372_036, 854_775_808)), Some(time(9_223_372_036, 854_775_807)));
        assert_eq!(nearest_time(time(i64::MAX, 0)), Some(time(9_223_372_036, 854_775_807)));
        assert_eq!(nearest_time(time(-9_223_372_037, 145_224_191)), Some(time(-9_223_372_037, 145_224_192)));
        assert_eq!(nearest_time(time(i64::MIN, 0)), Some(time(-9_223_372_037, 145_224_192)));
    }

    #[test]
    fn a_file_with_a_time_that_does_not_fit_is_left_out_and_a_folder_kept() {
        let mut stat = rustix::fs::stat("/").unwrap();
        stat.st_mtime = 1 << 40;
        let (folder, remark) = item(&stat).unwrap();
        assert_eq!(folder.witness.mtime.sec, 9_223_372_036);
        assert!(matches!(remark, Some(What::Time { sec, kept: true }) if sec == 1 << 40));
        stat.st_mode = 0o100_644;
        assert!(matches!(item(&stat), Err(What::Time { kept: false, .. })));
        stat.st_mode = 0o030_644;
        assert!(matches!(item(&stat), Err(What::UnknownType(0o030_000))));
    }
}
