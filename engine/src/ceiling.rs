//! What an archive may come to: how much its contents, its entries and their proportion to the archive are at most, and
//! whether they fit where they are to be written.
//!
//! In: sums over rows, a ceiling, the space of a file system. Out: nothing, or an error that says both numbers. A few
//! hundred bytes can claim any number of bytes (holes; extents that name the same bytes over and over), so the claims are
//! added up before anything is decoded or written. It reads nothing itself.

use carrack_backends::tree::Space;

use crate::archive::Archive;
use crate::error::{Error, ErrorKind, Result};

/// How much an archive may come to; what is `None` is not bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ceiling {
    /// Bytes of content of all files together, holes included: they take no space, but time.
    pub size: Option<u64>,
    /// Entries.
    pub entries: Option<u64>,
    /// Bytes of content for each byte of the archive; also bytes of decoded blocks, which no honest archive has more of.
    pub ratio: Option<u64>,
}

impl Ceiling {
    /// What an archive of a stranger may come to: text and source code compress a tenth of this, and yet a MiB of archive is
    /// decoded in a fraction of a second, whatever it claims.
    pub const UNTRUSTED: Self = Self { size: None, entries: None, ratio: Some(200) };
    /// Memory that goes with it, bytes: an archive of a MiB is listed and verified in that, or refused.
    pub const UNTRUSTED_MEMORY: u64 = 64 << 20;

    /// Checks what the archive says of itself in its footer, which opening has read: the cheapest look. What the rows
    /// say is added up later, and has to agree.
    ///
    /// # Errors
    /// Of kind [`ErrorKind::TooLarge`].
    pub fn check_summary(&self, archive: &Archive) -> Result<()> {
        self.check_entries(archive, archive.len())?;
        self.check_size(archive, archive.summary().bytes)
    }

    /// Checks a number of entries.
    ///
    /// # Errors
    /// Of kind [`ErrorKind::TooLarge`].
    pub fn check_entries(&self, archive: &Archive, entries: u64) -> Result<()> {
        match self.entries {
            Some(most) if entries > most => Err(too_large(archive, "entries", entries, most)),
            _ => Ok(()),
        }
    }

    /// Checks a sum of sizes, bytes.
    ///
    /// # Errors
    /// Of kind [`ErrorKind::TooLarge`].
    pub fn check_size(&self, archive: &Archive, bytes: u64) -> Result<()> {
        if let Some(most) = self.size.filter(|&most| bytes > most) {
            return Err(too_large(archive, "bytes of content", bytes, most));
        }
        self.check_ratio(archive, "content", bytes)
    }

    /// Checks what all blocks together come to when they are decoded, bytes: an archive whose files name a few bytes of each
    /// costs no less time.
    ///
    /// # Errors
    /// Of kind [`ErrorKind::TooLarge`]; that the blocks table is damaged.
    pub fn check_blocks(&self, archive: &Archive) -> Result<()> {
        if self.ratio.is_none() {
            return Ok(());
        }
        let mut bytes = 0_u64;
        let sum = archive.index().for_each_block(&**archive.source(), |block| {
            bytes = bytes.saturating_add(block.raw_len.into());
            Ok(())
        });
        sum.map_err(|error| archive.error(error))?;
        self.check_ratio(archive, "decoded blocks", bytes)
    }

    fn check_ratio(&self, archive: &Archive, of: &str, bytes: u64) -> Result<()> {
        let len = archive.summary().archive_bytes;
        match self.ratio.map(|ratio| ratio.saturating_mul(len)) {
            Some(most) if bytes > most => {
                let what = format!("bytes of {of} from {len} bytes of archive");
                Err(too_large(archive, &what, bytes, most))
            }
            _ => Ok(()),
        }
    }
}

#[cold]
fn too_large(archive: &Archive, what: &str, found: u64, most: u64) -> Error {
    let name = archive.name();
    Error::new(
        ErrorKind::TooLarge,
        format!("{name}: {found} {what}, more than the {most} that were allowed; nothing was done"),
    )
}

/// Checks that `bytes` that are to be written fit. What `replaces` what is there may need no more than that gives free,
/// which nobody knows, so there it has to fit into the file system as a whole.
///
/// # Errors
/// Of kind [`ErrorKind::TooLarge`].
pub(crate) fn check_space(dest: &str, bytes: u64, replaces: bool, space: Option<Space>) -> Result<()> {
    let Some(Space { free, total }) = space else { return Ok(()) };
    let (has, what) = if replaces { (total, "in all") } else { (free, "free") };
    if bytes <= has {
        return Ok(());
    }
    let text = format!(
        "{dest}: {bytes} bytes are to be written (holes and hard links not counted), but its file system has {has} bytes \
         {what}; nothing was written. Where more fits than that, as with a file system that compresses, leave the check out"
    );
    Err(Error::new(ErrorKind::TooLarge, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_has_to_fit() {
        let space = Some(Space { free: 10, total: 100 });
        for (bytes, replaces, fits) in
            [(10, false, true), (11, false, false), (100, true, true), (101, true, false), (u64::MAX, true, false)]
        {
            let result = check_space("dest", bytes, replaces, space);
            assert_eq!(result.is_ok(), fits, "{bytes} {replaces}");
            check_space("dest", bytes, replaces, None).unwrap();
        }
    }
}
