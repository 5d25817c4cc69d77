//! What the flags mean together. What flows in: raw flags. What flows out: one checked configuration, or an error that
//! says what to type instead. What this module does not know: how a run goes.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use carrack_backends::read::choose::IoChoice;
use carrack_engine::codec::Codec;
use carrack_engine::control::Escaped;
use carrack_engine::entry::XattrChoice;
use carrack_engine::error::{Error, ErrorKind, Result};
use carrack_engine::limits::{BLOCK_SIZE_MAX, BLOCK_SIZE_MIN};
use carrack_engine::pack::{Dedup, Packer};
use carrack_engine::profile::{Choice, Dials};
use clap::ValueEnum;
use globset::Glob;

use crate::args::{CodecName, IoName, PackArgs};
use crate::size::Human;

/// Where an archive goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Into this file.
    File(PathBuf),
    /// To standard output.
    Stdout,
}

/// Everything a packing run needs to know.
#[derive(Debug)]
pub(crate) struct Pack {
    pub(crate) inputs: Vec<PathBuf>,
    pub(crate) base_dir: Option<PathBuf>,
    pub(crate) target: Target,
    /// The profile, and what was set beside it.
    pub(crate) choice: Choice,
    /// What that comes to.
    pub(crate) dials: Dials,
    pub(crate) io: IoChoice,
    pub(crate) readers: Option<usize>,
    pub(crate) depth: Option<u32>,
    /// Bytes.
    pub(crate) direct: Option<u64>,
    pub(crate) slots: Option<u32>,
    /// Bytes.
    pub(crate) slot_size: Option<u32>,
    pub(crate) threads: Option<usize>,
    /// Bytes.
    pub(crate) memory_limit: Option<u64>,
    pub(crate) exclude: Vec<String>,
    pub(crate) one_file_system: bool,
    pub(crate) xattrs: XattrChoice,
    pub(crate) force: bool,
    pub(crate) sync: bool,
    /// The archive is read back before it gets its name.
    pub(crate) verify: bool,
}

impl Pack {
    /// Checks the flags of `pack` against one another, and reads the files of patterns.
    ///
    /// # Errors
    /// Of kind `Usage` for flags that make no sense, of kind `Input` for a file of patterns that cannot be read.
    pub(crate) fn resolve(args: PackArgs) -> Result<Self> {
        let target = target(&args)?;
        let choice = choice(&args)?;
        let dials = choice.dials()?;
        check_io(&args)?;
        if args.verify && target == Target::Stdout {
            return Err(usage("--verify reads the archive back, which standard output cannot do: give -o FILE"));
        }
        let mut exclude = Vec::with_capacity(args.exclude.len());
        for pattern in &args.exclude {
            exclude.push(glob(pattern, "--exclude")?);
        }
        for file in &args.exclude_from {
            read_patterns(file, &mut exclude)?;
        }
        Ok(Self {
            inputs: args.inputs,
            base_dir: args.directory,
            target,
            choice,
            dials,
            io: args.io.unwrap_or(IoName::Auto).into(),
            readers: args.readers.map(Into::into),
            depth: args.depth.map(Into::into),
            direct: args.direct,
            slots: args.slots.map(Into::into),
            slot_size: args.slot_size,
            threads: args.threads.map(Into::into),
            memory_limit: args.memory_limit,
            exclude,
            one_file_system: args.one_file_system,
            xattrs: XattrChoice { acls: !args.no_acls, xattrs: !args.no_xattrs, selinux: args.selinux },
            force: args.force,
            sync: !args.no_sync,
            verify: args.verify,
        })
    }

    /// The engine's builder with all of this in it.
    pub(crate) fn packer(&self) -> Packer {
        let mut packer = Packer::new()
            .choice(self.choice)
            .io(self.io)
            .direct(self.direct)
            .memory_limit(self.memory_limit)
            .exclude(self.exclude.iter().cloned())
            .one_file_system(self.one_file_system)
            .xattrs(self.xattrs)
            .force(self.force)
            .sync(self.sync)
            .verify(self.verify);
        for input in &self.inputs {
            packer = packer.input(input);
        }
        if let Some(dir) = &self.base_dir {
            packer = packer.base_dir(dir);
        }
        if let Some(n) = self.readers {
            packer = packer.readers(n);
        }
        if let Some(n) = self.depth {
            packer = packer.depth(n);
        }
        if let Some(n) = self.slots {
            packer = packer.slots(n);
        }
        if let Some(bytes) = self.slot_size {
            packer = packer.slot_size(bytes);
        }
        if let Some(n) = self.threads {
            packer = packer.threads(n);
        }
        packer
    }

