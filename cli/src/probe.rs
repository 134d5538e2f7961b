//! What is there, learnt without trying anything that could disturb.

use std::fs::{self, File};
use std::path::Path;

use mmap_ahead::{FaultScope, lab};
use mmap_ahead_bench::environment::{chosen, kernel};
use serde::Serialize;

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// It is, and this user may use it.
    Available,
    /// It is not, or this user may not.
    Missing,
    /// A setting, neither good nor bad by itself.
    Note,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Probe {
    pub(crate) name: String,
    pub(crate) state: State,
    /// In words.
    pub(crate) detail: String,
    /// What to type to change it; none where nothing need be changed or can be.
    pub(crate) change: Option<String>,
}

impl Probe {
    fn note(name: &str, detail: impl Into<String>) -> Probe {
        Probe { name: name.into(), state: State::Note, detail: detail.into(), change: None }
    }

    fn is(name: &str, available: bool, detail: impl Into<String>) -> Probe {
        let state = if available { State::Available } else { State::Missing };
        Probe { state, ..Probe::note(name, detail) }
    }

    fn change(self, command: impl Into<String>) -> Probe {
        Probe { change: Some(command.into()), ..self }
    }
}

/// Looks at everything.
pub(crate) fn probe() -> Vec<Probe> {
    let mut probes = vec![
        Probe::note("kernel", format!("Linux {}", kernel())),
        Probe::note("page size", format!("{} bytes", rustix::param::page_size())),
        switch(),
    ];
    probes.extend(lab::tried().into_iter().map(explain));
    probes.push(cachestat());
    probes.extend(userfaultfd());
    probes.extend([io_uring(), huge_pages(), seccomp()]);
    probes.extend(disks());
    probes
}

/// MMAP_AHEAD=off switches the engine off for the whole process.
fn switch() -> Probe {
    match std::env::var("MMAP_AHEAD") {
        Err(_) => Probe::note("MMAP_AHEAD", "not set: reading ahead is on"),
        Ok(value) if value == "off" => {
            Probe::is("MMAP_AHEAD", false, "off: nothing is read ahead").change("unset MMAP_AHEAD")
        }
        Ok(value) => Probe::note("MMAP_AHEAD", format!("`{value}`: reading ahead is on")),
    }
}

/// What the calls that the engine tried are for, and the least kernel that has them.
const CALLS: [(&str, &str, (u32, u32)); 6] = [
    ("pagemap", "sees where the reader is", (2, 6)),
    ("PAGEMAP_SCAN", "sees it with one call for many pages", (6, 7)),
    ("MADV_POPULATE_READ", "maps pages ahead of the reader", (5, 14)),
    ("process_madvise", "advises many ranges in one call", (5, 10)),
    ("MADV_GUARD_INSTALL", "guards single pages of a file mapping", (6, 15)),
    ("MADV_HUGEPAGE", "lets cold runs be read in blocks of 2 MiB", (5, 4)),
];

/// A call that was tried, in words.
fn explain(tried: lab::Tried) -> Probe {
    let Some((_, what, least)) = CALLS.iter().find(|(name, ..)| *name == tried.name) else {
        return Probe::is(tried.name, tried.works, "was tried just now");
    };
    let (major, minor) = least;
    if tried.works {
        return Probe::is(tried.name, true, *what);
    }
    let probe = Probe::is(tried.name, false, format!("{what}; in Linux from {major}.{minor} on"));
    match release() >= *least {
        true => probe.change("allow it in the container or sandbox: this kernel has it"),
        false => probe,
    }
}

/// The first two numbers of the kernel's release.
fn release() -> (u32, u32) {
    let text = kernel();
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Asked about this very program, which the user may not own: TRAPS 3.
fn cachestat() -> Probe {
    const NAME: &str = "cachestat";
    let own = std::env::current_exe().and_then(File::open).and_then(|file| lab::cached(&file));
    match own {
        Ok(_) => Probe::is(NAME, true, "says what is in the page cache, for files one may write"),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Probe::is(NAME, true, "answers, but not about this program, which you may not write")
        }
        Err(error) => Probe::is(NAME, false, format!("{error}; in Linux from 6.5 on")),
    }
}

