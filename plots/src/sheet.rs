//! What every figure has: a title, words, a legend and a caption, from the top down.

use plotters::style::RGBColor;

use crate::Error;
use crate::palette;
use crate::scene::{Align, Block, Curve, Dash, Dot, Label, Scene, Shape};
use crate::text::{self, Size, Weight};

/// Pixels between the figure's edge and anything in it.
pub(crate) const MARGIN: i32 = 20;

/// How wide figures are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// For a page: 880 pixels.
    Wide,
    /// For a telephone held upright: 380 pixels, so that its text is hardly made smaller there.
    Narrow,
}

impl Width {
    pub(crate) fn px(self) -> i32 {
        match self {
            Width::Wide => 880,
            Width::Narrow => 380,
        }
    }
}

/// How the legend shows a series.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mark {
    Block,
    Line(Dash),
    Dot(Shape),
}

/// One entry of a legend.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) color: RGBColor,
    pub(crate) mark: Mark,
}

/// A figure that grows downwards.
pub(crate) struct Sheet {
    pub(crate) scene: Scene,
    /// The next free row.
    pub(crate) y: i32,
}

impl Sheet {
    /// A sheet with its title, and below it what the reader must know to read the figure.
    pub(crate) fn new(width: Width, title: &str, about: &str) -> Result<Sheet, Error> {
        let scene = Scene { width: width.px(), ..Scene::default() };
        let mut sheet = Sheet { scene, y: MARGIN - 6 };
        let bold = Label {
            size: Size::Title,
            weight: Weight::Bold,
            ..Label::new("", (0, 0), Align::Left)
        };
        sheet.lines(title, &bold)?;
        sheet.y += 2;
        sheet.paragraph(about)?;
        Ok(sheet)
    }

    pub(crate) fn left(&self) -> i32 {
        MARGIN
    }

    pub(crate) fn right(&self) -> i32 {
        self.scene.width - MARGIN
    }

    /// Small wrapped text over the whole width.
    pub(crate) fn paragraph(&mut self, text: &str) -> Result<(), Error> {
        self.lines(text, &Label::quiet("", (0, 0), Align::Left))
    }

    /// A bold line above a part of the figure.
    pub(crate) fn heading(&mut self, text: &str) -> Result<(), Error> {
        self.y += 8;
        let like = Label { weight: Weight::Bold, ..Label::new("", (0, 0), Align::Left) };
        self.lines(text, &like)
    }

    fn lines(&mut self, text: &str, like: &Label) -> Result<(), Error> {
        let most = self.right() - self.left();
        for text in text::wrap(text, like.size, like.weight, most)? {
            self.y += like.size.line();
            let (x, baseline) = (self.left(), self.y);
            self.scene.labels.push(Label { text, x, baseline, ..like.clone() });
        }
        self.y += like.size.line() / 4;
        Ok(())
    }

    /// Colour samples and names, in rows.
    pub(crate) fn legend(&mut self, entries: &[Entry]) -> Result<(), Error> {
        const GAP: i32 = 22;
        let width_of = |entry: &Entry| match entry.mark {
            Mark::Block | Mark::Dot(_) => 22,
            Mark::Line(_) => 33,
        };
        let (mut x, mut bottom) = (self.left(), self.y + 26);
        for entry in entries {
            let sample = width_of(entry);
            let most = self.right() - self.left() - sample - 8;
            let name = text::wrap(&entry.name, Size::Label, Weight::Normal, most)?.swap_remove(0);
            let width = text::width(&name, Size::Label, Weight::Normal)?;
            if x > self.left() && x + sample + 8 + width > self.right() {
                (x, bottom) = (self.left(), bottom + Size::Label.line() + 4);
            }
            self.sample(entry, x, bottom);
            x += sample + 8;
            self.scene.labels.push(Label::new(name, (x, bottom - 3), Align::Left));
            x += width + GAP;
        }
        self.y = bottom + 6;
        Ok(())
    }

    fn sample(&mut self, entry: &Entry, x: i32, bottom: i32) {
        let (color, middle) = (entry.color, bottom - 9);
        match entry.mark {
            Mark::Block => {
                let (left, top, right) = (x + 3, bottom - 17, x + 19);
                self.scene.swatches.push(Block { left, top, right, bottom: bottom - 1, color });
            }
            Mark::Line(dash) => {
                let points = vec![(x, middle), (x + dash.sample_length(), middle)];
                self.scene.curves.push(Curve { points, color, width: 3, dash });
            }
            Mark::Dot(shape) => self.scene.dots.push(Dot { at: (x + 11, middle), color, shape }),
        }
    }

    /// The figure, with the line that says where it comes from.
    pub(crate) fn finish(mut self, caption: &str) -> Result<Scene, Error> {
        self.y += 6;
        self.paragraph(caption)?;
        self.scene.height = self.y + MARGIN / 2;
        Ok(self.scene)
    }
}

/// A legend's entries: blocks of the names' colours.
pub(crate) fn blocks(names: &[&str], colors: &[RGBColor]) -> Vec<Entry> {
    let entry = |(name, color): (&&str, &RGBColor)| Entry {
        name: (*name).to_owned(),
        color: *color,
        mark: Mark::Block,
    };
    names.iter().zip(colors).map(entry).collect()
}

/// The entry of a line that is a limit.
pub(crate) fn limit_entry(name: &str) -> Entry {
    Entry { name: name.to_owned(), color: palette::INK, mark: Mark::Line(Dash::Short) }
}
