//! The rest of the mmap handbook, each part a module that stands alone.
//!
//! The engine reads files ahead of the reader. What else programs do with mappings is here, so that
//! the engine's API can settle:
//!
//! - [`pmem`]: making stores durable, on persistent memory and elsewhere, and a log that survives a
//!   loss of power;
//! - [`shm`]: a byte channel and a latch between processes;
//! - [`snapshot`]: copies of a mapping that write only what changed since the one before;
//! - [`mapping_cache`]: keeping the mappings of files that are opened again and again.
//!
//! Linux only.
#![forbid(unsafe_code)]
// Empty elsewhere: what it stands on is Linux.
#![cfg(target_os = "linux")]

pub mod mapping_cache;
pub mod pmem;
pub mod shm;
pub mod snapshot;
mod space;
