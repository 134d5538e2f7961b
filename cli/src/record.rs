//! `record`: the page faults of any program, as a trace that `sim` and `compare` take.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use flate2::Compression;
use flate2::write::GzEncoder;
use mmap_ahead::lab::FaultsOf;
use mmap_ahead_bench::{Error, size};
use mmap_ahead_sim::record::{self as recorder, Recorded};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

/// Record the page faults of a program, its threads and its children
///
/// The trace is text, one JSON object a line: which page of which file was touched first, when, by
/// whom, and whether the disk was waited for. A page that the kernel mapped along with its
/// neighbour raises no fault and does not show. What was recorded and what it cost is said on
/// standard error, when the program has ended.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The trace; compressed when its name ends in .gz
    #[arg(short, long, value_name = "TRACE")]
    output: PathBuf,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

pub(crate) fn record(arguments: &Arguments) -> Result<(), Error> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let registered = signal_hook::flag::register(signal, Arc::clone(&stop));
        registered.map_err(|error| Error::failed(format!("signal {signal}: {error}")))?;
    }
    let out = output(&arguments.output)?;
    let recorded = recorder::record(&arguments.command, out, &stop)
        .map_err(|error| Error::failed(error.to_string()))?;
    eprintln!("{}", describe(&recorded, &arguments.output));
    Ok(())
}

fn output(path: &Path) -> Result<Box<dyn Write>, Error> {
    let file = File::create(path).map_err(Error::at(path))?;
    Ok(match path.extension() {
        // Ends its stream when it is dropped; `record` flushes it before.
        Some(end) if end == "gz" => Box::new(GzEncoder::new(file, Compression::fast())),
        _ => Box::new(file),
    })
}

fn describe(recorded: &Recorded, path: &Path) -> String {
    let Recorded { seconds, faults, major_faults, elsewhere, lost, files, status, .. } = recorded;
    let mut text = format!(
        "mmap-ahead: {}: {faults} faults ({major_faults} major) on {files} files in {seconds:.3} s; \
         {elsewhere} elsewhere",
        path.display(),
    );
    text += &match lost {
        0 => "; none lost".to_owned(),
        lost => format!(
            "; {lost} LOST: the rings of {} were full (raise kernel.perf_event_mlock_kb)",
            size::rounded(recorded.ring_bytes as u64)
        ),
    };
    if let (Some(cost), Some(share)) = (recorded.event_cost, recorded.overhead()) {
        text += &format!(
            "\nmmap-ahead: a recorded fault takes {:.1} us longer, {:.1}% of the run in all; the recorder used {:.3} s of CPU",
            cost.0 as f64 / 1000.0,
            share * 100.0,
            recorded.recorder_cpu.as_secs_f64()
        );
    }
    if recorded.faults_of == FaultsOf::User {
        text += "\nmmap-ahead: faults inside system calls were not seen (kernel.perf_event_paranoid above 1)";
    }
    if !status.success() {
        text += &format!("\nmmap-ahead: the program ended with {status}");
    }
    text
}
