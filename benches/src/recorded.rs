//! The recorded set that `mmap+replay` begins with: made once, untimed, by a process of its own.

use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;
use crate::cache::CacheState;
use crate::cleanup::{self, OnExit};
use crate::run::RunSpec;
use crate::spawn::{failure, hidden_command};

/// The hidden subcommand under which the program makes a recording.
pub const RECORD_COMMAND: &str = "__record";

/// What the steps of a run touch. The file is removed on every exit.
#[derive(Debug)]
pub struct Recorded {
    steps: RunSpec,
    path: PathBuf,
    _removed: OnExit,
}

impl Recorded {
    /// Takes the steps of `spec` over the cold file: of a warm one the kernel maps what lies around each
    /// touch too.
    ///
    /// # Errors
    /// When the file does not get cold, and whatever the recording says.
    pub fn make(program: &PathBuf, spec: &RunSpec) -> Result<Recorded, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        CacheState::Cold.prepare(&spec.path)?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mmap-ahead-{}-{number}.set", process::id());
        let path = std::env::temp_dir().join(name);
        let (steps, gone) = (steps_of(spec), path.clone());
        let removed = cleanup::on_exit(move || drop(std::fs::remove_file(gone)));
        let recording = RunSpec { set: Some(path.clone()), ..spec.clone() };
        let output = hidden_command(program, RECORD_COMMAND, &recording)?.output();
        let output = output.map_err(Error::at(program))?;
        if !output.status.success() {
            return Err(failure(&spec.engine, &output));
        }
        Ok(Recorded { steps, path, _removed: removed })
    }

    /// Whether it is of the steps of `spec`.
    #[must_use]
    pub fn is_of(&self, spec: &RunSpec) -> bool {
        self.steps == steps_of(spec)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// `spec` without what does not change which pages are touched.
fn steps_of(spec: &RunSpec) -> RunSpec {
    let (engine, cache) = (String::new(), String::new());
    RunSpec { engine, cache, policy: None, memory_limit: None, threads: None, ..spec.clone() }
}
