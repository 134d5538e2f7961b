//! The steps of a pattern: which bytes, one step after the other.

use std::ops::Range;

use crate::Error;
use crate::pattern::Pattern;
use crate::random::{Rng, Scatter, Zipf};

/// What a step that is not `seq` reads unless told otherwise, and the grid that random steps fall
/// on: 4 KiB, whatever the kernel's page size, so that results compare between machines.
pub const STEP_LEN: u64 = 4096;

/// What a step of `seq` reads unless told otherwise: 256 KiB, the buffer of the `read` engine
/// (measured: read(2) is as fast with 256 KiB as with more, and falls off below 64 KiB).
pub const SEQ_STEP_LEN: u64 = 256 << 10;

/// One step: `len` bytes at `offset`, all of them inside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where it starts.
    pub offset: u64,
    /// How many bytes it reads; at least 1.
    pub len: u64,
}

impl Step {
    /// The bytes, half-open.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.len
    }
}

/// How a step's number becomes its offset.
#[derive(Clone, Debug)]
enum Order {
    Forward { distance: u64 },
    Backward { distance: u64 },
    Streams { distance: u64, runs: u64, units: u64 },
    Anywhere { rng: Rng, pages: u64 },
    Listed(Vec<u64>),
    Scattered { scatter: Scatter, block: u64 },
}

/// All steps of a pattern over one file, in order. The same arguments give the same steps.
#[derive(Clone, Debug)]
pub struct Steps {
    order: Order,
    next: u64,
    count: u64,
    touch: u64,
    file_len: u64,
}

impl Steps {
    /// The steps of `pattern` over a file of `file_len` bytes, each reading `touch` bytes (`None`:
    /// the pattern's natural length), cut where the file ends.
    ///
    /// `random` and `zipf` take as many steps as the file has pages of 4 KiB; with a longer touch,
    /// as many as read the file's length once. All that is dear (Zipf's law) happens here, not
    /// while the steps are taken.
    ///
    /// # Errors
    /// [`Error::Usage`] for traces: whoever can read them makes [`Steps::listed`] of them.
    pub fn new(
        pattern: &Pattern,
        file_len: u64,
        touch: Option<u64>,
        seed: u64,
    ) -> Result<Steps, Error> {
        let touch = touch.unwrap_or_else(|| natural_touch(pattern));
        let distance = touch.max(STEP_LEN);
        let units = file_len.div_ceil(distance);
        let pages = file_len.div_ceil(STEP_LEN);
        let (order, count) = match *pattern {
            Pattern::Trace(_) => {
                return Err(Error::Usage(format!("pattern {pattern} is not read here")));
            }
            Pattern::Seq => (Order::Forward { distance }, units),
            Pattern::Reverse => (Order::Backward { distance }, units),
            Pattern::Stride(every) | Pattern::BlocksEvery(_, every) => {
                (Order::Forward { distance: every }, file_len.div_ceil(every))
            }
            Pattern::Streams(runs) => {
                (Order::Streams { distance, runs, units }, units.div_ceil(runs) * runs)
            }
            Pattern::Random => (Order::Anywhere { rng: Rng::new(seed), pages }, units),
            Pattern::Zipf(theta) => (Order::Listed(zipf(pages, units, theta, seed)), units),
            Pattern::Blocks(block) => {
                let blocks = file_len.div_ceil(block);
                (Order::Scattered { scatter: Scatter::new(blocks, seed), block }, blocks)
            }
        };
        Ok(Steps { order, next: 0, count, touch, file_len })
    }

    /// Steps at these offsets of a file of `file_len` bytes, each reading `touch` bytes ([`STEP_LEN`]
    /// when none), cut where the file ends.
    ///
    /// # Errors
    /// [`Error::Failed`] when an offset is not in the file.
    pub fn listed(offsets: Vec<u64>, file_len: u64, touch: Option<u64>) -> Result<Steps, Error> {
        if let Some(offset) = offsets.iter().find(|&&offset| offset >= file_len) {
            let words = format!("byte {offset} is beyond the end of a file of {file_len} bytes");
            return Err(Error::failed(words));
        }
        let count = offsets.len() as u64;
        let touch = touch.unwrap_or(STEP_LEN).max(1);
        Ok(Steps { order: Order::Listed(offsets), next: 0, count, touch, file_len })
    }

    /// The first `count` of them.
    #[must_use]
    pub fn first(mut self, count: u64) -> Steps {
        self.count = self.count.min(count);
        self
    }

    /// How many bytes a step reads, unless the file ends first.
    #[must_use]
    pub fn touch(&self) -> u64 {
        self.touch
    }

    /// Whether each step starts where the one before it ended, from the first byte on.
    #[must_use]
    pub fn is_one_run(&self) -> bool {
        matches!(self.order, Order::Forward { distance } if distance == self.touch)
    }

    /// The offset of step `number`; none when a stream ran out of its part.
    #[inline]
    fn offset(&mut self, number: u64) -> Option<u64> {
        match &mut self.order {
            Order::Forward { distance } => Some(number * *distance),
            Order::Backward { distance } => Some((self.count - 1 - number) * *distance),
            Order::Streams { distance, runs, units } => {
                let run = number % *runs;
                let part = |run: u64| u64_product_div(run, *units, *runs);
                let unit = part(run) + number / *runs;
                (unit < part(run + 1)).then_some(unit * *distance)
            }
            Order::Anywhere { rng, pages } => Some(rng.below(*pages) * STEP_LEN),
            Order::Listed(offsets) => offsets.get(usize::try_from(number).ok()?).copied(),
            Order::Scattered { scatter, block } => Some(scatter.at(number) * *block),
        }
    }
}

