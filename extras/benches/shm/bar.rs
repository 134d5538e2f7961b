//! The bar of the wake-up: no more than a bare futex takes, times 1.5.

use mmap_ahead_bench::interval::Median;

use crate::cores::{Cores, Kept};
use crate::shm;
use crate::sleeper::Sleeper;

const BAR: f64 = 1.5;
/// What the interval's end may be beyond it.
const SLACK: f64 = 0.02;

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    pairs: usize,
    /// How many wake-ups of each sleeper make one pair: their medians are compared.
    wakes: usize,
}

impl Effort {
    pub(crate) const SMOKE: Effort = Effort { pairs: 2, wakes: 5 };
    pub(crate) const REAL: Effort = Effort { pairs: 101, wakes: 100 };
}

/// Says whether it holds. Both sleepers are woken in turn, so that a busy machine is as busy for both.
pub(crate) fn holds(cores: Cores, effort: Effort) -> bool {
    let mut both = [Sleeper::at(shm(), cores), Sleeper::at_bare_futex(cores)];
    let kept = Kept::to(cores.waker);
    let (ratios, [ours, bare]) = pairs(&mut both, effort);
    drop(kept);
    both.into_iter().for_each(Sleeper::end);

    let is_kept = ratios.value <= BAR && ratios.high <= BAR + SLACK;
    println!(
        "{}  wake-up of a sleeper, {}: shm {:.2} us, bare futex {:.2} us, ratio {:.3} ({:.3} to {:.3}), \
         bar {BAR}, {} pairs of {} wake-ups",
        crate::verdict(is_kept),
        cores.name,
        ours.value / 1e3,
        bare.value / 1e3,
        ratios.value,
        ratios.low,
        ratios.high,
        effort.pairs,
        effort.wakes
    );
    is_kept
}

/// The ratio of the two, and what each took.
fn pairs(both: &mut [Sleeper; 2], effort: Effort) -> (Median, [Median; 2]) {
    let mut took: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..effort.pairs {
        let mut pair: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
        for wake in 0..2 * effort.wakes {
            // 0 1 1 0: neither is always the one after the other.
            let sleeper = (wake + wake / 2) % 2;
            pair[sleeper].push(both[sleeper].wake_once() as f64);
        }
        (0..2).for_each(|sleeper| took[sleeper].push(median(&pair[sleeper]).value));
    }
    let ratios: Vec<f64> = took[0].iter().zip(&took[1]).map(|(ours, bare)| ours / bare).collect();
    (median(&ratios), took.map(|took| median(&took)))
}

fn median(samples: &[f64]) -> Median {
    Median::of(samples).expect("there are some")
}
