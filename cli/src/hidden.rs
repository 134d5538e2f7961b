//! The subcommands that the program starts itself with, not meant for people.

use mmap_ahead_bench::{Error, busy, run, spawn, watch};

use crate::output;

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
    output::json_line(&run::run(&arguments.parse()?)?)
}

pub(crate) fn watch(arguments: &Arguments) -> Result<(), Error> {
    spawn::die_with_parent();
    output::json_line(&watch::watch(&arguments.parse()?)?)
}

pub(crate) fn busy(arguments: &Arguments) -> Result<(), Error> {
    spawn::die_with_parent();
    let spec = arguments.parse()?;
    busy::read_forever(&spec).map_err(|error| Error::failed(format!("busy reader: {error}")))
}
