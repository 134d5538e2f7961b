//! What the comparisons with the running kernel share: a sparse file on ext4 with large folios, and how
//! differences are told.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use mmap_ahead::lab::{self, LiveAdvice, LiveMap};
use mmap_ahead::page::{PageCount, PageIndex, PageRange};
use mmap_ahead_sim::kernel::{Backing, Kernel, KernelOptions, Profile};
use rustix::fs::{Advice, fadvise, fstatfs};

/// 256 MiB.
pub(crate) const PAGES: usize = 65536;
/// The only page size that the model has.
pub(crate) const PAGE: u64 = 4096;
const EXT4_MAGIC: i64 = 0xEF53;

/// A file without blocks, where reading takes no device: what is resident is the kernel's decision
/// alone.
pub(crate) struct Bed {
    file: File,
    /// `/sys/.../queue` of its disk.
    queue: PathBuf,
}

impl Bed {
    /// `None`, aloud, where the kernel is not the one that the model is of.
    pub(crate) fn find() -> Option<Bed> {
        Bed::or_why_not().map_err(|why| println!("SKIPPED: the live kernel: {why}")).ok()
    }

    fn or_why_not() -> Result<Bed, String> {
        if rustix::param::page_size() as u64 != PAGE || !cfg!(target_arch = "x86_64") {
            return Err("not x86-64 with pages of 4 KiB".to_owned());
        }
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").map_err(text)?;
        let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
        let version = (numbers.next(), numbers.next());
        if version < (Some(6), Some(17)) {
            return Err(format!("Linux {} is older than the rules", release.trim()));
        }
        let file = tempfile::tempfile_in("/var/tmp").map_err(text)?;
        file.set_len(PAGES as u64 * PAGE).map_err(text)?;
        if fstatfs(&file).map_err(text)?.f_type as i64 != EXT4_MAGIC {
            return Err("/var/tmp is not on ext4".to_owned());
        }
        let bed = Bed { queue: queue_of(&file)?, file };
        bed.has_large_folios()?;
        Ok(bed)
    }

    /// With MADV_HUGEPAGE, one touch maps a folio of 2 MiB where the file system has them.
    fn has_large_folios(&self) -> Result<(), String> {
        self.cold()?;
        let map = LiveMap::new(&self.file, PAGES, 0).map_err(text)?;
        map.advise(0, PAGES, LiveAdvice::HugePage).map_err(text)?;
        map.load(0);
        match map.mapped().map_err(text)?[..] {
            [(0, 512)] => Ok(()),
            ref other => Err(format!("no large folios: one touch maps {other:?}")),
        }
    }

