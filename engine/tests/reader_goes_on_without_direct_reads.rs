//! Direct reads that cannot be had, or fail, or are the parent's, leave plain pread(2): every byte
//! is read, and an error comes from the read that reaches it.
//!
//! It fails when a refusal becomes an error, when a child waits for its parent's reads, when an
//! error is returned early, or when a lock of the caller is lost.

mod common;

use std::fs::{self, File};
use std::io::{BufRead, Read, Seek};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use common::{MIB, Place, in_child, limit_descriptors, make_cold, page, role, skip};
use mmap_ahead::{ReadPath, Reader};

const LEN: usize = 48 * MIB;

fn cold() -> Option<File> {
    let file = Place::Disk.numbered(LEN)?;
    make_cold(&file).map_err(|why| println!("SKIPPED: {why}")).ok()?;
    std::thread::sleep(Duration::from_millis(30));
    Some(file)
}

fn reader(file: &File) -> Reader {
    let mut own = file.try_clone().unwrap();
    own.rewind().unwrap();
    Reader::from_file(own)
}

/// A page as `numbered` wrote it.
fn check(bytes: &[u8], index: usize) {
    assert_eq!(bytes[..8], (index as u64).to_ne_bytes(), "the number of page {index}");
    assert!((8..page()).all(|at| bytes[at] == (at % 251) as u8), "the bytes of page {index}");
}

/// Reads on from a page's start to the end; whether every page is the right one.
fn is_right_to_the_end(reader: &mut Reader) -> bool {
    let mut index = reader.stream_position().unwrap() as usize / page();
    let mut bytes = vec![0; page()];
    while index < LEN / page() {
        if reader.read_exact(&mut bytes).is_err() {
            return false;
        }
        check(&bytes, index);
        index += 1;
    }
    reader.read(&mut bytes).is_ok_and(|len| len == 0)
}

#[test]
fn a_forked_child_reads_on_and_so_does_its_parent() {
    if role().is_none() {
        return in_child("fork");
    }
    let Some(file) = cold() else { return };
    let mut reader = reader(&file);
    reader.read_exact(&mut vec![0; 30 * MIB]).unwrap();
    if reader.stats().path != ReadPath::Direct {
        skip!("no direct reads here: {:?}", reader.stats());
    }
    reader.fill_buf().unwrap();
    // SAFETY: one thread of this process runs tests, and the child ends without unwinding.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0);
    if pid == 0 {
        let right = is_right_to_the_end(&mut reader);
        let path = reader.stats().path;
        drop(reader);
        let status = if right && path == ReadPath::Pread { 0 } else { 1 };
        // SAFETY: ends the child at once and has no precondition.
        unsafe { libc::_exit(status) };
    }
    let mut status = -1;
    // SAFETY: `status` is writable, and `pid` is a child of this process.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert_eq!(status, 0);
    assert!(is_right_to_the_end(&mut reader));
    assert_eq!(reader.stats().path, ReadPath::Direct);
}

#[test]
fn without_descriptors_it_is_pread() {
    if role().is_none() {
        return in_child("descriptors");
    }
    let Some(file) = cold() else { return };
    let mut reader = reader(&file);
    // The limit is on the numbers of descriptors, not on how many there are: what starts the tests may
    // leave some open with higher numbers, and then there are lower ones to be had.
    let lowest_free = file.try_clone().unwrap().as_raw_fd() as u64;
    limit_descriptors(lowest_free);
    assert!(is_right_to_the_end(&mut reader));
    assert_eq!((reader.stats().path, reader.stats().direct_bytes), (ReadPath::Pread, 0));
}

