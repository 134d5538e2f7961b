//! The bars of writing through a mapping: figures, so not part of a plain run, and of use in a release build
//! on an idle machine only.
//!
//! `cargo test --release -p mmap-ahead-extras --test writing_keeps_its_bars -- --ignored --nocapture
//! --test-threads 1`

use std::fs::File;
use std::hint::black_box;
use std::time::{Duration, Instant};

use mmap_ahead::{Mechanism, MmapMut, MmapOptions, lab};
use mmap_ahead_bench::interval::Median;
use mmap_ahead_extras::snapshot::Snapshots;

const PAGE: usize = 4096;
const MIB: usize = 1 << 20;
/// Pairs of a bar near 1.0 (TRAPS 29), unless the environment says otherwise.
fn pairs() -> usize {
    std::env::var("PAIRS").ok().and_then(|number| number.parse().ok()).unwrap_or(41)
}

/// What the interval's lower end may be under the bar.
const SLACK: f64 = 0.02;

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Two mappings of a file of `len` bytes that is written already, on a disk: of one file, since two would
/// differ in how large their folios are.
fn on_disk(len: usize, is_kept: bool) -> [MmapMut; 2] {
    let file = tempfile::tempfile_in("/var/tmp").unwrap();
    write(&file, len);
    let mut options = MmapOptions::new();
    if is_kept {
        options.keep_file();
    }
    [0, 1].map(|_| lab::map_file_mut(&file, &options).unwrap())
}

fn write(mut file: &File, len: usize) {
    let chunk = vec![1; MIB];
    (0..len / MIB).for_each(|_| std::io::Write::write_all(&mut file, &chunk).unwrap());
    file.sync_all().unwrap();
}

/// Says `ratios`, of which more is better, and whether they keep to `bar`.
fn judge(name: &str, bar: f64, ratios: &[f64]) -> bool {
    let Median { value, low, high, .. } = Median::of(ratios).unwrap();
    let is_kept = value >= bar && low >= bar - SLACK;
    let verdict = if is_kept { "holds" } else { "FAILS" };
    println!(
        "{verdict}  {name}: {value:.3} ({low:.3} to {high:.3}), bar {bar}, {} pairs",
        ratios.len()
    );
    is_kept
}

/// At most 1.2% of the bytes and a tenth of the time for 1% of 1 GiB.
#[test]
#[ignore = "a measurement: 4 GiB of memory, 10 GiB written to the disk"]
fn an_incremental_snapshot_costs_what_changed() {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    let mut map = MmapMut::map_anon(1024 * MIB).unwrap();
    map.fill(1);
    let mut snapshots = Snapshots::begin(map, dir.path()).unwrap();
    let mut random = Random(5);
    let (mut ratios, mut part_max) = (Vec::new(), 0.0_f64);
    for _ in 0..7 {
        let pages = snapshots.map().len() / PAGE;
        for _ in 0..pages / 100 {
            let at = random.below(pages) * PAGE + random.below(PAGE);
            snapshots.map_mut()[at] = 2;
        }
        let begun = Instant::now();
        let taken = snapshots.take().unwrap();
        let changed = begun.elapsed();
        let written = std::fs::metadata(&taken.path).unwrap().len();
        part_max = part_max.max(written as f64 / snapshots.map().len() as f64);
        let begun = Instant::now();
        let all = snapshots.take_all().unwrap();
        ratios.push(begun.elapsed().as_secs_f64() / changed.as_secs_f64());
        std::fs::remove_file(all.path).unwrap();
        println!("{changed:?}, {} ranges, {:.1} times", taken.ranges, ratios.last().unwrap());
    }
    println!("bytes written: {:.3}% at most", part_max * 100.0);
    assert!(part_max <= 0.012);
    assert!(judge("incremental snapshot, 1% of 1 GiB", 10.0, &ratios));
}

