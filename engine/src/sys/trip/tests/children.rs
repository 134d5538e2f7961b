//! Tests that need a process of their own: this test binary again, with one test and a variable.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use super::*;
use crate::sys::Bell;

const ROLE: &str = "MMAP_AHEAD_TRIP_ROLE";

/// In the parent: runs the calling test again in a child that has `role`, and answers how it ended.
pub(super) fn child(test: &str, role: &str) -> Output {
    let path = format!("sys::trip::tests::{test}");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([&path, "--exact", "--nocapture", "--test-threads=1"]).env(ROLE, role);
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("running 1 test"), "{path} is not a test");
    output
}

/// In the child: its role. `None` in the parent.
pub(super) fn role() -> Option<String> {
    let role = std::env::var(ROLE).ok()?;
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is readable. No core files, please; and no endless loops.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) };
    // SAFETY: no precondition.
    unsafe { libc::alarm(10) };
    Some(role)
}

pub(super) fn exit(status: i32) -> ! {
    // SAFETY: ends the process at once and has no precondition.
    unsafe { libc::_exit(status) }
}

/// How the children of `test` end, one for each role.
pub(super) fn signals<const N: usize>(test: &str, roles: [&str; N]) -> [Option<i32>; N] {
    roles.map(|role| {
        let output = child(test, role);
        println!("{role}: {:?}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
        output.status.signal().or(output.status.code().map(|code| -code))
    })
}

/// What `signals` answers for a child that exits with 0.
pub(super) const LIVES: Option<i32> = Some(0);
pub(super) const SEGV: Option<i32> = Some(libc::SIGSEGV);

#[test]
fn a_store_kills_as_without_a_guard() {
    const TEST: &str = "children::a_store_kills_as_without_a_guard";
    if let Some(role) = role() {
        let map = match role.as_str() {
            "plain" => Map::plain(MIB, 0..1),
            _ => Map::closed(MIB, 0..1),
        };
        if role == "open" {
            map.page(0);
        }
        map.store(0);
        exit(0);
    }
    assert_eq!(signals(TEST, ["plain", "closed", "open"]), [SEGV; 3]);
}

#[test]
fn a_thread_that_blocks_the_signal_dies_at_a_trip() {
    const TEST: &str = "children::a_thread_that_blocks_the_signal_dies_at_a_trip";
    if let Some(role) = role() {
        let map = Map::closed(MIB, 0..1);
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: `set` is writable.
        unsafe { libc::sigemptyset(set.as_mut_ptr()) };
        if role == "blocked" {
            // SAFETY: initialised above.
            unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGSEGV) };
        }
        // SAFETY: `set` is initialised.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, set.as_ptr(), ptr::null_mut()) };
        exit(if map.page(0) == 0 { 0 } else { 1 });
    }
    assert_eq!(signals(TEST, ["blocked", "free"]), [SEGV, LIVES]);
}

#[test]
fn a_window_that_its_owner_closed_kills_instead_of_looping() {
    const TEST: &str = "children::a_window_that_its_owner_closed_kills_instead_of_looping";
    if role().is_some() {
        let map = Map::closed(MIB, 0..256);
        map.page(0);
        map.protect(libc::PROT_NONE);
        map.page(0);
        exit(0);
    }
    assert_eq!(signals(TEST, ["child"]), [SEGV]);
}

#[test]
fn out_of_vmas_everything_opens_at_once_and_errno_stays() {
    const TEST: &str = "children::out_of_vmas_everything_opens_at_once_and_errno_stays";
    if role().is_some() {
        let map = Map::closed(64 * MIB, [0, 5000, 10_000]);
        map.page(0);
        let filler = Map::plain(80_000 * page_size().bytes() as usize, []);
        let page = page_size().bytes() as usize;
        let refused = (0..40_000).find(|index| {
            let addr = filler.addr.wrapping_add(2 * index * page).cast_mut().cast();
            // SAFETY: a page of `filler`, which nobody reads.
            unsafe { libc::mprotect(addr, page, libc::PROT_NONE) != 0 }
        });
        assert!(refused.is_some(), "vm.max_map_count is larger than this test thinks");
        assert_eq!(map.slot().counts().open_windows, 1);
        // SAFETY: this thread's own errno.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: as above. The refused mprotect of the handler would leave ENOMEM here.
        unsafe { *errno = 4321 };
        let seen = map.page(5000);
        // SAFETY: as above.
        assert_eq!((seen, unsafe { *errno }), (5000, 4321));
        assert_eq!(map.slot().counts().open_windows as usize, map.slot().windows());
        assert_eq!(map.slot().counts().trips, 2);
        assert_eq!(map.page(10_000), 10_000);
        assert_eq!(map.slot().counts().trips, 2);
        exit(0);
    }
    assert_eq!(signals(TEST, ["child"]), [LIVES]);
}

