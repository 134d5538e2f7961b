//! The distances of proven strides: most that are asked for are none of them.

const BUCKETS: usize = 512;

/// How many proven strides have a distance of each bucket. Allocates nothing.
#[derive(Clone, Debug)]
pub(super) struct Proven {
    counts: [u8; BUCKETS],
}

impl Proven {
    /// None yet. At most 255 at once.
    pub(super) fn new() -> Proven {
        Proven { counts: [0; BUCKETS] }
    }

    /// Takes `before` out and `now` in.
    pub(super) fn change(&mut self, before: Option<i64>, now: Option<i64>) {
        if before != now {
            before.into_iter().for_each(|distance| self.counts[bucket_of(distance)] -= 1);
            now.into_iter().for_each(|distance| self.counts[bucket_of(distance)] += 1);
        }
    }

    /// Whether some may have this distance.
    pub(super) fn may_have(&self, distance: i64) -> bool {
        self.counts[bucket_of(distance)] > 0
    }
}

/// Distances of either sign, one after the other.
fn bucket_of(distance: i64) -> usize {
    distance as usize % BUCKETS
}
