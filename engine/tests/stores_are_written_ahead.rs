//! `MmapOptions::write_ahead`: a forward run of stores finds its pages ready, nobody else finds a file
//! grown fat, and what the kernel refuses is met by the program's own store as with memmap2 (TRAPS 9).
//!
//! It fails when pages are made ready beyond the budget, for a reader, for scattered stores or in a
//! mapping that did not ask for it, and when a refusal is anything but the end of writing ahead.

mod common;

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::thread;
use std::time::{Duration, Instant};

use common::stuck::PATIENCE;
use common::{
    KIB, MIB, Place, Random, becomes, mapped_bytes, page, present, role, skip, touch_all,
};
use mmap_ahead::lab;
use mmap_ahead::{Advice, MmapMut, MmapOptions, Mode, PolicyKind, Stats, WRITE_BUDGET_DEFAULT};
use rustix::fs::{FallocateFlags, Mode as FileMode, OFlags};
use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags};

const FILE_LEN: usize = 256 * MIB;
const STOP: usize = FILE_LEN / 8;

fn asking() -> MmapOptions {
    let mut options = MmapOptions::new();
    options.write_ahead();
    options
}

fn map(options: &MmapOptions, file: &File) -> MmapMut {
    // SAFETY: the file has no name, and nobody else writes it.
    unsafe { options.map_mut(file) }.unwrap()
}

