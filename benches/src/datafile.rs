//! The file that is read: every page holds its own index and seeded noise.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::cleanup::OnExit;
use crate::random::{Rng, mix};
use crate::{Error, cleanup, device, size};

/// The pages of a data file: 4 KiB, whatever the kernel's are.
const PAGE: usize = 4096;

/// How many bytes are made and written at a time.
const PIECE: usize = 1 << 20;

/// How many pages of a file that is already there are looked at before it is used again.
const SAMPLES: u64 = 256;

/// What becomes of a file that was made, at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// It is removed, also on a signal.
    Remove,
    /// It stays, and the next run takes it as it is.
    Keep,
}

/// A file to read; removed at the end when this laboratory made it.
#[derive(Debug)]
pub struct DataFile {
    path: PathBuf,
    len: u64,
    _removal: Option<OnExit>,
}

impl DataFile {
    /// A file of somebody else's, which is never changed.
    ///
    /// # Errors
    /// One line naming the file when it cannot be read, is a directory or special, or is empty.
    pub fn given(path: &Path) -> Result<DataFile, Error> {
        let len = readable_len(path)?;
        Ok(DataFile { path: path.to_owned(), len, _removal: None })
    }

    /// A file of `len` bytes in `dir`, made from `seed`, written and synced. One that is there
    /// already and right is taken as it is, and then never removed.
    ///
    /// # Errors
    /// When the directory has no room for it, or cannot be written.
    pub fn make(
        dir: &Path,
        len: u64,
        seed: u64,
        afterwards: Afterwards,
    ) -> Result<DataFile, Error> {
        let path = dir.join(format!("mmap-ahead-{}-seed{seed}.dat", size::exact(len)));
        if is_right(&path, len, seed) {
            return Ok(DataFile { path, len, _removal: None });
        }
        DataFile::make_with(&path, len, afterwards, |part| write_file(part, len, seed))
    }

    /// A file of about `len` bytes at `path`, which `write` writes and syncs under another name
    /// first: whoever finds it finds it whole.
    ///
    /// # Errors
    /// As [`make`](DataFile::make).
    pub fn make_with(
        path: &Path,
        len: u64,
        afterwards: Afterwards,
        write: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<DataFile, Error> {
        check_room(path.parent().unwrap_or(Path::new(".")), len)?;
        let part = path.with_extension("part");
        let unfinished = cleanup::on_exit(remover(&part));
        write(&part).map_err(Error::at(&part))?;
        let removal = (afterwards == Afterwards::Remove).then(|| cleanup::on_exit(remover(path)));
        fs::rename(&part, path).map_err(Error::at(path))?;
        drop(unfinished);
        Ok(DataFile { path: path.to_owned(), len: readable_len(path)?, _removal: removal })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its length in bytes, as it was when it was looked at.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.len
    }
}

/// The length of a regular file that this user may read and that is not empty.
///
/// # Errors
/// One line naming the file.
pub fn readable_len(path: &Path) -> Result<u64, Error> {
    let meta = fs::metadata(path).map_err(Error::at(path))?;
    let problem = if meta.is_dir() {
        Some("is a directory")
    } else if !meta.is_file() {
        Some("is not a regular file")
    } else {
        None
    };
    if let Some(problem) = problem {
        return Err(Error::failed(format!("{}: {problem}", path.display())));
    }
    File::open(path).map_err(Error::at(path))?;
    match meta.len() {
        0 => Err(Error::failed(format!("{}: is empty, there is nothing to read", path.display()))),
        len => Ok(len),
    }
}

/// Fills `page` with the content of page `index` of the file made from `seed`: its index, then
/// noise.
pub fn fill_page(seed: u64, index: u64, page: &mut [u8]) {
    let mut rng = Rng::new(mix(seed).wrapping_add(mix(index)));
    let mut word = index;
    for lane in page.chunks_mut(8) {
        lane.copy_from_slice(&word.to_le_bytes()[..lane.len()]);
        word = rng.next_u64();
    }
}

fn remover(path: &Path) -> impl FnOnce() + Send + 'static {
    let path = path.to_owned();
    move || {
        // Nothing is left to do about a file that does not go away, or is gone already.
        let _ = fs::remove_file(path);
    }
}

