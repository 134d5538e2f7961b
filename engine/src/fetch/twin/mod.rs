//! Who reads a run in blocks of 2 MiB: a second mapping of the file, in which a fault reads a whole block.
//!
//! MADV_WILLNEED and readahead(2) read single pages, however far they read: more work for each of them,
//! up to 254 pieces a request where memory is scattered, and a fault of the reader for 16 of them. A fault
//! in a mapping with MADV_HUGEPAGE reads the 2 MiB around it instead, as one folio where the file system has
//! such, whatever the device's read-ahead is; the reader maps that with one fault. The program's own
//! mapping is no place for that advice: each of its strays would read 2 MiB too. So the mapping is
//! duplicated (mremap(2) with an old size of 0: no file is needed), and threads of ours fault there.
//! Measured, cold ext4, `read_ahead_kb` 128, 4 GiB: 2.9 GB/s either way through the file with 0.3 s of CPU
//! time, where plain mmap reads 1.6 forwards and 0.95 backwards with 0.8 and 2.0 s.
//!
//! Nothing of it is seen but a line in /proc/self/maps: no descriptor, no child inherits it, a core dump leaves it out.
//!
//! Source: KERNEL.md 2.3, first row; mm/filemap.c, do_sync_mmap_readahead; mremap(2).

mod block;
mod thread;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use self::block::{BLOCK_BYTES, Blocks};
use self::thread::{Job, Readers};
use crate::page::PageSize;
use crate::sys::{self, SecondMap, Span};

/// How long the end of a mapping waits for a block that is being read.
const END_WAIT: Duration = Duration::from_millis(10);

/// A second mapping, and those who read through it.
#[derive(Debug)]
pub(super) struct Twin {
    readers: &'static Readers,
    /// Taken by [`Drop`] only.
    inner: Option<Arc<Inner>>,
    ended: Receiver<()>,
    /// The program's mapping.
    whole: Span,
    blocks: Blocks,
}

/// What a reader needs. The second mapping goes with the last who has it.
#[derive(Debug)]
struct Inner {
    map: SecondMap,
    /// Whether mincore(2) tells the truth.
    is_cache_visible: bool,
    /// The blocks that were asked for and are not there yet.
    on_their_way: Mutex<Vec<usize>>,
    is_over: AtomicBool,
    /// Dropped after `map`.
    _end: Sender<()>,
}

impl Twin {
    /// For the shared mapping of a file at `whole`, from `offset` on.
    ///
    /// # Errors
    /// EINVAL for a private mapping, and where the kernel has no huge pages; ENOMEM where the program may
    /// have no more address space; `Unsupported` where nobody can read, and where pages are larger than
    /// 4 KiB: what a fault reads grows with their square, 32 MiB with pages of 16 KiB.
    pub(super) fn new(whole: Span, offset: u64, is_cache_visible: bool) -> io::Result<Twin> {
        if sys::page_size() != PageSize::FOUR_KIB {
            return Err(io::ErrorKind::Unsupported.into());
        }
        let readers = Readers::get().ok_or(io::ErrorKind::Unsupported)?;
        let map = SecondMap::in_blocks(whole)?;
        let (end, ended) = bounded(0);
        let inner = Inner {
            map,
            is_cache_visible,
            on_their_way: Mutex::default(),
            is_over: AtomicBool::new(false),
            _end: end,
        };
        let blocks = Blocks { offset, len: whole.len };
        Ok(Twin { readers, inner: Some(Arc::new(inner)), ended, whole, blocks })
    }

    /// Whether there may be a whole block in `span`.
    pub(super) fn is_for(span: Span) -> bool {
        span.len >= BLOCK_BYTES
    }

    /// Has the whole blocks in `span` read, soon. What is in none, and what could not be given to anybody, is
    /// added to `left`: nothing is read that was not asked for, or the next to ask would take a cold file for
    /// a warm one.
    pub(super) fn read(&self, span: Span, left: &mut Vec<Span>) {
        let start = span.addr - self.whole.addr;
        let range = start..start + span.len;
        let blocks = self.blocks.whole_in(&range);
        let taken = blocks.clone().take_while(|&block| self.read_block(block)).count();
        let (first, end) = (blocks.start, blocks.start + taken);
        let done = match taken {
            0 => range.start..range.start,
            _ => self.blocks.range(first).start..self.blocks.range(end - 1).end,
        };
        let rest = [range.start..done.start, done.end..range.end];
        let rest = rest.into_iter().filter(|rest| !rest.is_empty());
        left.extend(rest.map(|rest| self.whole.slice(rest.start, rest.end)));
    }

    /// Has `block` read, unless it is on its way. Returns whether anybody does.
    fn read_block(&self, block: usize) -> bool {
        let Some(inner) = &self.inner else { return false };
        if !inner.asks_for(block) {
            return true;
        }
        let range = self.blocks.range(block);
        let is_sent = self.readers.send(Job { twin: Arc::clone(inner), block, range });
        if !is_sent {
            inner.is_there(block);
        }
        is_sent
    }
}

impl Drop for Twin {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        if sys::in_forked_child() {
            // The second mapping is not inherited: what lies there now is somebody else's.
            std::mem::forget(inner);
            return;
        }
        inner.is_over.store(true, Ordering::Release);
        drop(inner);
        let _ = self.ended.recv_timeout(END_WAIT);
    }
}

impl Inner {
    /// Remembers that `block` is asked for; whether it was not yet.
    fn asks_for(&self, block: usize) -> bool {
        let mut blocks = self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !blocks.contains(&block);
        if is_new {
            blocks.push(block);
        }
        is_new
    }

    /// Nobody reads `block` any more.
    fn is_there(&self, block: usize) {
        let mut blocks = self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.retain(|&other| other != block);
    }
}

#[cfg(test)]
mod tests;
