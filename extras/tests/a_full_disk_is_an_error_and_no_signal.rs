//! A file of shared memory, a log, a snapshot, where there is no space: an error when it is made, in place of SIGBUS
//! when it is used. On a tmpfs of 1 MiB of the test's own (as /dev/shm is in a container, of 64 MiB); it needs root.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use mmap_ahead::MmapMut;
use mmap_ahead_extras::pmem::{AppendLog, Pmem};
use mmap_ahead_extras::shm::{Channel, Latch, ShmError};
use mmap_ahead_extras::snapshot::{SnapshotError, Snapshots};

const MIB: usize = 1 << 20;

/// A tmpfs of 1 MiB. Unmounted before its folder goes.
struct Small(tempfile::TempDir);

impl Small {
    /// `None`, aloud, where it cannot be mounted.
    fn new() -> Option<Small> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "small"]).arg(dir.path());
        if !mount.stderr(Stdio::null()).status().is_ok_and(|status| status.success()) {
            println!("SKIPPED: a tmpfs cannot be mounted here");
            return None;
        }
        Some(Small(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn holds(&self) -> usize {
        fs::read_dir(self.path()).unwrap().count()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // A process that another test is just starting may have a copy of a descriptor for a moment.
        let unmounted = Command::new("umount").arg("--lazy").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[test]
fn a_channel_has_all_its_space_or_is_not_made() {
    let Some(small) = Small::new() else { return };
    let path = small.path().join("channel");
    match Channel::create(&path, 4 * MIB) {
        Err(ShmError::Syscall { source, .. }) => {
            assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(small.holds(), 0, "half made, it is of no use to anybody");
    let channel = Channel::create(&path, MIB / 2).unwrap();
    fs::write(small.path().join("others"), vec![1; MIB]).unwrap_err();
    // No space is left, and none is wanted.
    let (mut sender, mut receiver) = (channel.sender().unwrap(), channel.receiver().unwrap());
    sender.send(&vec![1; MIB / 2]).unwrap();
    receiver.receive_exact(&mut vec![0; MIB / 2]).unwrap();
    let refused = Latch::create(small.path().join("latch"), 2);
    assert!(matches!(refused, Err(ShmError::Syscall { .. })), "{refused:?}");
}

#[test]
fn a_log_has_all_its_space_or_is_not_mapped() {
    let Some(small) = Small::new() else { return };
    let sized = |len: usize| {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true);
        let file = file.open(small.path().join("log")).unwrap();
        file.set_len(len as u64).unwrap();
        file
    };
    let refused = Pmem::map(&sized(4 * MIB)).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
    let mut log = AppendLog::open(Pmem::map(&sized(MIB / 2)).unwrap()).unwrap();
    fs::write(small.path().join("others"), vec![1; MIB]).unwrap_err();
    log.append(&vec![1; MIB / 4]).unwrap();
}

#[test]
fn a_snapshot_that_finds_no_space_leaves_nothing_behind() {
    let Some(small) = Small::new() else { return };
    match Snapshots::begin(MmapMut::map_anon(4 * MIB).unwrap(), small.path()) {
        Err(SnapshotError::Tracking(error)) => {
            return println!("SKIPPED: stores cannot be tracked here: {error}");
        }
        Err(SnapshotError::File { source, .. }) => {
            assert_eq!(source.kind(), io::ErrorKind::StorageFull);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(small.holds(), 0);
}
