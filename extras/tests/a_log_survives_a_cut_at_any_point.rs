//! The power fails after every single store of a log's life, and of what was not persisted any part
//! may be there, in any order: the log opens again with every record it had promised.

use std::io;
use std::ops::Range;

use mmap_ahead_bench::random::Rng;
use mmap_ahead_extras::pmem::{AppendLog, LogError, Medium, Pmem};

const LEN: usize = 4096;
/// Random outcomes for each place to cut at.
const OUTCOMES: u64 = 64;

/// A store that the power may take back: one byte, or 8 at once.
#[derive(Clone, Debug)]
struct Pending {
    at: usize,
    bytes: Vec<u8>,
}

/// Memory with a volatile cache before it: what is stored is seen at once, and safe when persisted.
#[derive(Clone, Debug)]
struct Fragile {
    seen: Vec<u8>,
    safe: Vec<u8>,
    pending: Vec<Pending>,
    /// Copies of `safe` and `pending` after each store or persist.
    history: Vec<(Vec<u8>, Vec<Pending>)>,
}

impl Fragile {
    fn new(safe: Vec<u8>) -> Fragile {
        Fragile { seen: safe.clone(), safe, pending: Vec::new(), history: Vec::new() }
    }

    fn remember(&mut self) {
        self.history.push((self.safe.clone(), self.pending.clone()));
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.seen[at..at + bytes.len()].copy_from_slice(bytes);
        self.pending.push(Pending { at, bytes: bytes.to_vec() });
        self.remember();
    }
}

impl Medium for Fragile {
    fn len(&self) -> usize {
        self.seen.len()
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) {
        bytes.copy_from_slice(&self.seen[offset..offset + bytes.len()]);
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        for (at, byte) in (offset..).zip(bytes) {
            self.put(at, &[*byte]);
        }
    }

    fn load(&self, offset: usize) -> u64 {
        u64::from_ne_bytes(self.seen[offset..offset + 8].try_into().unwrap())
    }

    fn store(&mut self, offset: usize, value: u64) {
        assert_eq!(offset % 8, 0);
        self.put(offset, &value.to_ne_bytes());
    }

    fn persist(&mut self, range: Range<usize>) -> io::Result<()> {
        let inside =
            |store: &Pending| range.start <= store.at && store.at + store.bytes.len() <= range.end;
        for store in self.pending.iter().filter(|store| inside(store)) {
            self.safe[store.at..store.at + store.bytes.len()].copy_from_slice(&store.bytes);
        }
        self.pending.retain(|store| !inside(store));
        self.remember();
        Ok(())
    }
}

/// What is left when the power fails: all that is safe, and a random part of the rest.
fn after_the_cut(safe: &[u8], pending: &[Pending], rng: &mut Rng) -> Vec<u8> {
    let mut left = safe.to_vec();
    // Sometimes nearly all of it, sometimes nearly nothing: not half of it every time.
    let chance = rng.unit();
    for store in pending {
        if rng.unit() < chance {
            left[store.at..store.at + store.bytes.len()].copy_from_slice(&store.bytes);
        }
    }
    left
}

/// Never all zero: a record that did not arrive must differ from one that did.
fn record(number: usize) -> Vec<u8> {
    (0..[13, 0, 64, 7, 200][number % 5]).map(|byte| (byte + number * 31) as u8 | 1).collect()
}

fn all_records<M: Medium>(log: &AppendLog<M>) -> Vec<Vec<u8>> {
    log.records().collect()
}

#[test]
fn every_cut_of_a_new_log_and_its_appends_is_recovered_from() {
    let seed = 7;
    eprintln!("seed {seed}");
    let mut rng = Rng::new(seed);
    let mut written = Vec::new();
    // No log yet, but not empty either: nothing of what is left behind may count.
    let mut memory = vec![0xEE; LEN];
    memory[..8].fill(0);
    let mut log = AppendLog::open(Fragile::new(memory)).unwrap();
    // After how many events was each record promised?
    let mut promised_at = Vec::new();
    for number in 0..12 {
        log.append(&record(number)).unwrap();
        written.push(record(number));
        promised_at.push(log.medium().history.len());
    }
    let history = log.medium().history.clone();
    assert!(history.len() > 500, "{}", history.len());
    for (event, (safe, pending)) in history.iter().enumerate() {
        let promised = promised_at.iter().filter(|&&at| at <= event + 1).count();
        for _ in 0..OUTCOMES {
            let left = after_the_cut(safe, pending, &mut rng);
            let log = AppendLog::open(Fragile::new(left)).unwrap_or_else(|error| {
                panic!("after event {event}: {error}");
            });
            let records = all_records(&log);
            assert!(records.len() >= promised, "event {event}: a promised record is gone");
            assert!(records.len() <= promised + 1, "event {event}");
            assert_eq!(records, written[..records.len()], "after event {event}");
        }
    }
}

