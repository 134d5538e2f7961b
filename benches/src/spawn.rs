//! Who makes a run: a fresh child process, or a fake in tests.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use rustix::process::{Signal, set_parent_process_death_signal};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::cache::CacheState;
use crate::engine::Engine;
use crate::recorded::Recorded;
use crate::result::RunResult;
use crate::run::RunSpec;
use crate::watch::{Seen, WATCH_COMMAND, WatchSpec};

/// The hidden subcommand under which the program makes one run.
pub const RUN_COMMAND: &str = "__run";

/// Prepares the cache for a run and makes it.
pub trait Spawner {
    /// Makes one run, from the state of the cache that it belongs to.
    ///
    /// # Errors
    /// Whatever went wrong, naming the engine.
    fn run(&mut self, spec: &RunSpec) -> Result<RunResult, Error>;
}

/// Each run in a fresh child: the program itself, under its hidden subcommand.
#[derive(Debug)]
pub struct Children {
    /// The program; usually `std::env::current_exe()`.
    pub program: PathBuf,
    /// The state that the cache is brought into before each run.
    pub cache: CacheState,
    /// What `mmap+replay` begins with, once it was recorded.
    pub recorded: Option<Recorded>,
}

impl Children {
    /// Children of the program that is running.
    ///
    /// # Errors
    /// When the program cannot be found any more.
    pub fn of_this_program(cache: CacheState) -> Result<Children, Error> {
        Ok(Children { program: this_program()?, cache, recorded: None })
    }
}

impl Children {
    /// The set that the steps of `spec` touch; recorded the first time.
    fn recorded(&mut self, spec: &RunSpec) -> Result<&Recorded, Error> {
        let recorded = match self.recorded.take().filter(|recorded| recorded.is_of(spec)) {
            Some(recorded) => recorded,
            None => Recorded::make(&self.program, spec)?,
        };
        Ok(self.recorded.insert(recorded))
    }
}

impl Spawner for Children {
    fn run(&mut self, spec: &RunSpec) -> Result<RunResult, Error> {
        let mut spec = spec.clone();
        if spec.engine == Engine::MmapReplay.name() {
            spec.set = Some(self.recorded(&spec)?.path().to_owned());
        }
        let cached_before = self.cache.prepare(&spec.path)?;
        let result: RunResult = self.child(RUN_COMMAND, &spec, &spec.engine)?;
        let cached_after = self.cache.check_after(&spec.path)?;
        Ok(RunResult { cached_before, cached_after, ..result })
    }
}

impl Children {
    /// Makes one watched run, from the state of the cache that it belongs to.
    ///
    /// # Errors
    /// Whatever went wrong, naming the engine.
    pub fn watch(&self, spec: &WatchSpec) -> Result<Seen, Error> {
        self.cache.prepare(&spec.run.path)?;
        self.child(WATCH_COMMAND, spec, &spec.run.engine)
    }

    /// What a child prints that is started with `argument` under the hidden subcommand `name`.
    fn child<T: DeserializeOwned>(
        &self,
        name: &str,
        argument: &impl Serialize,
        engine: &str,
    ) -> Result<T, Error> {
        let mut command = hidden_command(&self.program, name, argument)?;
        let output = command.output().map_err(Error::at(&self.program))?;
        if !output.status.success() {
            return Err(failure(engine, &output));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| Error::failed(format!("engine {engine} printed no result: {error}")))
    }
}

/// The path of the program that is running.
///
/// # Errors
/// When /proc does not tell.
pub fn this_program() -> Result<PathBuf, Error> {
    std::env::current_exe()
        .map_err(|error| Error::failed(format!("cannot find this program: {error}")))
}

/// The program with a hidden subcommand and its one JSON argument; no input, output to pipes.
pub(crate) fn hidden_command(
    program: &PathBuf,
    name: &str,
    spec: &impl Serialize,
) -> Result<Command, Error> {
    let argument = serde_json::to_string(spec)
        .map_err(|error| Error::failed(format!("cannot write {name}'s argument: {error}")))?;
    let mut command = Command::new(program);
    command.arg(name).arg(argument).stdin(Stdio::null());
    Ok(command)
}

/// Called first by a child: it dies with the thread that started it, also by SIGKILL.
pub fn die_with_parent() {
    // A child that outlives its parent costs time, nothing else.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}

/// The last line that the child wrote, or the signal it died of.
pub(crate) fn failure(engine: &str, output: &Output) -> Error {
    let text = String::from_utf8_lossy(&output.stderr);
    let said = text.lines().rfind(|line| !line.trim().is_empty());
    let said = said.map(|line| line.trim_start_matches("mmap-ahead: "));
    let words = match (output.status.signal(), said) {
        (Some(signal), _) => format!("its process died of signal {signal}"),
        (None, Some(line)) => line.to_owned(),
        (None, None) => format!("its process failed, {}", output.status),
    };
    match output.status.code() {
        Some(2) => Error::Usage(words),
        _ => Error::failed(format!("engine {engine}: {words}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::BASELINE;

    fn children(program: &str) -> Children {
        Children { program: program.into(), cache: CacheState::AsIs, recorded: None }
    }

    #[test]
    fn a_child_that_dies_is_named() {
        let spec = RunSpec::scan("/dev/null".into(), BASELINE);
        let error = children("/bin/false").run(&spec).unwrap_err().to_string();
        assert!(error.starts_with("engine memmap2: "), "{error}");
        let error = children("/bin/echo").run(&spec).unwrap_err().to_string();
        assert!(error.starts_with("engine memmap2 printed no result"), "{error}");
        let error = children("/no/such/program").run(&spec).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
    }
}
