//! Profiles: sets of settings for what somebody wants, so that nobody has to know the dials.
//!
//! In: a name. Out: codec, block size, and all else that shapes the archive's bytes. A setting that is given by itself goes before
//! that of the profile. What each profile gives on which tree: `docs/profiles.md`.

use std::fmt;
use std::str::FromStr;

use crate::codec::{Codec, FilterChoice};
use crate::dictionaries::BLOCK_MAX;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BLOCK_SIZE_MAX, BLOCK_SIZE_MIN, DICTIONARY_LEN_MAX};
use crate::pack::Dedup;
use crate::plan::Order;

/// What matters most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// Time.
    Fast,
    /// Faster and smaller than what `tar` and zstd do by default.
    #[default]
    Balanced,
    /// Size, as far as it takes minutes and not hours.
    Small,
    /// Size.
    Smallest,
    /// Reading single files of the archive with little delay.
    Random,
}

impl Profile {
    /// Every profile, from the fastest to the smallest, and `random`.
    pub const ALL: [Profile; 5] =
        [Profile::Fast, Profile::Balanced, Profile::Small, Profile::Smallest, Profile::Random];

    /// Its name in options and in the manifest.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Profile::Fast => "fast",
            Profile::Balanced => "balanced",
            Profile::Small => "small",
            Profile::Smallest => "smallest",
            Profile::Random => "random",
        }
    }

    /// How blocks are compressed.
    fn codec(self) -> Codec {
        let level = match self {
            Profile::Fast => 1,
            Profile::Balanced => 3,
            Profile::Small => 9,
            Profile::Smallest => 19,
            Profile::Random => 6,
        };
        Codec::Zstd { level }
    }

    /// Uncompressed size of a block at most, bytes, with blocks compressed by `codec`.
    fn block_size(self, codec: Codec) -> u32 {
        match self {
            Profile::Fast | Profile::Balanced => codec.block_size_default(),
            Profile::Small => codec.block_size_default().max(16 << 20),
            Profile::Smallest => codec.block_size_default().max(16 << 20),
            Profile::Random => 64 << 10,
        }
    }

    /// What is stored once, with blocks compressed by `codec`.
    fn dedup(self, codec: Codec) -> Dedup {
        match self {
            Profile::Fast | Profile::Random => Dedup::File,
            Profile::Balanced => Dedup::default_for(codec),
            Profile::Small | Profile::Smallest => Dedup::Chunk,
        }
    }

    /// In which order contents are stored.
    fn order(self) -> Order {
        match self {
            Profile::Fast | Profile::Balanced | Profile::Random => Order::Path,
            Profile::Small | Profile::Smallest => Order::Similar,
        }
    }
}

/// Whether blocks of one kind share a dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum DictionaryChoice {
    /// With zstd and blocks of at most 256 KiB: dictionaries of up to 256 KiB for the kinds of files that gain by one.
    #[default]
    Auto,
    /// None.
    Off,
    /// Dictionaries of up to so many bytes, for the kinds of files that gain by one.
    Len(u32),
}

/// The shortest dictionary that can be asked for, bytes.
pub const DICTIONARY_LEN_MIN: u32 = 4 << 10;
/// The longest block that has a dictionary unless asked otherwise, bytes: it saves some 5% of blocks so long, 12% of 64 KiB
/// (`docs/performance-size.md`).
const DICTIONARY_BLOCK: u32 = 256 << 10;
/// The longest dictionary unless asked otherwise, bytes: twice as much gains 0.5%, and costs what it takes to load.
const DICTIONARY_LEN: u32 = 256 << 10;

