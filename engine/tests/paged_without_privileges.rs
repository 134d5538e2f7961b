//! Without privileges, without userfaultfd, without io_uring: what is documented for each, and the
//! right bytes.
//!
//! It fails when something that a container forbids is an error where there is another way, and when
//! an error does not say what would help.

mod common;

use std::fs::{self, File};
use std::os::fd::FromRawFd;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::PathBuf;

use common::paged::{become_nobody, check_all};
use common::refused::refuse;
use common::{MIB, Numbered, in_child, page, role, skip, write_numbered};
use mmap_ahead::{Access, Error, FaultScope, Immutability, Paged, PagedMode, PagedOptions, Queue};

const LEN: usize = 40 * MIB + 3;
const SMALL_LEN: usize = 3 * MIB + 5;

fn options() -> PagedOptions {
    PagedOptions::new().memory_limit(8 << 20)
}

/// A file that this process owns, also when it has become another user; made before that.
fn owned(dir: &tempfile::TempDir, name: &str, len: usize) -> PathBuf {
    let path = dir.path().join(name);
    write_numbered(&File::create(&path).unwrap(), len);
    path
}

/// A folder of nobody's.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    dir
}

/// Becomes nobody, and then can no longer remove what belongs to root: the parent does.
fn nobody_in(dir: &tempfile::TempDir) -> bool {
    // SAFETY: no precondition.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        return true;
    }
    std::os::unix::fs::chown(dir.path(), Some(65534), Some(65534)).unwrap();
    become_nobody()
}

fn userfault(paged: &Paged) -> (FaultScope, Queue, Option<Access>, Immutability) {
    match paged.mode() {
        PagedMode::Userfault { scope, queue, access, immutability, .. } => {
            (scope, queue, access, immutability)
        }
        mode => panic!("{mode:?}"),
    }
}

fn memfd() -> File {
    // SAFETY: the name is a C string; the call makes a new descriptor.
    let fd = unsafe { libc::memfd_create(c"copy".as_ptr(), libc::MFD_CLOEXEC) };
    assert!(fd >= 0, "memfd_create: {}", std::io::Error::last_os_error());
    // SAFETY: the descriptor was just made and belongs to nobody else.
    unsafe { File::from_raw_fd(fd) }
}

/// Whether this user gets a userfaultfd at all (UFFD_USER_MODE_ONLY).
fn has_user_mode() -> bool {
    // SAFETY: the call takes flags only; the descriptor stays open until the test ends.
    unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | 1) >= 0 }
}

/// TRAPS 19: the least restricted one comes first.
#[test]
fn as_root_touches_of_the_kernel_are_served_too() {
    // SAFETY: no precondition.
    if unsafe { libc::geteuid() } != 0 {
        skip!("not root");
    }
    let dir = folder();
    let paged = match options().open(owned(&dir, "big", LEN)) {
        Err(Error::Unsupported { .. }) if !has_user_mode() => skip!("no userfaultfd"),
        opened => opened.unwrap(),
    };
    assert_eq!(userfault(&paged).0, FaultScope::All);
    let at = 5000 * page();
    assert_eq!(memfd().write_at(&paged[at..at + page()], 0).unwrap(), page());
}