/// What `Paged` fills its pages with; tried, since a filter may refuse what the settings allow.
fn userfaultfd() -> Vec<Probe> {
    const NAME: &str = "userfaultfd";
    const ALLOW: &str = "sudo sysctl vm.unprivileged_userfaultfd=1, or access to /dev/userfaultfd";
    let have = match lab::try_userfault() {
        Ok(have) => have,
        Err(error) => {
            let what =
                format!("{error}: `Paged` reads files that fit into its limit, no longer ones");
            let change = format!("allow it in the container or sandbox, or {ALLOW}");
            return vec![Probe::is(NAME, false, what).change(change)];
        }
    };
    let whole = match have.scope {
        FaultScope::All => Probe::is(NAME, true, "fills the pages of `Paged`"),
        _ => Probe::is(NAME, true, "user mode only: a system call gets EFAULT for an absent page")
            .change(ALLOW),
    };
    let moves = "moves whole frames under the reader; in Linux from 6.8 on";
    let poisons = "makes a bad page a SIGBUS for its reader only; in Linux from 6.6 on";
    let here =
        "lone touches of `Paged` may be served on the thread that touched; in Linux from 4.14 on";
    let moves = Probe::is("UFFDIO_MOVE", have.has_move, moves);
    let poisons = Probe::is("UFFDIO_POISON", have.has_poison, poisons);
    vec![whole, moves, poisons, Probe::is("UFFD_FEATURE_SIGBUS", have.has_sigbus, here)]
}

fn io_uring() -> Probe {
    const NAME: &str = "io_uring";
    let Err(error) = lab::try_io_uring() else {
        return Probe::is(NAME, true, "keeps many direct reads in flight");
    };
    let what = format!("{error}: threads read instead");
    let probe = Probe::is(NAME, false, what);
    match setting("/proc/sys/kernel/io_uring_disabled") {
        Some(1 | 2) => probe.change("sudo sysctl kernel.io_uring_disabled=0"),
        _ if release() >= (5, 6) => {
            probe.change("allow io_uring_setup in the container or sandbox")
        }
        _ => probe,
    }
}

fn huge_pages() -> Probe {
    match chosen("/sys/kernel/mm/transparent_hugepage/enabled") {
        Some(choice) if choice == "never" => Probe::is("huge pages", false, "never")
            .change("echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"),
        Some(choice) => Probe::is("huge pages", true, choice),
        None => Probe::is("huge pages", false, "this kernel has no transparent huge pages"),
    }
}

/// A filter may refuse calls that the settings allow.
fn seccomp() -> Probe {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mode = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
    match mode.map(str::trim) {
        Some("2") => Probe::note("seccomp", "a filter is on: it may refuse userfaultfd, io_uring"),
        _ => Probe::note("seccomp", "no filter"),
    }
}

/// The read-ahead of every disk that is one.
fn disks() -> Vec<Probe> {
    let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let mut disks: Vec<_> = entries.filter_map(|entry| disk(&entry.path())).collect();
    disks.sort_by(|a, b| a.name.cmp(&b.name));
    disks
}

fn disk(path: &Path) -> Option<Probe> {
    let name = path.file_name()?.to_str()?;
    let backed = path.join("device").exists() || name.starts_with("dm-") || name.starts_with("md");
    let setting_path = path.join("queue/read_ahead_kb");
    let kib = setting(setting_path.to_str()?)?;
    let probe = Probe::note(&format!("disk {name}"), format!("read_ahead_kb {kib}"));
    let small = kib < 128;
    let change = || format!("echo 128 | sudo tee {}", setting_path.display());
    backed.then(|| if small { probe.change(change()) } else { probe })
}

fn setting(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_thing_is_explained() {
        let probes = probe();
        assert!(probes.iter().all(|probe| !probe.detail.is_empty() && !probe.name.is_empty()));
        assert!(release() >= (3, 0), "{:?}", release());
    }

    #[test]
    fn every_call_that_is_tried_has_words() {
        for tried in lab::tried() {
            assert!(CALLS.iter().any(|(name, ..)| *name == tried.name), "{tried:?}");
        }
    }

    #[test]
    fn a_refused_call_of_a_kernel_that_has_it_can_be_allowed() {
        let refused = |name| explain(lab::Tried { name, works: false });
        assert_eq!(refused("pagemap").state, State::Missing);
        assert!(refused("pagemap").change.is_some(), "every kernel has it");
        assert!(explain(lab::Tried { name: "pagemap", works: true }).change.is_none());
    }
}
