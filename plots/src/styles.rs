//! How the curves of engines are told apart: each by a colour and a dash of its own.

use plotters::style::RGBColor;

use crate::Error;
use crate::palette;
use crate::scene::Dash;
use crate::sheet::{Entry, Mark};

/// The styles of the engines of one figure.
pub(crate) struct Styles<'a> {
    engines: Vec<&'a str>,
    colors: Vec<RGBColor>,
}

impl<'a> Styles<'a> {
    /// For `engines`, each named once.
    ///
    /// # Errors
    /// When there are more than can be told apart.
    pub(crate) fn new(engines: Vec<&'a str>) -> Result<Styles<'a>, Error> {
        let colors = palette::distinct("engines", &engines)?;
        Ok(Styles { engines, colors })
    }

    /// That of `engine`.
    pub(crate) fn of(&self, engine: &str) -> (RGBColor, Dash) {
        let index = self.engines.iter().position(|name| *name == engine).unwrap_or(0);
        (self.colors[index], Dash::nth(index))
    }

    /// What the legend says of them.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let entry = |name: &&str| {
            let (color, dash) = self.of(name);
            Entry { name: (*name).to_owned(), color, mark: Mark::Line(dash) }
        };
        self.engines.iter().map(entry).collect()
    }
}
