//! The command line: parses and prints, nothing else.

#![forbid(unsafe_code)]

mod again;
mod compare;
mod demo;
mod doctor;
mod hidden;
mod matrix;
mod output;
mod place;
mod plot;
mod pm;
mod probe;
mod read;
mod record;
mod report;
mod sim;
mod simulated;
mod story;
mod traced;
mod watched;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use mmap_ahead_bench::Error;

/// Memory-mapped files, read ahead of the reader.
#[derive(Parser)]
#[command(name = "mmap-ahead", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::Arguments),
    Read(read::Arguments),
    Compare(compare::Arguments),
    Doctor(doctor::Arguments),
    Sim(sim::Arguments),
    Pm(pm::Arguments),
    Record(record::Arguments),
    Plot(plot::Arguments),
    /// One run, in this process; how `compare` starts its children.
    #[command(name = "__run", hide = true)]
    Run(hidden::Arguments),
    /// One watched run; how reports start theirs.
    #[command(name = "__watch", hide = true)]
    Watch(hidden::Arguments),
    #[command(name = "__record", hide = true)]
    RecordSet(hidden::Arguments),
    /// A background reader; how `compare --busy` starts them.
    #[command(name = "__busy", hide = true)]
    Busy(hidden::Arguments),
}

fn main() -> ExitCode {
    match dispatch(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mmap-ahead: {error}");
            ExitCode::from(error.exit_status())
        }
    }
}

fn dispatch(command: Command) -> Result<(), Error> {
    match command {
        Command::Demo(arguments) => demo::demo(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
        Command::Read(arguments) => read::read(&arguments),
        Command::Compare(arguments) => compare::compare(&arguments),
        Command::Sim(arguments) => sim::sim(&arguments),
        Command::Record(arguments) => record::record(&arguments),
        Command::Pm(arguments) => pm::pm(&arguments),
        Command::Plot(arguments) => plot::plot(&arguments),
        Command::Run(arguments) => hidden::run(&arguments),
        Command::Watch(arguments) => hidden::watch(&arguments),
        Command::RecordSet(arguments) => hidden::record(&arguments),
        Command::Busy(arguments) => hidden::busy(&arguments),
    }
}
