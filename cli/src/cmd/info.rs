//! `carrack info`.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use carrack_engine::archive::{Archive, BlockInfo, Summary};
use carrack_engine::control::Escaped;
use carrack_engine::error::Result;
use serde::Serialize;

use super::{count, ratio};
use crate::args::InfoArgs;
use crate::exit::Exit;
use crate::output::{Ui, finish, stdout_error};
use crate::size::Both;

pub(crate) fn run(args: &InfoArgs, ui: &Ui) -> Result<Exit> {
    let archive = Archive::open(&args.archive)?;
    let summary = archive.summary();
    let mix = mix(&archive)?;
    let mut out = ui.buffered_stdout()?;
    if args.json {
        crate::json::write(&mut out, &Info::new(&summary, &mix)).map_err(|error| stdout_error(error.into()))?;
        out.write_all(b"\n").map_err(stdout_error)?;
    } else {
        out.write_all(text(&args.archive, &summary, &mix).as_bytes()).map_err(stdout_error)?;
    }
    finish(&mut out)?;
    Ok(Exit::Done)
}

/// How many frames of one kind use one codec, and what that does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Share {
    frames: u64,
    raw_bytes: u64,
    stored_bytes: u64,
}

/// What frames have in common that are told of together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Form {
    kind: &'static str,
    codec: &'static str,
    filters: String,
    /// Whether they have a dictionary.
    dictionary: bool,
}

/// Shares by form.
type Mix = BTreeMap<Form, Share>;

fn mix(archive: &Archive) -> Result<Mix> {
    let mut mix = Mix::new();
    archive.blocks(&mut |block| {
        let &BlockInfo { kind, codec, filters, dictionary, .. } = block;
        let form = Form { kind, codec, filters: filters.to_string(), dictionary: dictionary.is_some() };
        let share = mix.entry(form).or_default();
        share.frames += 1;
        share.raw_bytes += u64::from(block.raw_len);
        share.stored_bytes += u64::from(block.stored_len);
        Ok(())
    })?;
    Ok(mix)
}

/// All of it as JSON.
#[derive(Serialize)]
struct Info<'a> {
    format: u16,
    archive_id: &'a str,
    root: String,
    entries: u64,
    files: u64,
    folders: u64,
    symlinks: u64,
    hardlinks: u64,
    specials: u64,
    bytes: u64,
    archive_bytes: u64,
    ratio: Option<f64>,
    frames: u64,
    options: &'a serde_json::Value,
    codecs: Vec<Codec<'a>>,
}

#[derive(Serialize)]
struct Codec<'a> {
    #[serde(flatten)]
    form: &'a Form,
    #[serde(flatten)]
    share: Share,
    ratio: Option<f64>,
}

impl<'a> Info<'a> {
    fn new(summary: &'a Summary, mix: &'a Mix) -> Self {
        let codec = |(form, &share): (&'a Form, &Share)| Codec {
            form,
            share,
            ratio: ratio(share.stored_bytes, share.raw_bytes),
        };
        Self {
            format: summary.format,
            archive_id: &summary.archive_id,
            root: summary.root.to_string(),
            entries: summary.entries,
            files: summary.files,
            folders: summary.folders,
            symlinks: summary.symlinks,
            hardlinks: summary.hardlinks,
            specials: summary.specials,
            bytes: summary.bytes,
            archive_bytes: summary.archive_bytes,
            ratio: ratio(summary.archive_bytes, summary.bytes),
            frames: summary.frames,
            options: &summary.options,
            codecs: mix.iter().map(codec).collect(),
        }
    }
}

