//! On which file system and which disk a file lies.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use mmap_ahead::lab;

use crate::Error;

/// Names of file systems by the number that statfs(2) gives. Source: linux/magic.h.
const FILE_SYSTEMS: [(u64, &str); 12] = [
    (0xEF53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683E, "btrfs"),
    (0x0102_1994, TMPFS),
    (0x8584_58F6, RAMFS),
    (0x9584_58F6, HUGETLBFS),
    (0x794C_7630, "overlay"),
    (0xF2F5_2010, "f2fs"),
    (0x2FC1_2FC1, "zfs"),
    (0x6969, "nfs"),
    (0x6573_5546, "fuse"),
    (0x9FA0, "proc"),
];

const TMPFS: &str = "tmpfs";
const RAMFS: &str = "ramfs";
const HUGETLBFS: &str = "hugetlbfs";

/// The name of the file system that `path` lies on; `0x..` for one that has no name here.
///
/// # Errors
/// Those of statfs(2).
pub fn file_system(path: &Path) -> Result<String, Error> {
    let stat = rustix::fs::statfs(path).map_err(|e| Error::at(path)(e.into()))?;
    // The width of f_type differs between architectures; the magic numbers have 32 bits.
    let magic = stat.f_type as u64 & 0xFFFF_FFFF;
    let known = FILE_SYSTEMS.iter().find(|(number, _)| *number == magic);
    Ok(known.map_or_else(|| format!("{magic:#x}"), |(_, name)| (*name).to_owned()))
}

/// In how many pieces the file lies on its disk, where the file system tells.
#[must_use]
pub fn extents(path: &Path) -> Option<u64> {
    lab::extents(&File::open(path).ok()?).ok()
}

/// Whether a file system of this name has nothing but memory under it: there is no cold there.
#[must_use]
pub fn is_memory(file_system: &str) -> bool {
    [TMPFS, RAMFS, HUGETLBFS].contains(&file_system)
}

/// The bytes that an ordinary user may still write to the file system of `path`.
///
/// # Errors
/// Those of statvfs(3).
pub fn free_bytes(path: &Path) -> Result<u64, Error> {
    let stat = rustix::fs::statvfs(path).map_err(|e| Error::at(path)(e.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// A block device, or what stands for it, that has a read-ahead setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Its kernel name, `vda` say.
    pub name: String,
    /// The file that holds its `read_ahead_kb`.
    pub read_ahead_kb: PathBuf,
}

impl Disk {
    /// The disk under `path`: its own queue, its partition's parent's, or the file system's own
    /// setting where it has no disk to itself. None on tmpfs, overlay and the like.
    #[must_use]
    pub fn under(path: &Path) -> Option<Disk> {
        let dev = fs::metadata(path).ok()?.dev();
        let number = format!("{}:{}", rustix::fs::major(dev), rustix::fs::minor(dev));
        let block = PathBuf::from("/sys/dev/block").join(&number);
        let bdi = PathBuf::from("/sys/class/bdi").join(&number);
        let places = [block.join("queue"), block.join("../queue"), bdi];
        places.iter().find_map(|place| {
            let setting = place.join("read_ahead_kb").canonicalize().ok()?;
            Some(Disk { name: disk_name(&setting, &number), read_ahead_kb: setting })
        })
    }

    /// The present setting in KiB.
    ///
    /// # Errors
    /// One line naming the setting.
    pub fn read_ahead(&self) -> Result<u64, Error> {
        let path = &self.read_ahead_kb;
        let text = fs::read_to_string(path).map_err(Error::at(path))?;
        let words = || Error::failed(format!("{}: not a number: {text:?}", path.display()));
        text.trim().parse().map_err(|_| words())
    }
}

/// `/sys/devices/../vda/queue/read_ahead_kb` -> `vda`; for a bdi, its number.
fn disk_name(setting: &Path, number: &str) -> String {
    let mut parents = setting.ancestors().skip(1).filter_map(Path::file_name);
    let folder = parents.next().unwrap_or_default();
    let name = if folder == "queue" { parents.next() } else { None };
    name.map_or_else(|| number.to_owned(), |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_file_systems_are_known() {
        assert_eq!(file_system(Path::new("/proc")).unwrap(), "proc");
        if let Ok(name) = file_system(Path::new("/dev/shm")) {
            assert_eq!(is_memory(&name), name == "tmpfs", "{name}");
        }
    }

    #[test]
    fn a_disk_is_named_after_its_queue() {
        let name = |path: &str| disk_name(Path::new(path), "8:1");
        assert_eq!(name("/sys/devices/virtio1/block/vda/queue/read_ahead_kb"), "vda");
        assert_eq!(name("/sys/devices/virtual/bdi/btrfs-1/read_ahead_kb"), "8:1");
    }

    #[test]
    fn a_disk_has_a_setting_and_proc_has_none() {
        assert_eq!(Disk::under(Path::new("/proc/self")), None);
        match Disk::under(Path::new("/var/tmp")) {
            Some(disk) => assert!(disk.read_ahead().unwrap() < 1 << 30),
            None => eprintln!("SKIPPED: /var/tmp lies on no disk of its own"),
        }
    }
}
