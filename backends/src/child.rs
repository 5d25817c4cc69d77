//! Tests that change what belongs to the whole process (umask, limits, user) run in a process of their own: the test
//! binary, called again for one test.

use std::process::Command;

const MARK: &str = "CARRACK_TEST_CHILD";

/// Called first by a test with its full name. In the child it returns true: the test's body follows. In the parent it
/// runs that child, prepared by `prepare`, checks that it passed, and returns false.
pub(crate) fn enter(name: &str, prepare: impl FnOnce(&mut Command)) -> bool {
    if std::env::var_os(MARK).is_some_and(|mark| mark == name) {
        return true;
    }
    // By way of /proc a user who may not look into the build folder can still run what lies in it.
    let linked = std::path::Path::new("/proc/self/exe");
    let program = if linked.exists() { linked.into() } else { std::env::current_exe().expect("own path") };
    let mut command = Command::new(program);
    command.args([name, "--exact", "--test-threads=1", "--nocapture"]).current_dir("/");
    prepare(&mut command);
    let output = command.env(MARK, name).output().expect("the test binary runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{name} in a child: {}\n{said}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

/// Has the child ignore a signal, given by name without `SIG`. (A shell does it: from Rust it takes unsafe code.)
pub(crate) fn ignoring(signal: &'static str) -> impl FnOnce(&mut Command) {
    move |command| {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(format!("trap '' {signal}; exec \"$0\" \"$@\""));
        shell.arg(std::env::current_exe().expect("own path")).args(command.get_args());
        *command = shell;
    }
}

/// Makes the child an ordinary user when this process is root.
#[cfg(unix)]
pub(crate) fn unprivileged(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    if rustix::process::geteuid().is_root() {
        command.gid(65_534).uid(65_534).env("TMPDIR", "/tmp");
    }
}
