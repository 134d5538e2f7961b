//! A chain of snapshots restores the mapping as it was at each of them, byte by byte, and a snapshot holds no
//! more than what was stored to. A damaged file is an error, whatever it holds.
//!
//! It fails when a store is missing, when too much is copied, and when nonsense is believed.

use std::fs;
use std::path::Path;

use mmap_ahead::{MmapMut, MmapOptions};
use mmap_ahead_extras::snapshot::{SnapshotError, Snapshots, restore};
use proptest::prelude::*;

const PAGE: usize = 4096;
const LEN: usize = 1 << 20;

/// `None` where no mechanism works.
fn begin(map: MmapMut, dir: &Path) -> Option<Snapshots> {
    match Snapshots::begin(map, dir) {
        Ok(snapshots) => Some(snapshots),
        Err(SnapshotError::Tracking(error)) => {
            println!("SKIPPED: stores cannot be tracked here: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn each_snapshot_is_the_mapping_as_it_was(
        rounds in prop::collection::vec(
            (prop::collection::vec((0..2 * LEN, any::<u8>()), 0..40), 0_usize..4, any::<bool>()),
            1..8,
        ),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let file = tempfile::tempfile().unwrap();
        file.set_len(LEN as u64).unwrap();
        let mut options = MmapOptions::new();
        let map = mmap_ahead::lab::map_file_mut(&file, options.keep_file()).unwrap();
        let Some(mut snapshots) = begin(map, dir.path()) else { return Ok(()) };
        let mut models = vec![snapshots.map().to_vec()];
        for (stores, grow, is_all) in rounds {
            let map = snapshots.map_mut();
            let len = map.len() + grow * 1000;
            map.grow(len).unwrap();
            for (at, value) in stores {
                map[at % len] = value;
            }
            let taken = if is_all { snapshots.take_all() } else { snapshots.take() }.unwrap();
            prop_assert_eq!(taken.number, models.len() as u64);
            models.push(snapshots.map().to_vec());
        }
        for (number, model) in models.iter().enumerate() {
            prop_assert!(&restore(dir.path(), number as u64).unwrap() == model, "number {}", number);
        }
    }

    /// Also where the head is right and the rest is not.
    #[test]
    fn nonsense_is_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        has_magic in any::<bool>(),
        count in prop_oneof![Just(None), (0_u64..4).prop_map(Some)],
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut file = bytes;
        if has_magic && file.len() >= 32 {
            file[..8].copy_from_slice(b"mmsnap02");
            if let Some(count) = count {
                file[24..32].copy_from_slice(&count.to_le_bytes());
            }
        }
        fs::write(dir.path().join("000000.snapshot"), file).unwrap();
        prop_assert!(restore(dir.path(), 0).is_err());
    }
}

/// A head that speaks of more memory than there is, with all the rest in order.
#[test]
fn a_length_is_not_believed_without_its_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let head = [&b"mmsnap02"[..], &[7; 8], &u64::MAX.to_le_bytes(), &0_u64.to_le_bytes()].concat();
    fs::write(dir.path().join("000000.snapshot"), head).unwrap();
    assert!(matches!(
        restore(dir.path(), 0),
        Err(SnapshotError::File { .. } | SnapshotError::Damaged { .. })
    ));
}

/// Cut anywhere, or with something behind its end.
#[test]
fn a_file_of_another_length_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let Some(snapshots) = begin(MmapMut::map_anon(3 * PAGE).unwrap(), dir.path()) else { return };
    let path = dir.path().join("000000.snapshot");
    let whole = fs::read(&path).unwrap();
    for len in (0..whole.len()).step_by(7).chain([whole.len() - 1]) {
        fs::write(&path, &whole[..len]).unwrap();
        assert!(matches!(restore(dir.path(), 0), Err(SnapshotError::Damaged { .. })), "{len}");
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert!(matches!(restore(dir.path(), 0), Err(SnapshotError::Damaged { .. })));
    fs::write(&path, &whole).unwrap();
    assert!(restore(dir.path(), 0).unwrap() == snapshots.map()[..]);
}

#[test]
fn a_snapshot_holds_the_pages_that_were_stored_to() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut snapshots) = begin(MmapMut::map_anon(LEN).unwrap(), dir.path()) else { return };
    if snapshots.tracker().granule() != PAGE {
        return println!("SKIPPED: stores are not tracked page by page here");
    }
    let full = fs::metadata(dir.path().join("000000.snapshot")).unwrap().len();
    assert!(full > LEN as u64);
    for at in [5, 5 * PAGE, 5 * PAGE + 1, 6 * PAGE] {
        snapshots.map_mut()[at] = 1;
    }
    let taken = snapshots.take().unwrap();
    assert_eq!((taken.stored_bytes, taken.ranges), (3 * PAGE as u64, 2));
    assert_eq!(fs::metadata(&taken.path).unwrap().len(), 32 + 2 * 16 + 3 * PAGE as u64);
    assert_eq!(snapshots.take().unwrap().stored_bytes, 0);
}

/// The second one has written over the first snapshots of the first one; the others are still there, and mean nothing
/// without those.
#[test]
fn snapshots_of_two_programs_are_not_mixed() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut first) = begin(MmapMut::map_anon(LEN).unwrap(), dir.path()) else { return };
    first.map_mut()[0] = 1;
    first.take().unwrap();
    first.map_mut()[5 * PAGE] = 2;
    first.take().unwrap();
    let whole = first.take_all().unwrap();
    let model = first.map().to_vec();
    drop(first);
    let second = begin(MmapMut::map_anon(LEN).unwrap(), dir.path()).unwrap();
    assert!(restore(dir.path(), 0).unwrap() == second.map()[..]);
    for number in [1, 2] {
        let restored = restore(dir.path(), number);
        assert!(matches!(restored, Err(SnapshotError::Damaged { .. })), "{number}");
    }
    assert!(restore(dir.path(), whole.number).unwrap() == model, "it needs none before it");
}

/// A full or vanished folder costs one snapshot, and the next one holds everything.
#[test]
fn after_a_failure_the_next_one_holds_everything() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("dir");
    fs::create_dir(&dir).unwrap();
    let Some(mut snapshots) = begin(MmapMut::map_anon(LEN).unwrap(), &dir) else { return };
    fs::remove_dir_all(&dir).unwrap();
    snapshots.map_mut()[0] = 9;
    assert!(matches!(snapshots.take(), Err(SnapshotError::File { .. })));
    fs::create_dir(&dir).unwrap();
    let taken = snapshots.take().unwrap();
    assert_eq!((taken.number, taken.stored_bytes), (1, LEN as u64));
    assert!(restore(&dir, 1).unwrap() == snapshots.map()[..]);
}