/// Ten percent more than the file needs, so that the disk is never filled to the brim.
fn check_room(dir: &Path, len: u64) -> Result<(), Error> {
    let free = device::free_bytes(dir)?;
    let needed = len + len / 10;
    if free >= needed {
        return Ok(());
    }
    Err(Error::failed(format!(
        "{}: {} free, and a file of {} wants {}; choose another --dir or a smaller --size",
        dir.display(),
        size::rounded(free),
        size::rounded(len),
        size::rounded(needed)
    )))
}

fn write_file(path: &Path, len: u64, seed: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let mut piece = vec![0u8; PIECE];
    let mut written = 0;
    while written < len {
        let want = usize::try_from(len - written).unwrap_or(PIECE).min(PIECE);
        for (page, index) in piece[..want].chunks_mut(PAGE).zip(written / PAGE as u64..) {
            fill_page(seed, index, page);
        }
        file.write_all(&piece[..want])?;
        written += want as u64;
    }
    file.sync_all()
}

/// Whether a file of this length is there whose sampled pages are right. A file gets its name only
/// when it is whole, so that samples are enough.
fn is_right(path: &Path, len: u64, seed: u64) -> bool {
    let pages = len.div_ceil(PAGE as u64);
    let Ok(file) = File::open(path) else {
        return false;
    };
    let mut rng = Rng::new(seed);
    let sample = (0..SAMPLES).map(|_| rng.below(pages)).chain([0, pages - 1]);
    file.metadata().is_ok_and(|meta| meta.len() == len)
        && sample.into_iter().all(|index| page_is_right(&file, index, len, seed))
}

fn page_is_right(file: &File, index: u64, len: u64, seed: u64) -> bool {
    let offset = index * PAGE as u64;
    let want = usize::try_from(len - offset).unwrap_or(PAGE).min(PAGE);
    let (mut found, mut right) = ([0u8; PAGE], [0u8; PAGE]);
    fill_page(seed, index, &mut right[..want]);
    file.read_exact_at(&mut found[..want], offset).is_ok() && found == right
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: u64 = (1 << 20) + 4096 + 100;

    #[test]
    fn every_page_holds_its_own_index() {
        let dir = tempfile::tempdir().unwrap();
        let made = DataFile::make(dir.path(), LEN, 4, Afterwards::Remove).unwrap();
        let bytes = fs::read(made.path()).unwrap();
        assert_eq!(bytes.len() as u64, LEN);
        for (index, page) in (0u64..).zip(bytes.chunks(PAGE)) {
            assert_eq!(page[..8], index.to_le_bytes());
        }
        assert_ne!(bytes[8..16], bytes[4096 + 8..4096 + 16], "the noise repeats");
    }

    #[test]
    fn a_right_file_is_used_again_and_a_wrong_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = DataFile::make(dir.path(), LEN, 4, Afterwards::Keep).unwrap().path;
        let made = fs::metadata(&path).unwrap().modified().unwrap();
        drop(DataFile::make(dir.path(), LEN, 4, Afterwards::Remove).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), made, "it was written again");
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(b"other", LEN - 50).unwrap();
        let again = DataFile::make(dir.path(), LEN, 4, Afterwards::Remove).unwrap();
        assert!(is_right(again.path(), LEN, 4));
    }

    #[test]
    fn a_made_file_goes_away_and_a_given_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let made = DataFile::make(dir.path(), LEN, 4, Afterwards::Remove).unwrap();
        let path = made.path().to_owned();
        let given = DataFile::given(&path).unwrap();
        assert_eq!(given.size(), LEN);
        drop(given);
        assert!(path.exists());
        drop(made);
        assert!(!path.exists());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_disk_without_room_is_said_so() {
        let dir = tempfile::tempdir().unwrap();
        let error = DataFile::make(dir.path(), 1 << 60, 1, Afterwards::Remove).unwrap_err();
        assert!(error.to_string().contains("free"), "{error}");
    }
}
