//! Reads traces of any known format, one access after the other: no trace is too long.

use std::path::Path;

use mmap_ahead::page::Nanos;

use super::Touch;
use super::access::{Access, Files, Operation, PAGE, TraceFile};
use super::csv::Csv;
use super::fio::Iolog;
use super::input::Lines;
use super::lackey;
use super::recorded::Recording;
use super::text::Walk;
use crate::Error;

/// The formats, as an error prints them.
const KNOWN: &str = "a recording of mmap-ahead's, `mmap-ahead-trace 1`, fio iolog 2 or 3, Lackey, \
                     CSV with named columns";

/// The accesses of a trace, in its order.
///
/// After the first error there are no more.
pub struct Accesses {
    lines: Lines,
    format: Format,
    files: Files,
    /// That of the line by which the format was known.
    first: Option<Access>,
    /// The text format: how long its reader has thought so far.
    thought: Nanos,
    over: bool,
}

enum Format {
    Recording(Recording),
    Text(Walk),
    Iolog(Iolog),
    Lackey,
    Csv(Csv),
}

impl std::fmt::Debug for Accesses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accesses").field("format", &self.format()).finish_non_exhaustive()
    }
}

impl Accesses {
    /// Opens a trace. Its format and its compression (gzip, zstd) are seen in its first bytes; its
    /// name does not matter.
    ///
    /// # Errors
    /// [`Error::Read`] when it cannot be opened; [`Error::Trace`] when its beginning is that of no
    /// format known.
    pub fn open(path: &Path) -> Result<Accesses, Error> {
        Accesses::of(Lines::open(path)?)
    }

    fn of(mut lines: Lines) -> Result<Accesses, Error> {
        let mut files = Files::default();
        loop {
            let Some(line) = lines.next()? else {
                return Err(lines.error(format!("nothing; expected {KNOWN}")));
            };
            if is_blank(line) {
                continue;
            }
            let format = Format::of(line, &mut files);
            let (format, first) = format.map_err(|what| lines.error(what))?;
            return Ok(Accesses { lines, format, files, first, thought: Nanos(0), over: false });
        }
    }

    /// The name of the format.
    #[must_use]
    pub fn format(&self) -> &'static str {
        match self.format {
            Format::Recording(_) => "recording",
            Format::Text(_) => "text",
            Format::Iolog(_) => "fio iolog",
            Format::Lackey => "lackey",
            Format::Csv(_) => "CSV",
        }
    }

    /// Whether the offsets are addresses, with wide gaps between them.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        matches!(self.format, Format::Lackey)
    }

    /// The files that were named so far.
    #[must_use]
    pub fn files(&self) -> &[TraceFile] {
        &self.files.all
    }

    /// The next access, with everything on the way to it.
    fn advance(&mut self) -> Result<Option<Access>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        loop {
            if let Format::Text(walk) = &mut self.format
                && let Some(touch) = walk.next()
            {
                return Ok(Some(self.touched(touch)));
            }
            let Some(line) = self.lines.next()? else { return Ok(None) };
            let found = self.format.line(line, &mut self.files);
            if let Some(access) = found.map_err(|what| self.lines.error(what))? {
                return Ok(Some(access));
            }
        }
    }

    /// A touch of the text format: a page, which its reader thinks about before the next.
    fn touched(&mut self, touch: Touch) -> Access {
        let at = Some(self.thought);
        self.thought = Nanos(self.thought.0.saturating_add(touch.think.0));
        let (offset, len) = (touch.page.0 * PAGE, PAGE);
        Access { at, thread: 0, file: 0, offset, len, operation: Operation::Read }
    }
}

impl Iterator for Accesses {
    type Item = Result<Access, Error>;

    fn next(&mut self) -> Option<Result<Access, Error>> {
        if self.over {
            return None;
        }
        let next = self.advance().transpose();
        self.over = !matches!(next, Some(Ok(_)));
        next
    }
}

impl Format {
    /// By the first line that is not blank, and the access that this line is, if any.
    fn of(line: &str, files: &mut Files) -> Result<(Format, Option<Access>), String> {
        let format = if line.starts_with('{') {
            Format::Recording(Recording::of(line)?)
        } else if line.starts_with("mmap-ahead-trace") {
            files.index_of("");
            Format::Text(Walk::of(line)?)
        } else if line.starts_with("fio version") {
            Format::Iolog(Iolog::of(line)?)
        } else if lackey::begins(line) {
            return Ok((Format::Lackey, lackey::line(line, files)?));
        } else if line.contains(',') || ["offset", "page"].contains(&line.trim()) {
            Format::Csv(Csv::of(line)?)
        } else {
            let line: String = line.chars().take(40).collect();
            return Err(format!("`{line}` begins no trace that is known: {KNOWN}"));
        };
        Ok((format, None))
    }

    fn line(&mut self, line: &str, files: &mut Files) -> Result<Option<Access>, String> {
        match self {
            Format::Recording(recording) => recording.line(line, files),
            Format::Text(walk) => walk.line(line).map(|()| None),
            Format::Iolog(iolog) => iolog.line(line, files),
            Format::Lackey => lackey::line(line, files),
            Format::Csv(csv) => csv.line(line, files),
        }
    }
}

/// Blank, or a remark of the text format's.
fn is_blank(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}
