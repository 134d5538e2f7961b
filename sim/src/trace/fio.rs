//! fio's iolog, versions 2 and 3 (`write_iolog`, `read_iolog`).
//!
//! ```text
//! fio version 2 iolog             fio version 3 iolog
//! FILE add|open|close             US FILE add|open|close|unlink
//! FILE read|write OFFSET LENGTH   US FILE read|write OFFSET LENGTH
//! FILE wait US 0                  (no wait: every line has its time in microseconds)
//! ```
//! Syncs and trims touch no page and are passed over.
//! Source: fio's HOWTO, "Trace file format v2" and "v3", and its iolog.c, which writes microseconds.

use mmap_ahead::page::Nanos;

use super::access::{Access, Files, Operation, check_extent, number};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    Two,
    Three,
}

/// What is remembered from one line to the next.
#[derive(Debug)]
pub(super) struct Iolog {
    version: Version,
    /// Version 2: the waits so far.
    waited: Nanos,
}

impl Iolog {
    /// By the first line.
    pub(super) fn of(header: &str) -> Result<Iolog, String> {
        let version = match header {
            "fio version 2 iolog" => Version::Two,
            "fio version 3 iolog" => Version::Three,
            _ => return Err(format!("`{header}`: of fio's iologs, versions 2 and 3 are known")),
        };
        Ok(Iolog { version, waited: Nanos(0) })
    }

    pub(super) fn line(&mut self, line: &str, files: &mut Files) -> Result<Option<Access>, String> {
        let mut words = line.split_ascii_whitespace();
        let at = match self.version {
            Version::Two => self.waited,
            Version::Three => match words.next() {
                None => return Ok(None),
                Some(time) => micros(number(time)?),
            },
        };
        let Some(path) = words.next() else { return Ok(None) };
        let action = words.next().ok_or("expected a file and an action")?;
        let (offset, len) = (words.next(), words.next());
        if words.next().is_some() {
            return Err("expected at most an offset and a length after the action".into());
        }
        let operation = match action {
            "read" => Operation::Read,
            "write" => Operation::Write,
            "wait" if self.version == Version::Two => {
                let wait = number(offset.ok_or("expected how long to wait")?)?;
                self.waited = Nanos(self.waited.0.saturating_add(micros(wait).0));
                return Ok(None);
            }
            "add" | "open" | "close" | "unlink" => return Ok(None),
            "sync" | "datasync" | "sync_file_range" | "trim" => return Ok(None),
            _ => return Err(format!("`{action}` is no action of fio's")),
        };
        let (Some(offset), Some(len)) = (offset, len) else {
            return Err(format!("expected an offset and a length after `{action}`"));
        };
        let (offset, len) = (number(offset)?, number(len)?);
        check_extent(offset, len)?;
        // Without a single wait, version 2 says nothing about time.
        let at = (self.version == Version::Three || self.waited.0 > 0).then_some(at);
        let file = files.index_of(path);
        Ok(Some(Access { at, thread: 0, file, offset, len, operation }))
    }
}

fn micros(count: u64) -> Nanos {
    Nanos(count.saturating_mul(1000))
}