impl DictionaryChoice {
    /// The longest dictionary for blocks that are compressed like this, bytes.
    fn len(self, codec: Codec, block_size: u32) -> Result<Option<u32>> {
        let usage = |text: String| Err(Error::new(ErrorKind::Usage, text));
        let is_zstd = matches!(codec, Codec::Zstd { .. });
        match self {
            DictionaryChoice::Off => Ok(None),
            DictionaryChoice::Auto => Ok((is_zstd && block_size <= DICTIONARY_BLOCK).then_some(DICTIONARY_LEN)),
            DictionaryChoice::Len(_) if !is_zstd => usage(format!("a dictionary with {codec}: only zstd takes one")),
            DictionaryChoice::Len(_) if block_size > BLOCK_MAX => usage(format!(
                "a dictionary with blocks of {block_size} bytes: it helps blocks of at most 1 MiB; in longer ones what lies before                  serves better"
            )),
            DictionaryChoice::Len(len) if !(DICTIONARY_LEN_MIN..=DICTIONARY_LEN_MAX).contains(&len) => {
                usage(format!("a dictionary of {len} bytes: it must have 4 KiB to 2 MiB"))
            }
            DictionaryChoice::Len(len) => Ok(Some(len)),
        }
    }
}

/// Everything that shapes the bytes of an archive besides what is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dials {
    /// How blocks are compressed.
    pub codec: Codec,
    /// How they are filtered before that.
    pub filter: FilterChoice,
    /// Uncompressed size of a block at most, bytes: a power of two within the limits of the format.
    pub block_size: u32,
    /// What is stored once.
    pub dedup: Dedup,
    /// Mean length of the pieces with [`Dedup::Chunk`], bytes; by the amount of contents when `None`.
    pub chunk_size: Option<u32>,
    /// In which order contents are stored.
    pub order: Order,
    /// The longest dictionary that blocks of one kind may share, bytes.
    pub dictionary: Option<u32>,
}

/// A profile, and the dials that were set by hand: they go before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// What is not set follows from this.
    pub profile: Profile,
    /// [`Dials::codec`].
    pub codec: Option<Codec>,
    /// [`Dials::filter`].
    pub filter: Option<FilterChoice>,
    /// [`Dials::block_size`].
    pub block_size: Option<u32>,
    /// How many bytes may have to be decoded for any one byte, at most: bounds the block size of the profile.
    pub max_block_decode: Option<u64>,
    /// [`Dials::dedup`].
    pub dedup: Option<Dedup>,
    /// [`Dials::chunk_size`].
    pub chunk_size: Option<u32>,
    /// [`Dials::order`].
    pub order: Option<Order>,
    /// [`Dials::dictionary`].
    pub dictionary: DictionaryChoice,
}

impl Choice {
    /// All dials, checked against one another.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a block size that cannot be or is more than may be decoded, and for a chunk size or dictionary that
    /// cannot be or goes with nothing.
    pub fn dials(&self) -> Result<Dials> {
        let codec = self.codec.unwrap_or_else(|| self.profile.codec());
        // Who says how long pieces are wants pieces.
        let dedup = self.chunk_size.map_or_else(|| self.profile.dedup(codec), |_| Dedup::Chunk);
        let block_size = self.block_size(codec)?;
        let dials = Dials {
            codec,
            filter: self.filter.unwrap_or_default(),
            block_size,
            dedup: self.dedup.unwrap_or(dedup),
            chunk_size: self.chunk_size,
            order: self.order.unwrap_or_else(|| self.profile.order()),
            dictionary: self.dictionary.len(codec, block_size)?,
        };
        dials.dedup.pieces(dials.chunk_size, 0)?;
        Ok(dials)
    }

    fn block_size(&self, codec: Codec) -> Result<u32> {
        let usage = |text: String| Err(Error::new(ErrorKind::Usage, text));
        let most = self.max_block_decode.unwrap_or(u64::MAX);
        if most < BLOCK_SIZE_MIN.into() {
            return usage(format!("at most {most} bytes to decode: a block has at least 4 KiB"));
        }
        let Some(size) = self.block_size else {
            let size = self.profile.block_size(codec);
            // The largest power of two that is not more.
            let most = u32::try_from(most).unwrap_or(u32::MAX);
            return Ok(size.min(1 << most.ilog2()));
        };
        if !size.is_power_of_two() || !(BLOCK_SIZE_MIN..=BLOCK_SIZE_MAX).contains(&size) {
            return usage(format!("a block size of {size} bytes: it must be a power of two from 4 KiB to 64 MiB"));
        }
        if u64::from(size) > most {
            return usage(format!("a block size of {size} bytes, of which at most {most} may have to be decoded"));
        }
        Ok(size)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// No profile has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProfile(String);

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "profile {:?}: expected fast, balanced, small, smallest or random", self.0)
    }
}

