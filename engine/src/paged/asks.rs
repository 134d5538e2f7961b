//! What a thread that cannot serve itself asks the service for, and waits for.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::page::PageIndex;
use crate::sys::Bell;

/// Threads that wait at a time; more than these look again each millisecond.
const ASKS_MAX: usize = 64;
const CROWDED: Duration = Duration::from_millis(1);

const FREE: u32 = 0;
const CLAIMED: u32 = 1;
const ASKED: u32 = 2;
const HEARD: u32 = 3;
const BROUGHT: u32 = 4;
const LOST: u32 = 5;

#[derive(Debug)]
struct Ask {
    state: AtomicU32,
    page: AtomicU64,
    answered: Bell,
}

impl Ask {
    const fn new() -> Ask {
        Ask { state: AtomicU32::new(FREE), page: AtomicU64::new(0), answered: Bell::new() }
    }
}

/// A place for each thread that waits.
#[derive(Debug)]
pub(super) struct Asks {
    places: [Ask; ASKS_MAX],
    crowded: Bell,
}

/// What became of a page that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is there, or was for a moment.
    Brought,
    /// It cannot be had.
    Lost,
}

/// One of the places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AskIndex(usize);

impl Asks {
    pub(super) fn new() -> Asks {
        Asks { places: [const { Ask::new() }; ASKS_MAX], crowded: Bell::new() }
    }

    /// Asks for `page`, has `tell` tell the service, and waits for its answer. Async-signal-safe.
    pub(super) fn ask(&self, PageIndex(page): PageIndex, tell: impl FnOnce()) -> Answer {
        let claim = |ask: &&Ask| {
            let (free, claimed) = (FREE, CLAIMED);
            let state = &ask.state;
            state.compare_exchange(free, claimed, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        let Some(ask) = self.places.iter().find(claim) else {
            self.crowded.wait(self.crowded.listen(), Some(CROWDED));
            return Answer::Brought;
        };
        ask.page.store(page, Ordering::Relaxed);
        ask.state.store(ASKED, Ordering::SeqCst);
        tell();
        let answer = loop {
            let ticket = ask.answered.listen();
            match ask.state.load(Ordering::Acquire) {
                BROUGHT => break Answer::Brought,
                LOST => break Answer::Lost,
                _ => ask.answered.wait(ticket, None),
            };
        };
        ask.state.store(FREE, Ordering::Release);
        answer
    }

    /// Takes in what has been asked for.
    pub(super) fn hear(&self) -> impl Iterator<Item = (AskIndex, PageIndex)> {
        self.places.iter().enumerate().filter_map(|(index, ask)| {
            if ask.state.load(Ordering::SeqCst) != ASKED {
                return None;
            }
            ask.state.store(HEARD, Ordering::Relaxed);
            Some((AskIndex(index), PageIndex(ask.page.load(Ordering::Relaxed))))
        })
    }

    /// Lets the thread at `index`, which was heard, go on.
    pub(super) fn answer(&self, AskIndex(index): AskIndex, answer: Answer) {
        if let Some(ask) = self.places.get(index) {
            let state = match answer {
                Answer::Brought => BROUGHT,
                Answer::Lost => LOST,
            };
            ask.state.store(state, Ordering::Release);
            ask.answered.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn every_thread_that_asks_is_answered_also_when_there_are_more_than_places() {
        const THREADS: u64 = 2 * ASKS_MAX as u64;
        let (asks, done) = (Asks::new(), AtomicUsize::new(0));
        let mut heard = 0;
        std::thread::scope(|scope| {
            for page in 0..THREADS {
                let (asks, done) = (&asks, &done);
                scope.spawn(move || {
                    asks.ask(PageIndex(page), || {});
                    done.fetch_add(1, Ordering::Relaxed);
                });
            }
            while done.load(Ordering::Relaxed) < THREADS as usize {
                let all: Vec<_> = asks.hear().collect();
                heard += all.len();
                all.into_iter().for_each(|(index, _)| asks.answer(index, Answer::Brought));
            }
        });
        assert!((ASKS_MAX..=THREADS as usize).contains(&heard), "{heard}");
    }
}
