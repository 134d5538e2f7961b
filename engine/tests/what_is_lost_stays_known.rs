//! What is known of vanished bytes is right to the byte, is not forgotten when the mapping changes, and
//! is never taken for "nothing is wrong" because nobody could look.
//!
//! It fails when a change of the mapping forgets a cut, when the bytes before a bad page are not asked
//! after, when a list of open files that is full or a system call that is forbidden is taken for an
//! answer, and when a signal that somebody sent replaces a page.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::cut::{Named, guarded, is_vanished, past};
use common::refused::refuse;
use common::{Place, descriptors, in_child, limit_descriptors, page, role, skip};
use mmap_ahead::{Error, Loss, Mmap, MmapOptions, Mode, RemapOptions};

fn loss(map: &Mmap) -> Result<(), Error> {
    map.error().map_or(Ok(()), Err)
}

#[test]
fn a_change_of_the_mapping_forgets_no_cut() {
    let named = Named::new(Place::Tmpfs, 4 * page());
    // It reaches beyond the end on purpose; only what was there once is missed.
    let mut map = named.map(MmapOptions::new().len(6 * page()));
    assert!(map.error().is_none());
    named.cut(2 * page() + 9);
    let at = 2 * page() + 9;
    is_vanished(loss(&map), &named.path, at, past(at));
    map = map.make_mut().unwrap().make_read_only().unwrap();
    is_vanished(loss(&map), &named.path, at, past(at));
    for len in [8, 3] {
        // SAFETY: what lies beyond the end of the file is not touched.
        unsafe { map.remap(len * page(), RemapOptions::new().may_move(true)) }.unwrap();
        is_vanished(loss(&map), &named.path, at, past(at));
    }
    // What is not mapped any more is no loss, and does not come to be one again.
    for len in [2, 8] {
        // SAFETY: as above.
        unsafe { map.remap(len * page(), RemapOptions::new().may_move(true)) }.unwrap();
        assert!(map.error().is_none(), "{len}");
    }
}

#[test]
fn what_a_longer_mapping_reaches_counts_as_there() {
    let named = Named::new(Place::Tmpfs, 8 * page());
    let mut map = named.map(MmapOptions::new().len(2 * page()));
    // SAFETY: the file is so long.
    unsafe { map.remap(8 * page(), RemapOptions::new().may_move(true)) }.unwrap();
    named.cut(4 * page());
    is_vanished(loss(&map), &named.path, 4 * page(), past(4 * page()));
    // SAFETY: as above.
    unsafe { map.remap(4 * page(), RemapOptions::new().may_move(true)) }.unwrap();
    assert!(map.error().is_none());
}

/// One copy over the last page, which the kernel fills with zeros, and over pages that it refuses.
#[test]
fn the_first_missing_byte_lies_before_the_first_bad_page() {
    for place in Place::ALL {
        let end = page() + page() / 2;
        let named = Named::new(place, end);
        let map = named.map(MmapOptions::new().len(4 * page()));
        is_vanished(map.read_at(&mut vec![0; 2 * page()], page()), &named.path, end, past(end));
        is_vanished(map.try_slice(page()..), &named.path, end, past(end));
    }
}

#[test]
fn every_page_that_was_replaced_is_told_in_whatever_order() {
    if role().is_none() {
        return in_child("replaced");
    }
    let named = Named::new(Place::Tmpfs, 8 * page());
    // Bytes of the slice are not bytes of the page.
    let map = named.map(guarded().offset(5));
    let at = |index: usize| index * page() - 5;
    let read = |map: &Mmap, index| map.read_at(&mut [0; 2], at(index));
    named.cut(page());
    assert_eq!((map[at(6)], map[at(4)]), (0, 0));
    named.grow_again();
    for index in [4, 6] {
        is_vanished(read(&map, index), &named.path, index * page(), Loss::Replaced);
    }
    is_vanished(loss(&map), &named.path, 4 * page(), Loss::Replaced);
    assert_eq!(map.read_at(&mut [0; 9], at(7)).unwrap(), 9);
    // What was lost before a change of the mapping, and what after it.
    let map = map.make_mut().unwrap().make_read_only().unwrap();
    named.cut(page());
    assert_eq!(map[at(2)], 0);
    named.grow_again();
    for index in [2, 4, 6] {
        is_vanished(read(&map, index), &named.path, index * page(), Loss::Replaced);
    }
    assert_eq!(map.read_at(&mut [0; 9], at(7)).unwrap(), 9);
}

