//! The traces that `mmap-ahead record` writes: one JSON object a line, version 1.
//!
//! ```text
//! {"kind":"record","version":1,"command":["grep","x","f"],"kernel":"6.18.44","page_bytes":4096,"fault_around_bytes":65536}
//! {"kind":"file","file":0,"path":"/data/f","bytes":1048576}
//! {"kind":"fault","at_ns":81320,"pid":77,"tid":77,"file":0,"offset":40960,"major":true}
//! {"kind":"lost","faults":12}
//! {"kind":"end","seconds":1.5,"faults":4096,"elsewhere":310,"lost":12}
//! ```
//! - `record` is the first line. `file` comes before the first fault that names its number; numbers
//!   count from 0. `bytes` is its length when that fault was seen; absent when it was gone.
//! - `fault`: `at_ns` since the recording began, taken when the fault ends; `offset` is that of the byte that was touched,
//!   in the file; `major` when it waited for a disk. Faults are in the order of time.
//! - `lost`: about here so many records were dropped by the kernel, because the recorder was too slow.
//! - `end`: how long the command ran; all faults in files, those elsewhere (heap, stacks; not written
//!   down), and all that was lost. Absent when the recorder was killed.
//!
//! A fault is the *first* touch of a page that is not in the page table: neighbours that the kernel
//! mapped with it (`fault_around_bytes`, whole folios) do not show. Every fault is read as an access of
//! one byte. Fields that are not known are passed over; another `version` or `kind` is an error.

use mmap_ahead::page::Nanos;
use serde::{Deserialize, Serialize};

use super::access::{Access, Files, Operation, check_extent};

/// The only version so far.
pub(crate) const VERSION: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Line {
    Record {
        version: u32,
        command: Vec<String>,
        kernel: String,
        page_bytes: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        fault_around_bytes: Option<u64>,
    },
    File {
        file: u64,
        path: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    Fault {
        at_ns: u64,
        pid: u32,
        tid: u32,
        file: u64,
        offset: u64,
        major: bool,
    },
    Lost {
        faults: u64,
    },
    End {
        seconds: f64,
        faults: u64,
        elsewhere: u64,
        lost: u64,
    },
}

/// What is remembered from one line to the next.
#[derive(Debug, Default)]
pub(super) struct Recording {
    /// The number of each file in the recording, as an index into [`Files`].
    files: Vec<usize>,
}

impl Recording {
    /// By the first line.
    pub(super) fn of(header: &str) -> Result<Recording, String> {
        match parse(header)? {
            Line::Record { version: VERSION, .. } => Ok(Recording::default()),
            Line::Record { version, .. } => {
                Err(format!("version {version} of a recording; this program knows {VERSION}"))
            }
            _ => Err("a recording begins with its `record` line".into()),
        }
    }

    pub(super) fn line(&mut self, line: &str, files: &mut Files) -> Result<Option<Access>, String> {
        if line.trim().is_empty() {
            return Ok(None);
        }
        match parse(line)? {
            Line::File { file, path, bytes } => {
                if file != self.files.len() as u64 {
                    return Err(format!("file {file} where {} is next", self.files.len()));
                }
                let index = files.index_of(&path);
                files.all[index].bytes = bytes.or(files.all[index].bytes);
                self.files.push(index);
                Ok(None)
            }
            Line::Fault { at_ns, tid, file, offset, .. } => {
                let index = usize::try_from(file).ok().and_then(|at| self.files.get(at));
                let &file = index.ok_or_else(|| format!("file {file} was not named before"))?;
                check_extent(offset, 1)?;
                let (at, operation) = (Some(Nanos(at_ns)), Operation::Read);
                Ok(Some(Access { at, thread: tid, file, offset, len: 1, operation }))
            }
            Line::Lost { .. } | Line::End { .. } => Ok(None),
            Line::Record { .. } => Err("a second `record` line".into()),
        }
    }
}

fn parse(line: &str) -> Result<Line, String> {
    serde_json::from_str(line).map_err(|error| {
        // serde counts lines too, from where it began: within this one.
        let text = error.to_string();
        let text = text.split(" at line 1 ").next().unwrap_or(&text).to_owned();
        format!("{text} (column {})", error.column())
    })
}
