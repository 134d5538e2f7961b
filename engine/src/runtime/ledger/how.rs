//! The ways in which pages are fetched ahead.

/// How pages were fetched; in no way yet, where they are planned, or were found in memory, or left to the
/// reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::runtime) struct How {
    /// They are to be in memory.
    pub(in crate::runtime) is_asked: bool,
    /// The device was started on them.
    pub(in crate::runtime) is_read: bool,
    /// They were put into the page table.
    pub(in crate::runtime) is_mapped: bool,
    /// They are of a window, which only a forward run has.
    pub(in crate::runtime) is_window: bool,
    /// They lie behind a step, and nobody watches them: they are passed when the step is.
    pub(in crate::runtime) is_tail: bool,
}

impl How {
    const NONE: How =
        How { is_asked: false, is_read: false, is_mapped: false, is_window: false, is_tail: false };
    pub(in crate::runtime) const LEFT: How = How { is_asked: true, ..How::NONE };
    pub(in crate::runtime) const READ: How = How { is_read: true, ..How::LEFT };
    pub(in crate::runtime) const WINDOW_LEFT: How = How { is_window: true, ..How::NONE };
    pub(in crate::runtime) const MAPPED: How = How { is_mapped: true, ..How::WINDOW_LEFT };
    pub(in crate::runtime) const TAIL_LEFT: How = How { is_tail: true, ..How::LEFT };
    pub(in crate::runtime) const TAIL: How = How { is_tail: true, ..How::READ };

    pub(super) fn is_fetched(self) -> bool {
        self.is_read || self.is_mapped
    }

    /// Whether both are to be in memory, or both in the page table.
    pub(super) fn is_like(self, other: How) -> bool {
        (self.is_asked && other.is_asked) || (self.is_window && other.is_window)
    }

    pub(super) fn and(self, other: How) -> How {
        How {
            is_asked: self.is_asked || other.is_asked,
            is_read: self.is_read || other.is_read,
            is_mapped: self.is_mapped || other.is_mapped,
            is_window: self.is_window || other.is_window,
            is_tail: self.is_tail && other.is_tail,
        }
    }
}
