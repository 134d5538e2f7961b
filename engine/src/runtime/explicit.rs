//! Prefetches that the program asked for by range.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;

use super::prefetch::{Prefetch, PrefetchState};
use super::shared::{Conduct, Request, Shared};
use super::task::BeforeFetch;
use crate::fetch::{Fetch, Madvise};
use crate::residency::Residency;
use crate::stats::Counters;
use crate::sys::{self, Span};

/// The most that one call fetches: what a drop may have to wait for.
const PIECE_BYTES: usize = 2 << 20;
/// Ranges fetched by one call: what one process_madvise takes.
const PIECE_SPANS: usize = 64;
/// Pieces fetched in one step, so that readers that are followed get their turn.
const PIECES_PER_STEP: usize = 4;

/// The explicit work of one mapping: all of it is read before any of it is mapped.
#[derive(Debug, Default)]
pub(super) struct Explicit {
    queue: VecDeque<Piece>,
    /// Made for the first request.
    fetch: Option<Madvise>,
    /// What was mapped since the observer was told.
    mapped: Vec<Span>,
}

/// A long range has many pieces; many short ones share one, and are still read each alone.
#[derive(Debug)]
struct Piece {
    spans: Vec<Span>,
    what: What,
    handle: Prefetch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Read,
    Map,
    /// Nothing more: the prefetch is done.
    Finish,
}

impl Explicit {
    /// Takes in new requests and fetches a few pieces. Returns whether more is left.
    pub(super) fn step(&mut self, shared: &Shared, before_fetch: BeforeFetch<'_>) -> bool {
        while let Some(request) = shared.requests.pop() {
            self.admit(request, shared);
        }
        for _ in 0..PIECES_PER_STEP {
            if shared.gate.is_closed() {
                self.abandon();
                return false;
            }
            let Some(piece) = self.queue.pop_front() else { return false };
            if piece.what == What::Map {
                self.mapped.extend(&piece.spans);
            }
            let fetch = self
                .fetch
                .get_or_insert_with(|| Madvise::new(shared.facts, 0, shared.span, shared.offset));
            piece.carry_out(shared, fetch, before_fetch);
        }
        !self.queue.is_empty()
    }

    /// What was mapped since this was asked last: no reader was there.
    pub(super) fn mapped(&mut self) -> impl Iterator<Item = Span> {
        self.mapped.drain(..)
    }

    fn admit(&mut self, request: Request, shared: &Shared) {
        let Request { spans, handle } = request;
        let pieces = pieces_of(&spans);
        let piece = |what| {
            let handle = handle.clone();
            move |spans| Piece { spans, what, handle: handle.clone() }
        };
        if matches!(shared.conduct, Conduct::Follow | Conduct::OnRequest) {
            self.queue.extend(pieces.iter().cloned().map(piece(What::Read)));
            self.queue.extend(pieces.into_iter().map(piece(What::Map)));
        } else {
            self.queue.extend(pieces.into_iter().map(piece(What::Read)));
        }
        self.queue.push_back(Piece { spans: Vec::new(), what: What::Finish, handle });
    }

    fn abandon(&mut self) {
        for piece in self.queue.drain(..) {
            piece.handle.finish(PrefetchState::Cancelled);
        }
    }
}

impl Drop for Explicit {
    fn drop(&mut self) {
        self.abandon();
    }
}

impl Piece {
    fn carry_out(self, shared: &Shared, madvise: &mut Madvise, before_fetch: BeforeFetch<'_>) {
        let is_wanted = self.handle.state() == PrefetchState::Pending;
        let result = match self.what {
            What::Finish => {
                self.handle.finish(PrefetchState::Done);
                Ok(())
            }
            _ if !is_wanted => Ok(()),
            what => {
                before_fetch();
                self.fetch(what, shared, madvise)
            }
        };
        if self.what == What::Read {
            shared.requested.fetch_sub(len_of(&self.spans) as u64, Ordering::Relaxed);
        }
        if let Err(error) = result {
            Counters::add(&shared.counters.refused, 1);
            tracing::debug!(%error, "mmap-ahead: an explicit prefetch was refused");
        }
    }

    fn fetch(&self, what: What, shared: &Shared, madvise: &mut Madvise) -> io::Result<()> {
        // What the kernel took away again since it was read is read once more, alone: mapping it would
        // have the kernel read megabytes around it.
        self.read_absent(madvise)?;
        if what == What::Map {
            return self.spans.iter().try_for_each(|&span| map(span, shared));
        }
        self.handle.add_bytes(len_of(&self.spans) as u64);
        Ok(())
    }

    fn read_absent(&self, madvise: &mut Madvise) -> io::Result<()> {
        let is_absent = |span: &Span| madvise.residency(*span) != Residency::Resident;
        let absent: Vec<Span> = self.spans.iter().copied().filter(is_absent).collect();
        if absent.is_empty() { Ok(()) } else { madvise.start(&absent).map(|_| ()) }
    }
}

fn map(span: Span, shared: &Shared) -> io::Result<()> {
    shared.open(span)?;
    sys::populate(span)
}

fn len_of(spans: &[Span]) -> usize {
    spans.iter().map(|span| span.len).sum()
}

/// `spans` in order, in pieces of at most so many bytes and ranges.
fn pieces_of(spans: &[Span]) -> Vec<Vec<Span>> {
    let mut pieces: Vec<Vec<Span>> = Vec::new();
    let mut room = 0;
    for span in spans.iter().flat_map(|span| span.pieces(PIECE_BYTES)) {
        match pieces.last_mut().filter(|piece| span.len <= room && piece.len() < PIECE_SPANS) {
            Some(piece) => {
                room -= span.len;
                piece.push(span);
            }
            None => {
                room = PIECE_BYTES - span.len;
                pieces.push(vec![span]);
            }
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ranges_share_a_piece_and_long_ones_have_many() {
        let page = |index: usize| Span { addr: index << 13, len: 4096 };
        let long = Span { addr: 1 << 30, len: PIECE_BYTES * 2 + 4096 };
        let spans: Vec<_> = (0..100).map(page).chain([long]).chain((0..3).map(page)).collect();
        let pieces = pieces_of(&spans);
        let shapes: Vec<_> = pieces.iter().map(|piece| (piece.len(), len_of(piece))).collect();
        let full = (1, PIECE_BYTES);
        assert_eq!(shapes, [(64, 64 << 12), (36, 36 << 12), full, full, (4, 4 << 12)]);
        let bytes: usize = pieces.iter().map(|piece| len_of(piece)).sum();
        assert_eq!(bytes, len_of(&spans));
        assert!(pieces_of(&[]).is_empty());
    }
}
