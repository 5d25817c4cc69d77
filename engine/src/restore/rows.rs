//! All rows of an archive in order, their batches read, proved and decoded by the workers.
//!
//! In: an open index, what to make of each batch. Out: the batches, one after the other, on the caller's thread, where rows
//! are checked against those before. The first error is the same whatever the workers: each batch's comes when all rows
//! before it have passed.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;

use super::Workers;
use crate::container::source::Source;
use crate::index::{Batch, Index, IndexError};

/// What became of a batch, or why its task panicked.
type Made<T> = Result<Result<(Batch, T), IndexError>, Box<dyn Any + Send>>;

/// Hands every batch of entries to `take`, in order, with what `make` made of it on one of the workers. Stops at the first
/// error that `take` gives back, its own or the one it was handed. One batch more than there are workers is under way at
/// most.
///
/// # Errors
/// What `take` says.
///
/// # Panics
/// When `make` does, or decoding a batch: the panic goes on here.
pub fn in_order<T: Send, E>(
    index: &Index,
    source: &dyn Source,
    workers: &Workers,
    make: impl Fn(&Batch) -> T + Sync,
    mut take: impl FnMut(Result<(Batch, T), IndexError>) -> Result<(), E>,
) -> Result<(), E> {
    let read = |number| index.entries_batch(source, number).map(|batch| (make(&batch), batch)).map(|(t, b)| (b, t));
    let batches = index.entries_batches();
    let ahead = workers.count() + 1;
    if batches == 1 {
        return take(read(0));
    }
    let (send, received) = mpsc::channel::<(usize, Made<T>)>();
    workers.pool().in_place_scope_fifo(|scope| {
        let spawn = |number| {
            let (send, read) = (send.clone(), &read);
            scope.spawn_fifo(move |_| {
                // Nobody listens any more when an error came first.
                let _ = send.send((number, catch_unwind(AssertUnwindSafe(|| read(number)))));
            });
        };
        (0..batches.min(ahead)).for_each(&spawn);
        let mut early = BTreeMap::new();
        for number in 0..batches {
            while !early.contains_key(&number) {
                let (number, made) = received.recv().expect("a sender is at hand here");
                early.insert(number, made);
            }
            let made = early.remove(&number).expect("it has come");
            take(made.unwrap_or_else(|panic| resume_unwind(panic)))?;
            if number + ahead < batches {
                spawn(number + ahead);
            }
        }
        Ok(())
    })
}
