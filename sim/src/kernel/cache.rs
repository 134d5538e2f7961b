//! The page cache: which folio holds each page of the file (KERNEL.md 0).

use mmap_ahead::page::{PageCount, PageIndex, PageRange};

/// In the place of an order: the page is not in the cache.
const ABSENT: u8 = 0xff;
/// The levels of the kernel's XArray above single pages: one node covers 64 of the level below.
pub(super) const LEVELS: usize = 5;

/// Something that is so or not of a folio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    /// PG_readahead: touching it reads further ahead.
    ReadAhead = 1,
    /// Its read has not arrived.
    Locked = 2,
    /// It holds what the file does not hold yet.
    Dirty = 4,
    /// read(2) looked at it once, or reclaim met it young once.
    Referenced = 8,
    /// On the active list.
    Active = 16,
    /// It came back soon after it had been active: PG_workingset.
    Workingset = 32,
    /// One of its entries in the page table was used.
    Young = 64,
}

/// 2^order pages of the file that are cached as one, aligned to their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Folio {
    pub(super) start: u64,
    pub(super) order: u8,
}

impl Folio {
    pub(super) fn pages(self) -> u64 {
        1 << self.order
    }

    /// The page after its last.
    pub(super) fn end(self) -> u64 {
        self.start + self.pages()
    }
}

/// Which pages are cached, and how.
#[derive(Clone, Debug)]
pub(super) struct PageCache {
    /// By page: the order of its folio.
    orders: Vec<u8>,
    /// By first page of a folio.
    flags: Vec<u8>,
    /// What each node of the kernel's XArray holds, from the lowest level up: how many cached pages, then
    /// how many nodes of the level below that are not empty.
    nodes: [Vec<u32>; LEVELS],
    cached: u64,
}

impl PageCache {
    /// An empty cache for a file of `pages`.
    pub(super) fn new(pages: u64) -> PageCache {
        let count = usize::try_from(pages).expect("the pages of a file fit into memory");
        let nodes = std::array::from_fn(|level| vec![0; (count >> (6 * (level + 1))) + 1]);
        PageCache { orders: vec![ABSENT; count], flags: vec![0; count], nodes, cached: 0 }
    }

    /// How many pages are cached.
    pub(super) fn cached(&self) -> u64 {
        self.cached
    }

    /// The folio of `page`, if any.
    #[inline]
    pub(super) fn folio(&self, page: u64) -> Option<Folio> {
        let order = *self.orders.get(page as usize)?;
        (order != ABSENT).then(|| Folio { start: page >> order << order, order })
    }

    /// Whether any page of `from..to` is cached. Pages beyond the end of the file are not.
    pub(super) fn any(&self, from: u64, to: u64) -> bool {
        let to = (to as usize).min(self.orders.len());
        let from = (from as usize).min(to);
        self.orders[from..to].iter().any(|&order| order != ABSENT)
    }

    /// Whether the node of the XArray at `level` (0: 64 pages) that holds `page` exists.
    pub(super) fn has_node(&self, level: usize, page: u64) -> bool {
        self.nodes[level].get((page >> (6 * (level + 1))) as usize).is_some_and(|&pages| pages > 0)
    }

    /// Puts a folio in: none of its pages may be there.
    pub(super) fn insert(&mut self, folio: Folio) {
        debug_assert!(!self.any(folio.start, folio.end()), "{folio:?}");
        self.orders[folio.start as usize..folio.end() as usize].fill(folio.order);
        self.flags[folio.start as usize] = 0;
        self.cached += folio.pages();
        self.count_nodes(folio, |pages, more| pages + more);
    }

    /// Takes a folio out.
    pub(super) fn remove(&mut self, folio: Folio) {
        self.orders[folio.start as usize..folio.end() as usize].fill(ABSENT);
        self.flags[folio.start as usize] = 0;
        self.cached -= folio.pages();
        self.count_nodes(folio, |pages, less| pages - less);
    }

    /// Counts a folio in or out, and passes on to the levels above only that a node begins or ends.
    fn count_nodes(&mut self, folio: Folio, change: impl Fn(u32, u32) -> u32) {
        for first in (folio.start..folio.end()).step_by(64) {
            let mut by = folio.pages().min(64) as u32;
            for (level, nodes) in self.nodes.iter_mut().enumerate() {
                let count = &mut nodes[(first >> (6 * (level + 1))) as usize];
                let before = *count;
                *count = change(before, by);
                if before != 0 && *count != 0 {
                    break;
                }
                by = 1;
            }
        }
    }

    #[inline]
    pub(super) fn has(&self, folio: Folio, flag: Flag) -> bool {
        self.flags[folio.start as usize] & flag as u8 != 0
    }

    pub(super) fn mark(&mut self, folio: Folio, flag: Flag) {
        self.flags[folio.start as usize] |= flag as u8;
    }

    pub(super) fn unmark(&mut self, folio: Folio, flag: Flag) {
        self.flags[folio.start as usize] &= !(flag as u8);
    }

    /// Whether `page` is cached and holds what the file holds.
    pub(super) fn is_uptodate(&self, page: u64) -> bool {
        self.folio(page).is_some_and(|folio| !self.has(folio, Flag::Locked))
    }

    /// The first folio that holds any page of `from..to`.
    pub(super) fn next_folio(&self, from: u64, to: u64) -> Option<Folio> {
        let to = (to as usize).min(self.orders.len());
        let rest = self.orders.get(from as usize..to)?;
        let skipped = rest.iter().position(|&order| order != ABSENT)?;
        self.folio(from + skipped as u64)
    }

    /// Where a run of single pages from `from` on ends, none of which has a flag of `unlike`; at `to` at
    /// the latest.
    pub(super) fn single_pages_end(&self, from: u64, to: u64, unlike: u8) -> u64 {
        let run = from as usize..to as usize;
        let pages = self.orders[run.clone()].iter().zip(&self.flags[run]);
        from + pages.take_while(|&(&order, &flags)| order == 0 && flags & unlike == 0).count()
            as u64
    }

    /// The folios of `from..to` in the order of the file, also those that only reach into it.
    fn folios(&self, from: u64, to: u64) -> impl Iterator<Item = Folio> + '_ {
        let mut next = from;
        std::iter::from_fn(move || {
            let folio = self.next_folio(next, to)?;
            next = folio.end();
            Some(folio)
        })
    }

    /// The runs of `range` that are cached and up to date.
    pub(super) fn resident_runs(&self, range: PageRange) -> impl Iterator<Item = PageRange> + '_ {
        let clip = PageRange::at(PageIndex(0), PageCount(self.orders.len() as u64));
        let range = range.intersect(clip);
        let mut folios = self
            .folios(range.start.0, range.end.0)
            .filter(|&folio| !self.has(folio, Flag::Locked))
            .peekable();
        std::iter::from_fn(move || {
            let first = folios.next()?;
            let mut end = first.end();
            while let Some(next) = folios.next_if(|next| next.start == end) {
                end = next.end();
            }
            Some(PageRange::new(PageIndex(first.start), PageIndex(end)).intersect(range))
        })
    }
}
