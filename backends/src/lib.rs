//! Input and output for Carrack.
//!
//! What flows in: paths, and requests that say which bytes of which file belong at which place of a slot.
//! What flows out: completions with the filled buffers; on the other side, appended bytes and written trees.
//! What this crate does not know: blocks, codecs, digests, archives.
//!
//! | module | what it holds |
//! |---|---|
//! | [`arena`] | the one allocation, its slots, and [`Lease`](arena::Lease): exclusive windows into it |
//! | [`path`] | the table of paths that requests name by number |
//! | [`witness`] | what `stat` said of a file: the changed-file check compares two of them |
//! | [`read`] | the [`ReadBackend`](read::ReadBackend) contract and every backend that fulfils it |
//! | [`sink`] | where an archive is appended to: a file that appears whole or not at all, a pipe, memory |
//! | [`xattr`] | extended attributes of a name in an open folder |
//! | [`transient`] | names that must not outlive the process, however it ends |
//! | [`tree`] | where unpacked entries are written to: a folder nothing can lead out of, or memory |

#[allow(unsafe_code)]
pub mod arena;
#[cfg(test)]
mod child;
pub mod clock;
mod os;
pub mod path;
pub mod read;
pub mod sink;
pub mod transient;
pub mod tree;
pub mod witness;
pub mod xattr;
