//! Programs that have signal handlers of their own, with both of our guards and the tracker of stores in
//! front of them: their SIGSEGV and SIGBUS, their alternate stacks, Rust's report of a stack overflow, and
//! plain deaths are what they were.
//!
//! It fails when a guard answers for memory that is not its own, or does not hand on, or hands on on
//! another stack or to the wrong handler.

#![cfg(target_os = "linux")]

mod common;

use std::fs::File;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd};
use std::panic::catch_unwind;
use std::process::ExitStatus;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::thread;

use common::{MIB, Place, in_child, page, role};
use mmap_ahead::{Mechanism, Mmap, MmapMut, MmapOptions, Mode};

/// What the program's own handlers did.
static SEGVS: AtomicUsize = AtomicUsize::new(0);
static BUSES: AtomicUsize = AtomicUsize::new(0);
/// The program's own memory, which its handlers mend: a page without access, and a memfd that is too
/// short.
static CLOSED: AtomicUsize = AtomicUsize::new(0);
static SHORT: AtomicI32 = AtomicI32::new(-1);
/// An address on the stack of the last handler.
static STACK: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_segv(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let local = 0;
    STACK.store((&raw const local).addr(), Ordering::SeqCst);
    // SAFETY: the kernel's information of this signal.
    let info = unsafe { &*info };
    // SAFETY: a fault has an address.
    let addr = unsafe { info.si_addr() }.addr();
    let closed = CLOSED.load(Ordering::SeqCst);
    if addr != closed {
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(3) };
    }
    SEGVS.fetch_add(1, Ordering::SeqCst);
    // SAFETY: a page of this program's own, see `closed_page`.
    unsafe { libc::mprotect(ptr::without_provenance_mut(closed), page(), libc::PROT_READ) };
}

extern "C" fn on_bus(_: i32) {
    let local = 0;
    STACK.store((&raw const local).addr(), Ordering::SeqCst);
    BUSES.fetch_add(1, Ordering::SeqCst);
    // SAFETY: it takes a descriptor and a number.
    unsafe { libc::ftruncate(SHORT.load(Ordering::SeqCst), page() as libc::off_t) };
}

fn act(signal: i32, handler: usize, flags: i32) {
    // SAFETY: all-zero bytes are a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the handlers here obey the rules of signal handlers.
    assert_eq!(unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) }, 0);
}

fn own_handlers(flags: i32) {
    act(libc::SIGSEGV, on_segv as *const () as usize, libc::SA_SIGINFO | flags);
    act(libc::SIGBUS, on_bus as *const () as usize, flags);
}

/// Makes the program's own bad memory, touches it, and leaves its handlers to mend it.
fn own_faults() {
    let (segvs, buses) = (SEGVS.load(Ordering::SeqCst), BUSES.load(Ordering::SeqCst));
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address of the kernel's choice disturbs nothing.
    let closed = unsafe { libc::mmap(ptr::null_mut(), page(), libc::PROT_NONE, flags, -1, 0) };
    assert_ne!(closed, libc::MAP_FAILED);
    CLOSED.store(closed.addr(), Ordering::SeqCst);
    // SAFETY: the handler makes the page readable.
    assert_eq!(unsafe { closed.cast::<u8>().read_volatile() }, 0);
    // SAFETY: the name is a C string.
    let short = unsafe { libc::memfd_create(c"short".as_ptr(), libc::MFD_CLOEXEC) };
    // SAFETY: the descriptor is new.
    let short = unsafe { File::from_raw_fd(short) };
    SHORT.store(short.as_raw_fd(), Ordering::SeqCst);
    let map = memmap2::MmapOptions::new().len(page()).map_raw_read_only(&short).unwrap();
    // SAFETY: the handler makes the file longer.
    assert_eq!(unsafe { map.as_ptr().read_volatile() }, 0);
    let seen = (SEGVS.load(Ordering::SeqCst), BUSES.load(Ordering::SeqCst));
    assert_eq!(seen, (segvs + 1, buses + 1), "its own faults reached its own handlers");
}

/// A mapping with both guards, whose second half has vanished.
fn half_there() -> Mmap {
    let file = Place::Tmpfs.numbered(8 * MIB).expect("/dev/shm is no tmpfs");
    // SAFETY: the file is cut, and the test knows it.
    let map = unsafe { MmapOptions::new().mode(Mode::Guard).guard_sigbus().map(&file) }.unwrap();
    file.set_len(4 * MIB as u64).unwrap();
    map
}

