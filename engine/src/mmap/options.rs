mod constructors;

use super::Flags;
#[cfg(doc)]
use super::{Mmap, MmapMut};
use crate::options::{Ahead, Stores};
use crate::page::ByteLen;
use crate::{Fetcher, Mode, PolicyKind};

/// How to map a file, and how to read it ahead.
///
/// The first half is memmap2's, the second ([`mode`](MmapOptions::mode) to
/// [`keep_file`](MmapOptions::keep_file)) is ours. The defaults suit almost every reader.
///
/// # Every flag of mmap(2)
///
/// | flag | asked for by | what it does | kernel | refused |
/// |---|---|---|---|---|
/// | PROT_READ, MAP_SHARED | [`map`](MmapOptions::map), [`map_raw_read_only`](MmapOptions::map_raw_read_only) | loads, stores of others are seen | any | file not open for reading: EACCES |
/// | PROT_READ, PROT_EXEC, MAP_SHARED | [`map_exec`](MmapOptions::map_exec) | loads and code | any | noexec mount: EPERM |
/// | PROT_READ, PROT_WRITE, MAP_SHARED | [`map_mut`](MmapOptions::map_mut), [`map_raw`](MmapOptions::map_raw) | stores reach the file | any | file not open for both: EACCES |
/// | PROT_READ, PROT_WRITE, MAP_PRIVATE | [`map_copy`](MmapOptions::map_copy) | stores stay in this process | any | file not open for reading: EACCES |
/// | PROT_READ, MAP_PRIVATE | [`map_copy_read_only`](MmapOptions::map_copy_read_only) | loads; private once made writable | any | file not open for reading: EACCES |
/// | MAP_ANONYMOUS, MAP_PRIVATE | [`map_anon`](MmapOptions::map_anon) | zeros of no file | any | |
/// | MAP_ANONYMOUS, MAP_SHARED | `shared`, `map_anon` | zeros shared with forked children | any | with `huge`: `InvalidInput` |
/// | MAP_POPULATE | [`populate`](MmapOptions::populate) | all of it is read and mapped at once | 2.5.46; private mappings 2.6.23 | |
/// | MAP_NORESERVE | [`no_reserve_swap`](MmapOptions::no_reserve_swap) | no swap is set aside | any | nothing; no effect when vm.overcommit_memory is 2 |
/// | MAP_STACK | [`stack`](MmapOptions::stack) | a hint; since 6.7: no huge pages | 2.6.27 | nothing; no effect on files |
/// | MAP_HUGETLB | [`huge`](MmapOptions::huge) | pages of the administrator's pool | 2.6.32, sizes 3.8 | pool empty: ENOMEM; no effect on files |
/// | MAP_FIXED_NOREPLACE | `map_at`, `map_at_read_only` | at that address, in nobody's place | 4.17 | something is there: EEXIST; not on a page: EINVAL |
/// | MAP_LOCKED (by mlock(2)) | `locked` | stays in memory | any | RLIMIT_MEMLOCK: ENOMEM, EAGAIN, EPERM; files with [`Mode::Guard`]: `InvalidInput` |
/// | MAP_SHARED_VALIDATE, MAP_SYNC | `sync` | stores need no flush of metadata | 4.15 | no DAX: EOPNOTSUPP; private or anonymous: `InvalidInput` |
///
/// Those written without a link are methods of this type on Linux only.
/// [`map_if_safe`](MmapOptions::map_if_safe) knows of memmap2's own flags only.
/// Not to be had: MAP_FIXED, which takes the place of what is mapped; PROT_NONE, of which no slice can be
/// read; PROT_WRITE with PROT_EXEC (make code with [`MmapMut::make_exec`]); MAP_GROWSDOWN, MAP_32BIT,
/// MAP_DENYWRITE, MAP_EXECUTABLE and MAP_NONBLOCK, which do nothing or nothing good.
///
/// # Safety
/// The constructors that make slices of files are `unsafe` for the reasons given at [`Mmap`].
///
/// ```
/// use std::fs::File;
/// use mmap_ahead::{MmapOptions, Mode};
///
/// let file = File::open("Cargo.toml")?;
/// // SAFETY: nobody writes this file while the example runs.
/// let map = unsafe { MmapOptions::new().offset(1).len(7).mode(Mode::Off).map(&file)? };
/// assert_eq!(&map[..], b"package");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MmapOptions {
    pub(super) plain: memmap2::MmapOptions,
    /// memmap2 keeps its own copy to itself.
    pub(super) file_offset: u64,
    /// As `file_offset`.
    pub(super) own_len: Option<usize>,
    pub(super) flags: Flags,
    pub(super) ahead: Ahead,
}

