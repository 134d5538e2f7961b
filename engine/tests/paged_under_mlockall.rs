//! A process that locks all its memory, now and in future, reads the right bytes, within the limit.
//!
//! It fails when the kernel fills the addresses with zeros before they are watched over, and when
//! locked frames cannot be moved or given back.

mod common;

use common::paged::{Named, check_all, open, owned_bytes};
use common::{MIB, Numbered, Place, Random, in_child, page, role, skip};
use mmap_ahead::PagedOptions;

const LIMIT: usize = 32 * MIB;
const LEN: usize = 160 * MIB + 5;

fn lock(flags: libc::c_int) -> bool {
    let all = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit is readable.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const all) };
    // SAFETY: flags only.
    unsafe { libc::mlockall(flags) == 0 }
}

fn reads_right_with(flags: libc::c_int) {
    let Some(file) = Named::new(Place::Disk, LEN) else { skip!("no file on a disk") };
    if !lock(flags) {
        skip!("mlockall: {}", std::io::Error::last_os_error());
    }
    let Some(paged) = open(&PagedOptions::new().memory_limit(LIMIT as u64), &file.path()) else {
        return;
    };
    let numbered = Numbered::new();
    let mut random = Random::new(3);
    (0..1000).for_each(|_| numbered.check(&paged, random.below(LEN / page())));
    check_all(&paged);
    (0..1000).for_each(|_| numbered.check(&paged, random.below(LEN / page())));
    check_all(&paged);
    println!("seen: {} bytes, {:?}", owned_bytes(), paged.stats());
    assert!(owned_bytes() <= LIMIT + 2 * MIB, "{} bytes", owned_bytes());
}

#[test]
fn what_is_mapped_now() {
    if role().is_none() {
        return in_child("current");
    }
    reads_right_with(libc::MCL_CURRENT);
}

#[test]
fn what_is_mapped_in_future() {
    if role().is_none() {
        return in_child("future");
    }
    reads_right_with(libc::MCL_FUTURE);
}

#[test]
fn both() {
    if role().is_none() {
        return in_child("both");
    }
    reads_right_with(libc::MCL_CURRENT | libc::MCL_FUTURE);
}
