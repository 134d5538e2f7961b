//! Recorded sets: which pages of a file one run of a program touched, for the next run to read first.
//!
//! Pure but for `save` and `load`: the looking is done by `runtime::recording`, the reading by
//! `runtime::explicit`.

mod format;
mod touched;

pub(crate) use touched::Touched;

use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use crate::Error;
use crate::page::{ByteLen, PageCount, PageIndex, PageRange, PageSize};

/// The longest file that is loaded or saved: room for some 20 million ranges.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileStamp {
    pub(crate) len: ByteLen,
    /// Nanoseconds since 1970.
    pub(crate) mtime_ns: i64,
}

/// The pages of a file that a program touched, in the order in which it did.
///
/// [`Mmap::recorded`](crate::Mmap::recorded) makes one, [`Mmap::replay`](crate::Mmap::replay) reads it
/// into memory: the cold start of a program that begins with the same random accesses each time
/// becomes one batch at the disk's full depth. It belongs to one state of one file, which it knows by
/// length and modification time; names do not matter. A change in the same tick of the file system's
/// clock (up to 10 ms) leaves that time as it was: record files that are at rest.
///
/// The order is that of the looks at the page table, which come some 20 ms apart or more; inside one
/// look it is that of the file.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("data");
/// # std::fs::write(&path, vec![1; 4 << 20]).unwrap();
/// # let saved = dir.path().join("data.pages");
/// use mmap_ahead::{MmapOptions, RecordedSet};
///
/// let file = std::fs::File::open(&path)?;
/// // SAFETY: nobody changes the file while it is mapped.
/// let map = unsafe { MmapOptions::new().record().map(&file)? };
/// # if std::env::var_os("MMAP_AHEAD").is_none() {
/// std::hint::black_box(map[1 << 20]);
/// map.recorded()?.save(&saved)?;
///
/// // The next run:
/// let set = RecordedSet::load(&saved)?;
/// // SAFETY: as above.
/// let map = unsafe { MmapOptions::new().budget(set.bytes()).map(&file)? };
/// let prefetch = map.replay(&set)?;
/// # prefetch.wait();
/// # }
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedSet {
    stamp: FileStamp,
    page_size: PageSize,
    /// Pages of the file; none is empty, all lie in it.
    ranges: Vec<PageRange>,
}

impl RecordedSet {
    pub(crate) fn new(
        stamp: FileStamp,
        page_size: PageSize,
        ranges: Vec<PageRange>,
    ) -> RecordedSet {
        RecordedSet { stamp, page_size, ranges }
    }

    /// What was touched, in the order in which it was.
    ///
    /// Unit: bytes of the file, half-open, whole pages: the last may reach beyond the end of the
    /// file. None is empty.
    pub fn ranges(&self) -> impl ExactSizeIterator<Item = Range<u64>> {
        self.ranges.iter().map(|range| self.bytes_of(*range))
    }