#[test]
fn as_nobody_touches_of_the_program_are_served() {
    if role().is_none() {
        return in_child("nobody");
    }
    let sysctl = fs::read_to_string("/proc/sys/vm/unprivileged_userfaultfd").unwrap_or_default();
    if sysctl.trim() != "0" {
        skip!("vm.unprivileged_userfaultfd is {:?}", sysctl.trim());
    }
    let dir = folder();
    if !nobody_in(&dir) {
        skip!("may not become another user");
    }
    if File::options().read(true).write(true).open("/dev/userfaultfd").is_ok() {
        skip!("everybody may open /dev/userfaultfd");
    }
    let (big, small) = (owned(&dir, "big", LEN), owned(&dir, "small", SMALL_LEN));
    let paged = match options().open(&big) {
        Err(Error::Unsupported { .. }) if !has_user_mode() => {
            skip!("no userfaultfd for nobody at all")
        }
        opened => opened.unwrap(),
    };
    let (scope, _, _, immutability) = userfault(&paged);
    assert_eq!((scope, immutability), (FaultScope::UserMode, Immutability::Lease));
    // A system call is not served, and then it is: half a page may be written before the fault.
    let (copy, at) = (memfd(), 5000 * page());
    for offset in [at, at + 7] {
        let error = copy.write_at(&paged[offset..offset + 9], 0).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EFAULT));
    }
    let mut bytes = [0; 9];
    assert_eq!(paged.read_at(&mut bytes, at as u64).unwrap(), 9);
    assert!(!paged.is_resident(at..at + 9), "`read_at` touches nothing");
    Numbered::new().check(&paged, 5000);
    assert_eq!(copy.write_at(&paged[at..at + page()], 0).unwrap(), page());
    check_all(&paged);
    check_all(&paged);
    check_all(&options().open(&small).unwrap());
}

#[test]
fn without_userfaultfd_a_small_file_is_owned_and_a_big_one_is_unsupported() {
    if role().is_none() {
        return in_child("no userfaultfd");
    }
    let dir = folder();
    // Root may open the device node.
    if !nobody_in(&dir) || fs::metadata("/dev/userfaultfd").is_ok_and(|node| is_open_to_all(&node))
    {
        skip!("/dev/userfaultfd cannot be kept from this user");
    }
    let (big, small) = (owned(&dir, "big", LEN), owned(&dir, "small", SMALL_LEN));
    if !refuse(&[libc::SYS_userfaultfd, libc::SYS_io_uring_setup]) {
        skip!("no seccomp here");
    }
    let paged = options().open(&small).unwrap();
    assert_eq!(paged.mode(), PagedMode::Owned);
    check_all(&paged);
    paged.prefetch(..);
    assert!(paged.is_resident(..) && paged.error().is_none());
    let mut bytes = vec![0; 5000];
    assert_eq!(paged.read_at(&mut bytes, SMALL_LEN as u64 - 4999).unwrap(), 4999);
    assert!(bytes[..4999] == paged[SMALL_LEN - 4999..]);
    assert_eq!(memfd().write_at(&paged[100..9000], 0).unwrap(), 8900);
    // It is a copy: whoever writes the file does not matter.
    let writer = File::options().write(true).open(&small).unwrap();
    check_all(&options().open(&small).unwrap());
    writer.write_all_at(&[0xee; 9], 0).unwrap();
    check_all(&paged);
    let error = options().open(&big).unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
    for remedy in ["userfaultfd", "vm.unprivileged_userfaultfd", "memory limit"] {
        assert!(said.contains(remedy), "{said}");
    }
    println!("seen: {said}");
    let fits = options().memory_limit(64 << 20).open(&big).unwrap();
    assert_eq!(fits.mode(), PagedMode::Owned);
    check_all(&fits);
    // SAFETY: nobody writes it.
    let error = unsafe { options().open_assume_immutable(&big) }.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error:?}");
}

fn is_open_to_all(node: &fs::Metadata) -> bool {
    node.permissions().mode() & 0o006 == 0o006
}

#[test]
fn without_io_uring_threads_read() {
    if role().is_none() {
        return in_child("no io_uring");
    }
    let dir = folder();
    let big = owned(&dir, "big", LEN);
    if !refuse(&[libc::SYS_io_uring_setup]) {
        skip!("no seccomp here");
    }
    let paged = match options().open(&big) {
        Err(Error::Unsupported { .. }) => skip!("no userfaultfd"),
        opened => opened.unwrap(),
    };
    let (_, queue, _, immutability) = userfault(&paged);
    assert_eq!((queue, immutability), (Queue::Threads, Immutability::Lease));
    check_all(&paged);
    for at in (0..LEN / page()).rev().step_by(7) {
        Numbered::new().check(&paged, at);
    }
    check_all(&paged);
    println!("seen: {:?}", paged.stats());
}
