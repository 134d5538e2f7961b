//! Which core a thread runs on.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Where the waker is, and where the sleepers are.
#[derive(Clone, Copy)]
pub(crate) struct Cores {
    pub(crate) name: &'static str,
    pub(crate) waker: usize,
    pub(crate) sleepers: usize,
}

impl Cores {
    /// The placements that there are on this machine. Left to the kernel it is now the one, now the other,
    /// and a core that has to be woken first takes several times as long.
    pub(crate) fn all() -> Vec<Cores> {
        let allowed = allowed();
        let is_allowed = |core: &usize| allowed.is_set(*core);
        let waker = (0..CpuSet::MAX_CPU).find(is_allowed).expect("this thread runs somewhere");
        let other = (0..CpuSet::MAX_CPU).rfind(is_allowed).expect("this thread runs somewhere");
        let mut all = vec![Cores { name: "one core", waker, sleepers: waker }];
        if other == waker {
            println!("SKIPPED: waking a thread on another core: this thread may use one core only");
        } else {
            all.push(Cores { name: "two cores", waker, sleepers: other });
        }
        all
    }
}

/// While it lives, this thread is kept to one core, and whatever it starts as well.
pub(crate) struct Kept {
    before: CpuSet,
}

impl Kept {
    pub(crate) fn to(core: usize) -> Kept {
        let before = allowed();
        let mut only = CpuSet::new();
        only.set(core);
        sched_setaffinity(None, &only).unwrap();
        Kept { before }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = sched_setaffinity(None, &self.before);
    }
}

fn allowed() -> CpuSet {
    sched_getaffinity(None).unwrap()
}
