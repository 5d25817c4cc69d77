//! Looking at a few places of a block instead of all of it.
//!
//! What flows in: a block's bytes. What flows out: pieces of it, evenly spread, the first at its start and the last near
//! its end, each at a multiple of 16. Nothing here depends on anything but the length.

/// `count` pieces of `len` bytes (not 0) each, or fewer where they would overlap.
pub(super) fn pieces(raw: &[u8], count: usize, len: usize) -> impl Iterator<Item = &[u8]> {
    let room = raw.len().saturating_sub(len);
    let count = count.min(raw.len() / len).max(1);
    (0..count).map(move |number| {
        let start = (room * number / (count - 1).max(1)) & !15;
        &raw[start..raw.len().min(start + len)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_both_ends_and_stay_inside() {
        let raw: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        for len in [0, 1, 9, 10, 11, 1000, 100_000] {
            let raw = &raw[..len];
            let found: Vec<&[u8]> = pieces(raw, 7, 10).collect();
            assert_eq!(found.len(), if len < 20 { 1 } else { 7 }, "{len}");
            assert_eq!(found[0], &raw[..len.min(10)]);
            let last = if len < 20 { 0 } else { (len - 10) & !15 };
            assert_eq!(found[found.len() - 1], &raw[last..len.min(last + 10)]);
        }
    }
}
