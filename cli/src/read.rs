//! `read`: files through one engine, and what it cost.

use std::path::PathBuf;

use mmap_ahead_bench::cache::CacheState;
use mmap_ahead_bench::engine::Engine;
use mmap_ahead_bench::result::{Quality, RunResult};
use mmap_ahead_bench::run::RunSpec;
use mmap_ahead_bench::spawn::{Children, Spawner};
use mmap_ahead_bench::{Error, datafile, size};

use crate::output;

/// Read files from their first byte to their last, and say what it cost
///
/// Each file is read by a process of its own, from whatever state the page cache is in.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The files
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// read, memmap2, memmap2+sequential, memmap2+willneed, memmap2+populate, memmap2+random,
    /// mmap, mmap+guard, mmap+replay, paged, paged+faulting, reader, direct
    #[arg(long, default_value_t = Engine::Mmap)]
    engine: Engine,
    /// Print whether reading ahead helped (accuracy, coverage, timeliness), and the engine's counters
    #[arg(long)]
    stats: bool,
}

pub(crate) fn read(arguments: &Arguments) -> Result<(), Error> {
    let mut children = Children::of_this_program(CacheState::AsIs)?;
    for file in &arguments.files {
        datafile::readable_len(file)?;
        let result = children.run(&RunSpec::scan(file.clone(), arguments.engine))?;
        output::line(&describe(&result))?;
        if arguments.stats {
            print_stats(&result)?;
        }
    }
    Ok(())
}

/// Whether it helped, and all counters.
fn print_stats(run: &RunResult) -> Result<(), Error> {
    if let Some(Quality { accuracy, coverage, timeliness }) = run.quality {
        for (name, share, of) in [
            ("accuracy", accuracy, "of the pages fetched ahead were used"),
            ("coverage", coverage, "of the pages passed were mapped already"),
            ("timeliness", timeliness, "of the reads looked out for came before the reader"),
        ] {
            let share = share.map_or("unknown".into(), |share| format!("{:.1}%", share * 100.0));
            output::line(&format!("  {name} {share} ({of})"))?;
        }
    }
    run.stats.iter().try_for_each(|(name, count)| output::line(&format!("  {name} {count}")))
}

fn describe(run: &RunResult) -> String {
    format!(
        "{}: {} bytes in {:.4} s, {:.2} GB/s, faults {} minor {} major, peak RSS {}, checksum {}",
        run.file,
        run.bytes,
        run.seconds,
        run.gb_per_s,
        run.minor_faults,
        run.major_faults,
        size::rounded(run.peak_rss_bytes),
        run.checksum
    )
}
