//! read_ahead_kb, made files and background readers do not outlive the program, whatever ends it.

#![forbid(unsafe_code)]

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use mmap_ahead_bench::device::Disk;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use support::{PROGRAM, as_nobody, mmap_ahead, parts, scratch, small_file};

/// The setting belongs to the machine: one test at a time.
static SETTING: Mutex<()> = Mutex::new(());

/// The disk under the scratch directory, when this user may change its setting; else aloud.
fn own_disk(dir: &Path) -> Option<(Disk, MutexGuard<'static, ()>)> {
    let guard = SETTING.lock().unwrap_or_else(PoisonError::into_inner);
    match Disk::under(dir) {
        Some(disk) if geteuid().is_root() => Some((disk, guard)),
        _ => {
            eprintln!("SKIPPED: not root, or no disk under {}", dir.display());
            None
        }
    }
}

/// Waits until `happened`, ten seconds at most.
fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain: {what}");
        sleep(Duration::from_millis(10));
    }
}

/// A comparison that would run for minutes.
fn long_comparison(dir: &Path, arguments: &[&str]) -> Child {
    let mut command = Command::new(PROGRAM);
    command.args(["compare", "--size", "4MiB", "--runs", "100000", "--dir"]).arg(dir);
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Signals that a child of ours dies of: `&` in a script and nohup make some of them ignored.
fn deadly_signals() -> Vec<Signal> {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let field = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    let ignored = u64::from_str_radix(field.trim(), 16).unwrap();
    let all = [Signal::TERM, Signal::INT, Signal::HUP];
    all.into_iter().filter(|signal| ignored >> (signal.as_raw() - 1) & 1 == 0).collect()
}

fn children_of(parent: u32, name: &str) -> usize {
    let marker = format!("\"parent\":{parent}}}");
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.contains(name) && line.contains(&marker))
        .count()
}

#[test]
fn read_ahead_kb_comes_back_after_a_signal() {
    let dir = scratch();
    let Some((disk, _guard)) = own_disk(dir.path()) else {
        return;
    };
    let before = disk.read_ahead().unwrap();
    // Only a page more, so that whoever measures meanwhile does not notice.
    let other = (before + 4).to_string();
    for signal in deadly_signals() {
        let mut child =
            long_comparison(dir.path(), &["--cache", "cold", "--read-ahead-kb", &other]);
        wait_for("it is set", || disk.read_ahead().unwrap() == before + 4);
        kill_process(Pid::from_child(&child), signal).unwrap();
        let status = child.wait().unwrap();
        assert_eq!(disk.read_ahead().unwrap(), before, "not put back after {signal:?}");
        assert_eq!(status.signal(), Some(signal.as_raw()), "it did not die of the signal");
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().flatten().collect();
        assert!(left.is_empty(), "files stayed after {signal:?}: {left:?}");
    }
}

#[test]
fn read_ahead_kb_comes_back_after_success_and_failure() {
    let dir = scratch();
    let Some((disk, _guard)) = own_disk(dir.path()) else {
        return;
    };
    let before = disk.read_ahead().unwrap();
    let other = (before + 4).to_string();
    let path = small_file(dir.path());
    let file = path.to_str().unwrap();
    let run = ["compare", file, "--runs", "1", "--engines", "read", "--read-ahead-kb", &other];
    let output = mmap_ahead(&[&run[..], &["--json"]].concat());
    let (code, out, err) = parts(&output);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains(&format!("\"read_ahead_kb\":{other}")), "it was not set: {out}");
    assert_eq!(disk.read_ahead().unwrap(), before);
    // Fails after it was set: the children have no room to map so long a file.
    let long = dir.path().join("long");
    fs::File::create(&long).unwrap().set_len(1 << 30).unwrap();
    let script = "ulimit -v 600000; exec \"$0\" compare \"$1\" --cache cold --runs 1 \
                  --engines memmap2 --read-ahead-kb \"$2\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, PROGRAM]).arg(&long).arg(&other);
    let (code, _, err) = parts(&shell.output().unwrap());
    assert_eq!((code, err.lines().count()), (Some(1), 1), "{err}");
    assert!(err.contains("engine memmap2") && err.contains("Cannot allocate memory"), "{err}");
    assert_eq!(disk.read_ahead().unwrap(), before);
}

#[test]
fn without_root_the_command_is_printed() {
    let dir = scratch();
    let path = small_file(dir.path());
    let Some((disk, _guard)) = own_disk(dir.path()) else {
        return;
    };
    let file = path.to_str().unwrap();
    let Some(output) = as_nobody(&["compare", file, "--read-ahead-kb", "64"]) else {
        return;
    };
    let (code, out, err) = parts(&output);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let command = format!("echo 64 | sudo tee {}", disk.read_ahead_kb.display());
    assert!(err.trim_end().ends_with(&command) && err.lines().count() == 1, "{err}");
}

#[test]
fn background_readers_end_with_the_comparison() {
    let dir = scratch();
    let mut child = long_comparison(dir.path(), &["--busy", "2"]);
    let parent = child.id();
    wait_for("both started", || children_of(parent, "__busy") == 2);
    // Not even SIGKILL leaves them behind.
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for("both ended", || children_of(parent, "__busy") == 0);
}

#[test]
fn a_made_file_goes_away_unless_it_is_kept() {
    let dir = scratch();
    let text = dir.path().to_str().unwrap();
    let run = ["compare", "--dir", text, "--size", "1MiB", "--runs", "1", "--engines", "memmap2"];
    let files = || fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(parts(&mmap_ahead(&run)).0, Some(0));
    assert_eq!(files(), 0);
    assert_eq!(parts(&mmap_ahead(&[&run[..], &["--keep"]].concat())).0, Some(0));
    assert_eq!(files(), 1);
    assert_eq!(parts(&mmap_ahead(&run)).0, Some(0));
    assert_eq!(files(), 1, "a file that was there already was removed");
}