    /// The options in effect, in one line.
    pub(crate) fn describe(&self) -> String {
        fn or_auto<T: ToString>(value: Option<T>) -> String {
            value.map_or_else(|| "auto".to_owned(), |value| value.to_string())
        }
        let Dials { codec, filter, block_size, dedup, chunk_size, order, dictionary } = self.dials;
        let codec = match codec {
            Codec::Store => "store".to_owned(),
            Codec::Lz4 => "lz4".to_owned(),
            Codec::Zstd { level } => format!("zstd level {level}"),
            Codec::Lzma { level } => format!("lzma level {level}"),
        };
        let pieces = match (dedup, chunk_size) {
            (Dedup::Chunk, Some(bytes)) => format!(" of {}", Human(bytes.into())),
            _ => String::new(),
        };
        format!(
            "profile {}, codec {codec}, block {}, dedup {}{pieces}, filter {filter}, order {}, dict {}, io {}, readers {}, depth {}, direct {}, slots {} of {}, threads {}, memory limit {}, {} exclude {}, sync {}",
            self.choice.profile,
            Human(block_size.into()),
            dedup.name(),
            order.name(),
            dictionary.map_or_else(|| "off".to_owned(), |bytes| Human(bytes.into()).to_string()),
            self.io,
            or_auto(self.readers),
            or_auto(self.depth),
            self.direct.map_or_else(|| "off".to_owned(), |bytes| format!("from {}", Human(bytes))),
            or_auto(self.slots),
            or_auto(self.slot_size.map(|bytes| Human(bytes.into()))),
            or_auto(self.threads),
            or_auto(self.memory_limit.map(Human)),
            self.exclude.len(),
            if self.exclude.len() == 1 { "pattern" } else { "patterns" },
            if self.sync { "on" } else { "off" },
        )
    }
}

fn usage(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, message)
}

/// A path as messages show it.
pub(crate) fn show(path: &Path) -> String {
    Escaped(path.as_os_str().as_bytes()).to_string()
}

fn target(args: &PackArgs) -> Result<Target> {
    match &args.output {
        Some(output) if output.as_os_str() == "-" => Ok(Target::Stdout),
        Some(output) => Ok(Target::File(output.clone())),
        None => {
            let input = args.inputs.first().map_or(Path::new("."), PathBuf::as_path);
            // The first input's own name serves as the example, where it has one.
            let name = input.file_name().unwrap_or(OsStr::new("archive"));
            Err(usage(format!(
                "say where the archive goes: carrack pack {} -o {}.crk (or -o - for standard output)",
                show(input),
                Escaped(name.as_bytes()),
            )))
        }
    }
}

/// The profile and the dials that were set, each checked for itself.
fn choice(args: &PackArgs) -> Result<Choice> {
    let dedup = match args.dedup {
        _ if args.no_dedup => Some(Dedup::None),
        dedup => dedup.map(Into::into),
    };
    if let (Some(dedup @ (Dedup::None | Dedup::File)), Some(_)) = (dedup, args.chunk_size) {
        return Err(usage(format!(
            "--chunk-size goes with --dedup chunk: with --dedup {} no file is cut",
            dedup.name()
        )));
    }
    if let Some(bytes) = args.block_size
        && !(bytes.is_power_of_two() && (BLOCK_SIZE_MIN..=BLOCK_SIZE_MAX).contains(&bytes))
    {
        return Err(usage(format!("--block-size: expected a power of two from 4KiB to 64MiB, found {bytes} bytes")));
    }
    Ok(Choice {
        profile: args.profile,
        codec: codec(args.codec, args.level)?,
        filter: args.filter.map(Into::into),
        block_size: args.block_size,
        max_block_decode: args.max_block_decode,
        dedup,
        chunk_size: args.chunk_size,
        order: args.order.map(Into::into),
        dictionary: args.dict.unwrap_or_default(),
    })
}

/// What was asked for; a level alone is one of zstd.
fn codec(name: Option<CodecName>, level: Option<i32>) -> Result<Option<Codec>> {
    if name.is_none() && level.is_none() {
        return Ok(None);
    }
    let name = name.unwrap_or(CodecName::Zstd);
    let word = name.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    if level.is_some() && !matches!(name, CodecName::Zstd | CodecName::Lzma) {
        return Err(usage(format!("--level belongs to --codec zstd or lzma; {word} has no levels")));
    }
    Codec::parse(&word, level).map(Some).map_err(|what| usage(format!("--codec: {what}")))
}

