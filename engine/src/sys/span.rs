//! A run of addresses: the only shape in which an address leaves a mapping.

/// Page-aligned addresses of one mapping, half-open, that lie inside it while its gate is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) addr: usize,
    pub(crate) len: usize,
}

impl Span {
    /// The bytes `from..to` of this span, cut to it.
    pub(crate) fn slice(self, from: usize, to: usize) -> Span {
        let to = to.min(self.len);
        let from = from.min(to);
        Span { addr: self.addr + from, len: to - from }
    }

    pub(crate) fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The span in pieces of at most `step` bytes.
    pub(crate) fn pieces(self, step: usize) -> impl Iterator<Item = Span> {
        (0..self.len).step_by(step.max(1)).map(move |from| self.slice(from, from + step))
    }
}
