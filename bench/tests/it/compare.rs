//! `carrack-bench compare` and `aa`. The program `carrack` is not built for this crate's tests: a script stands in for it
//! that has the engine do the work, and other scripts are peers that fail.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use carrack_fixtures::Kind;
use serde_json::Value;

use crate::support::{Place, err, out, program};

/// A place with a space in its name, a stand-in for `carrack`, and a search path of our own.
struct Ring {
    place: Place,
    bin: PathBuf,
}

impl Ring {
    fn new(kinds: &[Kind], scale: f64) -> Self {
        let place = Place::with(kinds, scale);
        let bin = place.corpus().with_file_name("some programs");
        fs::create_dir_all(&bin).unwrap();
        let ring = Self { place, bin };
        let bench = env!("CARGO_BIN_EXE_carrack-bench");
        // Options that begin with -- come first, then -o FILE TREE, or -C FOLDER ARCHIVE, or the archive.
        ring.script(
            "carrack",
            &format!(
                "bench='{bench}'\n\
                 case $1 in --version) echo carrack 0.0.0; exit 0;; esac\n\
                 what=$1; shift; io=auto; sync=--sync; args=\n\
                 while :; do case $1 in\n\
                 --io=*) io=${{1#--io=}};; --no-sync) sync=;; --level=*|--threads=*) args=\"$args $1\";; --profile=fast) args=\"$args --level=1\";;\n\
                 --quiet|--sync|--no-tune|--specials) ;; *) break;; esac; shift; done\n\
                 case $what in\n\
                 pack) exec \"$bench\" child pack --by=$io $sync $args \"$3\" \"$2\" >/dev/null;;\n\
                 unpack) exec \"$bench\" child unpack \"$3\" \"$2\" >/dev/null;;\n\
                 verify) exec \"$bench\" child verify \"$1\" >/dev/null;;\n\
                 cat) \"$bench\" child unpack \"$1\" \"$1.cat.$$\" >/dev/null && cat \"$1.cat.$$/$2\";;\n\
                 esac"
            ),
        );
        ring
    }

    fn script(&self, name: &str, body: &str) {
        let path = self.bin.join(name);
        fs::write(&path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Makes programs of this machine known; false when one of them is missing.
    fn real(&self, names: &[&str]) -> bool {
        names.iter().all(|name| {
            let found =
                ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(name)).into_iter().find(|p| p.exists());
            found.is_some_and(|found| std::os::unix::fs::symlink(found, self.bin.join(name)).is_ok())
        })
    }

    fn command(&self, command: &str, args: &[&str]) -> Command {
        let mut bench = program();
        bench.env("PATH", &self.bin).arg(command).arg("--corpus").arg(self.place.corpus());
        bench.arg("--results").arg(self.place.results()).arg("--carrack").arg(self.bin.join("carrack")).args(args);
        bench
    }

    fn compare(&self, args: &[&str]) -> Output {
        self.command("compare", args).output().unwrap()
    }

    fn document(&self) -> Value {
        self.place.json("compare.json")
    }
}

fn ids(document: &Value) -> Vec<&str> {
    document["rows"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
}

fn row<'a>(document: &'a Value, id: &str) -> &'a Value {
    let rows = document["rows"].as_array().unwrap();
    rows.iter().find(|row| row["id"] == id).unwrap_or_else(|| panic!("{id}: {:?}", ids(document)))
}

