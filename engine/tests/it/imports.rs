//! The import table of `ARCHITECTURE.md`, held: layers import downwards only, some crates are named in one place only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Modules of the engine by layer, lowest first. Modules of one layer may import one another only where said.
const LAYERS: [&[&str]; 5] = [
    &["control", "digest", "entry", "limits", "sketch", "stages"],
    &["codec", "container", "plan", "ring", "scan", "walk"],
    &["dedup", "dictionaries", "index"],
    &["pipeline", "restore"],
    &[
        "against", "archive", "budget", "ceiling", "error", "estimate", "pack", "profile", "salvage", "select",
        "unpack", "verify",
    ],
];

/// Layers within which modules may import one another.
const OPEN_LAYERS: [usize; 2] = [0, 4];

/// Crates that only these modules may name.
const CRATES: [(&str, &[&str]); 7] = [
    ("rayon", &["pipeline", "restore"]),
    ("arrow_", &["index"]),
    ("flatbuffers", &["index"]),
    ("zstd_safe", &["codec"]),
    ("lz4_flex", &["codec"]),
    ("mincdc", &["dedup"]),
    ("liblzma", &["codec"]),
];

fn layer(module: &str) -> usize {
    LAYERS
        .iter()
        .position(|modules| modules.contains(&module))
        .unwrap_or_else(|| panic!("module {module} has no place in the import table: give it one"))
}

/// Every source file of a folder, with the name of the top-level module it belongs to.
fn sources(root: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let inside = path.strip_prefix(root).unwrap();
                let top = inside.components().next().unwrap().as_os_str().to_str().unwrap();
                let module = top.trim_end_matches(".rs").to_owned();
                if module != "lib" {
                    found.push((module, path));
                }
            }
        }
    }
    found
}

/// Code without comments and without the test modules at the ends of files.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The modules named after each `crate::` (also in `crate::{a, b}`).
fn imported(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let list = rest.strip_prefix('{').map_or(rest, |list| list.split('}').next().unwrap());
        let parts = if rest.starts_with('{') { list.split(',').collect() } else { vec![list] };
        for part in parts {
            let name: String = part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !name.is_empty() {
                names.push(name);
            }
        }
    }
    names
}

#[test]
fn imports_point_down_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = BTreeMap::new();
    let mut seen = 0;
    for (module, path) in sources(&root) {
        if path.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        for name in imported(&code(&path)) {
            if name == module {
                continue;
            }
            seen += 1;
            let (from, to) = (layer(&module), layer(&name));
            if to > from || (to == from && !OPEN_LAYERS.contains(&from)) {
                wrong.insert(path.display().to_string(), format!("{module} (L{from}) imports {name} (L{to})"));
            }
        }
    }
    assert!(seen > 50, "the test sees imports at all: {seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn some_crates_are_named_in_one_place_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for (module, path) in sources(&root) {
        let code = code(&path);
        for (name, allowed) in CRATES {
            let named = code.contains(&format!("{name}::")) || (name.ends_with('_') && code.contains(name));
            if named && !allowed.contains(&module.as_str()) {
                wrong.push(format!("{} names {name}", path.display()));
            }
        }
    }
    let backends = root.join("../../backends/src");
    for (_, path) in sources(&backends) {
        let is_uring = path.components().any(|component| component.as_os_str() == "uring");
        if code(&path).contains("io_uring::") && !is_uring {
            wrong.push(format!("{} names io_uring", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
