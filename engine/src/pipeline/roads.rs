//! The roads of files that take several reads: from the queueing of the first to the completion of the last.

use std::collections::HashMap;

use carrack_backends::read::Op;

/// A file whose last read is not complete.
struct Road {
    /// When its first read was queued, ns of the run's clock.
    begun_ns: u64,
    /// Reads that are queued or in flight.
    pending: usize,
    /// Whether its last read is among those that were queued.
    all_queued: bool,
}

/// Files of several reads that are under way, by their row. A file of one read needs no place here: its completion says
/// when it was queued.
#[derive(Default)]
pub(super) struct Roads(HashMap<u32, Road>);

impl Roads {
    /// A read is queued, not for the second time.
    pub(super) fn queued(&mut self, op: &Op, now_ns: u64) {
        let Op::Range { path, last, .. } = *op else { return };
        let road = self.0.entry(path.0).or_insert(Road { begun_ns: now_ns, pending: 0, all_queued: false });
        road.pending += 1;
        road.all_queued |= last;
    }

    /// A read is complete for good, which was first queued at `queued_ns`. When it is the last one of its file: when the
    /// first one was queued.
    pub(super) fn completed(&mut self, op: &Op, queued_ns: u64) -> Option<u64> {
        let Op::Range { path, .. } = op else { return Some(queued_ns) };
        let road = self.0.get_mut(&path.0)?;
        road.pending -= 1;
        if road.pending > 0 || !road.all_queued {
            return None;
        }
        self.0.remove(&path.0).map(|road| road.begun_ns)
    }
}

#[cfg(test)]
mod tests {
    use carrack_backends::path::PathId;

    use super::*;

    fn range(row: u32, last: bool) -> Op {
        Op::Range { path: PathId(row), offset: 0, last }
    }

    #[test]
    fn a_small_file_is_its_only_read() {
        let mut roads = Roads::default();
        let op = Op::Whole { path: PathId(1) };
        roads.queued(&op, 5);
        assert_eq!(roads.completed(&op, 5), Some(5));
        assert!(roads.0.is_empty());
    }

    #[test]
    fn a_large_file_ends_with_its_last_read_whatever_the_order_and_the_gaps() {
        let mut roads = Roads::default();
        roads.queued(&range(1, false), 10);
        assert_eq!(roads.completed(&range(1, false), 10), None, "its last read is not even queued");
        roads.queued(&range(1, false), 20);
        roads.queued(&range(1, true), 30);
        roads.queued(&range(2, true), 30);
        assert_eq!(roads.completed(&range(1, true), 30), None);
        assert_eq!(roads.completed(&range(2, true), 30), Some(30));
        assert_eq!(roads.completed(&range(1, false), 20), Some(10));
        assert!(roads.0.is_empty());
    }
}
