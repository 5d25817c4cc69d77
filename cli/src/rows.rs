//! How an entry is listed. What flows in: a row and where its hard link leads. What flows out: one line, written without
//! allocating.

use std::fmt;
use std::io;
use std::io::Write;

use carrack_engine::control::Escaped;
use carrack_engine::entry::{Family, Kind, Row, Xattr, flags};
use serde::Serialize;

use crate::size::Human;
use crate::time::Utc;

const BLUE: &str = "\x1b[1;34m";
const CYAN: &str = "\x1b[36m";
const GREEN: &str = "\x1b[32m";
const YELLOW: &str = "\x1b[33m";
const RESET: &str = "\x1b[0m";

/// How names and sizes are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// For eyes: control characters escaped, sizes in units. Otherwise raw bytes and exact numbers.
    pub(crate) terminal: bool,
    /// Names in the colour of their kind.
    pub(crate) colour: bool,
}

impl Style {
    fn name(self, out: &mut dyn Write, name: &[u8]) -> io::Result<()> {
        if self.terminal { write!(out, "{}", Escaped(name)) } else { out.write_all(shown(name)) }
    }

    fn coloured_name(self, out: &mut dyn Write, row: &Row<'_>) -> io::Result<()> {
        match colour(row) {
            Some(colour) if self.colour => {
                out.write_all(colour.as_bytes())?;
                self.name(out, row.path)?;
                out.write_all(RESET.as_bytes())
            }
            _ => self.name(out, row.path),
        }
    }
}

/// The root has no name: a dot, which no other path can be, stands for it.
fn shown(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"." } else { path }
}

