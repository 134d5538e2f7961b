//! `sim`: the simulator.

mod calibrate;
mod choi;
mod machine;
mod run;
mod sweep;
mod validate;
mod workload;

use clap::Subcommand;
use mmap_ahead_bench::Error;

pub(crate) use run::Line;

/// Ask the simulator: what would this policy, this device, this trace do?
#[derive(clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Arguments),
    Sweep(sweep::Arguments),
    Merge(sweep::MergeArguments),
    Choi(choi::Arguments),
    Calibrate(calibrate::Arguments),
    Validate(validate::Arguments),
}

pub(crate) fn sim(arguments: &Arguments) -> Result<(), Error> {
    match &arguments.command {
        Command::Run(arguments) => run::run(arguments),
        Command::Sweep(arguments) => sweep::sweep(arguments),
        Command::Merge(arguments) => sweep::merge(arguments),
        Command::Choi(arguments) => choi::choi(arguments),
        Command::Calibrate(arguments) => calibrate::calibrate(arguments),
        Command::Validate(arguments) => validate::validate(arguments),
    }
}

/// The simulator's errors as the command line has them: names that nobody knows are wrong usage.
pub(crate) fn wrong(error: mmap_ahead_sim::Error) -> Error {
    match error {
        mmap_ahead_sim::Error::Unknown(what) => Error::Usage(what),
        error => Error::failed(error.to_string()),
    }
}
