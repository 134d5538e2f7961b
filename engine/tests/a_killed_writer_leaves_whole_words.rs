//! A writer that is killed at any moment leaves what the documentation of writing says, and no less: every
//! word of 8 bytes whole, all stores up to the last one and none after it, and a file that is as long as it
//! was or as it was to be.
//!
//! The page cache outlives a killed process, so this says nothing of crashes: for those see
//! `what_was_flushed_is_on_the_disk`.

mod common;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::{KIB, Place, Random, page};
use mmap_ahead::{MmapMut, MmapOptions};

/// A record is so many words, stored one after the other, all with the same number.
const WORDS: usize = 8;
const RECORD: usize = WORDS * 8;
/// What each grow adds, and the least length. Records go round in this part.
const STEP: usize = 64 * KIB;
const RECORDS: usize = STEP / RECORD;

/// Stores records for ever: number `n` goes to place `n % RECORDS`, and its first word is told by the
/// others. After each round the file grows and is flushed.
fn write_until_killed(path: &Path) -> ! {
    let file = File::options().read(true).write(true).open(path).unwrap();
    // SAFETY: nobody else writes the file or changes its length.
    let mut map = unsafe { MmapOptions::new().keep_file().map_mut(&file) }.unwrap();
    let tracker = map.track_stores();
    for number in 1_u64.. {
        let at = number as usize % RECORDS * RECORD;
        for word in 0..WORDS {
            store(&mut map, at + word * 8, number);
        }
        if number as usize % RECORDS == 0 {
            if map.len() < 64 * STEP {
                map.grow(map.len() + STEP).unwrap();
                let last = map.len() - 8;
                store(&mut map, last, u64::MAX);
            }
            map.flush_dirty().unwrap();
            let _ = tracker.as_ref().map(|tracker| tracker.take());
        }
    }
    unreachable!()
}

fn store(map: &mut MmapMut, at: usize, number: u64) {
    let place = map[at..at + 8].as_mut_ptr().cast::<u64>();
    // SAFETY: 8 bytes of the slice, which is borrowed mutably, at a multiple of 8. Volatile: neither left out
    // nor put off.
    unsafe { place.write_volatile(number) };
}

/// What a writer may leave. Returns the last number, and whether its record is torn.
fn check(bytes: &[u8]) -> (u64, bool) {
    let words: Vec<u64> =
        bytes.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect();
    let (records, grown) = words.split_at(RECORDS * WORDS);
    let last = records.iter().copied().max().unwrap();
    let mut torn = 0;
    for (index, record) in records.chunks_exact(WORDS).enumerate() {
        // The newest number of this place that is not above the last one.
        let back = (last as usize + RECORDS - index) % RECORDS;
        let newest = last.saturating_sub(back as u64);
        let newest = if newest as usize % RECORDS == index { newest } else { 0 };
        if record.iter().all(|&word| word == newest) {
            continue;
        }
        // Only the last record may be half there: new words first, then those of the round before.
        torn += 1;
        let new = record.iter().take_while(|&&word| word == last).count();
        let before = last.saturating_sub(RECORDS as u64);
        assert!(newest == last && new > 0, "record {index}: {record:?}, the last is {last}");
        assert!(record[new..].iter().all(|&word| word == before), "{record:?} after {before}");
    }
    assert!(torn <= 1);
    assert_eq!(bytes.len() % STEP, 0, "the length is neither before nor after a grow");
    // What was grown is zeros, but for its last word, which may be there or not.
    for added in grown.chunks_exact(STEP / 8) {
        let (end, rest) = added.split_last().unwrap();
        assert!(rest.iter().all(|&word| word == 0) && [0, u64::MAX].contains(end));
    }
    (last, torn == 1)
}

fn run(kills: usize) {
    if let Some(role) = common::role() {
        write_until_killed(Path::new(&role));
    }
    let test = std::thread::current().name().unwrap().to_owned();
    let mut random = Random::new(kills as u64);
    let (mut torn, mut grown, mut records) = (0, 0, 0);
    for kill in 0..kills {
        let place = Place::ALL[kill % 2];
        let file = tempfile::NamedTempFile::new_in(place.dir()).unwrap();
        file.as_file().set_len(STEP as u64).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", &test, "--include-ignored"])
            .env("MMAP_AHEAD_TEST_ROLE", file.path());
        let mut child = command.stdout(Stdio::null()).stdin(Stdio::null()).spawn().unwrap();
        // Most of them once it stores.
        let deadline = Instant::now() + Duration::from_secs(20);
        while fs::read(file.path()).unwrap().iter().all(|&byte| byte == 0) {
            assert!(Instant::now() < deadline, "the writer does not begin");
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_micros(random.below(4000) as u64));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL));
        let bytes = fs::read(file.path()).unwrap();
        let (last, is_torn) = check(&bytes);
        torn += usize::from(is_torn);
        grown += usize::from(bytes.len() > STEP);
        records += last;
    }
    println!("seen: {kills} writers killed, {records} records, {torn} torn, {grown} had grown");
    assert!(records > kills as u64);
    assert!(page() <= STEP);
}

#[test]
fn a_killed_writer_leaves_what_was_promised() {
    run(30);
}

#[test]
#[ignore = "about half a minute"]
fn a_thousand_killed_writers_leave_what_was_promised() {
    run(1000);
}

/// The check sees what it looks for.
#[test]
fn the_check_tells_a_torn_file() {
    let number_at = |bytes: &mut [u8], at: usize, number: u64| {
        bytes[at..at + 8].copy_from_slice(&number.to_ne_bytes());
    };
    let mut bytes = vec![0; STEP];
    for number in 1..=20_u64 {
        for word in 0..WORDS {
            number_at(&mut bytes, number as usize * RECORD + word * 8, number);
        }
    }
    assert_eq!(check(&bytes), (20, false));
    // The last one half there is allowed; an earlier one is not.
    number_at(&mut bytes, 20 * RECORD + 56, 0);
    assert_eq!(check(&bytes), (20, true));
    number_at(&mut bytes, 7 * RECORD + 56, 0);
    assert!(std::panic::catch_unwind(|| check(&bytes)).is_err());
}
