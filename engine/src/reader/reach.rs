//! How far the kernel itself reads ahead.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;

/// What the kernel's own read-ahead achieves on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It keeps the disk busy by itself.
    Far,
    /// It does not, or nobody knows.
    Near,
}

/// From this `read_ahead_kb` on the kernel is left alone: 512 KiB.
///
/// Measured on a loop device (direct) over the development machine's disk, 512 MiB cold, plain
/// pread's time to ours, both cores busy and idle: 128 KiB 5.4 and 0.7, 512 KiB 2.4 and 0.5, 2 MiB
/// 0.8, 8 MiB 0.5. What POSIX_FADV_WILLNEED reads comes in single pages, at 1.6 us each; the
/// kernel's own read-ahead comes in large folios. Below this it depends: see
/// [`Trial`](super::trial::Trial).
const FAR_KIB: u64 = 512;

impl Reach {
    /// Looks at the device that holds the file. Source: Documentation/ABI/stable/sysfs-block and
    /// sysfs-class-bdi.
    pub(super) fn of(file: &Metadata) -> Reach {
        let (major, minor) = (libc::major(file.dev()), libc::minor(file.dev()));
        // A partition has no queue of its own: its disk is one folder up. A network file system has
        // no disk, but a bdi.
        let settings = [
            format!("/sys/dev/block/{major}:{minor}/queue/read_ahead_kb"),
            format!("/sys/dev/block/{major}:{minor}/../queue/read_ahead_kb"),
            format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb"),
        ];
        let setting = settings.iter().find_map(|path| fs::read_to_string(path).ok());
        let kib: Option<u64> = setting.and_then(|kib| kib.trim().parse().ok());
        if kib.is_some_and(|kib| kib >= FAR_KIB) { Reach::Far } else { Reach::Near }
    }
}
