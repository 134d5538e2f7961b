//! Frames are used again and again and stay huge pages: after a long scan, after a mix of scans and
//! random touches, and after half an hour (TRAPS 17).
//!
//! It fails when a frame moves over a page table that held small pages, and when memory is leaked.

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::paged::{Memory, Named, check_all, open, owned_memory, resident_bytes};
use common::{MIB, Numbered, Place, Random, in_child, page, role, skip};
use mmap_ahead::{Paged, PagedOptions, lab};

const LIMIT: usize = 32 * MIB;
const FRAME: usize = 2 * MIB;

fn huge_pages_are_to_be_had() -> bool {
    let mode = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
    mode.is_ok_and(|mode| !mode.contains("[never]"))
}

/// Memory of whole frames that is huge, of all memory of whole frames: everything that is resident
/// but the small pages under the reader.
fn share_of_huge(paged: &Paged) -> f64 {
    let range = paged.as_ptr_range();
    let (under, pool) = owned_memory(range.start as usize..range.end as usize);
    let stats = paged.stats();
    let small = stats.pages_copied.saturating_sub(stats.pages_evicted) as usize * page();
    let Memory { resident, huge } = under;
    let whole = (resident + pool.resident).saturating_sub(small).max(huge + pool.huge);
    println!("seen: under the reader {under:?}, of it small {small}; in the pool {pool:?}");
    (huge + pool.huge) as f64 / whole.max(1) as f64
}

fn named() -> Option<(Named, Paged)> {
    let file = Named::new(Place::Disk, 8 * LIMIT)?;
    let paged = open(&PagedOptions::new().memory_limit(LIMIT as u64), &file.path())?;
    Some((file, paged))
}

#[test]
fn after_long_scans() {
    if role().is_none() {
        return in_child("scan");
    }
    if !huge_pages_are_to_be_had() {
        skip!("no transparent huge pages here");
    }
    let Some((_file, paged)) = named() else { skip!("no file on a disk") };
    for _ in 0..3 {
        check_all(&paged);
    }
    let (share, stats) = (share_of_huge(&paged), paged.stats());
    println!("seen: {:.1}% of it huge, {stats:?}", share * 100.0);
    assert!(stats.frames_mapped as usize > 2 * paged.len() / FRAME, "{stats:?}");
    assert_eq!(stats.frames_copied, 0, "{stats:?}");
    assert!(share >= 0.95, "{:.1}% of it is huge", share * 100.0);
}

#[test]
fn after_a_mix_of_scans_and_random_touches() {
    if role().is_none() {
        return in_child("mix");
    }
    if !huge_pages_are_to_be_had() {
        skip!("no transparent huge pages here");
    }
    let Some((_file, paged)) = named() else { skip!("no file on a disk") };
    let numbered = Numbered::new();
    let pages = paged.len() / page();
    for round in 0..3 {
        let mut random = Random::new(round);
        (0..1500).for_each(|_| numbered.check(&paged, random.below(pages)));
        check_all(&paged);
    }
    std::thread::scope(|scope| {
        scope.spawn(|| check_all(&paged));
        scope.spawn(|| {
            let (mut random, numbered) = (Random::new(9), Numbered::new());
            (0..3000).for_each(|_| numbered.check(&paged, random.below(pages)));
        });
    });
    check_all(&paged);
    let (share, stats) = (share_of_huge(&paged), paged.stats());
    println!("seen: {:.1}% of it huge, {stats:?}", share * 100.0);
    assert!(stats.frames_mapped > 100 && stats.pages_copied > 5000, "{stats:?}");
    assert!(share >= 0.95, "{:.1}% of it is huge", share * 100.0);
}

/// What the kernel does to idle memory where DAMON or a full machine has it page out: without swap it
/// takes huge pages apart and leaves it at that.
#[test]
fn after_the_kernel_has_taken_them_apart() {
    if role().is_none() {
        return in_child("apart");
    }
    if !huge_pages_are_to_be_had() {
        skip!("no transparent huge pages here");
    }
    let Some((_file, paged)) = named() else { skip!("no file on a disk") };
    check_all(&paged);
    let before = share_of_huge(&paged);
    let (first, last) = (LIMIT / FRAME, paged.len() / FRAME);
    for frame in last - first..last {
        let start = paged[frame * FRAME..].as_ptr().cast_mut().cast();
        // SAFETY: paging out changes no contents; the range is the map's own.
        unsafe { libc::madvise(start, FRAME, libc::MADV_PAGEOUT) };
    }
    let apart = share_of_huge(&paged);
    if apart > before - 0.05 {
        skip!("MADV_PAGEOUT takes no huge page apart here");
    }
    // Where the kernel goes on taking idle frames apart (DAMON, a full machine), one may be apart at any
    // one moment: mended are they all if there is a moment when they are whole.
    let share = (0..5).fold(0.0_f64, |best, _| {
        if best < 0.95 {
            (0..2).for_each(|_| check_all(&paged));
        }
        best.max(share_of_huge(&paged))
    });
    let stats = paged.stats();
    println!("seen: {before:.2}, apart {apart:.2}, then {share:.2} of it huge, {stats:?}");
    if !frames_can_be_mended() {
        skip!("no MADV_COLLAPSE or no PAGEMAP_SCAN here");
    }
    assert!(stats.frames_mended > 0, "{stats:?}");
    assert!(share >= 0.95, "{:.1}% of it is huge", share * 100.0);
}

