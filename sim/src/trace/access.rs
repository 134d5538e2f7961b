//! One access of a trace, and the files it may name.

use std::collections::HashMap;

use mmap_ahead::page::Nanos;

/// The longest access: 4 GiB, so that one short line cannot ask for endless pages. The longest that fio knows.
pub(crate) const LEN_MAX: u64 = 1 << 32;

/// The pages of formats that count in pages: 4 KiB, whatever the kernel's are.
pub(super) const PAGE: u64 = 4096;

/// What was done with the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operation {
    /// They were read; also where a trace does not say.
    #[default]
    Read,
    /// They were written.
    Write,
}

/// One access: `len` bytes at `offset` of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Since the trace began; none where the format has no times.
    pub at: Option<Nanos>,
    /// Which thread, as the trace numbers them; 0 where it does not.
    pub thread: u32,
    /// Which file: an index into [`Accesses::files`](super::Accesses::files).
    pub file: usize,
    /// The first byte. In a memory trace, the address.
    pub offset: u64,
    /// How many bytes: 1 to 4 GiB.
    pub len: u64,
    /// What was done.
    pub operation: Operation,
}

/// A file that a trace names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceFile {
    /// Its path as the trace has it; empty where the format names none.
    pub path: String,
    /// Its length, where the trace says it.
    pub bytes: Option<u64>,
}

/// The files met so far, by name.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) all: Vec<TraceFile>,
    by_path: HashMap<String, usize>,
}

impl Files {
    /// The index of the file of that name, which is new to the list the first time.
    pub(super) fn index_of(&mut self, path: &str) -> usize {
        if let Some(&index) = self.by_path.get(path) {
            return index;
        }
        self.by_path.insert(path.to_owned(), self.all.len());
        self.all.push(TraceFile { path: path.to_owned(), bytes: None });
        self.all.len() - 1
    }
}

/// Refuses lengths of 0, lengths above [`LEN_MAX`], and ends that no file can have.
pub(super) fn check_extent(offset: u64, len: u64) -> Result<(), String> {
    if len == 0 || len > LEN_MAX {
        return Err(format!("a length of {len}: expected 1 to {LEN_MAX} bytes"));
    }
    match offset.checked_add(len) {
        Some(end) if end <= i64::MAX as u64 => Ok(()),
        _ => Err(format!("no file has a byte {offset}")),
    }
}

/// A whole number in decimal digits.
pub(super) fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is not a whole number"))
}
