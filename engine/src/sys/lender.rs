//! Memory that threads borrow piece by piece, without a lock.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Cell, Span};

/// Cells in up to 64 pieces, each lent to one borrower at a time.
#[derive(Debug)]
pub(crate) struct Lender {
    cells: Vec<Cell>,
    piece: usize,
    pieces_per_cell: usize,
    /// One bit for each piece that nobody has.
    free: AtomicU64,
}

/// A piece, until it is dropped.
#[derive(Debug)]
pub(crate) struct Lent<'a> {
    lender: &'a Lender,
    index: u32,
}

impl Lender {
    /// Cuts `cells`, which are of one length, into pieces of `piece` bytes.
    pub(crate) fn new(cells: Vec<Cell>, piece: usize) -> Lender {
        let pieces_per_cell = cells.first().map_or(0, |cell| cell.len() / piece);
        let count = pieces_per_cell * cells.len();
        let free = if count >= 64 { u64::MAX } else { (1 << count) - 1 };
        Lender { cells, piece, pieces_per_cell, free: AtomicU64::new(free) }
    }

    /// A piece, if one is free. Async-signal-safe.
    pub(crate) fn lend(&self) -> Option<Lent<'_>> {
        let mut free = self.free.load(Ordering::Relaxed);
        while free != 0 {
            let index = free.trailing_zeros();
            let rest = free & !(1 << index);
            let order = (Ordering::Acquire, Ordering::Relaxed);
            match self.free.compare_exchange_weak(free, rest, order.0, order.1) {
                Ok(_) => return Some(Lent { lender: self, index }),
                Err(newer) => free = newer,
            }
        }
        None
    }
}

impl Lent<'_> {
    pub(crate) fn span(&self) -> Span {
        let Lender { cells, piece, pieces_per_cell, .. } = self.lender;
        let index = self.index as usize;
        let start = index % pieces_per_cell * piece;
        cells[index / pieces_per_cell].part(start..start + piece)
    }
}

impl Deref for Lent<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let span = self.span();
        // SAFETY: the piece lies in the cell, which the lender owns and never touches itself; its bit
        // is taken, so nobody else has it.
        unsafe { std::slice::from_raw_parts(span.addr as *const u8, span.len) }
    }
}

impl DerefMut for Lent<'_> {
    fn deref_mut(&mut self) -> &mut [u8] {
        let span = self.span();
        // SAFETY: as in `deref`, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(span.addr as *mut u8, span.len) }
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.lender.free.fetch_or(1 << self.index, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Fork;

    #[test]
    fn each_piece_has_one_borrower_at_a_time() {
        let mut cells = Cell::reserve(1, Fork::Inherit).unwrap().split(3 * 4096);
        cells.truncate(2);
        let lender = Lender::new(cells, 4096);
        let mut lent: Vec<_> = std::iter::from_fn(|| lender.lend()).collect();
        assert_eq!(lent.len(), 6);
        for (number, piece) in lent.iter_mut().enumerate() {
            piece.fill(number as u8);
        }
        assert!(lent.iter().enumerate().all(|(number, piece)| piece[4095] == number as u8));
        let given_back = lent.swap_remove(1).span();
        assert_eq!(lender.lend().map(|piece| piece.span().addr), Some(given_back.addr));
    }
}
