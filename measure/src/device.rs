//! The block device below a folder, as `/sys` describes it.
//!
//! In: a path, and the device that its mount names. Out: [`Device`]; what could not be found is empty. Nothing here knows
//! what is measured.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// A block device and how the kernel queues requests for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Device {
    /// Its name in `/sys`: `vda`, `nvme0n1p2`. Empty: no block device was found (memory, a network, an overlay).
    pub name: String,
    /// Who puts its requests in order: `none`, `mq-deadline`, …
    pub scheduler: String,
    /// Largest request, KiB.
    pub max_sectors_kb: Option<u64>,
    /// How far the kernel reads ahead, KiB.
    pub read_ahead_kb: Option<u64>,
    /// Whether it says that it has a spinning disk.
    pub rotational: Option<bool>,
}

impl Device {
    /// The device that holds `path`: by the number that `stat` tells, or, where that belongs to no block device (btrfs),
    /// by `source`, the device that the mount names.
    #[must_use]
    pub fn below(path: &Path, source: &str) -> Self {
        let by_number = fs::metadata(path).ok().and_then(|meta| Self::numbered(meta.dev()));
        let by_source = || {
            let source = Some(source).filter(|source| source.starts_with("/dev/"))?;
            Self::numbered(fs::metadata(source).ok()?.rdev())
        };
        by_number.or_else(by_source).unwrap_or_default()
    }

    fn numbered(number: u64) -> Option<Self> {
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        let folder = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
        Some(Self::at(&folder))
    }

    /// A partition has no queue of its own: its disk, the folder above it, has.
    fn at(folder: &Path) -> Self {
        let queue = [folder.join("queue"), folder.join("../queue")].into_iter().find(|queue| queue.is_dir());
        let queue = queue.unwrap_or_else(|| PathBuf::from("/nonexistent"));
        let word = |name: &str| fs::read_to_string(queue.join(name)).unwrap_or_default().trim().to_owned();
        let number = |name: &str| word(name).parse().ok();
        Self {
            name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            scheduler: crate::host::chosen(&word("scheduler")),
            max_sectors_kb: number("max_sectors_kb"),
            read_ahead_kb: number("read_ahead_kb"),
            rotational: number("rotational").map(|is| is != 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_described_by_the_queue_of_its_disk() {
        let sys = tempfile::tempdir().unwrap();
        let (disk, partition) = (sys.path().join("sda"), sys.path().join("sda/sda1"));
        fs::create_dir_all(disk.join("queue")).unwrap();
        fs::create_dir(&partition).unwrap();
        let facts = [("scheduler", "none [bfq]\n"), ("max_sectors_kb", "1280\n"), ("read_ahead_kb", "128\n")];
        for (name, text) in facts {
            fs::write(disk.join("queue").join(name), text).unwrap();
        }
        let queue = |device: &Device| (device.scheduler.clone(), device.max_sectors_kb, device.read_ahead_kb);
        let found = [Device::at(&disk), Device::at(&partition)];
        assert_eq!([&*found[0].name, &*found[1].name], ["sda", "sda1"]);
        assert_eq!(queue(&found[0]), ("bfq".to_owned(), Some(1280), Some(128)));
        assert_eq!(queue(&found[0]), queue(&found[1]));
        assert_eq!(found[0].rotational, None);
    }

    #[test]
    fn what_lies_on_no_disk_has_no_device() {
        assert_eq!(Device::below(Path::new("/proc"), "proc"), Device::default());
        assert_eq!(Device::below(Path::new("/no/such/folder"), "/dev/no-such-device"), Device::default());
    }
}
