//! Cold files past the page cache: when to begin, and when to leave it.

#[cfg(feature = "lab")]
mod listed;
mod look;
mod queue;
mod stream;
mod version;

use std::fs::{File, OpenOptions};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::SystemTime;

#[cfg(feature = "lab")]
pub use self::listed::{Depth, DirectFile};
use self::stream::{Next, Stream};
use self::version::Version;
use crate::sys::{in_forked_child, no_read_ahead};

/// The least that must be left of a file: 16 MiB. Frames and ring take 1 to 4 ms to set up here, as
/// long as the disk takes for 2 to 8 MiB.
const LEFT_MIN: u64 = 16 << 20;

/// How much of a run is read by pread(2) first: 512 KiB, two buffers. A guess: whoever reads a
/// header and leaves, or jumps about, has not come so far.
pub(super) const RUN_MIN: u64 = 512 << 10;

/// How the bytes at an offset are to be read.
#[derive(Debug)]
pub(super) enum How {
    /// They are lent.
    Lent,
    /// By pread(2), with the kernel's own read-ahead.
    Pread,
    /// By pread(2) from this file, up to this offset.
    PreadOf(Arc<File>, u64),
}

/// The direct reading of one file.
#[derive(Debug, Default)]
pub(super) struct Direct {
    state: State,
    /// The file, opened once more with O_DIRECT, and once more without read-ahead. They are kept
    /// until the reader is dropped: closing any descriptor of a file gives up the fcntl(2) locks that
    /// the process has on it.
    files: (Option<Arc<OwnedFd>>, Option<Arc<File>>),
}

#[derive(Debug, Default)]
enum State {
    /// Nothing is allocated.
    #[default]
    Unused,
    /// The ring and the frames are there, and no run is under way.
    Idle(Box<Stream>),
    Running(Box<Stream>),
    /// Not to be had for this file.
    Off,
}

impl Direct {
    /// Whether a cold run of `run` bytes that has come to `offset` is worth a look.
    pub(super) fn may_begin(&self, run: u64, offset: u64) -> bool {
        run >= RUN_MIN
            && match &self.state {
                State::Unused => true,
                State::Idle(stream) => stream.may_begin(offset),
                State::Running(_) | State::Off => false,
            }
    }

    /// Begins at `offset` if the file is long enough and lies still.
    pub(super) fn begin(&mut self, file: &File, offset: u64) {
        let Ok(version) = Version::of(file) else { return };
        let left = version.len.saturating_sub(offset);
        if left < LEFT_MIN || !version.is_settled(SystemTime::now()) || in_forked_child() {
            return;
        }
        let stream = match mem::replace(&mut self.state, State::Off) {
            State::Unused => self.open(file, version).map(Box::new),
            State::Idle(stream) => Ok(stream),
            State::Running(_) | State::Off => return,
        };
        match stream {
            Ok(mut stream) => {
                stream.begin(offset, version);
                self.state = State::Running(stream);
            }
            Err(error) => tracing::debug!(%error, "mmap-ahead: no direct reads; pread instead"),
        }
    }

    fn open(&mut self, file: &File, version: Version) -> io::Result<Stream> {
        let direct = Arc::new(OwnedFd::from(reopen(file, libc::O_DIRECT)?));
        self.files.0 = Some(Arc::clone(&direct));
        let quiet = Arc::new(reopen(file, 0)?);
        self.files.1 = Some(Arc::clone(&quiet));
        no_read_ahead(&quiet);
        Stream::new(direct, quiet, version)
    }

    /// Who has the bytes at `offset`; waits for a frame if it is a frame.
    pub(super) fn how(&mut self, offset: u64) -> How {
        let State::Running(stream) = &mut self.state else { return How::Pread };
        let next = if in_forked_child() { Next::Broken } else { stream.next(offset) };
        match next {
            Next::Lend => return How::Lent,
            Next::Pread(until) => return How::PreadOf(Arc::clone(stream.quiet()), until),
            Next::Over => stream.end(),
            Next::Broken => {}
        }
        if let (State::Running(stream), Next::Over) =
            (mem::replace(&mut self.state, State::Off), next)
        {
            self.state = State::Idle(stream);
        }
        How::Pread
    }

    /// What is lent at `offset`; empty unless [`how`](Direct::how) said so before.
    pub(super) fn lent(&self, offset: u64) -> &[u8] {
        match &self.state {
            State::Running(stream) => stream.lent(offset),
            _ => &[],
        }
    }

    /// What is lent next must be as fresh as if it were read then.
    pub(super) fn doubt(&mut self) {
        if let State::Running(stream) = &mut self.state {
            stream.doubt();
        }
    }
}

/// The same file, opened once more, with flags and advice of its own.
fn reopen(file: &File, flags: libc::c_int) -> io::Result<File> {
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}
