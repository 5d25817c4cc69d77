//! x86 code: distances in instructions become places.
//!
//! A call names its target by the distance from the instruction behind it, so that each call of one function looks
//! different. Distance plus own place is the same for all of them, and a codec finds it again. The idea is that of the
//! BCJ filter of 7-Zip and xz (Igor Pavlov; public domain), which converts CALL (E8) and JMP (E9). What is converted
//! here besides is addressing relative to the instruction pointer, by which 64-bit code reaches all its data: that
//! gives up to 5% more. Conditional jumps (0F 8x) stay: they lead to places nearby, whose distances repeat.
//!
//! Converted are four bytes that stand behind
//! - E8 or E9;
//! - a ModRM byte 00xxx101 (memory at a distance) which follows 8B, 8D or 89 (MOV and LEA); or one of 03, 2B, 33, 39,
//!   3B, 63, 85 with a REX prefix (4x) before that; or 0F and one of 10 to 7F (moves and arithmetic of SSE);
//!
//! if they are a distance of less than 16 MiB: as a number of 32 bits, little-endian, their top byte is 00 or FF. They
//! become `distance + place of the byte behind them`, modulo 2^25 and sign-extended, so that their top byte is 00 or FF
//! again: whoever undoes it finds the same places. Scanning goes on behind the four bytes; where they are no such distance,
//! at the last of them. What looks like an
//! instruction and is none does no harm but to compression. The last byte of what stands in front of the four must have
//! at least four bytes behind it in the block.

/// An instruction that begins before a place is known with all that is converted of it, this many bytes behind it.
pub(super) const REACH: usize = 4;

/// Distances become places.
pub(super) fn apply(bytes: &mut [u8]) {
    convert(bytes, u32::wrapping_add);
}

/// Places become distances.
pub(super) fn undo(bytes: &mut [u8]) {
    convert(bytes, u32::wrapping_sub);
}

#[inline(always)]
fn convert(bytes: &mut [u8], turn: impl Fn(u32, u32) -> u32) {
    let end = bytes.len().saturating_sub(4);
    let mut at = 0;
    while at < end {
        if !is_in_front(bytes, at) {
            at += 1;
            continue;
        }
        let Some(four) = bytes[at + 1..].first_chunk_mut::<4>() else { return };
        let value = u32::from_le_bytes(*four);
        if !is_near(value) {
            // Nothing that is converted may reach into these four bytes: whoever undoes it must find them as they are.
            at += 4;
            continue;
        }
        // Blocks have at most 2^26 bytes.
        let turned = turn(value, (at + 5) as u32);
        let extended = (turned << 7).cast_signed() >> 7;
        *four = extended.to_le_bytes();
        at += 5;
    }
}

/// Whether a distance of four bytes may stand behind the byte at `at`.
#[inline(always)]
fn is_in_front(bytes: &[u8], at: usize) -> bool {
    let byte = bytes[at];
    if byte & 0xFE == 0xE8 {
        return true;
    }
    if byte & 0xC7 != 0x05 || at < 2 {
        return false;
    }
    match (bytes[at - 2], bytes[at - 1]) {
        (_, 0x8B | 0x8D | 0x89) | (0x0F, 0x10..0x80) => true,
        (before, 0x03 | 0x2B | 0x33 | 0x39 | 0x3B | 0x63 | 0x85) => before & 0xF0 == 0x40,
        _ => false,
    }
}

/// Whether a value is a distance that is converted: its top byte is 00 or FF.
#[inline(always)]
fn is_near(value: u32) -> bool {
    value.wrapping_add(1 << 24) < 1 << 25
}

/// How many bytes look like the start of a call or jump (E8, E9) that leads somewhere near, but not next to it: a
/// measure of how much of `bytes` is x86 code. Code has some 20 in 1024 bytes, noise one in 16,000.
pub(super) fn calls(bytes: &[u8]) -> usize {
    bytes
        .windows(5)
        .filter(|five| {
            let value = u32::from_le_bytes([five[1], five[2], five[3], five[4]]);
            five[0] & 0xFE == 0xE8 && is_near(value) && value.wrapping_add(1 << 8) >= 1 << 9
        })
        .count()
}
