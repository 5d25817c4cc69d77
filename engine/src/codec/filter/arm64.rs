//! ARM64 code: distances in BL and ADRP instructions become places.
//!
//! The conversions are those of the ARM64 filter of xz 5.4 (Lasse Collin, Igor Pavlov; `liblzma/simple/arm64.c`, public
//! domain): the 26 bits of BL count instructions, the 21 bits of ADRP pages of 4 KiB; of the latter only distances of
//! less than 512 MiB are converted, so that values which are no instructions seldom change. New here is the phase: files
//! stand in a block without gaps, so instructions may begin at any of four places in a word.

/// An instruction that begins before a place ends at most this many bytes behind it.
pub(super) const REACH: usize = 3;

/// Distances become places.
pub(super) fn apply(bytes: &mut [u8], phase: usize) {
    convert(bytes, phase, u32::wrapping_add);
}

/// Places become distances.
pub(super) fn undo(bytes: &mut [u8], phase: usize) {
    convert(bytes, phase, u32::wrapping_sub);
}

fn convert(bytes: &mut [u8], phase: usize, turn: impl Fn(u32, u32) -> u32) {
    let Some(code) = bytes.get_mut(phase..) else { return };
    for (number, word) in code.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        // Blocks have at most 2^26 bytes.
        let place = number as u32;
        let value = u32::from_le_bytes(*word);
        if value >> 26 == 0x25 {
            *word = (0x9400_0000 | (turn(value, place) & 0x03FF_FFFF)).to_le_bytes();
        } else if value & 0x9F00_0000 == 0x9000_0000 {
            let pages = ((value >> 29) & 3) | ((value >> 3) & 0x001F_FFFC);
            if pages.wrapping_add(0x0002_0000) & 0x001C_0000 != 0 {
                continue;
            }
            let turned = turn(pages, place >> 10);
            let sign = 0_u32.wrapping_sub(turned & 0x0002_0000) & 0x00E0_0000;
            let parts = ((turned & 3) << 29) | ((turned & 0x0003_FFFC) << 3) | sign;
            *word = ((value & 0x9000_001F) | parts).to_le_bytes();
        }
    }
}

/// How many words of `bytes`, the first of them at `phase`, are a BL that leads less than 8 MiB away: a measure of how
/// much is ARM64 code. Code has some 15 in 1024 bytes, noise one in 4,000.
pub(super) fn calls(bytes: &[u8], phase: usize) -> usize {
    let words = bytes.get(phase..).unwrap_or_default().as_chunks::<4>().0;
    let is_call = |word: &&[u8; 4]| {
        let value = u32::from_le_bytes(**word);
        value >> 26 == 0x25 && (value.wrapping_add(1 << 21) & 0x03FF_FFFF) < 1 << 22
    };
    words.iter().filter(is_call).count()
}
