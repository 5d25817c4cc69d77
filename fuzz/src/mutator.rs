//! How inputs that are archives are changed: a part of one at a time, with the digests around it right again.
//!
//! Without that, nothing would get past the first digest: readers prove bytes before they look at them.

use carrack_engine::container::frame::{HEADER_LEN, MAGIC};
use carrack_engine::container::seal::SEAL_LEN;

use crate::parts::{Message, Parts, check, reseal, seal_offset};

/// Changes `size` bytes of a buffer, which has room for more, and says how many there are then: what libFuzzer does to an
/// input that it knows nothing of.
pub type Raw<'a> = &'a mut dyn FnMut(&mut [u8], usize) -> usize;

/// Changes an archive, which is the first `size` bytes of `data`, and says how long it is then. In one of eight cases
/// nothing is put right afterwards, in one the footer is changed and sealed again, in the others a part is changed and the
/// archive written anew around it.
pub fn mutate(data: &mut [u8], size: usize, seed: u32, raw: Raw<'_>) -> usize {
    let (how, seed) = (seed % 8, seed / 8);
    let parts = if how < 2 { None } else { Parts::parse(&data[..size]) };
    let Some(mut parts) = parts else {
        if how != 1 {
            return raw(data, size);
        }
        if let Some(at) = seal_offset(&data[..size]).map(|at| at + SEAL_LEN) {
            in_place(&mut data[at..size - 10], raw);
            reseal(&mut data[..size]);
        }
        return size;
    };
    change(&mut parts, seed, raw);
    let written = parts.write();
    match data.get_mut(..written.len()) {
        Some(place) => {
            place.copy_from_slice(&written);
            written.len()
        }
        None => raw(data, size),
    }
}

fn change(parts: &mut Parts, seed: u32, raw: Raw<'_>) {
    let (part, seed) = (seed % 16, seed as usize / 16);
    match part {
        0..=3 => frame(&mut parts.frames, seed, raw),
        4..=6 => message(&mut parts.blocks, seed, raw),
        7..=11 => message(&mut parts.entries, seed, raw),
        12 => {
            let text = resized(parts.manifest.to_string().as_bytes(), raw);
            // What is no JSON any more stands in the footer as it is.
            match serde_json::from_slice(&text) {
                Ok(manifest @ serde_json::Value::Object(_)) => parts.manifest = manifest,
                _ => parts.lies[0] = String::from_utf8(text).ok(),
            }
        }
        13 => list(&mut parts.entries, seed, raw),
        14 => list(&mut parts.blocks, seed, raw),
        _ if parts.entries.len() > 1 && seed.is_multiple_of(2) => {
            let (at, with) = (seed % parts.entries.len(), seed / 7 % parts.entries.len());
            parts.entries.swap(at, with);
        }
        _ => in_place(&mut parts.seal, raw),
    }
}

/// Changes a frame, without moving any other: its header, or all of it.
fn frame(frames: &mut [u8], seed: usize, raw: Raw<'_>) {
    let starts: Vec<usize> = memchr::memmem::find_iter(frames, &MAGIC).collect();
    let Some(&at) = starts.get(seed % starts.len().max(1)) else { return };
    let end = starts.iter().copied().find(|&start| start > at).unwrap_or(frames.len());
    let frame = &mut frames[at..end];
    if frame.len() < HEADER_LEN {
        return;
    }
    match seed / 64 % 3 {
        0 => in_place(&mut frame[24..64], raw),
        1 => in_place(&mut frame[HEADER_LEN..], raw),
        _ => in_place(&mut frame[MAGIC.len()..], raw),
    }
    check(frame);
}

/// Changes a batch: what it says of its buffers, or what is in them.
fn message(messages: &mut [Message], seed: usize, raw: Raw<'_>) {
    let count = messages.len();
    let Some(message) = messages.get_mut(seed % count.max(1)) else { return };
    let bytes = &mut message.bytes;
    let metadata_len =
        bytes.get(4..8).map_or(0, |len| u32::from_le_bytes([len[0], len[1], len[2], len[3]]) as usize + 8);
    let body = metadata_len.min(bytes.len());
    match seed / 64 % 4 {
        0 => in_place(&mut bytes[..body], raw),
        _ => in_place(&mut bytes[body..], raw),
    }
}

/// Changes what the list of batches says of one of them.
fn list(messages: &mut [Message], seed: usize, raw: Raw<'_>) {
    let count = messages.len();
    let Some(message) = messages.get_mut(seed % count.max(1)) else { return };
    let value = if (seed / 64).is_multiple_of(2) { &mut message.rows } else { &mut message.first };
    if let Ok(changed) = serde_json::from_slice(&resized(value.to_string().as_bytes(), raw)) {
        *value = changed;
    }
}

/// Changes some bytes, but not how many they are.
fn in_place(bytes: &mut [u8], raw: Raw<'_>) {
    if !bytes.is_empty() {
        raw(bytes, bytes.len());
    }
}

/// The bytes changed, and perhaps some more or fewer of them.
fn resized(bytes: &[u8], raw: Raw<'_>) -> Vec<u8> {
    let mut room = bytes.to_vec();
    room.resize(bytes.len() + 32, 0);
    let len = raw(&mut room, bytes.len());
    room.truncate(len);
    room
}
