//! memmap2's types, and they read ahead.
//!
//! Each type holds memmap2's own mapping and a tie to the runtime ([`Mapping`]). Whatever memmap2
//! decides (errors, alignment, lengths) is decided by memmap2: the code here forwards.

#[macro_use]
mod checked;
#[macro_use]
mod shared;
#[cfg(target_os = "linux")]
mod append;
mod descriptor;
#[cfg(all(target_os = "linux", not(elsewhere)))]
mod flags;
#[cfg(any(elsewhere, not(target_os = "linux")))]
#[path = "flags/elsewhere.rs"]
mod flags;
mod mapping;
mod mutable;
mod options;
mod origin;
#[cfg(all(target_os = "linux", not(elsewhere)))]
mod placed;
#[cfg(all(target_os = "linux", not(elsewhere)))]
mod presence;
#[cfg(any(elsewhere, not(target_os = "linux")))]
#[path = "presence/elsewhere.rs"]
mod presence;
pub(crate) mod range;
mod raw;
mod read_only;
#[cfg(all(target_os = "linux", not(elsewhere)))]
mod view;
#[cfg(all(target_os = "linux", not(elsewhere)))]
mod writing;

pub use memmap2::{Advice, MapIfSafeError, UncheckedAdvice};
// memmap2 has it on Linux only.
#[cfg(target_os = "linux")]
pub use memmap2::RemapOptions;

#[cfg(target_os = "linux")]
pub use append::AppendMap;
pub use descriptor::{MmapAsRawDesc, MmapRawDescriptor};
pub use mutable::MmapMut;
pub use options::MmapOptions;
#[cfg(all(target_os = "linux", not(elsewhere)))]
pub use placed::MmapAt;
pub use raw::MmapRaw;
pub use read_only::Mmap;
#[cfg(all(target_os = "linux", not(elsewhere)))]
pub use view::ReaderView;

use flags::Flags;
use mapping::Mapping;
use origin::{Backing, Origin};
use presence::{Extent, Presence};
