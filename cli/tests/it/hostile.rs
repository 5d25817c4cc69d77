//! Archives that somebody wrote who means harm, as the user meets them: what is said, with which exit code, and that no
//! message commands the terminal.

use carrack_engine::container::frame::digest_of;
use carrack_engine::digest::Digest;
use serde_json::json;

use crate::evilpack::{EvilPack, EvilRow};
use crate::support::{Place, carrack};
use crate::terminal::on_terminal;

/// Sets a title, clears the screen, and ends with a character that turns the text around.
const EVIL: &str = "\x1b]0;evil\x07\x1b[2J\r\n\u{9b}31m\u{202e}evil";

fn file(path: &[u8]) -> EvilRow {
    EvilRow::file(path, b"xxxx", 0, 0)
}

/// Sound archives and unsound ones that say [`EVIL`] wherever text can stand.
fn shouting() -> Vec<EvilPack> {
    let evil = EVIL.as_bytes();
    let names = (Some(EVIL.to_owned()), Some(EVIL.to_owned()));
    let rows = [
        EvilRow { names, ..file(evil) },
        EvilRow::symlink(&[evil, b"1"].concat(), evil),
        EvilRow { xattrs: vec![(evil.to_vec(), evil.to_vec())], ..file(&[evil, b"2"].concat()) },
        EvilRow::hardlink(&[evil, b"3"].concat(), 0, 4),
    ];
    let sound = || EvilPack::new(&rows, &[b"xxxx"]);
    let with = |row: EvilRow| EvilPack::new(&[row], &[b"xxxx"]);
    vec![
        sound(),
        EvilPack { forge_footer: |says| says.manifest["options"] = json!({ EVIL: EVIL, "codec": EVIL }), ..sound() },
        EvilPack { forge_footer: |says| says.manifest["root"] = json!(EVIL), ..sound() },
        EvilPack { forge_footer: |says| says.manifest["archive_id"] = json!(EVIL), ..sound() },
        EvilPack { forge_footer: |says| says.manifest = json!(EVIL), ..sound() },
        EvilPack { forge_footer: |says| says.batches[0]["first"] = json!(EVIL), ..sound() },
        EvilPack { forge_footer: |says| says.manifest["format"] = json!(EVIL), ..sound() },
        EvilPack { forge_blocks: |blocks| blocks[0].codec = EVIL.to_owned(), ..sound() },
        EvilPack { forge_blocks: |blocks| blocks[0].kind = EVIL.to_owned(), ..sound() },
        EvilPack { forge_blocks: |blocks| blocks[0].digest = [0; 32], ..sound() },
        with(EvilRow { kind: EVIL.to_owned(), ..file(evil) }),
        with(file(format!("../{EVIL}").as_bytes())),
        with(EvilRow { link_target: Some(evil.to_vec()), ..file(evil) }),
        with(EvilRow { digest: Some([0; 32]), ..file(evil) }),
        with(EvilRow { size: 5, ..file(evil) }),
        EvilPack::new(&[file(evil), file(evil)], &[b"xxxx"]),
    ]
}

fn commands(text: &str) -> Vec<char> {
    let is_line = |c: char| matches!(c, '\n' | '\r');
    text.chars().filter(|&c| (c.is_control() && !is_line(c)) || matches!(c, '\u{202e}' | '\u{9b}')).collect()
}

#[test]
fn no_message_commands_a_terminal() {
    let place = Place::empty();
    for (at, pack) in shouting().iter().enumerate() {
        place.file("a.crk", &pack.bytes());
        for args in [
            &["list"][..],
            &["list", "-l"],
            &["list", "--json"],
            &["info"],
            &["info", "--json"],
            &["verify"],
            &["verify", "--against", "."],
            &["unpack", "-C", "out"],
            &["unpack", "-C", "out", "--force", "-v", "-p"],
        ] {
            let args = [&args[..1], &["a.crk", "--color", "never"], &args[1..]].concat();
            let (shown, code) = on_terminal(carrack().args(&args).current_dir(place.dir.path()));
            // A bar erases its line.
            let shown = shown.replace("\x1b[2K", "").replace("\x1b[1B", "").replace("\x1b[1A", "");
            assert_eq!(commands(&shown), [], "archive {at}, {args:?}, code {code:?}: {shown:?}");
            assert!(code.is_some_and(|code| code <= 3), "{args:?}: {code:?}");
        }
        let _ = std::fs::remove_dir_all(place.path("out"));
    }
}

