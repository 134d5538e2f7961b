//! A disk of the test's own: a file system on a loop device. Needs root.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mmap_ahead::{MmapMut, MmapOptions};

/// Where the images are: a file system that can hold them without a disk of its own.
const DIR: &str = "/dev/shm";

/// Mounted until it is dropped.
pub(crate) struct Mounted {
    at: PathBuf,
}

impl Mounted {
    pub(crate) fn new(image: &Path, at: PathBuf) -> Result<Mounted, String> {
        fs::create_dir_all(&at).map_err(|error| error.to_string())?;
        run("mount", &["-o", "loop", path(image), path(&at)])?;
        Ok(Mounted { at })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.at.join("file")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A block that is being read for a mapping that is gone, or a process that is just being started, may
        // hold it for a moment longer.
        let end = Instant::now() + Duration::from_secs(2);
        while let Err(why) = run("umount", &[path(&self.at)]) {
            assert!(Instant::now() < end, "{why}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

pub(crate) fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new(program);
    let output = command.args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    let message = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{program}: {}", message.trim())) }
}

/// A disk of its own, with an ext4.
pub(crate) struct Disk {
    pub(crate) dir: tempfile::TempDir,
    mounted: Option<Mounted>,
}

impl Disk {
    pub(crate) fn new(len: u64) -> Result<Disk, String> {
        Disk::in_folder(DIR.as_ref(), len)
    }

    /// Its image lies in `folder`, and has no blocks but those that were written.
    pub(crate) fn in_folder(folder: &Path, len: u64) -> Result<Disk, String> {
        let dir = tempfile::tempdir_in(folder).map_err(|error| error.to_string())?;
        let image = dir.path().join("image");
        File::create(&image).and_then(|file| file.set_len(len)).map_err(|e| e.to_string())?;
        run("mkfs.ext4", &["-q", "-F", path(&image)])?;
        let mounted = Some(Mounted::new(&image, dir.path().join("disk"))?);
        Ok(Disk { dir, mounted })
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.mounted.as_ref().unwrap().file()
    }

    /// The file, made anew with `len` bytes, and mapped.
    pub(crate) fn map(&self, len: usize, is_kept: bool) -> MmapMut {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(self.file());
        let file = file.unwrap();
        file.set_len(len as u64).unwrap();
        file.sync_all().unwrap();
        let mut options = MmapOptions::new();
        if is_kept {
            options.keep_file();
        }
        // SAFETY: nobody else knows the file.
        unsafe { options.map_mut(&file) }.unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Unmounted before its folder goes.
        self.mounted = None;
    }
}
