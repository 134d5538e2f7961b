//! Fault-around: mapping what is cached near a fault (KERNEL.md 3).

use super::cache::{Flag, Folio};
use super::mapping::{TABLE_PAGES, Vma};
use super::{FileKind, Kernel, Profile, Userfault};

/// Folios that fault-around does not map.
const PASSED_OVER: u8 = Flag::Locked as u8 | Flag::ReadAhead as u8;

impl Kernel {
    /// Maps what can be mapped without waiting in the window around `page`; whether `page` is.
    pub(super) fn map_around(&mut self, page: u64, vma: &Vma) -> bool {
        if self.options.fault_around.0 <= 1 || self.mapping.userfault == Userfault::Minor {
            return false;
        }
        let (from, to) = self.window_around(page, vma);
        let mut found = 0;
        let mut is_first = true;
        let mut at = from;
        while at < to {
            let Some(folio) = self.cache.next_folio(at, to) else { break };
            at = folio.end();
            if self.is_passed_over(folio) {
                continue;
            }
            if is_first && self.map_first(folio, page, vma) {
                return true;
            }
            if is_first && !self.mapping.has_table(page) {
                return false;
            }
            is_first = false;
            if folio.order == 0 && self.lists.is_none() {
                at = self.cache.single_pages_end(folio.start, to, PASSED_OVER);
                self.map_single_pages(folio.start, at);
                found += at - folio.start;
            } else {
                found += self.map_in_window(folio, (from, to), vma);
            }
        }
        self.credit_misses(found);
        self.mapping.mapped.get(page)
    }

    /// The window: aligned by address, inside the VMA, the page table and the file.
    fn window_around(&self, page: u64, vma: &Vma) -> (u64, u64) {
        let around = self.options.fault_around.0;
        let entry = self.mapping.entry_of(page);
        let in_vma = page - vma.start;
        let low = (entry / around * around).max(entry - entry.min(in_vma));
        let high = (low + around).min(TABLE_PAGES).min(entry + (vma.end - vma.start) - in_vma);
        (page + low - entry, (page + high - entry).min(self.pages()))
    }

    /// Many folios of one page at once; nobody asks how young they are.
    fn map_single_pages(&mut self, from: u64, to: u64) {
        self.work.folios += to - from - 1;
        let is_writable = self.maps_writable_when_read();
        self.mapping.map(from, to, is_writable, &mut self.work);
    }

    fn is_passed_over(&self, folio: Folio) -> bool {
        self.cache.has(folio, Flag::Locked) || self.cache.has(folio, Flag::ReadAhead)
    }

    /// Whether section 3's test of the end of the file, which is strict by one, lets `folio` be
    /// mapped whole. tmpfs is exempt.
    fn is_whole_in_file(&self, folio: Folio) -> bool {
        self.options.file_kind == FileKind::Tmpfs || folio.end() < self.pages()
    }

    /// The first folio found decides: one entry for 2 MiB, or a page table. Whether it was the
    /// former. In 6.18 a folio at the end of the file does not make a table.
    fn map_first(&mut self, folio: Folio, page: u64, vma: &Vma) -> bool {
        if self.options.profile == Profile::V6_18 && !self.is_whole_in_file(folio) {
            return false;
        }
        if folio.order == 9
            && let Some((start, _)) = self.mapping.pmd_room(page, vma)
        {
            self.mapping.map_huge(start, false, &mut self.work);
            return true;
        }
        self.mapping.need_table(page, &mut self.work);
        false
    }

    /// Maps all of `folio` (6.18, if it can be) or its part of the window. Returns how many pages
    /// were looked at, for the count of misses; those of refaulting folios do not count.
    fn map_in_window(&mut self, folio: Folio, window: (u64, u64), vma: &Vma) -> u64 {
        let is_whole = self.options.profile == Profile::V6_18
            && folio.order > 0
            && self.is_whole_in_file(folio)
            && self.mapping.fits(folio, vma);
        let (from, to) = if is_whole {
            (folio.start, folio.end())
        } else {
            (folio.start.max(window.0), folio.end().min(window.1))
        };
        let is_writable = self.maps_writable_when_read();
        self.mapping.map(from, to, is_writable, &mut self.work);
        self.note_mapped(folio);
        if self.cache.has(folio, Flag::Workingset) { 0 } else { to - from }
    }
}
