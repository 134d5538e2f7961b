//! What userfaultfd this user may have: for the laboratory.

use std::io;

use super::{FaultScope, Missing, Uffd};

/// What this user gets of userfaultfd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Userfault {
    /// Whose touches can be served.
    pub scope: FaultScope,
    /// UFFDIO_MOVE: whole frames are moved, not copied. Linux 6.8.
    pub has_move: bool,
    /// UFFDIO_POISON: a bad page is a SIGBUS for who touches it. Linux 6.6.
    pub has_poison: bool,
    /// UFFD_FEATURE_SIGBUS: a miss may be served on the thread that touched. Linux 4.14.
    pub has_sigbus: bool,
}

/// Tries to get one.
pub fn try_userfault() -> io::Result<Userfault> {
    let uffd = Uffd::reserve(1, Missing::Queued)?;
    let (has_move, has_poison) = (uffd.has_move(), uffd.has_poison());
    let has_sigbus = Uffd::reserve(1, Missing::Signalled).is_ok();
    Ok(Userfault { scope: uffd.scope(), has_move, has_poison, has_sigbus })
}
