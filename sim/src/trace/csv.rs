//! CSV (RFC 4180) with a first line that names the columns.
//!
//! | column | meaning | without it |
//! |---|---|---|
//! | `offset`, or `page` | where: bytes, or pages of 4 KiB | one of them must be there |
//! | `len` (`length`, `size`, `bytes`) | how many bytes | 1 byte, or the page |
//! | `at_ns` (`time_ns`), `at_us`, `at_ms`, `at_s` | when, since the trace began; fractions are taken | no times |
//! | `file` (`path`, `filename`) | which file | one file |
//! | `thread` (`tid`) | who | 0 |
//! | `op` (`operation`, `action`) | `read`, `r`, `write`, `w` | `read` |
//!
//! Other columns are passed over. A field in quotes may hold commas, but no line ends.

use csv_core::{ReadRecordResult, Reader};
use mmap_ahead::page::Nanos;

use super::access::{Access, Files, Operation, PAGE, check_extent, number};

/// The most columns.
const COLUMNS_MAX: usize = 256;

/// In which column each thing is.
#[derive(Debug, Default)]
struct Columns {
    offset: Option<usize>,
    page: Option<usize>,
    len: Option<usize>,
    /// And how many nanoseconds its unit has.
    time: Option<(usize, f64)>,
    file: Option<usize>,
    thread: Option<usize>,
    operation: Option<usize>,
}

/// What is remembered from one line to the next.
pub(super) struct Csv {
    columns: Columns,
    row: Row,
}

impl Csv {
    /// By the line that names the columns.
    pub(super) fn of(header: &str) -> Result<Csv, String> {
        let mut row = Row::default();
        row.split(header)?;
        let mut columns = Columns::default();
        for index in 0..row.count {
            let name = row.field(index).unwrap_or_default().trim().to_ascii_lowercase();
            columns.name(index, &name);
        }
        match (columns.offset, columns.page) {
            (None, None) => Err(format!("no column `offset` or `page` in `{header}`")),
            (Some(_), Some(_)) => Err("both `offset` and `page`: which one is meant?".into()),
            _ => Ok(Csv { columns, row }),
        }
    }

    pub(super) fn line(&mut self, line: &str, files: &mut Files) -> Result<Option<Access>, String> {
        if line.trim().is_empty() {
            return Ok(None);
        }
        self.row.split(line)?;
        let (row, columns) = (&self.row, &self.columns);
        let number_in = |column: usize| number(row.need(column)?);
        let (offset, natural) = match (columns.offset, columns.page) {
            (Some(column), _) => (number_in(column)?, 1),
            (None, Some(column)) => (number_in(column)?.saturating_mul(PAGE), PAGE),
            (None, None) => unreachable!("the header has one of them"),
        };
        let len = columns.len.map_or(Ok(natural), number_in)?;
        check_extent(offset, len)?;
        let thread = columns.thread.map_or(Ok(0), number_in)?;
        let thread = u32::try_from(thread).map_err(|_| format!("no thread has number {thread}"))?;
        let at = columns.time.map(|(column, unit)| nanos(row.need(column)?, unit)).transpose()?;
        let operation =
            columns.operation.map_or(Ok(Operation::Read), |column| operation(row.need(column)?))?;
        let file = files.index_of(columns.file.map_or(Ok(""), |column| row.need(column))?);
        Ok(Some(Access { at, thread, file, offset, len, operation }))
    }
}

impl Columns {
    fn name(&mut self, index: usize, name: &str) {
        let index = Some(index);
        match name {
            "offset" => self.offset = index,
            "page" => self.page = index,
            "len" | "length" | "size" | "bytes" => self.len = index,
            "file" | "path" | "filename" => self.file = index,
            "thread" | "tid" => self.thread = index,
            "op" | "operation" | "action" => self.operation = index,
            _ => {
                let units = [("_ns", 1.0), ("_us", 1e3), ("_ms", 1e6), ("_s", 1e9)];
                let unit = units
                    .iter()
                    .find(|(unit, _)| matches!(name.strip_suffix(unit), Some("at" | "time")));
                if let (Some(&(_, unit)), Some(index)) = (unit, index) {
                    self.time = Some((index, unit));
                }
            }
        }
    }
}

/// Whole nanoseconds are taken to the last digit, everything else as a fraction.
fn nanos(text: &str, unit: f64) -> Result<Nanos, String> {
    if let (Ok(whole), true) = (text.parse(), unit == 1.0) {
        return Ok(Nanos(whole));
    }
    match text.parse::<f64>() {
        Ok(time) if time >= 0.0 && time.is_finite() => Ok(Nanos((time * unit).round() as u64)),
        _ => Err(format!("`{text}` is no time since the trace began")),
    }
}

fn operation(text: &str) -> Result<Operation, String> {
    match text.to_ascii_lowercase().as_str() {
        "read" | "r" => Ok(Operation::Read),
        "write" | "w" => Ok(Operation::Write),
        _ => Err(format!("`{text}` is neither `read` nor `write`")),
    }
}

/// The fields of one line; its buffers are used again for the next.
struct Row {
    line: Vec<u8>,
    text: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
}

impl Default for Row {
    fn default() -> Row {
        Row { line: Vec::new(), text: Vec::new(), ends: vec![0; COLUMNS_MAX], count: 0 }
    }
}

impl Row {
    fn split(&mut self, line: &str) -> Result<(), String> {
        self.line.clear();
        self.line.extend_from_slice(line.as_bytes());
        self.line.push(b'\n');
        self.text.resize(self.line.len().max(self.text.len()), 0);
        let row = Reader::new().read_record(&self.line, &mut self.text, &mut self.ends);
        self.count = row.3;
        match row.0 {
            ReadRecordResult::Record => Ok(()),
            ReadRecordResult::OutputEndsFull => Err(format!("more than {COLUMNS_MAX} columns")),
            _ => Err("a field in quotes does not end".into()),
        }
    }

    fn field(&self, index: usize) -> Option<&str> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        let bytes = self.text.get(start..*self.ends[..self.count].get(index)?)?;
        std::str::from_utf8(bytes).ok().map(str::trim)
    }

    fn need(&self, index: usize) -> Result<&str, String> {
        match self.field(index) {
            None | Some("") => Err(format!("nothing in column {}", index + 1)),
            Some(field) => Ok(field),
        }
    }
}
