//! Tells the crate which compiler builds it, so that results can name it.

use std::process::Command;

fn main() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = Command::new(rustc).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    println!("cargo::rustc-env=CARRACK_RUSTC={}", String::from_utf8_lossy(&said).trim());
    println!("cargo::rerun-if-changed=build.rs");
}
