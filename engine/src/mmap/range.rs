//! Byte ranges as callers write them, clipped to what is mapped.

use std::ops::{Bound, Range, RangeBounds};

use crate::Error;

/// The part of `range` that lies in `0..len`; empty when there is none.
pub(crate) fn clip(range: &impl RangeBounds<usize>, len: usize) -> Range<usize> {
    let Range { start, end } = plain(range, len);
    let end = end.min(len);
    start.min(end)..end
}

/// `range`, which must lie in `0..=len`.
///
/// # Errors
/// [`Error::OutsideMapping`], also for a range that runs backwards.
#[cfg_attr(any(elsewhere, not(target_os = "linux")), allow(dead_code))]
pub(crate) fn within(range: &impl RangeBounds<usize>, len: usize) -> Result<Range<usize>, Error> {
    let Range { start, end } = plain(range, len);
    if start <= end && end <= len {
        return Ok(start..end);
    }
    Err(Error::OutsideMapping { start, end, len })
}

/// Start and end of `range`, whatever they are.
fn plain(range: &impl RangeBounds<usize>, len: usize) -> Range<usize> {
    let start = match range.start_bound() {
        Bound::Included(&start) => start,
        Bound::Excluded(&before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&last) => last.saturating_add(1),
        Bound::Excluded(&end) => end,
        Bound::Unbounded => len,
    };
    start..end
}

/// The parts of `ranges` that lie in `0..len`, without the empty ones.
pub(crate) fn clip_many(ranges: &[Range<usize>], len: usize) -> Vec<Range<usize>> {
    ranges.iter().map(|range| clip(range, len)).filter(|range| !range.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_range_is_clipped() {
        assert_eq!(clip(&.., 10), 0..10);
        assert_eq!(clip(&(2..5), 10), 2..5);
        assert_eq!(clip(&(2..=5), 10), 2..6);
        assert_eq!(clip(&(8..50), 10), 8..10);
        assert_eq!(clip(&(..=usize::MAX), 10), 0..10);
        assert_eq!(clip(&(Bound::Excluded(3), Bound::Unbounded), 10), 4..10);
    }

    #[test]
    fn a_range_is_within_or_an_error() {
        assert_eq!(within(&(2..=9), 10).unwrap(), 2..10);
        assert_eq!(within(&(10..), 10).unwrap(), 10..10);
        assert!(within(&(11..), 10).is_err());
        assert!(within(&(2..11), 10).is_err());
        assert!(within(&Range { start: 7, end: 3 }, 10).is_err());
        assert!(within(&(..=usize::MAX), 10).is_err());
    }

    #[test]
    fn what_lies_outside_or_runs_backwards_is_empty() {
        let backwards = Range { start: 7, end: 3 };
        assert!(clip(&backwards, 10).is_empty());
        assert!(clip(&(10..20), 10).is_empty());
        assert!(clip(&(usize::MAX..), 10).is_empty());
        assert!(clip(&(Bound::Excluded(usize::MAX), Bound::Unbounded), 10).is_empty());
        assert!(clip(&.., 0).is_empty());
        assert_eq!(clip_many(&[0..4, 4..4, 9..12, 20..30, backwards], 10), [0..4, 9..10]);
    }
}