/// Without a descriptor /proc/self/maps cannot be read: that is an error, and nothing is concluded.
#[test]
fn who_cannot_look_says_so_and_looks_again() {
    if role().is_none() {
        return in_child("no descriptors");
    }
    let named = Named::new(Place::Tmpfs, 2 * page());
    let map = named.map(MmapOptions::new().mode(Mode::Off));
    let known_before = named.map(guarded().mode(Mode::Off));
    named.cut(page() + 1);
    let before = limit_descriptors(0);
    let answer = map.read_at(&mut [0; 4], page());
    let whole = map.read_at(&mut [0; 4], 0);
    let error = map.error();
    let looked = known_before.read_at(&mut [0; 4], page());
    limit_descriptors(before);
    for answer in [answer.map(|_| ()), whole.map(|_| ()), error.map_or(Ok(()), Err)] {
        let Err(Error::Syscall { call, source }) = answer else { panic!("{answer:?}") };
        assert_eq!(source.raw_os_error(), Some(libc::EMFILE), "{call}");
    }
    is_vanished(looked, &named.path, page() + 1, past(page() + 1));
    is_vanished(map.read_at(&mut [0; 4], page()), &named.path, page() + 1, past(page() + 1));
    assert_eq!(map.read_at(&mut [0; 4], 0).unwrap(), 4);
    assert!(descriptors() > 0);
}

#[test]
fn a_forbidden_copy_is_no_loss() {
    if role().is_none() {
        return in_child("forbidden");
    }
    let named = Named::new(Place::Tmpfs, 4 * page());
    let map = named.map(&MmapOptions::new());
    if !refuse(&[libc::SYS_process_vm_readv]) {
        skip!("no seccomp here");
    }
    let error = map.read_at(&mut [0; 4], 0).unwrap_err();
    assert!(matches!(error, Error::Syscall { call: "process_vm_readv", .. }), "{error}");
    assert_eq!(map.try_slice(..).unwrap()[3 * page()], 7);
    // Which page was refused cannot be asked then; the length of the file tells all the same.
    named.cut(2 * page());
    is_vanished(map.try_slice(page()..), &named.path, 2 * page(), past(2 * page()));
}

/// Its length says 0, and nothing of what is mapped.
#[test]
fn what_is_no_regular_file_has_no_end() {
    let zero = File::open("/dev/zero").unwrap();
    for options in [&mut MmapOptions::new(), MmapOptions::new().keep_file()] {
        // SAFETY: it is zeros for ever.
        let map = unsafe { options.len(2 * page()).map_copy_read_only(&zero) }.unwrap();
        assert_eq!(map.read_at(&mut [1; 9], page()).unwrap(), 9);
        assert!(map.error().is_none());
    }
}

static SENT: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    SENT.fetch_add(1, Ordering::SeqCst);
}

/// A signal that was sent carries whatever its sender likes where a fault carries the address.
#[test]
fn a_signal_that_somebody_sent_replaces_nothing() {
    if role().is_none() {
        return in_child("sent");
    }
    let handler = count as extern "C" fn(libc::c_int);
    // SAFETY: the handler touches an atomic only.
    unsafe { libc::signal(libc::SIGBUS, handler as libc::sighandler_t) };
    let named = Named::new(Place::Tmpfs, 2 * page());
    let map = named.map(&guarded());
    // struct siginfo: signal, errno, code, padding, then what is an address after a fault.
    let mut info = [0_u64; 16];
    info[0] = libc::SIGBUS as u64;
    info[1] = u64::from(libc::SI_QUEUE as u32);
    info[2] = map.as_ptr() as u64;
    let (call, this, signal) = (libc::SYS_rt_tgsigqueueinfo, std::process::id(), libc::SIGBUS);
    // SAFETY: no precondition.
    let thread = unsafe { libc::gettid() };
    // SAFETY: `info` is as long as the structure; a thread may send itself anything.
    let sent = unsafe { libc::syscall(call, this, thread, signal, info.as_ptr()) };
    assert_eq!(sent, 0, "{}", io::Error::last_os_error());
    assert_eq!((SENT.load(Ordering::SeqCst), map[0]), (1, 7));
    assert!(map.error().is_none());
}
