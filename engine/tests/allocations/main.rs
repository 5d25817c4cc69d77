//! How often memory is asked for: not for each file, and not for each block. A program of its own, as it counts what
//! every thread of the process asks for.
//!
//! Each test does the same with N and with 2N files or blocks. What the larger run asks for beyond the smaller one,
//! divided by the N more, is what one more file or block costs. Tables that double now and then are all that may be left.

#[allow(unsafe_code)]
mod counter;
mod packing;
mod place;
mod unpacking;
