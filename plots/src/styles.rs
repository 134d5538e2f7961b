//! How the series of a figure are told apart: each by a colour, and a dash or a shape besides.

use plotters::style::RGBColor;

use crate::Error;
use crate::palette;
use crate::scene::{Dash, Shape};
use crate::sheet::{Entry, Mark};

/// How many dashes and shapes there are.
const KINDS: usize = 4;

/// As many series as can be told apart: by nine colours, each with every dash.
const SERIES_MOST: usize = palette::SERIES.len() * KINDS;

/// The style of one series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Style {
    pub(crate) color: RGBColor,
    pub(crate) dash: Dash,
    pub(crate) shape: Shape,
}

/// The styles of the series of one figure.
pub(crate) struct Styles<'a> {
    names: Vec<&'a str>,
    styles: Vec<Style>,
}

impl<'a> Styles<'a> {
    /// For `names`, each named once; `what` they are.
    ///
    /// # Errors
    /// When there are more than can be told apart.
    pub(crate) fn new(what: &'static str, names: Vec<&'a str>) -> Result<Styles<'a>, Error> {
        if names.len() > SERIES_MOST {
            return Err(Error::TooMany { what, count: names.len(), most: SERIES_MOST });
        }
        let mut styles: Vec<Style> = Vec::new();
        for (index, color) in palette::colors(&names).into_iter().enumerate() {
            let style = |color, kind| {
                let (dash, shape) = (Dash::nth(kind), Shape::nth(kind));
                Style { color, dash, shape }
            };
            // A colour that comes again comes with another dash, while there is one.
            let colors = [color].into_iter().chain(palette::SERIES);
            let mut all =
                colors.flat_map(|color| (0..KINDS).map(move |kind| (color, index + kind)));
            let new = all.find(|(color, kind)| !styles.contains(&style(*color, *kind)));
            let (color, kind) = new.unwrap_or((color, index));
            styles.push(style(color, kind));
        }
        Ok(Styles { names, styles })
    }

    /// That of a series.
    pub(crate) fn of(&self, name: &str) -> Style {
        let index = self.names.iter().position(|other| *other == name).unwrap_or(0);
        self.styles[index]
    }

    /// What the legend says of curves.
    pub(crate) fn lines(&self) -> Vec<Entry> {
        self.entries(|style| Mark::Line(style.dash))
    }

    /// What it says of dots.
    pub(crate) fn dots(&self) -> Vec<Entry> {
        self.entries(|style| Mark::Dot(style.shape))
    }

    fn entries(&self, mark: impl Fn(&Style) -> Mark) -> Vec<Entry> {
        let entry = |(name, style): (&&str, &Style)| Entry {
            name: (*name).to_owned(),
            color: style.color,
            mark: mark(style),
        };
        self.names.iter().zip(&self.styles).map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_series_than_colours_are_still_told_apart() {
        let names: Vec<String> = (0..30).map(|i| format!("engine-{i}")).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        names.extend(["mmap", "memmap2"]);
        let styles = Styles::new("engines", names.clone()).unwrap();
        for (i, name) in names.iter().enumerate() {
            let same = names[..i].iter().find(|other| styles.of(other) == styles.of(name));
            assert!(same.is_none(), "{name} looks like {same:?}");
        }
        assert_eq!(styles.of("mmap").color, palette::BLUE);
        let many = vec!["x"; SERIES_MOST + 1];
        assert!(matches!(Styles::new("e", many), Err(Error::TooMany { count: 37, .. })));
    }
}
