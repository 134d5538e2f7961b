//! The memory of a `Paged`: a fixed number of frames, each of them one huge page in the pool, or
//! taken apart for small pages.

use std::io;

use super::slots::FrameIndex;
use crate::page::PageCount;
use crate::sys::{self, Cell, FRAME_LEN, Fork, Uffd};

/// Who has how much. Frames are populated when they are first needed, and used again and again.
#[derive(Debug)]
pub(super) struct Frames {
    /// None while the disk has it.
    cells: Vec<Option<Cell>>,
    /// Populated and unused.
    free: Vec<FrameIndex>,
    /// Without memory.
    bare: Vec<FrameIndex>,
    /// Small pages under the reader or on their way there.
    small: PageCount,
    pages_per_frame: u64,
}

impl Frames {
    pub(super) fn new(count: usize, pages_per_frame: PageCount) -> io::Result<Frames> {
        let pool = Cell::reserve(count * FRAME_LEN, Fork::Withhold)?;
        let cells: Vec<_> = pool.split(FRAME_LEN).into_iter().map(Some).collect();
        let bare = (0..cells.len()).rev().collect();
        let (free, small) = (Vec::new(), PageCount(0));
        Ok(Frames { cells, free, bare, small, pages_per_frame: pages_per_frame.0 })
    }

    pub(super) fn count(&self) -> usize {
        self.cells.len()
    }

    /// Frames that are whole.
    pub(super) fn whole(&self) -> usize {
        self.cells.len() - self.bare.len()
    }

    /// As many frames as the small pages fill.
    pub(super) fn small_frames(&self) -> usize {
        self.small.0.div_ceil(self.pages_per_frame) as usize
    }

    /// How many more small pages there is memory for.
    pub(super) fn small_room(&self) -> PageCount {
        let most = self.bare.len() as u64 * self.pages_per_frame;
        PageCount(most.saturating_sub(self.small.0))
    }

    pub(super) fn reserve_small(&mut self, pages: PageCount) {
        self.small = PageCount(self.small.0 + pages.0);
    }

    pub(super) fn return_small(&mut self, pages: PageCount) {
        self.small = PageCount(self.small.0 - pages.0);
    }

    /// A frame that nobody uses, if there is one or memory for one.
    pub(super) fn claim(&mut self, uffd: &Uffd) -> Option<FrameIndex> {
        if let Some(frame) = self.free.pop() {
            return Some(frame);
        }
        if self.whole() + self.small_frames() >= self.count() {
            return None;
        }
        let frame = *self.bare.last()?;
        let cell = self.cells[frame].as_mut()?;
        if cell.populate().and_then(|()| uffd.adopt(cell)).is_err() {
            cell.discard();
            return None;
        }
        self.bare.pop();
        Some(frame)
    }

    /// `frame` is unused again; its memory stays.
    pub(super) fn release(&mut self, frame: FrameIndex) {
        self.free.push(frame);
    }

    /// Gives the memory of one unused frame to the small pages. False when there is none.
    pub(super) fn take_apart(&mut self, uffd: &Uffd) -> bool {
        let Some(frame) = self.free.pop() else { return false };
        let cell = self.cells[frame].as_mut();
        // Refused when the process has too many areas: then it stays what it is. A cell that is watched
        // over and empty must never be touched by us.
        let Some(cell) = cell.filter(|cell| uffd.disown(cell).is_ok()) else {
            self.free.push(frame);
            return false;
        };
        cell.discard();
        self.bare.push(frame);
        true
    }

    /// `frame`, unless the disk has it.
    pub(super) fn cell(&self, frame: FrameIndex) -> &Cell {
        let Some(cell) = &self.cells[frame] else { panic!("frame {frame} is being read into") };
        cell
    }

    pub(super) fn cell_mut(&mut self, frame: FrameIndex) -> &mut Cell {
        let Some(cell) = &mut self.cells[frame] else { panic!("frame {frame} is being read into") };
        cell
    }

    /// Makes one huge page of `frame` again where the kernel has taken it apart, and tells if it had:
    /// it does so to what it tries to page out, also where there is no swap (DAMON, on whatever lies
    /// idle), and a frame is never allocated anew.
    pub(super) fn mend(&mut self, frame: FrameIndex) -> bool {
        let cell = self.cell_mut(frame);
        let is_huge = sys::pagemap().and_then(|pagemap| pagemap.is_huge(cell.span()));
        let is_apart = is_huge == Some(false);
        if is_apart {
            cell.collapse();
        }
        is_apart
    }

    /// Gives `frame` to the disk.
    pub(super) fn lend(&mut self, frame: FrameIndex) -> Cell {
        let Some(cell) = self.cells[frame].take() else { panic!("frame {frame} is lent") };
        cell
    }

    /// The disk gives `frame` back.
    pub(super) fn give_back(&mut self, frame: FrameIndex, cell: Cell) {
        self.cells[frame] = Some(cell);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_small_pages_share_one_limit() {
        let Ok(uffd) = Uffd::reserve(1, sys::Missing::Queued) else {
            return println!("skipped: no userfaultfd here");
        };
        let mut frames = Frames::new(3, PageCount(512)).unwrap();
        assert_eq!(frames.small_room(), PageCount(3 * 512));
        frames.reserve_small(PageCount(513));
        let frame = frames.claim(&uffd).unwrap();
        assert_eq!(frames.claim(&uffd), None, "two frames are taken apart, one is whole");
        assert_eq!(frames.small_room(), PageCount(511));
        frames.release(frame);
        assert!(frames.take_apart(&uffd) && !frames.take_apart(&uffd));
        frames.reserve_small(PageCount(1023));
        assert_eq!((frames.small_room(), frames.claim(&uffd)), (PageCount(0), None));
        frames.return_small(PageCount(1536));
        let all: Vec<_> = std::iter::from_fn(|| frames.claim(&uffd)).collect();
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn a_frame_that_was_taken_apart_is_made_one_again_and_keeps_its_bytes() {
        let mut frames = Frames::new(1, PageCount(512)).unwrap();
        let cell = frames.cell_mut(0);
        cell.populate().unwrap();
        cell.bytes_mut().fill(7);
        let span = cell.span();
        if sys::pagemap().and_then(|pagemap| pagemap.is_huge(span)) != Some(true) {
            return println!("skipped: no huge pages here");
        }
        assert!(!frames.mend(0), "it is whole");
        // One page less, and it cannot be one.
        sys::drop_from_page_table(span.slice(0, 4096)).unwrap();
        frames.cell_mut(0).bytes_mut()[0] = 9;
        assert!(frames.mend(0), "it was apart");
        assert!(!frames.mend(0), "it is whole again");
        let bytes = frames.cell(0).bytes();
        assert_eq!((bytes[0], bytes[1], bytes[4096], bytes[bytes.len() - 1]), (9, 0, 7, 7));
    }
}
