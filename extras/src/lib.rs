//! The rest of the mmap handbook, each part a module that stands alone.
//!
//! The engine reads files ahead of the reader. What else programs do with mappings is here, so that
//! the engine's API can settle. Linux only.
#![forbid(unsafe_code)]
