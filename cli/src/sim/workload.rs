//! The arguments that describe a workload.

use std::path::Path;

use mmap_ahead::page::{ByteLen, Nanos, PageSize};
use mmap_ahead_bench::{Error, size};
use mmap_ahead_sim::{PageTrace, Shape, Thinking, Workload};

use super::wrong;

/// What readers do, beside its name
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long the file is
    #[arg(long, default_value = "1GiB", value_parser = size::parse)]
    size: u64,
    /// Bytes that each step reads [default: the pattern's natural length]
    #[arg(long, value_parser = size::parse)]
    touch: Option<u64>,
    /// How long the reader thinks after each step; for traces, instead of their own times
    #[arg(long)]
    think_ns: Option<u64>,
    /// How many readers take the steps in turn
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: u32,
    /// Only the first so many steps of the pattern
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Which file of a trace [default: the one with the most accesses]
    #[arg(long)]
    trace_file: Option<String>,
}

impl Arguments {
    /// The generator called `name`, or, for trace:FILE, the walk of that trace.
    pub(crate) fn workload(&self, name: &str) -> Result<Workload, Error> {
        if let Some(path) = name.strip_prefix("trace:") {
            return self.trace(Path::new(path), name);
        }
        let shape = Shape {
            file: ByteLen(self.size),
            touch: self.touch,
            think: Nanos(self.think_ns.unwrap_or(0)),
            threads: self.threads,
            steps: self.steps,
        };
        Workload::named(name, &shape).map_err(wrong)
    }

    fn trace(&self, path: &Path, name: &str) -> Result<Workload, Error> {
        let thinking = match self.think_ns {
            Some(think) => Thinking::Constant(Nanos(think)),
            None => Thinking::Recorded,
        };
        let file = self.trace_file.as_deref();
        let trace = PageTrace::open(path, file, PageSize::FOUR_KIB, thinking);
        let named = |error| Error::failed(format!("{}: {error}", path.display()));
        Ok(Workload::of_page_trace(name, trace.map_err(named)?))
    }
}