fn check_io(args: &PackArgs) -> Result<()> {
    let io = args.io.unwrap_or(IoName::Auto);
    if args.readers.is_some() && !matches!(io, IoName::Auto | IoName::Pool) {
        return Err(usage("--readers belongs to --io pool: the other backends read with one thread"));
    }
    if args.depth.is_some() && !matches!(io, IoName::Auto | IoName::Uring) {
        return Err(usage("--depth belongs to --io uring: the other backends have no queue in the kernel"));
    }
    if args.direct.is_some() && io == IoName::Mmap {
        return Err(usage("--direct goes with --io uring, pool or pread: a mapped file is always in the page cache"));
    }
    if args.slot_size == Some(0) {
        return Err(usage("--slot-size: a buffer of 0 bytes holds nothing"));
    }
    Ok(())
}

/// A pattern as text, if it is one.
///
/// # Errors
/// Of kind `Usage`, naming `place`.
pub(crate) fn glob(pattern: &OsStr, place: &str) -> Result<String> {
    let shown = Escaped(pattern.as_bytes());
    let Some(text) = pattern.to_str() else {
        return Err(usage(format!("{place}: {shown} is not valid UTF-8; put a ? for each byte that is not")));
    };
    if text.is_empty() {
        return Err(usage(format!("{place}: the pattern is empty")));
    }
    Glob::new(text).map_err(|error| usage(format!("{place}: {shown} is no pattern: {}", error.kind())))?;
    Ok(text.to_owned())
}

/// Adds the patterns of a file, one a line. Blank lines and lines that begin with `#` are comments; a pattern that
/// begins with `#` is written `\#`.
fn read_patterns(path: &Path, patterns: &mut Vec<String>) -> Result<()> {
    if path.as_os_str() == "-" {
        return parse_patterns(&mut io::stdin().lock(), "standard input", patterns);
    }
    let name = show(path);
    let file = File::open(path)
        .map_err(|error| Error::with(ErrorKind::Input, format!("--exclude-from {name}: cannot be opened"), error))?;
    parse_patterns(&mut BufReader::new(file), &name, patterns)
}

