//! The slot ring and the queues between threads: lock-free to pass, parked to wait.
//!
//! What flows in: leases that have been dropped, messages, notifications, from any thread. What flows out: leases of
//! empty slots, messages in the order they were sent, threads that wake up.
//! What this module does not know: what is in a slot or a message; which thread plays which part.
//!
//! | type | passes | from → to |
//! |---|---|---|
//! | [`Queue`] | values, bounded, never waiting | any → any |
//! | [`Signal`] | "look again" | any → one waiting thread |
//! | [`Mailbox`] | messages, bounded by construction | any → one waiting thread |
//! | [`Crew`] | tasks, and how many threads are at work | any → some threads of the caller's |
//! | [`SlotRing`] | empty slots of an arena | any dropper of a lease → one waiting thread |
//!
//! **Waiting** is a bounded back-off (some hundred pauses and a few yields, microseconds in all), then parking. Sending,
//! notifying and dropping a lease never wait for a thread that waits, so a rayon worker may do all three.
//!
//! **Checked by** `loom_tests`: every interleaving of a few small cases under the C11 memory model, with
//! `RUSTFLAGS="--cfg loom" cargo test -p carrack-engine --lib ring::loom --release`.

mod crew;
mod mailbox;
#[allow(unsafe_code)]
mod queue;
mod signal;
mod slots;
mod sync;

#[cfg(all(test, loom))]
mod loom_tests;

pub use crew::Crew;
pub use mailbox::Mailbox;
pub use queue::Queue;
pub use signal::Signal;
pub use slots::SlotRing;
