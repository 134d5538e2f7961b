//! With `Faults::OnFaultingThread` a lone touch is served by the thread that touched, inside a handler
//! of SIGBUS: the bytes are right, runs are still read ahead, errors are what they are otherwise, a
//! system call gets EFAULT, and other people's SIGBUS is theirs.
//!
//! It fails when the handler answers for what is not its own, when a page that cannot be read is tried
//! for ever, when bytes that were read before an error or a break are shown after it, and when what a
//! child inherits is taken for the parent's.

mod common;

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use common::paged::{Made, Named, check_all, child_output, fork, open, served, wait_for};
use common::{MIB, Numbered, Place, Random, in_child, page, role, skip};
use mmap_ahead::{
    FaultScope, Faults, FrameSize, Immutability, OnIoError, Paged, PagedMode, PagedOptions,
};

const LIMIT: usize = 8 * MIB;
const LEN: usize = 64 * MIB + 11;

fn options() -> PagedOptions {
    PagedOptions::new().memory_limit(LIMIT as u64).faults(Faults::OnFaultingThread)
}

fn named() -> Option<(Named, Paged)> {
    let file = Named::new(Place::Disk, LEN)?;
    let paged = open(&options(), &file.path())?;
    Some((file, paged))
}

fn faults(paged: &Paged) -> Faults {
    match paged.mode() {
        PagedMode::Userfault { faults, .. } => faults,
        mode => panic!("{mode:?}"),
    }
}

/// Lone touches, by so many threads.
fn touch_at_random(paged: &Paged, threads: u64, touches: usize) {
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                let (numbered, mut random) = (Numbered::new(), Random::new(thread + 1));
                (0..touches).for_each(|_| numbered.check(paged, random.below(LEN / page())));
            });
        }
    });
}

#[test]
fn most_random_touches_need_no_other_thread() {
    let Some((_file, paged)) = named() else { skip!("no file on a disk") };
    assert_eq!(faults(&paged), Faults::OnFaultingThread);
    touch_at_random(&paged, 8, 1000);
    let stats = paged.stats();
    println!("seen: {stats:?}");
    assert!(stats.faults_here * 10 > stats.faults * 8, "{stats:?}");
    assert!(stats.pages_evicted > 1000, "{stats:?}");
}

#[test]
fn a_run_is_read_ahead_in_frames_as_ever() {
    let Some(file) = Named::new(Place::Disk, LEN) else { skip!("no file on a disk") };
    let Some(paged) = open(&options().memory_limit(32 << 20), &file.path()) else { return };
    check_all(&paged);
    let stats = paged.stats();
    println!("seen: {stats:?}");
    assert!(stats.frames_mapped > 20 && stats.faults < 1000, "{stats:?}");
}

/// A write of an untouched part is EFAULT, and both remedies work.
#[test]
fn a_system_call_on_a_page_that_is_not_there_is_efault() {
    let Some((file, paged)) = named() else { skip!("no file on a disk") };
    assert!(matches!(paged.mode(), PagedMode::Userfault { scope: FaultScope::UserMode, .. }));
    let copy = File::create(file.dir().join("copy")).unwrap();
    let at = 40 * MIB;
    let part = &paged[at..at + 3 * page()];
    let refused = copy.write_all_at(part, 0).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EFAULT), "{refused}");
    // By way of a buffer.
    let mut buffer = vec![0; part.len()];
    let mut filled = 0;
    while filled < buffer.len() {
        filled += paged.read_at(&mut buffer[filled..], (at + filled) as u64).unwrap();
    }
    Numbered::new().check(&[&vec![0; at][..], &buffer].concat(), at / page());
    copy.write_all_at(&buffer, 0).unwrap();
    // By a touch.
    common::touch_all(part);
    copy.write_all_at(part, part.len() as u64).unwrap();
    let written = std::fs::read(file.dir().join("copy")).unwrap();
    assert!(written[..part.len()] == written[part.len()..] && written[..part.len()] == buffer);
}

#[test]
fn where_it_cannot_be_the_service_serves_and_the_mode_says_so() {
    let Some(paged) = served(options().immutable_source(Made::new(LEN))) else { return };
    assert_eq!(faults(&paged), Faults::ServiceThread);
    touch_at_random(&paged, 2, 100);
    let Some(file) = Named::new(Place::Disk, LEN) else { skip!("no file on a disk") };
    let Some(paged) = open(&options().frame_size(FrameSize::Small(65536)), &file.path()) else {
        return;
    };
    assert_eq!(faults(&paged), Faults::ServiceThread);
    touch_at_random(&paged, 2, 100);
    assert_eq!(paged.stats().faults_here, 0);
    let Some(paged) = open(&PagedOptions::new(), &file.path()) else { return };
    assert_eq!(faults(&paged), Faults::ServiceThread, "by default");
}

