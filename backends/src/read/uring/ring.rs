//! One submission and completion ring: set-up, entering the kernel, and the buffers registered with it.
//!
//! What flows in: submission entries. What flows out: completion entries as (user data, result).
//! What it does not know: files, jobs, what an entry is for.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use io_uring::squeue::Entry;
use io_uring::{IoUring, opcode, types};

use crate::arena::{Arena, Lease};

/// The kernel refuses to register a longer buffer than this, in bytes.
const REGISTERED_BUFFER_MAX: usize = 1 << 30;

/// How many buffers the kernel lets a ring register.
const REGISTERED_BUFFERS_MAX: usize = 1 << 14;

/// How long to stay away when the kernel is short of memory for requests, or its queue is full.
const BUSY_PAUSE: Duration = Duration::from_millis(1);

/// What a read reads from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// An ordinary descriptor.
    Fd(std::os::fd::RawFd),
    /// A place in the ring's own table of files.
    Fixed(u32),
}

/// A ring and what is registered with it.
///
/// No `SINGLE_ISSUER` and no `DEFER_TASKRUN`: measured on small files, hot and cold, they gain nothing, cost two more
/// kernel entries a batch, and would bind the ring to one thread; so a backend may be made, used and dropped wherever
/// its owner likes.
pub(super) struct Ring {
    ring: IoUring,
    registered: Option<Registered>,
}

/// The arena as the kernel knows it: consecutive buffers of `chunk` bytes.
struct Registered {
    /// Kept so that no other memory can come to stand at the registered addresses.
    arena: Arc<Arena>,
    chunk: usize,
}

impl Ring {
    /// Sets up a ring with room for `entries` submissions, with as many helpful flags as the kernel knows.
    ///
    /// # Errors
    /// What `io_uring_setup` says.
    pub(super) fn new(entries: u32) -> io::Result<Self> {
        let refused = |error: &io::Error| error.raw_os_error() == Some(libc::EINVAL);
        let ring = match IoUring::builder().setup_coop_taskrun().setup_taskrun_flag().setup_submit_all().build(entries)
        {
            // Linux before 5.19 knows not all of these; none of them changes what comes out.
            Err(error) if refused(&error) => match IoUring::builder().setup_submit_all().build(entries) {
                Err(error) if refused(&error) => IoUring::builder().build(entries),
                other => other,
            },
            other => other,
        }?;
        Ok(Self { ring, registered: None })
    }

    /// For registering and probing.
    pub(super) fn raw(&self) -> &IoUring {
        &self.ring
    }

    /// Queues entries that belong together: either all of them go to the kernel with one submission or none.
    ///
    /// # Errors
    /// When the queue is full and the kernel takes nothing from it.
    ///
    /// # Safety
    /// Descriptors, names and buffers that the entries point to must stay valid until they complete (names: until
    /// they are submitted), and nobody else may touch the buffers until then.
    pub(super) unsafe fn push(&mut self, entries: &[Entry]) -> io::Result<()> {
        for _ in 0..1000 {
            // SAFETY: handed through to the caller.
            if unsafe { self.ring.submission().push_multiple(entries) }.is_ok() {
                return Ok(());
            }
            self.submit()?;
        }
        Err(io::Error::new(io::ErrorKind::WouldBlock, "io_uring: the kernel takes no submissions"))
    }

    /// Whether entering the kernel would bring something: submissions queued here, completions queued there.
    pub(super) fn wants_entry(&mut self) -> bool {
        let queue = self.ring.submission();
        !queue.is_empty() || queue.taskrun() || queue.cq_overflow()
    }

