//! 1,000 races of a reader against a writer that cuts the file, for each way to read: nobody dies, and
//! no wrong answer is taken for a right one. The same races with memmap2, in processes of their own,
//! show what they would have come to.
//!
//! It fails when a copy is not followed by a look at the size, when the guard replaces a page without
//! noting it first, and when the last page of a cut file is believed.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::hint;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{KIB, Place, Random, in_child, page, role, skip};
use mmap_ahead::{Mmap, MmapOptions};

const RACES: usize = 1000;
const FILE_LEN: usize = 256 * KIB + 1000;
/// So long the writer waits at most: a few times what reading the file takes.
const DELAY_NS_MAX: usize = 200_000;

/// Byte `at` of the file: never 0, which is what a lost byte reads as.
fn byte(at: usize) -> u8 {
    (at % 251) as u8 + 1
}

/// What the file holds from `offset` on.
fn is_right(bytes: &[u8], offset: usize) -> bool {
    static CONTENTS: OnceLock<Vec<u8>> = OnceLock::new();
    let contents = CONTENTS.get_or_init(|| (0..FILE_LEN).map(byte).collect());
    bytes == &contents[offset..offset + bytes.len()]
}

/// Waits for some time, and keeps the processor: a sleep would be too long.
fn wait(random: &mut Random) {
    let delay = Duration::from_nanos(random.below(DELAY_NS_MAX) as u64);
    let begun = Instant::now();
    while begun.elapsed() < delay {
        hint::spin_loop();
    }
}

/// What came of the races of one way to read.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    /// Answers that were given and right.
    right: usize,
    /// Errors.
    errors: usize,
    /// Races in which the file was cut while the reader was in the middle of it.
    bitten: usize,
}

/// One reader: reads once, and says `None` for an error, else whether the bytes were right.
type Reader = fn(&Mmap, &mut Random, &mut Outcome) -> Option<bool>;

fn read_at(map: &Mmap, random: &mut Random, outcome: &mut Outcome) -> Option<bool> {
    let mut buf = [0; 20 * KIB];
    let offset = random.below(FILE_LEN);
    match map.read_at(&mut buf, offset) {
        Ok(len) => Some(is_right(&buf[..len], offset)),
        Err(_) => {
            outcome.bitten += usize::from(buf[0] != 0);
            None
        }
    }
}

fn guarded(map: &Mmap, _: &mut Random, outcome: &mut Outcome) -> Option<bool> {
    let mut has_seen_zeros = false;
    let answer = map.guarded(|bytes| {
        has_seen_zeros = !is_right(bytes, 0);
        !has_seen_zeros
    });
    outcome.bitten += usize::from(has_seen_zeros);
    answer.ok()
}

fn guarded_slice(map: &Mmap, random: &mut Random, outcome: &mut Outcome) -> Option<bool> {
    let start = random.below(FILE_LEN);
    let bytes = map.try_slice(start..).ok()?;
    let seen = is_right(bytes, start);
    let is_known = map.error().is_some();
    outcome.bitten += usize::from(!seen);
    (!is_known).then_some(seen)
}

/// A file that is cut and filled again. It has a name, or nobody could know its size.
struct Target {
    file: File,
    contents: Vec<u8>,
    _dir: tempfile::TempDir,
}

impl Target {
    fn new(place: Place) -> Target {
        let dir = place.folder();
        let path = dir.path().join("target");
        let file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
        let target = Target { file, contents: (0..FILE_LEN).map(byte).collect(), _dir: dir };
        target.fill();
        target
    }

    fn fill(&self) {
        self.file.write_all_at(&self.contents, 0).unwrap();
    }

    /// Anywhere in the file, often in the middle of a page, and rarely on the edge of one.
    fn cut(&self, random: &mut Random) {
        let len = random.below(FILE_LEN);
        let len = if random.below(8) == 0 { len / page() * page() } else { len };
        self.file.set_len(len as u64).unwrap();
    }
}

