//! What the two ends of a channel have in common: a side of one's own, and the peer's.

use std::sync::atomic::{AtomicU32, Ordering};

use mmap_ahead::lab::SharedMemory;

use super::ShmError;
use super::area::Area;
use super::layout::{
    ABSENT, CLOSED, EVENT, HEADER_LEN, POSITION, PRESENT, RECEIVER_AT, SENDER_AT, STATE, WAITING,
};
use super::wait::{DEATH_NOTICED_WITHIN, Event};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Sender,
    Receiver,
}

impl Role {
    fn other(self) -> Role {
        match self {
            Role::Sender => Role::Receiver,
            Role::Receiver => Role::Sender,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Role::Sender => "sender",
            Role::Receiver => "receiver",
        }
    }

    fn offset(self) -> usize {
        match self {
            Role::Sender => SENDER_AT,
            Role::Receiver => RECEIVER_AT,
        }
    }

    /// The byte of the file that is locked while this side lives.
    fn lock(self) -> u64 {
        self as u64
    }
}

/// One end of a channel, attached.
#[derive(Debug)]
pub(super) struct Side {
    area: Area,
    role: Role,
    capacity: u64,
    /// How far this side has come: bytes since the beginning. Shared memory holds a copy of it, which
    /// is never read back.
    own: u64,
    /// How far the peer had come when last looked.
    peer: u64,
}

/// Why a wait is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// There may be something new to see.
    Told,
    /// The peer is dead; what it did before is there to see.
    PeerDied,
}

impl Side {
    /// Takes a side of a channel whose header was checked.
    pub(super) fn attach(area: Area, role: Role, capacity: u64) -> Result<Side, ShmError> {
        let taken = ShmError::Taken { role: role.name() };
        area.lock(role.lock(), role.name())?;
        let state = area.memory.word32(role.offset() + STATE);
        let exchanged = state.compare_exchange(ABSENT, PRESENT, Ordering::SeqCst, Ordering::SeqCst);
        exchanged.map_err(|_| taken)?;
        let side = Side { area, role, capacity, own: 0, peer: 0 };
        match side.position(role) {
            0 => Ok(side),
            _ => Err(ShmError::NotOurs { why: "its positions are not those of a new one" }),
        }
    }

    /// How many bytes lie between the two positions: those to be read.
    ///
    /// # Errors
    /// [`ShmError::Corrupt`], [`ShmError::CutShort`].
    pub(super) fn filled(&mut self) -> Result<u64, ShmError> {
        let peer = self.position(self.role.other());
        self.area.whole()?;
        let (sent, received) = match self.role {
            Role::Sender => (self.own, peer),
            Role::Receiver => (peer, self.own),
        };
        if peer < self.peer {
            return Err(ShmError::Corrupt { why: "its position went back" });
        }
        match sent.checked_sub(received) {
            Some(filled) if filled <= self.capacity => {
                // Only a position that can be true: the next call goes by it.
                self.peer = peer;
                Ok(filled)
            }
            _ => Err(ShmError::Corrupt { why: "its position is beyond the ring" }),
        }
    }

    /// The same by the peer's position as last seen: on the safe side, and costs nothing.
    pub(super) fn filled_at_least(&self) -> u64 {
        self.peer.saturating_sub(self.own)
    }

    pub(super) fn free_at_least(&self) -> u64 {
        self.capacity - self.own.saturating_sub(self.peer)
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(super) fn own(&self) -> u64 {
        self.own
    }

    /// Where in the memory this side's next byte lies, and how many follow it before the ring's end.
    pub(super) fn place(&self) -> (usize, usize) {
        let at = self.own & (self.capacity - 1);
        (HEADER_LEN + at as usize, (self.capacity - at) as usize)
    }

    pub(super) fn memory(&self) -> &SharedMemory {
        &self.area.memory
    }

    /// Moves on by `len` bytes and tells the peer.
    ///
    /// # Errors
    /// [`ShmError::CutShort`]: what was copied is worth nothing.
    pub(super) fn advance(&mut self, len: usize) -> Result<(), ShmError> {
        self.area.whole()?;
        self.own += len as u64;
        let position = self.area.memory.word64(self.role.offset() + POSITION);
        position.store(self.own, Ordering::Release);
        self.event(self.role).tell();
        Ok(())
    }

    /// What the peer has told so far; to be asked before looking at its position.
    pub(super) fn seen(&self) -> u32 {
        self.event(self.role.other()).seen()
    }

    /// Sleeps until the peer tells of something since `seen`. Returns early when it is
    /// [dead](Wait::PeerDied), which is looked for only when nothing was told.
    ///
    /// # Errors
    /// [`ShmError::Corrupt`]; those of fcntl(2).
    pub(super) fn wait(&self, seen: u32) -> Result<Wait, ShmError> {
        self.event(self.role.other()).wait(seen, DEATH_NOTICED_WITHIN);
        if self.seen() != seen { Ok(Wait::Told) } else { self.look_after_peer() }
    }

    fn look_after_peer(&self) -> Result<Wait, ShmError> {
        let other = self.role.other();
        match self.state(other).load(Ordering::SeqCst) {
            ABSENT | CLOSED => Ok(Wait::Told),
            PRESENT if self.area.is_alive(other.lock())? => Ok(Wait::Told),
            // It may have closed just before its lock was gone.
            PRESENT if self.peer_is_closed() => Ok(Wait::Told),
            PRESENT => Ok(Wait::PeerDied),
            _ => Err(ShmError::Corrupt { why: "it is in no known state" }),
        }
    }

    /// Whether the peer has ended in good order: its position is final then.
    pub(super) fn peer_is_closed(&self) -> bool {
        self.state(self.role.other()).load(Ordering::SeqCst) == CLOSED
    }

    fn position(&self, role: Role) -> u64 {
        self.area.memory.word64(role.offset() + POSITION).load(Ordering::Acquire)
    }

    fn state(&self, role: Role) -> &AtomicU32 {
        self.area.memory.word32(role.offset() + STATE)
    }

    /// What `role` tells of and the other waits for.
    fn event(&self, role: Role) -> Event<'_> {
        let memory = &self.area.memory;
        Event {
            count: memory.word32(role.offset() + EVENT),
            waiting: memory.word32(role.other().offset() + WAITING),
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // First the word, then (by the file's drop) the lock: no live peer looks like a dead one.
        self.state(self.role).store(CLOSED, Ordering::SeqCst);
        self.event(self.role).tell();
    }
}