/// The table of the handler has 256 places, which are given back.
#[test]
fn the_two_hundred_and_fifty_seventh_is_served_by_its_thread() {
    if role().is_none() {
        return in_child("many");
    }
    let Some(file) = Named::new(Place::Disk, LEN) else { skip!("no file on a disk") };
    for _ in 0..2 {
        let open_one = |_| open(&options(), &file.path());
        let Some(all) = (0..257).map(open_one).collect::<Option<Vec<_>>>() else { return };
        let is_here = |paged: &Paged| faults(paged) == Faults::OnFaultingThread;
        assert_eq!(all.iter().filter(|paged| is_here(paged)).count(), 256);
        all.iter().step_by(32).for_each(|paged| touch_at_random(paged, 1, 20));
    }
}

/// One of the file's pages is cut off, which the thread notices and leaves to the service.
fn truncated(options: &PagedOptions) -> Option<(Named, Paged)> {
    let file = Named::new(Place::Disk, LEN)?;
    // SAFETY: the file is cut, which is documented; the rest of it does not change.
    let paged = served(unsafe { options.open_assume_immutable(file.path()) })?;
    touch_at_random(&paged, 4, 50);
    File::options().write(true).open(file.path()).unwrap().set_len(32 * MIB as u64).unwrap();
    Some((file, paged))
}

#[test]
fn pages_that_cannot_be_read_are_zeros_and_stay_zeros() {
    let options = options().on_io_error(OnIoError::Zero);
    let Some(file) = Named::new(Place::Disk, LEN) else { skip!("no file on a disk") };
    // SAFETY: the file is cut and made longer again, which is documented as an error of the page.
    let opened = unsafe { options.open_assume_immutable(file.path()) };
    let Some(paged) = served(opened) else { return };
    let writer = File::options().write(true).open(file.path()).unwrap();
    writer.set_len(32 * MIB as u64).unwrap();
    let first = 32 * MIB / page();
    let is_zero =
        |index: usize| paged[index * page()..(index + 1) * page()].iter().all(|&byte| byte == 0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || (0..100).for_each(|at| assert!(is_zero(first + at * 16 + thread))));
        }
    });
    let error = paged.error().expect("a page could not be read");
    assert!(
        error.offset >= 32 * MIB as u64 && error.error.kind() == std::io::ErrorKind::UnexpectedEof
    );
    // It can be read again: with other bytes.
    writer.write_all_at(&vec![0xee; 16 * MIB], 32 * MIB as u64).unwrap();
    for _ in 0..2 {
        let mut random = Random::new(7);
        (0..200).for_each(|_| assert!(is_zero(first + random.below(100) * 16)));
        // As a run, in frames, and everything else, so that all of it is thrown away.
        common::touch_all(&paged[32 * MIB..48 * MIB]);
        (0..first).for_each(|index| Numbered::new().check(&paged, index));
    }
}

