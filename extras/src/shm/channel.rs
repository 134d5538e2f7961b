//! A byte channel between two processes.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::area::Area;
use super::layout::{CAPACITY_AT, CHANNEL_MAGIC, HEADER_LEN};
use super::side::{Role, Side};
use super::{Receiver, Sender, ShmError};

/// The least number of bytes that a channel may hold at once.
pub const CAPACITY_MIN: usize = 4096;
/// The largest.
pub const CAPACITY_MAX: usize = 1 << 30;

/// A byte channel that has been made or opened, with neither side taken by this value: take one with
/// [`sender`](Channel::sender) or [`receiver`](Channel::receiver). Each side is taken once in the life
/// of the file.
///
/// ```
/// use std::io::{Read, Write};
/// use mmap_ahead_extras::shm::Channel;
///
/// let channel = Channel::anonymous(1 << 16)?; // before the fork; here it is another thread
/// let mut receiver = channel.receiver()?;
/// let reader = std::thread::spawn(move || {
///     let mut text = String::new();
///     receiver.read_to_string(&mut text).map(|_| text)
/// });
/// let mut sender = channel.sender()?;
/// sender.write_all(b"across")?;
/// drop(sender); // the receiver reads the end
/// assert_eq!(reader.join().unwrap()?, "across");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Channel {
    area: Area,
    capacity: u64,
}

impl Channel {
    /// Makes a channel in a new file, readable and writable by its owner only; it is the caller's to
    /// remove. `capacity` is how many bytes may be on their way: a power of two, [`CAPACITY_MIN`] to
    /// [`CAPACITY_MAX`].
    ///
    /// # Errors
    /// [`ShmError::Configuration`]; `EEXIST` when there is such a file; those of open(2), mmap(2).
    pub fn create(path: impl AsRef<Path>, capacity: usize) -> Result<Channel, ShmError> {
        Channel::make(capacity, |len| Area::create(path.as_ref(), len))
    }

    /// Makes a channel without a name, for a child of a later fork, or for whoever opens
    /// /proc/PID/fd/N. Its file is a memfd, sealed against a change of its length. (A mapping without
    /// any file could not hold the locks that tell of a death.)
    ///
    /// # Errors
    /// [`ShmError::Configuration`]; those of memfd_create(2), mmap(2).
    pub fn anonymous(capacity: usize) -> Result<Channel, ShmError> {
        Channel::make(capacity, Area::anonymous)
    }

    fn make(
        capacity: usize,
        area: impl FnOnce(usize) -> Result<Area, ShmError>,
    ) -> Result<Channel, ShmError> {
        if !is_capacity(capacity as u64) {
            let what = format!(
                "a channel's capacity is a power of two from {CAPACITY_MIN} to {CAPACITY_MAX}, \
                 not {capacity}"
            );
            return Err(ShmError::Configuration { what });
        }
        let area = area(HEADER_LEN + capacity)?;
        let capacity = capacity as u64;
        area.memory.word64(CAPACITY_AT).store(capacity, Ordering::Relaxed);
        area.publish(CHANNEL_MAGIC);
        Ok(Channel { area, capacity })
    }

    /// Opens a channel that somebody made.
    ///
    /// # Errors
    /// [`ShmError::NotOurs`] when the file holds anything else, is of another version or was cut
    /// short; those of open(2), mmap(2).
    pub fn open(path: impl AsRef<Path>) -> Result<Channel, ShmError> {
        let area = Area::open(path.as_ref())?;
        area.check(CHANNEL_MAGIC)?;
        let capacity = area.memory.word64(CAPACITY_AT).load(Ordering::Relaxed);
        if !is_capacity(capacity) {
            return Err(ShmError::NotOurs { why: "its capacity is none" });
        }
        if area.memory.len() as u64 != HEADER_LEN as u64 + capacity {
            return Err(ShmError::NotOurs { why: "its length and its capacity do not agree" });
        }
        Ok(Channel { area, capacity })
    }

    /// Has the sides that are taken from here on answer [`ShmError::CutShort`] when the file is cut
    /// short while they use it; without it that is SIGBUS, which ends the process. Of no use to an
    /// [`anonymous`](Channel::anonymous) one. Installs a process-wide handler of SIGBUS, which hands on
    /// what is not its own: see `MmapOptions::guard_sigbus` for its limits.
    ///
    /// # Errors
    /// When the handler cannot be installed, or guards 4,096 mappings already.
    pub fn guard_sigbus(mut self) -> Result<Channel, ShmError> {
        self.area.guard_sigbus()?;
        Ok(self)
    }

    /// Takes the sending side.
    ///
    /// # Errors
    /// [`ShmError::Taken`], [`ShmError::NotOurs`]; those of open(2), mmap(2), fcntl(2).
    pub fn sender(&self) -> Result<Sender, ShmError> {
        Side::attach(self.area.again()?, Role::Sender, self.capacity).map(Sender::new)
    }

    /// Takes the receiving side.
    ///
    /// # Errors
    /// [`ShmError::Taken`], [`ShmError::NotOurs`]; those of open(2), mmap(2), fcntl(2).
    pub fn receiver(&self) -> Result<Receiver, ShmError> {
        Side::attach(self.area.again()?, Role::Receiver, self.capacity).map(Receiver::new)
    }

    /// How many bytes may be on their way.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity as usize
    }
}

fn is_capacity(bytes: u64) -> bool {
    bytes.is_power_of_two() && (CAPACITY_MIN as u64..=CAPACITY_MAX as u64).contains(&bytes)
}
