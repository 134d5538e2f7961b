//! Ways to read a file: kernel options, an access method, and optionally a policy. One file each:
//! to add one, write its file and name it in `ENTRIES`.

mod async_map_ahead;
mod default_mmap;
mod engine;
mod extended_madvise;
mod fault_around;
mod guard;
mod map_ahead;
mod mapping_cache;
mod oracle;
mod paged;
mod populate_mmap;
mod read;
mod window;

use std::fmt;
use std::sync::Arc;

use mmap_ahead::page::{ByteLen, PageCount};
use mmap_ahead::policy::{Geometry, Policy};

use crate::Error;
use crate::kernel::Advice;

pub(crate) use guard::window_of;
pub use window::{KernelWindow, WINDOW_FIRST, WINDOW_MAX};

/// A way to read a file.
///
/// Default: a plain mapping, [`named`](Strategy::named) `default-mmap`.
#[derive(Clone)]
pub struct Strategy {
    /// What reports call it.
    pub name: String,
    /// How the reader gets at the bytes.
    pub method: Method,
    /// Whether mappings are made with MAP_POPULATE.
    pub populate: bool,
    /// madvise(2) of every mapping, right after it is made.
    pub advice: Option<Advice>,
    /// `fault_around_bytes` in pages; `None`: as the machine has it.
    pub fault_around: Option<PageCount>,
    /// Whether helpers map the whole file in the background, from its start on, as soon as it is
    /// mapped.
    pub maps_all: bool,
    /// Unmapped files keep their page-table entries, the latest ones, up to so many bytes together;
    /// mapping one of them again takes no faults.
    pub keeps: Option<ByteLen>,
    /// Who follows the reader.
    pub ahead: Option<Ahead>,
}

/// How the reader gets at the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Loads from a mapping.
    #[default]
    Mapped,
    /// read(2) into a buffer.
    Read,
    /// Everything is in the page table before it is touched, as far as the device's bare bandwidth
    /// allows: no strategy is faster.
    Oracle,
}

/// A policy, who tells it of touches, and who carries its plans out.
#[derive(Clone)]
pub struct Ahead {
    /// Who sees the reader.
    pub sees: Sees,
    /// Who does the work.
    pub carrier: Carrier,
    /// Whether the machine's budget holds; the kernel's own strategies have none.
    pub bound: Bound,
    /// Makes the policy for a file of this shape.
    pub policy: PolicyMaker,
}

/// Makes a policy for a file of this shape.
pub type PolicyMaker = Arc<dyn Fn(Geometry) -> Box<dyn Policy> + Send + Sync>;

/// Who sees the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// The engine's passive observer, which looks at the page table now and then.
    Markers,
    /// The engine's handler of SIGSEGV: the first touch of each closed window.
    Trips,
    /// The engine's userfaultfd: every touch of what is not under the reader.
    Userfaults,
    /// The kernel itself: every fault, when it happens.
    Faults,
}

/// Who carries a plan out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// The helpers, beside the reader.
    Helper,
    /// The reader itself, inside the fault that was seen.
    Fault,
}

/// How far ahead a policy may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// As far as the machine's budget allows.
    Budget,
    /// As far as it likes.
    None,
}

/// What can be turned at a strategy; `None`: its own choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Knobs {
    /// The largest window.
    pub window: Option<PageCount>,
    /// How far ahead of the reader it maps.
    pub distance: Option<PageCount>,
}

/// Which knobs a strategy has: grids vary no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Takes {
    /// [`Knobs::window`].
    pub window: bool,
    /// [`Knobs::distance`].
    pub distance: bool,
}

/// A strategy's line in the table of names.
struct Entry {
    /// What comes before the colon, if there is one.
    name: &'static str,
    takes: Takes,
    /// The strategy for what comes after the colon.
    make: fn(Option<&str>, &Knobs) -> Result<Strategy, Error>,
}

const NO_KNOBS: Takes = Takes { window: false, distance: false };

