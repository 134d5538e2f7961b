//! Numbers that look random and are the same everywhere: SplitMix64.
//!
//! Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).
//! Our own, because the `rand` crates may change their sequences between versions, and golden
//! results must not.

/// Endless numbers below `limit`; none at all when it is 0.
pub(super) fn below(limit: u64, seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::from_fn(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        // The high half of the product: nearly uniform for limits far below 2^64.
        let scaled = u128::from(mix(state)) * u128::from(limit);
        (limit > 0).then_some((scaled >> 64) as u64)
    })
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_splitmix64() {
        // The reference sequence for seed 0.
        let first = super::mix(0x9e37_79b9_7f4a_7c15);
        assert_eq!(first, 0xe220_a839_7b1d_cdaf);
    }
}