#[test]
fn a_full_table_and_a_spent_budget_are_refused_or_coarse() {
    const TEST: &str = "children::a_full_table_and_a_spent_budget_are_refused_or_coarse";
    if role().is_some() {
        install().unwrap();
        let closed = || {
            let mut map = Map::plain(64 * MIB, 0..1);
            // SAFETY: as in `Map::closed`.
            let slot = unsafe { TripSlot::close(map.addr, map.len, 0, libc::PROT_READ) };
            slot.map(|slot| map.slot = Some(slot)).map(|()| map)
        };
        let maps: Vec<_> = (0..256).map(|_| closed().unwrap()).collect();
        assert_eq!(closed().err().unwrap().kind(), io::ErrorKind::OutOfMemory);
        let windows: usize = maps.iter().map(|map| map.slot().windows()).sum();
        assert!((WINDOWS_BUDGET / 2..=WINDOWS_BUDGET + 256).contains(&windows), "{windows}");
        assert!(maps.iter().all(|map| map.page(0) == 0));
        drop(maps);
        let map = closed().unwrap();
        assert_eq!((map.slot().windows(), map.page(0)), (1024, 0));
        exit(0);
    }
    assert_eq!(signals(TEST, ["child"]), [LIVES]);
}

#[test]
fn a_forked_child_reads_on_without_telling_anybody() {
    const TEST: &str = "children::a_forked_child_reads_on_without_telling_anybody";
    static BELL: Bell = Bell::new();
    if role().is_some() {
        let map = Map::closed(MIB, 0..256);
        set_bell(&BELL);
        let ticket = BELL.listen();
        map.page(0);
        assert!(BELL.wait(ticket, None));
        let others = Map::closed(MIB, 0..256);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // Somebody holds a slot at most times that a fork may come.
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    others.slot().open_all().unwrap();
                }
            });
            let statuses = [(); 20].map(|()| {
                // SAFETY: the child calls only async-signal-safe functions before it exits.
                let child = unsafe { libc::fork() };
                if child == 0 {
                    // SAFETY: no precondition. An alarm is not inherited.
                    unsafe { libc::alarm(5) };
                    exit(read_in_child(&map, &others, &BELL));
                }
                let mut status = -1;
                // SAFETY: `status` is writable.
                unsafe { libc::waitpid(child, &raw mut status, 0) };
                status
            });
            done.store(true, Ordering::SeqCst);
            assert_eq!(statuses, [0; 20]);
        });
        // The child's openings are its own.
        assert_eq!(map.slot().counts().open_windows, 1);
        assert_eq!(map.page(200), 200);
        assert_eq!(drained(map.slot()), [0, 200 / pages_in(64 * KIB)]);
        exit(0);
    }
    assert_eq!(signals(TEST, ["child"]), [LIVES]);
}

/// 0, or the number of what is wrong. Allocates nothing: other threads existed at the fork.
fn read_in_child(map: &Map, others: &Map, bell: &Bell) -> i32 {
    let ticket = bell.listen();
    for page in 0..256 {
        if map.page(page) != page {
            return 1;
        }
    }
    let counts = map.slot().counts();
    if (counts.trips, counts.handled, counts.dropped) != (16, 1, 15) {
        return 2;
    }
    if bell.listen() != ticket {
        return 3;
    }
    let mut told = 0;
    map.slot().drain(|_| told += 1);
    if told != 1 {
        return 4;
    }
    // A holder that was not forked must not be waited for.
    others.slot().retire();
    0
}

#[test]
fn the_report_of_a_stack_overflow_still_comes() {
    const TEST: &str = "children::the_report_of_a_stack_overflow_still_comes";
    #[allow(unconditional_recursion, reason = "it is what is tested")]
    fn deeper(depth: usize) -> usize {
        std::hint::black_box(deeper(std::hint::black_box(depth + 1))) + 1
    }
    if role().is_some() {
        let map = Map::closed(MIB, 0..1);
        assert_eq!(map.page(0), 0);
        std::thread::spawn(|| deeper(0)).join().unwrap();
        exit(0);
    }
    let output = child(TEST, "child");
    assert_eq!(output.status.signal(), Some(libc::SIGABRT));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("has overflowed its stack"), "{stderr}");
}
