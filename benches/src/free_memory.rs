//! Has the host of a virtual machine leave this machine's free memory alone, and puts that back.
//!
//! A host may take back what is free here (free page reporting). Whoever uses such memory next pays for
//! it with faults in the host that count as user time, in whichever run that is: one and the same cold
//! run of 2 GiB took 0.8 or 1.4 s here.

use std::fs::{self, File};
use std::path::Path;

use mmap_ahead::lab;
use rustix::fs::{FlockOperation, flock};

use crate::Error;
use crate::cleanup::{self, OnExit};
use crate::environment::meminfo;

/// Blocks of this order and more are reported to the host (`CONFIG_PAGE_REPORTING`).
const SETTING: &str = "/sys/module/page_reporting/parameters/page_reporting_order";

/// No block of free memory is that large: they end at order 10.
const NEVER: &str = "11";

/// What is left to everybody else while memory is claimed.
const SPARED: u64 = 1 << 30;

/// Free memory that stays here; the old value comes back when this is dropped, or before the
/// process dies of a signal.
#[derive(Debug)]
pub struct FreeMemory {
    // Dropped first: the value is put back while the lock is still held.
    _back: OnExit,
    _lock: File,
}

impl FreeMemory {
    /// Keeps it from now on, and claims what the host has taken already. `None` where the kernel has no
    /// such setting, or another comparison keeps it already.
    ///
    /// # Errors
    /// When this user may not: then the message is the command that may.
    pub fn keep() -> Result<Option<FreeMemory>, Error> {
        let kept = FreeMemory::keep_by(Path::new(SETTING))?;
        if kept.is_some() {
            claim();
        }
        Ok(kept)
    }

    /// Whether a comparison of ours keeps it now.
    #[must_use]
    pub fn is_kept() -> bool {
        fs::read_to_string(SETTING).is_ok_and(|now| now.trim() == NEVER)
    }

    fn keep_by(setting: &Path) -> Result<Option<FreeMemory>, Error> {
        let Ok(before) = fs::read_to_string(setting) else { return Ok(None) };
        let lock = File::open(setting).map_err(Error::at(setting))?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        let name = setting.display().to_string();
        fs::write(setting, NEVER).map_err(|error| {
            let words = "cannot keep free memory from the host";
            Error::failed(format!("{words} ({error}); run: echo {NEVER} | sudo tee {name}"))
        })?;
        let back = cleanup::on_exit(move || {
            if fs::write(&name, before.trim()).is_err() {
                eprintln!("mmap-ahead: cannot restore it; run: echo {} > {name}", before.trim());
            }
        });
        Ok(Some(FreeMemory { _back: back, _lock: lock }))
    }
}

/// What of the `free` memory may be claimed where this process's cgroups leave it so much room: beyond
/// that the kernel would take the page cache of its cgroup back, or kill somebody in it.
fn claimable(free: u64, room: Option<u64>) -> u64 {
    free.min(room.unwrap_or(u64::MAX)).saturating_sub(SPARED)
}

/// Uses all memory that is free for a moment: what the host took is here again.
fn claim() {
    let free = claimable(meminfo("MemFree").unwrap_or(0), lab::memory_room());
    // Where there is no memory for it, there is none to be claimed either.
    if let Ok(mut memory) = memmap2::MmapMut::map_anon(free as usize) {
        // Refused where there are no huge pages: then small ones are claimed.
        let _ = memory.advise(memmap2::Advice::HugePage);
        memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    }
    // Or it would count as the peak of this process, and of every one that it starts (proc(5)).
    let _ = fs::write("/proc/self/clear_refs", "5");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_by_one_and_put_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let value = || fs::read_to_string(file.path()).unwrap();
        fs::write(file.path(), "7\n").unwrap();
        let kept = FreeMemory::keep_by(file.path()).unwrap().expect("it can be kept");
        assert_eq!(value(), NEVER);
        assert!(FreeMemory::keep_by(file.path()).unwrap().is_none(), "somebody keeps it already");
        drop(kept);
        assert_eq!(value(), "7");
    }

    #[test]
    fn no_more_is_claimed_than_a_cgroup_leaves_room_for() {
        let gib = |count: u64| count << 30;
        assert_eq!(claimable(gib(20), None), gib(19));
        assert_eq!(claimable(gib(20), Some(gib(4))), gib(3));
        assert_eq!(claimable(gib(2), Some(gib(4))), gib(1));
        for room in [Some(gib(1)), Some(512 << 20), Some(0)] {
            assert_eq!(claimable(gib(20), room), 0, "{room:?}");
        }
    }

    #[test]
    fn a_kernel_without_the_setting_keeps_nothing() {
        assert!(FreeMemory::keep_by(Path::new("/sys/module/none/there")).unwrap().is_none());
    }
}
