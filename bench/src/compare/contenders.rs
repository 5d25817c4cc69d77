//! Who is compared: names, what they need on this machine, which version is there.
//!
//! In: names from the command line, the search path. Out: [`Contender`]s and [`Found`]. How each is called stands in
//! [`super::peers`].

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use carrack_backends::read::choose::IoChoice;
use carrack_engine::profile::Profile;
use carrack_measure::host::Host;
use carrack_measure::process::{self, Stdout};

/// Other archivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Peer {
    TarZstd,
    TarLz4,
    Mksquashfs,
    SevenZip,
    Pixz,
    Zpaq,
    Mkdwarfs,
    Borg,
    Restic,
}

/// How the program `carrack` is set, where it is not by the level of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Setting {
    Profile(Profile),
    Level(i32),
}

/// Levels of zstd, and of Carrack.
const LEVELS: std::ops::RangeInclusive<i32> = 1..=19;
/// Carrack's levels on the plot of time against size: the default is 3.
const FRONT: [i32; 7] = [1, 2, 4, 6, 9, 12, 19];
/// Everybody else's.
const PEERS_FRONT: [i32; 5] = [1, 6, 9, 12, 19];

/// Someone that packs, and perhaps unpacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Contender {
    Peer(Peer),
    /// The same at this level, whatever that of all is.
    PeerAt(Peer, i32),
    /// [`crate::naive`].
    Naive,
    /// The program `carrack` with default settings.
    Carrack,
    /// The program `carrack`, reading in this way.
    CarrackIo(IoChoice),
    /// The program `carrack`, set in this way.
    CarrackAt(Setting),
    /// [`Contender::Carrack`] once more, under another name: what differs between the two is noise.
    Again,
    /// The engine in a child of this program, without a planted slow-down.
    Unplanted,
    /// The same with one of so many hundredths of a percent.
    Planted(u32),
}

impl Peer {
    const ALL: [Peer; 9] = [
        Peer::TarZstd,
        Peer::TarLz4,
        Peer::Mksquashfs,
        Peer::SevenZip,
        Peer::Pixz,
        Peer::Zpaq,
        Peer::Mkdwarfs,
        Peer::Borg,
        Peer::Restic,
    ];

    fn name(self) -> &'static str {
        match self {
            Peer::TarZstd => "tar|zstd",
            Peer::TarLz4 => "tar|lz4",
            Peer::Mksquashfs => "mksquashfs",
            Peer::SevenZip => "7zz",
            Peer::Pixz => "pixz",
            Peer::Zpaq => "zpaq",
            Peer::Mkdwarfs => "mkdwarfs",
            Peer::Borg => "borg",
            Peer::Restic => "restic",
        }
    }

    /// The programs that it needs, and how each is asked for its version.
    fn programs(self) -> Vec<(&'static str, &'static [&'static str])> {
        const TAR: (&str, &[&str]) = ("tar", &["--version"]);
        match self {
            Peer::TarZstd => vec![TAR, ("zstd", &["--version"])],
            Peer::TarLz4 => vec![TAR, ("lz4", &["--version"])],
            Peer::Mksquashfs => vec![("mksquashfs", &["-version"]), ("unsquashfs", &["-version"])],
            Peer::SevenZip => vec![(seven_zip(), &[])],
            Peer::Pixz => vec![TAR, ("pixz", &["-h"])],
            Peer::Zpaq => vec![("zpaq", &[])],
            Peer::Mkdwarfs => vec![("mkdwarfs", &["--help"]), ("dwarfsextract", &["--help"])],
            Peer::Borg => vec![("borg", &["--version"])],
            Peer::Restic => vec![("restic", &["version"])],
        }
    }
}

/// The program of 7-Zip under the name that it has here.
pub(super) fn seven_zip() -> &'static str {
    if !is_on_path("7zz") && is_on_path("7z") { "7z" } else { "7zz" }
}

impl Contender {
    /// Everyone that takes part unless told otherwise.
    pub(super) fn all() -> Vec<Contender> {
        let ours = IoChoice::ALL.into_iter().filter(|io| *io != IoChoice::Auto).map(Contender::CarrackIo);
        let peers = Peer::ALL.into_iter().map(Contender::Peer);
        peers.chain([Contender::Naive, Contender::Carrack]).chain(ours).collect()
    }

    /// Carrack's profiles and some of its levels, and everybody else's levels: what the plot of time against size is made of,
    /// beside what all do at one level.
    pub(super) fn front() -> Vec<Contender> {
        // The default profile is Carrack itself.
        let profiles = Profile::ALL.into_iter().filter(|profile| *profile != Profile::default()).map(Setting::Profile);
        let settings = profiles.chain(FRONT.map(Setting::Level)).map(Contender::CarrackAt);
        let peers = Peer::ALL.into_iter();
        settings.chain(peers.flat_map(|peer| PEERS_FRONT.map(|level| Contender::PeerAt(peer, level)))).collect()
    }

    /// Whether it is the program `carrack`.
    pub(super) fn is_carrack(self) -> bool {
        matches!(self, Contender::Carrack | Contender::CarrackIo(_) | Contender::CarrackAt(_) | Contender::Again)
    }

    /// The other archiver that it is, at whatever level.
    pub(super) fn peer(self) -> Option<Peer> {
        match self {
            Contender::Peer(peer) | Contender::PeerAt(peer, _) => Some(peer),
            _ => None,
        }
    }

    /// Whether its packs can be held against the roofline: the same codec in blocks of the same size.
    pub(super) fn has_roofline(self) -> bool {
        !matches!(self, Contender::Peer(_) | Contender::PeerAt(..) | Contender::CarrackAt(_))
    }

