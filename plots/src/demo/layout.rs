//! Where everything of the demo's figure goes, in pixels.

use super::{Bar, Data, Group};
use crate::Error;
use crate::axis::{self, Axis};
use crate::palette;
use crate::scene::{Align, Block, Label, Line, Scene};
use crate::text::{self, Size, Weight};

const TITLE: &str = "How fast a file is read";
const SUBTITLE: &str = "Median throughput in GB/s: higher is better. Whiskers: 95% interval of the \
                        median. 1.50\u{d7} means: mmap is 1.5 times as fast as memmap2 there.";
const OWN_SCALES: &str = "Each panel has its own scale.";
const UNIT: &str = "GB/s";

/// Pixels between the figure's edge and anything in it.
const MARGIN: i32 = 32;
/// For the tick labels at the left of a panel.
const AXIS_WIDTH: i32 = 70;
const PLOT_HEIGHT: i32 = 380;
/// The space between two groups.
const GROUP_GAP: i32 = 44;
/// What a group's label needs to wrap well.
const GROUP_WIDTH_MIN: i32 = 150;
const SLOT_MIN: i32 = 64;
const SLOT_MAX: i32 = 100;
/// The figure is at least this wide: it is made for a page about 900 pixels wide.
const FIGURE_WIDTH_MIN: i32 = 1000;
/// The part of a bar's slot that is filled.
const BAR_FILL: f64 = 0.86;
/// Neighbouring groups share a scale while none is this many times as high as another.
const PANEL_RATIO_MAX: f64 = 4.0;

/// Neighbouring groups on one scale.
struct Panel<'a> {
    groups: &'a [Group<'a>],
    axis: Axis,
}

/// Widths that the data decides.
struct Grid {
    slot: i32,
    gap: i32,
    width: i32,
}

/// The plot's left edge, and its upper and lower edge in pixels.
#[derive(Clone, Copy)]
struct Frame {
    left: i32,
    top: i32,
    bottom: i32,
}

impl Frame {
    fn y_of(self, value: f64, axis: Axis) -> i32 {
        let height = f64::from(self.bottom - self.top);
        self.bottom - (value / axis.end() * height).round() as i32
    }
}

pub(super) fn figure(data: &Data<'_>, caption: &str) -> Result<Scene, Error> {
    let panels = panels(&data.groups);
    let grid = Grid::new(data, panels.len())?;
    let mut scene = Scene { width: grid.width, ..Scene::default() };
    let mut y = header(&mut scene, panels.len())?;
    y = legend(&mut scene, data, y)?;
    let top = y + Size::Small.line() + 2 * Size::Label.line();
    let mut frame = Frame { left: MARGIN, top, bottom: top + PLOT_HEIGHT };
    y = frame.bottom;
    for panel in &panels {
        y = y.max(draw_panel(&mut scene, data, panel, &grid, frame)?);
        frame.left += grid.panel_width(panel.groups);
    }
    y += Size::Label.line() / 2;
    y = paragraph(&mut scene, caption, y)?;
    scene.height = y + MARGIN / 2;
    Ok(scene)
}

/// Groups side by side share a panel while their heights are comparable.
fn panels<'a>(groups: &'a [Group<'a>]) -> Vec<Panel<'a>> {
    let mut panels = Vec::new();
    let mut rest = groups;
    while let Some(first) = rest.first() {
        let (mut low, mut high) = (first.most(), first.most());
        let fits = |group: &&Group<'_>| {
            (low, high) = (low.min(group.most()), high.max(group.most()));
            high <= low * PANEL_RATIO_MAX
        };
        let count = rest.iter().take_while(fits).count();
        let (groups, others) = rest.split_at(count);
        let most = groups.iter().map(Group::most).fold(0.0, f64::max);
        panels.push(Panel { groups, axis: Axis::to(most) });
        rest = others;
    }
    panels
}

