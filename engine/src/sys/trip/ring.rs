//! A bounded queue of window numbers, pushed to from the signal handler.

use std::sync::atomic::Ordering;

/// The low bits of a cell hold the value, the rest the ticket: a window number needs 11 bits.
const VALUE_BITS: u32 = 12;

/// The atomic word that a ring is made of. One trait, so that the very same code runs under loom.
pub(super) trait Word {
    fn load(&self, order: Ordering) -> usize;
    fn store(&self, value: usize, order: Ordering);
    fn replace(&self, old: usize, new: usize, success: Ordering) -> Result<usize, usize>;
}

impl Word for std::sync::atomic::AtomicUsize {
    fn load(&self, order: Ordering) -> usize {
        self.load(order)
    }

    fn store(&self, value: usize, order: Ordering) {
        self.store(value, order);
    }

    fn replace(&self, old: usize, new: usize, success: Ordering) -> Result<usize, usize> {
        self.compare_exchange(old, new, success, Ordering::Relaxed)
    }
}

/// A bounded queue, lock-free on both sides: many producers (threads inside the handler, which may
/// stop anywhere), and consumers that are meant to be one but need not be.
///
/// `tail` counts pushes begun, `head` values taken; both wrap. A push takes a number from `tail`
/// and then writes its cell; a cell says by its ticket (the number + 1) which push it is of, so the
/// consumer tells a cell that is claimed but not written yet from one that is ready. All-zero
/// memory is an empty ring: it lies in `.bss`.
#[derive(Debug)]
pub(super) struct Ring<W, const CAPACITY: usize> {
    tail: W,
    head: W,
    cells: [W; CAPACITY],
}

impl<W: Word, const CAPACITY: usize> Ring<W, CAPACITY> {
    /// A ring of words that are all 0. `CAPACITY` is a power of two: else wrapping would skip.
    pub(super) const fn of(tail: W, head: W, cells: [W; CAPACITY]) -> Self {
        assert!(CAPACITY.is_power_of_two());
        Ring { tail, head, cells }
    }

    /// Adds `value`, or answers false when the ring is full. Async-signal-safe.
    pub(super) fn push(&self, value: usize) -> bool {
        let mut number = self.tail.load(Ordering::Relaxed);
        loop {
            // Acquire: the consumer is done with the cells before `head`, so they may be written.
            let head = self.head.load(Ordering::Acquire);
            // `head` was read after `number` and may have passed it: then the exchange fails.
            if number.wrapping_sub(head) as isize >= CAPACITY as isize {
                return false;
            }
            match self.tail.replace(number, number.wrapping_add(1), Ordering::Relaxed) {
                Ok(_) => break,
                Err(newer) => number = newer,
            }
        }
        if let Some(cell) = self.cells.get(number % CAPACITY) {
            cell.store(ticket(number) | (value & VALUE_MASK), Ordering::Release);
        }
        true
    }

    /// The oldest value, or `None` when there is none or its producer has not written it yet (it
    /// rings the bell after that).
    pub(super) fn pop(&self) -> Option<usize> {
        loop {
            let head = self.head.load(Ordering::Acquire);
            let cell = self.cells.get(head % CAPACITY)?.load(Ordering::Acquire);
            if cell & !VALUE_MASK != ticket(head) {
                return None;
            }
            // The cell stays as it is until `head` has moved on, so a success makes it ours.
            if self.head.replace(head, head.wrapping_add(1), Ordering::Release).is_ok() {
                return Some(cell & VALUE_MASK);
            }
        }
    }

    /// Empties it. Nobody may push meanwhile, or the value is lost.
    pub(super) fn clear(&self) {
        for word in self.cells.iter().chain([&self.tail, &self.head]) {
            word.store(0, Ordering::Relaxed);
        }
    }
}

const VALUE_MASK: usize = (1 << VALUE_BITS) - 1;