impl std::error::Error for UnknownProfile {}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> std::result::Result<Self, UnknownProfile> {
        let found = Profile::ALL.into_iter().find(|profile| profile.name() == name);
        found.ok_or_else(|| UnknownProfile(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_profiles() {
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse(), Ok(profile));
        }
        let error = "tiny".parse::<Profile>().unwrap_err().to_string();
        assert!(error.contains("\"tiny\"") && Profile::ALL.iter().all(|profile| error.contains(profile.name())));
    }

    #[test]
    fn what_is_set_by_hand_goes_before_the_profile() {
        let profile = |profile| Choice { profile, ..Choice::default() };
        for name in Profile::ALL {
            let all = profile(name).dials().unwrap();
            let level = Choice { codec: Some(Codec::Zstd { level: 2 }), ..profile(name) }.dials().unwrap();
            assert_eq!(level.codec.level(), Some(2));
            let by_hand = Choice { dedup: Some(Dedup::None), order: Some(Order::Path), ..profile(name) };
            let by_hand = Choice { block_size: Some(1 << 15), dictionary: DictionaryChoice::Off, ..by_hand };
            let expected =
                Dials { dedup: Dedup::None, order: Order::Path, block_size: 1 << 15, dictionary: None, ..all };
            assert_eq!(by_hand.dials().unwrap(), expected);
        }
        let pieces = Choice { chunk_size: Some(4096), ..Choice::default() }.dials().unwrap();
        assert_eq!(pieces.dedup, Dedup::Chunk);
    }

    #[test]
    fn short_blocks_have_dictionaries() {
        let dictionary = |codec, block_size, dictionary| {
            let choice = Choice { codec: Some(codec), block_size: Some(block_size), dictionary, ..Choice::default() };
            choice.dials().map(|dials| dials.dictionary)
        };
        let zstd = Codec::default();
        use DictionaryChoice::{Auto, Len, Off};
        for (codec, block_size, choice, expected) in [
            (zstd, 64 << 10, Auto, Some(256 << 10)),
            (zstd, 256 << 10, Auto, Some(256 << 10)),
            (zstd, 512 << 10, Auto, None),
            (zstd, 64 << 10, Off, None),
            (zstd, 1 << 20, Len(100_000), Some(100_000)),
            (Codec::Lz4, 64 << 10, Auto, None),
        ] {
            assert_eq!(dictionary(codec, block_size, choice).unwrap(), expected, "{codec} {block_size} {choice:?}");
        }
        for (codec, block_size, len) in
            [(Codec::Lz4, 1 << 16, 1 << 16), (zstd, 2 << 20, 1 << 16), (zstd, 1 << 16, 4095)]
        {
            assert_eq!(dictionary(codec, block_size, Len(len)).unwrap_err().kind(), ErrorKind::Usage);
        }
        assert!(dictionary(zstd, 1 << 16, Len(DICTIONARY_LEN_MAX + 1)).is_err());
    }

    #[test]
    fn what_may_be_decoded_bounds_the_block() {
        let bound = |most, block_size| {
            let choice =
                Choice { profile: Profile::Small, max_block_decode: Some(most), block_size, ..Choice::default() };
            choice.dials().map(|dials| dials.block_size)
        };
        for (most, size) in [(4096, 4096), (100_000, 65_536), (1 << 20, 1 << 20), (u64::MAX, 16 << 20)] {
            assert_eq!(bound(most, None).unwrap(), size);
        }
        assert_eq!(bound(1 << 20, Some(1 << 20)).unwrap(), 1 << 20);
        for (most, size) in [(4095, None), (1 << 20, Some(1 << 21)), (u64::MAX, Some(3 << 20))] {
            assert_eq!(bound(most, size).unwrap_err().kind(), ErrorKind::Usage);
        }
    }
}