/// memmap2's own options.
impl MmapOptions {
    /// All defaults.
    pub fn new() -> MmapOptions {
        MmapOptions::default()
    }

    /// Maps from byte `offset` of the file on.
    ///
    /// Unit: bytes; need not be page-aligned. Default: 0. Without effect on anonymous memory.
    pub fn offset(&mut self, offset: u64) -> &mut Self {
        self.plain.offset(offset);
        self.file_offset = offset;
        self
    }

    /// Maps `len` bytes.
    ///
    /// Default: to the end of the file as it is when it is mapped; 0 for anonymous memory. May
    /// reach beyond the end of the file: touching a page beyond it raises SIGBUS.
    pub fn len(&mut self, len: usize) -> &mut Self {
        self.plain.len(len);
        self.own_len = Some(len);
        self
    }

    /// Makes anonymous memory suitable for a stack (MAP_STACK). Default: not. Without effect on
    /// mappings of files.
    pub fn stack(&mut self) -> &mut Self {
        self.plain.stack();
        self.flags.stack = true;
        self
    }

    /// Takes anonymous memory from the huge pages that the administrator set aside (MAP_HUGETLB).
    ///
    /// `page_bits` is the base-2 logarithm of the page size (21 for 2 MiB); `None` is the system's
    /// default size. The length must be a multiple of it. Default: not. Without effect on mappings
    /// of files.
    ///
    /// Source: mmap(2).
    pub fn huge(&mut self, page_bits: Option<u8>) -> &mut Self {
        self.plain.huge(page_bits);
        self.flags.huge = true;
        self
    }

    /// Reads and maps everything before the constructor returns (MAP_POPULATE).
    ///
    /// Default: not. Knows no budget: [`Mmap::prefetch`] does the same in the background, within
    /// one.
    ///
    /// Source: mmap(2).
    pub fn populate(&mut self) -> &mut Self {
        self.plain.populate();
        self.flags.populate = true;
        self
    }

    /// Reserves no swap space (MAP_NORESERVE). Default: reserves, where the system does.
    ///
    /// Source: mmap(2).
    pub fn no_reserve_swap(&mut self) -> &mut Self {
        self.plain.no_reserve_swap();
        self.flags.no_reserve = true;
        self
    }

    /// Does not look at the handle's rights first. Of use on Windows only: without effect here.
    pub fn no_probe_handle(&mut self) -> &mut Self {
        self.plain.no_probe_handle();
        self
    }
}

/// How it is read ahead.
impl MmapOptions {
    /// Who tells the engine where the reader is.
    ///
    /// Default: [`Mode::Auto`]. Without effect on writable and anonymous mappings, on those shorter
    /// than [`FOLLOWED_LEN_MIN`](crate::FOLLOWED_LEN_MIN), and with `MMAP_AHEAD=off` in the
    /// environment.
    pub fn mode(&mut self, mode: Mode) -> &mut Self {
        self.ahead.mode = mode;
        self
    }

    /// What decides which pages come next.
    ///
    /// Default: [`PolicyKind::Adaptive`]. Without effect where nothing is followed: see
    /// [`mode`](MmapOptions::mode).
    pub fn policy(&mut self, policy: PolicyKind) -> &mut Self {
        self.ahead.policy = policy;
        self
    }