/// Trips and vanished pages, in both of the halves.
fn guards_work(map: &Mmap) {
    for index in 0..map.len() / page() {
        let number = u64::from_ne_bytes(*map[index * page()..].first_chunk().unwrap());
        assert_eq!(number, if index < 4 * MIB / page() { index as u64 } else { 0 });
    }
    assert!(map.error().is_some());
    stores_are_told();
}

/// The third that answers SIGSEGV: pages that were closed to stores so that the first one is noticed.
fn stores_are_told() {
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return;
    }
    let mut map = MmapMut::map_anon(64 * page()).unwrap();
    let tracker = map.track_stores_by(Mechanism::Signal).unwrap();
    let at = 3 * page();
    map[at] = 1;
    let stored = tracker.take().unwrap();
    assert!(stored.ranges().iter().any(|range| range.contains(&at)), "{stored:?}");
    assert!(tracker.take().unwrap().is_empty());
    assert_eq!(map[at], 1);
}

#[test]
fn its_own_handlers_mend_its_own_faults() {
    if role().is_none() {
        return in_child("handlers");
    }
    own_handlers(0);
    own_faults();
    let map = half_there();
    own_faults();
    guards_work(&map);
    own_faults();
    // Both at a time, in many threads.
    let maps: Vec<Mmap> = (0..4).map(|_| half_there()).collect();
    thread::scope(|scope| {
        for map in &maps {
            scope.spawn(|| guards_work(map));
        }
        (0..50).for_each(|_| own_faults());
    });
    let trips: u64 = maps.iter().map(|map| map.stats().trips).sum();
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        assert!(trips > 0, "the SIGSEGV guard is in front, too");
    }
    drop((map, maps));
    own_faults();
}

#[test]
fn its_alternate_stack_is_used_when_it_asked_for_it() {
    if role().is_none() {
        return in_child("alternate stack");
    }
    own_handlers(libc::SA_ONSTACK);
    let map = half_there();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut memory = vec![MaybeUninit::<u8>::uninit(); 256 << 10];
            let range = memory.as_ptr_range();
            let stack = libc::stack_t {
                ss_sp: memory.as_mut_ptr().cast(),
                ss_flags: 0,
                ss_size: memory.len(),
            };
            let mut before = MaybeUninit::<libc::stack_t>::uninit();
            // SAFETY: the memory outlives its use as a stack, which ends below.
            unsafe { libc::sigaltstack(&raw const stack, before.as_mut_ptr()) };
            own_faults();
            let used = STACK.load(Ordering::SeqCst);
            assert!((range.start.addr()..range.end.addr()).contains(&used));
            guards_work(&map);
            own_faults();
            // SAFETY: the call above filled it in: Rust's own stack for this thread.
            unsafe { libc::sigaltstack(before.as_ptr(), ptr::null_mut()) };
        });
    });
}

/// The child's end must be `expected`; answers what it printed.
#[track_caller]
fn dies(role: &str, signal: i32) -> String {
    use std::os::unix::process::ExitStatusExt;
    let died = catch_unwind(|| in_child(role)).expect_err("it lived");
    let text = died.downcast_ref::<String>().unwrap().clone();
    let how = ExitStatus::from_raw(signal).to_string();
    assert!(text.starts_with(&format!("{role}: {how}")), "{text}");
    text
}

#[test]
fn the_report_of_a_stack_overflow_still_comes() {
    #[allow(unconditional_recursion, reason = "it is what is tested")]
    fn deeper(depth: usize) -> usize {
        std::hint::black_box(deeper(std::hint::black_box(depth + 1))) + 1
    }
    if role().is_some() {
        let map = half_there();
        guards_work(&map);
        thread::scope(|scope| {
            // Others go on meanwhile, with mappings of their own.
            for _ in 0..3 {
                scope.spawn(|| {
                    loop {
                        guards_work(&half_there());
                    }
                });
            }
            thread::Builder::new().name("deep".into()).spawn_scoped(scope, || deeper(0)).unwrap();
        });
        return;
    }
    let text = dies("overflow", libc::SIGABRT);
    assert!(text.contains("thread 'deep'") && text.contains("has overflowed its stack"), "{text}");
}

