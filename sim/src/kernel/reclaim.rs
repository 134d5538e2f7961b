//! A limit on memory: two lists, second chances, and what comes back too soon (KERNEL.md 7.6).
//!
//! The lists are those of the classic LRU, for the pages of this one file in a memory cgroup of its
//! own. Source: mm/vmscan.c shrink_inactive_list, shrink_active_list, folio_check_references;
//! mm/workingset.c.

use mmap_ahead::page::{PageIndex, PageRange};

use super::cache::{Flag, Folio};
use super::lists::List;
use super::{Access, Kernel};

/// Folios that one scan takes from a list, and pages that reclaim frees at least: SWAP_CLUSTER_MAX.
const SCAN: u64 = 32;

/// What a folio is given when it is met at the end of the inactive list.
enum Fate {
    Reclaimed,
    /// Another round.
    Kept,
    Activated,
}

/// What happens to pages tells reclaim how they are used. Without a limit nothing is remembered.
impl Kernel {
    /// Tells of accesses to mapped pages: their folios are young. Without a limit on memory it need
    /// not be told.
    pub fn touched(&mut self, range: PageRange, _access: Access) {
        if self.lists.is_none() {
            return;
        }
        let PageRange { start: PageIndex(mut at), end: PageIndex(to) } = range;
        while let Some(folio) = self.cache.next_folio(at, to) {
            self.cache.mark(folio, Flag::Young);
            at = folio.end();
        }
    }

    /// A folio was put into the page table.
    pub(super) fn note_mapped(&mut self, folio: Folio) {
        if self.lists.is_some() {
            self.cache.mark(folio, Flag::Young);
        }
    }

    /// A folio was put into the page cache: at the head of the inactive list, or, when it was evicted
    /// not long ago, of the active one.
    pub(super) fn note_new(&mut self, folio: Folio) {
        let Some(lists) = &mut self.lists else { return };
        let Some(shadow) = lists.take_shadow(folio) else {
            return lists.push(List::Inactive, folio);
        };
        self.work.refaults += folio.pages();
        if lists.distance(shadow) > lists.pages(List::Active) {
            return lists.push(List::Inactive, folio);
        }
        self.cache.mark(folio, Flag::Active);
        lists.age(folio.pages());
        lists.push(List::Active, folio);
        if shadow.was_active {
            self.cache.mark(folio, Flag::Workingset);
        }
    }

    /// read(2) copied from the folios of `first..to`: folio_mark_accessed. One that the request before
    /// ended in is not marked again.
    pub(super) fn mark_read(&mut self, first: u64, to: u64, is_continued: bool) {
        if self.lists.is_none() {
            return;
        }
        let mut at = first;
        let mut is_skipped = is_continued;
        while let Some(folio) = self.cache.next_folio(at, to) {
            at = folio.end();
            if !std::mem::take(&mut is_skipped) {
                self.mark_accessed(folio);
            }
        }
    }

    fn mark_accessed(&mut self, folio: Folio) {
        if !self.cache.has(folio, Flag::Referenced) {
            self.cache.mark(folio, Flag::Referenced);
        } else if !self.cache.has(folio, Flag::Active) {
            self.cache.unmark(folio, Flag::Referenced);
            self.activate(folio);
        }
    }

    fn activate(&mut self, folio: Folio) {
        let Some(lists) = &mut self.lists else { return };
        lists.remove(List::Inactive, folio);
        lists.push(List::Active, folio);
        lists.age(folio.pages());
        self.cache.mark(folio, Flag::Active);
    }

    fn list_of(&self, folio: Folio) -> List {
        if self.cache.has(folio, Flag::Active) { List::Active } else { List::Inactive }
    }

    /// Takes a folio out of the page cache, without a trace.
    pub(super) fn forget(&mut self, folio: Folio) {
        let list = self.list_of(folio);
        if let Some(lists) = &mut self.lists {
            lists.remove(list, folio);
        }
        self.cache.remove(folio);
    }
}

