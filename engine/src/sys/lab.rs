//! What `lab` lends: mappings of files that the laboratory itself made.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::lab::Peer;
use crate::{Error, Mmap, MmapMut, MmapOptions, Paged, PagedOptions};

pub(crate) fn lab_map(file: &File, options: &MmapOptions) -> io::Result<Mmap> {
    // SAFETY: the laboratory maps files of its own making, which nobody changes while they are
    // mapped; this is the documented condition of `lab`.
    unsafe { options.map(file) }
}

pub(crate) fn lab_map_mut(file: &File, options: &MmapOptions) -> io::Result<MmapMut> {
    // SAFETY: as in `lab_map`.
    unsafe { options.map_mut(file) }
}

pub(crate) fn lab_open_paged(path: &Path, options: &PagedOptions) -> Result<Paged, Error> {
    // SAFETY: as in `lab_map`.
    unsafe { options.open_assume_immutable(path) }
}

pub(crate) fn lab_map_peer(file: &File, peer: Peer) -> io::Result<memmap2::Mmap> {
    let mut options = memmap2::MmapOptions::new();
    if peer == Peer::Populate {
        options.populate();
    }
    // SAFETY: as in `lab_map`.
    let map = unsafe { options.map(file) }?;
    match peer {
        Peer::Plain | Peer::Populate => {}
        Peer::Sequential => map.advise(memmap2::Advice::Sequential)?,
        Peer::WillNeed => map.advise(memmap2::Advice::WillNeed)?,
        Peer::Random => map.advise(memmap2::Advice::Random)?,
    }
    Ok(map)
}
