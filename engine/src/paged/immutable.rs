//! Why bytes that are read twice are the same (TRAPS 21).

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::Error;
use crate::sys::{Lease, has_verity, is_local, is_sealed};

/// What makes it sound to lend `&[u8]` of pages that are thrown away and read again.
#[derive(Debug)]
pub(crate) enum Proof {
    /// Nobody can have opened the file for writing since it was mapped, as long as the lease holds.
    Lease(Lease),
    /// The bytes can never change: a sealed memfd, fs-verity, or the caller's word.
    Always(Immutability),
    /// No page is ever read twice: all of it fits into the memory limit.
    Once,
}

/// Why the bytes of a [`Paged`](super::Paged) cannot change under its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Immutability {
    /// A read lease is held: whoever wants to open the file for writing waits.
    Lease,
    /// A memfd, sealed against writing and shrinking.
    Sealed,
    /// fs-verity: the file is read-only for ever.
    Verity,
    /// It fits into the memory limit: no page is read twice.
    ReadOnce,
    /// The caller vouched for it.
    Assumed,
}

impl Proof {
    /// Looks for one, the cheapest first. `fits` says that no page will ever be read twice.
    pub(crate) fn find(file: &Arc<OwnedFd>, fits: bool) -> Result<Proof, Error> {
        if fits {
            return Ok(Proof::Once);
        }
        if is_sealed(file) {
            return Ok(Proof::Always(Immutability::Sealed));
        }
        if !is_local(file) {
            let why = "its file system may be written to by others than this kernel".to_owned();
            return Err(Error::NotImmutable { why });
        }
        if has_verity(file) {
            return Ok(Proof::Always(Immutability::Verity));
        }
        match Lease::take(Arc::clone(file)) {
            Ok(lease) => Ok(Proof::Lease(lease)),
            Err(error) => Err(Error::NotImmutable { why: reason(&error) }),
        }
    }

    /// Whether what is read now is what was read before.
    pub(crate) fn holds(&self) -> bool {
        match self {
            Proof::Lease(lease) => lease.holds(),
            Proof::Always(_) | Proof::Once => true,
        }
    }

    pub(crate) fn kind(&self) -> Immutability {
        match self {
            Proof::Lease(_) => Immutability::Lease,
            Proof::Always(kind) => *kind,
            Proof::Once => Immutability::ReadOnce,
        }
    }
}

fn reason(error: &std::io::Error) -> String {
    let why = match error.raw_os_error() {
        Some(libc::EAGAIN) => "somebody has it open for writing",
        Some(libc::EACCES | libc::EPERM) => {
            "it belongs to another user, and only its owner (or CAP_LEASE) gets a read lease"
        }
        Some(libc::EINVAL) => "its file system knows no leases",
        Some(libc::ENOENT) => {
            "it has no name: a memfd must be sealed, since its maker may write to it"
        }
        _ => return format!("a read lease was refused: {error}"),
    };
    why.to_owned()
}