/// Reclaim.
impl Kernel {
    /// Frees pages until `pages` more fit under the limit. Gives up after two rounds over all there is:
    /// what is on its way cannot be freed.
    pub(super) fn make_room(&mut self, pages: u64) {
        let Some(max) = self.options.memory_max else { return };
        let over = (self.cache.cached() + pages).saturating_sub(max.0);
        if over == 0 {
            return;
        }
        let mut wanted = over.max(SCAN);
        let mut left = 2 * self.cache.cached();
        while wanted > 0 && left > 0 {
            self.balance();
            let (freed, scanned) = self.shrink_inactive();
            wanted = wanted.saturating_sub(freed);
            left = left.saturating_sub(scanned.max(1));
        }
    }

    /// Moves the oldest of the active list over while the inactive one is too short.
    fn balance(&mut self) {
        let Some(lists) = &mut self.lists else { return };
        let ratio = inactive_ratio(lists.pages(List::Active) + lists.pages(List::Inactive));
        for _ in 0..SCAN {
            if lists.pages(List::Inactive) * ratio >= lists.pages(List::Active) {
                return;
            }
            let Some(start) = lists.oldest(List::Active) else { return };
            let folio = self.cache.folio(start).expect("what is listed is cached");
            lists.remove(List::Active, folio);
            lists.push(List::Inactive, folio);
            self.cache.unmark(folio, Flag::Active);
            self.cache.mark(folio, Flag::Workingset);
        }
    }

    /// One batch from the end of the inactive list: how many pages were freed, and looked at.
    fn shrink_inactive(&mut self) -> (u64, u64) {
        let (mut freed, mut scanned) = (0, 0);
        for _ in 0..SCAN {
            let oldest = self.lists.as_ref().and_then(|lists| lists.oldest(List::Inactive));
            let Some(start) = oldest else { break };
            let folio = self.cache.folio(start).expect("what is listed is cached");
            scanned += folio.pages();
            match self.fate(folio) {
                Fate::Reclaimed => {
                    freed += folio.pages();
                    self.evict(folio);
                }
                Fate::Activated => self.activate(folio),
                Fate::Kept => {
                    let lists = self.lists.as_mut().expect("there is a list");
                    lists.remove(List::Inactive, folio);
                    lists.push(List::Inactive, folio);
                }
            }
        }
        (freed, scanned)
    }

    /// folio_check_references: entries of several pages count as several mappings. Pages of VMAs with advice have no second chance (KERNEL.md 7.2).
    fn fate(&mut self, folio: Folio) -> Fate {
        if self.cache.has(folio, Flag::Locked) {
            return Fate::Kept;
        }
        let vma = self.mapping.vma(folio.start);
        let has_recency = !vma.is_some_and(|vma| vma.is_random || vma.is_sequential);
        let is_mapped = self.mapping.mapped.any(folio.start, folio.end());
        let is_young = self.cache.has(folio, Flag::Young) && is_mapped && has_recency;
        let was_referenced = self.cache.has(folio, Flag::Referenced);
        self.cache.unmark(folio, Flag::Young);
        self.cache.unmark(folio, Flag::Referenced);
        if !is_young {
            return Fate::Reclaimed;
        }
        self.cache.mark(folio, Flag::Referenced);
        let is_mapped_often = folio.order > 0 && !self.mapping.is_huge(folio.start);
        if was_referenced || is_mapped_often { Fate::Activated } else { Fate::Kept }
    }

    /// Unmaps a folio, writes it when it is dirty, and leaves a shadow.
    fn evict(&mut self, folio: Folio) {
        let was_active = self.cache.has(folio, Flag::Workingset);
        if self.cache.has(folio, Flag::Dirty) {
            self.work.pages_written += folio.pages();
        }
        self.mapping.zap(folio.start, folio.end(), &mut self.work);
        self.forget(folio);
        self.work.reclaimed += folio.pages();
        let lists = self.lists.as_mut().expect("only listed folios are evicted");
        lists.age(folio.pages());
        lists.leave_shadow(folio, was_active);
    }
}

/// How much longer the active list may be than the inactive one: 1 below 1 GiB, else sqrt(10 GiB).
fn inactive_ratio(pages: u64) -> u64 {
    let gib = pages >> 18;
    if gib == 0 { 1 } else { (10 * gib).isqrt() }
}

#[cfg(test)]
mod tests {
    use super::inactive_ratio;

    #[test]
    fn large_memories_keep_more_on_the_active_list() {
        assert_eq!([1 << 17, 1 << 18, 10 << 18, 1000 << 18].map(inactive_ratio), [1, 3, 10, 100]);
    }
}
