//! What the tests of `Paged` share: numbered files with a name, sources that misbehave, and looks at
//! the memory that belongs to a `Paged`.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mmap_ahead::{Error, Immutable, Paged, PagedMode, PagedOptions, Source};

use super::{KIB, Numbered, Place, page, write_numbered};

/// A file of numbered pages that has a name, and nobody has open.
pub(crate) struct Named {
    dir: tempfile::TempDir,
    len: usize,
}

impl Named {
    /// `None` where `place` is not what it should be.
    pub(crate) fn new(place: Place, len: usize) -> Option<Named> {
        place.file()?;
        let dir = place.folder();
        let named = Named { dir, len };
        let file = fs::File::create(named.path()).ok()?;
        write_numbered(&file, len);
        file.sync_all().ok()?;
        Some(named)
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("numbered")
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn pages(&self) -> usize {
        self.len.div_ceil(page())
    }
}

/// Opens it, or says aloud that there is no userfaultfd. A child of another test may hold the writer
/// of this one for a moment, between fork and exec.
pub(crate) fn open(options: &PagedOptions, path: &Path) -> Option<Paged> {
    let mut opened = options.open(path);
    super::becomes(Duration::from_secs(1), || {
        if matches!(opened, Err(Error::NotImmutable { .. })) {
            opened = options.open(path);
        }
        !matches!(opened, Err(Error::NotImmutable { .. }))
    });
    served(opened)
}

/// `opened`, if touches are served.
pub(crate) fn served(opened: Result<Paged, Error>) -> Option<Paged> {
    match opened {
        Ok(paged) if matches!(paged.mode(), PagedMode::Userfault { .. }) => Some(paged),
        Ok(_) | Err(Error::Unsupported { .. }) => {
            let thread = std::thread::current();
            println!("SKIPPED: {}: no userfaultfd", thread.name().unwrap_or("test"));
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// Every byte of a numbered file.
pub(crate) fn check_all(paged: &[u8]) {
    let numbered = Numbered::new();
    (0..paged.len().div_ceil(page())).for_each(|index| numbered.check(paged, index));
}

/// Numbered pages that are made when they are read; some reads fail.
pub(crate) struct Made {
    pub(crate) len: usize,
    /// The error of a read of these bytes, if it fails.
    pub(crate) fails: Box<dyn Fn(Range<u64>) -> Option<io::Error> + Send + Sync>,
    /// No read brings more than this.
    pub(crate) most: usize,
    pub(crate) reads: Arc<AtomicUsize>,
    pub(crate) template: Vec<u8>,
}

impl Made {
    pub(crate) fn new(len: usize) -> Made {
        let template = super::template();
        Made { len, fails: Box::new(|_| None), most: usize::MAX, reads: Arc::default(), template }
    }

    /// A read fails with EIO when it touches `bad`.
    pub(crate) fn broken(len: usize, bad: Range<u64>) -> Made {
        let touches = move |part: &Range<u64>| part.start < bad.end && bad.start < part.end;
        let fails = move |part| touches(&part).then(|| io::Error::from_raw_os_error(libc::EIO));
        Made { fails: Box::new(fails), ..Made::new(len) }
    }
}

impl Source for Made {
    fn len(&self) -> u64 {
        self.len as u64
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let read = buf.len().min((self.len as u64).saturating_sub(offset) as usize).min(self.most);
        if let Some(error) = (self.fails)(offset..offset + read as u64) {
            return Err(error);
        }
        let mut at = 0;
        while at < read {
            let index = (offset + at as u64) / page() as u64;
            let within = ((offset + at as u64) % page() as u64) as usize;
            let len = (page() - within).min(read - at);
            buf[at..at + len].copy_from_slice(&self.template[within..within + len]);
            let number = index.to_ne_bytes();
            if within < number.len() {
                let len = len.min(number.len() - within);
                buf[at..at + len].copy_from_slice(&number[within..within + len]);
            }
            at += len;
        }
        Ok(read)
    }
}

// SAFETY: what it gives depends on the offset only.
unsafe impl Immutable for Made {}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) resident: usize,
    /// Of it, in huge pages.
    pub(crate) huge: usize,
}

/// The memory that belongs to every `Paged` of this process, inside and outside of `range`: what
/// forked children do not get, which nothing else here asks for.
pub(crate) fn owned_memory(range: Range<usize>) -> (Memory, Memory) {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut inside, mut outside) = (Memory::default(), Memory::default());
    let (mut area, mut start) = (Memory::default(), 0);
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let Some(key) = words.next() else { continue };
        let bytes = |words: &mut std::str::SplitWhitespace| {
            words.next().and_then(|word| word.parse::<usize>().ok()).unwrap_or(0) * KIB
        };
        match key {
            "Rss:" => area.resident = bytes(&mut words),
            "AnonHugePages:" => area.huge = bytes(&mut words),
            "VmFlags:" if words.any(|flag| flag == "dc") => {
                let sum = if range.contains(&start) { &mut inside } else { &mut outside };
                sum.resident += area.resident;
                sum.huge += area.huge;
            }
            _ if !key.ends_with(':') => {
                start =
                    key.split('-').next().map_or(0, |hex| usize::from_str_radix(hex, 16).unwrap());
            }
            _ => {}
        }
    }
    (inside, outside)
}

/// All of [`owned_memory`] that is resident.
pub(crate) fn owned_bytes() -> usize {
    let (_, all) = owned_memory(0..0);
    all.resident
}

/// Rss of the whole process.
pub(crate) fn resident_bytes() -> usize {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
    let line = rollup.lines().find(|line| line.starts_with("Rss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * KIB
}

/// Runs the calling test again in a process of its own that has `role`, and tells how it ended.
pub(crate) fn child_output(role: &str) -> Output {
    let thread = std::thread::current();
    let test = thread.name().expect("a test's thread carries its name");
    let mut command = Command::new(std::env::current_exe().unwrap());
    let arguments = ["--exact", test, "--nocapture", "--include-ignored", "--test-threads=1"];
    command.args(arguments).env(super::ROLE, role).stdin(Stdio::null()).output().unwrap()
}

/// Becomes the user nobody. False where this process may not.
pub(crate) fn become_nobody() -> bool {
    const NOBODY: u32 = 65534;
    // SAFETY: numbers only.
    unsafe { libc::setgroups(0, std::ptr::null()) };
    // SAFETY: numbers only. libc has all threads follow.
    let group = unsafe { libc::setresgid(NOBODY, NOBODY, NOBODY) };
    // SAFETY: as above.
    let user = unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) };
    group == 0 && user == 0
}

/// What ended the child `pid`.
pub(crate) fn wait_for(pid: libc::pid_t) -> std::process::ExitStatus {
    let mut status = -1;
    // SAFETY: `status` is writable, and `pid` is a child of this process.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    std::os::unix::process::ExitStatusExt::from_raw(status)
}

/// Forks, has the child do `work`, and ends it without unwinding; 0 when `work` says yes.
pub(crate) fn fork(work: impl FnOnce() -> bool) -> libc::pid_t {
    // SAFETY: the child does what is said here and ends.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "{}", io::Error::last_os_error());
    if pid == 0 {
        let status = if work() { 0 } else { 1 };
        // SAFETY: ends the child at once and has no precondition.
        unsafe { libc::_exit(status) };
    }
    pid
}
