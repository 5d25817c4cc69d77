//! The Arrow footer: a flatbuffer with the schema, the places of the batches, and metadata, built and read by hand so
//! that its bytes follow from its contents alone.

use arrow_ipc::convert::IpcSchemaEncoder;
use arrow_ipc::{Block, Endianness, FooterBuilder, KeyValue, KeyValueArgs, MetadataVersion, Type};
use arrow_schema::Schema;
use flatbuffers::{FlatBufferBuilder, VerifierOptions};

use super::{IndexError, Result};

/// Magic at the end of an Arrow IPC file.
pub(super) const END_MAGIC: [u8; 6] = *b"ARROW1";
/// What stands behind the last batch.
pub(super) const END_OF_STREAM: [u8; 8] = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// The place of one batch as the footer names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FooterBlock {
    /// From the start of the Arrow file, bytes.
    pub(super) offset: u64,
    /// Prefix and metadata, bytes.
    pub(super) metadata_len: u32,
    /// Body, bytes.
    pub(super) body_len: u64,
}

/// The footer with its length and magic: the last bytes of an Arrow file.
pub(super) fn build(schema: &Schema, blocks: &[FooterBlock], metadata: &[(&str, &str)]) -> Vec<u8> {
    let mut fbb = FlatBufferBuilder::new();
    let blocks: Vec<Block> = blocks
        .iter()
        .map(|block| {
            let metadata_len = i32::try_from(block.metadata_len).expect("metadata is short");
            Block::new(block.offset as i64, metadata_len, block.body_len as i64)
        })
        .collect();
    let record_batches = fbb.create_vector(&blocks);
    let dictionaries = fbb.create_vector::<Block>(&[]);
    let schema = IpcSchemaEncoder::new().schema_to_fb_offset(&mut fbb, schema);
    let pairs: Vec<_> = metadata
        .iter()
        .map(|(key, value)| {
            let (key, value) = (fbb.create_string(key), fbb.create_string(value));
            KeyValue::create(&mut fbb, &KeyValueArgs { key: Some(key), value: Some(value) })
        })
        .collect();
    let pairs = (!pairs.is_empty()).then(|| fbb.create_vector(&pairs));
    let mut footer = FooterBuilder::new(&mut fbb);
    footer.add_version(MetadataVersion::V5);
    footer.add_schema(schema);
    footer.add_dictionaries(dictionaries);
    footer.add_recordBatches(record_batches);
    if let Some(pairs) = pairs {
        footer.add_custom_metadata(pairs);
    }
    let root = footer.finish();
    fbb.finish(root, None);
    let mut bytes = fbb.finished_data().to_vec();
    let len = i32::try_from(bytes.len()).expect("a footer is below the limit");
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&END_MAGIC);
    bytes
}

/// What a footer says.
#[derive(Debug)]
pub(super) struct Footer<'a> {
    pub(super) blocks: Vec<FooterBlock>,
    metadata: Vec<(&'a str, &'a str)>,
    offset: u64,
}

impl<'a> Footer<'a> {
    /// Reads the flatbuffer of a footer whose digest is known to be right, and compares its schema. `offset` is where
    /// it stands, for errors alone.
    pub(super) fn parse(bytes: &'a [u8], schema: &Schema, offset: u64) -> Result<Self> {
        let damaged =
            |expected: &str, found: &dyn std::fmt::Display| IndexError::damaged("footer", offset, expected, found);
        let footer = arrow_ipc::root_as_footer_with_opts(&VerifierOptions::default(), bytes)
            .map_err(|error| damaged("a sound flatbuffer", &error))?;
        if footer.version() != MetadataVersion::V5 {
            return Err(damaged("metadata version 5", &footer.version().0));
        }
        if footer.dictionaries().is_some_and(|dictionaries| !dictionaries.is_empty()) {
            return Err(damaged("no dictionary batches", &"some"));
        }
        let mut fbb = FlatBufferBuilder::new();
        let root = IpcSchemaEncoder::new().schema_to_fb_offset(&mut fbb, schema);
        fbb.finish(root, None);
        let built_in = flatbuffers::root::<arrow_ipc::Schema<'_>>(fbb.finished_data())
            .expect("a schema that was just built is sound");
        if !footer.schema().is_some_and(|found| same_schema(found, built_in)) {
            return Err(damaged("the schema of the format", &"another one"));
        }
        let mut blocks = Vec::new();
        for block in footer.recordBatches().into_iter().flatten() {
            let parts = u64::try_from(block.offset())
                .ok()
                .zip(u32::try_from(block.metaDataLength()).ok())
                .zip(u64::try_from(block.bodyLength()).ok());
            let ((offset, metadata_len), body_len) =
                parts.ok_or_else(|| damaged("lengths of batches", &"less than 0"))?;
            blocks.push(FooterBlock { offset, metadata_len, body_len });
        }
        let pairs = footer.custom_metadata().into_iter().flatten();
        let metadata = pairs.filter_map(|pair| Some((pair.key()?, pair.value()?))).collect();
        Ok(Self { blocks, metadata, offset })
    }