    /// Whether it unpacks in a way of its own.
    pub(super) fn unpacks(self) -> bool {
        self.peer().is_some() || matches!(self, Contender::Carrack | Contender::CarrackAt(_) | Contender::Again)
    }

    /// What is here of it.
    pub(super) fn find(self, carrack: &Path, host: &Host) -> Found {
        let mut found = Found { contender: self, version: None, missing: None };
        match self {
            Contender::Peer(peer) | Contender::PeerAt(peer, _) => {
                let programs = peer.programs();
                let lost: Vec<&str> =
                    programs.iter().map(|program| program.0).filter(|name| !is_on_path(name)).collect();
                found.missing = (!lost.is_empty()).then(|| format!("not installed: {}", lost.join(", ")));
                if found.missing.is_none() {
                    let versions: Vec<String> =
                        programs.iter().filter_map(|(name, args)| version(Command::new(name), args)).collect();
                    found.version = Some(versions.join("; ")).filter(|version| !version.is_empty());
                }
            }
            Contender::CarrackIo(io) => found.missing = host.refusal(io).map(str::to_owned),
            Contender::Carrack | Contender::CarrackAt(_) => {}
            Contender::Naive | Contender::Again | Contender::Unplanted | Contender::Planted(_) => return found,
        }
        if self.is_carrack() {
            found.version = version(Command::new(carrack), &["--version"]);
        }
        found
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contender::Peer(peer) => f.pad(peer.name()),
            Contender::PeerAt(peer, level) => f.pad(&format!("{} -{level}", peer.name())),
            Contender::Naive => f.pad("naive"),
            Contender::Carrack => f.pad("carrack"),
            Contender::CarrackIo(io) => f.pad(&format!("carrack --io {io}")),
            Contender::CarrackAt(Setting::Profile(profile)) => f.pad(&format!("carrack --profile {profile}")),
            Contender::CarrackAt(Setting::Level(level)) => f.pad(&format!("carrack --level {level}")),
            Contender::Again => f.pad("carrack (again)"),
            Contender::Unplanted => f.pad("unplanted"),
            Contender::Planted(hundredths) => f.pad(&format!("planted {}%", f64::from(*hundredths) / 100.0)),
        }
    }
}

impl FromStr for Contender {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let profiles = Profile::ALL.into_iter().map(Setting::Profile);
        let settings = profiles.chain(LEVELS.map(Setting::Level)).map(Contender::CarrackAt);
        let peers = Peer::ALL.into_iter().flat_map(|peer| LEVELS.map(move |level| Contender::PeerAt(peer, level)));
        let mut known = Self::all().into_iter().chain(settings).chain(peers);
        known.find(|contender| contender.to_string() == name.trim()).ok_or_else(|| {
            let known = Self::all().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            format!(
                "unknown contender {name:?}: expected one of {known}, carrack --profile NAME, carrack --level N, or another \
                 archiver with -N, as in 'tar|zstd -9'"
            )
        })
    }
}

impl serde::Serialize for Contender {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A contender on this machine.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct Found {
    #[serde(rename = "name")]
    pub(super) contender: Contender,
    /// What its programs call themselves, where they do.
    pub(super) version: Option<String>,
    /// Why it cannot be measured.
    pub(super) missing: Option<String>,
}

/// Whether the search path leads to a program of this name.
fn is_on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| {
        let program = folder.join(name);
        program.is_file() && rustix::fs::access(&program, rustix::fs::Access::EXEC_OK).is_ok()
    })
}

/// The first line with a digit that a program says about itself; some say it with an exit code of failure.
fn version(mut command: Command, args: &[&str]) -> Option<String> {
    command.args(args);
    let ran = process::run(vec![command], Stdout::Capture).ok()?;
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &ran.stderr;
    let line = said.lines().find(|line| line.contains(|c: char| c.is_ascii_digit()))?;
    Some(line.trim_matches(['*', ' ']).chars().take(100).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_it_is_written_and_is_there_once() {
        let mut names: Vec<String> = Contender::all().iter().map(ToString::to_string).collect();
        for (name, contender) in names.iter().zip(Contender::all()) {
            assert_eq!(name.parse(), Ok(contender));
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 15);
        assert_eq!(Contender::Planted(350).to_string(), "planted 3.5%");
    }

    #[test]
    fn settings_and_levels_are_read_as_they_are_written() {
        let front = Contender::front();
        for contender in &front {
            assert_eq!(contender.to_string().parse(), Ok(*contender));
            assert!(!Contender::all().contains(contender) && !contender.has_roofline() && contender.unpacks());
            assert_eq!(contender.is_carrack(), contender.peer().is_none());
        }
        let names: Vec<String> = front.iter().map(ToString::to_string).collect();
        for name in ["carrack --profile small", "carrack --level 9", "tar|zstd -19", "mksquashfs -1"] {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
        assert!(!names.contains(&"carrack --profile balanced".to_owned()), "that is carrack itself");
        for name in ["carrack --level 20", "tar|zstd -0", "carrack --profile tiny", "naive -3"] {
            assert!(name.parse::<Contender>().unwrap_err().contains("tar|zstd -9"), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        for name in ["rar", "carrack --io auto", "planted 3%", ""] {
            let error = name.parse::<Contender>().unwrap_err();
            assert!(error.contains(&format!("{name:?}")) && error.contains("tar|zstd, tar|lz4"), "{error}");
        }
    }

    #[test]
    fn a_version_is_the_first_line_with_a_digit_wherever_it_is_said() {
        let mut sh = Command::new("sh");
        sh.arg("-c");
        assert_eq!(version(sh, &["echo; echo words; echo '*** Zip v1.5 ***' >&2; exit 7"]).unwrap(), "Zip v1.5");
        assert_eq!(version(Command::new("/no/such/program"), &[]), None);
    }
}
