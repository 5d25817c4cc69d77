//! What each target does with its input. Whatever breaks a promise panics.

pub mod archive;
pub mod codecs;
pub mod config;
pub mod differential;
pub mod head;
pub mod index;
pub mod paths;
pub mod salvage;

/// What a target does with an input.
pub type Check = fn(&[u8]);

/// Every target with its name.
pub const ALL: [(&str, Check); 8] = [
    ("head", head::check),
    ("index", index::check),
    ("archive", archive::check),
    ("salvage", salvage::check),
    ("codecs", codecs::check),
    ("paths", paths::check),
    ("config", config::check),
    ("differential", differential::check),
];

/// Bytes of an input, taken from its front: once they are all gone, zeros.
#[derive(Debug)]
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    /// The next byte.
    pub(crate) fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((byte, rest)) => {
                self.0 = rest;
                *byte
            }
            None => 0,
        }
    }

    /// A number of two bytes.
    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// The next bytes, so many or what is left.
    pub(crate) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// One of some values.
    pub(crate) fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[usize::from(self.byte()) % values.len()]
    }
}
