//! Each row of the table at `MmapOptions`, one by one: the kernel's own view of the mapping
//! (/proc/self/smaps), and each combination that is refused.
//!
//! It fails when a flag does not reach the kernel, when one that was asked for is quietly left out, and
//! when a mapping takes the place of another.

#![cfg(target_os = "linux")]

mod common;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::time::Duration;

use common::{KIB, MIB, Numbered, Place, in_child, mapped_bytes, page, role, skip};
use mmap_ahead::{MmapAt, MmapMut, MmapOptions, Mode, PrefetchState};

const LEN: usize = 64 * KIB;

fn file() -> File {
    Place::Tmpfs.numbered(LEN).expect("/dev/shm is no tmpfs")
}

/// What /proc/self/smaps says of the mapping at `addr`: its rights, and its VmFlags.
fn kernel_view(addr: *const u8) -> (String, Vec<String>) {
    let smaps = fs::read_to_string("/proc/self/smaps").unwrap();
    let mut lines = smaps.lines();
    let rights = loop {
        let line = lines.next().expect("nothing is mapped there");
        let Some((range, rest)) = line.split_once(' ') else { continue };
        let Some((start, end)) = range.split_once('-') else { continue };
        let number = |digits| usize::from_str_radix(digits, 16).ok();
        let (Some(start), Some(end)) = (number(start), number(end)) else { continue };
        if (start..end).contains(&addr.addr()) {
            break rest.split(' ').next().unwrap().to_owned();
        }
    };
    let flags = lines.find_map(|line| line.strip_prefix("VmFlags: ")).expect("no VmFlags");
    (rights, flags.split_whitespace().map(str::to_owned).collect())
}

fn rights(addr: *const u8) -> String {
    kernel_view(addr).0
}

fn has(addr: *const u8, flag: &str) -> bool {
    kernel_view(addr).1.iter().any(|seen| seen == flag)
}

fn code(error: std::io::Error) -> Option<i32> {
    error.raw_os_error()
}

fn zeros(options: &mut MmapOptions) -> MmapMut {
    options.len(LEN).map_anon().unwrap()
}

#[test]
fn rights_and_sharing_are_the_constructors() {
    let file = file();
    let options = MmapOptions::new();
    // SAFETY: nobody changes the file.
    assert_eq!(rights(unsafe { options.map(&file) }.unwrap().as_ptr()), "r--s");
    // SAFETY: as above.
    assert_eq!(rights(unsafe { options.map_mut(&file) }.unwrap().as_ptr()), "rw-s");
    // SAFETY: as above.
    assert_eq!(rights(unsafe { options.map_copy(&file) }.unwrap().as_ptr()), "rw-p");
    // SAFETY: as above.
    assert_eq!(rights(unsafe { options.map_copy_read_only(&file) }.unwrap().as_ptr()), "r--p");
    assert_eq!(rights(options.map_raw(&file).unwrap().as_ptr()), "rw-s");
    assert_eq!(rights(options.map_raw_read_only(&file).unwrap().as_ptr()), "r--s");
    assert_eq!(rights(zeros(&mut MmapOptions::new()).as_ptr()), "rw-p");
    // /dev/shm may be mounted noexec.
    let program = File::open("/proc/self/exe").unwrap();
    // SAFETY: nobody writes a program that runs.
    assert_eq!(rights(unsafe { options.map_exec(&program) }.unwrap().as_ptr()), "r-xs");
    // SAFETY: nothing is mapped.
    assert_eq!(code(unsafe { options.map_mut(&program) }.unwrap_err()), Some(libc::EACCES));
}

/// Also the flags of mmap(2) go through when one of ours makes the mapping anew.
#[test]
fn populate_maps_all_of_it() {
    let numbered = Numbered::new();
    let file = file();
    // SAFETY: nobody changes the file.
    let map = unsafe { MmapOptions::new().populate().map(&file) }.unwrap();
    assert_eq!(mapped_bytes(&map), LEN);
    numbered.check(&map, 3);
    assert_eq!(mapped_bytes(&zeros(MmapOptions::new().populate())), LEN);
    assert_eq!(mapped_bytes(&zeros(MmapOptions::new().populate().shared())), LEN);
    assert_eq!(mapped_bytes(&zeros(&mut MmapOptions::new())), 0);
}

#[test]
fn no_reserve_sets_no_swap_aside() {
    if fs::read_to_string("/proc/sys/vm/overcommit_memory").unwrap().trim() == "2" {
        skip!("vm.overcommit_memory is 2");
    }
    for mut options in [MmapOptions::new(), MmapOptions::new().shared().clone()] {
        assert!(!has(zeros(&mut options).as_ptr(), "nr"));
        assert!(has(zeros(options.no_reserve_swap()).as_ptr(), "nr"));
    }
}

