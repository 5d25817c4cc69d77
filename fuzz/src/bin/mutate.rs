//! Changes archives as fast as it can, and counts who notices: `mutate [--count N] [--seconds N] [--seed N] [--threads N]
//! [--found DIR]`. Exit code 1 when a change was silent or something panicked; the changed archive is then in DIR.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use carrack_engine::restore::Workers;
use carrack_engine::verify::VerifyOptions;
use carrack_fuzz::damage::{Original, Rng, Verdict, damage};
use carrack_fuzz::seeds;

/// Changes between two looks at the clock.
const ROUND: u64 = 1000;
/// Time between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(60);
/// Changed archives that are kept at most, a thread.
const KEPT: u64 = 10;

static PANICS: AtomicU64 = AtomicU64::new(0);
static TRIED: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(0);
static FOUND: AtomicU64 = AtomicU64::new(0);
static SAME: AtomicU64 = AtomicU64::new(0);
static SILENT: AtomicU64 = AtomicU64::new(0);

/// What was asked for.
struct Wish {
    count: u64,
    seconds: u64,
    seed: u64,
    threads: u64,
    found: PathBuf,
}

impl Wish {
    fn of_arguments(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        let mut wish = Self { count: u64::MAX, seconds: u64::MAX, seed: 1, threads, found: "found".into() };
        while let Some(flag) = words.next() {
            let value = words.next().ok_or_else(|| format!("{flag} takes a value"))?;
            let number = || value.parse().map_err(|_| format!("{flag}: expected a whole number, found {value}"));
            match flag.as_str() {
                "--count" => wish.count = number()?,
                "--seconds" => wish.seconds = number()?,
                "--seed" => wish.seed = number()?,
                "--threads" => wish.threads = number()?.max(1),
                "--found" => wish.found = value.into(),
                _ => return Err(format!("{flag}: no such flag; there are --count --seconds --seed --threads --found")),
            }
        }
        if wish.count == u64::MAX && wish.seconds == u64::MAX {
            return Err("say how long: --count N, --seconds N, or both".to_owned());
        }
        Ok(wish)
    }
}

fn main() -> ExitCode {
    let wish = match Wish::of_arguments(std::env::args().skip(1)) {
        Ok(wish) => wish,
        Err(error) => {
            eprintln!("mutate: {error}");
            return ExitCode::from(2);
        }
    };
    // Also of the engine's own workers, which pass a panic on as an error.
    std::panic::set_hook(Box::new(|panic| {
        if PANICS.fetch_add(1, Ordering::Relaxed) < KEPT {
            eprintln!("{panic}");
        }
    }));
    let originals: Vec<Original> =
        seeds::archives().into_iter().map(|(name, bytes)| Original::new(name, bytes)).collect();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..wish.threads {
            let (originals, wish) = (&originals, &wish);
            scope.spawn(move || run(originals, wish, thread, began));
        }
    });
    tell(began);
    let is_sound = SILENT.load(Ordering::Relaxed) + PANICS.load(Ordering::Relaxed) == 0;
    if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What one thread does.
fn run(originals: &[Original], wish: &Wish, thread: u64, began: Instant) {
    let workers = Workers::start(1).expect("one thread can be had");
    let options = VerifyOptions { stats: false, ..VerifyOptions::default() };
    let mut rng = Rng::new(wish.seed.wrapping_mul(1_000_003).wrapping_add(thread));
    let (mut bytes, mut kept, mut told) = (Vec::new(), 0, began);
    while TRIED.load(Ordering::Relaxed) < wish.count && began.elapsed().as_secs() < wish.seconds {
        for _ in 0..ROUND {
            let original = &originals[rng.below(originals.len())];
            damage(&original.bytes, &mut bytes, &mut rng);
            let panics = PANICS.load(Ordering::Relaxed);
            let verdict = catch_unwind(AssertUnwindSafe(|| original.judge(&bytes, &workers, &options)));
            let what = match verdict {
                Ok(Verdict::Silent(what)) => Some(what),
                Err(_) => Some("panic".to_owned()),
                Ok(verdict) => {
                    count(&verdict);
                    (PANICS.load(Ordering::Relaxed) > panics).then(|| "panic of a worker".to_owned())
                }
            };
            if let Some(what) = what {
                SILENT.fetch_add(u64::from(!what.starts_with("panic")), Ordering::Relaxed);
                kept += 1;
                if kept <= KEPT {
                    keep(&wish.found, &original.name, &bytes, &what);
                }
            }
        }
        TRIED.fetch_add(ROUND, Ordering::Relaxed);
        if thread == 0 && told.elapsed() > PROGRESS {
            told = Instant::now();
            tell(began);
        }
    }
}

fn count(verdict: &Verdict) {
    let counter = match verdict {
        Verdict::Same => &SAME,
        Verdict::Refused => &REFUSED,
        Verdict::Found => &FOUND,
        Verdict::Silent(_) => &SILENT,
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

fn keep(folder: &Path, name: &str, bytes: &[u8], what: &str) {
    let digest = blake3::hash(bytes).to_hex();
    let path = folder.join(format!("{name}-{}.crk", &digest[..16]));
    let kept = fs::create_dir_all(folder).and_then(|()| fs::write(&path, bytes));
    match kept {
        Ok(()) => eprintln!("{}: {what}", path.display()),
        Err(error) => eprintln!("{name}: {what}; it cannot be kept as {}: {error}", path.display()),
    }
}

fn tell(began: Instant) {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (tried, seconds) = (load(&TRIED), began.elapsed().as_secs_f64());
    println!(
        "{tried} changed archives in {seconds:.0} s ({:.0} a second, {:.1} million an hour): {} refused, {} found, {} \
         unchanged, {} silent, {} panics",
        tried as f64 / seconds,
        tried as f64 / seconds * 3600.0 / 1e6,
        load(&REFUSED),
        load(&FOUND),
        load(&SAME),
        load(&SILENT),
        load(&PANICS),
    );
}
