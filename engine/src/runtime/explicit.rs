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
/// Pieces fetched in one step, so that readers that are followed get their turn.
const PIECES_PER_STEP: usize = 4;

/// The explicit work of one mapping: all of it is read before any of it is mapped.
#[derive(Debug, Default)]
pub(super) struct Explicit {
    queue: VecDeque<Piece>,
    /// What was mapped since the observer was told.
    mapped: Vec<Span>,
}

#[derive(Debug)]
struct Piece {
    span: Span,
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
                self.mapped.push(piece.span);
            }
            piece.carry_out(shared, before_fetch);
        }
        !self.queue.is_empty()
    }

    /// What was mapped since this was asked last: no reader was there.
    pub(super) fn mapped(&mut self) -> impl Iterator<Item = Span> {
        self.mapped.drain(..)
    }

    fn admit(&mut self, request: Request, shared: &Shared) {
        let Request { spans, handle } = request;
        let pieces = || spans.iter().flat_map(|span| span.pieces(PIECE_BYTES));
        let piece = |what| {
            let handle = handle.clone();
            move |span| Piece { span, what, handle: handle.clone() }
        };
        self.queue.extend(pieces().map(piece(What::Read)));
        if matches!(shared.conduct, Conduct::Follow | Conduct::OnRequest) {
            self.queue.extend(pieces().map(piece(What::Map)));
        }
        let end = Span { addr: 0, len: 0 };
        self.queue.push_back(Piece { span: end, what: What::Finish, handle });
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
    fn carry_out(self, shared: &Shared, before_fetch: BeforeFetch<'_>) {
        let is_wanted = self.handle.state() == PrefetchState::Pending;
        let result = match self.what {
            What::Finish => {
                self.handle.finish(PrefetchState::Done);
                Ok(())
            }
            _ if !is_wanted => Ok(()),
            what => {
                before_fetch();
                self.fetch(what, shared)
            }
        };
        if self.what == What::Read {
            shared.requested.fetch_sub(self.span.len as u64, Ordering::Relaxed);
        }
        if let Err(error) = result {
            Counters::add(&shared.counters.refused, 1);
            tracing::debug!(%error, "mmap-ahead: an explicit prefetch was refused");
        }
    }

    fn fetch(&self, what: What, shared: &Shared) -> io::Result<()> {
        if what == What::Map {
            if let Some(slot) = &shared.guard {
                let from = (self.span.addr - shared.span.addr) / slot.granule();
                let to =
                    (self.span.addr + self.span.len - shared.span.addr).div_ceil(slot.granule());
                slot.open(from..to)?;
            }
            return sys::populate(self.span);
        }
        let mut madvise = Madvise::new(shared.facts, 0);
        if madvise.residency(self.span) != Residency::Resident {
            madvise.start(&[self.span])?;
        }
        self.handle.add_bytes(self.span.len as u64);
        Ok(())
    }
}
