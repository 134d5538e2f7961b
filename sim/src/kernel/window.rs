//! Read-ahead: which window is read when, and in which folios (KERNEL.md 1.3 to 1.5 and 7.1).

use mmap_ahead::page::{PageIndex, PageRange};

use super::cache::{Flag, Folio};
use super::io::{Cause, FOLIOS_MAX, Io};
use super::readahead::{first_size, next_size};
use super::{Backing, FileId, Kernel, KernelOptions, Profile};

/// Forced read-ahead goes in pieces of 2 MiB (KERNEL.md 7.1).
const FORCED_PIECE: u64 = 512;

/// New folios that follow each other, on their way into one bio.
struct Bio {
    from: u64,
    to: u64,
    folios: u32,
    cause: Cause,
    /// The page somebody waits for.
    wanted: Option<u64>,
}

impl Bio {
    fn new(cause: Cause, wanted: Option<u64>) -> Bio {
        Bio { from: 0, to: 0, folios: 0, cause, wanted }
    }
}

/// Deciding.
impl Kernel {
    /// A reader missed at `index` and wants `req` pages (KERNEL.md 1.3).
    pub(super) fn sync_read_ahead(&mut self, file: FileId, index: u64, req: u64) {
        let ra = *self.ra(file);
        if ra.ra_pages == 0 || ra.is_random {
            let req = if ra.ra_pages == 0 { 1 } else { req };
            return self.forced(file, index, req, Cause::Demand);
        }
        let max = ra.max(req, self.options.io_pages.0);
        if index == 0 || req > max || index.wrapping_sub(ra.prev_page()) <= 1 {
            let size = first_size(req, max);
            let async_size = if size > req { size - req } else { size / 2 };
            self.set_window(file, index, size, async_size, 0);
        } else {
            let miss = self.cache.previous_miss(index - 1, max);
            let cached = miss.map_or(index, |miss| index - miss - 1);
            if cached <= req {
                return self.single_pages(index, req, 0, Bio::new(Cause::Demand, Some(index)));
            }
            let history = if miss.is_none() { 2 * cached } else { cached };
            self.set_window(file, index, max.min(history + req), 1, 0);
        }
        self.work.windows_sync += 1;
        self.submit(file, index, Some(index));
    }

    /// A reader met the flag of `folio` at `index` and wants `req` pages (KERNEL.md 1.4).
    pub(super) fn async_read_ahead(&mut self, file: FileId, folio: Folio, index: u64, req: u64) {
        if self.ra(file).ra_pages == 0 {
            return;
        }
        self.cache.unmark(folio, Flag::ReadAhead);
        let ra = *self.ra(file);
        let max = ra.max(req, self.options.io_pages.0);
        let expected = (ra.start + ra.size - ra.async_size) >> folio.order << folio.order;
        let (start, mut size) = if index == expected {
            (ra.start + ra.size, ra.size.max(next_size(ra.size, max)))
        } else {
            let start = self.cache.next_miss(index + 1, max);
            if start - index > max {
                return;
            }
            (start, next_size(start - index + req, max))
        };
        let order = match self.options.profile {
            Profile::V6_12 => folio.order,
            Profile::V6_18 => {
                let order = ra.order + 2;
                size = trimmed(start, size, u32::from(order).min(max.trailing_zeros()));
                order
            }
        };
        self.set_window(file, start, size, size, order);
        self.work.windows_async += 1;
        self.submit(file, start, None);
    }

    /// Reads `req` pages from `index` on as single pages, whatever the reader's history; cut to the
    /// limit of one call (KERNEL.md 7.1).
    pub(super) fn forced(&mut self, file: FileId, index: u64, req: u64, cause: Cause) {
        let req = req.min(self.forced_max(file));
        for from in (index..index + req).step_by(FORCED_PIECE as usize) {
            let piece = FORCED_PIECE.min(index + req - from);
            let wanted = (cause == Cause::Demand).then_some(index);
            self.single_pages(from, piece, 0, Bio::new(cause, wanted));
        }
    }

    /// The most pages that one call of forced read-ahead covers (KERNEL.md 7.1).
    pub(super) fn forced_max(&self, file: FileId) -> u64 {
        self.options.io_pages.0.max(self.ra(file).ra_pages)
    }

    fn set_window(&mut self, file: FileId, start: u64, size: u64, async_size: u64, order: u8) {
        let ra = self.ra_mut(file);
        (ra.start, ra.size, ra.async_size, ra.order) = (start, size, async_size, order);
    }
}