#[test]
fn stack_is_a_hint() {
    let mut map = zeros(MmapOptions::new().stack());
    map[LEN - 1] = 1;
    assert_eq!((map[0], map[LEN - 1]), (0, 1));
    if !has(map.as_ptr(), "nh") {
        skip!("before Linux 6.7 it does nothing");
    }
    assert!(!has(zeros(&mut MmapOptions::new()).as_ptr(), "nh"));
}

#[test]
fn huge_takes_pages_from_the_pool_or_says_that_it_is_empty() {
    let huge = |bits| MmapOptions::new().huge(bits).len(2 * MIB).map_anon();
    let sized = huge(Some(21)).map(|map| has(map.as_ptr(), "ht"));
    match huge(None) {
        Ok(map) => {
            assert!(has(map.as_ptr(), "ht") && sized.unwrap());
            return;
        }
        Err(error) => assert_eq!(code(error), Some(libc::ENOMEM)),
    }
    assert_eq!(code(sized.unwrap_err()), Some(libc::ENOMEM));
    skip!("only the refusal was seen: vm.nr_hugepages is 0");
}

#[test]
fn shared_memory_is_seen_by_children() {
    for (is_shared, seen) in [(false, 0), (true, 7)] {
        let mut options = MmapOptions::new();
        if is_shared {
            options.shared();
        }
        let mut map = zeros(&mut options);
        assert_eq!(rights(map.as_ptr()), if is_shared { "rw-s" } else { "rw-p" });
        // SAFETY: the child stores a byte and exits.
        let child = unsafe { libc::fork() };
        if child == 0 {
            map[page()] = 7;
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(0) };
        }
        let mut status = -1;
        // SAFETY: `status` is writable, and the child is one of this process.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert_eq!((status, map[page()]), (0, seen));
    }
    // It is memory like any other: nothing is left of what it took the place of.
    let mut map = zeros(MmapOptions::new().shared());
    map.fill(3);
    let map = map.make_read_only().unwrap();
    assert!(map.iter().all(|&byte| byte == 3));
}

#[test]
fn shared_and_huge_are_refused() {
    let error = MmapOptions::new().shared().huge(None).len(2 * MIB).map_anon().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("MFD_HUGETLB"), "{error}");
    let file = file();
    // SAFETY: nobody changes the file. On files both are without effect, as with memmap2.
    assert!(unsafe { MmapOptions::new().shared().huge(None).map(&file) }.is_ok());
}

#[test]
fn locked_stays_in_memory() {
    let file = file();
    // SAFETY: nobody changes the file.
    let map = unsafe { MmapOptions::new().offset(5).locked().map(&file) }.unwrap();
    assert!(has(map.as_ptr(), "lo"));
    assert_eq!(mapped_bytes(&map), LEN);
    assert!(has(zeros(MmapOptions::new().locked()).as_ptr(), "lo"));
    map.unlock().unwrap();
    // SAFETY: as above.
    assert!(!has(unsafe { MmapOptions::new().map(&file) }.unwrap().as_ptr(), "lo"));
}

#[test]
fn locked_beyond_the_limit_is_an_error() {
    if role().is_none() {
        return in_child("limit");
    }
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is readable.
    unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const none) };
    // The superuser has no limit.
    // SAFETY: no precondition.
    if unsafe { libc::geteuid() } == 0 && unsafe { libc::setuid(65_534) } != 0 {
        skip!("cannot become another user");
    }
    let before = common::areas();
    let error = MmapOptions::new().locked().len(LEN).map_anon().unwrap_err();
    assert!(matches!(code(error), Some(libc::EPERM | libc::ENOMEM | libc::EAGAIN)));
    assert!(common::areas() <= before + 1, "what could not be locked is not left behind");
}

