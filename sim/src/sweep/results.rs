//! Files of results: a title, then a line for each cell, in order.

use super::cell::Read;
use crate::Error;

/// The lines of one sweep, or of a part of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    title: String,
    cells: Vec<(Read, String)>,
}

/// What is read back of a title.
#[derive(serde::Deserialize)]
struct Title {
    kind: String,
    cells: usize,
    baseline: String,
}

impl Results {
    /// Nothing yet, of the sweep of this title.
    #[must_use]
    pub fn new(title: String) -> Results {
        Results { title, cells: Vec::new() }
    }

    /// Reads what a sweep has written so far. A last line that was cut short is left out; summaries
    /// are, too: they are made anew.
    ///
    /// # Errors
    /// [`Error::Results`] with the line that is no line of a sweep.
    pub fn parse(text: &str) -> Result<Results, Error> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = (1..).zip(whole.lines());
        let wrong = |line: usize, what: &str| Error::Results(format!("line {line}: {what}"));
        let (_, title) = lines.next().ok_or_else(|| wrong(1, "nothing; expected a sweep"))?;
        match serde_json::from_str::<Title>(title) {
            Ok(known) if known.kind == "sweep" => {}
            _ => return Err(wrong(1, "expected {\"kind\":\"sweep\",..}")),
        }
        let mut results = Results::new(title.to_owned());
        for (number, line) in lines {
            if line.starts_with("{\"kind\":\"summary\"") {
                continue;
            }
            let read: Read =
                serde_json::from_str(line).map_err(|error| wrong(number, &error.to_string()))?;
            if read.kind != "cell" {
                return Err(wrong(number, "expected {\"kind\":\"cell\",..}"));
            }
            results.cells.push((read, line.to_owned()));
        }
        Ok(results)
    }

    /// Adds a line that [`Cell::run`](super::Cell::run) gave.
    ///
    /// # Errors
    /// [`Error::Results`] when it is none.
    pub fn push(&mut self, line: String) -> Result<(), Error> {
        let read =
            serde_json::from_str(&line).map_err(|error| Error::Results(error.to_string()))?;
        self.cells.push((read, line));
        Ok(())
    }

    /// The title's line.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The lines of the cells.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.cells.iter().map(|(_, line)| line.as_str())
    }

    /// Whether the cell of this index is among them.
    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        self.cells.iter().any(|(read, _)| read.index == index)
    }

    /// How many cells there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    pub(super) fn cells(&self) -> impl Iterator<Item = &Read> {
        self.cells.iter().map(|(read, _)| read)
    }

    /// Which strategy the others are held against.
    pub(super) fn baseline(&self) -> String {
        serde_json::from_str::<Title>(&self.title).map(|title| title.baseline).unwrap_or_default()
    }
}

/// Joins the parts of one sweep: the same lines as if it had been run in one piece.
///
/// # Errors
/// [`Error::Results`] when they are parts of different sweeps, or cells are missing.
pub fn merge(parts: Vec<Results>) -> Result<Results, Error> {
    let mut parts = parts.into_iter();
    let none = || Error::Results("nothing to merge".into());
    let mut all = parts.next().ok_or_else(none)?;
    for part in parts {
        if part.title != all.title {
            return Err(Error::Results("these are parts of different sweeps".into()));
        }
        all.cells.extend(part.cells);
    }
    all.cells.sort_by_key(|(read, _)| read.index);
    all.cells.dedup_by(|(later, _), (earlier, _)| later.index == earlier.index);
    let wanted = serde_json::from_str::<Title>(&all.title).map_or(0, |title| title.cells);
    match (0..wanted).find(|index| !all.has_sorted(*index)) {
        Some(index) => {
            let have = all.len();
            Err(Error::Results(format!("cell {index} is missing: {have} of {wanted} are there")))
        }
        None => Ok(all),
    }
}

impl Results {
    fn has_sorted(&self, index: usize) -> bool {
        self.cells.binary_search_by_key(&index, |(read, _)| read.index).is_ok()
    }
}
