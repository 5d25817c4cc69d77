//! Profiles: sets of settings for what somebody wants, so that nobody has to know the dials.
//!
//! In: a name. Out: codec, block size, and all else that shapes the archive's bytes. A setting that is given by itself goes before
//! that of the profile. What each profile gives on which tree: `docs/profiles.md`.

use std::fmt;
use std::str::FromStr;

use crate::codec::Codec;
use crate::pack::Dedup;

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
    #[must_use]
    pub fn codec(self) -> Codec {
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
    #[must_use]
    pub fn block_size(self, codec: Codec) -> u32 {
        match self {
            Profile::Fast | Profile::Balanced => codec.block_size_default(),
            Profile::Small => 8 << 20,
            Profile::Smallest => 16 << 20,
            Profile::Random => 64 << 10,
        }
    }

    /// What is stored once, with blocks compressed by `codec`.
    #[must_use]
    pub fn dedup(self, codec: Codec) -> Dedup {
        match self {
            Profile::Fast | Profile::Random => Dedup::File,
            Profile::Balanced => Dedup::default_for(codec),
            Profile::Small | Profile::Smallest => Dedup::Chunk,
        }
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

    fn from_str(name: &str) -> Result<Self, UnknownProfile> {
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
}