/// MADV_COLLAPSE (Linux 6.1) and PAGEMAP_SCAN (6.7).
fn frames_can_be_mended() -> bool {
    const MADV_COLLAPSE: libc::c_int = 25;
    let own = vec![1_u8; 2 * FRAME];
    let aligned = own.as_ptr().cast_mut().map_addr(|addr| addr.next_multiple_of(FRAME)).cast();
    // SAFETY: how pages are backed changes no contents; the range lies in `own`.
    let collapsed = unsafe { libc::madvise(aligned, FRAME, MADV_COLLAPSE) };
    let file = tempfile::tempfile().unwrap();
    file.set_len(page() as u64).unwrap();
    let scans = lab::Looks::new(&file).and_then(|looks| looks.poll(page())).is_ok();
    collapsed == 0 && scans
}

/// Random ranges from eight threads. `MMAP_AHEAD_SOAK_SECONDS` makes it shorter.
#[test]
#[ignore = "half an hour"]
fn after_half_an_hour_of_random_ranges() {
    const THREADS: usize = 8;
    if role().is_none() {
        return in_child("soak");
    }
    // SAFETY: no precondition. It may take as long as it takes; standing still is noticed below.
    unsafe { libc::alarm(0) };
    let seconds = std::env::var("MMAP_AHEAD_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let time = Duration::from_secs(seconds.unwrap_or(30 * 60));
    let baseline = resident_bytes();
    let Some((_file, paged)) = named() else { skip!("no file on a disk") };
    let numbered = Numbered::new();
    let begun = Instant::now();
    let (is_over, pages) = (AtomicBool::new(false), paged.len() / page());
    let done: Vec<_> = (0..THREADS).map(|_| AtomicUsize::new(0)).collect();
    // Of the first tenth of the time, and of the rest.
    let mut resident_max = [0; 2];
    std::thread::scope(|scope| {
        for (thread, done) in done.iter().enumerate() {
            let (paged, numbered, is_over) = (&paged, &numbered, &is_over);
            scope.spawn(move || {
                let mut random = Random::new(thread as u64 + 1);
                while !is_over.load(Ordering::Relaxed) {
                    let start = random.below(pages);
                    let len = [1, 1, 3, 40, 700, 3000][random.below(6)];
                    for at in start..pages.min(start + len) {
                        numbered.check(paged, at);
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let mut seen = vec![0; THREADS];
        while begun.elapsed() < time && !is_over.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_secs(5).min(time));
            let now: Vec<_> = done.iter().map(|done| done.load(Ordering::Relaxed)).collect();
            let stands = (0..THREADS).find(|&at| now[at] == seen[at]);
            if let Some(thread) = stands {
                eprintln!("thread {thread} stands still or has failed: {:?}", paged.stats());
                std::process::abort();
            }
            seen = now;
            let max = &mut resident_max[usize::from(begun.elapsed() > time / 10)];
            // A frame that is being moved is counted twice: the least of a few looks.
            let resident = (0..3).map(|_| resident_bytes()).min().unwrap_or(0);
            *max = resident.max(*max);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let touched: usize = done.iter().map(|done| done.load(Ordering::Relaxed)).sum();
    println!("seen: {touched} pages, {baseline} then {resident_max:?} bytes, {:?}", paged.stats());
    let [early, late] = resident_max;
    assert!(late <= baseline + LIMIT + 8 * MIB, "{baseline} bytes became {late}");
    assert!(late <= early + 2 * MIB, "{early} bytes became {late}: it grows");
    check_all(&paged);
    let share = share_of_huge(&paged);
    assert!(share >= 0.95, "{:.1}% of it is huge", share * 100.0);
}