fn colour(row: &Row<'_>) -> Option<&'static str> {
    match row.kind {
        Kind::Dir => Some(BLUE),
        Kind::Symlink => Some(CYAN),
        Kind::File | Kind::Hardlink => (row.mode & 0o111 != 0).then_some(GREEN),
        Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => Some(YELLOW),
    }
}

/// Writes the path and a line feed.
pub(crate) fn plain(out: &mut dyn Write, row: &Row<'_>, style: Style) -> io::Result<()> {
    style.coloured_name(out, row)?;
    out.write_all(b"\n")
}

/// Writes the path's bytes and a NUL.
pub(crate) fn null(out: &mut dyn Write, row: &Row<'_>) -> io::Result<()> {
    out.write_all(shown(row.path))?;
    out.write_all(b"\0")
}

/// Columns that grow with what they hold, as a listing that cannot look ahead has them.
#[derive(Debug)]
pub(crate) struct Long {
    style: Style,
    owner_width: usize,
    group_width: usize,
    size_width: usize,
}

impl Long {
    /// Columns of the usual widths.
    pub(crate) fn new(style: Style) -> Self {
        Self { style, owner_width: 5, group_width: 5, size_width: 10 }
    }

    /// Writes mode, owner, group, size, time and name, and where a link leads.
    pub(crate) fn write(&mut self, out: &mut dyn Write, row: &Row<'_>, first_name: Option<&[u8]>) -> io::Result<()> {
        out.write_all(&mode(row.kind, row.mode))?;
        // As with `ls -l`: more people may do something with it than these letters say.
        let has_list = row.xattrs.iter().any(|xattr| Family::of(&xattr.name) == Family::Acl);
        out.write_all(if has_list { b"+ " } else { b" " })?;
        column(out, &mut self.owner_width, row.owner, row.uid)?;
        column(out, &mut self.group_width, row.group, row.gid)?;
        self.size(out, row)?;
        write!(out, " {} ", Utc(row.mtime_ns))?;
        self.style.coloured_name(out, row)?;
        if let Some(target) = row.link_target {
            out.write_all(b" -> ")?;
            self.style.name(out, target)?;
        }
        if let Some(first) = first_name {
            out.write_all(b" link to ")?;
            self.style.name(out, first)?;
        }
        if row.flags & flags::CHANGED != 0 {
            out.write_all(b" (changed while it was packed)")?;
        }
        out.write_all(b"\n")
    }

    fn size(&mut self, out: &mut dyn Write, row: &Row<'_>) -> io::Result<()> {
        let width = self.size_width;
        match row.device {
            Some(device) => {
                let minor_width = width.saturating_sub(5);
                write!(out, "{:>4},{:>minor_width$}", device.major, device.minor)
            }
            None if self.style.terminal => write!(out, "{:>width$}", Human(row.size)),
            None => {
                let digits = row.size.checked_ilog10().unwrap_or(0) as usize + 1;
                self.size_width = width.max(digits);
                write!(out, "{:>width$}", row.size)
            }
        }
    }
}

/// Writes an owner or group and a blank. Names come from the archive: what could upset a terminal or the columns is
/// escaped.
fn column(out: &mut dyn Write, width: &mut usize, name: Option<&str>, number: u32) -> io::Result<()> {
    let (at, len) = (*width, name.map_or(0, str::len));
    *width = at.max(len.min(32));
    match name {
        Some(name) if name.bytes().all(|byte| byte.is_ascii_graphic()) => write!(out, "{name:<at$} "),
        Some(name) => write!(out, "{} ", Escaped(name.as_bytes())),
        None => write!(out, "{number:<at$} "),
    }
}

/// Kind and permissions as `ls -l` shows them: `-rwsr-x--t`. A hard link is an `h`.
pub(crate) fn mode(kind: Kind, mode: u32) -> [u8; 10] {
    let letter = match kind {
        Kind::File => b'-',
        Kind::Dir => b'd',
        Kind::Symlink => b'l',
        Kind::Hardlink => b'h',
        Kind::Fifo => b'p',
        Kind::Socket => b's',
        Kind::CharDevice => b'c',
        Kind::BlockDevice => b'b',
    };
    let mut text = *b"?rwxrwxrwx";
    text[0] = letter;
    for bit in 0..9 {
        if mode & (0o400 >> bit) == 0 {
            text[1 + bit] = b'-';
        }
    }
    for (special, at, letter) in [(0o4000, 3, b's'), (0o2000, 6, b's'), (0o1000, 9, b't')] {
        if mode & special != 0 {
            text[at] = if text[at] == b'x' { letter } else { letter.to_ascii_uppercase() };
        }
    }
    text
}

/// Adds one JSON object and a line feed.
// To a vector: an object is written in some fifty pieces, which is slow through a pointer to any writer.
pub(crate) fn json(out: &mut Vec<u8>, number: u32, row: &Row<'_>, first_name: Option<&[u8]>) -> io::Result<()> {
    let line = Line {
        row: number,
        path: Lossy(row.path),
        path_raw: raw(row.path),
        kind: row.kind.name(),
        size: row.size,
        mode: row.mode,
        permissions: Ascii(mode(row.kind, row.mode)),
        uid: row.uid,
        gid: row.gid,
        owner: row.owner,
        group: row.group,
        mtime: Text(ToNanosecond(row.mtime_ns)),
        mtime_ns: row.mtime_ns,
        link_target: row.link_target.map(Lossy),
        link_target_raw: row.link_target.and_then(raw),
        hardlink: row.hardlink,
        hardlink_path: first_name.map(Lossy),
        hardlink_path_raw: first_name.and_then(raw),
        device_major: row.device.map(|device| device.major),
        device_minor: row.device.map(|device| device.minor),
        digest: row.digest.map(|digest| Ascii(hex(&digest.0))),
        xattrs: Xattrs(row.xattrs),
        changed: row.flags & flags::CHANGED != 0,
    };
    crate::json::write(out, &line)?;
    out.write_all(b"\n")
}

/// One row as JSON: the columns of the entries table that people ask for, under their names there. What is raw is in
/// hexadecimal, and there only beside text that had to be bent to be UTF-8.
#[derive(Serialize)]
struct Line<'a> {
    row: u32,
    path: Lossy<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_raw: Option<Text<Hex<'a>>>,
    kind: &'static str,
    size: u64,
    mode: u32,
    permissions: Ascii<10>,
    uid: u32,
    gid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    mtime: Text<ToNanosecond>,
    mtime_ns: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_target: Option<Lossy<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link_target_raw: Option<Text<Hex<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hardlink: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hardlink_path: Option<Lossy<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hardlink_path_raw: Option<Text<Hex<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_major: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    device_minor: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<Ascii<64>>,
    #[serde(skip_serializing_if = "Xattrs::is_empty")]
    xattrs: Xattrs<'a>,
    changed: bool,
}

