//! Writes what fuzzing starts from: `seeds DIR`. Archives are for all targets that take archives, everything else is in a
//! folder of its target.

use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use carrack_fuzz::seeds;

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1) else {
        eprintln!("seeds: say into which folder");
        return ExitCode::from(2);
    };
    match write(Path::new(&folder)) {
        Ok(bytes) => {
            println!("{bytes} bytes");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("seeds: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &Path) -> io::Result<usize> {
    let archives = seeds::archives().into_iter().map(|(name, bytes)| ("archives", format!("{name}.crk"), bytes));
    let mut sum = 0;
    for (target, name, bytes) in archives.chain(seeds::others()) {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), &bytes)?;
        sum += bytes.len();
    }
    Ok(sum)
}
