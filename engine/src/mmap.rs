//! Placeholder until the memmap2 surface lands.
use std::io;

pub use memmap2::{Advice, MmapAsRawDesc, RemapOptions, UncheckedAdvice};

use crate::Mode;
use crate::PolicyKind;

/// Placeholder.
#[derive(Debug)]
pub struct Mmap(memmap2::Mmap);

impl std::ops::Deref for Mmap {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}
impl Mmap {
    /// Placeholder.
    pub fn stats(&self) -> crate::Stats {
        crate::Stats::default()
    }
}

/// Placeholder.
#[derive(Clone, Debug, Default)]
pub struct MmapOptions(memmap2::MmapOptions);

impl MmapOptions {
    /// Placeholder.
    pub fn new() -> MmapOptions {
        MmapOptions::default()
    }
    /// Placeholder.
    pub fn mode(&mut self, _mode: Mode) -> &mut Self {
        self
    }
    /// Placeholder.
    pub fn policy(&mut self, _policy: PolicyKind) -> &mut Self {
        self
    }
    /// # Safety
    /// Placeholder.
    pub unsafe fn map<T: MmapAsRawDesc>(&self, file: T) -> io::Result<Mmap> {
        // SAFETY: forwarded.
        unsafe { self.0.map(file) }.map(Mmap)
    }
}
