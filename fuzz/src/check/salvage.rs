//! The scan for frames: what is left of anything is an archive that verifies.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use carrack_backends::sink::MemorySink;
use carrack_engine::archive::Archive;
use carrack_engine::ceiling::Ceiling;
use carrack_engine::control::{Cancel, Control};
use carrack_engine::entry::Entry;
use carrack_engine::error::ErrorKind;
use carrack_engine::salvage::salvage;
use carrack_engine::verify::VerifyOptions;

/// A salvage that takes longer is stopped, and must stop: holes take time to hash and no room in an archive.
const PATIENCE: Duration = Duration::from_secs(2);
/// How soon a run has to stop.
const STOP: Duration = Duration::from_secs(10);
/// What is verified, bytes.
const SIZE_MAX: u64 = 64 << 20;

/// Salvages the input.
pub fn check(input: &[u8]) {
    let source = Arc::new(input.to_vec());
    let control = Control::default();
    let watched = Watched::new(&control.cancel);
    let found = salvage("input", source, &control);
    assert!(watched.began.elapsed() < PATIENCE + STOP, "a salvage stops when it is told to");
    drop(watched);
    let salvaged = match found {
        Ok(salvaged) => salvaged,
        Err(error) => {
            assert!(error.kind() != ErrorKind::Output, "{error}: what is put together is sound");
            return;
        }
    };
    let report = &salvaged.report;
    let rows: Vec<Entry> = salvaged.archive.entries().collect::<Result<_, _>>().expect("a new index is sound");
    assert_eq!(rows.len() as u64, report.entries);
    if report.bytes > SIZE_MAX {
        return;
    }
    let (sink, bytes) = MemorySink::new();
    salvaged.write(Box::new(sink), &Control::default()).expect("there is memory for it");
    let written = bytes.finished().expect("it is finished");
    let again = Archive::from_source("salvaged", Arc::new(written)).expect("what was written can be opened");
    let ceiling = Ceiling { size: Some(SIZE_MAX), ..Ceiling::default() };
    let options = VerifyOptions { threads: Some(1), ceiling, ..VerifyOptions::default() };
    let proved = again.verify(&options).expect("what was written can be verified");
    // What a newer version wrote is kept for one.
    let wrong: Vec<_> = proved.damage.iter().filter(|what| !is_newer(what)).collect();
    assert!(wrong.is_empty(), "what was written is sound: {wrong:?}");
    assert!(again.entries().map(|row| row.expect("sound")).eq(rows), "what was written is what was found");
}

/// Whether a sentence about damage says that something is unknown.
fn is_newer(what: &str) -> bool {
    what.contains("is unknown to this version")
}

/// A run that is told to stop when it takes too long.
struct Watched {
    began: Instant,
    number: u64,
}

type Current = Mutex<Option<(u64, Instant, Cancel)>>;

static CURRENT: LazyLock<Arc<Current>> = LazyLock::new(|| {
    let current: Arc<Current> = Arc::default();
    let watched = Arc::clone(&current);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(PATIENCE / 10);
            if let Some((_, began, cancel)) = &*watched.lock().unwrap_or_else(PoisonError::into_inner)
                && began.elapsed() > PATIENCE
            {
                cancel.cancel();
            }
        }
    });
    current
});

impl Watched {
    fn new(cancel: &Cancel) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let (number, began) = (NUMBER.fetch_add(1, Ordering::Relaxed), Instant::now());
        *CURRENT.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, began, cancel.clone()));
        Self { began, number }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut current = CURRENT.lock().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|(number, ..)| *number == self.number) {
            *current = None;
        }
    }
}
