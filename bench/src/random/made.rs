//! The tree that is read from, and its archives.

use std::path::Path;

use carrack_engine::pack::Packer;
use carrack_engine::profile::Profile;
use carrack_fixtures::content::{Content, Lang, Recipe};
use carrack_fixtures::tree::Builder;
use carrack_measure::error::{Context, Result};

/// Files that share a folder.
const PER_FOLDER: u64 = 500;
/// Files that share words of their own, as those of one project do.
const PER_PROJECT: u64 = 5000;
/// When all of it was changed, ns since 1970-01-01 UTC.
const TIME: i64 = 1_700_000_000_000_000_000;

/// How many files, and of how many bytes each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) files: u64,
    pub(super) size: u32,
    pub(super) seed: u64,
}

/// Writes a tree of code-like files, none like another.
pub(super) fn tree(shape: Shape, to: &Path) -> Result<()> {
    let mut builder = Builder::new(TIME);
    for n in 0..shape.files {
        let lang = Lang::ALL[(n % Lang::ALL.len() as u64) as usize];
        let content = Content::stream(Recipe::Source(lang, n / PER_PROJECT), shape.seed ^ n << 8, shape.size.into());
        let (folder, extension) = (n / PER_FOLDER, lang.extension());
        builder.file(format!("project-{folder:05}/module_{n:08}.{extension}"), content, TIME);
    }
    builder.finish().write(to).map(drop).at("write the tree", to)
}

/// Packs it for reading single files.
pub(super) fn pack(tree: &Path, archive: &Path, block_size: u32) -> Result<()> {
    let packer = Packer::new().input(tree).profile(Profile::Random).block_size(block_size);
    packer.force(true).sync(false).pack(archive).at("pack into", archive)?;
    Ok(())
}
