//! Small pages that were taken away a moment ago, and may be put back without I/O.

use std::collections::HashMap;
use std::sync::Arc;

use super::marks::Marks;
use crate::page::{PageCount, PageIndex, PageRange, PageSize};
use crate::sys::{Cell, Span};

/// A ring of pages: the newest takes the place of the oldest.
#[derive(Debug)]
pub(super) struct Held {
    cell: Cell,
    page_size: PageSize,
    /// Whose content each place holds.
    owners: Vec<Option<PageIndex>>,
    places: HashMap<PageIndex, usize>,
    next: usize,
    /// Where others look what is here.
    brought: Option<Arc<Marks>>,
}

impl Held {
    /// Uses all of `cell`.
    pub(super) fn new(cell: Cell, page_size: PageSize, brought: Option<Arc<Marks>>) -> Held {
        let count = cell.len() / page_size.bytes() as usize;
        let (owners, places) = (vec![None; count], HashMap::new());
        Held { cell, page_size, owners, places, next: 0, brought }
    }

    /// Keeps the content of `page`, which `fill` writes.
    pub(super) fn keep(&mut self, page: PageIndex, fill: impl FnOnce(&mut [u8])) {
        let place = self.places.get(&page).copied().unwrap_or(self.next);
        if place == self.next {
            self.next = (self.next + 1) % self.owners.len();
        }
        if let Some(before) = self.owners[place].replace(page) {
            self.places.remove(&before);
            self.mark(before, Marks::clear);
        }
        self.places.insert(page, place);
        self.mark(page, Marks::set);
        let span = self.place(place);
        let from = span.addr - self.cell.span().addr;
        fill(&mut self.cell.bytes_mut()[from..from + span.len]);
    }

    /// Where the content of `page` is, if it is still here.
    pub(super) fn find(&self, page: PageIndex) -> Option<Span> {
        self.places.get(&page).map(|&place| self.place(place))
    }

    /// It is under the reader again.
    pub(super) fn forget(&mut self, page: PageIndex) {
        if let Some(place) = self.places.remove(&page) {
            self.owners[place] = None;
            self.mark(page, Marks::clear);
        }
    }

    /// [`forget`](Held::forget) for all of `pages`.
    pub(super) fn forget_all(&mut self, pages: PageRange) {
        if !self.places.is_empty() {
            (pages.start.0..pages.end.0).for_each(|page| self.forget(PageIndex(page)));
        }
    }

    fn mark(&self, page: PageIndex, mark: fn(&Marks, PageRange)) {
        if let Some(brought) = &self.brought {
            mark(brought, PageRange::at(page, PageCount(1)));
        }
    }

    fn place(&self, place: usize) -> Span {
        let page = self.page_size.bytes() as usize;
        self.cell.part(place * page..(place + 1) * page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Fork;

    #[test]
    fn the_oldest_makes_room_and_the_content_is_its_own() {
        let cell = Cell::reserve(1, Fork::Inherit).unwrap().split(4 * 4096).pop().unwrap();
        let mut held = Held::new(cell, PageSize::FOUR_KIB, None);
        let start = held.cell.span().addr;
        for page in 0..5 {
            held.keep(PageIndex(page), |bytes| bytes.fill(page as u8));
        }
        assert_eq!(held.find(PageIndex(0)), None);
        for page in 1..5_u64 {
            let at = held.find(PageIndex(page)).unwrap().addr - start;
            assert_eq!(held.cell.bytes()[at..at + 4096], [page as u8; 4096]);
        }
        held.forget(PageIndex(2));
        assert_eq!(held.find(PageIndex(2)), None);
        held.keep(PageIndex(3), |bytes| bytes.fill(9));
        let at = held.find(PageIndex(3)).unwrap().addr - start;
        assert_eq!(held.cell.bytes()[at], 9, "kept again in its place");
    }
}