    /// The value of a key in the metadata.
    pub(super) fn value(&self, key: &'static str) -> Result<&'a str> {
        let mut values = self.metadata.iter().filter(|pair| pair.0 == key);
        match (values.next(), values.next()) {
            (Some(pair), None) => Ok(pair.1),
            _ => Err(IndexError::damaged("footer", self.offset, format_args!("one value of {key}"), "none or several")),
        }
    }
}

fn same_schema(a: arrow_ipc::Schema<'_>, b: arrow_ipc::Schema<'_>) -> bool {
    let fields = |schema: arrow_ipc::Schema<'_>| schema.fields().map_or(0, |fields| fields.len());
    a.endianness() == Endianness::Little
        && a.custom_metadata().is_none_or(|pairs| pairs.is_empty())
        && fields(a) == fields(b)
        && a.fields().into_iter().flatten().zip(b.fields().into_iter().flatten()).all(|(a, b)| same_field(a, b))
}

/// Whether two fields say the same. `b` is a built-in one, which bounds the depth.
fn same_field(a: arrow_ipc::Field<'_>, b: arrow_ipc::Field<'_>) -> bool {
    let children = |field: arrow_ipc::Field<'_>| field.children().map_or(0, |children| children.len());
    a.name() == b.name()
        && a.nullable() == b.nullable()
        && a.dictionary().is_none()
        && a.custom_metadata().is_none_or(|pairs| pairs.is_empty())
        && same_type(a, b)
        && children(a) == children(b)
        && a.children().into_iter().flatten().zip(b.children().into_iter().flatten()).all(|(a, b)| same_field(a, b))
}

fn same_type(a: arrow_ipc::Field<'_>, b: arrow_ipc::Field<'_>) -> bool {
    if a.type_type() != b.type_type() {
        return false;
    }
    match b.type_type() {
        Type::Int => {
            let parts = |field: arrow_ipc::Field<'_>| field.type_as_int().map(|int| (int.bitWidth(), int.is_signed()));
            parts(a) == parts(b)
        }
        Type::FloatingPoint => {
            let parts = |field: arrow_ipc::Field<'_>| field.type_as_floating_point().map(|float| float.precision());
            parts(a) == parts(b)
        }
        Type::FixedSizeBinary => {
            let parts = |field: arrow_ipc::Field<'_>| field.type_as_fixed_size_binary().map(|bytes| bytes.byteWidth());
            parts(a) == parts(b)
        }
        Type::Timestamp => match (a.type_as_timestamp(), b.type_as_timestamp()) {
            (Some(a), Some(b)) => a.unit() == b.unit() && a.timezone() == b.timezone(),
            _ => false,
        },
        Type::Utf8 | Type::Binary | Type::List | Type::Struct_ => true,
        // No other type is in a built-in schema.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field, TimeUnit};

    use super::*;
    use crate::index::schema::{BLOCKS, ENTRIES};

    fn flatbuffer(bytes: &[u8]) -> &[u8] {
        &bytes[..bytes.len() - 10]
    }

    #[test]
    fn a_footer_says_what_it_was_built_from() {
        let blocks = [FooterBlock { offset: 1 << 40, metadata_len: 640, body_len: 64 }];
        for schema in [&*ENTRIES, &*BLOCKS] {
            let bytes = build(schema, &blocks, &[("b", "2"), ("a", "1"), ("c", "1"), ("c", "2")]);
            assert!(bytes.ends_with(b"ARROW1"));
            let footer = Footer::parse(flatbuffer(&bytes), schema, 0).unwrap();
            assert_eq!(footer.blocks, blocks);
            assert_eq!((footer.value("a").unwrap(), footer.value("b").unwrap()), ("1", "2"));
            assert!(footer.value("c").is_err() && footer.value("d").is_err());
        }
    }

    #[test]
    fn every_change_of_the_schema_is_noticed() {
        let parse = |schema: Schema| Footer::parse(flatbuffer(&build(&schema, &[], &[])), &ENTRIES, 0).map(drop);
        parse(ENTRIES.as_ref().clone()).unwrap();
        let with = |at: usize, field: Field| {
            let mut fields: Vec<_> = ENTRIES.fields().iter().cloned().collect();
            fields[at] = field.into();
            Schema::new(fields)
        };
        let old = |at: usize| ENTRIES.field(at).clone();
        let seconds = DataType::Timestamp(TimeUnit::Second, Some("UTC".into()));
        for schema in [
            with(0, old(0).with_name("Path")),
            with(0, old(0).with_nullable(true)),
            with(0, old(0).with_data_type(DataType::Binary)),
            with(3, old(3).with_data_type(DataType::Int64)),
            with(3, old(3).with_data_type(DataType::UInt32)),
            with(9, old(9).with_data_type(seconds)),
            with(9, old(9).with_data_type(DataType::Timestamp(TimeUnit::Nanosecond, None))),
            with(16, old(16).with_data_type(DataType::FixedSizeBinary(16))),
            with(17, old(17).with_data_type(old(15).data_type().clone())),
            with(18, old(18).with_metadata(std::collections::HashMap::from([("a".to_owned(), "b".to_owned())]))),
            Schema::new(ENTRIES.fields()[..18].to_vec()),
            BLOCKS.as_ref().clone(),
        ] {
            assert!(parse(schema.clone()).is_err(), "{schema:?}");
        }
    }
}
