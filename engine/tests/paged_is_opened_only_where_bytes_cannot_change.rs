//! A `Paged` is opened only with a proof that a page which is read twice is the same, and a page is
//! shown twice only while the proof holds (TRAPS 21).
//!
//! It fails when a writer goes unnoticed, when a lease is trusted that is gone, when breaking it kills
//! the reader by a signal, and when a `Paged` that is gone still keeps writers out.

mod common;

use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::paged::{Made, Named, become_nobody, check_all, child_output, open, served};
use common::{MIB, Numbered, Place, in_child, role, skip, write_numbered};
use mmap_ahead::{Error, Immutability, Paged, PagedMode, PagedOptions};

const LIMIT: usize = 8 * MIB;
const LEN: usize = 40 * MIB + 3;

fn options() -> PagedOptions {
    PagedOptions::new().memory_limit(LIMIT as u64)
}

fn immutability(paged: &Paged) -> Option<Immutability> {
    match paged.mode() {
        PagedMode::Userfault { immutability, .. } => Some(immutability),
        _ => None,
    }
}

/// Why it is refused.
fn refusal(opened: Result<Paged, Error>) -> String {
    match opened {
        Err(Error::NotImmutable { why }) => why,
        other => panic!("not refused: {other:?}"),
    }
}

/// Opens for writing without waiting.
fn write_at_once(path: &Path) -> std::io::Result<File> {
    File::options().write(true).custom_flags(libc::O_NONBLOCK).open(path)
}

#[test]
fn a_file_with_a_writer_is_refused_unless_it_fits() {
    let Some(file) = Named::new(Place::Disk, LEN) else { skip!("no file on a disk") };
    let Some(works_here) = open(&options(), &file.path()) else { return };
    drop(works_here);
    for access in [File::options().write(true), File::options().read(true).write(true)] {
        let writer = access.open(file.path()).unwrap();
        let why = refusal(options().open(file.path()));
        assert!(why.contains("open for writing"), "{why}");
        let fits = PagedOptions::new().memory_limit(64 << 20).open(file.path()).unwrap();
        assert_eq!(immutability(&fits), Some(Immutability::ReadOnce));
        check_all(&fits);
        // SAFETY: nobody writes with the writer.
        let assumed = unsafe { options().open_assume_immutable(file.path()) }.unwrap();
        assert_eq!(immutability(&assumed), Some(Immutability::Assumed));
        check_all(&assumed);
        drop(writer);
    }
    let Some(paged) = open(&options(), &file.path()) else { return };
    assert_eq!(immutability(&paged), Some(Immutability::Lease));
    check_all(&paged);
}

/// What was read stays, whatever is written meanwhile.
#[test]
fn a_file_that_fits_is_read_once() {
    let Some(file) = Named::new(Place::Disk, 13 * MIB) else { skip!("no file on a disk") };
    let fits = PagedOptions::new().memory_limit(24 << 20);
    let Some(paged) = open(&fits, &file.path()) else { return };
    assert_eq!(immutability(&paged), Some(Immutability::ReadOnce));
    let before = paged.to_vec();
    let writer = File::options().write(true).open(file.path()).unwrap();
    writer.write_all_at(&vec![0xee; 13 * MIB], 0).unwrap();
    for at in (0..before.len()).step_by(99_991).rev() {
        let end = (at + 99_991).min(before.len());
        assert!(paged[at..end] == before[at..end], "bytes {at}..{end} changed");
    }
    paged.prefetch(..);
    assert!(*paged == *before);
}

#[test]
fn a_file_of_another_user_is_refused() {
    // The parent's, since nobody cannot remove it, and a child that dies does not.
    let Some(path) = role().map(PathBuf::from) else {
        // SAFETY: no precondition.
        if unsafe { libc::geteuid() } != 0 {
            skip!("not root: there is no file of another user's");
        }
        let Some(file) = Named::new(Place::Disk, LEN) else { skip!("no file on a disk") };
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(file.dir(), mode).unwrap();
        return in_child(file.path().to_str().unwrap());
    };
    if !become_nobody() {
        skip!("may not become another user");
    }
    match options().open(&path) {
        Err(Error::Unsupported { .. }) => skip!("no userfaultfd for nobody"),
        opened => {
            let why = refusal(opened);
            assert!(why.contains("another user"), "{why}");
        }
    }
    // SAFETY: nobody writes it.
    let assumed = unsafe { options().open_assume_immutable(&path) }.unwrap();
    check_all(&assumed);
    let fits = PagedOptions::new().memory_limit(64 << 20).open(&path).unwrap();
    check_all(&fits);
}

fn memfd(len: usize, seals: libc::c_int) -> (File, PathBuf) {
    let name = CString::new("numbered").unwrap();
    // SAFETY: the name is a C string; the call makes a new descriptor.
    let fd =
        unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    assert!(fd >= 0, "memfd_create: {}", std::io::Error::last_os_error());
    // SAFETY: the descriptor was just made and belongs to nobody else.
    let file = unsafe { File::from_raw_fd(fd) };
    write_numbered(&file, len);
    // SAFETY: numbers only.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, seals) }, 0);
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    (file, path)
}

