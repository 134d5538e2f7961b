//! The engine's mechanisms one by one, for the benches: nothing here decides anything.

use std::fs::File;
use std::io;

use crate::Mmap;
use crate::sys::{Cell, FRAME_LEN, Fork, Pagemap, Span, Stopped, Uffd, pagemap};

/// A frame that is moved under a reader and back, and pages that are copied there (userfaultfd).
#[derive(Debug)]
pub struct Frames {
    uffd: Uffd,
    cell: Cell,
}

impl Frames {
    /// One frame, populated.
    ///
    /// # Errors
    /// Where userfaultfd is not to be had, or has no MOVE.
    pub fn new() -> io::Result<Frames> {
        let uffd = Uffd::reserve(FRAME_LEN, crate::sys::Missing::Queued)?;
        if !uffd.has_move() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let mut cell = Cell::reserve(FRAME_LEN, Fork::Withhold)?;
        cell.populate()?;
        uffd.adopt(&cell)?;
        Ok(Frames { uffd, cell })
    }

    /// Its length in bytes: 2 MiB.
    pub const LEN: usize = FRAME_LEN;

    /// UFFDIO_MOVE of the frame under the reader and back into the pool.
    ///
    /// # Errors
    /// What stopped a move.
    pub fn move_there_and_back(&mut self) -> io::Result<()> {
        self.uffd.put(&self.cell, 0, 0).map_err(stopped)?;
        self.uffd.take(0, &mut self.cell).map_err(stopped)
    }

    /// UFFDIO_COPY of the first `len` bytes under the reader, and MADV_DONTNEED of them.
    ///
    /// # Errors
    /// What stopped the copy.
    pub fn copy_and_empty(&mut self, len: usize) -> io::Result<()> {
        self.uffd.copy(self.cell.part(0..len), 0).map_err(stopped)?;
        self.uffd.empty(0, len)
    }
}

fn stopped(stopped: Stopped) -> io::Error {
    io::Error::other(format!("{stopped:?}"))
}

/// A mapping whose page table is looked at, as a marker observer looks at it.
#[derive(Debug)]
pub struct Looks {
    map: Mmap,
    pagemap: &'static Pagemap,
}

impl Looks {
    /// A mapping of `file`, which nobody changes, all of it touched.
    ///
    /// # Errors
    /// Those of mmap(2), and where /proc/self/pagemap is hidden.
    pub fn new(file: &File) -> io::Result<Looks> {
        let map = super::map_file(file, crate::MmapOptions::new().mode(crate::Mode::Off))?;
        let sum: u64 = map.iter().step_by(4096).map(|byte| u64::from(*byte)).sum();
        std::hint::black_box(sum);
        let pagemap = pagemap().ok_or(io::ErrorKind::Unsupported)?;
        Ok(Looks { map, pagemap })
    }

    /// Whether any page of the first `len` bytes is in the page table: what polling a marker is.
    ///
    /// # Errors
    /// Those of PAGEMAP_SCAN.
    pub fn poll(&self, len: usize) -> io::Result<bool> {
        self.pagemap.any_present(self.span(len))
    }

    /// Which of the first `len` bytes are in the page table, as a number of runs.
    ///
    /// # Errors
    /// Those of PAGEMAP_SCAN.
    pub fn scan(&self, len: usize) -> io::Result<usize> {
        let mut runs = 0;
        self.pagemap.present(self.span(len), usize::MAX, |_, _| runs += 1)?;
        Ok(runs)
    }

    fn span(&self, len: usize) -> Span {
        Span { addr: self.map.as_ptr() as usize, len: len.min(self.map.len()) }
    }
}
