//! Delta: each byte less the one some bytes before, modulo 256. What changes slowly (samples of sound, pixels, counters)
//! becomes small numbers, which are often the same.
//!
//! The first `stride` bytes stay as they are. Bytewise, like the delta filter of xz (`liblzma/delta`): no carries between
//! the bytes of a value, so it need not be known how long a value is or which end comes first.

/// Each byte less the one `stride` (1 to 16) before.
pub(super) fn apply(bytes: &mut [u8], stride: usize) {
    with_stride!(stride, apply_by(bytes));
}

/// Undoes [`apply`].
pub(super) fn undo(bytes: &mut [u8], stride: usize) {
    with_stride!(stride, undo_by(bytes));
}

/// Calls `$function::<N>` with the stride as a constant: the bytes of a group are then handled at once.
macro_rules! with_stride {
    ($stride:expr, $function:ident($bytes:expr)) => {
        with_stride!(@ $stride, $function, $bytes, 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16)
    };
    (@ $stride:expr, $function:ident, $bytes:expr, $($n:literal)*) => {
        match $stride {
            $($n => $function::<$n>($bytes),)*
            other => unreachable!("no filter has the stride {other}"),
        }
    };
}
use with_stride;

fn apply_by<const N: usize>(bytes: &mut [u8]) {
    let mut before = [0; N];
    let (groups, rest) = bytes.as_chunks_mut::<N>();
    for group in groups {
        let raw = *group;
        for at in 0..N {
            group[at] = raw[at].wrapping_sub(before[at]);
        }
        before = raw;
    }
    for (byte, before) in rest.iter_mut().zip(before) {
        *byte = byte.wrapping_sub(before);
    }
}

fn undo_by<const N: usize>(bytes: &mut [u8]) {
    let mut sum = [0_u8; N];
    let (groups, rest) = bytes.as_chunks_mut::<N>();
    for group in groups {
        for at in 0..N {
            sum[at] = sum[at].wrapping_add(group[at]);
        }
        *group = sum;
    }
    for (byte, sum) in rest.iter_mut().zip(sum) {
        *byte = byte.wrapping_add(sum);
    }
}