impl Iterator for Steps {
    type Item = Step;

    #[inline]
    fn next(&mut self) -> Option<Step> {
        while self.next < self.count {
            let number = self.next;
            self.next += 1;
            if let Some(offset) = self.offset(number) {
                return Some(Step { offset, len: self.touch.min(self.file_len - offset) });
            }
        }
        None
    }
}

fn natural_touch(pattern: &Pattern) -> u64 {
    match *pattern {
        Pattern::Seq => SEQ_STEP_LEN,
        Pattern::Stride(every) => every.min(STEP_LEN),
        Pattern::Blocks(block) | Pattern::BlocksEvery(block, _) => block,
        _ => STEP_LEN,
    }
}

fn zipf(pages: u64, steps: u64, theta: f64, seed: u64) -> Vec<u64> {
    let law = Zipf::new(pages, theta);
    let scatter = Scatter::new(pages, seed);
    let mut rng = Rng::new(seed);
    (0..steps).map(|_| scatter.at(law.sample(&mut rng)) * STEP_LEN).collect()
}

/// `a * b / c`, without overflow on the way.
fn u64_product_div(a: u64, b: u64, c: u64) -> u64 {
    (u128::from(a) * u128::from(b) / u128::from(c)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Not a multiple of anything, so that every tail is met.
    const LEN: u64 = 3 * (1 << 20) + 4096 * 3 + 123;

    fn steps(name: &str, touch: Option<u64>, seed: u64) -> Vec<Step> {
        Steps::new(&name.parse().unwrap(), LEN, touch, seed).unwrap().collect()
    }

    /// Sorted, the steps are the whole file, each byte once.
    fn assert_covers_once(name: &str, touch: Option<u64>) {
        let mut all = steps(name, touch, 3);
        all.sort_by_key(|step| step.offset);
        let end = all.iter().fold(0, |end, step| {
            assert_eq!(step.offset, end, "{name}: gap or overlap at {end}");
            step.range().end
        });
        assert_eq!(end, LEN, "{name} does not reach the end");
    }

    #[test]
    fn whole_file_patterns_read_every_byte_once() {
        for name in ["seq", "reverse", "streams:1", "streams:7", "streams:4000", "blocks:64KiB"] {
            assert_covers_once(name, None);
        }
        assert_covers_once("blocks:64KiB/64KiB", None);
        assert_covers_once("stride:4KiB", None);
        for name in ["seq", "reverse", "streams:8"] {
            assert_covers_once(name, Some(64 << 10));
            assert_covers_once(name, Some(5000));
        }
    }

    #[test]
    fn steps_never_leave_the_file() {
        for name in ["random", "zipf:0.9", "stride:100000", "blocks:64KiB/1MiB", "blocks:3000"] {
            for touch in [None, Some(1), Some(1 << 20)] {
                for step in steps(name, touch, 8) {
                    assert!(step.len > 0 && step.range().end <= LEN, "{name} {step:?}");
                }
            }
        }
    }

    #[test]
    fn orders_are_what_their_names_say() {
        assert!(steps("seq", None, 0).is_sorted_by_key(|step| step.offset));
        assert!(steps("reverse", None, 0).iter().rev().is_sorted_by_key(|step| step.offset));
        let streams: Vec<u64> =
            steps("streams:3", Some(1 << 20), 0).iter().map(|step| step.offset >> 20).collect();
        assert_eq!(streams, [0, 1, 2, 3]);
        let stride: Vec<Step> = steps("stride:1MiB", None, 0);
        assert_eq!(stride[1], Step { offset: 1 << 20, len: 4096 });
        assert_eq!(stride.len(), 4);
        let small = steps("seq", Some(8), 0);
        assert_eq!((small[1].offset, small[1].len), (4096, 8));
    }

    #[test]
    fn only_a_whole_scan_is_one_run() {
        let is = |name: &str, touch| {
            Steps::new(&name.parse().unwrap(), LEN, touch, 0).unwrap().is_one_run()
        };
        assert!(is("seq", None) && is("seq", Some(8192)) && is("blocks:64KiB/64KiB", None));
        for name in ["reverse", "streams:1", "stride:8KiB", "random", "blocks:64KiB"] {
            assert!(!is(name, None), "{name}");
        }
        assert!(!is("seq", Some(8)));
    }

    #[test]
    fn random_takes_as_many_steps_as_the_file_has_pages() {
        assert_eq!(steps("random", None, 1).len() as u64, LEN.div_ceil(4096));
        assert_eq!(steps("zipf:1", None, 1).len() as u64, LEN.div_ceil(4096));
    }

    #[test]
    fn the_seed_decides_and_nothing_else() {
        for name in ["random", "zipf:0.99", "blocks:4KiB"] {
            assert_eq!(steps(name, None, 7), steps(name, None, 7), "{name}");
            assert_ne!(steps(name, None, 7), steps(name, None, 8), "{name}");
        }
    }

    #[test]
    fn listed_steps_stay_in_the_file() {
        let steps: Vec<_> = Steps::listed(vec![8192, 0], 9000, None).unwrap().collect();
        assert_eq!(steps, [Step { offset: 8192, len: 808 }, Step { offset: 0, len: 4096 }]);
        assert!(Steps::listed(vec![9000], 9000, None).is_err());
    }

    #[test]
    fn a_file_of_one_byte_has_one_step() {
        for name in ["seq", "reverse", "streams:5", "random", "zipf:1", "blocks:1MiB", "stride:9"] {
            let all: Vec<_> = Steps::new(&name.parse().unwrap(), 1, None, 1).unwrap().collect();
            assert_eq!(all, [Step { offset: 0, len: 1 }], "{name}");
        }
    }
}