/// Stores to every page of `bytes`, in order, at about 1 GB/s: slow enough to be followed.
fn store_slowly(bytes: &mut [u8]) {
    for (index, chunk) in bytes.chunks_mut(MIB).enumerate() {
        for at in (0..chunk.len()).step_by(page()) {
            chunk[at] = (index % 251) as u8 + 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Fails unless every page of `bytes` holds what [`store_slowly`] stored.
fn check_stored(bytes: &[u8]) {
    for (index, chunk) in bytes.chunks(MIB).enumerate() {
        let stored = (index % 251) as u8 + 1;
        let is_so = |at: usize| chunk[at] == stored && chunk[at + 1] == 0;
        assert!((0..chunk.len()).step_by(page()).all(is_so), "MiB {index}");
    }
}

fn allocated(file: &File) -> usize {
    file.metadata().unwrap().blocks() as usize * 512
}

/// What was done, once nothing more is done.
fn settled(map: &MmapMut) -> Stats {
    let mut stats = map.stats();
    let is_quiet = || {
        thread::sleep(Duration::from_millis(50));
        std::mem::replace(&mut stats, map.stats()).pages_mapped == map.stats().pages_mapped
    };
    assert!(becomes(PATIENCE, is_quiet), "{:?}", map.stats());
    map.stats()
}

#[test]
fn a_writer_that_stops_finds_at_most_the_budget_allocated() {
    for (budget, limit) in [(None, WRITE_BUDGET_DEFAULT.0 as usize), (Some(4), 4 * MIB)] {
        let Some(file) = Place::Tmpfs.sparse(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
        let mut options = asking();
        if let Some(mib) = budget {
            options.budget(mib << 20);
        }
        let mut map = map(&options, &file);
        store_slowly(&mut map[..STOP]);
        thread::sleep(Duration::from_secs(1));
        let (ahead, stats) = (mapped_bytes(&map[STOP..]), map.stats());
        println!("seen: {} KiB ahead of a budget of {} MiB", ahead / KIB, limit / MIB);
        assert!(stats.pages_mapped > 0, "it was not followed: {stats:?}");
        assert!(ahead <= limit, "{ahead} bytes ahead: {stats:?}");
        assert!(allocated(&file) <= STOP + limit, "{} allocated: {stats:?}", allocated(&file));
        assert!(allocated(&file) >= STOP + ahead);
        assert_eq!(stats.refused, 0, "{stats:?}");
        check_stored(&map[..STOP]);
        assert!(map[STOP..].iter().all(|&byte| byte == 0), "what is made ready is zeros");
    }
}

#[test]
fn most_of_a_long_run_is_ready_before_its_store() {
    let Some(file) = Place::Tmpfs.sparse(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
    let mut map = map(&asking(), &file);
    store_slowly(&mut map);
    let stats = settled(&map);
    let pages = (FILE_LEN / page()) as u64;
    println!("seen: {} of {pages} pages made ready, {stats:?}", stats.pages_mapped);
    assert!(stats.pages_mapped > pages / 2, "{stats:?}");
    assert!(stats.markers > 0 && stats.touches >= stats.markers / 2, "{stats:?}");
    check_stored(&map);
}

#[test]
fn a_run_that_begins_in_the_middle_is_found() {
    let Some(file) = Place::Tmpfs.sparse(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
    let mut map = map(&asking(), &file);
    let start = FILE_LEN / 2 + 3 * page();
    store_slowly(&mut map[start..start + 64 * MIB]);
    let stats = settled(&map);
    assert!(stats.pages_mapped > (16 * MIB / page()) as u64, "{stats:?}");
    assert_eq!(mapped_bytes(&map[..start]), 0, "nothing before it: {stats:?}");
    check_stored(&map[start..start + 64 * MIB]);
}

/// Without the owner's word, on memory that may not be touched, or switched off.
#[test]
fn nothing_is_made_ready_unless_it_was_asked_for() {
    let sparse = || Place::Tmpfs.sparse(64 * MIB);
    let (Some(file), Some(private)) = (sparse(), sparse()) else { skip!("/dev/shm is no tmpfs") };
    type Choose = fn(&mut MmapOptions) -> &mut MmapOptions;
    let cases: [(&str, Choose); 4] = [
        ("not asked for", |options| options),
        ("off", |options| options.write_ahead().mode(Mode::Off)),
        ("the policy that plans nothing", |options| options.write_ahead().policy(PolicyKind::Off)),
        ("no budget", |options| options.write_ahead().budget(0)),
    ];
    for (label, choose) in cases {
        file.set_len(0).unwrap();
        file.set_len(64 * MIB as u64).unwrap();
        let mut map = map(choose(&mut MmapOptions::new()), &file);
        store_slowly(&mut map[..16 * MIB]);
        thread::sleep(Duration::from_millis(100));
        assert_eq!(allocated(&file), 16 * MIB, "{label}: {:?}", map.stats());
        assert_eq!(map.stats().pages_mapped, 0, "{label}");
    }
    // SAFETY: the file has no name, and nobody else writes it.
    let mut copy = unsafe { asking().map_copy(&private) }.unwrap();
    store_slowly(&mut copy[..16 * MIB]);
    let mut anonymous = asking().len(64 * MIB).map_anon().unwrap();
    store_slowly(&mut anonymous[..16 * MIB]);
    thread::sleep(Duration::from_millis(100));
    assert_eq!(mapped_bytes(&copy), 16 * MIB);
    assert_eq!(copy.stats(), Stats::default());
    assert_eq!(anonymous.stats(), Stats::default());
}

#[test]
fn a_reader_of_a_writable_mapping_gets_nothing_allocated_or_dirtied() {
    let Some(file) = Place::Disk.sparse(64 * MIB) else { skip!("/var/tmp is no disk") };
    let map = map(&MmapOptions::new(), &file);
    touch_all(&map);
    thread::sleep(Duration::from_millis(300));
    assert_eq!(allocated(&file), 0, "{:?}", map.stats());
}

#[test]
fn scattered_stores_are_no_run() {
    let Some(file) = Place::Tmpfs.sparse(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
    let mut map = map(&asking(), &file);
    let mut random = Random::new(7);
    for _ in 0..2000 {
        let at = random.below(FILE_LEN / page()) * page();
        map[at] = 1;
        thread::sleep(Duration::from_micros(100));
    }
    let stats = settled(&map);
    assert_eq!(stats.pages_mapped, 0, "{stats:?}");
    let stored = present(&map).into_iter().filter(|&is_present| is_present).count();
    assert_eq!(allocated(&file), stored * page());
}

/// Pages that come in one go and stay as they are say nothing of a writer.
#[test]
fn what_comes_in_one_go_is_no_run() {
    let Some(file) = Place::Tmpfs.sparse(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
    let map = map(&asking(), &file);
    for start in [0, 64 * MIB] {
        // Populating takes milliseconds and would look like a writer's run.
        map.pause();
        thread::sleep(Duration::from_millis(20));
        map.advise_range(Advice::PopulateWrite, start, 8 * MIB).unwrap();
        map.resume();
        thread::sleep(Duration::from_millis(300));
    }
    assert!(map.stats().polls > 0, "it was not looked at: {:?}", map.stats());
    assert_eq!(map.stats().pages_mapped, 0, "{:?}", map.stats());
    assert_eq!(allocated(&file), 16 * MIB);
}

#[test]
fn a_file_that_ends_early_ends_writing_ahead_and_nothing_else() {
    let Some(file) = Place::Tmpfs.sparse(40 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let mut options = asking();
    options.len(FILE_LEN).budget(32 * MIB as u64);
    let mut map = map(&options, &file);
    // What is ahead reaches over the end before the writer does.
    store_slowly(&mut map[..36 * MIB]);
    assert!(becomes(PATIENCE, || map.stats().refused == 1), "{:?}", map.stats());
    store_slowly(&mut map[..40 * MIB]);
    assert_eq!(file.metadata().unwrap().len(), 40 * MIB as u64);
    assert_eq!(allocated(&file), 40 * MIB);
    // It grows again: writing ahead has ended, stores work.
    file.set_len(FILE_LEN as u64).unwrap();
    let before = settled(&map).pages_mapped;
    store_slowly(&mut map[40 * MIB..80 * MIB]);
    thread::sleep(Duration::from_millis(100));
    assert_eq!(map.stats().pages_mapped, before, "{:?}", map.stats());
    assert_eq!(map.stats().refused, 1);
    assert_eq!(allocated(&file), 80 * MIB);
    check_stored(&map[..40 * MIB]);
}

/// A file on a file system of its own that has room for `bytes`, or why there is none.
fn file_with_room_for(bytes: usize) -> Result<File, String> {
    let make = || -> rustix::io::Result<std::os::fd::OwnedFd> {
        let made = mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        mount::fsconfig_set_string(made.as_fd(), "size", bytes.to_string())?;
        mount::fsconfig_create(made.as_fd())?;
        // Attached nowhere: it is gone with the last descriptor.
        let root =
            mount::fsmount(made.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
        rustix::fs::openat(root, "file", flags, FileMode::RUSR | FileMode::WUSR)
    };
    make().map(File::from).map_err(|error| format!("no file system of our own: {error}"))
}

/// How a store to `at` ends in a forked child: with this signal, 0 for none.
fn signal_of_a_store(map: &mut [u8], at: usize) -> i32 {
    // SAFETY: the child stores to memory that it has, and ends at once.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // SAFETY: no precondition; Rust's handler of SIGBUS would print first.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
        map[at] = 1;
        // SAFETY: ends the child at once and has no precondition.
        unsafe { libc::_exit(0) };
    }
    let mut status = -1;
    // SAFETY: `status` is writable, and `pid` is a child of this process.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    if libc::WIFSIGNALED(status) { libc::WTERMSIG(status) } else { 0 }
}

#[test]
fn a_full_file_system_is_met_by_the_programs_own_store_alone() {
    if role().is_none() {
        // A signal in a worker would be the end of the other tests.
        return common::in_child("full");
    }
    const ROOM: usize = 16 * MIB;
    const SEEN: usize = 8 * MIB;
    let file = match file_with_room_for(ROOM) {
        Ok(file) => file,
        Err(reason) => skip!("{reason}"),
    };
    file.set_len(64 * MIB as u64).unwrap();
    let mut options = asking();
    options.budget(32 * MIB as u64);
    let mut map = map(&options, &file);
    // So slow that it is never overtaken: a window left to the writer would be the room it lacks.
    for (index, chunk) in map[..SEEN].chunks_mut(MIB).enumerate() {
        for part in chunk.chunks_mut(16 * page()) {
            (0..part.len()).step_by(page()).for_each(|at| part[at] = index as u8 + 1);
            thread::sleep(Duration::from_millis(1));
        }
    }
    assert!(becomes(PATIENCE, || map.stats().refused == 1), "{:?}", map.stats());
    assert!(map.stats().pages_mapped > 0, "{:?}", map.stats());
    assert_eq!(allocated(&file), ROOM);
    // All of the room is the program's: what was made ready is what comes next.
    store_slowly(&mut map[..ROOM]);
    assert_eq!(allocated(&file), ROOM);
    assert_eq!(signal_of_a_store(&mut map, ROOM), libc::SIGBUS, "as with memmap2");
    check_stored(&map[..ROOM]);
    // Room is made: the program stores on, nobody writes ahead of it any more.
    let stats = settled(&map);
    rustix::fs::fallocate(
        &file,
        FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        0,
        8 * MIB as u64,
    )
    .unwrap();
    store_slowly(&mut map[ROOM..ROOM + 4 * MIB]);
    thread::sleep(Duration::from_millis(100));
    assert_eq!(allocated(&file), ROOM - 4 * MIB);
    assert_eq!((map.stats().pages_mapped, map.stats().refused), (stats.pages_mapped, 1));
}

#[test]
fn a_file_that_is_cut_under_a_writer_is_no_crash_of_ours() {
    if role().is_none() {
        return common::in_child("cut");
    }
    let Some(file) = Place::Tmpfs.sparse(FILE_LEN) else { skip!("/dev/shm is no tmpfs") };
    for _ in 0..10 {
        let mut map = map(&asking(), &file);
        store_slowly(&mut map[..16 * MIB]);
        file.set_len(4 * MIB as u64).unwrap();
        store_slowly(&mut map[..4 * MIB]);
        file.set_len(FILE_LEN as u64).unwrap();
        check_stored(&map[..4 * MIB]);
        assert_eq!(map[4 * MIB + 1], 0);
    }
}

#[test]
fn it_may_be_dropped_resized_flushed_and_made_read_only_at_any_time() {
    let Some(file) = Place::Tmpfs.sparse(64 * MIB) else { skip!("/dev/shm is no tmpfs") };
    for round in 0..40 {
        let mut map = map(&asking(), &file);
        let stop = (1 + round % 8) * MIB;
        for at in (0..stop).step_by(page()) {
            map[at] = 1;
        }
        match round % 4 {
            0 => map.flush().unwrap(),
            1 => {
                let options = mmap_ahead::RemapOptions::new().may_move(true);
                // SAFETY: the file is that long.
                unsafe { map.remap(32 * MIB, options) }.unwrap();
                store_slowly(&mut map[..8 * MIB]);
                assert_eq!(map.stats().refused, 0, "{:?}", map.stats());
            }
            2 => {
                let map = map.make_read_only().unwrap();
                touch_all(&map);
                let mut map = map.make_mut().unwrap();
                store_slowly(&mut map[..8 * MIB]);
            }
            _ => {}
        }
    }
}

/// Stores in the child of a fork reach the file; nobody writes ahead of them there.
#[test]
fn a_forked_child_stores_on() {
    let Some(file) = Place::Tmpfs.sparse(64 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let mut map = map(&asking(), &file);
    store_slowly(&mut map[..8 * MIB]);
    let stored = settled(&map).pages_mapped;
    // SAFETY: the child stores to memory that it has, drops the mapping and ends at once.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        // SAFETY: no precondition. A child that hangs dies.
        unsafe { libc::alarm(20) };
        for at in (8 * MIB..24 * MIB).step_by(page()) {
            map[at] = 9;
        }
        let is_right = map.stats().pages_mapped == stored;
        drop(map);
        // SAFETY: ends the child at once and has no precondition.
        unsafe { libc::_exit(i32::from(!is_right)) };
    }
    let mut status = -1;
    // SAFETY: `status` is writable, and `pid` is a child of this process.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0);
    assert!((8 * MIB..24 * MIB).step_by(page()).all(|at| map[at] == 9));
}

#[test]
fn the_environment_switches_it_off() {
    if role().is_none() {
        return common::in_child_with("off", |command| {
            command.env("MMAP_AHEAD", "off");
        });
    }
    let Some(file) = Place::Tmpfs.sparse(64 * MIB) else { skip!("/dev/shm is no tmpfs") };
    let mut map = map(&asking(), &file);
    store_slowly(&mut map[..16 * MIB]);
    assert_eq!(map.stats(), Stats::default());
    assert_eq!(allocated(&file), 16 * MIB);
    assert_eq!(common::workers().len(), 0);
}

/// On large folios a fault of the writer's maps all there is to win: a window is tried now and then.
#[test]
fn on_large_folios_it_keeps_still_and_loses_nothing() {
    let Some(file) = Place::Disk.sparse(FILE_LEN) else { skip!("/var/tmp is no disk") };
    let mut map = map(&asking(), &file);
    store_slowly(&mut map[..STOP]);
    thread::sleep(Duration::from_secs(1));
    map.flush().unwrap();
    let stats = map.stats();
    println!("seen: {} MiB allocated, {stats:?}", allocated(&file) / MIB);
    let limit = STOP + WRITE_BUDGET_DEFAULT.0 as usize;
    assert!(allocated(&file) <= limit + MIB, "{} allocated: {stats:?}", allocated(&file));
    check_stored(&map[..STOP]);
}

/// What storing 1 GiB took.
struct Took {
    gb_per_s: f64,
    /// Of the storing thread alone: what it takes where nobody else wants its core.
    cpu_gb_per_s: f64,
    faults: u64,
    stats: Stats,
}

fn store_a_gibibyte(options: &MmapOptions, is_allocated: bool) -> Took {
    const LEN: usize = 1 << 30;
    let file = Place::Tmpfs.sparse(LEN).unwrap();
    if is_allocated {
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, LEN as u64).unwrap();
    }
    let mut map = map(options, &file);
    let (begun, before) = (Instant::now(), lab::usage(lab::UsageOf::Thread));
    for (index, chunk) in map.chunks_exact_mut(page()).enumerate() {
        chunk.fill(index as u8);
    }
    let (took, after) = (begun.elapsed(), lab::usage(lab::UsageOf::Thread));
    let cpu = after.user + after.system - before.user - before.system;
    let rate = |took: Duration| LEN as f64 / took.as_secs_f64() / 1e9;
    Took {
        gb_per_s: rate(took),
        cpu_gb_per_s: rate(cpu),
        faults: after.minor_faults - before.minor_faults,
        stats: map.stats(),
    }
}

/// Prints how fast 1 GiB is stored, plain and written ahead, in turns, and how many times faster: `--ignored
/// --nocapture`, built with --release.
#[test]
#[ignore = "a measurement"]
fn how_fast_a_gibibyte_is_stored() {
    for is_allocated in [true, false] {
        let pairs = (0..9).map(|_| {
            let plain = store_a_gibibyte(&MmapOptions::new(), is_allocated);
            let ours = store_a_gibibyte(&asking(), is_allocated);
            println!("seen: allocated first: {is_allocated}; {:?}", ours.stats);
            for (label, took) in [("plain", &plain), ("ours", &ours)] {
                let Took { gb_per_s, cpu_gb_per_s, faults, .. } = took;
                println!(
                    "seen: {label} {gb_per_s:.2} GB/s ({cpu_gb_per_s:.2} of its CPU time), {faults} faults"
                );
            }
            ours.gb_per_s / plain.gb_per_s
        });
        let mut times: Vec<_> = pairs.collect();
        times.sort_by(f64::total_cmp);
        // Of nine pairs the second and the last but one enclose the median with 96%.
        let (median, low, high) = (times[4], times[1], times[7]);
        println!(
            "seen: allocated first: {is_allocated}: {median:.2} times plain ({low:.2} to {high:.2})"
        );
    }
}
