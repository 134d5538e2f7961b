//! Background readers that keep processors busy while the pairs run.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::process::{Child, Stdio};

use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::checksum::Checksum;
use crate::spawn::{hidden_command, this_program};

/// The hidden subcommand under which the program is a background reader.
pub const BUSY_COMMAND: &str = "__busy";

/// What each background reader reads over and over: more than most caches hold.
const REGION_LEN: usize = 64 << 20;

/// What a background reader is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BusySpec {
    /// The process that started it; it ends when this is not its parent any more.
    pub parent: u32,
}

/// Background readers, ended when this is dropped.
#[derive(Debug, Default)]
pub struct Busy(Vec<Child>);

impl Busy {
    /// Starts `count` of them, each a child process with its own warm file in memory (a memfd),
    /// which it reads with read(2) and sums in a loop.
    ///
    /// # Errors
    /// When a process cannot be started.
    pub fn start(count: u32) -> Result<Busy, Error> {
        let program = this_program()?;
        let spec = BusySpec { parent: std::process::id() };
        let mut busy = Busy::default();
        for _ in 0..count {
            let mut command = hidden_command(&program, BUSY_COMMAND, &spec)?;
            command.stdout(Stdio::null()).stderr(Stdio::null());
            busy.0.push(command.spawn().map_err(Error::at(&program))?);
        }
        Ok(busy)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // One that is gone already needs no end.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Reads until the parent is gone. The caller has asked to die with it; this closes the gap before.
///
/// # Errors
/// When there is no memory for the file.
pub fn read_forever(spec: &BusySpec) -> io::Result<()> {
    let mut file = File::from(memfd_create("mmap-ahead-busy", MemfdFlags::CLOEXEC)?);
    file.write_all(&vec![1; REGION_LEN])?;
    let mut buffer = vec![0; 256 << 10];
    let mut sum = Checksum::default();
    while std::os::unix::process::parent_id() == spec.parent {
        for offset in (0..REGION_LEN as u64).step_by(buffer.len()) {
            file.read_exact_at(&mut buffer, offset)?;
            sum.add(offset, &buffer);
        }
        std::hint::black_box(sum);
    }
    Ok(())
}
