//! Machines that give less than usual: few descriptors, no locked memory, little address space, a full disk, no /proc, a
//! target that cannot be written to. What comes out is the same archive, or an error that says why.

use std::fs;
use std::process::Command;

use crate::injected::assert_part;
use crate::support::{Place, Run, assert_same_tree, run};

/// Runs a script of a shell in the place, with the program as `$0`.
fn shell(place: &Place, script: &str) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_carrack")]).env("XDG_CONFIG_HOME", "/dev/null");
    shell.current_dir(place.dir.path());
    shell
}

/// The same among mounts of its own; `None`, said aloud, where these may not be made.
#[track_caller]
fn among_mounts(place: &Place, script: &str) -> Option<Run> {
    let mut probe = Command::new("unshare");
    let may = probe.args(["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).output().is_ok_and(|it| it.status.success());
    if !may {
        eprintln!("skipped: nothing may be mounted here");
        return None;
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_carrack")]).env("XDG_CONFIG_HOME", "/dev/null");
    Some(run(unshare.current_dir(place.dir.path())))
}

#[test]
fn limits_change_no_byte() {
    let place = Place::packed();
    let want = fs::read(place.path("a.crk")).unwrap();
    for limit in ["ulimit -n 64", "ulimit -l 0", "ulimit -v 4000000"] {
        let pack = "\"$0\" pack src -o b.crk && \"$0\" verify b.crk && \"$0\" unpack b.crk -C out";
        run(&mut shell(&place, &format!("{limit} && {pack}"))).code(0);
        assert!(fs::read(place.path("b.crk")).unwrap() == want, "{limit}: another archive");
        assert_same_tree(&place.path("src"), &place.path("out"));
        fs::remove_file(place.path("b.crk")).unwrap();
        fs::remove_dir_all(place.path("out")).unwrap();
    }
}

/// Runs a command with so much address space. It ends by itself, or by the abort of the standard library, which a shell tells as
/// 128 and the number of SIGABRT (that a thread is given no stack for its signals is a panic there, and an abort as well), or by
/// SIGSEGV, where the kernel does not let a stack grow.
fn in_memory_of(place: &Place, kib: u64, command: &str) -> Run {
    let output = shell(place, &format!("ulimit -v {kib} && \"$0\" {command}")).output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!err.contains("panicked") || err.contains("failed to allocate an alternative stack"), "{kib}: {err}");
    Run { code: output.status.code(), out: output.stdout, err }
}

#[test]
fn with_too_little_memory_nothing_half_done_is_left() {
    let place = Place::packed();
    let want = fs::read(place.path("a.crk")).unwrap();
    let (mut done, mut refused) = (0, 0);
    for kib in (4_000..400_000).step_by(4_000) {
        // A program that cannot be loaded is not ours yet.
        if in_memory_of(&place, kib, "--version").code != Some(0) {
            continue;
        }
        for command in ["pack src -o b.crk --no-tune --threads 2", "verify a.crk", "unpack a.crk -C out --threads 2"] {
            let what = format!("{kib} KiB, {command}");
            let run = in_memory_of(&place, kib, command);
            match run.code {
                Some(0) => done += 1,
                Some(2 | 134 | 139) => refused += 1,
                // What a library had no memory to decode is lost, and named.
                Some(3) if run.err.contains("no memory") => refused += 1,
                code => panic!("{what}: {code:?}: {}", run.err),
            }
            let (packed, unpacked) = (place.path("b.crk"), place.path("out"));
            match run.code {
                Some(0) if command.starts_with("pack") => assert!(fs::read(&packed).unwrap() == want, "{what}"),
                Some(0) if command.starts_with("unpack") => assert_same_tree(&place.path("src"), &unpacked),
                Some(2 | 3) => assert_part(&place.path("src"), &unpacked, &what),
                _ => assert!(!packed.exists(), "{what}: part of an archive"),
            }
            let _ = fs::remove_file(&packed);
            let _ = fs::remove_dir_all(&unpacked);
            assert_eq!(place.names(), ["a.crk", "src"], "{what}: something is left");
        }
    }
    assert!(done > 5 && refused > 5, "{done} runs went well, {refused} did not");
}

#[test]
fn without_proc_the_archive_is_the_same() {
    let place = Place::packed();
    let want = fs::read(place.path("a.crk")).unwrap();
    let script = "mount -t tmpfs none /proc && \"$0\" pack src -o b.crk && \"$0\" unpack b.crk -C out";
    let Some(run) = among_mounts(&place, script) else { return };
    run.code(0);
    assert!(fs::read(place.path("b.crk")).unwrap() == want);
    assert_same_tree(&place.path("src"), &place.path("out"));
    assert_eq!(place.names(), ["a.crk", "b.crk", "out", "src"]);
}

#[test]
fn a_full_disk_is_said_and_nothing_is_left_on_it() {
    let place = Place::packed();
    let mount = "mkdir disk && mount -t tmpfs -o size=100k none disk";
    let pack = format!("{mount} && \"$0\" pack src -o disk/b.crk; code=$?; ls -A disk; exit $code");
    let Some(run) = among_mounts(&place, &pack) else { return };
    let run = run.code(2).says("No space left on device");
    assert_eq!(run.text(), "");
    fs::remove_dir(place.path("disk")).unwrap();
    let unpack =
        format!("{mount} && \"$0\" unpack a.crk -C disk --no-space-check; code=$?; find disk -name noise; exit $code");
    let run = among_mounts(&place, &unpack).expect("as before").code(2).says("No space left on device");
    assert_eq!(run.text(), "", "half a file is left");
}

#[test]
fn what_cannot_be_written_to_is_named() {
    let place = Place::packed();
    let mount = "mkdir -p out && mount -t tmpfs -o ro none out";
    let Some(run) = among_mounts(&place, &format!("{mount} && \"$0\" pack src -o out/b.crk")) else { return };
    run.code(2).says("out/b.crk").says("Read-only file system");
    let run = among_mounts(&place, &format!("{mount} && \"$0\" unpack a.crk -C out")).expect("as before");
    run.code(2).says("Read-only file system");
}

/// Runs carrack while the kernel refuses a system call, as it does in many a container.
#[cfg(target_os = "linux")]
fn refused(place: &Place, call: i64, error: i32, args: &[&str]) -> Run {
    use seccompiler::{SeccompAction, SeccompFilter, apply_filter};
    let arch = std::env::consts::ARCH.try_into().expect("a processor that seccomp knows");
    let (rest, refuse) = (SeccompAction::Allow, SeccompAction::Errno(error as u32));
    let filter = SeccompFilter::new([(call, Vec::new())].into(), rest, refuse, arch).unwrap();
    let filter: seccompiler::BpfProgram = filter.try_into().unwrap();
    // A filter is for the thread that asks for it, and for what it starts.
    std::thread::scope(|scope| {
        let run = || {
            apply_filter(&filter).unwrap();
            place.call(args)
        };
        scope.spawn(run).join().unwrap()
    })
}

#[cfg(target_os = "linux")]
#[test]
fn what_a_sandbox_refuses_is_done_without_and_changes_no_byte() {
    let place = Place::packed();
    let want = fs::read(place.path("a.crk")).unwrap();
    for (name, call, error) in [
        ("io_uring_setup", libc::SYS_io_uring_setup, libc::EPERM),
        ("io_uring_setup", libc::SYS_io_uring_setup, libc::ENOSYS),
        ("io_uring_register", libc::SYS_io_uring_register, libc::EPERM),
        ("io_uring_enter", libc::SYS_io_uring_enter, libc::EPERM),
        ("openat2", libc::SYS_openat2, libc::ENOSYS),
        ("openat2", libc::SYS_openat2, libc::EPERM),
        ("landlock_create_ruleset", libc::SYS_landlock_create_ruleset, libc::ENOSYS),
        ("landlock_restrict_self", libc::SYS_landlock_restrict_self, libc::EPERM),
        ("renameat2", libc::SYS_renameat2, libc::ENOSYS),
        ("copy_file_range", libc::SYS_copy_file_range, libc::EPERM),
        ("sync_file_range", libc::SYS_sync_file_range, libc::EPERM),
        ("fallocate", libc::SYS_fallocate, libc::EOPNOTSUPP),
        ("mlock", libc::SYS_mlock, libc::EPERM),
        ("madvise", libc::SYS_madvise, libc::EPERM),
        ("sched_getaffinity", libc::SYS_sched_getaffinity, libc::EPERM),
        ("prctl", libc::SYS_prctl, libc::EPERM),
    ] {
        let what = format!("{name}, error {error}");
        let run = refused(&place, call, error, &["pack", "src", "-o", "b.crk", "--no-tune"]);
        assert_eq!(run.code, Some(0), "{what}: {}", run.err);
        assert!(fs::read(place.path("b.crk")).unwrap() == want, "{what}: another archive");
        let run = refused(&place, call, error, &["unpack", "b.crk", "-C", "out"]);
        assert_eq!(run.code, Some(0), "{what}: {}", run.err);
        assert_same_tree(&place.path("src"), &place.path("out"));
        fs::remove_file(place.path("b.crk")).unwrap();
        fs::remove_dir_all(place.path("out")).unwrap();
    }
    // Asked for by name it is not replaced in silence.
    let run = refused(&place, libc::SYS_io_uring_setup, libc::EPERM, &["pack", "src", "-o", "b.crk", "--io", "uring"]);
    run.code(2).says("io_uring");
    assert!(!place.path("b.crk").exists());
}
