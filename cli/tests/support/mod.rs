//! What the tests of the command line share.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_mmap-ahead");

/// An unprivileged user that owns nothing.
const NOBODY: &str = "65534";

/// Runs the program to its end.
pub(crate) fn mmap_ahead(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

/// The same as another user; none, aloud, where that cannot be done.
pub(crate) fn as_nobody(arguments: &[&str]) -> Option<Output> {
    let run = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", PROGRAM]);
        command.args(arguments).output().ok()
    };
    if run(&["--version"]).is_none_or(|output| !output.status.success()) {
        eprintln!("SKIPPED: cannot run {PROGRAM} as another user (root and setpriv are needed)");
        return None;
    }
    run(arguments)
}

/// Exit status, standard output, standard error.
pub(crate) fn parts(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A directory that every user may enter, on a disk where there is one.
pub(crate) fn scratch() -> TempDir {
    let dir = tempfile::tempdir_in("/var/tmp").or_else(|_| tempfile::tempdir()).unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    dir
}

/// A file of 300,000 bytes.
pub(crate) fn small_file(dir: &Path) -> PathBuf {
    let path = dir.join("small");
    fs::write(&path, (0..300_000u32).map(|i| i as u8).collect::<Vec<_>>()).unwrap();
    path
}

/// Whether `dir` is on tmpfs, where cold is refused.
pub(crate) fn in_memory(dir: &Path) -> bool {
    let name = mmap_ahead_bench::device::file_system(dir).unwrap();
    mmap_ahead_bench::device::is_memory(&name)
}
