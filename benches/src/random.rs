//! Seeded numbers: the same seed gives the same steps on every machine.

/// SplitMix64 (Steele, Lea, Flood 2014): one multiply chain a number, every seed is good.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator for `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number below `bound`; 0 when `bound` is 0. Biased by less than `bound / 2^64`.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next_u64()) * u128::from(bound);
        (wide >> 64) as u64
    }

    /// A number in 0..1.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Puts `items` into an order drawn at random (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// SplitMix64's finisher: a bijection of 64 bits.
#[inline]
#[must_use]
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// A seeded permutation of `0..count` that needs no memory: a bijection of the next power of two,
/// walked on until it lands inside.
#[derive(Clone, Debug)]
pub struct Scatter {
    count: u64,
    mask: u64,
    shift: u32,
    keys: [u64; 3],
}

impl Scatter {
    /// A permutation of `0..count`.
    #[must_use]
    pub fn new(count: u64, seed: u64) -> Scatter {
        let mut rng = Rng::new(seed);
        let mask = count.max(2).next_power_of_two() - 1;
        let keys = [rng.next_u64(), rng.next_u64(), rng.next_u64()];
        Scatter { count, mask, shift: mask.count_ones() / 2 + 1, keys }
    }

    /// Where `index` goes.
    ///
    /// # Panics
    /// When `index` is not below the count.
    #[inline]
    #[must_use]
    pub fn at(&self, index: u64) -> u64 {
        assert!(index < self.count, "{index} is not below {}", self.count);
        let mut value = self.round(index);
        while value >= self.count {
            value = self.round(value);
        }
        value
    }

    /// Odd multiply, add, and xor-shift are each a bijection of `mask + 1` numbers.
    #[inline]
    fn round(&self, value: u64) -> u64 {
        self.keys.iter().fold(value, |value, key| {
            let value = value.wrapping_mul(key | 1).wrapping_add(key >> 32) & self.mask;
            value ^ (value >> self.shift)
        })
    }
}

/// Zipf's law over ranks `1..=count`: rank k has weight `k^-theta`.
///
/// Rejection inversion (Hörmann, Derflinger 1996): no table, any `theta >= 0`.
#[derive(Clone, Debug)]
pub struct Zipf {
    count: f64,
    theta: f64,
    area_first: f64,
    area_last: f64,
    shortcut: f64,
}

impl Zipf {
    /// The law for `count` ranks.
    #[must_use]
    pub fn new(count: u64, theta: f64) -> Zipf {
        let count = count.max(1) as f64;
        let mut law = Zipf { count, theta, area_first: 0.0, area_last: 0.0, shortcut: 0.0 };
        law.area_first = law.area(1.5) - 1.0;
        law.area_last = law.area(count + 0.5);
        law.shortcut = 2.0 - law.area_inverse(law.area(2.5) - law.weight(2.0));
        law
    }

    /// A rank, counted from 0: 0 is the most frequent.
    pub fn sample(&self, rng: &mut Rng) -> u64 {
        loop {
            let u = self.area_last + rng.unit() * (self.area_first - self.area_last);
            let x = self.area_inverse(u);
            let rank = (x + 0.5).floor().clamp(1.0, self.count);
            if rank - x <= self.shortcut || u >= self.area(rank + 0.5) - self.weight(rank) {
                return rank as u64 - 1;
            }
        }
    }

    fn weight(&self, x: f64) -> f64 {
        (-self.theta * x.ln()).exp()
    }

    /// The integral of the weight from 1 to `x`, exact also near `theta` = 1.
    fn area(&self, x: f64) -> f64 {
        let log = x.ln();
        let t = (1.0 - self.theta) * log;
        let ratio = if t.abs() > 1e-8 { t.exp_m1() / t } else { 1.0 + t / 2.0 };
        ratio * log
    }

    fn area_inverse(&self, area: f64) -> f64 {
        let t = (area * (1.0 - self.theta)).max(-1.0);
        let ratio = if t.abs() > 1e-8 { t.ln_1p() / t } else { 1.0 - t / 2.0 };
        (ratio * area).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scatter_is_a_permutation_for_every_count() {
        for count in [1, 2, 3, 7, 64, 1000] {
            let scatter = Scatter::new(count, 9);
            let mut seen: Vec<u64> = (0..count).map(|i| scatter.at(i)).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..count), "not a permutation of {count}");
        }
    }

    #[test]
    fn scatter_does_not_keep_neighbours_together() {
        let scatter = Scatter::new(10_000, 1);
        let near = (1..10_000).filter(|&i| scatter.at(i).abs_diff(scatter.at(i - 1)) <= 16).count();
        assert!(near < 200, "{near} of 10000 neighbours stayed neighbours");
    }

    #[test]
    fn zipf_follows_its_law() {
        for theta in [0.0, 0.8, 1.0, 1.2, 2.0] {
            let law = Zipf::new(1000, theta);
            let mut rng = Rng::new(5);
            let mut counts = [0u32; 1000];
            (0..200_000).for_each(|_| counts[law.sample(&mut rng) as usize] += 1);
            let total: f64 = (1..=1000).map(|k| f64::from(k).powf(-theta)).sum();
            for rank in [1u32, 2, 10] {
                let expected = 200_000.0 * f64::from(rank).powf(-theta) / total;
                let seen = f64::from(counts[rank as usize - 1]);
                let spread = 6.0 * expected.sqrt();
                assert!((seen - expected).abs() < spread, "{theta} {rank}: {seen} {expected}");
            }
        }
    }
}
