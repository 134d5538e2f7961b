//! A forked child has nothing where a `Paged` of its parent is: touching it there is SIGSEGV,
//! dropping it harms nobody, and the parent reads on as if nothing had happened.
//!
//! It fails when frames are shared with the child: then it reads zeros, or the parent can never move
//! them again.

mod common;

use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::paged::{Named, check_all, fork, open, owned_bytes, wait_for};
use common::{MIB, Numbered, Place, Random, in_child, page, role, skip};
use mmap_ahead::{Paged, PagedOptions};

const LIMIT: usize = 32 * MIB;
const LEN: usize = 160 * MIB + 5;

fn named() -> Option<(Named, Paged)> {
    let file = Named::new(Place::Disk, LEN)?;
    let paged = open(&PagedOptions::new().memory_limit(LIMIT as u64), &file.path())?;
    Some((file, paged))
}

#[test]
fn a_child_that_touches_it_dies_by_sigsegv() {
    if role().is_none() {
        return in_child("touch");
    }
    let Some((_file, paged)) = named() else { skip!("no file on a disk") };
    std::hint::black_box(paged[0]);
    for at in [0, LEN / 2, LEN - 1] {
        let pid = fork(|| std::hint::black_box(paged[at]) < 255);
        assert_eq!(wait_for(pid).signal(), Some(libc::SIGSEGV), "byte {at}");
    }
    check_all(&paged);
}

/// The slice and the pool, in the kernel's own words: dc (MADV_DONTFORK), dd (MADV_DONTDUMP). A core file
/// would wait for pages that nobody serves any more.
#[test]
fn neither_children_nor_core_files_get_any_of_it() {
    if role().is_none() {
        return in_child("flags");
    }
    let areas = || {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let flags = smaps.lines().filter_map(|line| line.strip_prefix("VmFlags:"));
        let has = |flags: &str, flag| flags.split_whitespace().any(|other| other == flag);
        // Nothing else asks for huge pages in this process.
        let ours: Vec<_> = flags.filter(|flags| has(flags, "hg")).map(str::to_owned).collect();
        (ours.len(), ours.into_iter().find(|flags| !has(flags, "dc") || !has(flags, "dd")))
    };
    let Some((_file, paged)) = named() else { skip!("no file on a disk") };
    check_all(&paged);
    let (count, other) = areas();
    assert!(count >= 2, "the slice and its pool");
    assert_eq!(other, None);
}

#[test]
fn a_child_that_asks_and_drops_it_harms_nobody() {
    if role().is_none() {
        return in_child("drop");
    }
    let Some((_file, paged)) = named() else { skip!("no file on a disk") };
    check_all(&paged);
    for _ in 0..3 {
        // SAFETY: the child does what is said here and ends; no other thread runs but the service.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            paged.prefetch(..);
            let mut bytes = [0; 9];
            let read = paged.read_at(&mut bytes, 5 * page() as u64);
            let is_right = matches!(read, Ok(9)) && bytes[..8] == 5_u64.to_ne_bytes();
            let is_resident = paged.is_resident(..);
            drop(paged);
            let status = if is_right && !is_resident { 0 } else { 1 };
            // SAFETY: ends the child at once and has no precondition.
            unsafe { libc::_exit(status) };
        }
        assert_eq!(wait_for(pid).code(), Some(0));
        check_all(&paged);
    }
}

/// The children live on while the parent evicts everything several times over.
#[test]
fn the_parent_reads_on_beside_living_children() {
    if role().is_none() {
        return in_child("beside");
    }
    let Some((_file, paged)) = named() else { skip!("no file on a disk") };
    let is_over = AtomicBool::new(false);
    let mut children = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random::new(5);
            let numbered = Numbered::new();
            while !is_over.load(Ordering::Relaxed) {
                numbered.check(&paged, random.below(LEN / page()));
            }
        });
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                check_all(&paged);
            }
        });
        for _ in 0..10 {
            thread::sleep(std::time::Duration::from_millis(30));
            children.push(fork(|| {
                // SAFETY: waits for a signal.
                unsafe { libc::pause() };
                false
            }));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    check_all(&paged);
    let stats = paged.stats();
    println!("seen: {stats:?}");
    assert!(stats.frames_evicted > 10, "{stats:?}");
    assert_eq!(stats.frames_pinned, 0, "{stats:?}");
    assert!(owned_bytes() <= LIMIT + 2 * MIB, "{}", owned_bytes());
    for pid in children {
        // SAFETY: a child of this process that was not waited for yet.
        unsafe { libc::kill(pid, libc::SIGKILL) };
        assert_eq!(wait_for(pid).signal(), Some(libc::SIGKILL));
    }
}
