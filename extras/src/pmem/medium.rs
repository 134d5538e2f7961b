//! What a durable structure asks of the memory it lives in.

use std::io;
use std::ops::Range;

use super::Pmem;

/// Memory under the rule of 8 bytes (see [the module](super)). A structure that is written against it
/// can be put on a [`Pmem`], or on a model that loses power.
pub trait Medium {
    /// How many bytes there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies `bytes.len()` bytes out from `offset`.
    fn read(&self, offset: usize, bytes: &mut [u8]);

    /// Copies `bytes` in at `offset`; torn at any byte when the power fails before `persist`.
    fn write(&mut self, offset: usize, bytes: &[u8]);

    /// The 8 bytes at `offset`, a multiple of 8.
    fn load(&self, offset: usize) -> u64;

    /// Stores 8 bytes at `offset`, a multiple of 8: never torn.
    fn store(&mut self, offset: usize, value: u64);

    /// Returns when `range` is durable.
    ///
    /// # Errors
    /// When the device failed.
    fn persist(&mut self, range: Range<usize>) -> io::Result<()>;

    /// `write` and `persist`.
    ///
    /// # Errors
    /// As [`persist`](Medium::persist).
    fn write_durably(&mut self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.write(offset, bytes);
        self.persist(offset..offset + bytes.len())
    }
}

impl Medium for Pmem {
    fn len(&self) -> usize {
        Pmem::len(self)
    }

    fn read(&self, offset: usize, bytes: &mut [u8]) {
        Pmem::read(self, offset, bytes);
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        Pmem::write(self, offset, bytes);
    }

    fn load(&self, offset: usize) -> u64 {
        Pmem::load(self, offset)
    }

    fn store(&mut self, offset: usize, value: u64) {
        Pmem::store(self, offset, value);
    }

    fn persist(&mut self, range: Range<usize>) -> io::Result<()> {
        Pmem::persist(self, range)
    }

    fn write_durably(&mut self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        Pmem::write_durably(self, offset, bytes)
    }
}