/// `size` without what lies behind the last multiple of 2^`order`, unless nothing would be left
/// (KERNEL.md 1.4, step 3).
fn trimmed(start: u64, size: u64, order: u32) -> u64 {
    let end = (start + size) >> order << order;
    if end > start { end - start } else { size }
}

/// Submitting (KERNEL.md 1.5).
impl Kernel {
    /// Reads the window of `file` at `start`, for a reader that waits for page `wanted`.
    pub(super) fn submit(&mut self, file: FileId, start: u64, wanted: Option<u64>) {
        let (size, async_size) = (self.ra(file).size, self.ra(file).async_size);
        let bio = Bio::new(Cause::Ahead, wanted);
        let Some(order) = self.order_of_window(file) else {
            return self.single_pages(start, size, async_size, bio);
        };
        let mut bio = bio;
        let limit = (start + size).min(self.pages());
        let mut at = start;
        while at < limit {
            let folio = fitting(at, order, limit);
            if self.cache.any(folio.start, folio.end()) {
                self.send(&mut bio);
                return self.single_pages(at, size - (at - start), async_size, bio);
            }
            self.add(folio, &mut bio);
            if at == (start + size - async_size) >> folio.order << folio.order {
                self.cache.mark(folio, Flag::ReadAhead);
            }
            at = folio.end();
        }
        self.send(&mut bio);
    }

    /// The largest order of the window's folios; `None`: single pages, placed by the other rule.
    fn order_of_window(&mut self, file: FileId) -> Option<u8> {
        let KernelOptions { folio_order_max: order_max, profile, .. } = self.options;
        let ra = self.ra_mut(file);
        let largest = order_max.min(ra.size.ilog2() as u8);
        match profile {
            _ if order_max == 0 => {
                ra.order = 0;
                None
            }
            Profile::V6_12 if ra.size < 4 => None,
            Profile::V6_12 if ra.order < order_max => Some(largest.min(ra.order + 2)),
            Profile::V6_12 => Some(largest.min(ra.order)),
            Profile::V6_18 => {
                ra.order = largest.min(ra.order);
                Some(ra.order)
            }
        }
    }

    /// Reads what is absent of `count` pages from `from` on, page by page; the flag goes where
    /// `behind` pages are left.
    fn single_pages(&mut self, from: u64, count: u64, behind: u64, mut bio: Bio) {
        let count = count.min(self.pages().saturating_sub(from));
        let flagged = count.checked_sub(behind).map(|before| from + before);
        for page in from..from + count {
            if self.cache.folio(page).is_some() {
                self.work.skipped += 1;
                continue;
            }
            let folio = Folio { start: page, order: 0 };
            self.add(folio, &mut bio);
            if flagged == Some(page) {
                self.cache.mark(folio, Flag::ReadAhead);
            }
        }
        self.send(&mut bio);
    }

    /// Reads the one page that nothing else covered (KERNEL.md 1.1 step 2, 2.2d).
    pub(super) fn read_alone(&mut self, page: u64) {
        self.single_pages(page, 1, 0, Bio::new(Cause::Demand, Some(page)));
    }

    fn add(&mut self, folio: Folio, bio: &mut Bio) {
        self.make_room(folio.pages());
        self.cache.insert(folio);
        self.note_new(folio);
        self.work.folios_new += 1;
        self.work.pages_new += folio.pages();
        if self.options.backing == Backing::Hole {
            self.work.pages_zeroed += folio.pages();
            return;
        }
        self.cache.mark(folio, Flag::Locked);
        if bio.to != folio.start || bio.folios == FOLIOS_MAX {
            self.send(bio);
        }
        if bio.folios == 0 {
            bio.from = folio.start;
        }
        bio.to = folio.end();
        bio.folios += 1;
    }

    fn send(&mut self, bio: &mut Bio) {
        if bio.folios == 0 {
            return;
        }
        let is_wanted = bio.wanted.is_some_and(|page| (bio.from..bio.to).contains(&page));
        let cause = match bio.cause {
            Cause::Asked => Cause::Asked,
            _ if is_wanted => Cause::Demand,
            _ => Cause::Ahead,
        };
        let range = PageRange::new(PageIndex(bio.from), PageIndex(bio.to));
        self.flights.start(Io { range, cause, folios: bio.folios });
        bio.folios = 0;
    }
}

/// The largest folio of at most 2^`order` pages that may begin at `at` and does not pass `limit`.
pub(super) fn fitting(at: u64, order: u8, limit: u64) -> Folio {
    let aligned = at.trailing_zeros().min(u32::from(order));
    let fits = (limit - at).ilog2();
    Folio { start: at, order: aligned.min(fits) as u8 }
}
