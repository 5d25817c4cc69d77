//! Numbers of variable length: LEB128, seven bits a byte, low bits first, in their shortest form.

/// Appends a number.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number: 0, −1, 1, −2, … become 0, 1, 2, 3, …
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, (value << 1 ^ value >> 63) as u64);
}

/// Takes a number off the front of `bytes`: `None` when they end within it, when it does not fit 64 bits, or when it
/// is longer than it need be.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (at, &byte) in bytes.iter().enumerate().take(10) {
        let bits = u64::from(byte & 0x7f);
        if at == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * at);
        if byte < 0x80 {
            if byte == 0 && at > 0 {
                return None;
            }
            *bytes = &bytes[at + 1..];
            return Some(value);
        }
    }
    None
}

/// The signed number that [`put_signed`] wrote as `value`.
pub(super) fn signed(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_at_every_length() {
        for bits in 0..=64u32 {
            let power = (1u128 << bits) as u64;
            for value in [power.wrapping_sub(1), power, power.wrapping_add(1)] {
                let mut bytes = Vec::new();
                put(&mut bytes, value);
                let mut rest = bytes.as_slice();
                assert_eq!((take(&mut rest), rest.len()), (Some(value), 0));
                for short in 0..bytes.len() {
                    assert_eq!(take(&mut &bytes[..short]), None, "{value} cut to {short}");
                }
            }
        }
        for value in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, value);
            assert_eq!(take(&mut bytes.as_slice()).map(signed), Some(value));
        }
    }

    #[test]
    fn a_number_has_one_form_only() {
        for bytes in [
            &[0x80, 0x00][..],
            &[0x81, 0x80, 0x00],
            &[0xff; 10],
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
        ] {
            assert_eq!(take(&mut &*bytes), None, "{bytes:02x?}");
        }
        assert_eq!(take(&mut [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01].as_slice()), Some(u64::MAX));
    }
}
