//! The schemas of both tables, and the head that follows from the entries schema. They never change within a version
//! of the format.

use std::sync::{Arc, LazyLock};

use arrow_ipc::MetadataVersion;
use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions, write_message};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use crate::container::align;
use crate::container::head::ARROW_MAGIC;

/// Columns of the entries table, by place.
pub(super) mod entry {
    pub(crate) const PATH: usize = 0;
    pub(crate) const PATH_RAW: usize = 1;
    pub(crate) const KIND: usize = 2;
    pub(crate) const SIZE: usize = 3;
    pub(crate) const MODE: usize = 4;
    pub(crate) const UID: usize = 5;
    pub(crate) const GID: usize = 6;
    pub(crate) const OWNER: usize = 7;
    pub(crate) const GROUP: usize = 8;
    pub(crate) const MTIME: usize = 9;
    pub(crate) const LINK_TARGET: usize = 10;
    pub(crate) const HARDLINK: usize = 11;
    pub(crate) const DEVICE_MAJOR: usize = 12;
    pub(crate) const DEVICE_MINOR: usize = 13;
    pub(crate) const XATTRS: usize = 14;
    pub(crate) const HOLES: usize = 15;
    pub(crate) const DIGEST: usize = 16;
    pub(crate) const EXTENTS: usize = 17;
    pub(crate) const FLAGS: usize = 18;
}

/// Columns of the blocks table, by place.
pub(super) mod block {
    pub(crate) const SEQ: usize = 0;
    pub(crate) const KIND: usize = 1;
    pub(crate) const CODEC: usize = 2;
    pub(crate) const FILTERS: usize = 3;
    pub(crate) const OFFSET: usize = 4;
    pub(crate) const FRAME_LEN: usize = 5;
    pub(crate) const RAW_LEN: usize = 6;
    pub(crate) const STORED_LEN: usize = 7;
    pub(crate) const RATIO: usize = 8;
    pub(crate) const DICTIONARY: usize = 9;
    pub(crate) const DIGEST: usize = 10;
}

fn required(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

fn optional(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

/// The items of a list column: structs without nulls.
pub(super) fn item(fields: Fields) -> Arc<Field> {
    Arc::new(required("item", DataType::Struct(fields)))
}

/// Fields of an extended attribute.
pub(super) static XATTR: LazyLock<Fields> =
    LazyLock::new(|| vec![required("name", DataType::Binary), required("value", DataType::Binary)].into());

/// Fields of a hole.
pub(super) static HOLE: LazyLock<Fields> =
    LazyLock::new(|| vec![required("offset", DataType::UInt64), required("len", DataType::UInt64)].into());

/// Fields of an extent.
pub(super) static EXTENT: LazyLock<Fields> =
    LazyLock::new(|| ["block", "offset", "len"].map(|name| required(name, DataType::UInt32)).into_iter().collect());

/// Schema of the entries table.
pub static ENTRIES: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        required("path", DataType::Utf8),
        optional("path_raw", DataType::Binary),
        required("kind", DataType::Utf8),
        required("size", DataType::UInt64),
        required("mode", DataType::UInt32),
        required("uid", DataType::UInt32),
        required("gid", DataType::UInt32),
        optional("owner", DataType::Utf8),
        optional("group", DataType::Utf8),
        required("mtime", DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()))),
        optional("link_target", DataType::Binary),
        optional("hardlink", DataType::UInt64),
        optional("device_major", DataType::UInt32),
        optional("device_minor", DataType::UInt32),
        optional("xattrs", DataType::List(item(XATTR.clone()))),
        optional("holes", DataType::List(item(HOLE.clone()))),
        optional("digest", DataType::FixedSizeBinary(32)),
        optional("extents", DataType::List(item(EXTENT.clone()))),
        required("flags", DataType::UInt32),
    ]))
});

/// Schema of the blocks table.
pub static BLOCKS: LazyLock<SchemaRef> = LazyLock::new(|| {
    Arc::new(Schema::new(vec![
        required("seq", DataType::UInt64),
        required("kind", DataType::Utf8),
        required("codec", DataType::Utf8),
        required("filters", DataType::FixedSizeBinary(4)),
        required("offset", DataType::UInt64),
        required("frame_len", DataType::UInt64),
        required("raw_len", DataType::UInt32),
        required("stored_len", DataType::UInt32),
        required("ratio", DataType::Float64),
        optional("dictionary", DataType::UInt64),
        required("digest", DataType::FixedSizeBinary(32)),
    ]))
});

/// The first bytes of an Arrow IPC file with that schema: magic, schema message, zeros up to a multiple of 64.
pub(super) fn head_of(schema: &Schema) -> Vec<u8> {
    let options = IpcWriteOptions::try_new(8, false, MetadataVersion::V5).expect("alignment 8 and V5 are known");
    let message = IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
        schema,
        &mut DictionaryTracker::new(true),
        &options,
    );
    let mut head = ARROW_MAGIC.to_vec();
    write_message(&mut head, message, &options).expect("a vector takes every byte");
    head.extend_from_slice(align::padding(head.len() as u64));
    head
}

/// The first bytes of the blocks table.
pub(super) static BLOCKS_HEAD: LazyLock<Vec<u8>> = LazyLock::new(|| head_of(&BLOCKS));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::head::HEAD;
    use crate::digest::Digest;

    #[test]
    fn the_head_spells_the_entries_schema() {
        // To change the schema before the first release: write these bytes to `container/head.bin`.
        if let Some(path) = std::env::var_os("CARRACK_WRITE_HEAD") {
            std::fs::write(path, head_of(&ENTRIES)).unwrap();
        }
        assert!(head_of(&ENTRIES) == HEAD, "container/head.bin is not the head of the entries schema");
    }

    #[test]
    fn the_heads_are_pinned() {
        let pins = [&ENTRIES, &BLOCKS].map(|schema| {
            let head = head_of(schema);
            (head.len(), Digest::of(&head).to_string())
        });
        assert_eq!(
            pins[0],
            (1536, "5c810f5466dd18e6a46fbddd631aacbf63b68f1b80954536e37f88525e49e640".into()),
            "entries"
        );
        assert_eq!(pins[1], (704, "2525066e8a24f97b8bdebd53f7f04bde3ff6425ca31df45a746f26459b852774".into()), "blocks");
    }
}
