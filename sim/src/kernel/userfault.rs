//! Resolving userfaults (KERNEL.md 8.3).

use mmap_ahead::page::{PageCount, PageRange};

use super::{FileKind, Kernel, Protection, Work};

/// What a userfaultfd is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Userfault {
    /// Nothing.
    None,
    /// Pages that are nowhere.
    Missing,
    /// Pages of tmpfs that are cached and not mapped.
    Minor,
}

/// How a manager resolves userfaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolve {
    /// UFFDIO_COPY: into fresh pages.
    Copy,
    /// UFFDIO_MOVE of single pages.
    Move,
    /// UFFDIO_MOVE of huge frames: 2 MiB that are aligned and empty go in one piece, the rest as
    /// single pages.
    MoveHuge,
    /// UFFDIO_CONTINUE: maps pages that are cached.
    Continue,
}

/// What came of resolving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// How many pages were resolved, from the first on.
    pub pages: PageCount,
    /// Why it stopped before the end.
    pub refused: Option<Refusal>,
    /// What was done.
    pub work: Work,
}

/// Why userfaultfd refuses a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// EEXIST: it is there already.
    Exists,
    /// EFAULT: it is not in the page cache (CONTINUE).
    NotCached,
    /// ENOENT: not in registered memory.
    NotRegistered,
    /// EINVAL: this kind of memory cannot be resolved so.
    Unsupported,
}

impl Kernel {
    /// UFFDIO_COPY, UFFDIO_MOVE or UFFDIO_CONTINUE: page by page, until the first that is refused.
    pub fn resolve(&mut self, range: PageRange, how: Resolve) -> Resolved {
        let mut at = range.start.0;
        let refused = loop {
            if at >= range.end.0 {
                break None;
            }
            match self.resolve_at(at, range.end.0, how) {
                Ok(next) => at = next,
                Err(refusal) => break Some(refusal),
            }
        };
        Resolved { pages: PageCount(at - range.start.0), refused, work: self.take_work() }
    }

    /// Resolves what begins at `page`; returns where the rest begins.
    fn resolve_at(&mut self, page: u64, end: u64, how: Resolve) -> Result<u64, Refusal> {
        if self.mapping.userfault == Userfault::None || page >= self.pages() {
            return Err(Refusal::NotRegistered);
        }
        if how == Resolve::MoveHuge
            && self.options.file_kind == FileKind::Anonymous
            && let Some(next) = self.move_huge(page, end)
        {
            return Ok(next);
        }
        self.check(page, how)?;
        if how == Resolve::Copy {
            self.work.pages_copied += 1;
        }
        if self.options.file_kind == FileKind::Tmpfs && how == Resolve::Copy {
            self.read_alone(page);
        }
        let is_writable = self.options.protection == Protection::ReadWrite;
        self.mapping.need_table(page, &mut self.work);
        self.mapping.map(page, page + 1, is_writable, &mut self.work);
        Ok(page + 1)
    }

    fn check(&self, page: u64, how: Resolve) -> Result<(), Refusal> {
        let is_cached = self.cache.folio(page).is_some();
        let is_tmpfs = self.options.file_kind == FileKind::Tmpfs;
        match how {
            Resolve::Continue if !is_tmpfs => Err(Refusal::Unsupported),
            Resolve::Move | Resolve::MoveHuge if is_tmpfs => Err(Refusal::Unsupported),
            Resolve::Continue if !is_cached => Err(Refusal::NotCached),
            Resolve::Copy if is_cached => Err(Refusal::Exists),
            _ if !self.mapping.are_empty(page, page + 1) => Err(Refusal::Exists),
            _ => Ok(()),
        }
    }

    fn move_huge(&mut self, page: u64, end: u64) -> Option<u64> {
        let vma = self.mapping.vma(page)?;
        let (start, next) = self.mapping.pmd_room(page, &vma)?;
        if start != page || next > end {
            return None;
        }
        self.mapping.map_huge(start, true, &mut self.work);
        Some(next)
    }
}
