//! Lines, tables and progress bars.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mmap_ahead_bench::Error;
use mmap_ahead_bench::compare::Progress;
use serde::Serialize;

/// Prints a line to standard output and flushes it, so that a reader at a pipe sees it at once.
///
/// # Errors
/// When nobody takes it, a closed pipe say.
pub(crate) fn line(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| Error::failed(format!("cannot write to standard output: {error}")))
}

/// Prints one JSON object on a line.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string(value)
        .map_err(|error| Error::failed(format!("cannot write JSON: {error}")))?;
    line(&text)
}

/// A table: the first column to the left, the others to the right.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].len()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &[String]| {
        let mut text = format!("{:<width$}", cells[0], width = widths[0]);
        for (cell, width) in cells.iter().zip(&widths).skip(1) {
            text += &format!("  {cell:>width$}");
        }
        text
    };
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let rule = "-".repeat(widths.iter().sum::<usize>() + 2 * (widths.len() - 1));
    let rows = rows.iter().map(|row| line(row));
    [line(&head), rule].into_iter().chain(rows).collect::<Vec<_>>().join("\n")
}

/// A bar on standard error; nothing at all where that is not a terminal.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(runs: u64, label: &str) -> Bar {
        let target = match io::stderr().is_terminal() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(runs), target);
        let style = ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} {msg} {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(label.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Bar(bar)
    }

    /// So many runs are done.
    pub(crate) fn reach(&self, done: u64) {
        self.0.set_position(done);
    }

    pub(crate) fn follow(&self, progress: Progress<'_>) {
        match progress {
            Progress::Starts { round: 0, engine } => self.0.set_message(format!("{engine}, once")),
            Progress::Starts { engine, .. } => self.0.set_message(engine.to_string()),
            Progress::Ended(_) => self.0.inc(1),
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["memmap2".to_owned(), "1.5".to_owned()]];
        assert_eq!(table(&["a", "GB/s"], &rows), "a        GB/s\n-------------\nmemmap2   1.5");
    }
}
