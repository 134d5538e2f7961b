//! One HTML page that tells what was measured: to somebody who never heard of page faults, with
//! all figures inside it, and with nothing from anywhere else.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::results::Results;
use crate::{Drawing, Error, Width};

mod glossary;
mod table;
mod words;

pub use words::verdict;

/// The name of the page.
pub const FILE_NAME: &str = "index.html";

const STYLE: &str = include_str!("report/style.css");

/// What the page says besides what the results hold.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// The commands that make the same again, one a line.
    pub commands: Vec<String>,
    /// Files beside the page that it names, such as the results.
    pub files: Vec<String>,
    /// What was left out, and why.
    pub left_out: Vec<String>,
}

/// Writes [`FILE_NAME`] in `dir`, which is made when it is missing; gives its path.
///
/// # Errors
/// As [`html`]; [`Error::Write`].
pub fn write(
    results: &Results,
    drawings: &[Drawing],
    told: &Told,
    dir: &Path,
) -> Result<PathBuf, Error> {
    let path = dir.join(FILE_NAME);
    crate::write(&path, html(results, drawings, told)?.as_bytes())?;
    Ok(path)
}

/// The page.
///
/// # Errors
/// [`Error::Paint`].
pub fn html(results: &Results, drawings: &[Drawing], told: &Told) -> Result<String, Error> {
    let mut page = Page::default();
    page.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page.raw("<meta name=\"color-scheme\" content=\"light dark\">\n");
    page.raw(&format!("<title>{}</title>\n<style>\n{STYLE}</style>\n", words::TITLE));
    page.raw("</head>\n<body>\n<main>\n");
    page.element("h1", words::TITLE);
    page.raw(&format!("<p class=\"lead\">{}</p>\n", escape(&words::lead(results))));
    page.section("What this is about", words::ABOUT);
    measured(&mut page, results, told);
    if !drawings.is_empty() {
        page.element("h2", "The figures");
    }
    for drawing in drawings {
        figure(&mut page, drawing)?;
    }
    page.element("h2", "The machine");
    page.raw(&table::machine(results));
    again(&mut page, results, told);
    page.raw("</main>\n</body>\n</html>\n");
    Ok(page.0)
}

fn measured(page: &mut Page, results: &Results, told: &Told) {
    if results.runs.is_empty() {
        return;
    }
    page.section("What was measured", &[words::MEASURED]);
    page.definitions(&glossary::of_engines(results));
    page.section_text(&[words::HEADINGS]);
    page.definitions(&glossary::of_headings(results));
    let intervals = words::intervals(results);
    page.section_text(&[&intervals, words::TIMES]);
    page.raw(&table::speeds(results));
    let sentences = words::sentences(results);
    if !sentences.is_empty() {
        page.element("h3", "What that means");
        page.list(&sentences);
    }
    if !told.left_out.is_empty() {
        page.element("h3", "What was left out");
        page.list(&told.left_out);
    }
}

/// One figure, once for pages and once for telephones; the style sheet shows one of them.
fn figure(page: &mut Page, drawing: &Drawing) -> Result<(), Error> {
    let label = escape(drawing.title);
    page.raw(&format!("<figure id=\"{}\">\n", drawing.name));
    for (class, width) in [("wide", Width::Wide), ("narrow", Width::Narrow)] {
        let svg = drawing.svg(width)?;
        page.raw(&format!(
            "<div class=\"{class}\" role=\"img\" aria-label=\"{label}\">\n{svg}</div>\n"
        ));
    }
    page.element("figcaption", drawing.words);
    page.raw("</figure>\n");
    Ok(())
}

fn again(page: &mut Page, results: &Results, told: &Told) {
    page.element("h2", "The same again");
    if !told.commands.is_empty() {
        page.section_text(&[&words::again(results)]);
        page.element("pre", &told.commands.join("\n"));
    }
    if !told.files.is_empty() {
        let names = told.files.join(", ");
        page.element("p", &format!("Beside this page: {names}. Every number of it is there."));
    }
}

/// HTML that grows.
#[derive(Default)]
struct Page(String);

impl Page {
    fn raw(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn element(&mut self, name: &str, text: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "<{name}>{}</{name}>", escape(text));
    }

    fn section(&mut self, heading: &str, paragraphs: &[&str]) {
        self.element("h2", heading);
        self.section_text(paragraphs);
    }

    fn section_text(&mut self, paragraphs: &[&str]) {
        paragraphs.iter().for_each(|paragraph| self.element("p", paragraph));
    }

    fn definitions(&mut self, words: &[(String, &str)]) {
        self.raw("<dl>\n");
        for (word, said) in words {
            self.element("dt", word);
            self.element("dd", said);
        }
        self.raw("</dl>\n");
    }

    fn list(&mut self, items: &[String]) {
        self.raw("<ul>\n");
        items.iter().for_each(|item| self.element("li", item));
        self.raw("</ul>\n");
    }
}

/// `text` as HTML shows it.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in crate::text::printable_lines(text).chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests;
