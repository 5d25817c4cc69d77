//! A few blocks that stand for all of them.
//!
//! What is drawn depends on the numbers alone, never on the clock or on chance.

/// `wanted` of `blocks` blocks, one from each of equal stretches, in an order in which any first part of them is spread over the
/// whole as well.
#[must_use]
pub fn draw(blocks: usize, wanted: usize) -> Vec<usize> {
    if wanted == 0 {
        return Vec::new();
    }
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut drawn: Vec<usize> = (0..wanted)
        .map(|at| {
            let (start, end) = (at * blocks / wanted, (at + 1) * blocks / wanted);
            start + random.below(end - start)
        })
        .collect();
    for at in (1..drawn.len()).rev() {
        drawn.swap(at, random.below(at + 1));
    }
    drawn
}

/// Numbers that are random enough to draw blocks by: splitmix64 (Sebastiano Vigna, public domain).
#[derive(Clone, Copy, Debug)]
pub struct Random(pub u64);

impl Random {
    /// Below `end`, or 0 when that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        if end == 0 { 0 } else { (mixed % end as u64) as usize }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_spread_over_the_whole() {
        for (blocks, wanted) in [(1, 1), (10, 10), (100, 7), (1000, 50)] {
            let mut drawn = draw(blocks, wanted);
            drawn.sort_unstable();
            for (at, block) in drawn.iter().enumerate() {
                assert!((at * blocks / wanted..(at + 1) * blocks / wanted).contains(block), "{block} of {blocks}");
            }
            assert_eq!(drawn.len(), wanted);
        }
        assert!(draw(0, 0).is_empty());
    }
}
