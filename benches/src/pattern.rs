//! In which order a file is read: the names of the command line.

use std::fmt;
use std::str::FromStr;

use crate::{Error, size};

/// An order of steps through a file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Pattern {
    /// From the first byte to the last.
    Seq,
    /// From the last step to the first.
    Reverse,
    /// One step every so many bytes, forward.
    Stride(u64),
    /// So many forward runs, each through its part of the file, one step each in turn.
    Streams(u64),
    /// Steps at any page, seeded, with repetition.
    Random,
    /// Steps at pages that follow Zipf's law with this exponent, scattered over the file.
    Zipf(f64),
    /// All blocks of this size, each once, in a seeded random order.
    Blocks(u64),
    /// A block of the first size every so many bytes, forward.
    BlocksEvery(u64, u64),
    /// The touches of a trace file; its reader is the command line's (`Steps::listed`).
    Trace(String),
}

/// The names, as an error prints them.
const KNOWN: &str = "seq, reverse, stride:BYTES, streams:K, random, zipf:THETA, blocks:BYTES, \
                     blocks:BYTES/STRIDE, trace:FILE";

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Pattern, Error> {
        let unknown = || Error::Usage(format!("unknown pattern `{text}`; known: {KNOWN}"));
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        match (name, argument) {
            ("seq", None) => Ok(Pattern::Seq),
            ("reverse", None) => Ok(Pattern::Reverse),
            ("random", None) => Ok(Pattern::Random),
            ("stride", Some(bytes)) => Ok(Pattern::Stride(size::parse(bytes)?)),
            ("streams", Some(runs)) => match runs.parse() {
                Ok(runs) if (1..=65_536).contains(&runs) => Ok(Pattern::Streams(runs)),
                _ => Err(Error::Usage(format!("streams:K takes 1 to 65536, not `{runs}`"))),
            },
            ("zipf", Some(theta)) => match theta.parse() {
                Ok(theta) if (0.0..=10.0).contains(&theta) => Ok(Pattern::Zipf(theta)),
                _ => Err(Error::Usage(format!("zipf:THETA takes 0 to 10, not `{theta}`"))),
            },
            ("blocks", Some(sizes)) => match sizes.split_once('/') {
                None => Ok(Pattern::Blocks(size::parse(sizes)?)),
                Some((block, every)) => {
                    Ok(Pattern::BlocksEvery(size::parse(block)?, size::parse(every)?))
                }
            },
            ("trace", Some(file)) => Ok(Pattern::Trace(file.to_owned())),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Seq => f.write_str("seq"),
            Pattern::Reverse => f.write_str("reverse"),
            Pattern::Stride(bytes) => write!(f, "stride:{}", size::exact(*bytes)),
            Pattern::Streams(runs) => write!(f, "streams:{runs}"),
            Pattern::Random => f.write_str("random"),
            Pattern::Zipf(theta) => write!(f, "zipf:{theta}"),
            Pattern::Blocks(bytes) => write!(f, "blocks:{}", size::exact(*bytes)),
            Pattern::BlocksEvery(block, every) => {
                write!(f, "blocks:{}/{}", size::exact(*block), size::exact(*every))
            }
            Pattern::Trace(file) => write!(f, "trace:{file}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_read_and_written_back() {
        let names = [
            "seq",
            "reverse",
            "stride:128KiB",
            "streams:8",
            "random",
            "zipf:0.99",
            "blocks:1MiB",
            "blocks:64KiB/1MiB",
            "trace:a.trace",
        ];
        for name in names {
            assert_eq!(name.parse::<Pattern>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn nonsense_is_wrong_usage() {
        let names = [
            "",
            "sequential",
            "seq:4",
            "stride",
            "stride:0",
            "streams:0",
            "zipf:-1",
            "zipf:x",
            "blocks:/4",
            "zipf:NaN",
        ];
        for name in names {
            assert!(matches!(name.parse::<Pattern>(), Err(Error::Usage(_))), "{name} was taken");
        }
    }
}