impl Grid {
    fn new(data: &Data<'_>, panels: usize) -> Result<Grid, Error> {
        let bars: usize = data.groups.iter().map(|group| group.bars.len()).sum();
        let mut slot_min = SLOT_MIN;
        for (group, bar) in data.groups.iter().flat_map(|g| g.bars.iter().map(move |b| (g, b))) {
            for (text, weight) in bar_texts(group, bar) {
                slot_min = slot_min.max(text::width(&text, Size::Label, weight)? + 8);
            }
        }
        let mut grid = Grid { slot: slot_min, gap: GROUP_GAP, width: 0 };
        let groups = data.groups.len() as i32;
        let fixed = 2 * MARGIN + AXIS_WIDTH * panels as i32 + GROUP_GAP * groups;
        let even = (FIGURE_WIDTH_MIN - fixed) / bars as i32;
        grid.slot = even.clamp(slot_min, SLOT_MAX.max(slot_min));
        let used = fixed - GROUP_GAP * groups + grid.groups_width(&data.groups);
        grid.gap += ((FIGURE_WIDTH_MIN - used) / groups).max(0);
        grid.width = used.max(FIGURE_WIDTH_MIN);
        Ok(grid)
    }

    fn group_width(&self, group: &Group<'_>) -> i32 {
        GROUP_WIDTH_MIN.max(self.slot * group.bars.len() as i32)
    }