#[test]
fn a_log_that_was_cut_goes_on_over_what_was_left_behind() {
    let mut rng = Rng::new(11);
    let mut memory = vec![0; LEN];
    let mut written: Vec<Vec<u8>> = Vec::new();
    // Four hundred lives, each of which ends in the middle of its appends.
    for life in 0..400 {
        let mut log = AppendLog::open(Fragile::new(memory.clone())).unwrap();
        let records = all_records(&log);
        assert!(records.starts_with(&written), "life {life}");
        let before = records.len();
        let appended = log.append(&record(life)).is_ok();
        let events = &log.medium().history;
        if !appended {
            break;
        }
        let (safe, pending) = &events[rng.below(events.len() as u64) as usize];
        memory = after_the_cut(safe, pending, &mut rng);
        written = all_records(&AppendLog::open(Fragile::new(memory.clone())).unwrap());
        assert_eq!(written[..before], records, "life {life}");
        assert!(written.len() <= before + 1);
    }
    assert!(written.len() > 10, "{} records in all", written.len());
}

#[test]
fn a_log_in_a_file_is_there_when_it_is_opened_again() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(LEN as u64).unwrap();
    let mut log = AppendLog::open(Pmem::map(&file).unwrap()).unwrap();
    let mut written = Vec::new();
    let full = loop {
        match log.append(&record(written.len())) {
            Ok(()) => written.push(record(written.len())),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, LogError::Full { .. }), "{full}");
    assert_eq!(all_records(&log), written);
    let again = AppendLog::open(Pmem::map(&file).unwrap()).unwrap();
    assert_eq!((all_records(&again), again.left()), (written, log.left()));
}

#[test]
fn what_is_no_log_or_a_damaged_one_is_an_error() {
    assert!(matches!(AppendLog::open(Fragile::new(vec![0; 100])), Err(LogError::NotALog { .. })));
    assert!(matches!(AppendLog::open(Fragile::new(vec![1; LEN])), Err(LogError::NotALog { .. })));
    let mut log = AppendLog::open(Fragile::new(vec![0; LEN])).unwrap();
    log.append(b"record").unwrap();
    let good = log.medium().seen.clone();
    let mut rng = Rng::new(3);
    for _ in 0..20_000 {
        let mut bad = good.clone();
        // Into the end, the length, and what follows.
        let at = [64, 128, 136][rng.below(3) as usize] + rng.below(8) as usize;
        bad[at] = rng.next_u64() as u8;
        // An error or a log, never a panic; and a log has no more in it than its memory.
        if let Ok(log) = AppendLog::open(Fragile::new(bad)) {
            assert!(all_records(&log).iter().map(Vec::len).sum::<usize>() < LEN);
        }
    }
}

/// A medium whose persists fail from some number on, though what was stored may well reach the disk.
struct Failing {
    memory: Fragile,
    persists_left: usize,
}

impl Medium for Failing {
    fn len(&self) -> usize {
        self.memory.len()
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) {
        self.memory.read(offset, bytes);
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.memory.write(offset, bytes);
    }

    fn load(&self, offset: usize) -> u64 {
        self.memory.load(offset)
    }

    fn store(&mut self, offset: usize, value: u64) {
        self.memory.store(offset, value);
    }

    fn persist(&mut self, range: Range<usize>) -> io::Result<()> {
        match self.persists_left.checked_sub(1) {
            Some(left) => self.persists_left = left,
            None => return Err(io::Error::from_raw_os_error(5)),
        }
        self.memory.persist(range)
    }
}

/// After an append that failed nobody knows where the log on the disk ends, so nothing is written over what may be a
/// record of it.
#[test]
fn a_log_whose_device_failed_takes_no_more_until_it_is_opened_again() {
    // Two persists make the log, and two more each record: the fourth record fails in its first or its second one.
    for persists_left in [8, 9] {
        let memory = Fragile::new(vec![0; LEN]);
        let mut log = AppendLog::open(Failing { memory, persists_left }).unwrap();
        for record in [&b"first"[..], b"second", b"third"] {
            log.append(record).unwrap();
        }
        for record in [&b"a long record that fails"[..], b"x", b""] {
            assert!(matches!(log.append(record), Err(LogError::Device(_))));
            // All that was stored has reached the disk, whatever was said of it.
            let memory = Fragile::new(log.medium().memory.seen.clone());
            let opened = AppendLog::open(memory).unwrap();
            let records: Vec<Vec<u8>> = opened.records().collect();
            assert_eq!(records[..3], [b"first".to_vec(), b"second".to_vec(), b"third".to_vec()]);
            assert!(matches!(&records[3..], [] | [_]), "{records:?}");
            assert!(records.get(3).is_none_or(|last| last == b"a long record that fails"));
        }
    }
}
