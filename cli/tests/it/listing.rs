//! What `list`, `cat` and `info` show. Needs the engine.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;

use crate::support::{Place, noise};

const NAMES: &str = ".\nREADME.md\nempty\nhollow\nlib\nlib/copy.rs\nlib/deep\nlib/deep/er\nlib/deep/er/x.rs\nlib/link\n\
    lib/main.rs\nlib/other.rs\nnoise\n";

#[test]
fn a_plain_list_has_a_path_a_line_in_order_of_bytes() {
    let place = Place::packed();
    assert_eq!(place.call(["list", "a.crk"]).code(0).text(), NAMES);
    assert_eq!(place.call(["list", "a.crk", "-0"]).code(0).text(), NAMES.replace('\n', "\0"));
}

#[test]
fn a_selection_is_listed_and_what_is_missing_is_named() {
    let place = Place::packed();
    assert_eq!(place.call(["list", "a.crk", "lib/deep/er"]).code(0).text(), "lib/deep/er\nlib/deep/er/x.rs\n");
    assert_eq!(place.call(["list", "a.crk", "*.md", "hollow/"]).code(0).text(), "README.md\nhollow\n");
    let run = place.call(["list", "a.crk", "hollow", "nope", "*.zip"]).code(2).says("not in the archive: nope, *.zip");
    assert_eq!(run.text(), "hollow\n");
}

#[test]
fn a_long_list_shows_modes_sizes_and_links() {
    let place = Place::packed();
    let run = place.call(["list", "-l", "a.crk"]).code(0);
    let line = |name: &str| run.text().lines().find(|line| line.split(' ').any(|word| word == name)).unwrap();
    assert!(line("lib/copy.rs").starts_with("-rwxr-x--- "));
    assert!(line("noise").contains(" 300000 "), "{}", line("noise"));
    assert!(line("lib/link").ends_with(" lib/link -> ../README.md"));
    assert!(
        line("lib/other.rs").starts_with('h') && line("lib/other.rs").ends_with(" lib/other.rs link to lib/main.rs")
    );
    assert!(line("hollow").starts_with('d'));
}

#[test]
fn json_has_an_object_a_line_with_exact_numbers() {
    let place = Place::packed();
    let run = place.call(["list", "--json", "a.crk"]).code(0);
    let rows: Vec<Value> = run.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let paths: Vec<_> = rows.iter().map(|row| row["path"].as_str().unwrap()).collect();
    assert_eq!(paths[0], "");
    assert_eq!(paths[1..], NAMES.lines().collect::<Vec<_>>()[1..]);
    let row = |path: &str| rows.iter().find(|row| row["path"] == path).unwrap();
    assert_eq!((&row("noise")["size"], &row("noise")["kind"]), (&300_000.into(), &"file".into()));
    assert_eq!(row("lib/copy.rs")["mode"], 0o750);
    assert_eq!(row("lib/other.rs")["hardlink_path"], "lib/main.rs");
    assert_eq!(rows[row("lib/other.rs")["hardlink"].as_u64().unwrap() as usize]["path"], "lib/main.rs");
    assert_eq!(row("lib/link")["link_target"], "../README.md");
    assert_eq!(row("empty")["digest"], "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    let selected = place.call(["list", "--json", "a.crk", "lib/other.rs"]).code(0);
    assert!(selected.text().contains("\"hardlink_path\":\"lib/main.rs\""), "{}", selected.text());
}

#[test]
fn cat_gives_files_one_behind_the_other() {
    let place = Place::packed();
    let run = place.call(["cat", "a.crk", "README.md", "noise", "./lib/other.rs"]).code(0);
    assert!(run.out == [b"# A tree\n", &noise(300_000)[..], b"fn main() {}\n"].concat());
    assert!(run.err.is_empty());
}

#[test]
fn cat_names_what_it_cannot_give_and_goes_on() {
    let place = Place::packed();
    let run = place.call(["cat", "a.crk", "nope", "lib", "README.md", "README.md/"]).code(2);
    let run = run.says("carrack: error: ").says("nope").says("lib");
    assert_eq!(run.out, b"# A tree\n");
    assert_eq!(run.err.lines().count(), 3, "{}", run.err);
}

#[test]
fn info_tells_counts_codecs_and_options() {
    let place = Place::packed();
    let run = place.call(["info", "a.crk"]).code(0);
    for part in ["entries      13 (6 files, 5 folders, 1 symlink, 1 hard link)", "  zstd  ", "root digest"] {
        assert!(run.text().contains(part), "{part}: {}", run.text());
    }
    let run = place.call(["info", "--json", "a.crk"]).code(0);
    let info: Value = serde_json::from_str(run.text()).unwrap();
    assert_eq!((&info["entries"], &info["files"]), (&13.into(), &6.into()));
    assert_eq!(info["archive_bytes"], fs::metadata(place.path("a.crk")).unwrap().len());
    let frames: u64 = info["codecs"].as_array().unwrap().iter().map(|codec| codec["frames"].as_u64().unwrap()).sum();
    assert_eq!(info["frames"], frames);
    assert!(info["options"].is_object());
}

#[test]
fn hostile_names_stay_two_files_and_command_no_terminal() {
    let place = Place::empty();
    let names: [&[u8]; 6] = [b"-rf", b"a\xff", b"a\xfe", b"new\nline", b"esc\x1b[31m", b"back\\slash"];
    for name in names {
        place.file(OsStr::from_bytes(&[b"src/", name].concat()), name);
    }
    place.pack(&[]);
    let run = place.call(["list", "-0", "a.crk"]).code(0);
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let listed: Vec<_> = run.out.split(|&byte| byte == 0).filter(|name| !name.is_empty()).skip(1).collect();
    assert_eq!(listed, sorted);
    for name in names {
        let args = [OsStr::new("cat"), "a.crk".as_ref(), "--".as_ref(), OsStr::from_bytes(name)];
        assert_eq!(place.call(args).code(0).out, name);
    }
    let run = place.call([OsStr::new("cat"), "a.crk".as_ref(), OsStr::from_bytes(b"no\x1b\xff")]).code(2);
    assert!(!run.err.contains('\x1b') && run.err.contains("no\\x1b\\xff"), "{}", run.err);
    let json = place.call(["list", "--json", "a.crk", "a?"]).code(0);
    assert!(json.text().contains("\"path_raw\":\"61ff\"") && json.text().contains("\"path_raw\":\"61fe\""));
    place.call(["unpack", "a.crk", "-C", "out"]).code(0);
    crate::support::assert_same_tree(&place.path("src"), &place.path("out"));
}
