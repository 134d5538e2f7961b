//! The read-ahead state of an open file and the sizes of its windows (KERNEL.md 0 and 1.2).

/// struct file_ra_state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadAhead {
    /// The last window: its first page, its size, and how many pages of its end lie behind its flag.
    pub(super) start: u64,
    pub(super) size: u64,
    pub(super) async_size: u64,
    /// The order of the last window's folios (6.18), or the hint for the next (6.12).
    pub(super) order: u8,
    /// The most that a window may have.
    pub(super) ra_pages: u64,
    /// Faults on absent pages, less those that found pages read ahead.
    pub(super) mmap_miss: u64,
    /// The byte behind the last read(2); -1 before the first.
    pub(super) prev_pos: i64,
    /// FMODE_RANDOM.
    pub(super) is_random: bool,
}

impl ReadAhead {
    /// As open(2) makes it.
    pub(super) fn new(ra_pages: u64) -> ReadAhead {
        ReadAhead {
            start: 0,
            size: 0,
            async_size: 0,
            order: 0,
            ra_pages,
            mmap_miss: 0,
            prev_pos: -1,
            is_random: false,
        }
    }

    /// The largest window for a request of `req` pages, where a request to the disk may have
    /// `io_pages`.
    pub(super) fn max(&self, req: u64, io_pages: u64) -> u64 {
        if req > self.ra_pages && io_pages > self.ra_pages {
            req.min(io_pages)
        } else {
            self.ra_pages
        }
    }

    /// The page of the byte behind the last read, as the kernel compares it: unsigned.
    pub(super) fn prev_page(&self) -> u64 {
        (self.prev_pos as u64) >> 12
    }
}

/// The first window for a request of `req` pages.
pub(super) fn first_size(req: u64, max: u64) -> u64 {
    let size = req.next_power_of_two();
    if size <= max / 32 {
        size * 4
    } else if size <= max / 4 {
        size * 2
    } else {
        max
    }
}

/// The window after one of `size` pages.
pub(super) fn next_size(size: u64, max: u64) -> u64 {
    if size < max / 16 {
        size * 4
    } else if size <= max / 2 {
        size * 2
    } else {
        max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_grow_as_section_1_2_says() {
        assert_eq!([1, 2, 8, 9, 33].map(|req| first_size(req, 32)), [4, 4, 16, 32, 32]);
        assert_eq!(
            [1, 64, 65, 512, 513].map(|req| first_size(req, 2048)),
            [4, 256, 256, 1024, 2048]
        );
        assert_eq!(
            [4, 127, 128, 1024, 1025].map(|size| next_size(size, 2048)),
            [16, 508, 256, 2048, 2048]
        );
    }

    #[test]
    fn a_large_request_may_exceed_the_window() {
        let file = ReadAhead::new(32);
        assert_eq!([32, 33, 2000].map(|req| file.max(req, 1024)), [32, 33, 1024]);
        assert_eq!(ReadAhead::new(2048).max(3000, 1024), 2048);
    }
}