/// What marks a cell as written by push `number`. Never 0 for the first lap, so that empty memory
/// is no ticket; it repeats after 2^52 pushes, when the cell has long been written over.
fn ticket(number: usize) -> usize {
    number.wrapping_add(1) << VALUE_BITS
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    type Small = Ring<AtomicUsize, 4>;

    fn ring_from(number: usize) -> Small {
        let [tail, head] = [number, number].map(AtomicUsize::new);
        Ring::of(tail, head, [const { AtomicUsize::new(0) }; 4])
    }

    #[test]
    fn values_come_out_in_order_and_a_full_ring_refuses() {
        let ring = ring_from(0);
        assert_eq!(ring.pop(), None);
        for value in [7, 0, 2047, 7] {
            assert!(ring.push(value));
        }
        assert!(!ring.push(1));
        assert_eq!([(); 5].map(|()| ring.pop()), [Some(7), Some(0), Some(2047), Some(7), None]);
        assert!(ring.push(5));
        ring.clear();
        assert_eq!(ring.pop(), None);
        assert!(ring.push(6));
        assert_eq!(ring.pop(), Some(6));
    }

    #[test]
    fn numbers_may_wrap() {
        let ring = ring_from(usize::MAX - 9);
        for value in 0..40 {
            assert!(ring.push(value));
            assert!(ring.push(value + 1));
            assert_eq!((ring.pop(), ring.pop()), (Some(value), Some(value + 1)));
        }
    }

    #[test]
    fn a_claimed_cell_that_is_not_written_yet_is_not_read() {
        let ring = ring_from(0);
        ring.tail.store(1, Ordering::Relaxed);
        assert!(ring.push(3));
        assert_eq!(ring.pop(), None);
    }

    #[test]
    fn nothing_is_lost_between_threads() {
        const EACH: usize = 5_000;
        let ring = ring_from(0);
        let mut seen = vec![0_usize; 2];
        std::thread::scope(|scope| {
            for producer in 0..2 {
                let ring = &ring;
                scope.spawn(move || {
                    for _ in 0..EACH {
                        while !ring.push(producer) {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            while seen.iter().sum::<usize>() < 2 * EACH {
                match ring.pop() {
                    Some(value) => seen[value] += 1,
                    None => std::thread::yield_now(),
                }
            }
        });
        assert_eq!(seen, [EACH, EACH]);
        assert_eq!(ring.pop(), None);
    }
}

/// Run with `RUSTFLAGS="--cfg loom" cargo test -p mmap-ahead --lib --release ring`.
#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::sync::atomic::AtomicUsize;
    use loom::thread;

    impl Word for AtomicUsize {
        fn load(&self, order: Ordering) -> usize {
            AtomicUsize::load(self, order)
        }

        fn store(&self, value: usize, order: Ordering) {
            AtomicUsize::store(self, value, order);
        }

        fn replace(&self, old: usize, new: usize, success: Ordering) -> Result<usize, usize> {
            self.compare_exchange(old, new, success, Ordering::Relaxed)
        }
    }

    fn ring<const CAPACITY: usize>() -> Arc<Ring<AtomicUsize, CAPACITY>> {
        let zeros = std::array::from_fn(|_| AtomicUsize::new(0));
        Arc::new(Ring::of(AtomicUsize::new(0), AtomicUsize::new(0), zeros))
    }

    /// At most three switches of threads where none was necessary: more take minutes and have not
    /// been seen to find more.
    fn explore(body: impl Fn() + Sync + Send + 'static) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(body);
    }

    /// Every push that was taken is popped once, with its own value; every refused one never.
    fn producers_against_a_consumer<const CAPACITY: usize, const EACH: usize>() {
        explore(|| {
            let ring = ring::<CAPACITY>();
            let producers = [1, 2].map(|producer| {
                let ring = Arc::clone(&ring);
                let values: [usize; EACH] = std::array::from_fn(|push| 10 * producer + push);
                thread::spawn(move || values.map(|value| (value, ring.push(value))))
            });
            let mut seen: Vec<usize> = [ring.pop(), ring.pop()].into_iter().flatten().collect();
            let mut pushed = Vec::new();
            for producer in producers {
                let results = producer.join().unwrap();
                pushed.extend(results.iter().filter(|(_, taken)| *taken).map(|(value, _)| *value));
            }
            seen.extend(std::iter::from_fn(|| ring.pop()));
            assert!(pushed.len() >= CAPACITY);
            pushed.sort_unstable();
            seen.sort_unstable();
            assert_eq!(seen, pushed);
        });
    }

    #[test]
    fn a_ring_of_two_hands_over_what_it_took() {
        producers_against_a_consumer::<2, 2>();
    }

    #[test]
    fn a_ring_of_one_hands_over_what_it_took() {
        producers_against_a_consumer::<1, 1>();
        producers_against_a_consumer::<1, 2>();
    }
}