fn race(target: &Target, options: &MmapOptions, read: Reader, seed: u64, outcome: &mut Outcome) {
    target.fill();
    // SAFETY: the file is cut under the mapping, which is what is tested. No slice of it is believed
    // before it was asked whether it may be.
    let map = unsafe { options.map(&target.file) }.unwrap();
    let is_ready = AtomicBool::new(false);
    let is_cut = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random::new(2 * seed);
            while !is_ready.load(Ordering::Acquire) {
                thread::yield_now();
            }
            wait(&mut random);
            target.cut(&mut random);
            is_cut.store(true, Ordering::Release);
        });
        let mut random = Random::new(2 * seed + 1);
        is_ready.store(true, Ordering::Release);
        let mut rounds_after = 0;
        while rounds_after < 3 {
            rounds_after += usize::from(is_cut.load(Ordering::Acquire));
            match read(&map, &mut random, outcome) {
                Some(true) => outcome.right += 1,
                Some(false) => panic!("race {seed}: a wrong answer, and nobody said so"),
                None => outcome.errors += 1,
            }
        }
    });
    // The file is shorter than it was: whoever asks is told.
    assert!(map.error().is_some(), "race {seed}");
}

const WAYS: [(&str, Reader); 3] =
    [("read_at", read_at), ("guarded", guarded), ("try_slice under the guard", guarded_slice)];

#[test]
fn nobody_dies_and_nobody_is_fooled() {
    let races = Place::ALL.into_iter().flat_map(|place| WAYS.map(|way| (place, way)));
    for (place, (name, read)) in races {
        let label = format!("{name}, {place:?}");
        match role() {
            None => in_child(&label),
            Some(role) if role == label => all_races(&label, place, read),
            Some(_) => {}
        }
    }
}

fn all_races(label: &str, place: Place, read: Reader) {
    let target = Target::new(place);
    let mut outcome = Outcome::default();
    for seed in 0..RACES {
        let mut options = MmapOptions::new();
        if label.contains("guard,") {
            options.guard_sigbus();
        }
        // Every other one keeps the file, so that both ways to know its size are raced.
        if seed % 2 == 0 {
            options.keep_file();
        }
        race(&target, &options, read, seed as u64, &mut outcome);
    }
    println!("seen: {label}: {RACES} of {RACES} survived, 0 wrong; {outcome:?}");
    assert!(outcome.right > 0 && outcome.errors > 0, "{outcome:?}");
    assert!(outcome.bitten > 0, "the races are none: {outcome:?}");
}

/// A careful reader of a plain mapping: looks at the size before and after. It cannot help the signal.
fn plain(target: &Target, is_cut: &AtomicU64) -> i32 {
    // SAFETY: the file is cut under the mapping: this is a process of its own, to be killed by that.
    let Ok(map) = (unsafe { memmap2::Mmap::map(&target.file) }) else { return 2 };
    let is_whole = || target.file.metadata().is_ok_and(|facts| facts.len() == FILE_LEN as u64);
    while is_whole() {
        is_cut.store(1, Ordering::Release);
        if !is_right(&map, 0) && is_whole() {
            return 1;
        }
    }
    0
}

/// Memory that a forked child shares.
fn shared_word() -> &'static AtomicU64 {
    let (prot, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address of the kernel's choice disturbs nothing.
    let page = unsafe { libc::mmap(std::ptr::null_mut(), page(), prot, flags, -1, 0) };
    assert_ne!(page, libc::MAP_FAILED);
    // SAFETY: zeroed, aligned, never unmapped, and only used as an atomic.
    unsafe { &*page.cast::<AtomicU64>() }
}

#[test]
fn the_same_races_with_memmap2() {
    if role().is_none() {
        return in_child("memmap2");
    }
    let reading = shared_word();
    for place in Place::ALL {
        let target = Target::new(place);
        let [mut crashes, mut wrong] = [0; 2];
        for seed in 0..RACES {
            target.fill();
            reading.store(0, Ordering::Release);
            // SAFETY: the child allocates nothing: it maps, reads and exits.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: no precondition. An alarm is not inherited.
                unsafe { libc::alarm(5) };
                let status = plain(&target, reading);
                // SAFETY: ends the process at once.
                unsafe { libc::_exit(status) };
            }
            assert!(child > 0);
            while reading.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            let mut random = Random::new(2 * seed as u64);
            wait(&mut random);
            target.cut(&mut random);
            let mut status = 0;
            // SAFETY: `status` is writable, and the child is one of this process.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            let status = ExitStatus::from_raw(status);
            crashes += usize::from(status.signal() == Some(libc::SIGBUS));
            wrong += usize::from(status.code() == Some(1));
            assert!(status.code() != Some(2) && status.signal() != Some(libc::SIGALRM), "{status}");
        }
        println!("seen: memmap2, {place:?}: {crashes} of {RACES} crashed, {wrong} wrong");
        if crashes == 0 {
            skip!("this machine is too slow or too busy for the races to hit");
        }
    }
}