/// Names of the fields that `docs/results.md` gives for one thing: `name: [{a, b | null, …}]`.
fn documented(name: &str) -> Vec<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/results.md")).unwrap();
    let section = page.split("## ").find(|section| section.starts_with("compare.json")).unwrap().to_owned();
    let from = section.find(&format!("\n{name}: ")).unwrap_or_else(|| panic!("{name} is not documented"));
    let fields = &section[from..][section[from..].find('{').unwrap() + 1..];
    let mut depth = 0;
    let mut words = vec![String::new()];
    for c in fields.chars() {
        match c {
            '{' | '[' => depth += 1,
            '}' if depth == 0 => break,
            '}' | ']' => depth -= 1,
            ',' if depth == 0 => words.push(String::new()),
            c if depth == 0 => words.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    let mut names: Vec<String> =
        words.iter().map(|word| word.split([':', '|']).next().unwrap().trim().to_owned()).collect();
    names.sort();
    names
}

fn fields(of: &Value) -> Vec<String> {
    let mut names: Vec<String> = of.as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}

#[test]
fn rounds_are_interleaved_and_the_document_is_what_is_documented() {
    let ring = Ring::new(&[Kind::Source, Kind::Tiny], 0.003);
    let tar = ring.real(&["tar", "zstd"]);
    let output = ring.compare(&[
        "--only",
        "source,tiny",
        "--rounds",
        "2",
        "--plant",
        "50",
        "--contenders",
        "tar|zstd,naive,carrack,carrack --io mmap",
    ]);
    assert_eq!(output.status.code(), Some(i32::from(!tar)), "{}", err(&output));
    let document = ring.document();
    assert_eq!(document["schema"], "carrack.compare/1");
    for name in ["inputs", "contenders", "rows", "noise", "rooflines", "floors", "samples"] {
        assert_eq!(fields(&document[name][0]), documented(name), "{name}");
    }
    assert_eq!(fields(&document["settings"]), documented("settings"));
    assert!(document["host"]["versions"]["zstd library"].as_str().unwrap().starts_with("1."));

    let samples = document["samples"].as_array().unwrap();
    let of = |round: u64| {
        let ours = samples.iter().filter(|sample| sample["round"] == round);
        ours.map(|sample| (sample["place"].as_u64().unwrap(), sample["row"].as_str().unwrap())).collect::<Vec<_>>()
    };
    let (first, second) = (of(1), of(2));
    assert!(of(0).is_empty(), "the first round does not count");
    assert!(first != second, "each round has an order of its own");
    let sorted = |round: &[(u64, &str)]| {
        let mut rows: Vec<String> = round.iter().map(|(_, row)| (*row).to_owned()).collect();
        rows.sort();
        rows
    };
    assert_eq!(sorted(&first), sorted(&second), "each round has every row");

    for id in ids(&document).iter().filter(|id| tar || !id.contains("tar|zstd")) {
        let row = row(&document, id);
        let runs = if id.contains("/cat/") { 10 } else { 2 };
        assert_eq!(row["wall"]["count"], runs, "{id}");
        assert!(row["wall"]["min"].as_f64() > Some(0.0) && row["failed"].is_null(), "{row}");
        assert_eq!(row["archive_bytes"].is_null(), !id.contains("/pack/"), "{row}");
        let packs_alone = id.contains("/pack/") && !id.contains("tar|zstd");
        assert_eq!(row["efficiency"].as_f64().is_some(), packs_alone, "{row}");
    }
    let base = |id: &str| row(&document, id)["base"].as_str().map(str::to_owned);
    let to_base = |id: &str| row(&document, id)["to_base"]["rounds"].as_array().map(Vec::len);
    assert_eq!(base("source/hot/pack/carrack (again)").unwrap(), "source/hot/pack/carrack");
    assert_eq!(base("source/hot/pack/planted 50%").unwrap(), "source/hot/pack/unplanted");
    assert_eq!(to_base("tiny/hot/pack/planted 50%"), Some(2));
    assert_eq!(
        base("source/hot/pack/carrack").unwrap(),
        if tar { "source/hot/pack/tar|zstd" } else { "source/hot/pack/naive" }
    );
    assert_eq!(document["noise"].as_array().unwrap().len(), 4, "pack and unpack of both trees");
    let planted = row(&document, "source/hot/pack/planted 50%")["command"].as_str().unwrap();
    assert!(!planted.contains("--delay-ns=0 ") && planted.contains("--delay-ns="), "{planted}");

    let floors = document["floors"].as_array().unwrap();
    let measured = floors.iter().filter(|floor| !floor["held"].is_null()).count();
    assert_eq!((floors.len(), measured), (7, if tar { 7 } else { 4 }), "{}", out(&output));
    assert!(out(&output).contains("no difference shown") || out(&output).contains("faster"), "{}", out(&output));
    assert_eq!(ring.place.left(), ["compare.json"], "archives and trees are removed");
}

#[test]
fn a_peer_that_fails_is_told_with_its_last_words_and_the_others_go_on() {
    let ring = Ring::new(&[Kind::Csv], 0.003);
    // The third time, after the round that does not count and the first that does, it breaks down half-way.
    let count = ring.bin.join("count").display().to_string();
    ring.script(
        "tar",
        "case $1 in --version) echo fake tar 1.0; exit;; esac\n\
         cd \"$2\" && find . -type f -exec cat {} +",
    );
    ring.script(
        "zstd",
        &format!(
            "case $1 in --version) echo fake zstd 2.0; exit;; esac\n\
             echo run >> '{count}'; head -c 500\n\
             if [ $(wc -l < '{count}') -gt 2 ]; then echo the disk is on fire >&2; exit 7; fi\n\
             cat >/dev/null"
        ),
    );
    let args = ["--only", "csv", "--rounds", "3", "--operations", "pack", "--contenders", "tar|zstd,naive,carrack"];
    let output = ring.compare(&args);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let document = ring.document();
    let failed = row(&document, "csv/hot/pack/tar|zstd");
    let words = failed["failed"].as_str().unwrap();
    assert!(words.contains("exit status: 7: the disk is on fire"), "{failed}");
    assert_eq!(failed["wall"]["count"], 1, "what went well before is kept");
    assert_eq!(document["contenders"][0]["version"], "fake tar 1.0; fake zstd 2.0");
    assert_eq!(row(&document, "csv/hot/pack/naive")["wall"]["count"], 3);
    assert!(out(&output).contains("FAILED") && err(&output).contains("the disk is on fire"), "{}", out(&output));
    assert_eq!(ring.place.left(), ["compare.json"]);
}

#[test]
fn a_peer_that_gives_back_something_else_is_found_out() {
    let ring = Ring::new(&[Kind::Csv], 0.003);
    ring.script("tar", "cat >/dev/null");
    ring.script("lz4", "cat >/dev/null; echo archive");
    let args = ["--only", "csv", "--rounds", "2", "--operations", "unpack", "--contenders", "tar|lz4,carrack"];
    let output = ring.compare(&args);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let document = ring.document();
    let failed = row(&document, "csv/hot/unpack/tar|lz4");
    assert!(failed["failed"].as_str().unwrap().contains("tar|lz4 did not give back what it packed"), "{failed}");
    assert!(failed["wall"].is_null());
    assert_eq!(row(&document, "csv/hot/unpack/carrack")["wall"]["count"], 2);
}

#[test]
fn what_is_unknown_or_missing_is_named() {
    let ring = Ring::new(&[Kind::Csv], 0.003);
    for (args, part) in [
        (&["--only-contenders", "naive,rar"][..], "tar|zstd, tar|lz4, mksquashfs"),
        (&["--caches", "warm"], "hot, data-cold, cold"),
        (&["--only", "cvs"], "no corpus \"cvs\""),
        (&["--tree", "/no/such/tree"], "/no/such/tree"),
        (&["--only", "csv", "--contenders", "naive", "--base", "carrack"], "does not take part; there are: naive"),
        (&["--only", "csv", "--carrack", "/no/such/carrack"], "cargo build"),
        (&["--rounds", "1"], "2..=1000"),
    ] {
        let mut command = program();
        command.env("PATH", &ring.bin).args(["compare", "--corpus"]).arg(ring.place.corpus());
        let output = command.arg("--results").arg(ring.place.results()).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", err(&output));
        assert!(err(&output).contains(part), "{args:?}: {}", err(&output));
    }
    // Known, asked for, and not installed.
    let args = ["--only", "csv", "--rounds", "2", "--operations", "pack", "--contenders", "zpaq,naive"];
    let output = ring.compare(&args);
    assert_eq!(output.status.code(), Some(1), "{}", err(&output));
    let document = ring.document();
    assert_eq!(document["contenders"][0]["missing"], "not installed: zpaq");
    assert_eq!(row(&document, "csv/hot/pack/zpaq")["failed"], "not installed: zpaq");
    // Not asked for: only a remark.
    let output = ring.compare(&["--only", "csv", "--rounds", "2", "--operations", "pack"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let document = ring.document();
    assert!(ids(&document).iter().all(|id| !id.contains("zpaq")), "{:?}", ids(&document));
    assert!(out(&output).contains("zpaq: not measured: not installed: zpaq"), "{}", out(&output));
    assert_eq!(row(&document, "csv/hot/pack/carrack")["base"], "csv/hot/pack/naive");
}

#[test]
fn every_peer_that_is_installed_packs_and_unpacks_a_tree_with_a_space_in_its_path() {
    let ring = Ring::new(&[Kind::Csv], 0.003);
    let tree = ring.bin.with_file_name("a tree");
    fs::rename(ring.place.corpus().join("csv"), &tree).unwrap();
    let peers = [
        ("tar|zstd", &["tar", "zstd"][..]),
        ("tar|lz4", &["lz4"]),
        ("mksquashfs", &["mksquashfs", "unsquashfs"]),
        ("7zz", &["7zz"]),
        ("pixz", &["pixz"]),
        ("zpaq", &["zpaq"]),
        ("borg", &["borg"]),
        ("restic", &["restic"]),
    ];
    let there: Vec<&str> = peers.iter().filter(|(_, programs)| ring.real(programs)).map(|(name, _)| *name).collect();
    let contenders = [&there[..], &["naive"]].concat().join(",");
    let tree = tree.display().to_string();
    let args = ["--tree", &tree, "--quick", "--synced", "all", "--threads", "2", "--contenders", &contenders];
    let output = ring.compare(&args);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let document = ring.document();
    for name in there {
        for operation in ["pack", "unpack"] {
            let row = row(&document, &format!("a tree/hot/{operation}/{name}"));
            assert_eq!((&row["wall"]["count"], &row["synced"]), (&2.into(), &true.into()), "{row}");
        }
        let archive = row(&document, &format!("a tree/hot/pack/{name}"))["archive_bytes"].as_u64().unwrap();
        assert!(archive > 1000 && archive < document["inputs"][0]["bytes"].as_u64().unwrap(), "{name}: {archive}");
    }
}

#[test]
fn a_signal_ends_it_and_what_there_is_is_saved() {
    let ring = Ring::new(&[Kind::Csv], 0.003);
    let args = ["--only", "csv", "--rounds", "1000", "--operations", "pack", "--contenders", "naive,carrack"];
    let log = ring.bin.join("log");
    let mut running =
        ring.command("compare", &args).stdout(Stdio::null()).stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    for _ in 0..1200 {
        if fs::read_to_string(&log).unwrap().contains("round 2 done") {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let pid = rustix::process::Pid::from_child(&running);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(running.wait().unwrap().code(), Some(143), "{}", fs::read_to_string(&log).unwrap());
    let document = ring.document();
    assert!(
        document["stopped"].as_str().unwrap().starts_with("stopped by signal 15 after "),
        "{}",
        document["stopped"]
    );
    assert!(document["samples"].as_array().unwrap().len() >= 6);
    assert!(row(&document, "csv/hot/pack/carrack")["failed"].is_null());
    assert!(fs::read_to_string(&log).unwrap().contains("what was measured until then is in"));
    assert_eq!(ring.place.left(), ["compare.json"]);
}

#[test]
fn a_contender_is_compared_with_itself() {
    let ring = Ring::new(&[Kind::Source], 0.003);
    let output = ring.command("aa", &["--repeats", "3", "--rounds", "2"]).output().unwrap();
    let document = ring.place.json("aa.json");
    assert_eq!(document["schema"], "carrack.aa/1");
    let comparisons = document["comparisons"].as_array().unwrap();
    assert_eq!(comparisons.len(), 3);
    let holds = |ratio: &Value| ratio["low"].as_f64() <= Some(1.0) && ratio["high"].as_f64() >= Some(1.0);
    let held = comparisons.iter().filter(|comparison| holds(&comparison["ratio"])).count();
    assert_eq!(document["held"], held);
    assert_eq!(document["floor_held"], held == 3);
    assert_eq!(output.status.code(), Some(i32::from(held < 3)), "{}", err(&output));
    assert!(out(&output).contains(&format!("{held} of 3 intervals hold 1.0")), "{}", out(&output));
    assert_eq!(ring.place.left(), ["aa.json"]);
}

/// One command for the plot of time against size: several levels and profiles of Carrack, and levels of the others.
#[test]
fn settings_of_carrack_and_levels_of_others_are_rows_of_their_own() {
    let ring = Ring::new(&[Kind::Csv], 0.01);
    let level = |what: &str| format!("case $1 in --version) echo fake {what} 1.0; exit;; esac\n");
    ring.script("tar", &(level("tar") + "cd \"$2\" && find . -type f -exec cat {} +"));
    // As long as its level says.
    ring.script("zstd", &(level("zstd") + "cat >/dev/null; head -c \"$((${1#-} * 1000))\" /dev/zero"));
    let contenders = "tar|zstd,carrack,carrack --level 19,carrack --profile fast,tar|zstd -7";
    let args = ["--only", "csv", "--rounds", "2", "--operations", "pack", "--contenders", contenders];
    let output = ring.compare(&args);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let document = ring.document();
    let archive = |by: &str| row(&document, &format!("csv/hot/pack/{by}"))["archive_bytes"].as_u64().unwrap();
    assert_eq!((archive("tar|zstd"), archive("tar|zstd -7")), (3000, 7000));
    let ours = ["carrack --level 19", "carrack", "carrack --profile fast"].map(archive);
    assert!(ours[0] < ours[1] && ours[1] != ours[2], "{ours:?}");
    let command = |by: &str| row(&document, &format!("csv/hot/pack/{by}"))["command"].as_str().unwrap().to_owned();
    assert!(command("carrack --profile fast").contains(" --profile=fast "));
    assert!(!command("carrack --profile fast").contains("--level"), "a level would go before the profile's");
    assert_eq!(row(&document, "csv/hot/pack/carrack --level 19")["base"], "csv/hot/pack/tar|zstd");
}
