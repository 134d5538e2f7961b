//! On what machine a result was measured.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::device::{self, Disk};
use crate::free_memory::FreeMemory;

/// The machine, as far as it matters to reading files. What a line does not say is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// The kernel's release.
    pub kernel: String,
    /// The processor's name.
    pub cpu: String,
    /// How many processors this process may run on.
    pub cpus: u64,
    /// All memory.
    pub memory_bytes: u64,
    /// The file system of the file.
    pub file_system: String,
    /// The disk of the file; absent when it lies on none.
    pub device: Option<String>,
    /// The disk's read-ahead when the file was opened.
    pub read_ahead_kb: Option<u64>,
    /// Transparent huge pages: `always`, `madvise` or `never`.
    pub thp: Option<String>,
    /// How many background readers ran beside.
    pub busy: u32,
    /// Whether the host was kept from taking free memory back meanwhile.
    pub free_memory_kept: bool,
    /// The commit of the project, `-dirty` when its tree was changed.
    pub commit: Option<String>,
}

impl Environment {
    /// Looks at the machine, and at the disk under `file`.
    #[must_use]
    pub fn of(file: &Path) -> Environment {
        let disk = Disk::under(file);
        Environment {
            kernel: kernel(),
            cpu: cpu().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cpus: std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64),
            memory_bytes: meminfo("MemTotal").unwrap_or(0),
            file_system: device::file_system(file).unwrap_or_default(),
            read_ahead_kb: disk.as_ref().and_then(|disk| disk.read_ahead().ok()),
            device: disk.map(|disk| disk.name),
            thp: chosen("/sys/kernel/mm/transparent_hugepage/enabled"),
            busy: 0,
            free_memory_kept: FreeMemory::is_kept(),
            commit: commit(),
        }
    }

    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let disk = match (&self.device, self.read_ahead_kb) {
            (Some(device), Some(kib)) => format!("{device}, read_ahead_kb {kib}"),
            _ => "no disk".to_owned(),
        };
        let memory = crate::size::rounded(self.memory_bytes);
        let kept = if self.free_memory_kept { "; free memory kept from the host" } else { "" };
        let Environment { kernel, cpu, cpus, file_system, .. } = self;
        format!("Linux {kernel}, {cpus} x {cpu}, {memory}; {file_system} on {disk}{kept}")
    }
}

/// The running kernel's release.
#[must_use]
pub fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

/// A line of /proc/meminfo, in bytes.
#[must_use]
pub fn meminfo(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// The choice in brackets of a setting like `always [madvise] never`.
#[must_use]
pub fn chosen(setting: &str) -> Option<String> {
    let text = fs::read_to_string(setting).ok()?;
    let (_, after) = text.split_once('[')?;
    Some(after.split_once(']')?.0.to_owned())
}

fn cpu() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn commit() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty"]);
    let output = git.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let words = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !words.is_empty()).then_some(words)
}
