//! Reading alone: a whole plan through one backend into slots that are free again at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use carrack_backends::arena::Arena;
use carrack_backends::clock::now_ns;
use carrack_backends::path::{PathId, PathTable};
use carrack_backends::read::choose::{IoChoice, ReadOptions, open_backend};
use carrack_backends::read::{Op, Request};
use carrack_engine::plan::{ChunkKind, Plan};
use carrack_measure::error::{Context, Result};

/// Slots beside those that workers hold, as the engine has them by default.
const SLOTS: usize = 8;

/// ns from the making of the slots until the last byte is in one of them; `None` where this machine does not have the
/// backend. Files that cannot be read cost what it costs to find that out.
pub(super) fn run(io: IoChoice, paths: &Arc<PathTable>, plan: &Plan, threads: usize) -> Result<Option<u64>> {
    let options = ReadOptions { choice: io, ..ReadOptions::default() };
    let Ok((mut backend, _)) = open_backend(&options) else { return Ok(None) };
    let slots = (2 * threads + 4).max(SLOTS).min(plan.blocks().max(2));
    let begun = Instant::now();
    let arena = Arena::new(u32::try_from(slots).unwrap_or(u32::MAX), plan.block_size() as usize).doing("make slots")?;
    backend.attach(&arena, paths).doing(format!("attach {io}"))?;
    let (mut queue, mut out) = (VecDeque::new(), Vec::new());
    let (mut next, mut slot) = (0, 0);
    while next < plan.blocks() || !queue.is_empty() || backend.in_flight() > 0 {
        // A slot is free again when all reads into it are done.
        while next < plan.blocks()
            && queue.len() < backend.caps().depth
            && let Some(mut room) = arena.lease(slot)
        {
            for chunk in plan.chunks()[plan.block(next)].iter().filter(|chunk| chunk.kind() == ChunkKind::Data) {
                let rest = room.split_off(chunk.len() as usize);
                let buf = std::mem::replace(&mut room, rest);
                let path = PathId(chunk.row());
                let op = match chunk.is_whole() {
                    true => Op::Whole { path },
                    false => Op::Range { path, offset: chunk.offset(), last: chunk.is_last_data() },
                };
                queue.push_back(Request { tag: 0, op, buf, queued_ns: now_ns() });
            }
            next += 1;
            slot = (slot + 1) % arena.slots();
        }
        backend.submit(&mut queue).doing(format!("read with {io}"))?;
        backend.reap(1, None, &mut out).doing(format!("read with {io}"))?;
        out.clear();
    }
    Ok(Some(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)))
}
