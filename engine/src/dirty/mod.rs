//! Which pages of a mapping were stored to since somebody last asked.
//!
//! A [`Watch`] notices stores by one of three [mechanisms](Mechanism) and tells everyone who asks, each of
//! whom has an own "since last time": every [`DirtyTracker`], and `MmapMut::flush_dirty`.

mod flush;
mod looks;
mod mechanism;
mod pages;
mod tied;
mod tracker;
mod watch;

pub use flush::Flushed;
pub use mechanism::Mechanism;
pub use pages::DirtyPages;
pub use tracker::DirtyTracker;

pub(crate) use pages::PageSet;
pub(crate) use tied::Tied;
