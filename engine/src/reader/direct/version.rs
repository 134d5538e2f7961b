//! Whether a file is still the one whose bytes were read ahead.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// Two changes may get the same time if the clock of the file system did not tick between them: two
/// ticks of the slowest kernel clock (100 Hz). Since Linux 6.13 ext4, xfs, btrfs and tmpfs tell all
/// changes apart.
const TICK: Duration = Duration::from_millis(20);

/// The same, where times are whole seconds (ext4 with small inodes; FAT counts by two).
const TICK_COARSE: Duration = Duration::from_secs(3);

/// What changes whenever a file's bytes do. Source: inode(7); Documentation/filesystems/multigrain-ts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Version {
    pub(super) fn of(file: &File) -> io::Result<Version> {
        let metadata = file.metadata()?;
        Ok(Version {
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }

    /// Whether every later change will give another version: the last one is long enough ago.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        let (seconds, nanoseconds) = self.changed;
        let tick = if nanoseconds == 0 { TICK_COARSE } else { TICK };
        let Ok(seconds) = u64::try_from(seconds) else { return false };
        let changed = SystemTime::UNIX_EPOCH
            + Duration::from_secs(seconds)
            + Duration::from_nanos(nanoseconds.unsigned_abs());
        now.duration_since(changed).is_ok_and(|age| age >= tick)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_settled_once_the_clock_has_ticked() {
        let at = |seconds, nanoseconds| Version {
            len: 1,
            modified: (0, 0),
            changed: (seconds, nanoseconds),
        };
        let now = SystemTime::UNIX_EPOCH + Duration::new(1000, 30_000_000);
        assert!(at(1000, 10_000_000).is_settled(now));
        assert!(!at(1000, 10_000_001).is_settled(now));
        assert!(!at(1000, 0).is_settled(now), "a clock of whole seconds");
        assert!(at(997, 0).is_settled(now));
        assert!(!at(1001, 5).is_settled(now), "in the future");
    }
}
