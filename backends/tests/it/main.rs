//! What this crate promises to whoever depends on it, tried from outside.

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod refused;
