//! How each contender is called, to pack and to unpack.
//!
//! In: a contender, a tree, where the archive goes, a level. Out: commands. Nothing is started here. Every path is one
//! argument (or a variable of the environment), whatever it contains.
//!
//! Levels are those of zstd, 1 to 19. Those with zstd inside take them as they are. For the others:
//!
//! | contender | level 1–2 | 3–4 | 5–8 | 9–14 | 15–19 |
//! |---|---|---|---|---|---|
//! | `tar\|lz4` | −1 | −1 (its fast mode) | −level | −9 to −12 | −12 |
//! | `7zz` (LZMA2), `pixz` (xz) | 1 | 3 | 5 | 7 | 9 |
//! | `zpaq` | −m1 | −m1 | −m2 | −m3 | −m4 |
//! | `restic` (zstd) | auto | auto | auto | max | max |
//!
//! `mksquashfs` gets blocks of 1 MiB, like those of Carrack; all others keep their own. `borg` and `restic` fill a new
//! repository, which is made before the clock starts.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::contenders::{Contender, Peer, Setting, seven_zip};

/// How to pack, for everybody.
#[derive(Clone, Debug)]
pub(super) struct How {
    /// The program `carrack`.
    pub(super) carrack: PathBuf,
    /// This program.
    pub(super) own: PathBuf,
    /// zstd's, 1 to 19.
    pub(super) level: i32,
    /// `None`: what each one thinks best.
    pub(super) threads: Option<usize>,
}

/// How one contender packs.
#[derive(Debug)]
pub(super) struct Pack {
    /// Done before the clock starts.
    pub(super) before: Vec<Command>,
    /// A pipeline.
    pub(super) commands: Vec<Command>,
    /// The archive is what the last command writes to standard output.
    pub(super) to_stdout: bool,
    /// It makes its archive durable by itself when told to.
    pub(super) syncs: bool,
}

impl Pack {
    fn of(commands: Vec<Command>) -> Self {
        Self { before: Vec::new(), commands, to_stdout: false, syncs: false }
    }
}

impl How {
    /// The commands that pack `tree` into `out`, which is not there yet.
    pub(super) fn pack(&self, contender: Contender, tree: &Path, out: &Path, sync: bool, delay_ns: u64) -> Pack {
        match contender {
            Contender::Peer(peer) => self.peer_pack(peer, tree, out),
            Contender::PeerAt(peer, level) => How { level, ..self.clone() }.peer_pack(peer, tree, out),
            Contender::Naive => Pack { syncs: true, ..Pack::of(vec![self.child("naive", sync, None, tree, out)]) },
            Contender::Unplanted => {
                Pack { syncs: true, ..Pack::of(vec![self.child("auto", sync, Some(0), tree, out)]) }
            }
            Contender::Planted(_) => {
                Pack { syncs: true, ..Pack::of(vec![self.child("auto", sync, Some(delay_ns), tree, out)]) }
            }
            Contender::Carrack | Contender::Again | Contender::CarrackIo(_) | Contender::CarrackAt(_) => {
                let mut pack = command(&self.carrack, ["pack", "--quiet", "--no-tune"]);
                match contender {
                    Contender::CarrackAt(Setting::Profile(profile)) => pack.arg(format!("--profile={profile}")),
                    Contender::CarrackAt(Setting::Level(level)) => pack.arg(format!("--level={level}")),
                    _ => pack.arg(format!("--level={}", self.level)),
                };
                pack.args(self.threads.map(|n| format!("--threads={n}"))).args((!sync).then_some("--no-sync"));
                if let Contender::CarrackIo(io) = contender {
                    pack.arg(format!("--io={io}"));
                }
                pack.arg("-o").arg(out).arg(tree);
                Pack { syncs: true, ..Pack::of(vec![pack]) }
            }
        }
    }

    fn child(&self, by: &str, sync: bool, delay_ns: Option<u64>, tree: &Path, out: &Path) -> Command {
        let mut pack = command(&self.own, ["child", "pack"]);
        pack.arg(format!("--by={by}")).arg(format!("--level={}", self.level));
        pack.args(self.threads.map(|n| format!("--threads={n}"))).args(sync.then_some("--sync"));
        pack.args(delay_ns.map(|ns| format!("--delay-ns={ns}"))).arg("--").arg(tree).arg(out);
        pack
    }

