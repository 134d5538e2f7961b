//! Records whose append returned are on the disk, through msync(2): a file system on a loop device, whose
//! backing file is copied right after an append and mounted elsewhere (TRAPS 30). It needs root.
//!
//! It fails when an append persists too little, and when a log that persists nothing loses nothing: then
//! the test itself sees nothing.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mmap_ahead_bench::random::Rng;
use mmap_ahead_extras::pmem::{AppendLog, Medium, Pmem};
use tempfile::TempDir;

const IMAGE_LEN: u64 = 16 << 20;
const LOG_LEN: u64 = 256 << 10;
const CRASHES: usize = 12;

fn run(program: &str, arguments: &[&Path]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let words = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", words.trim())) }
}

/// An image that is mounted until this is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn new(image: &Path, at: PathBuf) -> Result<Mounted, String> {
        fs::create_dir_all(&at).map_err(|error| error.to_string())?;
        run("mount", &["-o".as_ref(), "loop".as_ref(), image, &at])?;
        Ok(Mounted(at))
    }

    fn log(&self) -> PathBuf {
        self.0.join("log")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run("umount", &[&self.0]).unwrap();
    }
}

/// A disk with an ext4 and, on it, a file for a log. Unmounted before its folder goes.
struct Disk {
    mounted: Mounted,
    dir: TempDir,
}

impl Disk {
    fn new() -> Result<Disk, String> {
        let words = |error: io::Error| error.to_string();
        let dir = tempfile::tempdir_in("/dev/shm").map_err(words)?;
        let image = dir.path().join("image");
        File::create(&image).and_then(|file| file.set_len(IMAGE_LEN)).map_err(words)?;
        run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), &image])?;
        let mounted = Mounted::new(&image, dir.path().join("disk"))?;
        let file = File::create(mounted.log()).map_err(words)?;
        file.set_len(LOG_LEN).and_then(|()| file.sync_all()).map_err(words)?;
        Ok(Disk { mounted, dir })
    }

    /// The records that are there when the machine loses its memory now.
    fn after_a_crash(&self) -> Vec<Vec<u8>> {
        let (image, copy) = (self.dir.path().join("image"), self.dir.path().join("copy"));
        run("cp", &["--sparse=always".as_ref(), &image, &copy]).unwrap();
        let mounted = Mounted::new(&copy, self.dir.path().join("after")).unwrap();
        AppendLog::open(pmem(&mounted.log())).unwrap().records().collect()
    }
}

fn pmem(path: &Path) -> Pmem {
    Pmem::map(&File::options().read(true).write(true).open(path).unwrap()).unwrap()
}

/// Persists nothing.
struct Forgetful(Pmem);

impl Medium for Forgetful {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) {
        self.0.read(offset, bytes);
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.0.write(offset, bytes);
    }

    fn load(&self, offset: usize) -> u64 {
        self.0.load(offset)
    }

    fn store(&mut self, offset: usize, value: u64) {
        self.0.store(offset, value);
    }

    fn persist(&mut self, _: Range<usize>) -> io::Result<()> {
        Ok(())
    }
}

/// In how many of the crashes a record is gone.
fn losses<M: Medium>(disk: &Disk, medium: M) -> usize {
    let mut rng = Rng::new(5);
    let mut log = AppendLog::open(medium).unwrap();
    let mut written: Vec<Vec<u8>> = Vec::new();
    let crash = |_| {
        for _ in 0..1 + rng.below(5) {
            let record: Vec<u8> = (0..rng.below(3000)).map(|_| rng.next_u64() as u8).collect();
            log.append(&record).unwrap();
            written.push(record);
        }
        disk.after_a_crash() != written
    };
    (0..CRASHES).map(crash).filter(|is_lost| *is_lost).count()
}

#[test]
fn every_record_whose_append_returned_is_on_the_disk() {
    for forgets in [false, true] {
        let disk = match Disk::new() {
            Ok(disk) => disk,
            Err(why) => return eprintln!("SKIPPED: no loop device with an ext4 here: {why}"),
        };
        let medium = pmem(&disk.mounted.log());
        match forgets {
            false => assert_eq!(losses(&disk, medium), 0),
            true => assert!(losses(&disk, Forgetful(medium)) > 0, "the test sees nothing"),
        }
    }
}
