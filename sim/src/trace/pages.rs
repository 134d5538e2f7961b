//! A trace of any format as a walk through the pages of one file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mmap_ahead::page::{Nanos, PageCount, PageIndex, PageSize};

use super::Touch;
use super::access::Access;
use super::reader::Accesses;
use crate::Error;

/// Addresses closer than this stay neighbours; what lies between is left out. 2 MiB, as far as a
/// page of the page table reaches.
const REGION: u64 = 2 << 20;

/// What a trace holds, learnt by reading it once from end to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The name of its format.
    pub format: &'static str,
    /// Its files, in the order in which they are named.
    pub files: Vec<FileSurvey>,
}

/// What a trace holds about one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileSurvey {
    /// Its path as the trace has it; empty where the format names none.
    pub path: String,
    /// Its length as the trace says it, or the end of the furthest access, whichever is more.
    pub bytes: u64,
    /// How many accesses there are.
    pub accesses: u64,
    /// Memory traces: each region that was touched, and where it comes in the walk.
    regions: Option<BTreeMap<u64, u64>>,
}

impl Survey {
    /// Reads the trace once. Memory: a few words for every file, and for every 2 MiB that a memory
    /// trace touches.
    ///
    /// # Errors
    /// As [`Accesses::open`], and the first line that is wrong.
    pub fn of(path: &Path) -> Result<Survey, Error> {
        let mut accesses = Accesses::open(path)?;
        let mut files: Vec<FileSurvey> = Vec::new();
        while let Some(access) = accesses.next().transpose()? {
            if files.len() <= access.file {
                files.resize(access.file + 1, FileSurvey::default());
            }
            files[access.file].take(&access, accesses.is_memory());
        }
        let named = accesses.files();
        files.resize(named.len(), FileSurvey::default());
        for (file, named) in files.iter_mut().zip(named) {
            file.path.clone_from(&named.path);
            file.bytes = file.bytes.max(named.bytes.unwrap_or(0));
            file.number_regions();
        }
        Ok(Survey { format: accesses.format(), files })
    }

    /// The file of that path, or the one with the most accesses (the first of these).
    ///
    /// # Errors
    /// [`Error::Read`] when there is no access to it.
    pub fn choose(&self, path: Option<&str>) -> Result<usize, Error> {
        let mut used = self.files.iter().enumerate().filter(|(_, file)| file.accesses > 0);
        let chosen = match path {
            Some(path) => used.find(|(_, file)| file.path == path),
            None => used.max_by_key(|&(index, file)| (file.accesses, usize::MAX - index)),
        };
        chosen.map(|(index, _)| index).ok_or_else(|| {
            let what = match path {
                Some(path) => format!("holds no access to {path}"),
                None => "holds no access".to_owned(),
            };
            Error::Read { what }
        })
    }
}

impl FileSurvey {
    fn take(&mut self, access: &Access, is_memory: bool) {
        self.accesses += 1;
        self.bytes = self.bytes.max(access.offset + access.len);
        if is_memory {
            let regions = self.regions.get_or_insert_default();
            let (first, last) = (access.offset / REGION, (access.offset + access.len - 1) / REGION);
            regions.extend((first..=last).map(|region| (region, 0)));
        }
    }

    /// Regions in the order of their addresses, without the gaps.
    fn number_regions(&mut self) {
        if let Some(regions) = &mut self.regions {
            let mut count = 0;
            for number in regions.values_mut() {
                *number = count;
                count += 1;
            }
            self.bytes = count * REGION;
        }
    }

    /// Where a byte of the trace is in the walk.
    fn place(&self, offset: u64) -> u64 {
        match &self.regions {
            None => offset,
            Some(regions) => {
                regions.get(&(offset / REGION)).map_or(0, |place| place * REGION) + offset % REGION
            }
        }
    }
}

/// How long a reader thinks between touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// Always so long.
    Constant(Nanos),
    /// From each access of the trace to the next, whatever the program did and waited for; 0 where
    /// the trace has no times.
    Recorded,
}

/// The touches of one file of a trace, which is read again for every walk.
#[derive(Clone, Debug)]
pub struct PageTrace {
    path: PathBuf,
    index: usize,
    file: FileSurvey,
    page_size: PageSize,
    thinking: Thinking,
}

impl PageTrace {
    /// Surveys the trace at `path` and chooses a file of it as [`Survey::choose`] does.
    ///
    /// # Errors
    /// As [`Survey::of`] and [`Survey::choose`].
    pub fn open(
        path: &Path,
        file: Option<&str>,
        page_size: PageSize,
        thinking: Thinking,
    ) -> Result<PageTrace, Error> {
        let mut survey = Survey::of(path)?;
        let index = survey.choose(file)?;
        let file = survey.files.swap_remove(index);
        Ok(PageTrace { path: path.to_owned(), index, file, page_size, thinking })
    }

    /// What the trace holds about the file.
    #[must_use]
    pub fn file(&self) -> &FileSurvey {
        &self.file
    }

    /// The pages of the file; every touch is below.
    #[must_use]
    pub fn pages(&self) -> PageCount {
        PageCount(self.file.bytes.div_ceil(self.page_size.len_of(PageCount(1)).0))
    }

    /// The touches from the first on: every page of every access, in order.
    ///
    /// # Errors
    /// As [`Accesses::open`].
    pub fn touches(&self) -> Result<PageTouches, Error> {
        let mut accesses = Accesses::open(&self.path)?;
        let next = accesses.next().transpose()?;
        Ok(PageTouches { trace: self.clone(), accesses, next, pages: 0..0, think: Nanos(0) })
    }
}

/// An iterator over the touches of a [`PageTrace`].
#[derive(Debug)]
pub struct PageTouches {
    trace: PageTrace,
    accesses: Accesses,
    /// The access after the one whose pages are given out.
    next: Option<Access>,
    pages: std::ops::Range<u64>,
    think: Nanos,
}

impl PageTouches {
    /// Goes to the next access of the file; its thinking time, for each of its pages, ends where the
    /// next access of any file begins.
    fn advance(&mut self) -> Result<bool, Error> {
        while let Some(access) = self.next.take() {
            self.next = self.accesses.next().transpose()?;
            if access.file != self.trace.index {
                continue;
            }
            let page = self.trace.page_size.len_of(PageCount(1)).0;
            let start = self.trace.file.place(access.offset);
            self.pages = start / page..(start + access.len).div_ceil(page);
            let count = self.pages.end - self.pages.start;
            self.think = match (self.trace.thinking, access.at, self.next.and_then(|next| next.at))
            {
                (Thinking::Constant(think), ..) => think,
                (_, Some(at), Some(next)) => Nanos(next.0.saturating_sub(at.0) / count),
                _ => Nanos(0),
            };
            return Ok(true);
        }
        Ok(false)
    }
}

impl Iterator for PageTouches {
    type Item = Result<Touch, Error>;

    fn next(&mut self) -> Option<Result<Touch, Error>> {
        while self.pages.is_empty() {
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
        let page = PageIndex(self.pages.next()?);
        Some(Ok(Touch { page, think: self.think }))
    }
}
