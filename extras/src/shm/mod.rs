//! Shared memory between processes: a byte [`Channel`] with one sender and one receiver, and a
//! [`Latch`] that opens when everybody has arrived.
//!
//! Both live in a file: one with a name (in /dev/shm, say) that another program opens, or one without
//! ([`Channel::anonymous`]) for a child of a fork. Nobody polls: who waits sleeps in futex(2).
//!
//! # What a peer can do to you
//!
//! - **Die**: noticed within [`DEATH_NOTICED_WITHIN`] by whoever waits for it ([`ShmError::PeerDied`]).
//!   Each side holds a lock on a byte of the file, which the kernel drops with the process; no process
//!   number is trusted, so it works across PID namespaces, and a number used again fools nobody.
//! - **Write nonsense** into the shared memory, at any time: an error ([`ShmError::Corrupt`]), never
//!   undefined behaviour: every position is checked each time it is read, no reference into the memory
//!   is lent, and bytes are copied by atomics. The bytes themselves are the peer's: validate the copy.
//! - **Cut the file short**: not possible with [`Channel::anonymous`] and [`Latch::anonymous`], whose
//!   files are sealed against it. With a named file, whoever may write to it may do so (those made here
//!   are for their owner only): SIGBUS at the next touch, which ends the process, or
//!   [`ShmError::CutShort`] under [`Channel::guard_sigbus`].
//! - **Read it**: whoever may open the file may.
//!
//! Kernel: Linux 3.15 (F_OFD_SETLK), 3.17 (memfd_create, for the anonymous ones). /proc must be mounted.
//! Source: futex(2), fcntl(2), memfd_create(2).

mod area;
mod channel;
mod error;
mod latch;
mod layout;
mod receiver;
mod sender;
mod side;
mod wait;

pub use channel::{CAPACITY_MAX, CAPACITY_MIN, Channel};
pub use error::ShmError;
pub use latch::{Latch, PARTIES_MAX, Party};
pub use receiver::Receiver;
pub use sender::Sender;
pub use wait::DEATH_NOTICED_WITHIN;
