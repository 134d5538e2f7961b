//! Wilcoxon's signed-rank test of pairs: is one of the two faster, whatever the noise looks like?

/// The chance, 0 to 1, that differences as one-sided as these come about when none of the two is
/// faster: two-sided, and exact for ties too (the distribution is counted over all signs of the
/// ranks at hand). Pairs without a difference are left out. 1 when nothing is left.
///
/// Source: Wilcoxon, "Individual comparisons by ranking methods" (1945); Pratt and Gibbons (1981)
/// for ties.
#[must_use]
pub fn signed_rank(differences: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = differences.iter().copied().filter(|at| *at != 0.0).collect();
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let ranks = doubled_ranks(&sorted);
    let above: usize = ranks.iter().zip(&sorted).filter(|(_, at)| **at > 0.0).map(|at| at.0).sum();
    let all: usize = ranks.iter().sum();
    let chances = chances(&ranks);
    let tail: f64 = chances[..=above.min(all - above)].iter().sum();
    (2.0 * tail).min(1.0)
}

/// Twice the rank of each, ascending; equal ones share the mean of their ranks.
fn doubled_ranks(sorted: &[f64]) -> Vec<usize> {
    let mut ranks = Vec::with_capacity(sorted.len());
    for tied in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
        let doubled = 2 * ranks.len() + tied.len() + 1;
        ranks.extend(std::iter::repeat_n(doubled, tied.len()));
    }
    ranks
}

/// The chance of each sum of positive ranks when every sign is a fair coin.
fn chances(ranks: &[usize]) -> Vec<f64> {
    let mut chances = vec![0.0; ranks.iter().sum::<usize>() + 1];
    chances[0] = 1.0;
    for &rank in ranks {
        for sum in (0..chances.len()).rev() {
            let with = if sum >= rank { chances[sum - rank] } else { 0.0 };
            chances[sum] = f64::midpoint(chances[sum], with);
        }
    }
    chances
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Rng;

    #[test]
    fn the_chances_are_those_of_the_tables() {
        let all_above = |count: usize| (1..=count).map(|at| at as f64).collect::<Vec<_>>();
        // All of n on one side: 2 / 2^n.
        for count in [1, 5, 8, 21] {
            let chance = signed_rank(&all_above(count));
            assert!((chance - 2.0 / f64::powi(2.0, count as i32)).abs() < 1e-12, "{count}");
        }
        // Ten pairs with a rank sum of 8 on the lesser side: 0.0488 (Hollander and Wolfe, A.4).
        let mut pairs = all_above(10);
        pairs[7] = -8.0;
        assert!((signed_rank(&pairs) - 0.048_828_125).abs() < 1e-9);
    }

    #[test]
    fn ties_and_pairs_without_a_difference() {
        assert_eq!(signed_rank(&[]), 1.0);
        assert_eq!(signed_rank(&[0.0, 0.0]), 1.0);
        assert_eq!(signed_rank(&[1.0, -1.0]), 1.0);
        assert_eq!(signed_rank(&[1.0, 1.0, 0.0, 1.0]), 0.25);
    }

    #[test]
    fn equal_engines_are_told_apart_as_often_as_it_says() {
        let mut rng = Rng::new(5);
        let told = (0..2000)
            .filter(|_| {
                let pairs: Vec<f64> = (0..21).map(|_| rng.unit() - 0.5).collect();
                signed_rank(&pairs) < 0.05
            })
            .count();
        assert!((60..=140).contains(&told), "{told} of 2000, wanted about 98");
    }
}
