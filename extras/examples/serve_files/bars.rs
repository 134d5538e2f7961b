//! What the cache must keep to. Kim, Choi and Han ("Mapping Cache for High-Performance Memory Mapped File I/O in
//! Memory File Systems", Journal of KIISE 43(5), 2016) give two figures: 2.8 times traditional file I/O, where the
//! program reads the bytes, and 12% more for a web server, which sends them.
//!
//! So each has its own workload here. A server that sends cannot be twice as fast as read(2): the row of files that
//! are mapped for good is the limit of every cache, and what is left of a request there is the copy into the socket,
//! which read(2) has as well.

use mmap_ahead_bench::interval::Median;

use crate::plan::Answer;
use crate::ways;

/// What the interval's lower end may be under a bar.
const SLACK: f64 = 0.02;

pub(crate) struct Bar {
    answer: Answer,
    baseline: usize,
    /// How many times as many requests as the baseline.
    least: f64,
    name: &'static str,
}

const BARS: [Bar; 2] = [
    Bar {
        answer: Answer::Send,
        baseline: ways::MMAP,
        least: 1.12,
        name: "a web server (sent over TCP), cache of all to plain mmap",
    },
    Bar {
        answer: Answer::Sum,
        baseline: ways::READ,
        least: 2.0,
        name: "a program that reads the bytes (added up), cache of all to read(2)",
    },
];

impl Bar {
    pub(crate) fn of(answer: Answer) -> impl Iterator<Item = &'static Bar> {
        BARS.iter().filter(move |bar| bar.answer == answer)
    }

    /// Says whether it holds. `ratio(way, baseline)` is how many times as fast a way was.
    pub(crate) fn holds(&self, place: &str, ratio: impl Fn(usize, usize) -> Median) -> bool {
        let Median { value, low, high, .. } = ratio(ways::CACHE_OF_ALL, self.baseline);
        let is_kept = value >= self.least && low >= self.least - SLACK;
        let (verdict, least) = (if is_kept { "holds" } else { "FAILS" }, self.least);
        println!(
            "{verdict}  {}, {place}: {value:.2} ({low:.2} to {high:.2}), bar {least}",
            self.name
        );
        is_kept
    }
}
