//! States of the caches that a benchmark of reading begins in: which ones can be had, and whether one is held.

use std::path::Path;
use std::sync::OnceLock;

use carrack_measure::cache::{Cache, Files, probe, resident};

use crate::common;

/// Largest share of the pages that may be in memory in a state that counts as cold, or missing in one that counts as hot.
const TOLERANCE: f64 = 0.01;

/// The states that can be had for files in `folder`. Why others cannot is said on stderr once; a quick run has no time
/// for [`Cache::Cold`].
pub(crate) fn offered(folder: &Path) -> &'static [Cache] {
    static OFFERED: OnceLock<Vec<Cache>> = OnceLock::new();
    OFFERED.get_or_init(|| {
        let refused = probe(folder);
        for refusal in &refused {
            eprintln!("the {} benchmarks are not offered: {}", refusal.cache, refusal.why);
        }
        let is_had = |cache: &Cache| refused.iter().all(|refusal| refusal.cache != *cache);
        Cache::ALL.into_iter().filter(is_had).filter(|cache| *cache != Cache::Cold || !common::quick()).collect()
    })
}

/// Why these files are not in this state now, if they are not: their pages are looked at.
pub(crate) fn refuted(cache: Cache, files: &Files) -> Option<String> {
    let share = resident(files)?;
    let is_held = if cache == Cache::Hot { share >= 1.0 - TOLERANCE } else { share <= TOLERANCE };
    (!is_held).then(|| format!("{:.0}% of the files' pages are in memory", share * 100.0))
}
