//! What the design names and a later issue builds: any arguments, exit status 2.

use mmap_ahead_bench::Error;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Taken as they come
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<String>,
}

pub(crate) fn answer(what: &str) -> Result<(), Error> {
    Err(Error::NotBuilt(what.to_owned()))
}
