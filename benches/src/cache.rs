//! Brings a file out of the page cache, or into it, and checks that it is.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use mmap_ahead::lab;
use rustix::fs::{Advice, fadvise, fsync};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use crate::random::Rng;
use crate::{Error, device};

/// The most of a cold file that may be in the cache.
const COLD_SHARE_MAX: f64 = 0.01;

/// The least of a warm file that must be in the cache.
const WARM_SHARE_MIN: f64 = 0.99;

/// How often a file is dropped before it is called stuck; writeback and other readers end in time.
const DROPS_MAX: u32 = 20;

/// How many pages are asked for one by one where cachestat(2) does not answer.
const SAMPLES: u64 = 256;

/// In which state of the page cache a run starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheState {
    /// Less than 1% of the file is in the page cache.
    Cold,
    /// At least 99% of it is.
    Warm,
    /// Whatever was found.
    AsIs,
}

impl CacheState {
    /// The name in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            CacheState::Cold => "cold",
            CacheState::Warm => "warm",
            CacheState::AsIs => "as-is",
        }
    }

    /// Brings the file into this state, and tells the share of it that is cached then; none where
    /// no state was asked for.
    ///
    /// # Errors
    /// When it does not get there; cold on a file system in memory.
    pub fn prepare(self, path: &Path) -> Result<Option<f64>, Error> {
        match self {
            CacheState::Cold => make_cold(path).map(Some),
            CacheState::Warm => make_warm(path).map(Some),
            CacheState::AsIs => Ok(None),
        }
    }

    /// The share of the file that is cached after a run; an error when a run from a warm cache has
    /// lost some of it, since then it was none.
    ///
    /// # Errors
    /// Those of looking.
    pub fn check_after(self, path: &Path) -> Result<Option<f64>, Error> {
        if self == CacheState::AsIs {
            return Ok(None);
        }
        let file = File::open(path).map_err(Error::at(path))?;
        let share = cached_share(&file).map_err(Error::at(path))?;
        if self == CacheState::Warm && share < WARM_SHARE_MIN {
            let percent = share * 100.0;
            let words = "is cached after a warm run; is there enough memory?";
            return Err(Error::failed(format!("{}: only {percent:.1}% {words}", path.display())));
        }
        Ok(Some(share))
    }
}

impl fmt::Display for CacheState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CacheState {
    type Err = Error;

    fn from_str(text: &str) -> Result<CacheState, Error> {
        match text {
            "cold" => Ok(CacheState::Cold),
            "warm" => Ok(CacheState::Warm),
            _ => Err(Error::Usage(format!("unknown cache state `{text}`; known: cold, warm"))),
        }
    }
}

/// The share of the file in the page cache, 0 to 1.
///
/// Where cachestat(2) says nothing (older kernels; files that the caller neither owns nor may
/// write, TRAPS 3), 256 seeded pages are tried with preadv2(RWF_NOWAIT), which brings at most those
/// pages in.
///
/// # Errors
/// When neither way answers.
pub fn cached_share(file: &File) -> io::Result<f64> {
    let len = file.metadata()?.len();
    let page = rustix::param::page_size() as u64;
    if len == 0 {
        return Ok(0.0);
    }
    match lab::cached(file) {
        Ok(view) => Ok(view.cached_pages as f64 / len.div_ceil(page) as f64),
        Err(_) => sampled_share(file, len.div_ceil(page), page),
    }
}

