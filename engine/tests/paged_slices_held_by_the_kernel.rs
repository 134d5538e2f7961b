//! Parts of the slice that the kernel holds on to: written directly, held by a pipe, or pinned by
//! io_uring. Nobody crashes or hangs, readers get the right bytes, and what is held counts against the
//! limit (TRAPS 16).
//!
//! It fails when a frame that cannot be taken back is used for something else, or waited for.

mod common;

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use common::paged::{Named, check_all, open, owned_bytes};
use common::{MIB, Numbered, Place, Random, in_child, page, role, skip, touch_all};
use mmap_ahead::{FaultScope, Paged, PagedMode, PagedOptions};

const LIMIT: usize = 32 * MIB;
const LEN: usize = 160 * MIB;

fn named() -> Option<(Named, Paged)> {
    let file = Named::new(Place::Disk, LEN)?;
    let paged = open(&PagedOptions::new().memory_limit(LIMIT as u64), &file.path())?;
    Some((file, paged))
}

/// Writes all of `part`. Where touches by system calls are not served ([`FaultScope::UserMode`]) an
/// untouched page is EFAULT, as is documented: it is touched, and tried again, since it may have gone
/// meanwhile.
fn write_all(paged: &Paged, copy: &File, part: &[u8], offset: u64) {
    const TRIES: usize = 100;
    let is_served = !matches!(paged.mode(), PagedMode::Userfault { scope, .. } if scope == FaultScope::UserMode);
    let is_written = (0..TRIES).any(|_| match copy.write_all_at(part, offset) {
        Err(error) if !is_served && error.raw_os_error() == Some(libc::EFAULT) => {
            touch_all(part);
            false
        }
        result => {
            result.unwrap();
            true
        }
    });
    assert!(is_written, "at {offset}: EFAULT {TRIES} times");
}

/// Everything twice, by scans and by random touches, within the limit.
fn check_thoroughly(paged: &Paged) {
    let (numbered, mut random) = (Numbered::new(), Random::new(3));
    for _ in 0..2 {
        check_all(paged);
        (0..1000).for_each(|_| numbered.check(paged, random.below(LEN / page())));
    }
    println!("seen: {:?}", paged.stats());
    assert!(owned_bytes() <= LIMIT + 2 * MIB, "{} bytes", owned_bytes());
}

/// O_DIRECT pins the pages for as long as the disk takes.
#[test]
fn what_is_written_directly_arrives() {
    if role().is_none() {
        return in_child("direct");
    }
    let Some((file, paged)) = named() else { skip!("no file on a disk") };
    let path = file.dir().join("copy");
    let mut direct = File::options();
    direct.read(true).write(true).create(true).truncate(true).custom_flags(libc::O_DIRECT);
    let Ok(copy) = direct.open(&path) else {
        skip!("no direct writes here");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (at, part) in paged.chunks(MIB).enumerate() {
                write_all(&paged, &copy, part, (at * MIB) as u64);
            }
        });
        scope.spawn(|| check_all(&paged));
    });
    check_thoroughly(&paged);
    drop(copy);
    let copied = std::fs::read(&path).unwrap();
    assert_eq!(copied.len(), LEN);
    check_all(&copied);
}

/// vmsplice is not to be used on the slice; who does it all the same may see other bytes come out of
/// the pipe, and nothing worse.
#[test]
fn a_pipe_that_holds_pages_harms_nobody_else() {
    if role().is_none() {
        return in_child("pipe");
    }
    let Some((_file, paged)) = named() else { skip!("no file on a disk") };
    let mut pipes = Vec::new();
    for at in (0..LEN).step_by(16 * MIB) {
        let mut ends = [-1; 2];
        // SAFETY: room for two descriptors.
        assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
        // SAFETY: the descriptors were just made and belong to nobody else.
        let ends = ends.map(|fd| unsafe { File::from_raw_fd(fd) });
        (at..at + 2 * MIB)
            .step_by(page())
            .for_each(|at| Numbered::new().check(&paged, at / page()));
        let part = &paged[at..at + 8 * page()];
        let part = libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() };
        // SAFETY: the range is readable; the pipe only reads.
        let held = unsafe { libc::vmsplice(ends[1].as_raw_fd(), &raw const part, 1, 0) };
        assert_eq!(held, 8 * page() as isize, "{}", std::io::Error::last_os_error());
        pipes.push(ends);
    }
    check_thoroughly(&paged);
    drop(pipes);
    check_thoroughly(&paged);
}

/// Buffers that are registered with io_uring are pinned until the ring is gone.
#[test]
fn frames_that_are_pinned_are_set_aside() {
    if role().is_none() {
        return in_child("pinned");
    }
    let Some((_file, paged)) = named() else { skip!("no file on a disk") };
    let Ok(ring) = io_uring::IoUring::new(4) else { skip!("no io_uring here") };
    // A few frames under the reader.
    (0..8 * MIB / page()).for_each(|at| Numbered::new().check(&paged, at));
    let (pinned, len) = (4 * MIB + 5 * page(), 3 * page());
    assert!(paged.is_resident(pinned..pinned + len));
    let part = &paged[pinned..pinned + len];
    let part = libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: len };
    // SAFETY: the range stays mapped until the ring is gone.
    if let Err(error) = unsafe { ring.submitter().register_buffers(&[part]) } {
        skip!("register_buffers: {error}");
    }
    check_thoroughly(&paged);
    let stats = paged.stats();
    assert!(stats.frames_pinned > 0, "{stats:?}");
    Numbered::new().check(&paged, pinned / page());
    drop(ring);
    check_thoroughly(&paged);
    drop(paged);
    assert_eq!(owned_bytes(), 0);
}