#[test]
fn a_memfd_is_opened_when_it_is_sealed() {
    let (_file, path) = memfd(LEN, libc::F_SEAL_WRITE | libc::F_SEAL_SHRINK);
    let Some(paged) = open(&options(), &path) else { return };
    assert_eq!(immutability(&paged), Some(Immutability::Sealed));
    check_all(&paged);
    check_all(&paged);
    // Its writer is this process; half a seal is none.
    for seals in [0, libc::F_SEAL_WRITE, libc::F_SEAL_SHRINK, libc::F_SEAL_GROW] {
        let (_file, path) = memfd(LEN, seals);
        let why = refusal(options().open(&path));
        println!("seen: seals {seals:#x}: {why}");
    }
}

#[test]
fn a_source_that_does_not_promise_is_refused_unless_it_fits() {
    let why = match options().source(Made::new(LEN)) {
        Err(Error::Unsupported { .. }) => skip!("no userfaultfd"),
        opened => refusal(opened),
    };
    assert!(why.contains("Immutable"), "{why}");
    let Some(paged) = served(options().immutable_source(Made::new(LEN))) else { return };
    assert_eq!(immutability(&paged), Some(Immutability::Assumed));
    check_all(&paged);
    let Some(paged) = served(PagedOptions::new().source(Made::new(LEN))) else { return };
    assert_eq!(immutability(&paged), Some(Immutability::ReadOnce));
    check_all(&paged);
}

#[test]
fn a_lease_keeps_writers_out_until_it_is_dropped() {
    let Some(file) = Named::new(Place::Disk, LEN) else { skip!("no file on a disk") };
    let Some(paged) = open(&options(), &file.path()) else { return };
    check_all(&paged);
    // Readers are welcome.
    File::open(file.path()).unwrap();
    options().open(file.path()).map(drop).unwrap();
    let refused = write_at_once(&file.path()).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EWOULDBLOCK));
    paged.prefetch(..);
    let begun = Instant::now();
    drop(paged);
    write_at_once(&file.path()).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1));
}

/// A writer that waits gets the file as soon as the `Paged` is dropped.
#[test]
fn a_writer_that_waits_is_let_in_at_once() {
    let Some(file) = Named::new(Place::Disk, LEN) else { skip!("no file on a disk") };
    let Some(paged) = open(&options(), &file.path()) else { return };
    std::hint::black_box(paged[0]);
    let path = file.path();
    let writer = std::thread::spawn(move || {
        File::options().write(true).open(path).unwrap();
        Instant::now()
    });
    std::thread::sleep(Duration::from_millis(200));
    assert!(!writer.is_finished());
    let dropped = Instant::now();
    drop(paged);
    let opened = writer.join().unwrap();
    assert!(opened > dropped && opened - dropped < Duration::from_secs(1));
}

/// The lease is asked back, and no signal ends the process: pages that were never seen are read, and
/// those that are in memory stay.
#[test]
fn after_a_break_what_was_never_seen_is_read() {
    if role().is_none() {
        return in_child("unseen");
    }
    let Some(file) = Named::new(Place::Disk, LEN) else { skip!("no file on a disk") };
    let Some(paged) = open(&options(), &file.path()) else { return };
    let numbered = Numbered::new();
    numbered.check(&paged, 5000);
    assert!(write_at_once(&file.path()).is_err());
    std::thread::sleep(Duration::from_millis(50));
    numbered.check(&paged, 5000);
    (0..500).for_each(|at| numbered.check(&paged, at * 7));
}

/// Reads everything, has the lease broken, and reads everything again: only the right bytes, or the
/// end of the process.
fn read_again(path: &Path) {
    let Some(paged) = open(&options(), path) else { return };
    check_all(&paged);
    assert!(write_at_once(path).is_err());
    println!("broken");
    check_all(&paged);
    println!("read again");
}

#[test]
fn after_a_break_a_page_that_is_read_again_ends_the_process() {
    if let Some(path) = role() {
        return read_again(Path::new(&path));
    }
    let Some(file) = Named::new(Place::Disk, LEN) else { skip!("no file on a disk") };
    if open(&options(), &file.path()).is_none() {
        return;
    }
    let child = child_output(file.path().to_str().unwrap());
    let (out, err) =
        (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    assert_eq!(child.status.signal(), Some(libc::SIGABRT), "{out}\n{err}");
    assert!(out.contains("broken") && !out.contains("read again"), "{out}\n{err}");
    let lines: Vec<_> = err.lines().filter(|line| line.contains("mmap-ahead:")).collect();
    assert_eq!(lines.len(), 1, "{err}");
    assert!(lines[0].contains("opened for writing") && lines[0].contains("numbered"), "{err}");
    assert!(!err.contains("panicked"), "{err}");
}