/// Extended attributes as a list of objects; values in hexadecimal, since they may be anything.
struct Xattrs<'a>(&'a [Xattr]);

impl Xattrs<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Xattrs<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            name: Lossy<'a>,
            value: Text<Hex<'a>>,
        }
        let shown = self.0.iter().map(|xattr| Shown { name: Lossy(&xattr.name), value: Text(Hex(&xattr.value)) });
        serializer.collect_seq(shown)
    }
}

fn raw(bytes: &[u8]) -> Option<Text<Hex<'_>>> {
    str::from_utf8(bytes).is_err().then_some(Text(Hex(bytes)))
}

/// Bytes as text, each byte that is not UTF-8 as U+FFFD.
struct Lossy<'a>(&'a [u8]);

impl Serialize for Lossy<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from_utf8_lossy(self.0))
    }
}

/// Whatever can be shown, as a JSON string.
struct Text<T>(T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Some ASCII letters, as a JSON string.
struct Ascii<const N: usize>([u8; N]);

impl<const N: usize> Serialize for Ascii<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(str::from_utf8(&self.0).map_err(serde::ser::Error::custom)?)
    }
}

/// A digest in hexadecimal digits.
fn hex(digest: &[u8; 32]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(digest) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

struct ToNanosecond(i64);

impl fmt::Display for ToNanosecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", Utc(self.0))
    }
}

#[cfg(test)]
mod tests {
    use carrack_engine::entry::Device;

    use super::*;

    const PIPE: Style = Style { terminal: false, colour: false };
    const TERMINAL: Style = Style { terminal: true, colour: true };

