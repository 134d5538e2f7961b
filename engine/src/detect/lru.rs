//! Slots by how long ago they were used.

/// No slot.
const NONE: u8 = u8::MAX;

/// Some of `N` slots, in the order of their use. Allocates nothing; each call takes the same few steps.
#[derive(Clone, Debug)]
pub(super) struct Lru<const N: usize> {
    older: [u8; N],
    newer: [u8; N],
    oldest: u8,
    newest: u8,
}

impl<const N: usize> Lru<N> {
    pub(super) fn empty() -> Lru<N> {
        const { assert!(N < NONE as usize) };
        Lru { older: [NONE; N], newer: [NONE; N], oldest: NONE, newest: NONE }
    }

    /// All slots, slot 0 the oldest.
    pub(super) fn full() -> Lru<N> {
        let mut lru = Lru::empty();
        (0..N).for_each(|slot| lru.put_newest(slot));
        lru
    }

    pub(super) fn oldest(&self) -> Option<usize> {
        (self.oldest != NONE).then_some(usize::from(self.oldest))
    }

    /// `slot`, which is in it, was just used.
    pub(super) fn used(&mut self, slot: usize) {
        self.take_out(slot);
        self.put_newest(slot);
    }

    /// `slot`, which is in it, is free: it is the next to be taken.
    pub(super) fn freed(&mut self, slot: usize) {
        self.take_out(slot);
        self.newer[slot] = self.oldest;
        match self.oldest() {
            Some(oldest) => self.older[oldest] = slot as u8,
            None => self.newest = slot as u8,
        }
        self.oldest = slot as u8;
    }

    /// `slot`, which is not in it, was just used.
    pub(super) fn put_newest(&mut self, slot: usize) {
        self.older[slot] = self.newest;
        match self.newest {
            NONE => self.oldest = slot as u8,
            newest => self.newer[usize::from(newest)] = slot as u8,
        }
        self.newest = slot as u8;
    }

    /// `slot`, which is in it, is not any more.
    pub(super) fn take_out(&mut self, slot: usize) {
        let (older, newer) = (self.older[slot], self.newer[slot]);
        match older {
            NONE => self.oldest = newer,
            older => self.newer[usize::from(older)] = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self.older[usize::from(newer)] = older,
        }
        (self.older[slot], self.newer[slot]) = (NONE, NONE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_come_back_in_the_order_in_which_they_were_last_used() {
        let (mut lru, mut order) = (Lru::<8>::full(), (0..8).collect::<Vec<usize>>());
        let mut random = 88_172_645_463_325_252_u64;
        for _ in 0..1000 {
            assert_eq!(lru.oldest(), order.first().copied());
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let slot = (random % 8) as usize;
            let is_in = order.contains(&slot);
            order.retain(|&other| other != slot);
            match (random >> 8) % 3 {
                _ if !is_in => {
                    lru.put_newest(slot);
                    order.push(slot);
                }
                0 => {
                    lru.freed(slot);
                    order.insert(0, slot);
                }
                1 => {
                    lru.used(slot);
                    order.push(slot);
                }
                _ => lru.take_out(slot),
            }
        }
        while let Some(slot) = lru.oldest() {
            assert_eq!(slot, order.remove(0));
            lru.take_out(slot);
        }
        assert!(order.is_empty());
    }
}
