//! A live mapping: where it is, what it maps, what may be done with it.

/// What may be done with a mapping, as far as the engine has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// PROT_READ, MAP_SHARED.
    ReadShared,
    /// PROT_READ | PROT_EXEC, MAP_SHARED.
    ExecShared,
    /// PROT_READ, MAP_PRIVATE.
    ReadPrivate,
    /// PROT_READ | PROT_WRITE, MAP_SHARED: written ahead where that was asked for.
    WriteShared,
    /// Writable in any other way, or anonymous: never followed by itself.
    Other,
}

/// A live mapping: where it is, what it maps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    /// The first byte of the slice (not rounded to a page).
    pub(crate) addr: usize,
    /// The length of the slice in bytes.
    pub(crate) len: usize,
    /// The file offset of the first byte; 0 for anonymous memory.
    pub(crate) file_offset: u64,
    pub(crate) access: Access,
}
