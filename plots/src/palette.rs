//! Every colour, once. Series take the colour-blind-safe set of Okabe and Ito.
//!
//! Source: Okabe and Ito, "Color Universal Design" (2008). Their black is a dark grey here, and
//! their yellow comes last: it is faint on a light background.

use plotters::style::RGBColor;

use crate::Error;

/// The page under a figure: opaque, so that it reads the same on light and dark pages.
pub(crate) const PAPER: RGBColor = RGBColor(255, 255, 255);
/// Titles, values and whiskers.
pub(crate) const INK: RGBColor = RGBColor(34, 34, 34);
/// Ticks, captions: what is read second.
pub(crate) const QUIET: RGBColor = RGBColor(89, 89, 89);
/// Grid lines.
pub(crate) const GRID: RGBColor = RGBColor(222, 222, 222);

const BLUE: RGBColor = RGBColor(0, 114, 178);
const GREY: RGBColor = RGBColor(153, 153, 153);
const ORANGE: RGBColor = RGBColor(230, 159, 0);
const GREEN: RGBColor = RGBColor(0, 158, 115);
const SKY: RGBColor = RGBColor(86, 180, 233);
const PURPLE: RGBColor = RGBColor(204, 121, 167);
const VERMILION: RGBColor = RGBColor(213, 94, 0);
const DARK: RGBColor = RGBColor(68, 68, 68);
const YELLOW: RGBColor = RGBColor(240, 228, 66);

/// The colours of series, in the order in which unknown engines take them.
const SERIES: [RGBColor; 9] = [VERMILION, GREEN, PURPLE, SKY, ORANGE, DARK, BLUE, GREY, YELLOW];

/// One colour for each engine, in their order. An engine that has a colour of its own has the same
/// one in every figure; the others take what is left.
///
/// # Errors
/// [`Error::TooMany`] when there are more engines than colours.
pub(crate) fn assign(engines: &[&str]) -> Result<Vec<RGBColor>, Error> {
    if engines.len() > SERIES.len() {
        let (what, count) = ("engines", engines.len());
        return Err(Error::TooMany { what, count, most: SERIES.len() });
    }
    let own: Vec<_> = engines.iter().map(|engine| own_color(engine)).collect();
    let mut left = SERIES.into_iter().filter(|color| !own.contains(&Some(*color)));
    Ok(own.iter().filter_map(|color| color.or_else(|| left.next())).collect())
}

fn own_color(engine: &str) -> Option<RGBColor> {
    Some(match engine {
        "mmap" => BLUE,
        "memmap2" => GREY,
        "read" => ORANGE,
        "reader" => GREEN,
        "mmap+guard" => SKY,
        "paged" => PURPLE,
        "direct" => DARK,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_gets_a_colour_of_its_own() {
        let engines = ["x", "mmap", "y", "memmap2", "read", "reader", "paged", "direct", "z"];
        let colors = assign(&engines).unwrap();
        assert_eq!(colors.len(), engines.len());
        for (i, color) in colors.iter().enumerate() {
            assert!(!colors[..i].contains(color), "{} shares its colour", engines[i]);
        }
        assert_eq!(colors[1], BLUE);
        assert!(matches!(assign(&["e"; 10]), Err(Error::TooMany { count: 10, .. })));
    }
}
