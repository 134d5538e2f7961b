//! The end that reads.

use std::io;

use super::ShmError;
use super::layout::HEADER_LEN;
use super::side::{Side, Wait};

/// The receiving end of a [`Channel`](super::Channel). Dropping it makes the sender's next call an
/// error.
///
/// A fork shares it: use it in one of the two processes only.
#[derive(Debug)]
pub struct Receiver(Side);

impl Receiver {
    pub(super) fn new(side: Side) -> Receiver {
        Receiver(side)
    }

    /// Receives what there is, at most `bytes.len()` bytes, and says how many; sleeps while there is
    /// nothing, also before the sender is there. 0 only when the sender was dropped and everything is
    /// read, or `bytes` is empty.
    ///
    /// # Errors
    /// [`ShmError::PeerDied`], when everything that the sender had sent is read;
    /// [`ShmError::Corrupt`], [`ShmError::CutShort`].
    pub fn receive(&mut self, bytes: &mut [u8]) -> Result<usize, ShmError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let len = self.there_are(bytes.len())?.min(bytes.len());
        let (at, before_end) = self.0.place();
        let (first, second) = bytes[..len].split_at_mut(len.min(before_end));
        self.0.memory().copy_out(at, first);
        self.0.memory().copy_out(HEADER_LEN, second);
        if len > 0 {
            self.0.advance(len)?;
        }
        Ok(len)
    }

    /// Fills `bytes`.
    ///
    /// # Errors
    /// As [`receive`](Receiver::receive), and [`ShmError::Closed`] when the sender was dropped before
    /// so much was sent.
    pub fn receive_exact(&mut self, mut bytes: &mut [u8]) -> Result<(), ShmError> {
        while !bytes.is_empty() {
            match self.receive(bytes)? {
                0 => return Err(ShmError::Closed),
                len => bytes = &mut bytes[len..],
            }
        }
        Ok(())
    }

    /// How many bytes have been received so far.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.0.own()
    }

    /// How many bytes may be read now; 0 at the end of the stream only.
    fn there_are(&mut self, wanted: usize) -> Result<usize, ShmError> {
        if self.0.filled_at_least() >= wanted as u64 {
            return Ok(wanted);
        }
        let mut last = Wait::Told;
        loop {
            let seen = self.0.seen();
            // Before the position: once closed, it is final.
            let is_closed = self.0.peer_is_closed();
            match self.0.filled()? {
                0 if is_closed => return Ok(0),
                0 if last == Wait::PeerDied => return Err(ShmError::PeerDied),
                0 => last = self.0.wait(seen)?,
                filled => return Ok(filled as usize),
            }
        }
    }
}

impl io::Read for Receiver {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.receive(bytes).map_err(io::Error::from)
    }
}
