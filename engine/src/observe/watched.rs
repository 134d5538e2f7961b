//! What a passive observer watches: markers and edges, so many of each at the most, since a look costs one
//! scan for each. The oldest are forgotten first.

use std::io;

use super::View;
use super::blocks::{Blocks, Known};
use crate::fetch::Fetch;
use crate::page::{PageIndex, PageRange};
use crate::stats::Counters;

const WATCHED_MAX: usize = 64;
/// More runs than this found by one sweep are scattered touches: nobody runs there.
pub(super) const EDGES_PER_SWEEP: usize = 4;

/// Blocks that were absent when everything around them was mapped.
#[derive(Debug, Default)]
pub(super) struct Markers {
    pub(super) blocks: Vec<PageRange>,
}

impl Markers {
    /// Watches `block` from now on, unless it is present already.
    pub(super) fn arm(
        &mut self,
        view: &View,
        block: PageRange,
        counters: &Counters,
    ) -> io::Result<()> {
        if !block.is_empty() && !view.any_present(block)? {
            Counters::add(&counters.markers, 1);
            push(&mut self.blocks, block);
        }
        Ok(())
    }
}

/// The first page that is not mapped behind pages that are, and the page that is known to be mapped after it:
/// what lies between becomes present by the program alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge<Seen> {
    pub(super) at: PageIndex,
    pub(super) limit: PageIndex,
    /// What was seen there so far.
    pub(super) seen: Seen,
}

#[derive(Debug)]
pub(super) struct Edges<Seen> {
    pub(super) all: Vec<Edge<Seen>>,
}

impl<Seen> Edges<Seen> {
    /// One edge at the start of the mapping: most begin at the beginning.
    pub(super) fn at_start(view: &View, seen: Seen) -> Edges<Seen> {
        Edges { all: vec![Edge { at: PageIndex(0), limit: view.pages().end, seen }] }
    }

    /// Watches one more, unless another lies there.
    pub(super) fn watch(&mut self, edge: Edge<Seen>) {
        let is_watched = self.all.iter().any(|other| other.at == edge.at);
        if edge.at < edge.limit && !is_watched {
            push(&mut self.all, edge);
        }
    }

    /// Ends the edges before `window` where it begins.
    pub(super) fn end_before(&mut self, window: PageRange) {
        for edge in self.all.iter_mut().filter(|edge| edge.at < window.end) {
            edge.limit = edge.limit.min(window.start);
        }
        self.drop_ended();
    }

    /// Forgets those whose pages were all taken.
    pub(super) fn drop_ended(&mut self) {
        self.all.retain(|edge| edge.at < edge.limit);
    }
}

fn push<T>(watched: &mut Vec<T>, one: T) {
    if watched.len() == WATCHED_MAX {
        watched.remove(0);
    }
    watched.push(one);
}

/// Maps `pages`, and knows from now on why they are present.
pub(super) fn map_known(
    view: &View,
    pages: PageRange,
    fetch: &mut dyn Fetch,
    known: &mut Blocks,
    counters: &Counters,
) -> io::Result<()> {
    if !pages.is_empty() {
        fetch.map(view.span_of(pages))?;
        known.assign(pages, Known::Yes);
        Counters::add(&counters.pages_mapped, pages.count().0);
    }
    Ok(())
}
