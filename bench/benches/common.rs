//! What the suites share: how long they measure, and bytes of each kind.

use std::path::{Path, PathBuf};
use std::time::Duration;

use carrack_fixtures::content::{Content, Lang, Recipe};
use carrack_fixtures::{Kind, Scale};
use criterion::Criterion;

/// Short enough that all suites together take a few minutes; `--measurement-time` and `--sample-size` say otherwise.
pub(crate) fn config() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
}

/// Kinds of content, from the one that compresses well to the one that does not.
pub(crate) const KINDS: [&str; 3] = ["text", "binary", "random"];

/// Bytes of one of the [`KINDS`].
pub(crate) fn bytes(kind: &str, len: u64) -> Vec<u8> {
    let recipe = match kind {
        "text" => Recipe::Source(Lang::Rust, 1),
        "binary" => Recipe::Executable,
        _ => Recipe::Noise,
    };
    Content::stream(recipe, 7, len).to_vec()
}

/// Generates a corpus at a scale into `place`: its folder, and how many bytes its files have. It is in the page cache.
pub(crate) fn corpus(kind: Kind, scale: f64, place: &Path) -> (PathBuf, u64) {
    let scale = Scale::new(scale).expect("the scale is a constant");
    let manifest = carrack_fixtures::generate(kind, place, scale, 1, 0).expect("a temporary folder can be written");
    (place.join(kind.name()), manifest.bytes)
}
