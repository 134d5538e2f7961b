//! Faults that are not the guard's reach whoever was there before it, in every shape.

use std::sync::atomic::AtomicI32;

use super::children::{LIVES, SEGV, exit, role, signals};
use super::*;

/// What the handlers below saw.
static CALLS: AtomicI32 = AtomicI32::new(0);
/// The page that the handlers mend.
static BAD: AtomicUsize = AtomicUsize::new(0);
static BAD_IS_RIGHT: AtomicBool = AtomicBool::new(false);

/// Sets a SIGSEGV action before the guard comes.
fn act(handler: usize, flags: i32) {
    // SAFETY: all-zero bytes are a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the mask is writable.
    unsafe { libc::sigaddset(&raw mut action.sa_mask, libc::SIGUSR1) };
    // SAFETY: the handlers here obey the rules of signal handlers.
    let result = unsafe { libc::sigaction(libc::SIGSEGV, &raw const action, ptr::null_mut()) };
    assert_eq!(result, 0);
}

/// Makes the bad page accessible, so that the fault ends.
fn mend() {
    CALLS.fetch_add(1, Ordering::SeqCst);
    let addr = BAD.load(Ordering::SeqCst) as *mut libc::c_void;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the page is one of `bad_page`, which nobody else uses.
    unsafe { libc::mprotect(addr, page_size().bytes() as usize, prot) };
}

extern "C" fn one_argument(signal: i32) {
    if signal == libc::SIGSEGV {
        mend();
    }
}

extern "C" fn three_arguments(_: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel's information of this signal.
    let addr = unsafe { &*info };
    // SAFETY: a fault has an address.
    let addr = unsafe { addr.si_addr() } as usize;
    BAD_IS_RIGHT.store(addr == BAD.load(Ordering::SeqCst), Ordering::SeqCst);
    mend();
}

/// Leaves in `CALLS` which of SIGSEGV (1), SIGUSR1 (2) and SIGUSR2 (4) were blocked.
extern "C" fn looks_at_mask(_: i32) {
    mend();
    let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `set` is writable.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), set.as_mut_ptr()) };
    let blocked = |signal| {
        // SAFETY: the call above filled it in.
        unsafe { libc::sigismember(set.as_ptr(), signal) }
    };
    let bits = blocked(libc::SIGSEGV) + 2 * blocked(libc::SIGUSR1) + 4 * blocked(libc::SIGUSR2);
    CALLS.store(bits, Ordering::SeqCst);
}

/// A page without access, known to the handlers.
fn bad_page() -> *mut u8 {
    let map = std::mem::ManuallyDrop::new(Map::plain(4096, 0..1));
    // Private, so that it can be made writable.
    let (prot, flags) =
        (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED);
    let (addr, len) = (map.addr.cast_mut().cast(), page_size().bytes() as usize);
    // SAFETY: it takes the place of a mapping made above that is never used.
    assert_eq!(unsafe { libc::mmap(addr, len, prot, flags, -1, 0) }, addr);
    BAD.store(addr.addr(), Ordering::SeqCst);
    addr.cast()
}

fn touch(place: *mut u8) {
    // SAFETY: none: the fault is what is tested. The handler makes the page accessible, or the
    // process ends.
    unsafe { ptr::write_volatile(place, 1) };
}

/// A guard over the action set before, seen to work; then a fault outside of it.
fn guard_then_fault() -> i32 {
    let map = Map::closed(MIB, 0..256);
    assert_eq!(map.page(100), 100);
    let bad = bad_page();
    touch(bad);
    assert_eq!(map.page(200), 200);
    assert_eq!(map.slot().counts().trips, 2);
    CALLS.load(Ordering::SeqCst)
}

fn send() {
    // SAFETY: no precondition.
    unsafe { libc::raise(libc::SIGSEGV) };
}

#[test]
fn the_default_and_ignored_die_by_the_same_signal() {
    const TEST: &str = "handing_on::the_default_and_ignored_die_by_the_same_signal";
    if let Some(role) = role() {
        act(if role.starts_with("ignored") { libc::SIG_IGN } else { libc::SIG_DFL }, 0);
        if role.ends_with("sent") {
            let _map = Map::closed(MIB, 0..256);
            send();
        } else {
            guard_then_fault();
        }
        exit(0);
    }
    // A SIGSEGV that somebody sends can be ignored, a fault cannot.
    let ends = signals(TEST, ["default", "ignored", "default sent", "ignored sent"]);
    assert_eq!(ends, [SEGV, SEGV, SEGV, LIVES]);
}