static ENTRIES: [Entry; 12] = [
    default_mmap::ENTRY,
    populate_mmap::ENTRY,
    read::ENTRY,
    fault_around::ENTRY,
    map_ahead::ENTRY,
    async_map_ahead::ENTRY,
    mapping_cache::ENTRY,
    extended_madvise::ENTRY,
    engine::ENTRY,
    guard::ENTRY,
    paged::ENTRY,
    oracle::ENTRY,
];

impl Strategy {
    /// The strategy called `name`. The engine's policies are `engine:NAME`, or just `NAME` where no
    /// other strategy is called that.
    ///
    /// # Errors
    /// [`Error::Unknown`] with the known names.
    pub fn named(name: &str, knobs: &Knobs) -> Result<Strategy, Error> {
        let (entry, argument) = find(name)?;
        let strategy = (entry.make)(argument, knobs)?;
        Ok(Strategy { name: name.to_owned(), ..strategy })
    }

    /// Which knobs the strategy called `name` has.
    ///
    /// # Errors
    /// As [`Strategy::named`].
    pub fn takes(name: &str) -> Result<Takes, Error> {
        find(name).map(|(entry, _)| entry.takes)
    }

    /// Every name, with an example where it takes an argument.
    #[must_use]
    pub fn names() -> Vec<String> {
        let own = ENTRIES.iter().filter(|entry| entry.name != engine::ENTRY.name);
        let own = own.map(|entry| match entry.name {
            "fault-around" => "fault-around:N".to_owned(),
            name => name.to_owned(),
        });
        own.chain(engine::names()).collect()
    }
}

fn find(name: &str) -> Result<(&'static Entry, Option<&str>), Error> {
    let (head, argument) = match name.split_once(':') {
        Some((head, argument)) => (head, Some(argument)),
        None => (name, None),
    };
    if let Some(entry) = ENTRIES.iter().find(|entry| entry.name == head) {
        return Ok((entry, argument));
    }
    let engine = ENTRIES.iter().find(|entry| entry.name == engine::ENTRY.name);
    match engine.filter(|_| engine::names().any(|known| known == name)) {
        Some(entry) => Ok((entry, Some(name))),
        None => {
            let known = Strategy::names().join(", ");
            Err(Error::Unknown(format!("unknown strategy `{name}`; known: {known}")))
        }
    }
}

/// Refuses an argument where none is taken.
fn no_argument(argument: Option<&str>) -> Result<(), Error> {
    match argument {
        None => Ok(()),
        Some(argument) => Err(Error::Unknown(format!("`:{argument}` says nothing here"))),
    }
}

impl Default for Strategy {
    fn default() -> Strategy {
        Strategy {
            name: "default-mmap".into(),
            method: Method::Mapped,
            populate: false,
            advice: None,
            fault_around: None,
            maps_all: false,
            keeps: None,
            ahead: None,
        }
    }
}

impl fmt::Debug for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strategy")
            .field("name", &self.name)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_makes_the_strategy_of_that_name() {
        for name in Strategy::names() {
            let name = name.replace(":N", ":16");
            assert_eq!(Strategy::named(&name, &Knobs::default()).unwrap().name, name);
        }
    }

    #[test]
    fn the_engines_policies_have_two_names() {
        for name in ["engine:ramp", "ramp", "engine:map-ahead"] {
            assert!(Strategy::named(name, &Knobs::default()).unwrap().ahead.is_some(), "{name}");
        }
        let kernels = Strategy::named("map-ahead", &Knobs::default()).unwrap();
        assert_eq!(kernels.ahead.unwrap().carrier, Carrier::Fault);
    }

    #[test]
    fn unknown_names_are_told_the_known_ones() {
        let error = Strategy::named("magic", &Knobs::default()).unwrap_err().to_string();
        assert!(error.contains("`magic`") && error.contains("oracle"), "{error}");
        for name in ["read:4", "fault-around", "fault-around:3", "engine:x", "oracle:"] {
            assert!(Strategy::named(name, &Knobs::default()).is_err(), "{name}");
        }
    }
}
