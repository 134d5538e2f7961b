//! Who reads a run ahead without being waited for: one thread for all mappings, with open files of its own.
//!
//! A mapping keeps no descriptor, and following the kernel's read-ahead (`walk`) needs one. So the file is
//! opened once more when a run through it is proven, by the name that the kernel has for it, and used only
//! if it is the same file still. That happens in a thread that shares no descriptors with the program
//! (`sys/own_table.rs`). Where any of that fails, whoever asked starts the device by other means.

mod files;
mod thread;
mod walk;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use self::files::Opening;
use self::thread::Reader;
use crate::sys::{self, FileFacts, Span};

/// Shorter mappings are not worth opening a file for.
const LEN_MIN: usize = 16 << 20;

/// A mapping's file, read ahead by the thread.
#[derive(Debug)]
pub(super) struct Chain {
    reader: &'static Reader,
    key: u64,
    whole: Span,
    offset: u64,
    broken: Arc<OnceLock<io::Error>>,
}

impl Chain {
    /// For the file that `whole` maps from `offset` on, and that the kernel reads `window` bytes ahead of
    /// by itself. `None` where there is nothing to open, or nobody to read it.
    pub(super) fn open(whole: Span, offset: u64, facts: FileFacts, window: usize) -> Option<Chain> {
        // Without a block device there is no queue to keep busy (network, overlay, memory).
        if whole.len < LEN_MIN || window == 0 || facts.device.0 == 0 {
            return None;
        }
        let path = name_of(whole).ok()?;
        let reader = Reader::get()?;
        let broken = Arc::default();
        let opening = Opening { path, facts, window: window as u64, broken: Arc::clone(&broken) };
        let key = reader.open(opening)?;
        Some(Chain { reader, key, whole, offset, broken })
    }

    /// Why the file cannot be read like this, as far as is known.
    pub(super) fn broken(&self) -> Option<&io::Error> {
        self.broken.get()
    }

    /// Has the device started on `span`, soon. Returns whether anybody does so.
    pub(super) fn read(&self, span: Span) -> bool {
        let start = self.offset + (span.addr - self.whole.addr) as u64;
        self.reader.read(self.key, start..start + span.len as u64)
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        // A forked child has no such thread.
        if !sys::in_forked_child() {
            self.reader.close(self.key);
        }
    }
}

/// The name of the file that is mapped at exactly `whole`.
///
/// # Errors
/// ENOENT when the mapping was split or merged with its neighbour, or there is no /proc.
///
/// Source: proc_pid_map_files(5); reading such a link needs no privilege, opening it does.
fn name_of(whole: Span) -> io::Result<PathBuf> {
    let end = whole.addr + whole.len;
    fs::read_link(format!("/proc/self/map_files/{:x}-{end:x}", whole.addr))
}
