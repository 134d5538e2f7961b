//! A file that is cut under its mapping, and the error that says so.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mmap_ahead::{Error, Loss, Mmap, MmapMut, MmapOptions};
use tempfile::TempDir;

use super::Place;

/// A file with a name, full of the byte 7.
pub(crate) struct Named {
    pub(crate) dir: TempDir,
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    len: usize,
}

impl Named {
    pub(crate) fn new(place: Place, len: usize) -> Named {
        let dir = place.folder();
        let path = dir.path().join("a file");
        fs::write(&path, vec![7; len]).unwrap();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        Named { dir, path, file, len }
    }

    pub(crate) fn map(&self, options: &MmapOptions) -> Mmap {
        // SAFETY: what this test does to the file meanwhile is what it is about; the slices of bytes
        // that changed are not looked at, but where the guard or the kernel says what is in them.
        unsafe { options.map(&self.file) }.unwrap()
    }

    pub(crate) fn map_mut(&self, options: &MmapOptions) -> MmapMut {
        // SAFETY: as above.
        unsafe { options.map_mut(&self.file) }.unwrap()
    }

    pub(crate) fn cut(&self, len: usize) {
        self.file.set_len(len as u64).unwrap();
    }

    pub(crate) fn grow_again(&self) {
        self.file.write_all_at(&vec![7; self.len], 0).unwrap();
    }
}

/// The error is of this file, offset and cause, and says so.
#[track_caller]
pub(crate) fn is_vanished<T: std::fmt::Debug>(
    answer: Result<T, Error>,
    path: &Path,
    at: usize,
    why: Loss,
) {
    let error = answer.expect_err("bytes that are not there");
    let Error::Vanished { file, offset, loss } = &error else { panic!("{error}") };
    assert_eq!((file.as_path(), *offset, *loss), (path, at as u64, why), "{error}");
    let text = error.to_string();
    assert!(text.contains(&format!("{}: no bytes at offset {at}", path.display())), "{text}");
}

pub(crate) fn past(len: usize) -> Loss {
    Loss::PastEnd { len: len as u64 }
}

pub(crate) fn guarded() -> MmapOptions {
    let mut options = MmapOptions::new();
    options.guard_sigbus();
    options
}
