//! A log whose records are there whole or not at all, whenever the power fails.
//!
//! ```text
//! 0          8      64         72     128
//! | magic    |  ..  | end      |  ..  | len u64 | bytes | up to 7 bytes of no meaning | len ..
//! ```
//!
//! A record is written past `end` and persisted; then `end` moves over it by one store of 8 bytes,
//! and is persisted. `magic` and `end` lie in lines of their own.

use std::io;

use super::Medium;

/// "mmahlog1" on a little-endian machine: a log made by a machine of the other order is no log here.
const MAGIC: u64 = u64::from_le_bytes(*b"mmahlog1");
const MAGIC_AT: usize = 0;
const END_AT: usize = 64;
const RECORDS_AT: usize = 128;
/// The length before a record's bytes.
const LEN_LEN: usize = 8;

/// Why a log was not opened or not appended to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The memory holds something else.
    #[error("this is no log: {why}")]
    NotALog {
        /// What is wrong.
        why: &'static str,
    },
    /// It was a log, and its bytes have changed.
    #[error("the log is damaged at byte {at}: {why}")]
    Damaged {
        /// Where, from the start of the memory.
        at: usize,
        /// What is wrong there.
        why: &'static str,
    },
    /// There is no room for the record; nothing was written.
    #[error("the log is full: {needs} bytes are needed and {left} are left")]
    Full {
        /// What the record takes.
        needs: usize,
        /// What is left.
        left: usize,
    },
    /// The device failed: whether the last record is there is unknown until the log is opened again, and
    /// it takes no more until then.
    #[error("the log could not be made durable, open it again: {0}")]
    Device(#[from] io::Error),
}

/// An append-only log in a [`Medium`] of fixed size. One writer; the medium says what is durable.
///
/// After a loss of power at any moment, it opens again with every record whose `append` returned,
/// in order, and with the one that was being appended whole or not at all. It has no checksums: a
/// medium that changes bytes by itself is noticed only where lengths stop making sense.
///
/// ```
/// # let file = tempfile::tempfile()?;
/// # file.set_len(1 << 20)?;
/// use mmap_ahead_extras::pmem::{AppendLog, Pmem};
///
/// let mut log = AppendLog::open(Pmem::map(&file)?)?;
/// log.append(b"first")?;
/// log.append(b"second")?;
/// # drop(log);
/// let log = AppendLog::open(Pmem::map(&file)?)?;
/// assert_eq!(log.records().map(|record| record.len()).collect::<Vec<_>>(), [5, 6]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct AppendLog<M> {
    medium: M,
    /// Bytes of records; what is committed.
    end: usize,
    /// Where the log on the medium ends may be unknown.
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sound,
    Failed,
}

impl<M: Medium> AppendLog<M> {
    /// Opens the log in `medium`, or makes one where the first 8 bytes are zero. Walks over all
    /// records.
    ///
    /// # Errors
    /// [`LogError::NotALog`], [`LogError::Damaged`], [`LogError::Device`].
    pub fn open(mut medium: M) -> Result<AppendLog<M>, LogError> {
        if medium.len() < RECORDS_AT {
            return Err(LogError::NotALog { why: "it is shorter than 128 bytes" });
        }
        match medium.load(MAGIC_AT) {
            0 => make(&mut medium)?,
            MAGIC => {}
            _ => return Err(LogError::NotALog { why: "it begins with something else" }),
        }
        let end = committed(&medium)?;
        Ok(AppendLog { medium, end, state: State::Sound })
    }

    /// Appends one record, of any length also none. Durable when it returns.
    ///
    /// # Errors
    /// [`LogError::Full`], [`LogError::Device`].
    pub fn append(&mut self, record: &[u8]) -> Result<(), LogError> {
        if self.state == State::Failed {
            return Err(LogError::Device(io::Error::other("an earlier record failed")));
        }
        let (needs, left) = (space_of(record.len()), self.left());
        if needs > left {
            return Err(LogError::Full { needs, left });
        }
        let at = RECORDS_AT + self.end;
        // What failed may reach the medium later: nothing is written over it.
        self.state = State::Failed;
        self.medium.write(at, &(record.len() as u64).to_ne_bytes());
        self.medium.write(at + LEN_LEN, record);
        self.medium.persist(at..at + LEN_LEN + record.len())?;
        self.commit(self.end + needs)
    }

    /// The records, oldest first.
    #[must_use]
    pub fn records(&self) -> Records<'_, M> {
        Records { medium: &self.medium, at: 0, end: self.end }
    }

    /// How many bytes are left, for lengths, records and what rounds them up.
    #[must_use]
    pub fn left(&self) -> usize {
        self.medium.len() - RECORDS_AT - self.end
    }

    /// The memory it lives in.
    #[must_use]
    pub fn medium(&self) -> &M {
        &self.medium
    }

    fn commit(&mut self, end: usize) -> Result<(), LogError> {
        self.medium.store(END_AT, end as u64);
        self.medium.persist(END_AT..END_AT + 8)?;
        (self.end, self.state) = (end, State::Sound);
        Ok(())
    }
}

/// The records of an [`AppendLog`], oldest first, copied out one by one.
#[derive(Debug)]
pub struct Records<'a, M> {
    medium: &'a M,
    at: usize,
    end: usize,
}

impl<M: Medium> Iterator for Records<'_, M> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        // What was checked at `open` may have been changed by another process: then it ends here.
        let len = record_len(self.medium, self.at, self.end).ok()??;
        let mut record = vec![0; len];
        self.medium.read(RECORDS_AT + self.at + LEN_LEN, &mut record);
        self.at += space_of(len);
        Some(record)
    }
}

/// Makes an empty log: the magic comes last, so that a log half made is none.
fn make(medium: &mut impl Medium) -> io::Result<()> {
    medium.store(END_AT, 0);
    medium.persist(END_AT..END_AT + 8)?;
    medium.store(MAGIC_AT, MAGIC);
    medium.persist(MAGIC_AT..MAGIC_AT + 8)
}

/// Bytes of committed records, each checked.
fn committed(medium: &impl Medium) -> Result<usize, LogError> {
    let room = medium.len() - RECORDS_AT;
    let end = usize::try_from(medium.load(END_AT)).unwrap_or(usize::MAX);
    if end > room {
        return Err(LogError::Damaged { at: END_AT, why: "it ends beyond the memory" });
    }
    let mut at = 0;
    while let Some(len) = record_len(medium, at, end)? {
        at += space_of(len);
    }
    Ok(end)
}

/// The length of the record `at` so many bytes of records; none at the end.
fn record_len(medium: &impl Medium, at: usize, end: usize) -> Result<Option<usize>, LogError> {
    if at == end {
        return Ok(None);
    }
    let damaged = |why| LogError::Damaged { at: RECORDS_AT + at, why };
    let rest = end - at;
    if rest < LEN_LEN {
        return Err(damaged("a piece of a record is left at the end"));
    }
    let mut len = [0; LEN_LEN];
    medium.read(RECORDS_AT + at, &mut len);
    match usize::try_from(u64::from_ne_bytes(len)) {
        Ok(len) if len <= rest && space_of(len) <= rest => Ok(Some(len)),
        _ => Err(damaged("the record is longer than what is left")),
    }
}

/// What a record of `len` bytes takes: its length, its bytes, and up to 7 more.
fn space_of(len: usize) -> usize {
    LEN_LEN.saturating_add(len).checked_next_multiple_of(8).unwrap_or(usize::MAX)
}