    fn peer_pack(&self, peer: Peer, tree: &Path, out: &Path) -> Pack {
        let level = self.level;
        let tar = || command("tar", ["-C".as_ref(), tree.as_os_str(), "-cf".as_ref(), "-".as_ref(), ".".as_ref()]);
        let piped = |compress| Pack { to_stdout: true, ..Pack::of(vec![tar(), compress]) };
        match peer {
            Peer::TarZstd => {
                let threads = self.threads.unwrap_or(0);
                piped(command("zstd", [format!("-{level}"), format!("-T{threads}"), "-q".into(), "-c".into()]))
            }
            Peer::TarLz4 => {
                let level = if level < 5 { 1 } else { level.min(12) };
                piped(command("lz4", [format!("-{level}"), "-q".into(), "-c".into()]))
            }
            Peer::Pixz => {
                let mut pixz = command("pixz", [format!("-{}", xz_level(level))]);
                pixz.args(self.threads.map(|n| format!("-p{n}")));
                piped(pixz)
            }
            Peer::Mksquashfs => {
                let mut pack = Command::new("mksquashfs");
                pack.arg(tree).arg(out).args(["-comp", "zstd", "-Xcompression-level"]).arg(level.to_string());
                pack.args(["-b", "1M", "-noappend", "-no-progress", "-quiet"])
                    .args(option("-processors", self.threads));
                Pack::of(vec![pack])
            }
            Peer::SevenZip => {
                let mut pack = command(seven_zip(), ["a", "-t7z", "-snl", "-snh", "-bd", "-bso0", "-y"]);
                pack.arg(format!("-mx={}", xz_level(level))).args(self.threads.map(|n| format!("-mmt={n}")));
                pack.arg(out).arg(".").current_dir(tree);
                Pack::of(vec![pack])
            }
            Peer::Zpaq => {
                let method = [(15, 4), (9, 3), (5, 2)].into_iter().find(|(from, _)| level >= *from);
                let mut pack = Command::new("zpaq");
                pack.arg("add").arg(out).arg(".").arg(format!("-m{}", method.map_or(1, |(_, method)| method)));
                pack.args(self.threads.map(|n| format!("-t{n}"))).current_dir(tree);
                Pack::of(vec![pack])
            }
            Peer::Mkdwarfs => {
                let mut pack = Command::new("mkdwarfs");
                pack.arg("-i").arg(tree).arg("-o").arg(out).args(["-C", &format!("zstd:level={level}")]);
                pack.args(["--no-progress", "--log-level=warn"]).args(option("-N", self.threads));
                Pack::of(vec![pack])
            }
            Peer::Borg => {
                let mut create = borg(out);
                create.args(["create", "--compression", &format!("zstd,{level}"), "::tree", "."]).current_dir(tree);
                let mut init = borg(out);
                init.args(["init", "--make-parent-dirs", "-e", "none"]);
                Pack { before: vec![init], ..Pack::of(vec![create]) }
            }
            Peer::Restic => {
                let mut backup = restic(out, self.threads);
                let compression = if level < 9 { "auto" } else { "max" };
                backup.args(["backup", "--compression", compression, "."]).current_dir(tree);
                let mut init = restic(out, self.threads);
                init.arg("init");
                Pack { before: vec![init], ..Pack::of(vec![backup]) }
            }
        }
    }

    /// The commands that unpack `archive` into the empty folder `dest`; whether they make it durable by themselves when
    /// told to. `None` for one that cannot.
    pub(super) fn unpack(
        &self,
        contender: Contender,
        archive: &Path,
        dest: &Path,
        sync: bool,
    ) -> Option<(Vec<Command>, bool)> {
        match contender {
            Contender::Peer(peer) | Contender::PeerAt(peer, _) => Some((self.peer_unpack(peer, archive, dest), false)),
            Contender::Carrack | Contender::Again | Contender::CarrackAt(_) => {
                // Special files too: so do the others.
                let mut unpack = command(&self.carrack, ["unpack", "--quiet", "--no-tune", "--specials"]);
                unpack.args(self.threads.map(|n| format!("--threads={n}"))).args(sync.then_some("--sync"));
                unpack.arg("-C").arg(dest).arg(archive);
                Some((vec![unpack], true))
            }
            Contender::Naive | Contender::CarrackIo(_) | Contender::Unplanted | Contender::Planted(_) => None,
        }
    }

