//! The names of the generators.

use mmap_ahead::page::{ByteLen, Nanos};
use mmap_ahead_bench::pattern::Pattern;
use mmap_ahead_bench::size;

use super::{Items, Workload, files, generated};
use crate::Error;

/// The names, as an error prints them.
pub const KNOWN: &str = "seq, reverse, stride:BYTES, streams:K, random, zipf:THETA, blocks:BYTES, \
                         blocks:BYTES/STRIDE, files:BYTES*ROUNDS, phases:NAME+NAME+..";

/// What every generator is told beside its name.
///
/// Default: a file of 1 GiB, one reader that does not think, the pattern's own touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How long the file is; at least 1 byte.
    pub file: ByteLen,
    /// Bytes that each step reads; `None`: the pattern's natural length.
    pub touch: Option<u64>,
    /// How long the reader thinks after each step.
    pub think: Nanos,
    /// How many readers take the steps in turn; at least 1.
    pub threads: u32,
    /// Only the first so many steps; `None`: all of them.
    pub steps: Option<u64>,
}

impl Default for Shape {
    fn default() -> Shape {
        let file = ByteLen(1 << 30);
        Shape { file, touch: None, think: Nanos(0), threads: 1, steps: None }
    }
}

/// A generator that has been understood.
#[derive(Clone, Debug)]
enum Named {
    Pattern(Pattern),
    Files { size: u64, rounds: u64 },
    Phases(Vec<Named>),
}

pub(super) fn workload(text: &str, shape: &Shape) -> Result<Workload, Error> {
    if shape.file.0 == 0 || shape.threads == 0 || shape.touch == Some(0) {
        let what = "a workload needs a file, readers and touches of at least one byte";
        return Err(Error::Unknown(what.into()));
    }
    let named = parse(text)?;
    let shape = *shape;
    Ok(Workload::new(text, shape.file, shape.threads, move |seed| {
        let items = items(&named, &shape, seed)?;
        Ok(match shape.steps {
            None => items,
            Some(steps) => Box::new(items.take(usize::try_from(steps).unwrap_or(usize::MAX))),
        })
    }))
}

fn parse(text: &str) -> Result<Named, Error> {
    let wrong = |error: mmap_ahead_bench::Error| Error::Unknown(error.to_string());
    if let Some(parts) = text.strip_prefix("phases:") {
        return Ok(Named::Phases(parts.split('+').map(parse).collect::<Result<_, _>>()?));
    }
    if let Some(sizes) = text.strip_prefix("files:") {
        let (size, rounds) = sizes.split_once('*').unwrap_or((sizes, "1"));
        let many = |_| Error::Unknown(format!("files:BYTES*ROUNDS takes a number, not `{rounds}`"));
        let (size, rounds) = (size::parse(size).map_err(wrong)?, rounds.parse().map_err(many)?);
        return Ok(Named::Files { size, rounds });
    }
    match text.parse::<Pattern>() {
        Ok(Pattern::Trace(_)) | Err(_) => {
            Err(Error::Unknown(format!("unknown workload `{text}`; known: {KNOWN}")))
        }
        Ok(pattern) => Ok(Named::Pattern(pattern)),
    }
}

fn items(named: &Named, shape: &Shape, seed: u64) -> Result<Items, Error> {
    match named {
        Named::Pattern(pattern) => generated::items(pattern, shape, seed),
        Named::Files { size, rounds } => Ok(files::items(*size, *rounds, shape)),
        Named::Phases(phases) => {
            let all: Result<Vec<Items>, Error> =
                phases.iter().map(|phase| items(phase, shape, seed)).collect();
            Ok(Box::new(all?.into_iter().flatten()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Item, Touch};
    use super::*;

    fn touches(text: &str, shape: &Shape) -> Vec<Touch> {
        let all = Workload::named(text, shape).unwrap().items(7).unwrap();
        all.filter_map(|item| match item.unwrap() {
            Item::Touch(touch) => Some(touch),
            _ => None,
        })
        .collect()
    }

    fn offsets(text: &str) -> Vec<u64> {
        let shape = Shape { file: ByteLen(8 * 4096), touch: Some(4096), ..Shape::default() };
        touches(text, &shape).iter().map(|touch| touch.offset / 4096).collect()
    }

    #[test]
    fn generators_go_where_their_names_say() {
        assert_eq!(offsets("seq"), [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(offsets("reverse"), [7, 6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(offsets("stride:16KiB"), [0, 4]);
        assert_eq!(offsets("streams:2"), [0, 4, 1, 5, 2, 6, 3, 7]);
        assert_eq!(offsets("phases:stride:16KiB+reverse"), [0, 4, 7, 6, 5, 4, 3, 2, 1, 0]);
        assert_eq!(offsets("files:16KiB*2").len(), 16);
        for random in ["random", "zipf:0.9"] {
            let all = offsets(random);
            assert_eq!((all.len(), all.iter().all(|page| *page < 8)), (8, true), "{random}");
        }
        let mut blocks = offsets("blocks:4KiB");
        blocks.sort_unstable();
        assert_eq!(blocks, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn steps_are_taken_in_turn_and_can_be_cut() {
        let (file, think) = (ByteLen(1 << 20), Nanos(9));
        let shape = Shape { file, think, threads: 3, steps: Some(5), touch: Some(4096) };
        let all = touches("seq", &shape);
        let threads: Vec<u32> = all.iter().map(|touch| touch.thread).collect();
        assert_eq!(threads, [0, 1, 2, 0, 1]);
        assert!(all.iter().all(|touch| touch.think == Nanos(9)));
    }

    #[test]
    fn nonsense_is_named() {
        for text in ["", "sequential", "trace:x", "files:", "files:4KiB*x", "phases:seq+"] {
            let error = Workload::named(text, &Shape::default()).unwrap_err();
            assert!(matches!(error, Error::Unknown(_)), "{text}");
        }
        let none = Shape { file: ByteLen(0), ..Shape::default() };
        assert!(Workload::named("seq", &none).is_err());
    }
}