/// It is not for the guard to open the window first: whoever handles it finds it closed.
#[test]
fn a_store_to_a_closed_page_is_handed_on_before_anything_is_opened() {
    const TEST: &str =
        "handing_on::a_store_to_a_closed_page_is_handed_on_before_anything_is_opened";
    if role().is_some() {
        act(three_arguments as *const () as usize, libc::SA_SIGINFO);
        let map = Map::closed(MIB, 0..256);
        BAD.store(map.addr.addr(), Ordering::SeqCst);
        map.store(0);
        assert_eq!((CALLS.load(Ordering::SeqCst), map.page(0)), (1, 1));
        assert!(BAD_IS_RIGHT.load(Ordering::SeqCst));
        assert_eq!(map.slot().counts(), TripCounts::default());
        exit(0);
    }
    assert_eq!(signals(TEST, ["child"]), [LIVES]);
}

#[test]
fn a_retired_slot_answers_nothing() {
    const TEST: &str = "handing_on::a_retired_slot_answers_nothing";
    if role().is_some() {
        act(three_arguments as *const () as usize, libc::SA_SIGINFO);
        let map = Map::closed(MIB, 0..256);
        BAD.store(map.addr.addr(), Ordering::SeqCst);
        map.slot().retire();
        assert_eq!((map.page(0), CALLS.load(Ordering::SeqCst)), (0, 1));
        assert_eq!(map.slot().counts(), TripCounts::default());
        exit(0);
    }
    assert_eq!(signals(TEST, ["child"]), [LIVES]);
}

#[test]
fn handlers_of_one_and_of_three_arguments_are_called() {
    const TEST: &str = "handing_on::handlers_of_one_and_of_three_arguments_are_called";
    if let Some(role) = role() {
        if role == "one" {
            act(one_argument as *const () as usize, 0);
        } else {
            act(three_arguments as *const () as usize, libc::SA_SIGINFO);
        }
        assert_eq!(guard_then_fault(), 1);
        assert_eq!(BAD_IS_RIGHT.load(Ordering::SeqCst), role == "three");
        // Once more: it is still there.
        touch(bad_page());
        assert_eq!(CALLS.load(Ordering::SeqCst), 2);
        exit(0);
    }
    assert_eq!(signals(TEST, ["one", "three"]), [LIVES; 2]);
}

#[test]
fn the_previous_handler_gets_the_mask_it_asked_for() {
    const TEST: &str = "handing_on::the_previous_handler_gets_the_mask_it_asked_for";
    if let Some(role) = role() {
        let flags = if role == "nodefer" { libc::SA_NODEFER } else { 0 };
        act(looks_at_mask as *const () as usize, flags);
        exit(guard_then_fault());
    }
    // Negative: exit statuses. SIGUSR1 is in its mask, SIGUSR2 in nobody's but the guard's.
    assert_eq!(signals(TEST, ["defer", "nodefer"]), [Some(-3), Some(-2)]);
}

#[test]
fn a_handler_for_one_use_is_used_once() {
    const TEST: &str = "handing_on::a_handler_for_one_use_is_used_once";
    if let Some(role) = role() {
        act(one_argument as *const () as usize, libc::SA_RESETHAND);
        assert_eq!(guard_then_fault(), 1);
        if role == "twice" {
            touch(bad_page());
        }
        exit(0);
    }
    assert_eq!(signals(TEST, ["once", "twice"]), [LIVES, SEGV]);
}

#[test]
fn a_handler_put_over_the_guard_is_noticed() {
    const TEST: &str = "handing_on::a_handler_put_over_the_guard_is_noticed";
    if role().is_some() {
        assert!(!handler::is_installed());
        let map = Map::plain(MIB, 0..1);
        // SAFETY: refused before anything is done to the range.
        let early = unsafe { TripSlot::close(map.addr, MIB, 0, libc::PROT_READ) };
        assert_eq!(early.unwrap_err().kind(), io::ErrorKind::Unsupported);
        install().unwrap();
        install().unwrap();
        act(one_argument as *const () as usize, 0);
        assert_eq!(install().unwrap_err().kind(), io::ErrorKind::Unsupported);
        exit(0);
    }
    assert_eq!(signals(TEST, ["child"]), [LIVES]);
}
