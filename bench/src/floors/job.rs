//! The jobs: which commands they are, and what belongs to their time.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;

use super::Synced;
use crate::child::{self, Compared, Sampled, Task};
use carrack_measure::error::{Context, Failure, Result};
use carrack_measure::process::{self, Stdout, Usage};
use carrack_measure::work::{Work, sync_filesystem};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Job {
    PackTar,
    PackAuto,
    PackPread,
    PackNaive,
    UnpackTar,
    Unpack,
    PackTiny,
    PackTinyNaive,
    VerifyTiny,
    CatTiny,
}

impl Job {
    pub(super) const ALL: [Job; 10] = [
        Job::PackTar,
        Job::PackAuto,
        Job::PackPread,
        Job::PackNaive,
        Job::UnpackTar,
        Job::Unpack,
        Job::PackTiny,
        Job::PackTinyNaive,
        Job::VerifyTiny,
        Job::CatTiny,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Job::PackTar => "pack: tar | zstd",
            Job::PackAuto => "pack: carrack",
            Job::PackPread => "pack: carrack --io pread",
            Job::PackNaive => "pack: naive",
            Job::UnpackTar => "unpack: zstd | tar",
            Job::Unpack => "unpack: carrack",
            Job::PackTiny => "tiny: carrack pack",
            Job::PackTinyNaive => "tiny: naive pack",
            Job::VerifyTiny => "tiny: carrack verify",
            Job::CatTiny => "tiny: carrack cat",
        }
    }

    /// Whether it needs `tar` and `zstd`.
    pub(super) fn is_peer(self) -> bool {
        matches!(self, Job::PackTar | Job::UnpackTar)
    }

    pub(super) fn is_about_tiny(self) -> bool {
        matches!(self, Job::PackTiny | Job::PackTinyNaive | Job::VerifyTiny | Job::CatTiny)
    }

    pub(super) fn is_pack(self) -> bool {
        !self.is_unpack() && !matches!(self, Job::VerifyTiny | Job::CatTiny)
    }

    pub(super) fn is_unpack(self) -> bool {
        matches!(self, Job::UnpackTar | Job::Unpack)
    }

    /// Whom it is compared with.
    pub(super) fn peer(self) -> Option<Job> {
        match self {
            Job::PackAuto | Job::PackPread | Job::PackNaive => Some(Job::PackTar),
            Job::Unpack => Some(Job::UnpackTar),
            Job::PackTiny => Some(Job::PackTinyNaive),
            _ => None,
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Job {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One run of a job.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    /// As somebody would type it.
    pub(super) command: String,
    /// Whether the output was durable when the clock stopped.
    pub(super) synced: bool,
    /// What it cost.
    pub(super) usage: Usage,
    /// Bytes of the archive, for those that make one.
    pub(super) archive_bytes: Option<u64>,
}

/// Where the jobs run, and on what.
pub(super) struct Arena<'a> {
    pub(super) carrack: PathBuf,
    pub(super) tree: PathBuf,
    pub(super) tiny: PathBuf,
    pub(super) level: i32,
    pub(super) synced: Synced,
    pub(super) work: &'a Work,
}

impl Arena<'_> {
    /// Makes the archives that the jobs read, and proves that what they hold is what was packed.
    pub(super) fn prepare(&self, jobs: &[Job]) -> Result<()> {
        let made_by = [(Job::UnpackTar, Job::PackTar), (Job::Unpack, Job::PackAuto), (Job::CatTiny, Job::PackTiny)];
        for (reader, maker) in made_by {
            if jobs.contains(&reader) {
                self.pack(maker, &self.archive_of(reader))?;
            }
        }
        let copy = self.work.join("proof");
        self.unpack(Job::Unpack, &copy)?;
        let (_, compared) = child::run::<Compared>(&Task::Compare { a: self.tree.clone(), b: copy })?;
        match compared.differences.first.first() {
            None => Ok(()),
            Some(difference) => Err(Failure::new(format!("carrack did not give back what it packed: {difference}"))),
        }
    }

    /// The archive that a job reads.
    fn archive_of(&self, job: Job) -> PathBuf {
        self.work.join(match job {
            Job::UnpackTar => "tree.tar.zst",
            Job::VerifyTiny | Job::CatTiny => "tiny.crk",
            _ => "tree.crk",
        })
    }

    /// Files of `tiny`, drawn at random.
    pub(super) fn draw(&self, count: usize, seed: u64) -> Result<Vec<String>> {
        if !self.tiny.is_dir() {
            return Ok(Vec::new());
        }
        Ok(child::run::<Sampled>(&Task::Sample { tree: self.tiny.clone(), count, seed })?.1.paths)
    }

    /// Runs a job once (`cat` once for each path).
    pub(super) fn run(&self, job: Job, round: u32, paths: &[String]) -> Result<Vec<Run>> {
        self.warm(job)?;
        self.work.settle()?;
        match job {
            Job::UnpackTar | Job::Unpack => {
                let dest = self.work.join(&format!("unpacked-{job:?}-{round}"));
                Ok(vec![self.unpack(job, &dest)?])
            }
            Job::VerifyTiny => {
                let archive = self.archive_of(job);
                Ok(vec![self.measure(vec![self.carrack(["verify".as_ref(), archive.as_os_str()])], Stdout::Null)?])
            }
            Job::CatTiny => paths.iter().map(|path| self.cat(path)).collect(),
            _ => {
                let out = self.work.join("packed");
                let run = self.pack(job, &out)?;
                fs::remove_file(&out).at("remove", &out)?;
                Ok(vec![run])
            }
        }
    }

    /// Reads what the job is going to read: other jobs, or other people, may have pushed it out of the page cache.
    fn warm(&self, job: Job) -> Result<()> {
        if job.is_pack() {
            let tree = if job.is_about_tiny() { &self.tiny } else { &self.tree };
            child::run::<Sampled>(&Task::Sample { tree: tree.clone(), count: 0, seed: 0 })?;
            return Ok(());
        }
        let archive = self.archive_of(job);
        let mut file = File::open(&archive).at("open", &archive)?;
        io::copy(&mut file, &mut io::sink()).at("read", &archive)?;
        Ok(())
    }

    fn pack(&self, job: Job, out: &Path) -> Result<Run> {
        let synced = self.synced != Synced::None;
        if job == Job::PackTar {
            let file = File::create_new(out).at("create", out)?;
            let durable = file.try_clone().at("create", out)?;
            let commands = vec![
                command("tar", ["-C".as_ref(), self.tree.as_os_str(), "-cf".as_ref(), "-".as_ref(), ".".as_ref()]),
                command("zstd", [format!("-{}", self.level), "-T0".into(), "-q".into(), "-c".into()]),
            ];
            let mut run = self.run_and(commands, Stdout::File(file), |ran| {
                ran.and(|| if synced { durable.sync_all() } else { Ok(()) })
            })?;
            run.synced = synced;
            run.archive_bytes = Some(fs::metadata(out).at("look at", out)?.len());
            return Ok(run);
        }
        let mut run = self.measure(vec![self.pack_command(job, out, synced)?], Stdout::Null)?;
        run.synced = synced;
        run.archive_bytes = Some(fs::metadata(out).at("look at", out)?.len());
        Ok(run)
    }

    /// Carrack and the naive contender sync by themselves.
    fn pack_command(&self, job: Job, out: &Path, synced: bool) -> Result<Command> {
        let level = format!("--level={}", self.level);
        let tree = if job.is_about_tiny() { &self.tiny } else { &self.tree };
        if matches!(job, Job::PackNaive | Job::PackTinyNaive) {
            let own = std::env::current_exe().doing("find this program")?;
            let mut naive = command(own, ["child", "pack", "--by=naive", &level]);
            naive.args(synced.then_some("--sync")).arg(tree).arg(out);
            return Ok(naive);
        }
        let mut pack = self.carrack(["pack", "--quiet", &level]);
        pack.args((!synced).then_some("--no-sync"));
        pack.args((job == Job::PackPread).then_some("--io=pread"));
        pack.arg("-o").arg(out).arg(tree);
        Ok(pack)
    }

    fn unpack(&self, job: Job, dest: &Path) -> Result<Run> {
        let synced = self.synced == Synced::All;
        fs::create_dir(dest).at("make the folder", dest)?;
        let archive = self.archive_of(job);
        let mut run = if job == Job::UnpackTar {
            let commands = vec![
                command("zstd", ["-dcq".as_ref(), archive.as_os_str()]),
                command("tar", ["-C".as_ref(), dest.as_os_str(), "-xf".as_ref(), "-".as_ref()]),
            ];
            self.run_and(commands, Stdout::Null, |ran| ran.and(|| if synced { sync_filesystem(dest) } else { Ok(()) }))?
        } else {
            let mut unpack = self.carrack(["unpack", "--quiet"]);
            unpack.args(synced.then_some("--sync")).arg("-C").arg(dest).arg(&archive);
            self.measure(vec![unpack], Stdout::Null)?
        };
        run.synced = synced;
        Ok(run)
    }

    /// What comes out is compared with the file.
    fn cat(&self, path: &str) -> Result<Run> {
        let archive = self.archive_of(Job::CatTiny);
        let cat = self.carrack(["cat".as_ref(), archive.as_os_str(), path.as_ref()]);
        let mut out = Vec::new();
        let run = self.run_and(vec![cat], Stdout::Capture, |ran| {
            out = std::mem::take(&mut ran.stdout);
            Ok(())
        })?;
        let file = self.tiny.join(path);
        if fs::read(&file).at("read", &file)? != out {
            return Err(Failure::new(format!("{path}: what came out is not what is in the file")));
        }
        Ok(run)
    }

    fn measure(&self, commands: Vec<Command>, stdout: Stdout) -> Result<Run> {
        self.run_and(commands, stdout, |_| Ok(()))
    }

    fn run_and(
        &self,
        commands: Vec<Command>,
        stdout: Stdout,
        then: impl FnOnce(&mut process::Ran) -> io::Result<()>,
    ) -> Result<Run> {
        let command = process::shown(&commands);
        let mut ran = process::run(commands, stdout).doing("run a job")?;
        if !ran.ok() {
            return Err(Failure::new(format!("{command}: {}", ran.ending())));
        }
        then(&mut ran).doing(format!("finish {command}"))?;
        Ok(Run { command, synced: false, usage: ran.usage, archive_bytes: None })
    }

    fn carrack<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Command {
        command(&self.carrack, args)
    }
}

fn command<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    command
}
