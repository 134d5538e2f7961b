//! Writes a trace as it is recorded.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{BufWriter, Write};
use std::rc::Rc;

use super::failed;
use crate::Error;
use crate::trace::recorded::{Line, VERSION};

/// A fault on a page of a file.
pub(super) struct Fault {
    /// CLOCK_MONOTONIC.
    pub(super) at_ns: u64,
    pub(super) pid: u32,
    pub(super) tid: u32,
    pub(super) offset: u64,
    pub(super) is_major: bool,
}

/// What was written.
pub(super) struct Written {
    pub(super) faults: u64,
    pub(super) major_faults: u64,
    pub(super) files: usize,
}

pub(super) struct Writer {
    out: BufWriter<Box<dyn Write>>,
    started_ns: u64,
    /// The number of each file.
    files: HashMap<Rc<str>, u64>,
    faults: u64,
    major_faults: u64,
}

impl Writer {
    pub(super) fn new(
        out: Box<dyn Write>,
        command: &[OsString],
        started_ns: u64,
    ) -> Result<Writer, Error> {
        let out = BufWriter::with_capacity(1 << 16, out);
        let files = HashMap::new();
        let mut writer = Writer { out, started_ns, files, faults: 0, major_faults: 0 };
        writer.line(&Line::Record {
            version: VERSION,
            command: command.iter().map(|word| word.to_string_lossy().into_owned()).collect(),
            kernel: setting("/proc/sys/kernel/osrelease").unwrap_or_default(),
            page_bytes: rustix::param::page_size() as u64,
            fault_around_bytes: setting("/sys/kernel/debug/fault_around_bytes")
                .and_then(|bytes| bytes.parse().ok()),
        })?;
        Ok(writer)
    }

    pub(super) fn fault(&mut self, path: &Rc<str>, fault: Fault) -> Result<(), Error> {
        let file = match self.files.get(path) {
            Some(&file) => file,
            None => self.name(path)?,
        };
        let Fault { at_ns, pid, tid, offset, is_major: major } = fault;
        let at_ns = at_ns.saturating_sub(self.started_ns);
        self.faults += 1;
        self.major_faults += u64::from(major);
        self.line(&Line::Fault { at_ns, pid, tid, file, offset, major })
    }

    pub(super) fn lost(&mut self, faults: u64) -> Result<(), Error> {
        self.line(&Line::Lost { faults })
    }

    /// The last line; everything is on its way to the disk afterwards.
    pub(super) fn finish(
        mut self,
        seconds: f64,
        elsewhere: u64,
        lost: u64,
    ) -> Result<Written, Error> {
        let Writer { faults, major_faults, .. } = self;
        self.line(&Line::End { seconds, faults, elsewhere, lost })?;
        self.out.flush().map_err(|error| unwritten(&error))?;
        Ok(Written { faults, major_faults, files: self.files.len() })
    }

    fn name(&mut self, path: &Rc<str>) -> Result<u64, Error> {
        let file = self.files.len() as u64;
        self.files.insert(Rc::clone(path), file);
        let bytes = fs::metadata(&**path).ok().filter(|meta| meta.is_file());
        let bytes = bytes.map(|meta| meta.len());
        self.line(&Line::File { file, path: path.to_string(), bytes })?;
        Ok(file)
    }

    fn line(&mut self, line: &Line) -> Result<(), Error> {
        serde_json::to_writer(&mut self.out, line).map_err(|error| unwritten(&error.into()))?;
        self.out.write_all(b"\n").map_err(|error| unwritten(&error))
    }
}

fn unwritten(error: &std::io::Error) -> Error {
    failed(format!("the trace cannot be written: {error}"))
}

fn setting(path: &str) -> Option<String> {
    fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}