/// Adds the patterns that stand in `reader`; `name` is what errors call it.
///
/// # Errors
/// Of kind `Usage` for a line that is no pattern, of kind `Input` when the reader fails.
pub(crate) fn parse_patterns(reader: &mut dyn BufRead, name: &str, patterns: &mut Vec<String>) -> Result<()> {
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        let read = reader
            .read_until(b'\n', &mut line)
            .map_err(|error| Error::with(ErrorKind::Input, format!("--exclude-from {name}: cannot be read"), error))?;
        if read == 0 {
            break;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.is_empty() || text.starts_with(b"#") {
            continue;
        }
        patterns.push(glob(OsStr::from_bytes(text), &format!("--exclude-from {name}, line {number}"))?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use carrack_engine::plan::Order;
    use clap::Parser;

    use super::*;
    use crate::args::{Args, Command};

    fn resolve(flags: &[&str]) -> Result<Pack> {
        let args = [&["carrack", "pack"], flags].concat();
        match Args::try_parse_from(args).expect("clap takes these flags").command {
            Command::Pack(args) => Pack::resolve(args),
            other => panic!("{other:?}"),
        }
    }

    fn complaint(flags: &[&str]) -> String {
        let error = resolve(flags).expect_err("these flags make no sense");
        assert_eq!(error.kind(), ErrorKind::Usage);
        error.to_string()
    }

    #[test]
    fn without_an_output_the_error_says_what_to_type() {
        let text = complaint(&["some/src"]);
        assert!(text.contains("carrack pack some/src -o src.crk"), "{text}");
        assert!(complaint(&[".."]).contains("-o archive.crk"));
    }

    #[test]
    fn the_target_is_a_file_or_standard_output() {
        assert_eq!(resolve(&["a", "-o", "-"]).unwrap().target, Target::Stdout);
        assert_eq!(resolve(&["a", "-o", "./-"]).unwrap().target, Target::File("./-".into()));
    }

    #[test]
    fn levels_belong_to_zstd() {
        assert_eq!(resolve(&["a", "-o", "-", "--level", "-7"]).unwrap().dials.codec, Codec::Zstd { level: -7 });
        assert_eq!(resolve(&["a", "-o", "-", "--codec", "lz4"]).unwrap().dials.codec, Codec::Lz4);
        assert!(complaint(&["a", "-o", "-", "--codec", "lz4", "--level", "3"]).contains("lz4 has no levels"));
        assert!(complaint(&["a", "-o", "-", "--codec", "store", "--level", "3"]).contains("store has no levels"));
    }

    #[test]
    fn a_block_is_a_power_of_two_within_the_limits() {
        for right in ["4k", "4MiB", "64M"] {
            assert!(resolve(&["a", "-o", "-", "--block-size", right]).is_ok(), "{right}");
        }
        for wrong in ["0", "2k", "5MiB", "128M", "4095"] {
            let text = complaint(&["a", "-o", "-", "--block-size", wrong]);
            assert!(text.contains("power of two from 4KiB to 64MiB"), "{text}");
        }
    }

    #[test]
    fn flags_that_would_have_no_effect_are_refused() {
        assert!(complaint(&["a", "-o", "-", "--io", "uring", "--readers", "2"]).contains("--io pool"));
        assert!(complaint(&["a", "-o", "-", "--io", "pread", "--depth", "2"]).contains("--io uring"));
        assert!(complaint(&["a", "-o", "-", "--io", "mmap", "--direct"]).contains("page cache"));
        assert!(complaint(&["a", "-o", "-", "--slot-size", "0"]).contains("--slot-size"));
    }

    #[test]
    fn both_ways_to_switch_deduplication_off_do() {
        assert_eq!(resolve(&["a", "-o", "-"]).unwrap().dials.dedup, Dedup::File);
        assert_eq!(resolve(&["a", "-o", "-", "--no-dedup"]).unwrap().dials.dedup, Dedup::None);
        assert_eq!(resolve(&["a", "-o", "-", "--dedup", "none"]).unwrap().dials.dedup, Dedup::None);
    }

    #[test]
    fn contents_are_ordered_by_path_unless_asked_otherwise() {
        assert_eq!(resolve(&["a", "-o", "-"]).unwrap().dials.order, Order::Path);
        let similar = resolve(&["a", "-o", "-", "--order", "similar"]).unwrap();
        assert_eq!(similar.dials.order, Order::Similar);
        assert!(similar.describe().contains("order similar"), "{}", similar.describe());
    }

    #[test]
    fn a_profile_sets_what_was_not_set() {
        let small = resolve(&["a", "-o", "-", "--profile", "small", "--level", "5"]).unwrap();
        let Dials { codec, dedup, order, .. } = small.dials;
        assert_eq!((codec, dedup, order), (Codec::Zstd { level: 5 }, Dedup::Chunk, Order::Similar));
        assert!(small.describe().starts_with("profile small, codec zstd level 5"), "{}", small.describe());
        let random = resolve(&["a", "-o", "-", "--profile", "random", "--max-block-decode", "20k"]).unwrap();
        assert_eq!(random.dials.block_size, 16 << 10);
        let text = complaint(&["a", "-o", "-", "--block-size", "1MiB", "--max-block-decode", "64k"]);
        assert!(text.contains("at most 65536 may have to be decoded"), "{text}");
        assert!(complaint(&["a", "-o", "-", "--dedup", "file", "--chunk-size", "8k"]).contains("--dedup chunk"));
    }

    #[test]
    fn patterns_are_checked_where_they_are_given() {
        assert!(complaint(&["a", "-o", "-", "--exclude", "[a"]).contains("--exclude: [a is no pattern"));
        assert!(complaint(&["a", "-o", "-", "--exclude", ""]).contains("empty"));
        let error = glob(OsStr::from_bytes(b"caf\xe9*"), "--exclude").expect_err("not UTF-8");
        assert!(error.to_string().contains("caf\\xe9* is not valid UTF-8"), "{error}");
    }

    #[test]
    fn a_file_of_patterns_has_comments_and_line_numbers() {
        let mut patterns = Vec::new();
        let text = b"# objects\n*.o\r\n\n\\#odd\ntarget";
        parse_patterns(&mut &text[..], "f", &mut patterns).unwrap();
        assert_eq!(patterns, ["*.o", "\\#odd", "target"]);
        let error = parse_patterns(&mut &b"ok\n[a\n"[..], "f", &mut patterns).expect_err("no pattern");
        assert!(error.to_string().contains("--exclude-from f, line 2"), "{error}");
    }

    #[test]
    fn the_description_names_what_was_chosen() {
        let text = resolve(&["a", "-o", "-", "--slots", "8", "--slot-size", "8M", "-x", "*.o"]).unwrap().describe();
        assert!(text.contains("zstd level 3") && text.contains("block 4.00 MiB"), "{text}");
        assert!(text.contains("slots 8 of 8.00 MiB") && text.contains("threads auto"), "{text}");
        assert!(text.contains("1 exclude pattern,"), "{text}");
    }
}
