//! The two lists of reclaim, and the shadows of what it took.

use super::cache::Folio;

/// No folio.
const NONE: u32 = u32::MAX;

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Inactive,
    Active,
}

/// What an evicted page leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shadow {
    evicted_at: u64,
    pub(super) was_active: bool,
}

/// Newer and older neighbour, by first page of a folio.
#[derive(Clone, Copy, Debug)]
struct Links {
    newer: u32,
    older: u32,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    newest: u32,
    oldest: u32,
    pages: u64,
}

/// The lists, linked through the first pages of folios. About 16 bytes for each page of the file.
#[derive(Clone, Debug)]
pub(super) struct Lists {
    links: Vec<Links>,
    ends: [Ends; 2],
    /// By page: the clock at its eviction times two, and whether it had been active; 0: none.
    shadows: Vec<u64>,
    /// Pages evicted and activated so far: the age that distances are measured in. From 1 on.
    clock: u64,
}

impl Lists {
    pub(super) fn new(pages: u64) -> Lists {
        let count =
            u32::try_from(pages).expect("a file under a limit has less than 16 TiB") as usize;
        Lists {
            links: vec![Links { newer: NONE, older: NONE }; count],
            ends: [Ends { newest: NONE, oldest: NONE, pages: 0 }; 2],
            shadows: vec![0; count],
            clock: 1,
        }
    }

    pub(super) fn pages(&self, list: List) -> u64 {
        self.ends[list as usize].pages
    }

    pub(super) fn oldest(&self, list: List) -> Option<u64> {
        let oldest = self.ends[list as usize].oldest;
        (oldest != NONE).then_some(u64::from(oldest))
    }

    /// Puts a folio at the head.
    pub(super) fn push(&mut self, list: List, folio: Folio) {
        let at = folio.start as u32;
        let ends = &mut self.ends[list as usize];
        self.links[at as usize] = Links { newer: NONE, older: ends.newest };
        match ends.newest {
            NONE => ends.oldest = at,
            newest => self.links[newest as usize].newer = at,
        }
        ends.newest = at;
        ends.pages += folio.pages();
    }

    /// Takes a folio out of the list that it is on.
    pub(super) fn remove(&mut self, list: List, folio: Folio) {
        let ends = &mut self.ends[list as usize];
        let Links { newer, older } = self.links[folio.start as usize];
        match newer {
            NONE => ends.newest = older,
            newer => self.links[newer as usize].older = older,
        }
        match older {
            NONE => ends.oldest = newer,
            older => self.links[older as usize].newer = newer,
        }
        ends.pages -= folio.pages();
    }

    /// Lets the clock of evictions go on.
    pub(super) fn age(&mut self, pages: u64) {
        self.clock += pages;
    }

    pub(super) fn leave_shadow(&mut self, folio: Folio, was_active: bool) {
        let shadow = self.clock * 2 + u64::from(was_active);
        self.shadows[folio.start as usize..folio.end() as usize].fill(shadow);
    }

    /// The shadow that a new folio finds in its place, if any; its pages have none afterwards.
    pub(super) fn take_shadow(&mut self, folio: Folio) -> Option<Shadow> {
        let shadows = &mut self.shadows[folio.start as usize..folio.end() as usize];
        let last = shadows.iter().copied().rfind(|&shadow| shadow != 0);
        shadows.fill(0);
        last.map(|shadow| Shadow { evicted_at: shadow / 2, was_active: shadow % 2 == 1 })
    }

    /// How much was evicted and activated since then.
    pub(super) fn distance(&self, shadow: Shadow) -> u64 {
        self.clock - shadow.evicted_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_gives_back_in_the_order_it_took() {
        let mut lists = Lists::new(16);
        let folios = [0, 2, 4].map(|start| Folio { start, order: 1 });
        folios.iter().for_each(|&folio| lists.push(List::Inactive, folio));
        assert_eq!(lists.oldest(List::Inactive), Some(0));
        lists.remove(List::Inactive, folios[1]);
        lists.remove(List::Inactive, folios[0]);
        assert_eq!((lists.oldest(List::Inactive), lists.pages(List::Inactive)), (Some(4), 2));
        lists.remove(List::Inactive, folios[2]);
        assert_eq!(lists.oldest(List::Inactive), None);
    }
}