/// Closing any descriptor of a file gives up the process's fcntl(2) locks on it: none may be closed
/// before the reader is dropped.
#[test]
fn a_lock_of_the_caller_survives() {
    if role().is_none() {
        return in_child("lock");
    }
    let Some(file) = cold() else { return };
    let mut reader = reader(&file);
    // SAFETY: a structure of numbers.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = libc::F_RDLCK as _;
    let fd = file.as_raw_fd();
    // SAFETY: the structure is readable.
    assert_eq!(unsafe { libc::fcntl(fd, libc::F_SETLK, &raw const lock) }, 0);
    reader.read_exact(&mut vec![0; 30 * MIB]).unwrap();
    if reader.stats().path != ReadPath::Direct {
        skip!("no direct reads here: {:?}", reader.stats());
    }
    assert!(is_right_to_the_end(&mut reader));
    file.set_len(LEN as u64 / 2).unwrap();
    reader.rewind().unwrap();
    reader.read_to_end(&mut Vec::new()).unwrap();
    let locks = fs::read_to_string("/proc/locks").unwrap();
    let mine = format!(" {} ", std::process::id());
    assert!(locks.lines().any(|line| line.contains("POSIX") && line.contains(&mine)), "{locks}");
}

fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// A mounted ext4 on a loop device, torn down at the end.
struct Loop(tempfile::TempDir, String);

impl Loop {
    fn new() -> Option<Loop> {
        let dir = tempfile::tempdir_in("/var/tmp").ok()?;
        let (image, mount) = (dir.path().join("image"), dir.path().join("mount"));
        File::create(&image).ok()?.set_len(256 << 20).ok()?;
        fs::create_dir(&mount).ok()?;
        run("mkfs.ext4", &["-q", "-b", "4096", "-O", "^has_journal", image.to_str()?])?;
        let device = run("losetup", &["--find", "--show", "--direct-io=on", image.to_str()?])?;
        let disk = Loop(dir, device);
        run("mount", &[&disk.1, mount.to_str()?])?;
        Some(disk)
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        run("umount", &["-l", self.0.path().join("mount").to_str().unwrap()]);
        run("losetup", &["-d", &self.1]);
    }
}

/// Where the first 4 KiB of `file` lie on its disk (FIBMAP).
fn first_block(file: &File) -> Option<u64> {
    let mut block: libc::c_int = 0;
    let fd = file.as_raw_fd();
    // SAFETY: FIBMAP reads and writes one int.
    let result = unsafe { libc::ioctl(fd, 1, &raw mut block) };
    (result == 0 && block > 0).then_some(block as u64)
}

#[test]
fn an_error_of_the_disk_comes_from_the_read_that_reaches_it() {
    let Some(disk) = Loop::new() else { skip!("no loop devices for this user") };
    let path = disk.0.path().join("mount/data");
    let file = fs::OpenOptions::new().create_new(true).read(true).write(true).open(&path).unwrap();
    common::write_numbered(&file, 128 * MIB);
    if let Err(why) = make_cold(&file) {
        skip!("{why}");
    }
    let Some(block) = first_block(&file) else { skip!("no FIBMAP here") };
    std::thread::sleep(Duration::from_millis(30));
    let mut reader = Reader::open(&path).unwrap();
    reader.read_exact(&mut vec![0; 24 * MIB]).unwrap();
    assert_eq!(reader.stats().path, ReadPath::Direct, "{:?}", reader.stats());
    // From here the disk is gone: what lies 100 MiB into the file can be read no more.
    cut(&disk.0.path().join("image"), block * 4096 + 100 * MIB as u64);
    let mut bytes = vec![0; page()];
    let mut index = 24 * MIB / page();
    let error = loop {
        match reader.read_exact(&mut bytes) {
            Ok(()) => check(&bytes, index),
            Err(error) => break error,
        }
        index += 1;
    };
    assert_eq!(error.raw_os_error(), Some(libc::EIO), "{error}");
    let plain = File::open(&path).unwrap();
    assert!(
        plain.read_at(&mut bytes, (index * page()) as u64).is_err(),
        "page {index} can be read"
    );
    assert!(index * page() >= 96 * MIB, "page {index} is too early");
}

/// A loop device answers reads beyond the end of its file with EIO.
fn cut(image: &Path, len: u64) {
    fs::OpenOptions::new().write(true).open(image).unwrap().set_len(len).unwrap();
}