    fn peer_unpack(&self, peer: Peer, archive: &Path, dest: &Path) -> Vec<Command> {
        let tar = || command("tar", ["-C".as_ref(), dest.as_os_str(), "-xf".as_ref(), "-".as_ref()]);
        match peer {
            Peer::TarZstd => vec![command("zstd", ["-dcq".as_ref(), archive.as_os_str()]), tar()],
            Peer::TarLz4 => vec![command("lz4", ["-dcq".as_ref(), archive.as_os_str()]), tar()],
            Peer::Pixz => {
                let mut pixz = command("pixz", ["-d".as_ref(), "-i".as_ref(), archive.as_os_str()]);
                pixz.args(self.threads.map(|n| format!("-p{n}")));
                vec![pixz, tar()]
            }
            Peer::Mksquashfs => {
                let mut unpack = command("unsquashfs", ["-f", "-no-progress", "-quiet"]);
                unpack.args(option("-processors", self.threads)).arg("-d").arg(dest).arg(archive);
                vec![unpack]
            }
            Peer::SevenZip => {
                let mut unpack = command(seven_zip(), ["x", "-y", "-bd", "-bso0", "-snl", "-snh"]);
                unpack.args(self.threads.map(|n| format!("-mmt={n}"))).arg(archive).current_dir(dest);
                vec![unpack]
            }
            Peer::Zpaq => {
                let mut unpack = Command::new("zpaq");
                unpack.arg("x").arg(archive).args(self.threads.map(|n| format!("-t{n}"))).current_dir(dest);
                vec![unpack]
            }
            Peer::Mkdwarfs => {
                let mut unpack = Command::new("dwarfsextract");
                unpack.arg("-i").arg(archive).arg("-o").arg(dest).args(option("-n", self.threads));
                vec![unpack]
            }
            Peer::Borg => {
                let mut unpack = borg(archive);
                unpack.args(["extract", "::tree"]).current_dir(dest);
                vec![unpack]
            }
            Peer::Restic => {
                let mut unpack = restic(archive, self.threads);
                unpack.args(["restore", "latest", "--target"]).arg(dest);
                vec![unpack]
            }
        }
    }

    /// `carrack verify`.
    pub(super) fn verify(&self, archive: &Path) -> Command {
        let mut verify = command(&self.carrack, ["verify", "--quiet"]);
        verify.args(self.threads.map(|n| format!("--threads={n}"))).arg(archive);
        verify
    }

    /// `carrack cat` of one file.
    pub(super) fn cat(&self, archive: &Path, path: &str) -> Command {
        command(&self.carrack, ["cat".as_ref(), archive.as_os_str(), path.as_ref()])
    }
}

/// How the name of an archive ends: two contenders add this themselves where it is missing.
pub(super) fn ending(contender: Contender) -> &'static str {
    match contender.peer() {
        Some(Peer::SevenZip) => ".7z",
        Some(Peer::Zpaq) => ".zpaq",
        _ => "",
    }
}

/// Where the stored bytes of an archive lie: those who keep a repository have other things beside it.
pub(super) fn stored(contender: Contender, archive: &Path) -> PathBuf {
    match contender.peer() {
        Some(Peer::Borg | Peer::Restic) => archive.join("repository"),
        _ => archive.to_owned(),
    }
}

/// Levels of xz and of LZMA2.
fn xz_level(level: i32) -> i32 {
    match level {
        ..3 => 1,
        3..5 => 3,
        5..9 => 5,
        9..15 => 7,
        15.. => 9,
    }
}

/// Its configuration and caches lie beside the repository, so that no run finds what another one left.
fn borg(archive: &Path) -> Command {
    let mut borg = Command::new("borg");
    borg.env("BORG_REPO", archive.join("repository")).env("BORG_BASE_DIR", archive.join("own"));
    borg.env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes").env("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes");
    borg
}

/// It encrypts always; the password protects nothing here.
fn restic(archive: &Path, threads: Option<usize>) -> Command {
    let mut restic = command("restic", ["--quiet", "--no-cache"]);
    restic.env("RESTIC_PASSWORD", "carrack").env("RESTIC_REPOSITORY", archive.join("repository"));
    if let Some(threads) = threads {
        restic.env("GOMAXPROCS", threads.to_string());
    }
    restic
}

fn option(name: &str, value: Option<usize>) -> Vec<OsString> {
    value.map_or_else(Vec::new, |value| vec![name.into(), value.to_string().into()])
}

fn command<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}
