//! All rows of an archive, read and decoded by several threads.

use super::Archive;
use crate::error::Result;
use crate::index::{Batch, Order};
use crate::restore::{Workers, rows};

impl Archive {
    /// Calls `each` for every row, given as its batch and its place there, in order, while `workers` read and decode the next
    /// ones; behind the last row of a batch it calls `take` with what `make` made of the batch on a worker.
    ///
    /// # Errors
    /// When the index is damaged, and what `each` and `take` say: of several errors always the same one.
    pub(crate) fn for_each_with<T: Send>(
        &self,
        workers: &Workers,
        make: impl Fn(&Batch) -> T + Sync,
        mut each: impl FnMut(&Batch, usize) -> Result<()>,
        mut take: impl FnMut(T) -> Result<()>,
    ) -> Result<()> {
        let mut order = Order::default();
        rows::in_order(self.index(), &**self.source(), workers, make, |made| {
            let (batch, made) = made.map_err(|error| self.error(error))?;
            for at in 0..batch.len() {
                order.check(self.index(), &batch.outline(at), &batch).map_err(|error| self.error(error))?;
                each(&batch, at)?;
            }
            take(made)
        })
    }
}
