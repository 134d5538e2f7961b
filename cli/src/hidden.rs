//! The subcommands that the program starts itself with, not meant for people.

use mmap_ahead_bench::pattern::Pattern;
use mmap_ahead_bench::run::RunSpec;
use mmap_ahead_bench::{Error, busy, run, spawn, watch};

use crate::{output, traced};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// One JSON object
    spec: String,
}

impl Arguments {
    fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.spec).map_err(|error| Error::Usage(format!("spec: {error}")))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Error> {
    spawn::die_with_parent();
    let spec: RunSpec = arguments.parse()?;
    let result = match spec.pattern.parse()? {
        Pattern::Trace(trace) => run::run_steps(&spec, traced::steps(&trace, &spec)?),
        _ => run::run(&spec),
    };
    output::json_line(&result?)
}

pub(crate) fn watch(arguments: &Arguments) -> Result<(), Error> {
    spawn::die_with_parent();
    output::json_line(&watch::watch(&arguments.parse()?)?)
}

pub(crate) fn record(arguments: &Arguments) -> Result<(), Error> {
    spawn::die_with_parent();
    run::record(&arguments.parse()?)
}

pub(crate) fn busy(arguments: &Arguments) -> Result<(), Error> {
    spawn::die_with_parent();
    let spec = arguments.parse()?;
    busy::read_forever(&spec).map_err(|error| Error::failed(format!("busy reader: {error}")))
}
