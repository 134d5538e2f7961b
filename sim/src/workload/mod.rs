//! What readers do: which bytes they touch, in which order, how long they think.
//!
//! A workload is a recipe: each run asks it anew for its [`Items`], a stream that is never held in
//! memory as a whole. Generators are named as on the command line; recorded traces come as streams
//! of the same items.

mod files;
mod generated;
mod spec;

use std::fmt;
use std::sync::Arc;

use mmap_ahead::page::{ByteLen, Nanos};

pub use spec::{KNOWN, Shape};

use crate::Error;
use crate::kernel::Access;
use crate::trace::{PageTrace, Trace};

/// One step of a reader: it touches bytes of the file, then thinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The first byte.
    pub offset: u64,
    /// How many bytes; at least 1, all of them in the file.
    pub len: u64,
    /// How long the reader works on them beyond reading them, before it goes on.
    pub think: Nanos,
    /// Which reader, counted from 0; below [`Workload::threads`].
    pub thread: u32,
    /// Whether it reads or writes.
    pub access: Access,
}

/// What a reader does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// It touches bytes.
    Touch(Touch),
    /// It opens and maps a small file: `len` bytes at `offset` of the one modelled file stand for it.
    Map {
        /// Which reader.
        thread: u32,
        /// The file's first byte.
        offset: u64,
        /// Its length in bytes.
        len: u64,
    },
    /// It unmaps and closes that file.
    Unmap {
        /// Which reader.
        thread: u32,
        /// The file's first byte.
        offset: u64,
        /// Its length in bytes.
        len: u64,
    },
}

impl Item {
    /// Which reader does it.
    #[must_use]
    pub fn thread(&self) -> u32 {
        match *self {
            Item::Touch(Touch { thread, .. })
            | Item::Map { thread, .. }
            | Item::Unmap { thread, .. } => thread,
        }
    }
}

/// A stream of items; after an error nothing follows.
pub type Items = Box<dyn Iterator<Item = Result<Item, Error>>>;

/// Makes the items anew; the number is the run's seed, which generators of random orders use.
type Recipe = Arc<dyn Fn(u64) -> Result<Items, Error> + Send + Sync>;

/// A recipe for items over one file.
#[derive(Clone)]
pub struct Workload {
    name: String,
    file: ByteLen,
    threads: u32,
    recipe: Recipe,
}

impl Workload {
    /// A workload of `recipe`, which is asked for the items of every run, with the run's seed.
    ///
    /// `name` is what reports call it; `file` is the file's length: no touch lies beyond it;
    /// `threads` is the number of readers, at least 1.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        file: ByteLen,
        threads: u32,
        recipe: impl Fn(u64) -> Result<Items, Error> + Send + Sync + 'static,
    ) -> Workload {
        let threads = threads.max(1);
        Workload { name: name.into(), file, threads, recipe: Arc::new(recipe) }
    }

    /// The generator that `text` names ([`KNOWN`] lists them).
    ///
    /// # Errors
    /// [`Error::Unknown`] when nothing is called that, or `shape` does not fit.
    pub fn named(text: &str, shape: &Shape) -> Result<Workload, Error> {
        spec::workload(text, shape)
    }

    /// The walk of `trace`: each touch reads one page of 4 KiB.
    #[must_use]
    pub fn of_trace(trace: Trace) -> Workload {
        let file = ByteLen(trace.pages().0 * 4096);
        let name = trace.name().to_owned();
        let touches: Arc<[crate::trace::Touch]> = trace.touches().into();
        Workload::new(name, file, 1, move |_| {
            let touches = touches.clone();
            Ok(Box::new((0..touches.len()).map(move |at| Ok(read_page(touches[at])))))
        })
    }

    /// The walk of a trace file, which every run reads anew: no trace is too long.
    #[must_use]
    pub fn of_page_trace(name: impl Into<String>, trace: PageTrace) -> Workload {
        let file = ByteLen(trace.pages().0 * 4096);
        Workload::new(name, file, 1, move |_| {
            let touches = trace.touches()?;
            Ok(Box::new(touches.map(|touch| touch.map(read_page))))
        })
    }

    /// What reports call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How long the file is.
    #[must_use]
    pub fn file(&self) -> ByteLen {
        self.file
    }

    /// How many readers there are.
    #[must_use]
    pub fn threads(&self) -> u32 {
        self.threads
    }

    /// The items of a run with this seed.
    ///
    /// # Errors
    /// What the recipe says: a trace that cannot be opened.
    pub fn items(&self, seed: u64) -> Result<Items, Error> {
        (self.recipe)(seed)
    }
}

/// A touch of a trace: its reader reads one page of 4 KiB.
fn read_page(touch: crate::trace::Touch) -> Item {
    let crate::trace::Touch { page, think } = touch;
    let (offset, len, access) = (page.0 * 4096, 4096, Access::Load);
    Item::Touch(Touch { offset, len, think, thread: 0, access })
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Workload { name, file, threads, .. } = self;
        f.debug_struct("Workload")
            .field("name", name)
            .field("file", file)
            .field("threads", threads)
            .finish_non_exhaustive()
    }
}
