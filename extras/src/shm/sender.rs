//! The end that writes.

use std::io;

use super::ShmError;
use super::layout::HEADER_LEN;
use super::side::{Side, Wait};

/// The sending end of a [`Channel`](super::Channel). Dropping it is the end of the stream for the
/// receiver, which still reads what was sent.
///
/// A fork shares it: use it in one of the two processes only.
#[derive(Debug)]
pub struct Sender(Side);

impl Sender {
    pub(super) fn new(side: Side) -> Sender {
        Sender(side)
    }

    /// Sends the first bytes of `bytes`, as many as fit, and says how many; sleeps while none does. 0
    /// only when `bytes` is empty.
    ///
    /// # Errors
    /// [`ShmError::Closed`] when the receiver was dropped, [`ShmError::PeerDied`],
    /// [`ShmError::Corrupt`], [`ShmError::CutShort`].
    pub fn send_some(&mut self, bytes: &[u8]) -> Result<usize, ShmError> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let len = self.room(bytes.len())?.min(bytes.len());
        let (at, before_end) = self.0.place();
        let (first, second) = bytes[..len].split_at(len.min(before_end));
        self.0.memory().copy_in(at, first);
        self.0.memory().copy_in(HEADER_LEN, second);
        self.0.advance(len)?;
        Ok(len)
    }

    /// Sends all of `bytes`, sleeping whenever the channel is full.
    ///
    /// # Errors
    /// As [`send_some`](Sender::send_some); part of the bytes may have been sent.
    pub fn send(&mut self, mut bytes: &[u8]) -> Result<(), ShmError> {
        while !bytes.is_empty() {
            let sent = self.send_some(bytes)?;
            bytes = &bytes[sent..];
        }
        Ok(())
    }

    /// How many bytes have been sent so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.0.own()
    }

    /// How many bytes fit, at least one; looks at the peer's position only when as many as `wanted`
    /// seem not to.
    fn room(&mut self, wanted: usize) -> Result<usize, ShmError> {
        loop {
            let seen = self.0.seen();
            if self.0.peer_is_closed() {
                return Err(ShmError::Closed);
            }
            if self.0.free_at_least() >= wanted as u64 {
                return Ok(wanted);
            }
            let free = self.0.capacity() - self.0.filled()?;
            if free > 0 {
                return Ok(free as usize);
            }
            if self.0.wait(seen)? == Wait::PeerDied {
                return Err(ShmError::PeerDied);
            }
        }
    }
}

impl io::Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send_some(bytes).map_err(io::Error::from)
    }

    /// Nothing is held back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
