//! A latch between processes: it opens once, when everybody has arrived.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::ShmError;
use super::area::Area;
use super::layout::{
    ABSENT, CLOSED, GAVE_UP, HEADER_LEN, LATCH_EVENT_AT, LATCH_MAGIC, LATCH_WAITERS_AT, PARTIES_AT,
    PARTY_STATES_AT, PRESENT,
};
use super::wait::{DEATH_NOTICED_WITHIN, Event};

/// The most parties of one latch.
pub const PARTIES_MAX: usize = 64;

/// A latch for a fixed number of parties, in any processes. Whoever has it may
/// [`wait`](Latch::wait); it opens for good when every party has [arrived](Party::arrive).
///
/// ```
/// use mmap_ahead_extras::shm::Latch;
///
/// let latch = Latch::anonymous(1)?; // before the fork; here it is another thread
/// let party = latch.join()?;
/// let worker = std::thread::spawn(move || party.arrive());
/// assert!(latch.wait(None)?);
/// # worker.join().unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Latch {
    area: Area,
    parties: usize,
}

/// One of those for whom a [`Latch`] stays shut. Dropped before it has arrived, it has given up.
#[derive(Debug)]
pub struct Party {
    area: Area,
    number: usize,
}

impl Latch {
    /// Makes a latch in a new file, for its owner only, for 1 to [`PARTIES_MAX`] parties.
    ///
    /// # Errors
    /// [`ShmError::Configuration`]; `EEXIST` when there is such a file; those of open(2), mmap(2).
    pub fn create(path: impl AsRef<Path>, parties: usize) -> Result<Latch, ShmError> {
        Latch::make(parties, |len| Area::create(path.as_ref(), len))
    }

    /// Makes a latch without a name, as [`Channel::anonymous`](super::Channel::anonymous).
    ///
    /// # Errors
    /// [`ShmError::Configuration`]; those of memfd_create(2), mmap(2).
    pub fn anonymous(parties: usize) -> Result<Latch, ShmError> {
        Latch::make(parties, Area::anonymous)
    }

    fn make(
        parties: usize,
        area: impl FnOnce(usize) -> Result<Area, ShmError>,
    ) -> Result<Latch, ShmError> {
        if !(1..=PARTIES_MAX).contains(&parties) {
            let what = format!("a latch is for 1 to {PARTIES_MAX} parties, not {parties}");
            return Err(ShmError::Configuration { what });
        }
        let area = area(HEADER_LEN)?;
        area.memory.word32(PARTIES_AT).store(parties as u32, Ordering::Relaxed);
        area.publish(LATCH_MAGIC);
        Ok(Latch { area, parties })
    }

    /// Opens a latch that somebody made.
    ///
    /// # Errors
    /// [`ShmError::NotOurs`] when the file holds anything else, is of another version or was cut
    /// short; those of open(2), mmap(2).
    pub fn open(path: impl AsRef<Path>) -> Result<Latch, ShmError> {
        let area = Area::open(path.as_ref())?;
        area.check(LATCH_MAGIC)?;
        let parties = area.memory.word32(PARTIES_AT).load(Ordering::Relaxed) as usize;
        if !(1..=PARTIES_MAX).contains(&parties) || area.memory.len() != HEADER_LEN {
            return Err(ShmError::NotOurs { why: "its length or its number of parties is none" });
        }
        Ok(Latch { area, parties })
    }

    /// As [`Channel::guard_sigbus`](super::Channel::guard_sigbus): for this latch, and for the parties
    /// that join through it from here on.
    ///
    /// # Errors
    /// When the handler cannot be installed, or guards 4,096 mappings already.
    pub fn guard_sigbus(mut self) -> Result<Latch, ShmError> {
        self.area.guard_sigbus()?;
        Ok(self)
    }

    /// Becomes one of the parties.
    ///
    /// # Errors
    /// [`ShmError::Taken`] when there are as many already; those of open(2), mmap(2), fcntl(2).
    pub fn join(&self) -> Result<Party, ShmError> {
        for number in 0..self.parties {
            let area = self.area.again()?;
            match area.lock(number as u64, "place of this party") {
                Ok(()) => {}
                Err(ShmError::Taken { .. }) => continue,
                Err(other) => return Err(other),
            }
            let state = state(&area, number);
            let joined =
                state.compare_exchange(ABSENT, PRESENT, Ordering::SeqCst, Ordering::SeqCst);
            if joined.is_ok() {
                return Ok(Party { area, number });
            }
        }
        Err(ShmError::Taken { role: "last party of the latch" })
    }

    /// Sleeps until the latch opens or `timeout` is over (`None`: for as long as it takes); says
    /// whether it is open. Parties that have not joined yet are waited for.
    ///
    /// # Errors
    /// [`ShmError::PeerDied`] when a party died before it arrived, [`ShmError::GaveUp`] when it was
    /// dropped, [`ShmError::Corrupt`], [`ShmError::CutShort`].
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool, ShmError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let seen = event(&self.area).seen();
            if self.is_open()? {
                return Ok(true);
            }
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(false);
            }
            let sleep = left.map_or(DEATH_NOTICED_WITHIN, |left| left.min(DEATH_NOTICED_WITHIN));
            event(&self.area).wait(seen, sleep);
            if event(&self.area).seen() == seen {
                self.look_after_parties()?;
            }
        }
    }

    /// Whether every party has arrived.
    ///
    /// # Errors
    /// [`ShmError::GaveUp`], [`ShmError::Corrupt`], [`ShmError::CutShort`].
    pub fn is_open(&self) -> Result<bool, ShmError> {
        let mut arrived = 0;
        for number in 0..self.parties {
            match state(&self.area, number).load(Ordering::SeqCst) {
                ABSENT | PRESENT => {}
                CLOSED => arrived += 1,
                GAVE_UP => return Err(ShmError::GaveUp),
                _ => return Err(ShmError::Corrupt { why: "a party is in no known state" }),
            }
        }
        self.area.whole()?;
        Ok(arrived == self.parties)
    }

    fn look_after_parties(&self) -> Result<(), ShmError> {
        let is_present = |number| state(&self.area, number).load(Ordering::SeqCst) == PRESENT;
        for number in 0..self.parties {
            // It may have arrived just before its lock was gone.
            if is_present(number) && !self.area.is_alive(number as u64)? && is_present(number) {
                return Err(ShmError::PeerDied);
            }
        }
        Ok(())
    }
}

impl Party {
    /// Arrives; the last one opens the latch.
    pub fn arrive(self) {
        self.leave(CLOSED);
    }

    fn leave(&self, with: u32) {
        let state = state(&self.area, self.number);
        let left = state.compare_exchange(PRESENT, with, Ordering::SeqCst, Ordering::SeqCst);
        if left.is_ok() {
            event(&self.area).tell();
        }
    }
}

impl Drop for Party {
    fn drop(&mut self) {
        // Nothing to do for one that has arrived.
        self.leave(GAVE_UP);
    }
}

fn state(area: &Area, number: usize) -> &AtomicU32 {
    area.memory.word32(PARTY_STATES_AT + 4 * number)
}

fn event(area: &Area) -> Event<'_> {
    Event {
        count: area.memory.word32(LATCH_EVENT_AT),
        waiting: area.memory.word32(LATCH_WAITERS_AT),
    }
}
