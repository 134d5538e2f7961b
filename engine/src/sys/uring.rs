//! Reads in flight: io_uring(7), with the memory they go to in its keeping.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use io_uring::{IoUring, Probe, opcode, types};

use super::Cell;

/// A queue of reads. A cell that is read into belongs to it until the read has landed.
///
/// Kernel: 5.6 for IORING_OP_READ; refused by seccomp in most containers. Source: io_uring(7).
pub(crate) struct Ring {
    ring: IoUring,
    /// What is in flight, by the number that the kernel hands back.
    flights: Vec<Option<Flight>>,
    free: Vec<usize>,
    /// The process that made it: in a child the reads are the parent's.
    process: u32,
}

/// A read that the kernel works on: it keeps the memory and the file alive.
#[derive(Debug)]
struct Flight {
    token: u64,
    cell: Cell,
    _file: Arc<OwnedFd>,
}

/// A read that has ended.
#[derive(Debug)]
pub(crate) struct Landed {
    /// What the caller called it.
    pub(crate) token: u64,
    /// The memory, the caller's again.
    pub(crate) cell: Cell,
    /// How many bytes were read; fewer than asked for at the end of the file, and sometimes before.
    pub(crate) result: io::Result<usize>,
}

impl Ring {
    /// A ring for `depth` reads at once.
    ///
    /// # Errors
    /// Those of io_uring_setup(2): EPERM and ENOSYS where it is blocked.
    pub(crate) fn new(depth: usize) -> io::Result<Ring> {
        let entries = u32::try_from(depth.next_power_of_two()).unwrap_or(u32::MAX);
        // Completions are taken in on the next system call of this thread, not by interrupting it
        // (5.19); older kernels do without.
        let ring = IoUring::builder().setup_coop_taskrun().build(entries);
        let ring = ring.or_else(|_| IoUring::new(entries))?;
        if !has_read(&ring) {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(Ring {
            ring,
            flights: std::iter::repeat_with(|| None).take(depth).collect(),
            free: (0..depth).rev().collect(),
            process: std::process::id(),
        })
    }

    /// How many reads may be added.
    pub(crate) fn room(&self) -> usize {
        self.free.len()
    }

    /// How many reads have not landed.
    pub(crate) fn in_flight(&self) -> usize {
        self.flights.len() - self.free.len()
    }

    /// Queues a read of `file` at `offset` into `part` of `cell`; [`submit`](Ring::submit) starts
    /// it.
    ///
    /// # Panics
    /// Without [`room`](Ring::room), or when `part` is not inside the cell.
    pub(crate) fn read(
        &mut self,
        token: u64,
        cell: Cell,
        part: Range<usize>,
        file: &Arc<OwnedFd>,
        offset: u64,
    ) {
        let to = cell.part(part);
        let Some(flight) = self.free.pop() else { panic!("a read too many: {self:?}") };
        // A file offset of 64 bits; one cell is far below 4 GiB.
        let read =
            opcode::Read::new(types::Fd(file.as_raw_fd()), to.addr as *mut u8, to.len as u32)
                .offset(offset)
                .build()
                .user_data(flight as u64);
        self.flights[flight] = Some(Flight { token, cell, _file: Arc::clone(file) });
        // SAFETY: the memory and the descriptor are kept in `flights` until the read has landed, or
        // for ever if that cannot be awaited.
        let pushed = unsafe { self.ring.submission().push(&read) };
        // There are as many entries as flights, at least.
        assert!(pushed.is_ok(), "the submission queue holds every flight");
    }

    /// Whether reads are queued that [`submit`](Ring::submit) could not start yet.
    pub(crate) fn has_backlog(&mut self) -> bool {
        !self.ring.submission().is_empty()
    }

    /// Starts what is queued, or leaves it queued while the kernel is short of memory.
    ///
    /// # Errors
    /// Those of io_uring_enter(2).
    pub(crate) fn submit(&mut self) -> io::Result<()> {
        if self.ring.submission().is_empty() {
            return Ok(());
        }
        retry(|| self.ring.submit())
    }

    /// Starts what is queued and waits until a read has landed, if any is in flight.
    ///
    /// # Errors
    /// As [`submit`](Ring::submit).
    pub(crate) fn wait(&mut self) -> io::Result<()> {
        if self.in_flight() == 0 {
            return Ok(());
        }
        retry(|| self.ring.submit_and_wait(1))
    }

    /// The next read that has landed; does not wait.
    pub(crate) fn land(&mut self) -> Option<Landed> {
        let entry = self.ring.completion().next()?;
        let flight = entry.user_data() as usize;
        let Flight { token, cell, .. } = self.flights[flight].take()?;
        self.free.push(flight);
        let result = usize::try_from(entry.result())
            .map_err(|_| io::Error::from_raw_os_error(-entry.result()));
        Some(Landed { token, cell, result })
    }
}

/// Linux 5.1 to 5.5 have rings and not this operation; nor have they a way to say so.
fn has_read(ring: &IoUring) -> bool {
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe).is_ok() && probe.is_supported(opcode::Read::CODE)
}

fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<()> {
    loop {
        match call() {
            // EBUSY: completions must be taken first; EAGAIN: no memory for a request. The caller comes
            // again.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EAGAIN)) => {
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map(|_| ()),
        }
    }
}

impl AsFd for Ring {
    /// Readable when a read has landed.
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the ring owns its descriptor and outlives the borrow.
        unsafe { BorrowedFd::borrow_raw(self.ring.as_raw_fd()) }
    }
}

impl Drop for Ring {
    /// Waits for every read: the memory is written to until then. Where that is impossible, the
    /// memory is never given back. In a forked child the reads are the parent's.
    fn drop(&mut self) {
        while self.in_flight() > 0 {
            if self.process != std::process::id() || self.wait().is_err() {
                self.flights.drain(..).for_each(std::mem::forget);
                return;
            }
            while self.land().is_some() {}
        }
    }
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("in_flight", &self.in_flight()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Fork;
    use std::io::Write;

    #[test]
    fn reads_land_with_their_own_cell_and_bytes() {
        let Ok(mut ring) = Ring::new(4) else { return println!("skipped: no io_uring here") };
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..4 << 12).map(|at| (at >> 12) as u8).collect();
        file.write_all(&bytes).unwrap();
        let file = Arc::new(OwnedFd::from(file));
        let cells = Cell::reserve(1, Fork::Inherit).unwrap().split(8192);
        for (page, cell) in cells.into_iter().take(4).enumerate() {
            ring.read(page as u64, cell, 4096..8192, &file, page as u64 * 4096);
        }
        assert_eq!((ring.room(), ring.in_flight()), (0, 4));
        let mut seen = Vec::new();
        while ring.in_flight() > 0 {
            ring.wait().unwrap();
            while let Some(landed) = ring.land() {
                assert_eq!(landed.result.unwrap(), 4096);
                let (before, read) = landed.cell.bytes().split_at(4096);
                assert!(before.iter().all(|&byte| byte == 0));
                assert!(read.iter().all(|&byte| u64::from(byte) == landed.token));
                seen.push(landed.token);
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2, 3]);
    }

    #[test]
    fn an_error_comes_back_with_the_cell() {
        let Ok(mut ring) = Ring::new(1) else { return println!("skipped: no io_uring here") };
        let dir = Arc::new(OwnedFd::from(std::fs::File::open("/").unwrap()));
        let cell = Cell::reserve(1, Fork::Inherit).unwrap();
        ring.read(9, cell, 0..4096, &dir, 0);
        ring.wait().unwrap();
        let landed = ring.land().unwrap();
        assert_eq!(landed.result.unwrap_err().raw_os_error(), Some(libc::EISDIR));
        assert_eq!(ring.in_flight(), 0);
    }

    #[test]
    fn dropping_it_waits_for_what_is_in_flight() {
        let Ok(mut ring) = Ring::new(2) else { return println!("skipped: no io_uring here") };
        let file = Arc::new(OwnedFd::from(std::fs::File::open("/proc/self/exe").unwrap()));
        ring.read(0, Cell::reserve(1, Fork::Inherit).unwrap(), 0..4096, &file, 0);
        ring.submit().unwrap();
        drop(ring);
        assert_eq!(Arc::strong_count(&file), 1);
    }
}
