//! What a mapping was made of: the part of it that no change of protection or length touches.

use crate::options::Ahead;
use crate::runtime::Access;

/// What the bytes of a mapping belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backing {
    /// A file, MAP_SHARED.
    SharedFile,
    /// A file, MAP_PRIVATE: stores go to copies.
    PrivateFile,
    /// No file.
    Anonymous,
}

/// How a mapping came to be: what stays the same when its protection or length changes.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) backing: Backing,
    /// The file offset of the first byte; 0 for anonymous memory.
    pub(super) file_offset: u64,
    /// It was given a length, and may reach beyond the end of the file.
    #[cfg_attr(any(elsewhere, not(target_os = "linux")), allow(dead_code))]
    pub(super) has_own_len: bool,
    /// It was writable once: a private one may hold other bytes than its file.
    #[cfg_attr(any(elsewhere, not(target_os = "linux")), allow(dead_code))]
    pub(super) was_writable: bool,
    pub(super) ahead: Ahead,
}

/// Whether bytes of the mapping may come to differ from its file's, where it is private.
pub(super) fn may_store(access: Access) -> bool {
    matches!(access, Access::WriteShared | Access::Other)
}

impl Origin {
    /// How the runtime sees the mapping while it may only be read.
    pub(super) fn access_read_only(&self) -> Access {
        match self.backing {
            Backing::SharedFile => Access::ReadShared,
            Backing::PrivateFile => Access::ReadPrivate,
            Backing::Anonymous => Access::Other,
        }
    }

    /// How the runtime sees the mapping while it may be written.
    pub(super) fn access_writable(&self) -> Access {
        match self.backing {
            Backing::SharedFile => Access::WriteShared,
            Backing::PrivateFile | Backing::Anonymous => Access::Other,
        }
    }
}