#[test]
fn locked_and_guard_are_refused() {
    let file = file();
    // SAFETY: nobody changes the file.
    let map = unsafe { MmapOptions::new().locked().mode(Mode::Guard).map(&file) };
    assert_eq!(map.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn sync_needs_dax_and_never_maps_less() {
    if role().is_none() {
        // Other tests would map meanwhile.
        return in_child("sync");
    }
    let mut refused = 0;
    for place in Place::ALL {
        let Some(file) = place.numbered(LEN) else { skip!("no file on {place:?}") };
        let before = common::areas();
        // SAFETY: nobody changes the file.
        match unsafe { MmapOptions::new().sync().map_mut(&file) } {
            Ok(map) => assert!(has(map.as_ptr(), "sf")),
            Err(error) => {
                assert_eq!(code(error), Some(libc::EOPNOTSUPP), "{place:?}");
                let raw = MmapOptions::new().sync().map_raw(&file);
                assert_eq!(code(raw.unwrap_err()), Some(libc::EOPNOTSUPP), "{place:?}");
                refused += 1;
            }
        }
        assert!(common::areas() <= before + 1, "what could not be mapped is not left behind");
    }
    if refused == Place::ALL.len() {
        skip!("only the refusal was seen: no file system here has DAX");
    }
}

#[test]
fn sync_of_private_memory_is_refused() {
    let file = file();
    let mut options = MmapOptions::new();
    options.sync().len(LEN);
    // SAFETY: nobody changes the file.
    assert_eq!(unsafe { options.map_copy(&file) }.unwrap_err().kind(), ErrorKind::InvalidInput);
    // SAFETY: as above.
    let copy = unsafe { options.map_copy_read_only(&file) };
    assert_eq!(copy.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(options.map_anon().unwrap_err().kind(), ErrorKind::InvalidInput);
    let at = options.map_at(&file, free_address(1)).unwrap_err();
    assert_eq!(code(at), Some(libc::EOPNOTSUPP));
}

/// Far from everything else; each test has its own.
fn free_address(which: usize) -> usize {
    0x20_0000_0000 + (which << 30)
}

fn byte(map: &MmapAt, at: usize) -> u8 {
    assert!(at < map.len());
    // SAFETY: inside the mapping.
    let place = unsafe { map.as_ptr().add(at) };
    // SAFETY: the file is so long, and nobody changes it.
    unsafe { place.read_volatile() }
}

#[test]
fn at_is_exactly_there() {
    let file = file();
    let home = free_address(2);
    let map = MmapOptions::new().map_at_read_only(&file, home).unwrap();
    assert_eq!((map.as_ptr().addr(), map.len()), (home, LEN));
    assert_eq!((rights(map.as_ptr()).as_str(), byte(&map, 3 * page())), ("r--s", 3));
    drop(map);
    // The page goes there; the first byte lies behind its start as in the file.
    let map = MmapOptions::new().offset(page() as u64 + 9).len(3 * page()).map_at(&file, home);
    let map = map.unwrap();
    assert_eq!((map.as_ptr().addr(), map.len()), (home + 9, 3 * page()));
    assert_eq!((rights(map.as_ptr()).as_str(), byte(&map, page() - 9)), ("rw-s", 2));
    // SAFETY: inside the mapping, and nobody else looks there.
    unsafe { map.as_mut_ptr().write_volatile(77) };
    map.flush(..1).unwrap();
    map.flush(..).unwrap();
    assert_eq!(map.flush(..=3 * page()).unwrap_err().kind(), ErrorKind::InvalidInput);
    let mut read = [0];
    std::os::unix::fs::FileExt::read_at(&file, &mut read, page() as u64 + 9).unwrap();
    assert_eq!(read, [77]);
    assert_eq!((map.read_at(&mut read, 0).unwrap(), read), (1, [77]));
    assert!(map.error().is_none());
    drop(map);
    // Read ahead like any other, and the address is free again.
    let Some(large) = Place::Tmpfs.numbered(8 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let map = MmapOptions::new().map_at_read_only(&large, home).unwrap();
    (0..map.len()).step_by(page()).for_each(|at| assert_eq!(byte(&map, at), (at / page()) as u8));
    let prefetch = map.prefetch(..);
    assert_eq!(prefetch.wait_timeout(Duration::from_secs(20)), PrefetchState::Done);
}

#[test]
fn at_takes_nobodys_place() {
    let file = file();
    let other = zeros(&mut MmapOptions::new());
    let taken = other.as_ptr().addr();
    for addr in [taken, taken - page()] {
        let error = MmapOptions::new().map_at(&file, addr).unwrap_err();
        assert_eq!(code(error), Some(libc::EEXIST));
    }
    assert!(other.iter().all(|&byte| byte == 0));
}

#[test]
fn at_refuses_what_cannot_be() {
    let file = file();
    let at = |options: &MmapOptions, addr| options.map_at(&file, addr).unwrap_err();
    assert_eq!(code(at(&MmapOptions::new(), free_address(3) + 1)), Some(libc::EINVAL));
    assert_eq!(at(MmapOptions::new().len(0), free_address(3)).kind(), ErrorKind::InvalidInput);
    let beyond = at(MmapOptions::new().offset(LEN as u64 + 1), free_address(3));
    assert_eq!(beyond.kind(), ErrorKind::InvalidData);
    let large = at(MmapOptions::new().len(usize::MAX), free_address(3));
    assert_eq!(large.kind(), ErrorKind::InvalidData);
    let read_only = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).unwrap();
    let error = MmapOptions::new().map_at(&read_only, free_address(3)).unwrap_err();
    assert_eq!(code(error), Some(libc::EACCES));
    assert!(MmapOptions::new().map_at_read_only(&read_only, free_address(3)).is_ok());
}

/// All that go together at once.
#[test]
fn flags_add_up() {
    let file = file();
    let mut options = MmapOptions::new();
    options.populate().no_reserve_swap().locked().guard_sigbus();
    let map = options.map_at(&file, free_address(4)).unwrap();
    assert!(has(map.as_ptr(), "lo"));
    options.shared().stack().len(LEN);
    let map = options.map_anon().unwrap();
    assert!(has(map.as_ptr(), "lo"));
    assert_eq!((rights(map.as_ptr()).as_str(), mapped_bytes(&map)), ("rw-s", LEN));
}
