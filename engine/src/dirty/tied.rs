use std::fs::File;
use std::io;
use std::sync::Arc;

use super::flush::Flusher;
use super::watch::{Shape, Watch};
use super::{DirtyTracker, Mechanism};
use crate::Error;
use crate::sys::in_forked_child;

/// What a writable mapping has besides its memory: its file, if it was to be kept, and who notices stores.
#[derive(Debug)]
pub(crate) struct Tied {
    file: Option<Arc<File>>,
    watch: Option<Arc<Watch>>,
    pub(super) flusher: Flusher,
}

impl Tied {
    /// Keeps `file`, if there is one. Nothing is noticed yet.
    pub(crate) fn keeping(file: Option<Arc<File>>) -> Tied {
        Tied { file, watch: None, flusher: Flusher::default() }
    }

    /// The file, if it was kept.
    pub(crate) fn file(&self) -> Option<&File> {
        self.file.as_deref()
    }

    /// A new tracker of the mapping; watching starts if nobody watches yet.
    pub(crate) fn track(
        &mut self,
        (addr, len): (usize, usize),
        wanted: &[Mechanism],
    ) -> io::Result<DirtyTracker> {
        if in_forked_child() {
            return Err(unsupported(None));
        }
        if let Some(watch) = self.watched() {
            if !wanted.contains(&watch.mechanism()) {
                let what = format!("stores are tracked by {:?} already", watch.mechanism());
                return Err(Error::configuration(what).into());
            }
            let joined = DirtyTracker::join(watch);
            // The last tracker may have been dropped just now, by another thread.
            if joined.is_ok() || !watch.is_over() {
                return joined;
            }
        }
        let watch = Arc::new(start(Shape::new(addr, len), wanted)?);
        self.watch = Some(Arc::clone(&watch));
        DirtyTracker::join(&watch)
    }

    /// Who notices stores, if anybody does.
    pub(super) fn watched(&self) -> Option<&Arc<Watch>> {
        self.watch.as_ref().filter(|watch| !watch.is_over())
    }

    /// Before the mapping changes its address or length.
    pub(crate) fn settle(&mut self) {
        if let Some(watch) = &self.watch {
            watch.settle();
        }
    }

    /// After [`settle`](Tied::settle).
    pub(crate) fn resume(&mut self, addr: usize, len: usize) {
        self.flusher.must_flush();
        let Some(watch) = &self.watch else { return };
        if let Err(error) = watch.resume(Shape::new(addr, len)) {
            tracing::warn!(%error, "mmap-ahead: stores to a mapping are not tracked any more");
        }
    }

    /// Before the mapping changes its protection or goes away: from the return on nothing here touches it.
    pub(crate) fn end(&mut self) {
        if let Some(watch) = self.watch.take() {
            watch.end();
        }
    }
}

/// The first of `wanted` that works here.
fn start(shape: Shape, wanted: &[Mechanism]) -> io::Result<Watch> {
    let mut last = unsupported(None);
    for &mechanism in wanted {
        match Watch::start(shape, mechanism) {
            Ok(watch) => return Ok(watch),
            Err(error) => last = explain(error, mechanism),
        }
    }
    Err(if wanted.len() > 1 { unsupported(None) } else { last })
}

fn explain(error: io::Error, mechanism: Mechanism) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EINVAL | libc::EPERM | libc::ENOSYS | libc::ENOTTY | libc::EACCES) => {
            unsupported(Some(mechanism))
        }
        _ => error,
    }
}

fn unsupported(mechanism: Option<Mechanism>) -> io::Error {
    let (what, needs) = match mechanism {
        None => (
            "tracking stores",
            "userfaultfd, or x86-64 or arm64 and a SIGSEGV handler that is ours; and not a forked child",
        ),
        Some(Mechanism::Marked) => {
            ("tracking stores in the page table", "userfaultfd and PAGEMAP_SCAN, Linux 6.7")
        }
        Some(Mechanism::Served) => (
            "tracking stores by a thread",
            "userfaultfd, Linux 5.19, and a mapping of tmpfs, of hugetlbfs or (6.4) of no file",
        ),
        Some(Mechanism::Signal) => ("tracking stores by SIGSEGV", "x86-64 or arm64"),
    };
    Error::Unsupported { what, needs }.into()
}