    /// Hands what is queued to the kernel, without waiting for it.
    ///
    /// # Errors
    /// What `io_uring_enter` says, unless trying again later helps.
    pub(super) fn submit(&mut self) -> io::Result<()> {
        loop {
            match self.ring.submit() {
                Ok(_) => return Ok(()),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    // What stays in the queue goes with the next entry.
                    Some(libc::EAGAIN | libc::EBUSY) => {
                        std::thread::sleep(BUSY_PAUSE);
                        return Ok(());
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    /// Hands what is queued to the kernel and waits until `want` completions are there, `timeout` has passed or a
    /// signal came.
    ///
    /// # Errors
    /// What `io_uring_enter` says, unless trying again later helps.
    pub(super) fn wait(&mut self, want: usize, timeout: Duration) -> io::Result<()> {
        let timeout = types::Timespec::from(timeout);
        let args = types::SubmitArgs::new().timespec(&timeout);
        match self.ring.submitter().submit_with_args(want, &args) {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                Some(libc::ETIME | libc::EINTR) => Ok(()),
                Some(libc::EAGAIN | libc::EBUSY) => {
                    std::thread::sleep(BUSY_PAUSE);
                    Ok(())
                }
                _ => Err(error),
            },
        }
    }

    /// Appends all completions that are there.
    pub(super) fn harvest(&mut self, into: &mut Vec<(u64, i32)>) {
        into.extend(self.ring.completion().map(|entry| (entry.user_data(), entry.result())));
    }

    /// Registers a table of `places` files, all empty, for direct descriptors.
    ///
    /// # Errors
    /// What `io_uring_register` says.
    pub(super) fn register_places(&self, places: u32) -> io::Result<()> {
        let submitter = self.ring.submitter();
        match submitter.register_files_sparse(places) {
            // Before Linux 5.19 an empty table is one of invalid descriptors.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                submitter.register_files(&vec![-1; places as usize])
            }
            other => other,
        }
    }

    /// Empties one place of the table of files.
    pub(super) fn clear_place(&self, place: u32) {
        // Nothing more can be done when even this fails: the next open into this place replaces what is there.
        let _ = self.ring.submitter().register_files_update(place, &[-1]);
    }

    /// Registers the whole arena, in pieces of at most 1 GiB that hold whole slots where a slot is not longer.
    ///
    /// # Errors
    /// What `io_uring_register` says (`ENOMEM`: more than `RLIMIT_MEMLOCK`); `InvalidInput` for too many pieces.
    pub(super) fn register_arena(&mut self, arena: &Arc<Arena>) -> io::Result<()> {
        let (start, len) = arena.extent();
        let chunk = chunk_len(arena.slot_size(), REGISTERED_BUFFER_MAX);
        if len.div_ceil(chunk) > REGISTERED_BUFFERS_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{len} bytes are more than it can hold")));
        }
        let pieces: Vec<libc::iovec> = (0..len)
            .step_by(chunk)
            .map(|at| libc::iovec { iov_base: start.wrapping_add(at).cast(), iov_len: chunk.min(len - at) })
            .collect();
        // SAFETY: the pieces lie within the arena's one allocation, which `registered` keeps alive as long as the
        // ring. Registering writes nothing; who may have the kernel write where is governed by leases.
        unsafe { self.ring.submitter().register_buffers(&pieces) }?;
        self.registered = Some(Registered { arena: Arc::clone(arena), chunk });
        Ok(())
    }

    /// Leaves the registered memory as it is, for ever: the kernel may still be writing to it.
    pub(super) fn abandon(&mut self) {
        std::mem::forget(self.registered.take());
    }

    /// Number of the registered buffer that holds the whole lease, if there is one.
    pub(super) fn buffer_of(&self, lease: &Lease) -> Option<u16> {
        let registered = self.registered.as_ref()?;
        if !Arc::ptr_eq(&registered.arena, lease.arena()) {
            return None;
        }
        let first = lease.arena_offset() / registered.chunk;
        let last = (lease.arena_offset() + lease.len().max(1) - 1) / registered.chunk;
        u16::try_from(first).ok().filter(|_| first == last)
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if self.registered.is_some() {
            // Closing a ring frees its locked memory later, from a kernel thread; this way it is free for the next one.
            let _ = self.ring.submitter().unregister_buffers();
        }
    }
}

/// The longest multiple of `slot_size` within `max`, or `max` where a slot is longer than that.
fn chunk_len(slot_size: usize, max: usize) -> usize {
    if slot_size > max { max } else { max - max % slot_size }
}

/// A read of `len` bytes at `offset` of `target` to `at`, which lies in the registered buffer `buffer` if there is one.
pub(super) fn read_entry(target: Target, at: *mut u8, len: u32, offset: u64, buffer: Option<u16>) -> Entry {
    match (target, buffer) {
        (Target::Fd(fd), None) => opcode::Read::new(types::Fd(fd), at, len).offset(offset).build(),
        (Target::Fixed(place), None) => opcode::Read::new(types::Fixed(place), at, len).offset(offset).build(),
        (Target::Fd(fd), Some(buffer)) => opcode::ReadFixed::new(types::Fd(fd), at, len, buffer).offset(offset).build(),
        (Target::Fixed(place), Some(buffer)) => {
            opcode::ReadFixed::new(types::Fixed(place), at, len, buffer).offset(offset).build()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registered_pieces_hold_whole_slots() {
        assert_eq!(chunk_len(3 << 20, 1 << 30), 341 * (3 << 20));
        assert_eq!(chunk_len(1 << 30, 1 << 30), 1 << 30);
        assert_eq!(chunk_len((1 << 30) + 4096, 1 << 30), 1 << 30);
    }

    #[test]
    fn a_lease_finds_its_registered_buffer_only_when_one_holds_all_of_it() {
        let mut ring = Ring::new(4).expect("io_uring works where these tests run");
        let arena = Arena::new(2, 4096).unwrap();
        let lease = arena.lease(1).unwrap();
        assert_eq!(ring.buffer_of(&lease), None, "nothing is registered yet");
        ring.register_arena(&arena).unwrap();
        assert_eq!(ring.buffer_of(&lease), Some(0));
        ring.registered.as_mut().unwrap().chunk = 4096;
        assert_eq!(ring.buffer_of(&lease), Some(1));
        ring.registered.as_mut().unwrap().chunk = 4096 + 100;
        assert_eq!(ring.buffer_of(&lease), None, "it crosses from one into the next");
        let other = Arena::new(1, 4096).unwrap();
        assert_eq!(ring.buffer_of(&other.lease(0).unwrap()), None, "a stranger's memory");
    }
}
