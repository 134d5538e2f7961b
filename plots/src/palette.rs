//! Every colour, once. Series take the colour-blind-safe set of Okabe and Ito.
//!
//! Source: Okabe and Ito, "Color Universal Design" (2008). Their black is a dark grey here, and
//! their yellow comes last: it is faint on a light background. The heat map's colours are those of
//! cividis (Nunez, Anderton, Renslow 2018), which reads the same with every kind of colour vision.

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

pub(crate) const BLUE: RGBColor = RGBColor(0, 114, 178);
pub(crate) const GREY: RGBColor = RGBColor(153, 153, 153);
pub(crate) const ORANGE: RGBColor = RGBColor(230, 159, 0);
pub(crate) const GREEN: RGBColor = RGBColor(0, 158, 115);
pub(crate) const SKY: RGBColor = RGBColor(86, 180, 233);
pub(crate) const PURPLE: RGBColor = RGBColor(204, 121, 167);
pub(crate) const VERMILION: RGBColor = RGBColor(213, 94, 0);
pub(crate) const DARK: RGBColor = RGBColor(105, 105, 105);
pub(crate) const YELLOW: RGBColor = RGBColor(240, 228, 66);

/// The colours of series, in the order in which unknown names take them.
pub(crate) const SERIES: [RGBColor; 9] =
    [VERMILION, GREEN, PURPLE, SKY, ORANGE, DARK, BLUE, GREY, YELLOW];

/// What a dark page makes of the colours that would not be seen on it.
const ON_DARK: [(RGBColor, &str); 6] = [
    (PAPER, "#16181d"),
    (INK, "#e6e6e6"),
    (QUIET, "#a8adb5"),
    (GRID, "#363a42"),
    (DARK, "#5f6672"),
    (BLUE, "#1a7cc0"),
];

/// One colour for each name, in their order. A name that has a colour of its own has the same one
/// in every figure; the others take what is left, and begin anew when nothing is.
pub(crate) fn colors(names: &[&str]) -> Vec<RGBColor> {
    let own: Vec<_> = names.iter().map(|name| own_color(name)).collect();
    let left: Vec<_> = SERIES.into_iter().filter(|color| !own.contains(&Some(*color))).collect();
    let mut left = if left.is_empty() { SERIES.to_vec() } else { left }.into_iter().cycle();
    own.iter().filter_map(|color| color.or_else(|| left.next())).collect()
}

/// [`colors`], where each must be told from every other by its colour alone.
///
/// # Errors
/// [`Error::TooMany`] when there are more names than colours.
pub(crate) fn distinct(what: &'static str, names: &[&str]) -> Result<Vec<RGBColor>, Error> {
    if names.len() > SERIES.len() {
        return Err(Error::TooMany { what, count: names.len(), most: SERIES.len() });
    }
    Ok(colors(names))
}

fn own_color(name: &str) -> Option<RGBColor> {
    Some(match name {
        "mmap" | "adaptive" => BLUE,
        "memmap2" | "off" => GREY,
        "read" => ORANGE,
        "reader" => GREEN,
        "mmap+guard" => SKY,
        "paged" => PURPLE,
        "direct" | "oracle" => DARK,
        _ => return None,
    })
}

/// As people write a colour in a style sheet.
pub(crate) fn hex(color: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", color.0, color.1, color.2)
}

/// A style sheet for an SVG: the same figure on a dark page.
pub(crate) fn dark_style() -> String {
    let rule = |(light, dark): (RGBColor, &str)| {
        let light = hex(light);
        format!("[fill=\"{light}\"]{{fill:{dark}}}[stroke=\"{light}\"]{{stroke:{dark}}}")
    };
    let rules: String = ON_DARK.into_iter().map(rule).collect();
    format!("<style>@media (prefers-color-scheme:dark){{{rules}}}</style>\n")
}

/// The colour of a share from 0 (dark) to 1 (light): cividis, between its published points.
pub(crate) fn heat(share: f64) -> RGBColor {
    const POINTS: [(f64, f64, f64); 6] = [
        (0.0, 32.0, 76.0),
        (49.0, 68.0, 107.0),
        (102.0, 105.0, 112.0),
        (149.0, 143.0, 120.0),
        (203.0, 186.0, 105.0),
        (255.0, 233.0, 69.0),
    ];
    let at = share.clamp(0.0, 1.0) * (POINTS.len() - 1) as f64;
    let low = (at.floor() as usize).min(POINTS.len() - 2);
    let part = at - low as f64;
    let mix = |a: f64, b: f64| (a + (b - a) * part).round() as u8;
    let (a, b) = (POINTS[low], POINTS[low + 1]);
    RGBColor(mix(a.0, b.0), mix(a.1, b.1), mix(a.2, b.2))
}

/// White or black, whichever is read better on `color`. Neither changes on a dark page.
pub(crate) fn text_on(color: RGBColor) -> RGBColor {
    let bright =
        0.299 * f64::from(color.0) + 0.587 * f64::from(color.1) + 0.114 * f64::from(color.2);
    if bright > 128.0 { RGBColor(1, 1, 1) } else { RGBColor(254, 254, 254) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_gets_a_colour_of_its_own() {
        let engines = ["x", "mmap", "y", "memmap2", "read", "reader", "paged", "direct", "z"];
        let colors = distinct("engines", &engines).unwrap();
        assert_eq!(colors.len(), engines.len());
        for (i, color) in colors.iter().enumerate() {
            assert!(!colors[..i].contains(color), "{} shares its colour", engines[i]);
        }
        assert_eq!(colors[1], BLUE);
        assert!(matches!(distinct("e", &["e"; 10]), Err(Error::TooMany { count: 10, .. })));
        assert_eq!(super::colors(&["e"; 30]).len(), 30);
    }

    #[test]
    fn heat_grows_lighter_all_the_way() {
        let bright = |share| {
            let RGBColor(r, g, b) = heat(share);
            299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b)
        };
        let all: Vec<_> = (0..=100).map(|i| bright(f64::from(i) / 100.0)).collect();
        assert!(all.is_sorted(), "{all:?}");
        assert_eq!((heat(-1.0), heat(f64::INFINITY)), (heat(0.0), heat(1.0)));
    }

    #[test]
    fn a_dark_page_gets_other_ink() {
        let style = dark_style();
        assert!(style.contains("[fill=\"#222222\"]{fill:#e6e6e6}"), "{style}");
    }
}