    /// What brings pages in.
    ///
    /// Default: [`Fetcher::Madvise`]. Without effect where nothing is followed.
    pub fn fetcher(&mut self, fetcher: Fetcher) -> &mut Self {
        self.ahead.fetcher = fetcher;
        self
    }

    /// The most bytes that are mapped or cached ahead of the reader, and the most that one explicit
    /// prefetch or [`replay`](Mmap::replay) fetches.
    ///
    /// Unit: bytes, rounded down to whole pages. Default:
    /// [`BUDGET_DEFAULT`](crate::BUDGET_DEFAULT), 64 MiB; for
    /// [`write_ahead`](MmapOptions::write_ahead) [`WRITE_BUDGET_DEFAULT`](crate::WRITE_BUDGET_DEFAULT),
    /// 64 MiB. With 0 nothing is read or written ahead.
    pub fn budget(&mut self, bytes: u64) -> &mut Self {
        self.ahead.budget = Some(ByteLen(bytes));
        self
    }

    /// Says that the program stores forward into the mapping: pages are made ready for stores ahead of
    /// it (MADV_POPULATE_WRITE), in the background, so that a store does not fault.
    ///
    /// Works on [`map_mut`](MmapOptions::map_mut), inside a forward run that has been seen to go on, at
    /// most the [`budget`](MmapOptions::budget) past the last store: **so much of a sparse file may be
    /// allocated and never stored to**, and stays so until the file is truncated. Bytes never change.
    /// When the kernel refuses (no space, the file was truncated), it ends for this mapping, and the
    /// program's own store meets what it would have met with memmap2 (SIGBUS); on a file system that is
    /// almost full up to the budget earlier, since what is ahead has taken its space.
    ///
    /// Default: not, because the page table does not tell loads from stores, and a program that only
    /// reads a writable mapping must not find its file grown fat. A mapping that reaches beyond the end
    /// of its file is written ahead up to there, once: let the file grow first.
    ///
    /// Without effect on private, anonymous and read-only mappings, on [`map_raw`](MmapOptions::map_raw), on mappings shorter
    /// than [`FOLLOWED_LEN_MIN`](crate::FOLLOWED_LEN_MIN), with [`Mode::Off`], with
    /// [`PolicyKind::Off`], with `MMAP_AHEAD=off` in the environment, and in a forked child. Where the
    /// file system has large folios (ext4, xfs), a fault maps up to 2 MiB by itself, and it keeps still.
    ///
    /// Kernel: 5.14 for MADV_POPULATE_WRITE; before that without effect.
    ///
    /// Source: madvise(2).
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let path = dir.path().join("out");
    /// use mmap_ahead::MmapOptions;
    ///
    /// let file = std::fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    /// file.set_len(4 << 20)?;
    /// // SAFETY: nobody else touches the file while it is mapped.
    /// let mut map = unsafe { MmapOptions::new().write_ahead().map_mut(&file)? };
    /// for (index, chunk) in map.chunks_mut(4096).enumerate() {
    ///     chunk.fill(index as u8);
    /// }
    /// map.flush()?;
    /// assert_eq!(std::fs::read(&path)?[3 * 4096], 3);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_ahead(&mut self) -> &mut Self {
        self.ahead.stores = Stores::Forward;
        self
    }

    /// Keeps a duplicate of the file descriptor while the mapping lives: [`Fetcher::Remap`] needs
    /// it, and so do [`Mmap::read_at`] to know the size of a file that has no name and
    /// [`Mmap::reader_view`] of a private mapping. Of [`map_mut`](MmapOptions::map_mut) so do
    /// [`MmapMut::grow`] and [`MmapMut::unwritten_bytes`]; [`MmapMut::flush_dirty`] is faster with it.
    ///
    /// Default: not, because it has side effects: it takes one descriptor of RLIMIT_NOFILE, and
    /// closing it when the mapping is dropped releases this process's fcntl(2) locks on the file.
    /// Without effect on other writable and on anonymous mappings; of no use to [`Fetcher::Remap`] once
    /// the mapping has changed its protection or length. The worker closes it, perhaps some
    /// milliseconds after the drop.
    ///
    /// Source: fcntl(2), "Advisory record locking".
    pub fn keep_file(&mut self) -> &mut Self {
        self.ahead.keep_file = true;
        self
    }
}

