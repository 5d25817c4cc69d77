//! Paths, the names that messages show, and expressions that change names.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use carrack_engine::container::rules::check_path;
use carrack_engine::control::Escaped;
use carrack_engine::limits::{NAME_LEN_MAX, PATH_LEN_MAX};
use carrack_engine::unpack::Transform;

/// Takes the input as a path; and as an expression, a line feed, and paths that it changes.
pub fn check(input: &[u8]) {
    path(input);
    let mut lines = input.split(|&byte| byte == b'\n');
    let Some(Ok(expression)) = lines.next().map(str::from_utf8) else { return };
    let mut transform = Transform::default();
    if transform.add(expression).is_err() {
        return;
    }
    for name in lines.take(8) {
        let changed = transform.name(name);
        assert_eq!(changed, transform.name(name));
        path(&changed);
    }
}

/// A path that is taken has names alone, none of which leads anywhere else; the system agrees.
fn path(bytes: &[u8]) {
    let shown = Escaped(bytes).to_string();
    assert!(!shown.chars().any(char::is_control), "a path commands the terminal: {shown:?}");
    let is_taken = check_path(bytes).is_ok();
    let components: Vec<Component<'_>> = Path::new(OsStr::from_bytes(bytes)).components().collect();
    let names: Vec<&[u8]> = bytes.split(|&byte| byte == b'/').collect();
    let is_sound = bytes.len() <= PATH_LEN_MAX
        && !bytes.contains(&0)
        && components.len() == names.len()
        && components.iter().all(|component| matches!(component, Component::Normal(_)))
        && names.iter().all(|name| name.len() <= NAME_LEN_MAX);
    assert_eq!(is_taken, is_sound || bytes.is_empty(), "{shown}");
}
