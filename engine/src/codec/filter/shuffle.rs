//! Byte shuffle: the first bytes of all values, then the second bytes of all, and so on. In arrays of numbers the upper
//! bytes hardly change from value to value; put side by side they are long runs.
//!
//! As in HDF5 and Blosc (Francesc Alted): a block of `n` values of `width` bytes is transposed as a matrix of `n` rows; what
//! is left at the end, less than one value, stays where it is. Values may begin anywhere: another phase only renames
//! the rows.

/// Transposes values of `width` (2 to 16) bytes; through `spare`.
pub(super) fn apply(bytes: &mut [u8], width: usize, spare: &mut [u8]) {
    let values = bytes.len() / width;
    let source = copied(bytes, values * width, spare);
    match width {
        2 => split::<2>(source, bytes),
        4 => split::<4>(source, bytes),
        8 => split::<8>(source, bytes),
        _ => {
            for (at, value) in source.chunks_exact(width).enumerate() {
                for (row, &byte) in value.iter().enumerate() {
                    bytes[row * values + at] = byte;
                }
            }
        }
    }
}

/// Undoes [`apply`]: needs the whole block.
pub(super) fn undo(bytes: &mut [u8], width: usize, spare: &mut [u8]) {
    let values = bytes.len() / width;
    let source = copied(bytes, values * width, spare);
    match width {
        2 => join::<2>(source, bytes),
        4 => join::<4>(source, bytes),
        8 => join::<8>(source, bytes),
        _ => {
            for (at, value) in bytes.chunks_exact_mut(width).enumerate() {
                for (row, byte) in value.iter_mut().enumerate() {
                    *byte = source[row * values + at];
                }
            }
        }
    }
}

/// The first `len` bytes, in `spare`.
fn copied<'a>(bytes: &[u8], len: usize, spare: &'a mut [u8]) -> &'a [u8] {
    let copy = &mut spare[..len];
    copy.copy_from_slice(&bytes[..len]);
    copy
}

fn split<const N: usize>(source: &[u8], bytes: &mut [u8]) {
    let values = source.as_chunks::<N>().0;
    for row in 0..N {
        let to = &mut bytes[row * values.len()..][..values.len()];
        for (to, value) in to.iter_mut().zip(values) {
            *to = value[row];
        }
    }
}

fn join<const N: usize>(source: &[u8], bytes: &mut [u8]) {
    let values = source.len() / N;
    let rows: [&[u8]; N] = std::array::from_fn(|row| &source[row * values..][..values]);
    for (at, value) in bytes.as_chunks_mut::<N>().0.iter_mut().enumerate() {
        *value = std::array::from_fn(|row| rows[row][at]);
    }
}