/// What it is mapped for.
impl MmapOptions {
    /// Takes the mapping under the SIGBUS guard: a touch of a page that the file does not have any
    /// more, or that cannot be read, finds zeros, and does not end the process.
    ///
    /// The first such option installs a SIGBUS handler for the process, which stays. It puts a private
    /// page of zeros in the place of the bad one, for good (the file's bytes do not come back there),
    /// and notes it: **[`Mmap::error`] tells, and has to be asked** after the reading and before
    /// anything is believed. In the page that holds the new end of a file that was cut, zeros are read
    /// without any signal; `error` looks at the file's length too, and what it can know of it is said
    /// at [`Mmap::read_at`]. Stores to a replaced page are lost. Where the process may have no more
    /// areas (vm.max_map_count), all of the mapping is replaced.
    ///
    /// Every other SIGBUS goes to the handler that was there before the guard (or ends the process):
    /// those of other memory, those that were sent, and memory that broke (BUS_MCEERR_AR). Code that
    /// vanished is not replaced by zeros to run on through: executing it is SIGSEGV.
    ///
    /// What it takes of a program: a thread that blocks SIGBUS dies at such a touch all the same; a
    /// handler that is installed later must hand on what it does not know; a library that holds this
    /// crate must not be unloaded. A system call that is given a vanished page returns EFAULT, as ever.
    /// Pages of hugetlbfs are not replaced one by one.
    ///
    /// Default: not. Without effect on anonymous memory, and with
    /// [`map_if_safe`](MmapOptions::map_if_safe), whose bytes cannot go away. Constructors fail with
    /// `OutOfMemory` when 4,096 mappings are under it, and with `Unsupported` when somebody put another
    /// SIGBUS handler in its place, and on Unixes other than Linux.
    ///
    /// Kernel: any Linux. Source: sigaction(2), BUS_ADRERR; mmap(2), "Use of a mapped region can
    /// result in these signals".
    pub fn guard_sigbus(&mut self) -> &mut Self {
        self.ahead.guard_sigbus = true;
        self
    }

    /// Records which pages are touched, in what order, for [`Mmap::recorded`]: nothing is read ahead
    /// meanwhile.
    ///
    /// It is an option and no method of [`Mmap`], so that the first touch is not missed. A recording
    /// run is slower than a plain one: each page is read alone (MADV_RANDOM), so that pages in memory
    /// are pages that were touched; prefetches are refused. Advice of the caller's own that undoes it
    /// ([`Mmap::advise`]) makes the set too large, and so does
    /// [`populate`](MmapOptions::populate).
    ///
    /// **Record a cold file.** Of a file that is in the page cache already the kernel maps what lies
    /// around each touch (64 KiB, on large folios up to 2 MiB), and all of that counts as touched.
    /// posix_fadvise(2) with POSIX_FADV_DONTNEED makes a file cold that nobody else maps.
    ///
    /// Default: not. Of any length. Without effect on writable and anonymous mappings, with
    /// [`Mode::Off`] and with `MMAP_AHEAD=off` in the environment. Takes one bit a page of memory and
    /// at most 2% of a core, and nothing while no page of the process is touched.
    ///
    /// Kernel: as [`Mode::Marker`], but for MADV_POPULATE_READ. Source: madvise(2); mm/filemap.c,
    /// do_sync_mmap_readahead, VM_RAND_READ.
    pub fn record(&mut self) -> &mut Self {
        self.ahead.record = true;
        self
    }
}
