//! What the behaviour tests share: files that know what they hold, looks at the page table and the
//! page cache, deadlines, and processes of their own.

#![allow(dead_code, unused_imports, unused_macros, reason = "every test file uses a part of it")]

#[cfg(target_os = "linux")]
pub(crate) mod cut;
#[cfg(target_os = "linux")]
pub(crate) mod disk;
#[cfg(target_os = "linux")]
pub(crate) mod paged;
#[cfg(target_os = "linux")]
pub(crate) mod refused;
pub(crate) mod stuck;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mmap_ahead::lab;
use rustix::fs::{Advice, fadvise, fstatfs};

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;

/// Says aloud that the calling test does not run, and why, and ends it.
macro_rules! skip {
    ($($reason:tt)*) => {{
        let thread = std::thread::current();
        println!("SKIPPED: {}: {}", thread.name().unwrap_or("test"), format_args!($($reason)*));
        return;
    }};
}
pub(crate) use skip;

/// The size of a page in bytes.
pub(crate) fn page() -> usize {
    rustix::param::page_size()
}

/// Where a test file lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// /dev/shm: always in memory, small pages.
    Tmpfs,
    /// /var/tmp: a disk, if the machine has one there.
    Disk,
}

impl Place {
    pub(crate) const ALL: [Place; 2] = [Place::Tmpfs, Place::Disk];

    pub(crate) fn dir(self) -> &'static str {
        match self {
            Place::Tmpfs => "/dev/shm",
            Place::Disk => "/var/tmp",
        }
    }

    /// A folder there. If this process dies and [`in_child`] started it, that one removes it.
    pub(crate) fn folder(self) -> tempfile::TempDir {
        let prefix = prefix_of(std::process::id());
        tempfile::Builder::new().prefix(&prefix).tempdir_in(self.dir()).unwrap()
    }

    /// A file without a name and without bytes; `None` where the place is not what it should be.
    pub(crate) fn file(self) -> Option<File> {
        const TMPFS_MAGIC: i64 = 0x0102_1994;
        let file = tempfile::tempfile_in(self.dir()).ok()?;
        let is_tmpfs = fstatfs(&file).ok()?.f_type as i64 == TMPFS_MAGIC;
        (is_tmpfs == (self == Place::Tmpfs)).then_some(file)
    }

    /// A file of `len` bytes in which every page carries its number: see [`is_page`].
    pub(crate) fn numbered(self, len: usize) -> Option<File> {
        let file = self.file()?;
        write_numbered(&file, len);
        Some(file)
    }

    /// A file of `len` bytes that has no blocks.
    pub(crate) fn sparse(self, len: usize) -> Option<File> {
        let file = self.file()?;
        file.set_len(len as u64).unwrap();
        Some(file)
    }
}

/// What every numbered page holds behind its number.
fn template() -> Vec<u8> {
    (0..page()).map(|at| (at % 251) as u8).collect()
}

/// Fills `file` with `len` bytes of numbered pages.
pub(crate) fn write_numbered(mut file: &File, len: usize) {
    let template = template();
    let mut chunk = template.repeat(MIB / page());
    for start in (0..len).step_by(MIB) {
        for (index, at) in (0..MIB).step_by(page()).enumerate() {
            let number = (start / page() + index) as u64;
            chunk[at..at + 8].copy_from_slice(&number.to_ne_bytes());
        }
        file.write_all(&chunk[..MIB.min(len - start)]).unwrap();
    }
}

/// Compares pages with what [`write_numbered`] wrote.
pub(crate) struct Numbered {
    template: Vec<u8>,
}

impl Numbered {
    pub(crate) fn new() -> Numbered {
        let template = template();
        Numbered { template }
    }

    /// Every byte of page `index` of `bytes`, which starts at page 0 of the file.
    pub(crate) fn check(&self, bytes: &[u8], index: usize) {
        let start = index * page();
        let bytes = &bytes[start..bytes.len().min(start + page())];
        let number = (index as u64).to_ne_bytes();
        let head = bytes.len().min(8);
        assert_eq!(bytes[..head], number[..head], "the number of page {index}");
        assert!(bytes[head..] == self.template[head..bytes.len()], "the bytes of page {index}");
    }
}

/// Writes `file` back and drops it from the page cache. An error says why it is not cold now.
pub(crate) fn make_cold(file: &File) -> Result<(), String> {
    file.sync_all().map_err(|error| error.to_string())?;
    fadvise(file, 0, None, Advice::DontNeed).map_err(|error| error.to_string())?;
    let cached = lab::cached(file).map_err(|error| error.to_string())?.cached_pages;
    let pages = file.metadata().map_err(|error| error.to_string())?.len() / page() as u64;
    if cached * 100 > pages {
        return Err(format!("{cached} of {pages} pages stay in the page cache"));
    }
    Ok(())
}

/// Which pages of `bytes` are in the page table of this process.
pub(crate) fn present(bytes: &[u8]) -> Vec<bool> {
    const ENTRY_PRESENT: u64 = 1 << 63;
    let pagemap = File::open("/proc/self/pagemap").unwrap();
    let mut entries = vec![0; bytes.len().div_ceil(page()) * 8];
    let first = bytes.as_ptr() as usize / page();
    pagemap.read_exact_at(&mut entries, first as u64 * 8).unwrap();
    let is_present = |entry: &[u8; 8]| u64::from_ne_bytes(*entry) & ENTRY_PRESENT != 0;
    entries.as_chunks().0.iter().map(is_present).collect()
}