/// What is meant by "never slower". Most of these flushes are the same system call, so the true ratio is 1.0, and
/// then a median falls below 1.0 every other time and an interval every fortieth: "a median of at least 1.0" asks
/// for luck. Asked for is what can be known: it is not slower beyond doubt (the interval reaches 1.0), if it is
/// slower at all then by less than 1% (the median), and the interval is narrow enough to say so (TRAPS 29).
fn is_never_slower(name: &str, ratios: &[f64]) -> bool {
    let Median { value, low, high, .. } = Median::of(ratios).unwrap();
    let is_kept = value >= 0.99 && low >= 1.0 - SLACK && high >= 1.0;
    let verdict = if is_kept { "holds" } else { "FAILS" };
    println!(
        "{verdict}  {name}: {value:.3} ({low:.3} to {high:.3}), never slower, {} pairs",
        ratios.len()
    );
    is_kept
}

/// Never slower than `flush`, however much was stored, with the file kept and without, and with stores tracked
/// and not (by both: what tracking costs is not the flush's): no case may be slower by more than the slack
/// beyond doubt (of four dozen intervals one misses 1.0 by chance), and all pairs together are judged, those
/// that flush nothing by themselves: they take 40 us, and what is not the disk shows.
#[test]
#[ignore = "a measurement: some minutes of writing to the disk"]
fn flush_dirty_is_never_slower_than_flush() {
    let mut random = Random(9);
    let (mut none_is_slower, mut of_stores, mut of_nothing) = (true, Vec::new(), Vec::new());
    for len in [16 * MIB, 256 * MIB, 1024 * MIB] {
        for (is_kept, is_tracked) in [(true, false), (false, false), (true, true), (false, true)] {
            let mut both = on_disk(len, is_kept);
            let _trackers = is_tracked.then(|| {
                both.each_mut().map(|map| map.track_stores_by(Mechanism::Marked).unwrap())
            });
            let pages = len / PAGE;
            for (what, stores) in
                [("nothing", 0), ("1 page", 1), ("10 pages", 10), ("1%", pages / 100)]
            {
                if stores > 1000 {
                    // Large folios make 1% of the pages all of the file.
                    continue;
                }
                let mut case = FlushCase::default();
                // The first one finds the file as it was made.
                for pair in 0..=pairs() {
                    let places = || (0..stores).map(|_| random.below(pages) * PAGE).collect();
                    case.flush_both(&mut both, places, pair > 0);
                }
                let with = |is_so, words| if is_so { words } else { "" };
                let name = format!(
                    "flush_dirty, {} MiB{}{}, {what} stored",
                    len / MIB,
                    with(is_kept, ", file kept"),
                    with(is_tracked, ", tracked")
                );
                none_is_slower &= case.is_not_slower(&name);
                let all = if stores > 0 { &mut of_stores } else { &mut of_nothing };
                all.append(&mut case.flushes);
            }
        }
    }
    let verdicts = [
        is_never_slower("flush_dirty, all pairs with stores", &of_stores),
        is_never_slower("flush_dirty, all pairs with nothing stored", &of_nothing),
    ];
    assert!(none_is_slower && verdicts == [true; 2]);
}

/// The same stores and a flush, by `flush` and by `flush_dirty`.
#[derive(Default)]
struct FlushCase {
    /// How many times as fast `flush_dirty` was, and the stores and it together.
    flushes: Vec<f64>,
    wholes: Vec<f64>,
    /// What `flush` took. Unit: seconds.
    plain: Vec<f64>,
    looks: usize,
}

/// Ours first, theirs first, .. of one pair: OT TO TO OT.
const FIRST_IS_OURS: [bool; 4] = [true, false, false, true];

/// How long a flush took, and the stores and it together.
type Took = (Duration, Duration);

impl FlushCase {
    /// Each is first twice, and follows itself as often as the other does: whoever is second finds disk
    /// and folios as the other left them, which halves or doubles a short flush. The sums are compared.
    fn flush_both(
        &mut self,
        [plain, ours]: &mut [MmapMut; 2],
        mut places: impl FnMut() -> Vec<usize>,
        counts: bool,
    ) {
        let (mut theirs, mut own) = (Took::default(), Took::default());
        for first_is_ours in FIRST_IS_OURS {
            let places = places();
            let mut by_flush =
                || add(&mut theirs, timed(plain, &places, |map| map.flush().unwrap()));
            let mut by_flush_dirty = || {
                let flush = |map: &mut MmapMut| map.flush_dirty().unwrap().stored.is_some();
                let mut looked = false;
                add(&mut own, timed(ours, &places, |map| looked = flush(map)));
                self.looks += usize::from(looked);
            };
            if first_is_ours {
                by_flush_dirty();
                by_flush();
            } else {
                by_flush();
                by_flush_dirty();
            }
        }
        if counts {
            let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
            self.flushes.push(ratio(theirs.0, own.0));
            self.wholes.push(ratio(theirs.1, own.1));
            self.plain.push(theirs.0.as_secs_f64() / FIRST_IS_OURS.len() as f64);
        }
    }

