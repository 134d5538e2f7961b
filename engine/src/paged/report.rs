//! When a page cannot be had: said once, clearly, and remembered.

use std::io;
use std::sync::{Arc, OnceLock};

use super::options::OnIoError;
use crate::sys::{self, Uffd};

/// A page that could not be read.
#[derive(Debug)]
#[non_exhaustive]
pub struct PageError {
    /// Where in the file the page begins, in bytes.
    pub offset: u64,
    /// What the source said.
    pub error: io::Error,
}

impl std::fmt::Display for PageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the page at offset {}: {}", self.offset, self.error)
    }
}

impl std::error::Error for PageError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// What a `Paged` says when it fails.
#[derive(Clone, Debug)]
pub(super) struct Report {
    name: Arc<str>,
    on_io_error: OnIoError,
    first: Arc<OnceLock<PageError>>,
}

impl Report {
    pub(super) fn new(name: &str, on_io_error: OnIoError) -> Report {
        Report { name: name.into(), on_io_error, first: Arc::default() }
    }

    pub(super) fn on_io_error(&self) -> OnIoError {
        self.on_io_error
    }

    /// The first page that could not be read.
    pub(super) fn first(&self) -> Option<&PageError> {
        self.first.get()
    }

    /// Remembers a page that the source did not give.
    pub(super) fn lost(&self, offset: u64, error: &io::Error) {
        let error = match error.raw_os_error() {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => io::Error::new(error.kind(), error.to_string()),
        };
        // Only the first one is kept.
        let _ = self.first.set(PageError { offset, error });
    }

    /// Ends the process the way a mapping does: SIGBUS for whoever touched the page.
    pub(super) fn end(&self, uffd: &Uffd, offset: usize, len: usize) {
        if let Some(PageError { error, .. }) = self.first() {
            self.say(format_args!("cannot read {} at offset {offset}: {error}", self.name));
        }
        if !uffd.has_poison() || uffd.poison(offset, len).is_err() {
            sys::end_by_sigbus();
        }
    }

    /// A page that was thrown away can not be shown again: the file may have been changed.
    pub(super) fn changed(&self) -> ! {
        self.say(format_args!(
            "{} was opened for writing while it was mapped: what was read before may have changed",
            self.name
        ));
        std::process::abort()
    }

    /// The kernel refuses what it granted before. Readers would wait for ever, or see zeros once
    /// the descriptor is closed (TRAPS 20).
    pub(super) fn give_up(&self, call: &str, error: &io::Error) -> ! {
        self.say(format_args!("{call} failed on {}: {error}", self.name));
        std::process::abort()
    }

    fn say(&self, what: std::fmt::Arguments<'_>) {
        // Not through `io::stderr`: the reader that waits may hold its lock (TRAPS 20).
        sys::say(&format!("mmap-ahead: {what}\n"));
    }
}