#[test]
fn what_comes_to_too_much_is_refused_before_anything_is_written() {
    let place = Place::empty();
    place.file("a.crk", &EvilPack::new(&[file(b"a"), file(b"b")], &[b"xxxx"]).bytes());
    for (flag, value) in [("--max-size", "7"), ("--max-entries", "1"), ("--max-ratio", "0")] {
        let cat = if flag == "--max-size" { "3" } else { value };
        for (args, value) in [
            (&["unpack", "-C", "out", "a.crk"][..], value),
            (&["verify", "a.crk"], value),
            (&["list", "a.crk"], value),
            (&["cat", "a.crk", "b"], cat),
        ] {
            let run = place.call([args, &[flag, value]].concat()).code(2);
            run.says("a.crk: ").says("more than the ").says("nothing was done");
        }
        assert!(!place.path("out").exists());
    }
    let enough = ["--max-size", "8", "--max-entries", "2", "--max-ratio", "1"];
    place.call([&["verify", "a.crk"], &enough[..]].concat()).code(0);
    let run = place.call([&["unpack", "a.crk", "-v", "-C", "out"], &enough[..]].concat()).code(0);
    run.says("confined to the destination by");
}

/// A small archive that files name little of costs the time of all its blocks: they are added up too.
#[test]
fn what_strangers_may_claim_is_bounded() {
    let place = Place::empty();
    let block = vec![0; 4 << 20];
    let mut pack = EvilPack::new(&[file(b"a")], &[&block]);
    pack.frames[0].payload = zstd::bulk::compress(&block, 3).unwrap();
    (pack.frames[0].header.codec, pack.frames[0].header.stored_len) = (2, pack.frames[0].payload.len() as u32);
    pack.frames[0].header.digest = digest_of(b"", &pack.frames[0].payload);
    pack.rows[0].digest = Some(Digest::of(&[0; 4]).0);
    place.file("a.crk", &pack.bytes());
    for args in [&["verify", "a.crk"][..], &["unpack", "a.crk", "-C", "out"], &["cat", "a.crk", "a"]] {
        let run = place.call([args, &["--untrusted"]].concat()).code(2);
        run.says("4194304 bytes of decoded blocks from ").says("nothing was done");
        assert!(!place.path("out").exists());
    }
    assert_eq!(place.call(["list", "a.crk", "--untrusted"]).code(0).text(), "a\n");
    for flags in [&[][..], &["--untrusted", "--max-ratio", "2000"]] {
        assert_eq!(place.call([&["cat", "a.crk", "a"], flags].concat()).code(0).out, [0; 4]);
    }
    let run = place.call(["verify", "a.crk", "--untrusted", "--max-ratio", "2000", "--memory-limit", "20M"]).code(2);
    run.says("a memory limit of 20 MiB");
}

/// Files of 2^42 bytes in all, all of them in one block, which is damaged: with the check it is refused, without it, it is lost.
#[test]
fn what_does_not_fit_is_refused_unless_it_is_asked_for() {
    let place = Place::empty();
    let block = vec![0; 64 << 20];
    let extents = vec![[0, 0, 64 << 20]; 1 << 14];
    let row = |path: &[u8]| EvilRow { size: 1 << 40, extents: extents.clone(), digest: Some([0; 32]), ..file(path) };
    let rows: Vec<_> = (0..4u8).map(|n| row(&[b'a' + n])).collect();
    let mut pack = EvilPack { compressed: true, ..EvilPack::new(&rows, &[&block]) };
    pack.frames[0].payload.truncate(0);
    pack.frames[0].header.stored_len = 0;
    pack.frames[0].header.codec = 2;
    place.file("a.crk", &pack.bytes());
    for flags in [&[][..], &["--force"]] {
        let run = place.call([&["unpack", "a.crk", "-C", "out"], flags].concat()).code(2);
        run.says("4398046511104 bytes are to be written").says("nothing was written");
        assert!(!place.path("out").exists());
    }
    place.call(["unpack", "a.crk", "-C", "out", "--no-space-check"]).code(3).says("lost: a");
    assert_eq!(std::fs::read_dir(place.path("out")).unwrap().count(), 0);
}
