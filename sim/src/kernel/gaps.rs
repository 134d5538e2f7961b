//! Searching for gaps in the page cache, with the XArray's own inexactness (KERNEL.md 1.7).
//!
//! The kernel's walk begins by snapping its slot, but not its index, to the head of a folio of
//! several slots, so slot and index run out of step: a gap is then seen a page late, or history is
//! counted short. Source: lib/xarray.c xas_load, __xas_next, __xas_prev; include/linux/xarray.h
//! xas_next, xas_prev; mm/filemap.c page_cache_next_miss, page_cache_prev_miss.

use super::cache::{LEVELS, PageCache};

/// What a slot holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    Empty,
    Folio,
    /// A node of the level below.
    Node,
}

/// Where a walk stands: a slot of a node. A node of level 0 has a slot for each page.
#[derive(Clone, Copy)]
struct Walk {
    level: usize,
    /// The first page that the node covers.
    base: u64,
    /// The slot; beyond 0..64 it is the neighbour's.
    slot: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Next,
    Previous,
}

fn slot_of(page: u64, level: usize) -> i64 {
    ((page >> (6 * level)) & 63) as i64
}

impl PageCache {
    /// The first page from `page` on that is not cached, as page_cache_next_miss says it; a page
    /// more than `scan_max` away when all of them are.
    pub(super) fn next_miss(&self, page: u64, scan_max: u64) -> u64 {
        let mut walk = Walk::load(self, page);
        for index in page..page.saturating_add(scan_max) {
            if index > page {
                walk = walk.step(self, index, Direction::Next);
            }
            if walk.look(self) == Slot::Empty {
                return index;
            }
        }
        page.saturating_add(scan_max)
    }

    /// The first page from `page` back that is not cached, as page_cache_prev_miss says it; `None`
    /// when all are, down to page 0.
    pub(super) fn previous_miss(&self, page: u64, scan_max: u64) -> Option<u64> {
        let mut walk = Walk::load(self, page);
        let mut index = page;
        for scanned in 1..=scan_max {
            if walk.look(self) == Slot::Empty || scanned == scan_max {
                return Some(index);
            }
            index = index.checked_sub(1)?;
            walk = walk.step(self, index, Direction::Previous);
        }
        Some(index)
    }
}

impl Walk {
    /// xas_load: descends to the slot of `page`, and to the head of its folio.
    fn load(cache: &PageCache, page: u64) -> Walk {
        let mut walk = Walk { level: LEVELS, base: 0, slot: 0 };
        walk.slot = slot_of(page, walk.level);
        walk = walk.descend(cache, page);
        if walk.look(cache) == Slot::Folio {
            let folio = cache.folio(walk.first_page()).expect("the slot holds a folio");
            walk.slot = slot_of(folio.start, walk.level);
        }
        walk
    }

    /// xas_next or xas_prev, the index being `index` afterwards.
    fn step(mut self, cache: &PageCache, index: u64, direction: Direction) -> Walk {
        let (by, edge) = if direction == Direction::Next { (1, 63) } else { (-1, 0) };
        let in_leaf = self.level == 0 && self.slot != edge;
        if in_leaf || self.slot != slot_of(index, self.level) {
            self.slot += by;
        }
        if in_leaf {
            return self;
        }
        while !(0..64).contains(&self.slot) {
            if self.level == LEVELS {
                return self;
            }
            self.slot = slot_of(self.base, self.level + 1) + by;
            self.level += 1;
            self.base = self.base >> (6 * (self.level + 1)) << (6 * (self.level + 1));
        }
        self.descend(cache, index)
    }

    fn descend(mut self, cache: &PageCache, index: u64) -> Walk {
        while self.look(cache) == Slot::Node {
            self.base = self.first_page();
            self.level -= 1;
            self.slot = slot_of(index, self.level);
        }
        self
    }

    fn first_page(self) -> u64 {
        self.base + ((self.slot as u64) << (6 * self.level))
    }

    /// What its slot holds: a folio is stored at the highest level whose slots are no larger.
    fn look(self, cache: &PageCache) -> Slot {
        if !(0..64).contains(&self.slot) {
            return Slot::Empty;
        }
        let page = self.first_page();
        match cache.folio(page) {
            Some(folio) if usize::from(folio.order) / 6 == self.level => Slot::Folio,
            _ if self.level > 0 && cache.has_node(self.level - 1, page) => Slot::Node,
            _ => Slot::Empty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cache::Folio;
    use super::*;

    fn cache(folios: &[(u64, u8)]) -> PageCache {
        let mut cache = PageCache::new(1 << 20);
        folios.iter().for_each(|&(start, order)| cache.insert(Folio { start, order }));
        cache
    }

    #[test]
    fn among_single_pages_the_search_is_exact() {
        let cache = cache(&[(62, 0), (63, 0), (64, 0), (65, 0), (4095, 0), (4096, 0)]);
        assert_eq!(cache.next_miss(62, 100), 66);
        assert_eq!(cache.next_miss(62, 2), 64, "no further than asked");
        assert_eq!(cache.next_miss(7, 100), 7);
        assert_eq!(cache.next_miss(4095, 100), 4097);
        assert_eq!(cache.previous_miss(65, 100), Some(61));
        assert_eq!(cache.previous_miss(4096, 100), Some(4094));
    }

    #[test]
    fn at_the_start_of_the_file_there_is_no_gap() {
        let cache = cache(&[(0, 0), (1, 0), (2, 1)]);
        assert_eq!(cache.previous_miss(3, 100), None);
    }

    #[test]
    fn a_search_that_begins_inside_a_large_folio_is_late() {
        let cache = cache(&[(4, 2), (3, 0)]);
        assert_eq!(cache.next_miss(4, 100), 8);
        assert_eq!(cache.next_miss(5, 100), 9, "slot 4, index 5: the gap at 8 is seen at 9");
        assert_eq!(cache.previous_miss(7, 100), Some(5), "slots 4, 3, 2: history is counted short");
    }
}
