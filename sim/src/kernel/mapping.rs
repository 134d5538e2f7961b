//! The mapping: its VMAs with their advice, and its page table (KERNEL.md 0).

use mmap_ahead::page::PageRange;

use super::bits::Bits;
use super::cache::Folio;
use super::{Advice, Userfault, Work};

/// How many entries a page table has: 2 MiB of address space.
pub(super) const TABLE_PAGES: u64 = 512;

/// A part of the mapping with one set of advice, in pages of the file, half-open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vma {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) is_random: bool,
    pub(super) is_sequential: bool,
    pub(super) is_huge: bool,
    /// PROT_NONE.
    pub(super) is_closed: bool,
}

/// What one VMA differs from another in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// madvise(2).
    Advice(Advice),
    /// mprotect(2): PROT_NONE, or what the mapping allows.
    Closed(bool),
}

impl Vma {
    fn whole(pages: u64) -> Vma {
        Vma {
            start: 0,
            end: pages,
            is_random: false,
            is_sequential: false,
            is_huge: false,
            is_closed: false,
        }
    }

    pub(super) fn holds(&self, from: u64, to: u64) -> bool {
        self.start <= from && to <= self.end
    }

    fn changed(mut self, change: Change) -> Vma {
        match change {
            Change::Advice(Advice::Normal) => {
                (self.is_random, self.is_sequential) = (false, false);
            }
            Change::Advice(Advice::Random) => {
                (self.is_random, self.is_sequential) = (true, false);
            }
            Change::Advice(Advice::Sequential) => {
                (self.is_random, self.is_sequential) = (false, true);
            }
            Change::Advice(Advice::HugePage) => self.is_huge = true,
            Change::Advice(Advice::NoHugePage) => self.is_huge = false,
            Change::Closed(is_closed) => self.is_closed = is_closed,
        }
        self
    }

    fn flags(&self) -> [bool; 4] {
        [self.is_random, self.is_sequential, self.is_huge, self.is_closed]
    }
}

/// The page table of the mapping of all of the file, by pages of the file.
#[derive(Clone, Debug)]
pub(super) struct Mapping {
    /// In order, without gaps.
    vmas: Vec<Vma>,
    /// The virtual page of page 0 of the file.
    address: u64,
    pub(super) mapped: Bits,
    pub(super) writable: Bits,
    /// Entries that hold a guard marker instead.
    pub(super) guards: Bits,
    /// By 2 MiB of address space: it has a page table.
    tables: Bits,
    /// By 2 MiB of address space: one entry maps all of it.
    huge: Bits,
    pub(super) userfault: Userfault,
}

impl Mapping {
    pub(super) fn new(pages: u64, address: u64) -> Mapping {
        let regions = (address % TABLE_PAGES + pages).div_ceil(TABLE_PAGES);
        Mapping {
            vmas: vec![Vma::whole(pages)],
            address: address % TABLE_PAGES,
            mapped: Bits::new(pages),
            writable: Bits::new(pages),
            guards: Bits::new(pages),
            tables: Bits::new(regions),
            huge: Bits::new(regions),
            userfault: Userfault::None,
        }
    }

    /// The VMA of `page`.
    pub(super) fn vma(&self, page: u64) -> Option<Vma> {
        let at = self.vmas.partition_point(|vma| vma.end <= page);
        self.vmas.get(at).copied()
    }

    /// The entry of `page` in its table.
    pub(super) fn entry_of(&self, page: u64) -> u64 {
        (self.address + page) % TABLE_PAGES
    }

    fn region_of(&self, page: u64) -> u64 {
        (self.address + page) / TABLE_PAGES
    }

    pub(super) fn is_huge(&self, page: u64) -> bool {
        self.huge.get(self.region_of(page))
    }

    pub(super) fn has_table(&self, page: u64) -> bool {
        self.tables.get(self.region_of(page))
    }

    /// Allocates the page table of `page`, unless it has one.
    pub(super) fn need_table(&mut self, page: u64, work: &mut Work) {
        let region = self.region_of(page);
        work.tables += self.tables.set_range(region, region + 1);
    }

    /// Whether `folio` lies inside `vma` and in one page table, so that it can be mapped whole.
    pub(super) fn fits(&self, folio: Folio, vma: &Vma) -> bool {
        vma.holds(folio.start, folio.end())
            && self.region_of(folio.start) == self.region_of(folio.end() - 1)
    }

    /// The pages of the 2 MiB of address space that hold `page`, if one entry could map them: file and
    /// memory are aligned alike, the VMA holds all of it, and nothing is there yet (KERNEL.md 2.4).
    pub(super) fn pmd_room(&self, page: u64, vma: &Vma) -> Option<(u64, u64)> {
        let start = page / TABLE_PAGES * TABLE_PAGES;
        let end = start + TABLE_PAGES;
        let is_free = !self.has_table(page) && !self.is_huge(page);
        (self.address == 0 && vma.holds(start, end) && is_free).then_some((start, end))
    }

    /// One entry maps the 2 MiB that begin at `start`.
    pub(super) fn map_huge(&mut self, start: u64, is_writable: bool, work: &mut Work) {
        self.huge.set(self.region_of(start));
        work.pmds += 1;
        work.folios += 1;
        self.mapped.set_range(start, start + TABLE_PAGES);
        if is_writable {
            self.writable.set_range(start, start + TABLE_PAGES);
        }
    }

