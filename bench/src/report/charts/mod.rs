//! The drawings: facts in, [`Drawing`](super::svg::Drawing)s out. Each knows one kind of chart and no document.

pub(super) mod bars;
pub(super) mod curves;
pub(super) mod heat;
pub(super) mod intervals;
pub(super) mod scatter;
pub(super) mod shares;

use super::svg::Shape;

/// The class that colours a contender, and the shape that stands for it. The colours are in `page.css`.
pub(super) fn look(contender: &str) -> (&'static str, Shape) {
    match super::facts::short(contender) {
        "carrack" | "this run" => ("h-carrack", Shape::Circle),
        "uring" => ("h-uring", Shape::Circle),
        "pool" => ("h-pool", Shape::Square),
        "pread" => ("h-pread", Shape::Triangle),
        "mmap" => ("h-mmap", Shape::Diamond),
        "naive" => ("h-naive", Shape::Ring),
        _ => ("h-peer", Shape::Ring),
    }
}

/// The class that colours a stage: by its number in the flow, round and round.
pub(super) fn stage_class(number: usize) -> &'static str {
    ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"][number % 8]
}

/// `a 1; b 2; and 7 more`: the values of a chart for those who cannot see it.
fn listed(title: &str, values: impl ExactSizeIterator<Item = String>) -> String {
    const MOST: usize = 12;
    let more = values.len().saturating_sub(MOST);
    let mut words: Vec<String> = values.take(MOST).collect();
    if more > 0 {
        words.push(format!("and {more} more"));
    }
    format!("{title}: {}", words.join("; "))
}
