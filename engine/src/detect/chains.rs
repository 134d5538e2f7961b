//! Hash chains over a ring of events, as deflate has them over its window.

/// How many of the latest events are found.
pub(super) const RING: usize = 256;
/// Four buckets an event: most keys that were never there fall into an empty one.
const BUCKETS: usize = 4 * RING;

/// Events by key. A chain leads from the latest event of a key's bucket to earlier ones, and ends at one that
/// the ring has dropped, so that nothing is ever taken out of it.
///
/// Whoever follows a chain compares keys: a bucket has several, and long after its last event it may seem to
/// have one again, since numbers begin anew after 2^32.
#[derive(Clone, Debug)]
pub(super) struct Chains {
    /// The number of the latest event.
    now: u32,
    latest: [u32; BUCKETS],
    /// The event before it in its bucket, of the event in each place of the ring.
    before: [u32; RING],
}

impl Chains {
    pub(super) fn new() -> Chains {
        // So that event 0, which never was, is dropped already.
        Chains { now: RING as u32, latest: [0; BUCKETS], before: [0; RING] }
    }

    /// An event with this key; the answer is its place in the ring.
    pub(super) fn push(&mut self, key: u64) -> usize {
        self.now = self.now.wrapping_add(1);
        let place = place_of(self.now);
        self.before[place] = std::mem::replace(&mut self.latest[bucket_of(key)], self.now);
        place
    }

    /// The events of this key's bucket, the latest first: how many events ago each was, and its place.
    pub(super) fn find(&self, key: u64) -> impl Iterator<Item = (u32, usize)> {
        let mut number = self.latest[bucket_of(key)];
        std::iter::from_fn(move || {
            let (age, place) = (self.now.wrapping_sub(number), place_of(number));
            number = self.before[place];
            (age < RING as u32).then_some((age, place))
        })
    }
}

fn place_of(number: u32) -> usize {
    number as usize % RING
}

/// Fibonacci hashing: steps of a power of two spread as well as any.
fn bucket_of(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - BUCKETS.trailing_zeros())) as usize
}
