//! Sets a disk's `read_ahead_kb` and puts it back on every exit.

use std::fs::{self, File};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::cleanup::{self, OnExit};
use crate::device::Disk;
use crate::{Error, size};

/// A changed `read_ahead_kb`; the old value comes back when this is dropped, or before the process
/// dies of a signal.
///
/// While it lives, no other comparison can change the same disk: two that interleave would put back
/// each other's values.
#[derive(Debug)]
pub struct ReadAhead {
    // Dropped first: the value is put back while the lock is still held.
    _back: OnExit,
    _lock: File,
}

impl ReadAhead {
    /// Sets the value of the disk under `path`, in KiB. Files opened from now on follow it.
    ///
    /// # Errors
    /// When there is no such disk, somebody else is changing it, or this user may not: then the
    /// message is the command that may.
    pub fn set(path: &Path, kib: u64) -> Result<ReadAhead, Error> {
        let disk = Disk::under(path).ok_or_else(|| {
            Error::failed(format!("{}: lies on no disk that has a read_ahead_kb", path.display()))
        })?;
        let setting = disk.read_ahead_kb.clone();
        let lock = File::open(&setting).map_err(Error::at(&setting))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).map_err(|_| {
            Error::failed(format!("another run is changing read_ahead_kb of {}", disk.name))
        })?;
        let before = disk.read_ahead()?;
        let restore = setting.clone();
        let back = cleanup::on_exit(move || put_back(&restore, before));
        fs::write(&setting, kib.to_string()).map_err(|_| refusal(&setting, kib))?;
        let now = disk.read_ahead()?;
        if now != kib {
            let name = &disk.name;
            return Err(Error::failed(format!("{name} made {now} out of read_ahead_kb {kib}")));
        }
        Ok(ReadAhead { _back: back, _lock: lock })
    }
}

fn put_back(setting: &Path, kib: u64) {
    let changed = fs::read_to_string(setting).is_ok_and(|now| now.trim() != kib.to_string());
    if changed && fs::write(setting, kib.to_string()).is_err() {
        let setting = setting.display();
        eprintln!("mmap-ahead: cannot restore it; run: echo {kib} > {setting}");
    }
}

fn refusal(setting: &Path, kib: u64) -> Error {
    let size = size::exact(kib << 10);
    Error::failed(format!(
        "setting read-ahead to {size} needs root; run: echo {kib} | sudo tee {}",
        setting.display()
    ))
}