/// The descriptors of this process.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Has descriptors from `limit` on refused (EMFILE). Returns what the limit was.
pub(crate) fn limit_descriptors(limit: u64) -> u64 {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is writable.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut now) };
    let before = std::mem::replace(&mut now.rlim_cur, limit);
    // SAFETY: the limit is readable.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const now) }, 0);
    before
}

/// How many bytes of `bytes` are in the page table, in whole pages.
pub(crate) fn mapped_bytes(bytes: &[u8]) -> usize {
    present(bytes).into_iter().filter(|&is_present| is_present).count() * page()
}

/// How many bytes of a mapped file are in the page cache, in whole pages.
pub(crate) fn cached_bytes(bytes: &[u8]) -> usize {
    let mut bits = vec![0u8; bytes.len().div_ceil(page())];
    let addr = bytes.as_ptr().cast_mut().cast();
    // SAFETY: `bits` has a byte for every page of `bytes`; the call reads page tables only.
    let result = unsafe { libc::mincore(addr, bytes.len(), bits.as_mut_ptr()) };
    assert_eq!(result, 0, "mincore: {}", std::io::Error::last_os_error());
    bits.iter().filter(|&bit| bit & 1 == 1).count() * page()
}

/// Reads one byte of every page, in order.
pub(crate) fn touch_all(bytes: &[u8]) {
    for at in (0..bytes.len()).step_by(page()) {
        std::hint::black_box(bytes[at]);
    }
}

/// Waits until `is_so`, at most for `patience`. Answers whether it came to be.
pub(crate) fn becomes(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if is_so() {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// The shortest of up to `tries` measurements; stops early at one under `enough`. The machine is
/// shared: one long measurement proves nothing.
pub(crate) fn best_of(
    tries: usize,
    enough: Duration,
    mut measure: impl FnMut() -> Duration,
) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..tries {
        best = best.min(measure());
        if best < enough {
            break;
        }
    }
    best
}

/// A small generator of numbers that look random: xorshift64*, never 0.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

/// The lines of /proc/self/maps that lie inside `bytes`.
pub(crate) fn areas_of(bytes: &[u8]) -> usize {
    let range = bytes.as_ptr_range();
    let (low, high) = (range.start as usize, range.end as usize);
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let starts = maps.lines().filter_map(|line| line.split('-').next());
    let starts = starts.filter_map(|start| usize::from_str_radix(start, 16).ok());
    starts.filter(|start| (low..high).contains(start)).count()
}

/// All lines of /proc/self/maps.
pub(crate) fn areas() -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

/// The threads of this process that carry the workers' name: their folders in /proc.
pub(crate) fn workers() -> Vec<std::path::PathBuf> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let tasks = tasks.filter_map(|task| Some(task.ok()?.path()));
    let is_worker = |task: &std::path::PathBuf| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "mmap-ahead")
    };
    tasks.filter(is_worker).collect()
}

/// What a child process of this test binary is to do; unset in the test run itself.
const ROLE: &str = "MMAP_AHEAD_TEST_ROLE";

/// In a child that [`in_child`] started: its role.
pub(crate) fn role() -> Option<String> {
    let role = std::env::var(ROLE).ok()?;
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is readable. A child that dies leaves no core file.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    // SAFETY: no precondition. A child that hangs dies.
    unsafe { libc::alarm(60) };
    Some(role)
}

/// Runs the calling test again in a process of its own that has `role`, and fails as it fails.
pub(crate) fn in_child(role: &str) {
    in_child_with(role, |_| {});
}

/// [`in_child`], with a say in how the process is started.
pub(crate) fn in_child_with(role: &str, prepare: impl FnOnce(&mut Command)) {
    let thread = std::thread::current();
    let test = thread.name().expect("a test's thread carries its name");
    let mut command = Command::new(std::env::current_exe().unwrap());
    let arguments = ["--exact", test, "--nocapture", "--include-ignored", "--test-threads=1"];
    command.args(arguments).env(ROLE, role).stdin(Stdio::null());
    prepare(&mut command);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let child = child.wait_with_output().unwrap();
    remove_folders_of(pid);
    let out = String::from_utf8_lossy(&child.stdout);
    let err = String::from_utf8_lossy(&child.stderr);
    assert!(child.status.success(), "{role}: {}\n{out}\n{err}", child.status);
    assert!(out.contains("1 passed"), "no test is called {test}: {out}");
    for line in out.lines() {
        if let Some(at) = ["SKIPPED:", "seen:"].iter().find_map(|word| line.find(word)) {
            println!("{}", &line[at..]);
        }
    }
}

/// How the folders of a process of these tests begin.
fn prefix_of(pid: u32) -> String {
    format!(".mmap-ahead-test-{pid}-")
}

/// Removes what a process left that died before it could.
fn remove_folders_of(pid: u32) {
    for place in Place::ALL {
        let entries = fs::read_dir(place.dir()).into_iter().flatten().flatten();
        for entry in entries {
            if entry.file_name().to_string_lossy().starts_with(&prefix_of(pid)) {
                fs::remove_dir_all(entry.path()).unwrap();
            }
        }
    }
}

/// The kernel's own read-ahead on the disk that holds `file`, if it says.
pub(crate) fn read_ahead_kb(file: &File) -> Option<u64> {
    let device = rustix::fs::fstat(file).ok()?.st_dev;
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let disk = format!("/sys/dev/block/{major}:{minor}");
    let queues = [format!("{disk}/queue"), format!("{disk}/../queue")];
    let read = |queue: &String| std::fs::read_to_string(format!("{queue}/read_ahead_kb")).ok();
    queues.iter().find_map(read)?.trim().parse().ok()
}