    /// Fills the empty entries of `from..to`, whose table exists; entries with markers stay.
    pub(super) fn map(&mut self, from: u64, to: u64, is_writable: bool, work: &mut Work) {
        work.folios += 1;
        if !self.guards.any(from, to) {
            work.ptes += self.mapped.set_range(from, to);
            if is_writable {
                self.writable.set_range(from, to);
            }
            return;
        }
        for page in from..to {
            if !self.guards.get(page) && self.mapped.set_range(page, page + 1) == 1 {
                work.ptes += 1;
                if is_writable {
                    self.writable.set(page);
                }
            }
        }
    }

    /// Whether all entries of `from..to` are empty.
    pub(super) fn are_empty(&self, from: u64, to: u64) -> bool {
        !self.mapped.any(from, to) && !self.guards.any(from, to)
    }

    /// Takes `from..to` out of the page table; what a 2 MiB entry maps goes as a whole. Tables stay.
    pub(super) fn zap(&mut self, from: u64, to: u64, work: &mut Work) {
        let mut at = from;
        while at < to {
            at = self.zap_in_table(at, to, work);
        }
    }

    /// Zaps what of `from..to` one table covers; returns where the next begins.
    fn zap_in_table(&mut self, from: u64, to: u64, work: &mut Work) -> u64 {
        let next = (from + TABLE_PAGES - self.entry_of(from)).min(to);
        let region = self.region_of(from);
        let (from, to) = if self.huge.clear_range(region, region + 1) == 1 {
            let start = from / TABLE_PAGES * TABLE_PAGES;
            work.zapped += 1;
            (start, start + TABLE_PAGES)
        } else {
            work.zapped += self.mapped.runs(from, next).map(|(from, to)| to - from).sum::<u64>();
            (from, next)
        };
        self.mapped.clear_range(from, to);
        self.writable.clear_range(from, to);
        next
    }

    /// Splits and merges VMAs so that `change` holds for `range` (KERNEL.md 7.2). A new edge inside a
    /// 2 MiB entry takes that entry out (vma_adjust_trans_huge; not in KERNEL.md, seen on 6.18).
    pub(super) fn change(&mut self, range: PageRange, change: Change, work: &mut Work) {
        let before = std::mem::take(&mut self.vmas);
        self.vmas = changed(&before, range, change);
        for at in 0..self.vmas.len() {
            let edge = self.vmas[at].start;
            let is_new = before.binary_search_by_key(&edge, |vma| vma.start).is_err();
            if is_new && !edge.is_multiple_of(TABLE_PAGES) && self.is_huge(edge) {
                self.zap(edge, edge + 1, work);
            }
        }
    }
}

fn changed(vmas: &[Vma], range: PageRange, change: Change) -> Vec<Vma> {
    let (from, to) = (range.start.0, range.end.0);
    let mut parts: Vec<Vma> = Vec::with_capacity(vmas.len() + 2);
    for vma in vmas {
        let before = Vma { end: vma.end.min(from), ..*vma };
        let inside = Vma { start: vma.start.max(from), end: vma.end.min(to), ..*vma };
        let after = Vma { start: vma.start.max(to), ..*vma };
        for part in [before, inside.changed(change), after] {
            match parts.last_mut() {
                _ if part.start >= part.end => {}
                Some(last) if last.flags() == part.flags() => last.end = part.end,
                _ => parts.push(part),
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use mmap_ahead::page::PageIndex;

    #[test]
    fn advice_splits_and_merges() {
        let mut mapping = Mapping::new(100, 0);
        let pages = |from, to| PageRange::new(PageIndex(from), PageIndex(to));
        let mut work = Work::default();
        mapping.change(pages(10, 20), Change::Advice(Advice::Random), &mut work);
        let edges = |mapping: &Mapping| mapping.vmas.iter().map(|vma| vma.end).collect::<Vec<_>>();
        assert_eq!(edges(&mapping), [10, 20, 100]);
        assert!(mapping.vma(10).unwrap().is_random && !mapping.vma(20).unwrap().is_random);
        mapping.change(pages(0, 200), Change::Advice(Advice::Normal), &mut work);
        assert_eq!(edges(&mapping), [100]);
    }

    #[test]
    fn a_huge_entry_is_zapped_whole() {
        let mut mapping = Mapping::new(2048, 0);
        let mut work = Work::default();
        let vma = mapping.vma(0).unwrap();
        assert_eq!(mapping.pmd_room(700, &vma), Some((512, 1024)));
        mapping.map_huge(512, false, &mut work);
        assert_eq!(mapping.pmd_room(700, &vma), None);
        mapping.need_table(0, &mut work);
        mapping.map(500, 512, false, &mut work);
        mapping.zap(510, 514, &mut work);
        assert_eq!(work.zapped, 3, "two entries and the huge one");
        assert_eq!(mapping.mapped.runs(0, 2048).collect::<Vec<_>>(), [(500, 510)]);
    }

    #[test]
    fn an_edge_inside_a_huge_entry_takes_it_out() {
        let mut mapping = Mapping::new(2048, 0);
        let mut work = Work::default();
        mapping.map_huge(512, false, &mut work);
        mapping.map_huge(1024, false, &mut work);
        let pages = |from, to| PageRange::new(PageIndex(from), PageIndex(to));
        mapping.change(pages(1024, 1030), Change::Advice(Advice::Normal), &mut work);
        assert_eq!(work.zapped, 0, "nothing changes");
        mapping.change(pages(1024, 1030), Change::Advice(Advice::Random), &mut work);
        assert_eq!(mapping.mapped.runs(0, 2048).collect::<Vec<_>>(), [(512, 1024)]);
    }

    #[test]
    fn an_unaligned_mapping_has_no_room_for_huge_entries() {
        let mapping = Mapping::new(2048, 5);
        assert_eq!(mapping.pmd_room(700, &mapping.vma(0).unwrap()), None);
        assert_eq!(mapping.entry_of(507), 0);
    }
}
