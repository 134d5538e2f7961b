//! Where files are made.

use std::path::{Path, PathBuf};

use mmap_ahead_bench::environment::meminfo;
use mmap_ahead_bench::{Error, device, size};

/// A directory on a real disk: /var/tmp, or the current one where that is in memory or missing.
pub(crate) fn default_dir() -> PathBuf {
    let temporary = Path::new("/var/tmp");
    match is_in_memory(temporary) {
        Ok(false) => temporary.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Whether a directory lies on tmpfs or the like.
pub(crate) fn is_in_memory(dir: &Path) -> Result<bool, Error> {
    device::file_system(dir).map(|name| device::is_memory(&name))
}

/// A directory in memory that takes a file of `len` bytes and leaves as much memory free.
///
/// # Errors
/// The reason why there is none, in words.
pub(crate) fn memory_dir(len: u64) -> Result<PathBuf, String> {
    let dir = PathBuf::from("/dev/shm");
    if !is_in_memory(&dir).unwrap_or(false) {
        return Err("/dev/shm is not tmpfs here".to_owned());
    }
    if rustix::fs::access(&dir, rustix::fs::Access::WRITE_OK).is_err() {
        return Err("/dev/shm may not be written".to_owned());
    }
    let free = device::free_bytes(&dir).unwrap_or(0);
    let available = meminfo("MemAvailable").unwrap_or(0);
    if free < len + len / 10 || available < 2 * len {
        return Err(format!(
            "there is not enough memory ({} in /dev/shm, {} available)",
            size::rounded(free),
            size::rounded(available)
        ));
    }
    Ok(dir)
}