    fn written(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn modes_are_shown_as_ls_does() {
        let table = [
            (Kind::File, 0o644, "-rw-r--r--"),
            (Kind::Dir, 0o755, "drwxr-xr-x"),
            (Kind::Symlink, 0o777, "lrwxrwxrwx"),
            (Kind::Hardlink, 0o000, "h---------"),
            (Kind::Fifo, 0o421, "pr---w---x"),
            (Kind::Socket, 0o7777, "srwsrwsrwt"),
            (Kind::CharDevice, 0o7666, "crwSrwSrwT"),
            (Kind::BlockDevice, 0o2010, "b-----s---"),
        ];
        for (kind, bits, text) in table {
            assert_eq!(mode(kind, bits), text.as_bytes(), "{kind:?} {bits:o}");
        }
    }

    #[test]
    fn names_are_raw_in_a_pipe_and_escaped_on_a_terminal() {
        let row = Row::new(b"a\x1b\xff\nb", Kind::File);
        let mut out = Vec::new();
        plain(&mut out, &row, PIPE).unwrap();
        assert_eq!(out, b"a\x1b\xff\nb\n");
        assert_eq!(written(|out| plain(out, &row, TERMINAL)), "a\\x1b\\xff\\nb\n");
        out.clear();
        null(&mut out, &row).unwrap();
        assert_eq!(out, b"a\x1b\xff\nb\0");
    }

    #[test]
    fn the_root_is_a_dot() {
        let row = Row::new(b"", Kind::Dir);
        assert_eq!(written(|out| plain(out, &row, PIPE)), ".\n");
        assert_eq!(written(|out| null(out, &row)), ".\0");
        assert_eq!(written(|out| plain(out, &row, TERMINAL)), "\x1b[1;34m.\x1b[0m\n");
    }

    #[test]
    fn a_long_line_has_every_column() {
        let mut long = Long::new(PIPE);
        let link = Row {
            mode: 0o777,
            link_target: Some(b"../x"),
            owner: Some("alice"),
            gid: 7,
            ..Row::new(b"l", Kind::Symlink)
        };
        assert_eq!(
            written(|out| long.write(out, &link, None)),
            "lrwxrwxrwx alice 7              0 1970-01-01T00:00:00Z l -> ../x\n"
        );
        let hard = Row { mode: 0o644, size: 5000, flags: flags::CHANGED, ..Row::new(b"h", Kind::Hardlink) };
        assert_eq!(
            written(|out| long.write(out, &hard, Some(b"first"))),
            "hrw-r--r-- 0     0           5000 1970-01-01T00:00:00Z h link to first (changed while it was packed)\n"
        );
        let device = Row { device: Some(Device { major: 8, minor: 1 }), ..Row::new(b"sda1", Kind::BlockDevice) };
        assert!(written(|out| long.write(out, &device, None)).contains("   8,    1 1970"));
        let evil = Row { owner: Some("e\x1bve"), size: 5 << 20, ..Row::new(b"f", Kind::File) };
        let line = written(|out| Long::new(TERMINAL).write(out, &evil, None));
        assert!(line.contains(" e\\x1bve ") && line.contains("  5.00 MiB "), "{line}");
    }

    #[test]
    fn json_keeps_every_byte_and_every_digit() {
        let row =
            Row { size: u64::MAX, mtime_ns: i64::MAX, link_target: Some(b"\xfe"), ..Row::new(b"a\xff\"", Kind::File) };
        let line = written(|out| json(out, 3, &row, None));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["row"], 3);
        assert_eq!(value["path"], "a\u{fffd}\"");
        assert_eq!(value["path_raw"], "61ff22");
        assert_eq!(value["size"], u64::MAX);
        assert_eq!(value["mtime_ns"], i64::MAX);
        assert_eq!(value["mtime"], "2262-04-11T23:47:16.854775807Z");
        assert_eq!(value["link_target_raw"], "fe");
        assert_eq!(value["permissions"], "----------");
        let digest = carrack_engine::digest::Digest::of(b"abc");
        let filed = written(|out| json(out, 3, &Row { digest: Some(digest), ..row }, None));
        assert_eq!(serde_json::from_str::<serde_json::Value>(&filed).unwrap()["digest"], digest.to_string());
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1);
        let utf8 = written(|out| json(out, 0, &Row::new("grün".as_bytes(), Kind::File), Some(b"f")));
        let value: serde_json::Value = serde_json::from_str(&utf8).unwrap();
        assert_eq!((&value["path"], &value["hardlink_path"]), (&"grün".into(), &"f".into()));
        assert!(value.get("path_raw").is_none() && value.get("digest").is_none() && value.get("xattrs").is_none());
    }

    #[test]
    fn attributes_are_shown_in_full_and_a_list_by_a_plus() {
        let xattr = |name: &[u8], value: &[u8]| Xattr { name: name.into(), value: value.into() };
        let list = [xattr(b"system.posix_acl_access", b"\x02\0"), xattr(b"user.caf\xe9", b"")];
        let row = Row { mode: 0o640, xattrs: &list, ..Row::new(b"f", Kind::File) };
        let value: serde_json::Value = serde_json::from_str(&written(|out| json(out, 0, &row, None))).unwrap();
        assert_eq!((&value["xattrs"][0]["name"], &value["xattrs"][0]["value"]), (&list_name(), &"0200".into()));
        assert_eq!(
            (&value["xattrs"][1]["name"], &value["xattrs"][1]["value"]),
            (&"user.caf\u{fffd}".into(), &"".into())
        );
        assert!(written(|out| Long::new(PIPE).write(out, &row, None)).starts_with("-rw-r-----+ 0     0 "));
        let row = Row { xattrs: &list[1..], ..row };
        assert!(written(|out| Long::new(PIPE).write(out, &row, None)).starts_with("-rw-r----- 0     0 "));
    }

    fn list_name() -> serde_json::Value {
        "system.posix_acl_access".into()
    }
}
