//! Writes several buffers as one run of bytes, through calls that may take fewer than they were given.
//!
//! What flows in: buffers and a function that writes some of them. What flows out: everything written, or an error.
//! What it does not know: where the bytes go.

use std::io::{self, IoSlice};

/// How many buffers go into one call. Frames are made of four; the kernel takes 1024 at most.
const SLICES: usize = 16;

/// Calls `write` with what is left and how many bytes are done, until nothing is left. Interrupted calls are made
/// again.
pub(super) fn write_all(
    mut parts: &[&[u8]],
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> io::Result<usize>,
) -> io::Result<u64> {
    let mut at = 0; // Bytes of the first part that are done.
    let mut done = 0u64;
    loop {
        while let Some((first, rest)) = parts.split_first()
            && at >= first.len()
        {
            (parts, at) = (rest, 0);
        }
        if parts.is_empty() {
            return Ok(done);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = parts.len().min(SLICES);
        for (slice, part) in slices.iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
        }
        slices[0] = IoSlice::new(&parts[0][at..]);
        let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        match write(&slices[..count], done) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(taken) => {
                let mut taken = taken.min(offered); // A writer that claims more than it was given is not believed.
                done += taken as u64;
                while taken > 0 {
                    let step = taken.min(parts[0].len() - at);
                    taken -= step;
                    at += step;
                    if at == parts[0].len() {
                        (parts, at) = (&parts[1..], 0);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// Whatever the sizes of the parts and of the steps that the writer takes, the bytes arrive in order.
        #[test]
        fn short_and_interrupted_writes_lose_nothing(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..40),
            steps in prop::collection::vec(0usize..50, 1..20),
        ) {
            let mut got = Vec::new();
            let mut steps = steps.iter().cycle().copied();
            let mut interrupted = false;
            let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let done = write_all(&slices, |slices, done| {
                assert_eq!(done, got.len() as u64);
                assert!(!slices.is_empty() && slices.len() <= SLICES && !slices[0].is_empty());
                let step = steps.next().unwrap();
                if step == 0 && !interrupted {
                    interrupted = true;
                    return Err(io::ErrorKind::Interrupted.into());
                }
                interrupted = false;
                let offered: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
                let step = step.max(1).min(offered.len());
                got.extend_from_slice(&offered[..step]);
                Ok(step)
            }).unwrap();
            let want = parts.concat();
            prop_assert_eq!(done, want.len() as u64);
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn a_writer_that_takes_nothing_is_an_error_and_empty_parts_never_ask_it() {
        assert_eq!(write_all(&[b"x"], |_, _| Ok(0)).unwrap_err().kind(), io::ErrorKind::WriteZero);
        assert_eq!(write_all(&[b"", b""], |_, _| panic!("nothing to write")).unwrap(), 0);
        assert_eq!(write_all(&[b"ab", b"c"], |_, _| Ok(usize::MAX)).unwrap(), 3);
    }
}
