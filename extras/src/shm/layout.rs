//! Where things lie in the shared memory.
//!
//! ```text
//! both     0 magic u64 (kind and version)
//! channel  8 capacity u64      128 the sender's side    256 the receiver's side    4096 the ring
//! latch    8 parties u32       16 event u32    20 waiters u32       128 a state u32 for each party
//! side     +0 position u64     +8 state u32    +12 event u32        +16 waiting u32
//! ```
//!
//! A side is written by its owner only, but for nothing: `waiting` too is its own. Each has two cache
//! lines to itself, because processors fetch them in pairs.

/// The last byte is the version of the layout.
pub(super) const CHANNEL_MAGIC: u64 = u64::from_le_bytes(*b"mmahchn\x01");
pub(super) const LATCH_MAGIC: u64 = u64::from_le_bytes(*b"mmahlat\x01");

pub(super) const MAGIC_AT: usize = 0;
pub(super) const CAPACITY_AT: usize = 8;
pub(super) const SENDER_AT: usize = 128;
pub(super) const RECEIVER_AT: usize = 256;
/// What lies before the ring, and all of a latch.
pub(super) const HEADER_LEN: usize = 4096;

pub(super) const POSITION: usize = 0;
pub(super) const STATE: usize = 8;
pub(super) const EVENT: usize = 12;
pub(super) const WAITING: usize = 16;

pub(super) const PARTIES_AT: usize = 8;
pub(super) const LATCH_EVENT_AT: usize = 16;
pub(super) const LATCH_WAITERS_AT: usize = 20;
pub(super) const PARTY_STATES_AT: usize = 128;

/// The states of a side and of a party.
pub(super) const ABSENT: u32 = 0;
pub(super) const PRESENT: u32 = 1;
pub(super) const CLOSED: u32 = 2;
/// Of a party only: it was dropped before it arrived.
pub(super) const GAVE_UP: u32 = 3;
