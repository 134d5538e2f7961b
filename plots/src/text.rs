//! The font, the sizes of all text, measuring and wrapping.

use std::sync::OnceLock;

use plotters::style::{FontFamily, FontStyle, IntoFont, register_font};

use crate::Error;

/// What an SVG asks for, best first. The first two have the same widths; any other sans-serif is
/// narrower, so what was measured with the first still fits.
pub(crate) const FAMILY: &str = "DejaVu Sans, Verdana, sans-serif";

/// Ascent and descent of the font over its em (1901 + 483 over 2048, from its `hhea` table):
/// plotters' bitmap text takes the former for the size, people mean the latter.
pub(crate) const LINE_PER_EM: f64 = 2384.0 / 2048.0;

/// Sizes of text: the em in pixels. All figures take theirs from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// The figure's title.
    Title,
    /// What is read with the data: values, group and legend labels.
    Label,
    /// Ticks, subtitle, caption.
    Small,
}

impl Size {
    pub(crate) fn px(self) -> f64 {
        match self {
            Size::Title => 24.0,
            Size::Label => 16.0,
            Size::Small => 14.0,
        }
    }

    /// From one line's baseline to the next.
    pub(crate) fn line(self) -> i32 {
        (self.px() * 1.35).round() as i32
    }
}

/// How heavy a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Normal,
    Bold,
}

impl Weight {
    pub(crate) fn style(self) -> FontStyle {
        match self {
            Weight::Normal => FontStyle::Normal,
            Weight::Bold => FontStyle::Bold,
        }
    }
}

/// Hands the font to plotters, once for the process.
pub(crate) fn register() -> Result<(), Error> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let good = *DONE.get_or_init(|| {
        register_font(FAMILY, FontStyle::Normal, dejavu::sans::regular()).is_ok()
            && register_font(FAMILY, FontStyle::Bold, dejavu::sans::bold()).is_ok()
    });
    good.then_some(()).ok_or_else(|| Error::Paint { what: "the built-in font is damaged".into() })
}

/// The width of `text` in pixels, rounded up.
pub(crate) fn width(text: &str, size: Size, weight: Weight) -> Result<i32, Error> {
    register()?;
    let font = (FontFamily::Name(FAMILY), size.px() * LINE_PER_EM, weight.style()).into_font();
    let layout = font.layout_box(text).map_err(|e| Error::Paint { what: e.to_string() })?;
    Ok(layout.1.0 - layout.0.0 + 1)
}

/// `text` in lines of at most `most` pixels: broken at white space, and inside a word only where
/// the word alone is too wide. What no XML file may hold is shown as U+FFFD. At least one line.
pub(crate) fn wrap(
    text: &str,
    size: Size,
    weight: Weight,
    most: i32,
) -> Result<Vec<String>, Error> {
    let fits = |line: &str| Ok::<_, Error>(width(line, size, weight)? <= most);
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = printable(word);
        let line = lines.last_mut().expect("there is always a line");
        let longer = if line.is_empty() { word.clone() } else { format!("{line} {word}") };
        if fits(&longer)? {
            *line = longer;
            continue;
        }
        if !line.is_empty() {
            lines.push(String::new());
        }
        push_word(&mut lines, &word, fits)?;
    }
    Ok(lines)
}

/// Adds `word` to the empty last line, and as many lines more as it needs.
fn push_word(
    lines: &mut Vec<String>,
    word: &str,
    fits: impl Fn(&str) -> Result<bool, Error>,
) -> Result<(), Error> {
    for c in word.chars() {
        let line = lines.last_mut().expect("there is always a line");
        line.push(c);
        if line.chars().count() > 1 && !fits(line)? {
            line.pop();
            lines.push(c.to_string());
        }
    }
    Ok(())
}

/// `text` without what an XML file may not hold.
pub(crate) fn printable(text: &str) -> String {
    let bad = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
    text.chars().map(|c| if bad(c) { '\u{fffd}' } else { c }).collect()
}

/// [`printable`], and the breaks between lines stay.
pub(crate) fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_text_breaks_at_spaces_and_long_words_anywhere() {
        let text = "cold ext4, read-ahead 128 KiB";
        let most = 115;
        let lines = wrap(text, Size::Label, Weight::Normal, most).unwrap();
        assert!(lines.len() > 1, "{lines:?}");
        assert_eq!(lines.join(" "), text);
        let lines = wrap(&"m".repeat(40), Size::Label, Weight::Normal, most).unwrap();
        assert_eq!(lines.concat(), "m".repeat(40));
        for line in &lines {
            assert!(width(line, Size::Label, Weight::Normal).unwrap() <= most, "{line}");
        }
    }

    #[test]
    fn a_size_is_the_em_in_pixels() {
        // The advance of `m` in DejaVu Sans is 1995 of 2048 units.
        let wide = width(&"m".repeat(100), Size::Label, Weight::Normal).unwrap();
        let right = 100.0 * Size::Label.px() * 1995.0 / 2048.0;
        assert!((f64::from(wide) - right).abs() < 3.0, "{wide} is not {right}");
    }

    #[test]
    fn control_characters_never_reach_a_file() {
        assert_eq!(wrap("a\u{1}b\nc", Size::Small, Weight::Normal, 500).unwrap(), ["a\u{fffd}b c"]);
        assert_eq!(wrap("", Size::Small, Weight::Normal, 500).unwrap(), [""]);
    }
}
