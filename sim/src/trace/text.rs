//! The text format of committed traces; [`Trace::parse`] describes it.

use std::cmp::Ordering;

use mmap_ahead::page::{Nanos, PageCount, PageIndex};

use super::{Touch, Trace};
use crate::Error;

const HEADER: &str = "mmap-ahead-trace 1";
/// The largest file: 64 GiB in pages of 4 KiB. The simulator keeps a record for each page.
const PAGES_MAX: u64 = 1 << 24; // guess
/// The most touches: a short line can ask for many.
const TOUCHES_MAX: usize = 1 << 22; // guess

pub(super) fn parse(name: &str, text: &str) -> Result<Trace, Error> {
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !meant(line).is_empty());
    let at = |number| move |what| Error::Trace { line: number, what };
    let (number, header) = lines.next().unwrap_or((1, "nothing"));
    let mut walk = Walk::of(header).map_err(at(number))?;
    let mut touches = Vec::new();
    let mut last = number;
    for (number, line) in lines {
        last = number;
        walk.line(line).map_err(at(number))?;
        let room = TOUCHES_MAX - touches.len();
        touches.extend(walk.by_ref().take(room + 1));
        if touches.len() > TOUCHES_MAX {
            return Err(at(number)(format!("more than {TOUCHES_MAX} touches")));
        }
    }
    let pages = walk.pages().map_err(at(last))?;
    Ok(Trace { name: name.into(), pages: PageCount(pages), touches })
}

/// A line without its remark.
fn meant(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
}

fn page_count(line: &str) -> Result<u64, String> {
    let count = line.strip_prefix("pages ");
    let count = number(count.ok_or_else(|| format!("expected `pages N`, found `{line}`"))?)?;
    if count == 0 || count > PAGES_MAX {
        return Err(format!("{count} pages: expected 1 to {PAGES_MAX}"));
    }
    Ok(count)
}

/// The touches of the lines, as an iterator: those of one line at a time.
#[derive(Debug)]
pub(super) struct Walk {
    /// None until the line that says it.
    pages: Option<u64>,
    think: Nanos,
    /// Which page is next, and which is the last; none when the line is done.
    rest: Option<(u64, u64)>,
}

impl Walk {
    /// By the first line that is not a remark.
    pub(super) fn of(header: &str) -> Result<Walk, String> {
        match meant(header) {
            HEADER => Ok(Walk { pages: None, think: Nanos(0), rest: None }),
            header => Err(format!("expected `{HEADER}`, found `{header}`")),
        }
    }

    /// How many pages the file has.
    pub(super) fn pages(&self) -> Result<u64, String> {
        self.pages.map_or_else(|| page_count("nothing"), Ok)
    }

    /// Takes a line in; its touches come next.
    pub(super) fn line(&mut self, line: &str) -> Result<(), String> {
        let line = meant(line);
        if line.is_empty() {
            return Ok(());
        }
        if self.pages.is_none() {
            self.pages = Some(page_count(line)?);
            return Ok(());
        }
        if let Some(think) = line.strip_prefix("think_ns ") {
            self.think = Nanos(number(think)?);
            return Ok(());
        }
        let (first, last) = match line.split_once("..") {
            None => (number(line)?, number(line)?),
            Some((from, to)) => {
                // From `from` up or down to the page before `to`.
                let (from, to) = (number(from)?, number(to)?);
                match from.cmp(&to) {
                    Ordering::Less => (from, to - 1),
                    Ordering::Greater => (from, to + 1),
                    Ordering::Equal => return Err(format!("{from}..{to} is no page")),
                }
            }
        };
        self.check(first.max(last))?;
        self.rest = Some((first, last));
        Ok(())
    }

    fn check(&self, page: u64) -> Result<(), String> {
        let pages = self.pages()?;
        if page < pages { Ok(()) } else { Err(format!("page {page} is not below `pages {pages}`")) }
    }
}

impl Iterator for Walk {
    type Item = Touch;

    fn next(&mut self) -> Option<Touch> {
        let (page, last) = self.rest?;
        self.rest = match page.cmp(&last) {
            Ordering::Less => Some((page + 1, last)),
            Ordering::Greater => Some((page - 1, last)),
            Ordering::Equal => None,
        };
        Some(Touch { page: PageIndex(page), think: self.think })
    }
}

fn number(text: &str) -> Result<u64, String> {
    let text = text.trim();
    text.parse().map_err(|_| format!("`{text}` is not a whole number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touched(body: &str) -> Vec<(u64, u64)> {
        let trace = parse("t", &format!("{HEADER}\npages 100\n{body}")).unwrap();
        trace.touches().iter().map(|touch| (touch.page.0, touch.think.0)).collect()
    }

    #[test]
    fn pages_walks_and_thinking_times_are_read() {
        assert_eq!(touched("5\n\n  7 # a remark\n"), [(5, 0), (7, 0)]);
        assert_eq!(
            touched("think_ns 9\n97..100\n3..1"),
            [(97, 9), (98, 9), (99, 9), (3, 9), (2, 9)]
        );
        assert_eq!(touched("# nothing\n"), []);
    }

    fn refused(text: &str) -> String {
        parse("t", text).unwrap_err().to_string()
    }

    #[test]
    fn mistakes_name_their_line() {
        let body = |line: &str| refused(&format!("# remark\n{HEADER}\npages 100\n1\n{line}\n"));
        assert_eq!(refused(""), "line 1: expected `mmap-ahead-trace 1`, found `nothing`");
        assert_eq!(refused("\n\nx"), "line 3: expected `mmap-ahead-trace 1`, found `x`");
        assert_eq!(refused(HEADER), "line 1: expected `pages N`, found `nothing`");
        assert_eq!(refused(&format!("{HEADER}\n7")), "line 2: expected `pages N`, found `7`");
        assert!(refused(&format!("{HEADER}\npages 0")).starts_with("line 2: 0 pages"));
        assert!(refused(&format!("{HEADER}\npages 99999999999")).starts_with("line 2: 99"));
        assert_eq!(body("100"), "line 5: page 100 is not below `pages 100`");
        assert_eq!(
            body("0..18446744073709551615").split(" is").next(),
            Some("line 5: page 18446744073709551614")
        );
        assert_eq!(body("4..4"), "line 5: 4..4 is no page");
        assert_eq!(body("-1"), "line 5: `-1` is not a whole number");
        assert_eq!(body("1..x"), "line 5: `x` is not a whole number");
        assert_eq!(body("pages 7"), "line 5: `pages 7` is not a whole number");
    }

    #[test]
    fn a_short_file_cannot_ask_for_endless_touches() {
        let walks = "0..4194304\n".repeat(2);
        let error = refused(&format!("{HEADER}\npages 16777216\n{walks}"));
        assert_eq!(error, "line 4: more than 4194304 touches");
    }
}