    /// How much all ranges hold together: the least budget with which nothing of it is left out.
    ///
    /// Unit: bytes, whole pages; pages that are in several ranges count once.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let pages = self.runs().iter().map(|run| run.count().0).sum();
        self.page_size.len_of(PageCount(pages)).0
    }

    /// How long the file was. Unit: bytes.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        self.stamp.len.0
    }

    /// Writes it to a file of its own, for [`load`](RecordedSet::load).
    ///
    /// Some 2 to 6 bytes a range. A file that is there already is replaced; one that is cut short,
    /// because the machine went down, is refused by `load`.
    ///
    /// # Errors
    /// [`Error::Syscall`] when the file cannot be written; [`Error::Configuration`] when it would be
    /// longer than 64 MiB.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let bytes = format::encode(self);
        if bytes.len() as u64 > FILE_BYTES_MAX {
            let what = format!("{} ranges are too many for a recorded set", self.ranges.len());
            return Err(Error::configuration(what));
        }
        fs::write(path, bytes).map_err(|source| Error::Syscall { call: "write", source })
    }

    /// Reads what [`save`](RecordedSet::save) wrote.
    ///
    /// The file may come from anywhere: it is checked as a whole (version, checksum, every range),
    /// and takes no more memory than some ten times its own length.
    ///
    /// # Errors
    /// [`Error::DamagedRecord`] says what is wrong with its contents; [`Error::Syscall`] when it
    /// cannot be read.
    pub fn load(path: impl AsRef<Path>) -> Result<RecordedSet, Error> {
        let bytes = read_at_most(path.as_ref(), FILE_BYTES_MAX + 1);
        let bytes = bytes.map_err(|source| Error::Syscall { call: "read", source })?;
        if bytes.len() as u64 > FILE_BYTES_MAX {
            return Err(Error::DamagedRecord { why: "it is longer than 64 MiB" });
        }
        format::decode(&bytes).map_err(|why| Error::DamagedRecord { why })
    }

    /// Whether it is of the file that is found as `stamp`, by a kernel with pages of `page_size`.
    pub(crate) fn check(&self, stamp: FileStamp, page_size: PageSize) -> Result<(), Error> {
        let stale = |what, recorded: i128, found: i128| {
            Err(Error::StaleRecord { why: format!("{what} was {recorded}, and is {found}") })
        };
        let (was, is) = (self.stamp, stamp);
        if was.len != is.len {
            return stale("its length in bytes", was.len.0.into(), is.len.0.into());
        }
        if was.mtime_ns != is.mtime_ns {
            let what = "its modification time in nanoseconds";
            return stale(what, was.mtime_ns.into(), is.mtime_ns.into());
        }
        if self.page_size != page_size {
            let (was, is) = (self.page_size.bytes(), page_size.bytes());
            return stale("the kernel's page size", was.into(), is.into());
        }
        Ok(())
    }

    /// The ranges in bytes of the file, those that adjoin or overlap made one, which stands where
    /// the first of them stood.
    pub(crate) fn byte_runs(&self) -> impl Iterator<Item = Range<u64>> {
        self.runs().into_iter().map(|run| self.bytes_of(run))
    }

    fn runs(&self) -> Vec<PageRange> {
        let mut sorted: Vec<_> = self.ranges.iter().copied().enumerate().collect();
        sorted.sort_unstable_by_key(|(_, range)| range.start);
        let mut runs: Vec<(usize, PageRange)> = Vec::new();
        for (place, range) in sorted {
            match runs.last_mut() {
                Some((first, run)) if range.start <= run.end => {
                    run.end = run.end.max(range.end);
                    *first = place.min(*first);
                }
                _ => runs.push((place, range)),
            }
        }
        runs.sort_unstable_by_key(|&(place, _)| place);
        runs.into_iter().map(|(_, run)| run).collect()
    }

    /// The pages that the file has.
    fn file_pages(stamp: FileStamp, page_size: PageSize) -> PageRange {
        PageRange::at(PageIndex(0), page_size.pages_for(stamp.len))
    }

    fn bytes_of(&self, range: PageRange) -> Range<u64> {
        self.page_size.offset_of(range.start)..self.page_size.offset_of(range.end)
    }
}

/// The first `len_max` bytes of a file, which may be of any kind.
fn read_at_most(path: &Path, len_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(len_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u64, u64)]) -> RecordedSet {
        let stamp = FileStamp { len: ByteLen(1 << 20), mtime_ns: 7 };
        let ranges =
            ranges.iter().map(|&(start, end)| PageRange::new(PageIndex(start), PageIndex(end)));
        RecordedSet::new(stamp, PageSize::FOUR_KIB, ranges.collect())
    }

    #[test]
    fn ranges_that_adjoin_or_overlap_are_one_run_at_the_place_of_the_first() {
        let set = set(&[(9, 10), (40, 44), (5, 6), (8, 9), (42, 50), (6, 7), (0, 1), (43, 44)]);
        let pages = |run: Range<u64>| (run.start >> 12, run.end >> 12);
        let runs: Vec<_> = set.byte_runs().map(pages).collect();
        assert_eq!(runs, [(8, 10), (40, 50), (5, 7), (0, 1)]);
        assert_eq!(set.bytes(), 15 << 12);
        assert_eq!(set.ranges().len(), 8);
    }

    #[test]
    fn only_the_same_file_on_the_same_kernel_will_do() {
        let set = set(&[(1, 2)]);
        let stamp = FileStamp { len: ByteLen(1 << 20), mtime_ns: 7 };
        assert!(set.check(stamp, PageSize::FOUR_KIB).is_ok());
        let longer = FileStamp { len: ByteLen((1 << 20) + 1), ..stamp };
        let later = FileStamp { mtime_ns: 8, ..stamp };
        for (stamp, page_size, word) in [
            (longer, PageSize::FOUR_KIB, "length"),
            (later, PageSize::FOUR_KIB, "modification"),
            (stamp, PageSize::new(1 << 16), "page size"),
        ] {
            let error = set.check(stamp, page_size).unwrap_err();
            assert!(matches!(error, Error::StaleRecord { .. }), "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
