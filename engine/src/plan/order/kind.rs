//! What a name says about the contents.
//!
//! In: a path. Out: its last part, and the kind of file in that. Nothing is read: most files say by their names
//! what they are, and of the others a name that many share (`Makefile`, `LICENSE`) says as much.

/// Longest extension, bytes: what follows the last dot of a sentence that serves as a name is none.
const LEN_MAX: usize = 12;

/// A kind of file, by its extension: that of the first of a family, in lower case letters, padded with zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::plan) struct Kind([u8; LEN_MAX]);

/// Extensions that stand for much the same: what has one of them lies beside its counterpart with another (a source beside
/// its header, a script beside its types and its map), repeats it, and is better left there. `docs/order.md` has the
/// measurements.
const FAMILIES: [&[&[u8]]; 10] = [
    &[b"c", b"h", b"cc", b"cpp", b"cxx", b"hpp", b"hh", b"hxx", b"s", b"inc", b"m", b"mm", b"cu", b"cuh"],
    &[b"js", b"mjs", b"cjs", b"jsx", b"ts", b"mts", b"cts", b"tsx", b"map", b"flow", b"vue", b"svelte"],
    &[b"py", b"pyi", b"pyx", b"pxd"],
    &[b"java", b"kt", b"kts", b"scala", b"groovy"],
    &[b"html", b"htm", b"xhtml", b"xml", b"xsl", b"svg", b"css", b"scss", b"sass", b"less"],
    &[b"", b"txt", b"md", b"markdown", b"rst", b"adoc", b"tex"],
    &[b"json", b"json5", b"yaml", b"yml", b"toml", b"ini", b"cfg", b"conf", b"lock", b"properties"],
    &[b"so", b"o", b"a", b"dll", b"exe", b"dylib", b"lib", b"node", b"rlib", b"wasm"],
    &[b"jpg", b"jpeg", b"png", b"gif", b"webp", b"avif", b"heic", b"mp3", b"ogg", b"flac", b"mp4", b"mkv", b"webm"],
    &[b"zip", b"gz", b"tgz", b"bz2", b"xz", b"zst", b"7z", b"jar", b"whl", b"crate", b"woff", b"woff2"],
];

/// The last part of a path.
pub(in crate::plan) fn name(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&byte| byte == b'/').map_or(path, |at| &path[at + 1..])
}

impl Kind {
    /// The kind of file with that name: by what stands behind its last dot, numbers aside, as versions and sections are
    /// (`libz.so.1.3`, `log.7`). Names without an extension, such as `README`, `.profile` or `notes.1`, are of one kind, with
    /// text.
    pub(in crate::plan) fn of(name: &[u8]) -> Self {
        let extension = extension(name).to_ascii_lowercase();
        let family = FAMILIES.iter().find(|family| family.contains(&&extension[..]));
        let first = family.map_or(&extension[..], |family| family[0]);
        let mut kind = Self([0; LEN_MAX]);
        kind.0[..first.len()].copy_from_slice(first);
        kind
    }
}

fn extension(name: &[u8]) -> &[u8] {
    // What stands before the first dot is no extension, nor is what follows a dot at the very beginning.
    let hidden = usize::from(name.first() == Some(&b'.'));
    let Some(dot) = name[hidden..].iter().position(|&byte| byte == b'.') else { return b"" };
    let mut parts = name[hidden + dot + 1..].rsplit(|&byte| byte == b'.');
    let part = parts.find(|part| !part.iter().all(u8::is_ascii_digit)).unwrap_or(b"");
    let is_word = part.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_+".contains(byte));
    if is_word && part.len() <= LEN_MAX { part } else { b"" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_stands_behind_the_last_dot_numbers_aside() {
        for (name, expected) in [
            ("lib.rs", "rs"),
            ("a.tar.gz", "gz"),
            ("libz.so.1.3", "so"),
            ("app.min.JS", "JS"),
            ("log.7", ""),
            ("README", ""),
            (".profile", ""),
            (".config.toml", "toml"),
            ("", ""),
            ("...", ""),
            ("1.2.3", ""),
            ("Report, second version. Final draft", ""),
            ("name.averylongextension", ""),
            ("caf\u{e9}.r\u{e9}s", ""),
        ] {
            assert_eq!(extension(name.as_bytes()).escape_ascii().to_string(), expected, "{name}");
        }
    }

    #[test]
    fn families_are_one_kind() {
        let kind = |name: &str| Kind::of(name.as_bytes());
        assert!(kind("a.c") == kind("a.H") && kind("a.ts") == kind("b.js.map") && kind("README") == kind("x.md"));
        assert!(kind("a.c") != kind("a.rs") && kind("a.rs") != kind("README"));
    }

    #[test]
    fn no_extension_is_in_two_families_nor_too_long() {
        let all = FAMILIES.concat();
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert!(all.iter().all(|extension| extension.len() <= LEN_MAX && extension.is_ascii()));
    }

    #[test]
    fn a_path_ends_with_a_name() {
        for (path, last) in [("a/b/c", "c"), ("c", "c"), ("a/", ""), ("", "")] {
            assert_eq!(name(path.as_bytes()), last.as_bytes());
        }
    }
}
