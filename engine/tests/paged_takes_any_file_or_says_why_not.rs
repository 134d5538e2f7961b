//! Files on tmpfs, overlayfs and in /proc, and what is no file at all: the right bytes, or the
//! documented error.
//!
//! It fails when a file system without direct reads is not read, and when opening something else
//! waits, panics or succeeds.

mod common;

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;

use common::paged::{Named, check_all, child_output, open};
use common::{MIB, Place, make_cold, role, skip, write_numbered};
use mmap_ahead::{Access, Error, Paged, PagedMode, PagedOptions};

const LEN: usize = 40 * MIB + 3;

fn options() -> PagedOptions {
    PagedOptions::new().memory_limit(8 << 20)
}

fn errno(opened: Result<Paged, Error>) -> (&'static str, Option<i32>) {
    match opened {
        Err(Error::Syscall { call, source }) => (call, source.raw_os_error()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn tmpfs() {
    let Some(file) = Named::new(Place::Tmpfs, LEN) else { skip!("/dev/shm is no tmpfs") };
    let Some(paged) = open(&options(), &file.path()) else { return };
    println!("seen: {:?}", paged.mode());
    check_all(&paged);
    check_all(&paged);
    let mut bytes = vec![0; 1000];
    assert_eq!(paged.read_at(&mut bytes, 4097).unwrap(), 1000);
    assert!(bytes == paged[4097..5097]);
}

/// A mounted overlay, unmounted at the end.
struct Overlay(tempfile::TempDir);

impl Overlay {
    fn new() -> Option<Overlay> {
        let dir = tempfile::tempdir_in("/var/tmp").ok()?;
        for name in ["lower", "upper", "work", "merged"] {
            fs::create_dir(dir.path().join(name)).ok()?;
        }
        let at = |name: &str| dir.path().join(name).display().to_string();
        let options =
            format!("lowerdir={},upperdir={},workdir={}", at("lower"), at("upper"), at("work"));
        let arguments = ["-t", "overlay", "overlay", "-o", &options, &at("merged")];
        let mounted = Command::new("mount").args(arguments).output().ok()?;
        mounted.status.success().then_some(Overlay(dir))
    }

    fn at(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.at("merged")).output();
    }
}

#[test]
fn overlay() {
    let Some(overlay) = Overlay::new() else { skip!("no overlayfs for this user") };
    for layer in ["lower", "upper"] {
        let file = File::create(overlay.at(layer).join(layer)).unwrap();
        write_numbered(&file, LEN);
        make_cold(&file).unwrap();
        drop(file);
        let path = overlay.at("merged").join(layer);
        let paged = match options().open(&path) {
            Ok(_) => panic!("a lease on an overlay says nothing of the file below"),
            Err(Error::Unsupported { .. }) => skip!("no userfaultfd"),
            Err(Error::NotImmutable { why }) => {
                println!("seen: {layer}: {why}");
                // SAFETY: nobody writes it.
                unsafe { options().open_assume_immutable(&path) }.unwrap()
            }
            Err(error) => panic!("{error}"),
        };
        println!("seen: {layer}: {:?}", paged.mode());
        check_all(&paged);
        check_all(&paged);
    }
}

#[test]
fn an_empty_file() {
    let file = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
    let paged = Paged::open(file.path()).unwrap();
    assert!(paged.is_empty() && paged.is_resident(..));
    assert_eq!(paged.mode(), PagedMode::Owned);
    assert_eq!(paged.read_at(&mut [0; 9], 0).unwrap(), 0);
    paged.prefetch(..);
    assert!(paged.error().is_none());
}

/// Files in /proc say that they are empty, and so does a mapping of them.
#[test]
fn a_file_in_proc() {
    let paged = Paged::open("/proc/self/status").unwrap();
    assert!(paged.is_empty());
}

#[test]
fn a_directory_and_a_missing_file() {
    assert_eq!(errno(Paged::open("/var/tmp")), ("open", Some(libc::EISDIR)));
    assert_eq!(errno(Paged::open("/var/tmp/no such file")), ("open", Some(libc::ENOENT)));
    assert_eq!(errno(Paged::open("")), ("open", Some(libc::ENOENT)));
    let error = io::Error::from(Paged::open("/var/tmp/no such file").unwrap_err());
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn devices_and_sockets() {
    assert_eq!(errno(Paged::open("/dev/zero")), ("open", Some(libc::EINVAL)));
    assert_eq!(errno(Paged::open("/dev/null")), ("open", Some(libc::EINVAL)));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("socket");
    let _socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
    assert_eq!(errno(Paged::open(&path)), ("open", Some(libc::EINVAL)));
}

fn make_fifo(path: &Path) {
    let path = CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: the path is a C string.
    assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
}

/// Nobody writes to it: waiting for that would be for ever.
#[test]
fn a_fifo_is_refused_at_once() {
    if role().is_none() {
        let child = child_output("fifo");
        assert!(child.status.success(), "{}: it waits", child.status);
        return;
    }
    // SAFETY: no precondition. A child that hangs dies sooner.
    unsafe { libc::alarm(5) };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    make_fifo(&path);
    assert_eq!(errno(Paged::open(&path)), ("open", Some(libc::EINVAL)));
}

/// A disk is read past the page cache, and a file of one byte is a file.
#[test]
fn small_files_on_a_disk() {
    for len in [1, 4095, 4096, 4097] {
        let Some(file) = Named::new(Place::Disk, len) else { skip!("no file on a disk") };
        let Some(paged) = open(&options(), &file.path()) else { return };
        assert!(matches!(
            paged.mode(),
            PagedMode::Userfault { access: Some(Access::Direct | Access::Buffered), .. }
        ));
        check_all(&paged);
    }
}