    /// Says what came of it.
    fn is_not_slower(&self, name: &str) -> bool {
        let Median { value, low, high, .. } = Median::of(&self.flushes).unwrap();
        let whole = Median::of(&self.wholes).unwrap();
        println!(
            "{name}: {value:.3} ({low:.3} to {high:.3}), with the stores {:.3} ({:.3} to {:.3}); \
             flush {:.3} ms, {} looks",
            whole.value,
            whole.low,
            whole.high,
            Median::of(&self.plain).unwrap().value * 1e3,
            self.looks
        );
        high >= 1.0 - SLACK
    }
}

/// Stores to `places` and flushes.
fn timed(map: &mut MmapMut, places: &[usize], flush: impl FnOnce(&mut MmapMut)) -> Took {
    let begun = Instant::now();
    places.iter().for_each(|&at| map[at] = map[at].wrapping_add(1));
    let stored = begun.elapsed();
    flush(map);
    let all = begun.elapsed();
    (all - stored, all)
}

fn add(sum: &mut Took, one: Took) {
    *sum = (sum.0 + one.0, sum.1 + one.1);
}

/// What a watched loop of stores fills, round and round, and for how long between two questions.
const LOOP_LEN: usize = 8 * MIB;
const LOOP_TIME: Duration = Duration::from_secs(1);

/// Stores forward, round and round. Returns how many rounds in a second of the thread's own time: on a machine
/// that others use as well, the clock on the wall tells more of them.
fn rounds_per_second(map: &mut MmapMut) -> f64 {
    let own = || {
        let usage = lab::usage(lab::UsageOf::Thread);
        usage.user + usage.system
    };
    let (begun, mut rounds) = (own(), 0_u64);
    while own() - begun < LOOP_TIME {
        for word in map.as_chunks_mut::<8>().0 {
            *word = black_box(rounds).to_ne_bytes();
        }
        rounds += 1;
    }
    rounds as f64 / (own() - begun).as_secs_f64()
}

/// Under 5%, asked once a second: each page is a fault then, once in that time. A fault is 1 to 2 us in
/// memory and 13 us on ext4 with large folios, where it makes all of a folio dirty, watched or not: more memory,
/// or questions that are asked more often, cost in proportion.
#[test]
#[ignore = "a measurement: some minutes"]
fn being_watched_costs_a_loop_of_stores_under_5_percent() {
    let mut all_hold = true;
    for (place, dir) in
        [("anonymous", None), ("tmpfs", Some("/dev/shm")), ("disk", Some("/var/tmp"))]
    {
        let mapping = || match dir {
            None => MmapMut::map_anon(LOOP_LEN).unwrap(),
            Some(dir) => {
                let file = tempfile::tempfile_in(dir).unwrap();
                write(&file, LOOP_LEN);
                lab::map_file_mut(&file, &MmapOptions::new()).unwrap()
            }
        };
        let (mut plain, mut watched) = (mapping(), mapping());
        let tracker = watched.track_stores_by(Mechanism::Marked).unwrap();
        let (mut ratios, mut pages) = (Vec::new(), 0);
        for pair in 0..pairs() + 1 {
            let mut run_watched = || {
                let rate = rounds_per_second(&mut watched);
                pages = tracker.take().unwrap().bytes() as usize / PAGE;
                rate
            };
            let (theirs, own) = if pair % 2 == 0 {
                let theirs = rounds_per_second(&mut plain);
                (theirs, run_watched())
            } else {
                let own = run_watched();
                (rounds_per_second(&mut plain), own)
            };
            assert_eq!(pages, LOOP_LEN / PAGE, "it was not watched");
            if pair > 0 {
                ratios.push(own / theirs);
            }
        }
        all_hold &= judge(&format!("stores watched by the page table, {place}"), 0.95, &ratios);
    }
    assert!(all_hold);
}