#[test]
fn a_page_that_cannot_be_read_ends_the_process_by_sigbus() {
    if role().is_none() {
        let child = child_output("dies");
        let (out, err) =
            (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
        if out.contains("SKIPPED") {
            return println!("{out}");
        }
        assert_eq!(child.status.signal(), Some(libc::SIGBUS), "{}\n{out}\n{err}", child.status);
        let lines = err.lines().filter(|line| line.contains("mmap-ahead: cannot read"));
        assert!((1..=4).contains(&lines.count()), "{err}");
        assert!(out.contains("before") && !out.contains("after"), "{out}");
        return;
    }
    let Some((file, paged)) = truncated(&options()) else { skip!("no file on a disk") };
    drop(file);
    println!("before");
    std::thread::scope(|scope| {
        (0..4).for_each(|_| {
            scope.spawn(|| std::hint::black_box(paged[48 * MIB]));
        });
    });
    println!("after");
}

/// While a writer waits for the lease, pages that were never seen are the service's affair.
#[test]
fn after_a_break_of_the_lease_no_thread_serves_itself() {
    if role().is_none() {
        return in_child("break");
    }
    let Some((file, paged)) = named() else { skip!("no file on a disk") };
    let PagedMode::Userfault { immutability: Immutability::Lease, .. } = paged.mode() else {
        skip!("no lease here")
    };
    touch_at_random(&paged, 4, 50);
    let writer = File::options().write(true).custom_flags(libc::O_NONBLOCK).open(file.path());
    assert_eq!(writer.unwrap_err().raw_os_error(), Some(libc::EWOULDBLOCK));
    let before = paged.stats();
    assert!(before.faults_here > 0, "{before:?}");
    let unseen = (0..LEN / page())
        .step_by(100)
        .filter(|&index| !paged.is_resident(index * page()..(index + 1) * page()));
    unseen.take(20).for_each(|index| {
        // Also one that was seen and thrown away: that would end the process, as it may.
        Numbered::new().check(&paged, index);
    });
    let after = paged.stats();
    assert!(after.faults > before.faults && after.faults_here == before.faults_here, "{after:?}");
}

#[test]
fn a_child_that_touches_it_dies_by_sigsegv_and_the_parent_reads_on() {
    if role().is_none() {
        return in_child("fork");
    }
    let Some((_file, paged)) = named() else { skip!("no file on a disk") };
    std::thread::scope(|scope| {
        scope.spawn(|| touch_at_random(&paged, 4, 500));
        for at in [0, LEN / 2, LEN - 1] {
            let pid = fork(|| std::hint::black_box(paged[at]) < 255);
            assert_eq!(wait_for(pid).signal(), Some(libc::SIGSEGV), "byte {at}");
        }
    });
    let mut paged = Some(paged);
    let pid = fork(|| {
        drop(paged.take());
        true
    });
    assert_eq!(wait_for(pid).code(), Some(0), "it may drop it");
    let paged = paged.unwrap();
    touch_at_random(&paged, 4, 100);
    check_all(&paged);
}

/// The program's own bad memory: a memfd that is too short, which its handler makes longer.
static BUSES: AtomicUsize = AtomicUsize::new(0);
static SHORT: AtomicI32 = AtomicI32::new(-1);

extern "C" fn on_bus(_: i32) {
    BUSES.fetch_add(1, Ordering::SeqCst);
    // SAFETY: it takes a descriptor and a number.
    unsafe { libc::ftruncate(SHORT.load(Ordering::SeqCst), page() as libc::off_t) };
}

#[test]
fn the_programs_own_sigbus_reaches_its_own_handler() {
    if role().is_none() {
        return in_child("own");
    }
    // SAFETY: all-zero bytes are a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_bus as *const () as usize;
    // SAFETY: the handler obeys the rules of signal handlers.
    let result = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) };
    assert_eq!(result, 0);
    let Some((_file, paged)) = named() else { skip!("no file on a disk") };
    std::thread::scope(|scope| {
        scope.spawn(|| touch_at_random(&paged, 4, 300));
        for round in 1..=20 {
            // SAFETY: the name is a C string.
            let short = unsafe { libc::memfd_create(c"short".as_ptr(), libc::MFD_CLOEXEC) };
            // SAFETY: the descriptor is new.
            let short = unsafe { File::from_raw_fd(short) };
            SHORT.store(short.as_raw_fd(), Ordering::SeqCst);
            let map = memmap2::MmapOptions::new().len(page()).map_raw_read_only(&short).unwrap();
            // SAFETY: the handler makes the file longer.
            assert_eq!(unsafe { map.as_ptr().read_volatile() }, 0);
            assert_eq!(BUSES.load(Ordering::SeqCst), round);
        }
    });
    assert!(paged.stats().faults_here > 0);
}

/// Beyond the last page of the file there is nothing to serve.
#[test]
fn a_touch_beyond_the_file_is_not_ours() {
    if role().is_none() {
        let child = child_output("beyond");
        let out = String::from_utf8_lossy(&child.stdout);
        if !out.contains("SKIPPED") {
            assert_eq!(child.status.signal(), Some(libc::SIGBUS), "{}: {out}", child.status);
        }
        return;
    }
    let Some((_file, paged)) = named() else { skip!("no file on a disk") };
    std::hint::black_box(paged[LEN - 1]);
    let beyond = paged.as_ptr().wrapping_add(LEN.next_multiple_of(page()));
    // SAFETY: none: the read is the mistake that is tested, of memory that this process reserved.
    std::hint::black_box(unsafe { beyond.read_volatile() });
}