#[test]
fn what_is_nobodys_kills_as_before() {
    if let Some(role) = role() {
        if role.starts_with("sent") {
            // Rust's own handler lets the first one that is sent pass, guard or no guard.
            let action = if role.ends_with("ignored") { libc::SIG_IGN } else { libc::SIG_DFL };
            act(libc::SIGBUS, action, 0);
        }
        let map = half_there();
        guards_work(&map);
        match role.as_str() {
            "another mapping" => {
                let file = Place::Tmpfs.sparse(page()).unwrap();
                let raw =
                    memmap2::MmapOptions::new().len(2 * page()).map_raw_read_only(&file).unwrap();
                // SAFETY: none: the fault is what is tested.
                unsafe { raw.as_ptr().wrapping_add(page()).read_volatile() };
            }
            "after its end" => {
                // Its addresses are another mapping's now, which nobody guards.
                let (addr, len) = (map.as_ptr().addr(), map.len());
                drop(map);
                let file = Place::Tmpfs.sparse(page()).unwrap();
                let flags = libc::MAP_SHARED | libc::MAP_FIXED_NOREPLACE;
                let addr = ptr::without_provenance_mut(addr);
                let fd = file.as_raw_fd();
                // SAFETY: nothing is replaced.
                let again = unsafe { libc::mmap(addr, len, libc::PROT_READ, flags, fd, 0) };
                assert_eq!(again, addr);
                // SAFETY: none: the fault is what is tested.
                unsafe { again.cast::<u8>().wrapping_add(page()).read_volatile() };
            }
            "sent" | "sent and ignored" => {
                // SAFETY: no precondition.
                unsafe { libc::raise(libc::SIGBUS) };
            }
            "blocked" => {
                let mut set = MaybeUninit::<libc::sigset_t>::uninit();
                // SAFETY: `set` is writable.
                unsafe { libc::sigfillset(set.as_mut_ptr()) };
                let old = ptr::null_mut();
                // SAFETY: filled in above.
                unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), old) };
                let other = half_there();
                std::hint::black_box(other[7 * MIB]);
            }
            _ => unreachable!(),
        }
        return;
    }
    for role in ["another mapping", "after its end", "sent"] {
        dies(role, libc::SIGBUS);
    }
    in_child("sent and ignored");
    // The closed window comes first: the thread dies at the trip.
    dies("blocked", libc::SIGSEGV);
}

/// Who puts a handler over the guard's is told so at the next mapping, and not by a crash.
#[test]
fn a_handler_put_over_the_guards_is_noticed() {
    if role().is_none() {
        return in_child("put over");
    }
    let file = Place::Tmpfs.numbered(page()).expect("/dev/shm is no tmpfs");
    // SAFETY: nobody changes the file.
    let map = || unsafe { MmapOptions::new().guard_sigbus().map(&file) };
    assert_eq!(map().unwrap()[8], 8);
    act(libc::SIGBUS, on_bus as *const () as usize, 0);
    assert_eq!(map().unwrap_err().kind(), std::io::ErrorKind::Unsupported);
    // SAFETY: nobody changes the file.
    let plain = unsafe { Mmap::map(&file) }.unwrap();
    let error = plain.guarded(|bytes| bytes[8]).unwrap_err().to_string();
    assert!(error.contains("another handler was put in the place"), "{error}");
    assert_eq!(plain.try_slice(8..9).unwrap(), [8]);
}

/// Under the guard at a time: 4,096 mappings; each place is given back.
#[test]
fn the_table_is_full_aloud_and_places_come_back() {
    if role().is_none() {
        return in_child("table");
    }
    let file = Place::Tmpfs.numbered(page()).expect("/dev/shm is no tmpfs");
    // SAFETY: nobody changes the file before the end.
    let map = || unsafe { MmapOptions::new().guard_sigbus().map(&file) };
    let mut maps: Vec<Mmap> = (0..4096).map(|_| map().unwrap()).collect();
    assert_eq!(map().unwrap_err().kind(), std::io::ErrorKind::OutOfMemory);
    maps.swap_remove(17);
    maps.push(map().unwrap());
    assert_eq!(map().unwrap_err().kind(), std::io::ErrorKind::OutOfMemory);
    file.set_len(0).unwrap();
    assert!(maps.iter().all(|map| map[8] == 0 && map.error().is_some()));
}