fn sampled_share(file: &File, pages: u64, page: u64) -> io::Result<f64> {
    // Without read-ahead, a page that is asked for brings in no neighbours.
    fadvise(file, 0, None, Advice::Random)?;
    let mut rng = Rng::new(pages);
    let mut present = 0u32;
    for _ in 0..SAMPLES {
        let mut byte = [0u8];
        let buffer = &mut [IoSliceMut::new(&mut byte)];
        match preadv2(file, buffer, rng.below(pages) * page, ReadWriteFlags::NOWAIT) {
            Ok(_) => present += 1,
            Err(Errno::AGAIN) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(f64::from(present) / SAMPLES as f64)
}

/// Writes the file back, drops it from the cache, and verifies that it went.
fn make_cold(path: &Path) -> Result<f64, Error> {
    let kind = device::file_system(path)?;
    if device::is_memory(&kind) {
        return Err(Error::failed(format!(
            "{}: lies on {kind}, where cold means nothing; use --cache warm or a file on a disk",
            path.display()
        )));
    }
    let file = File::open(path).map_err(Error::at(path))?;
    let mut share = 1.0;
    for attempt in 0..DROPS_MAX {
        thread::sleep(Duration::from_millis(10) * attempt);
        share = drop_once(&file).map_err(Error::at(path))?;
        if share < COLD_SHARE_MAX {
            return Ok(share);
        }
    }
    Err(Error::failed(format!(
        "{}: {:.1}% stays in the page cache; does another program map it?",
        path.display(),
        share * 100.0
    )))
}

fn drop_once(file: &File) -> io::Result<f64> {
    fsync(file)?;
    fadvise(file, 0, None, Advice::DontNeed)?;
    cached_share(file)
}

/// Reads the file through read(2) unless it is in the cache already, and verifies that it stayed.
fn make_warm(path: &Path) -> Result<f64, Error> {
    let file = File::open(path).map_err(Error::at(path))?;
    let cached = || cached_share(&file).map_err(Error::at(path));
    let mut share = cached()?;
    for _ in 0..2 {
        if share < WARM_SHARE_MIN {
            read_all(&file).map_err(Error::at(path))?;
            share = cached()?;
        }
    }
    if share >= WARM_SHARE_MIN {
        return Ok(share);
    }
    let words = "stays in the page cache after reading it; is there enough memory?";
    Err(Error::failed(format!("{}: only {:.1}% {words}", path.display(), share * 100.0)))
}

fn read_all(file: &File) -> io::Result<()> {
    let mut buffer = vec![0u8; 1 << 20];
    let mut offset = 0;
    loop {
        match file.read_at(&mut buffer, offset)? {
            0 => return Ok(()),
            read => offset += read as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn cold_is_refused_on_tmpfs() {
        let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
            eprintln!("SKIPPED: /dev/shm cannot be written");
            return;
        };
        let path = dir.path().join("file");
        fs::write(&path, [1; 8192]).unwrap();
        if !device::is_memory(&device::file_system(&path).unwrap()) {
            eprintln!("SKIPPED: /dev/shm is not tmpfs");
            return;
        }
        let error = CacheState::Cold.prepare(&path).unwrap_err().to_string();
        assert!(error.contains("tmpfs") && error.contains("cold means nothing"), "{error}");
    }

    #[test]
    fn a_file_on_disk_gets_cold_and_warm_again() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let path = dir.path().join("file");
        fs::write(&path, vec![7; 4 << 20]).unwrap();
        if device::is_memory(&device::file_system(&path).unwrap()) {
            eprintln!("SKIPPED: /var/tmp is in memory");
            return;
        }
        let file = File::open(&path).unwrap();
        CacheState::Cold.prepare(&path).unwrap();
        assert!(cached_share(&file).unwrap() < COLD_SHARE_MAX);
        CacheState::Warm.prepare(&path).unwrap();
        assert!(cached_share(&file).unwrap() >= WARM_SHARE_MIN);
    }

    #[test]
    fn samples_agree_with_cachestat() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let path = dir.path().join("file");
        fs::write(&path, vec![7; 32 << 20]).unwrap();
        let file = File::open(&path).unwrap();
        if lab::cached(&file).is_err() || CacheState::Cold.prepare(&path).is_err() {
            eprintln!("SKIPPED: no cachestat, or no disk, to compare with");
            return;
        }
        let pages = (32 << 20) / rustix::param::page_size() as u64;
        let page = rustix::param::page_size() as u64;
        assert!(sampled_share(&file, pages, page).unwrap() < 0.1);
        CacheState::Warm.prepare(&path).unwrap();
        assert!(sampled_share(&file, pages, page).unwrap() > WARM_SHARE_MIN);
    }
}