    fn groups_width(&self, groups: &[Group<'_>]) -> i32 {
        groups.iter().map(|group| self.group_width(group) + self.gap).sum()
    }

    fn panel_width(&self, groups: &[Group<'_>]) -> i32 {
        AXIS_WIDTH + self.groups_width(groups)
    }
}

/// What stands above a bar, from the bar up.
fn bar_texts(group: &Group<'_>, bar: &Bar) -> Vec<(String, Weight)> {
    let value = (axis::three_digits(bar.gb_per_s), Weight::Normal);
    let ratio = group
        .ratio(bar)
        .map(|ratio| (format!("{}\u{d7}", axis::three_digits(ratio)), Weight::Bold));
    std::iter::once(value).chain(ratio).collect()
}

/// Title and subtitle; the next free row.
fn header(scene: &mut Scene, panels: usize) -> Result<i32, Error> {
    let baseline = MARGIN + Size::Title.px() as i32;
    scene.labels.push(Label {
        text: TITLE.into(),
        x: MARGIN,
        baseline,
        align: Align::Left,
        size: Size::Title,
        weight: Weight::Bold,
        color: palette::INK,
    });
    let own = if panels > 1 { OWN_SCALES } else { "" };
    paragraph(scene, &format!("{SUBTITLE} {own}"), baseline + 10)
}

/// Small wrapped text over the whole width; the next free row.
fn paragraph(scene: &mut Scene, text: &str, top: i32) -> Result<i32, Error> {
    let size = Size::Small;
    let mut y = top;
    for text in text::wrap(text, size, scene.width - 2 * MARGIN)? {
        y += size.line();
        scene.labels.push(Label {
            text,
            x: MARGIN,
            baseline: y,
            align: Align::Left,
            size,
            weight: Weight::Normal,
            color: palette::QUIET,
        });
    }
    Ok(y + size.line() / 3)
}

/// Colour samples and engine names in rows of their own; the next free row.
fn legend(scene: &mut Scene, data: &Data<'_>, top: i32) -> Result<i32, Error> {
    const SWATCH: i32 = 20;
    const GAP: i32 = 28;
    let most = scene.width - 2 * MARGIN - SWATCH - 8;
    let (mut x, mut bottom) = (MARGIN, top + 12 + SWATCH);
    for (engine, color) in &data.engines {
        let text = text::wrap(engine, Size::Label, most)?.swap_remove(0);
        let width = text::width(&text, Size::Label, Weight::Normal)?;
        if x > MARGIN && x + SWATCH + 8 + width > scene.width - MARGIN {
            (x, bottom) = (MARGIN, bottom + Size::Label.line() + 6);
        }
        scene.swatches.push(Block {
            left: x,
            top: bottom - SWATCH,
            right: x + SWATCH,
            bottom,
            color: *color,
        });
        x += SWATCH + 8;
        scene.labels.push(label(text, (x, bottom - 3), Align::Left, Weight::Normal));
        x += width + GAP;
    }
    Ok(bottom + 10)
}

/// An axis and its groups; the first row below their labels.
fn draw_panel(
    scene: &mut Scene,
    data: &Data<'_>,
    panel: &Panel<'_>,
    grid: &Grid,
    frame: Frame,
) -> Result<i32, Error> {
    let right = frame.left + grid.panel_width(panel.groups) - grid.gap / 4;
    draw_axis(scene, panel.axis, frame, right);
    let (mut x, mut y) = (frame.left + AXIS_WIDTH + grid.gap / 2, frame.bottom);
    for group in panel.groups {
        let width = grid.group_width(group);
        let mut left = x + (width - grid.slot * group.bars.len() as i32) / 2;
        for bar in &group.bars {
            draw_bar(scene, (data, group, bar), panel.axis, frame, (left, grid.slot));
            left += grid.slot;
        }
        let center = x + width / 2;
        y = y.max(draw_group_name(scene, group, (center, frame.bottom), width + grid.gap - 16)?);
        x += width + grid.gap;
    }
    Ok(y)
}

fn draw_axis(scene: &mut Scene, axis: Axis, frame: Frame, right: i32) {
    let left = frame.left + AXIS_WIDTH;
    let quiet = |text: String, baseline| Label {
        size: Size::Small,
        color: palette::QUIET,
        ..label(text, (left - 10, baseline), Align::Right, Weight::Normal)
    };
    for (value, text) in axis.ticks() {
        let y = frame.y_of(value, axis);
        let color = if value == 0.0 { palette::QUIET } else { palette::GRID };
        scene.grid.push(Line { from: (left, y), to: (right, y), color, width: 1 });
        scene.labels.push(quiet(text, y + 6));
    }
    scene.labels.push(quiet(UNIT.into(), frame.top - Size::Small.line() + 2));
}

/// A bar in its slot (left edge and width), its whisker, and its texts above both.
fn draw_bar(
    scene: &mut Scene,
    (data, group, bar): (&Data<'_>, &Group<'_>, &Bar),
    axis: Axis,
    frame: Frame,
    (left, slot): (i32, i32),
) {
    let fill = (f64::from(slot) * BAR_FILL) as i32;
    let left = left + (slot - fill) / 2;
    let (center, color) = (left + fill / 2, data.color(bar));
    // Something to see even where the value is next to nothing.
    let top = frame.y_of(bar.gb_per_s, axis).min(frame.bottom - 1);
    let (right, bottom) = (left + fill, frame.bottom);
    scene.bars.push(Block { left, top, right, bottom, color });
    let (low, high) = (frame.y_of(bar.low, axis), frame.y_of(bar.high, axis));
    if bar.low < bar.high {
        draw_whisker(scene, center, low, high);
    }
    let mut baseline = top.min(high) - 9;
    for (text, weight) in bar_texts(group, bar) {
        let ink = if weight == Weight::Bold { color } else { palette::INK };
        let label = label(text, (center, baseline), Align::Center, weight);
        scene.labels.push(Label { color: ink, ..label });
        baseline -= Size::Label.line();
    }
}

fn draw_whisker(scene: &mut Scene, x: i32, low: i32, high: i32) {
    const CAP: i32 = 7;
    for (from, to) in [
        ((x, low), (x, high)),
        ((x - CAP, low), (x + CAP, low)),
        ((x - CAP, high), (x + CAP, high)),
    ] {
        scene.whiskers.push(Line { from, to, color: palette::INK, width: 2 });
    }
}

/// A group's name in lines under its bars; the first row below it.
fn draw_group_name(
    scene: &mut Scene,
    group: &Group<'_>,
    (center, top): (i32, i32),
    most: i32,
) -> Result<i32, Error> {
    let mut y = top + 6;
    for text in text::wrap(group.name, Size::Label, most)? {
        y += Size::Label.line();
        scene.labels.push(label(text, (center, y), Align::Center, Weight::Normal));
    }
    Ok(y)
}

fn label(text: String, (x, baseline): (i32, i32), align: Align, weight: Weight) -> Label {
    Label { text, x, baseline, align, size: Size::Label, weight, color: palette::INK }
}