    /// Nothing of it is in the page cache.
    pub(crate) fn cold(&self) -> Result<(), String> {
        for _ in 0..20 {
            fadvise(&self.file, 0, None, Advice::DontNeed).map_err(text)?;
            if lab::cached(&self.file).map_err(text)?.cached_pages == 0 {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        Err("the file stays in the page cache".to_owned())
    }

    /// Cold, opened anew, with a model that has the settings its disk had then.
    pub(crate) fn open(&self) -> (File, KernelOptions) {
        self.cold().unwrap();
        let path = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        loop {
            let before = self.settings();
            let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
            if self.settings() == before {
                let disk = KernelOptions::disk(Profile::V6_18, PageCount(PAGES as u64));
                let (ra_pages, io_pages) = before;
                return (
                    file,
                    KernelOptions { backing: Backing::Hole, ra_pages, io_pages, ..disk },
                );
            }
        }
    }

    /// The disk's read-ahead and its largest request.
    pub(crate) fn settings(&self) -> (PageCount, PageCount) {
        let pages = |name: &str| {
            let kib = fs::read_to_string(self.queue.join(name)).unwrap();
            PageCount(kib.trim().parse::<u64>().unwrap() / 4)
        };
        (pages("read_ahead_kb"), pages("max_sectors_kb"))
    }

    /// How many of those pages reclaim took away, says cachestat(2).
    fn evicted(&self, pages: &[usize]) -> u64 {
        let view = |&page: &usize| {
            lab::cached_in(&self.file, page as u64 * PAGE..(page as u64 + 1) * PAGE)
        };
        pages.iter().filter_map(|page| view(page).ok()).map(|view| view.evicted_pages).sum()
    }
}

fn queue_of(file: &File) -> Result<PathBuf, String> {
    let dev = file.metadata().map_err(text)?.dev();
    let block = format!("/sys/dev/block/{}:{}", rustix::fs::major(dev), rustix::fs::minor(dev));
    ["queue", "../queue"]
        .map(|queue| PathBuf::from(&block).join(queue))
        .into_iter()
        .find(|queue| queue.join("read_ahead_kb").exists() && queue.join("max_sectors_kb").exists())
        .ok_or_else(|| format!("{block} has no queue"))
}

fn text(error: impl ToString) -> String {
    error.to_string()
}

/// Where model and kernel first differ.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) step: usize,
    pub(crate) what: String,
    /// It is the number of major faults; the pages are the same.
    pub(crate) is_major_count: bool,
}

/// Compares the resident sets.
pub(crate) fn same_residents(bed: &Bed, live: &LiveMap, kernel: &Kernel) -> Result<(), String> {
    let real = live.resident().unwrap();
    let pages = real.len();
    let mut model = vec![0; pages];
    for run in kernel.resident_runs(PageRange::at(PageIndex(0), PageCount(pages as u64))) {
        model[run.start.0 as usize..run.end.0 as usize].fill(1);
    }
    if real == model {
        return Ok(());
    }
    let differ: Vec<usize> = (0..pages).filter(|&page| real[page] != model[page]).collect();
    let missing = differ.iter().filter(|&&page| real[page] == 0).count();
    Err(format!(
        "{} pages differ, {missing} of them are missing in the kernel, {} were reclaimed; {}..={}",
        differ.len(),
        bed.evicted(&differ),
        differ[0],
        differ[differ.len() - 1],
    ))
}

/// Compares the page tables.
pub(crate) fn same_mapped(live: &LiveMap, kernel: &Kernel) -> Result<(), String> {
    let whole = PageRange::at(PageIndex(0), PageCount(PAGES as u64));
    let runs = kernel.mapped_runs(whole);
    let model: Vec<_> = runs.map(|run| (run.start.0 as usize, run.end.0 as usize)).collect();
    let real = live.mapped().unwrap();
    let differ = real
        .iter()
        .filter(|run| !model.contains(run))
        .chain(model.iter().filter(|run| !real.contains(run)));
    match differ.clone().next() {
        None => Ok(()),
        Some(first) => {
            let holder = if real.contains(first) { "kernel" } else { "model" };
            let count = differ.count();
            Err(format!("{count} mapped runs differ, the {holder} has {first:?}"))
        }
    }
}

/// How many of some sequences agree.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Agreement {
    pub(crate) agree: u64,
    /// Those that differ in nothing but the number of major faults, in every try.
    pub(crate) major_faults_differ: u64,
}

/// Runs `count` sequences; one that differs is replayed three times, since others reclaim pages now and
/// then. Says aloud what differed.
pub(crate) fn agreement(count: u64, run: impl Fn(u64) -> Result<(), Difference>) -> Agreement {
    let mut all = Agreement::default();
    let mut at_once = 0;
    for seed in 0..count {
        let mut differences = (0..4).map_while(|_| run(seed).err()).peekable();
        at_once += u64::from(differences.peek().is_none());
        let differences: Vec<Difference> = differences.collect();
        for Difference { step, what, .. } in &differences {
            println!("sequence {seed}, step {step}: {what}");
        }
        if differences.len() < 4 {
            all.agree += 1;
        } else if differences.iter().all(|difference| difference.is_major_count) {
            all.major_faults_differ += 1;
        }
    }
    println!("{} of {count} sequences agree, {at_once} of them at once", all.agree);
    all
}

/// Numbers from a seed (splitmix64).
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