/// All of it for people: one fact a line, its name in front.
fn text(path: &Path, summary: &Summary, mix: &Mix) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| lines.push(format!("{name:<12} {value}\n"));
    line("archive", Escaped(path.as_os_str().as_bytes()).to_string());
    line("format", summary.format.to_string());
    line("archive id", Escaped(summary.archive_id.as_bytes()).to_string());
    line("root digest", summary.root.to_string());
    line("entries", entries(summary));
    line("content", Both(summary.bytes).to_string());
    line("size", Both(summary.archive_bytes).to_string());
    line("ratio", shown_ratio(ratio(summary.archive_bytes, summary.bytes)));
    line("frames", summary.frames.to_string());
    for (Form { kind, codec, filters, dictionary }, share) in mix {
        let ratio = shown_ratio(ratio(share.stored_bytes, share.raw_bytes));
        let several = if *kind == "dictionary" { "dictionaries".to_owned() } else { format!("{kind}s") };
        let frames = count(share.frames, kind, &several);
        let (raw, stored) = (Both(share.raw_bytes), Both(share.stored_bytes));
        let behind = if filters.is_empty() { String::new() } else { format!(", behind {filters}") };
        let with = if *dictionary { ", with a dictionary" } else { "" };
        line(&format!("  {codec}"), format!("{frames}, {raw} -> {stored}, ratio {ratio}{behind}{with}"));
    }
    match &summary.options {
        serde_json::Value::Object(options) => {
            for (name, value) in options {
                let value = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
                line(&Escaped(name.as_bytes()).to_string(), Escaped(value.as_bytes()).to_string());
            }
        }
        other => line("options", Escaped(other.to_string().as_bytes()).to_string()),
    }
    lines.concat()
}

fn entries(summary: &Summary) -> String {
    let parts = [
        (summary.files, "file", "files"),
        (summary.folders, "folder", "folders"),
        (summary.symlinks, "symlink", "symlinks"),
        (summary.hardlinks, "hard link", "hard links"),
        (summary.specials, "special file", "special files"),
    ];
    let parts: Vec<_> = parts.iter().filter(|(n, ..)| *n > 0).map(|&(n, one, many)| count(n, one, many)).collect();
    if parts.is_empty() { "none".to_owned() } else { format!("{} ({})", summary.entries, parts.join(", ")) }
}

fn shown_ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.3}"))
}

#[cfg(test)]
mod tests {
    use carrack_engine::digest::Digest;

    use super::*;

    fn sample() -> (Summary, Mix) {
        let summary = Summary {
            format: 1,
            archive_id: "00ff".into(),
            root: Digest::default(),
            entries: 3,
            files: 2,
            folders: 1,
            symlinks: 0,
            hardlinks: 0,
            specials: 0,
            bytes: u64::MAX,
            archive_bytes: 2048,
            frames: 1,
            options: serde_json::json!({"codec": "zstd", "level": 3, "note": "a\u{1b}b"}),
        };
        let share = Share { frames: 1, raw_bytes: 4096, stored_bytes: 1024 };
        let filtered = Share { frames: 2, ..share };
        let of =
            |filters: &str, dictionary| Form { kind: "block", codec: "zstd", filters: filters.to_owned(), dictionary };
        let dictionaries = Form { kind: "dictionary", ..of("", false) };
        let forms = [(of("", false), share), (of("delta2 shuffle2", false), filtered), (of("", true), share)];
        (summary, Mix::from_iter(forms.into_iter().chain([(dictionaries, filtered)])))
    }

    #[test]
    fn people_read_one_fact_a_line() {
        let (summary, mix) = sample();
        let text = text(Path::new("a.crk"), &summary, &mix);
        assert!(text.contains("entries      3 (2 files, 1 folder)\n"), "{text}");
        assert!(text.contains("size         2.00 KiB (2048 bytes)\n"), "{text}");
        assert!(
            text.contains("  zstd       1 block, 4.00 KiB (4096 bytes) -> 1.00 KiB (1024 bytes), ratio 0.250\n"),
            "{text}"
        );
        assert!(text.contains("ratio 0.250, behind delta2 shuffle2\n"), "{text}");
        assert!(text.contains("ratio 0.250, with a dictionary\n"), "{text}");
        assert!(text.contains("  zstd       2 dictionaries, "), "{text}");
        assert!(text.contains("note         a\\x1bb\n"), "{text}");
    }

    #[test]
    fn programs_read_exact_numbers() {
        let (summary, mix) = sample();
        let value = serde_json::to_value(Info::new(&summary, &mix)).unwrap();
        assert_eq!(value["bytes"], u64::MAX);
        assert_eq!(value["options"]["level"], 3);
        assert_eq!(value["codecs"][0]["codec"], "zstd");
        assert_eq!([&value["codecs"][0]["filters"], &value["codecs"][2]["filters"]], ["", "delta2 shuffle2"]);
        assert_eq!([&value["codecs"][0]["dictionary"], &value["codecs"][1]["dictionary"]], [false, true]);
        assert_eq!(value["codecs"][0]["stored_bytes"], 1024);
        assert_eq!(value["codecs"][0]["ratio"], 0.25);
    }
}
