use super::*;
use crate::palette::PAPER;
use crate::scene::Align;

fn bar(group: &str, engine: &str, gb_per_s: f64) -> Bar {
    let (low, high) = (gb_per_s * 0.95, gb_per_s * 1.04);
    Bar { group: group.into(), engine: engine.into(), gb_per_s, low, high }
}

/// The demo as it is meant to be: cold and warm, disk and memory.
fn realistic() -> Vec<Bar> {
    let groups = [
        ("cold ext4, read-ahead 128 KiB", [1.16, 2.23, 1.31]),
        ("cold ext4, read-ahead 8192 KiB (default)", [1.62, 2.19, 1.74]),
        ("warm ext4", [19.8, 20.4, 11.2]),
        ("warm tmpfs", [17.9, 28.1, 10.9]),
    ];
    let engines = ["memmap2", "mmap", "read"];
    let one = |group, values: [f64; 3]| {
        engines.into_iter().zip(values).map(move |(engine, value)| bar(group, engine, value))
    };
    groups.into_iter().flat_map(|(group, values)| one(group, values)).collect()
}

const CAPTION: &str = "mmap-ahead demo, commit 0123abc, Linux 6.18, /dev/vda ext4, \
                       read_ahead_kb 128, 2 cores, 24 GiB, 1 GiB file, medians of 9 runs";

fn texts(scene: &Scene) -> Vec<&str> {
    scene.labels.iter().map(|label| label.text.as_str()).collect()
}

#[test]
fn a_figure_names_everything_it_shows() {
    let scene = scene(&realistic(), CAPTION).unwrap();
    assert_eq!(scene.bars.len(), 12);
    assert_eq!(scene.swatches.len(), 3, "one legend entry an engine");
    assert_eq!(scene.whiskers.len(), 12 * 3);
    let texts = texts(&scene);
    for text in ["GB/s", "memmap2", "mmap", "read", "warm tmpfs", "28.1", "1.57\u{d7}", "1.92×"] {
        assert!(texts.contains(&text), "`{text}` is missing from {texts:?}");
    }
    assert_eq!(texts.iter().filter(|text| text.ends_with('×')).count(), 4);
    assert_eq!(texts.iter().filter(|text| **text == "GB/s").count(), 2, "a unit for each scale");
    assert!(texts.join(" ").contains(CAPTION));
}

#[test]
fn bars_are_as_high_as_their_values() {
    let data = [bar("g", "a", 10.0), bar("g", "b", 5.0)];
    let scene = scene(&data, "").unwrap();
    let heights: Vec<_> = scene.bars.iter().map(|block| block.bottom - block.top).collect();
    assert!((heights[0] - 2 * heights[1]).abs() <= 1, "{heights:?}");
}

fn assert_nothing_overlaps(results: &[Bar], caption: &str) {
    let scene = scene(results, caption).unwrap();
    let mut boxes: Vec<_> = scene
        .labels
        .iter()
        .filter(|label| !label.text.is_empty())
        .map(|label| (label.text.clone(), label.bounds()))
        .collect();
    boxes.extend(
        scene.bars.iter().chain(&scene.swatches).map(|block| {
            (format!("{block:?}"), (block.left, block.top, block.right, block.bottom))
        }),
    );
    for (i, (name, a)) in boxes.iter().enumerate() {
        assert!(a.0 >= 0 && a.1 >= 0 && a.2 <= scene.width && a.3 <= scene.height, "{name} {a:?}");
        for (other, b) in &boxes[..i] {
            let apart = a.2 <= b.0 || b.2 <= a.0 || a.3 <= b.1 || b.3 <= a.1;
            assert!(apart, "`{name}` {a:?} lies over `{other}` {b:?}");
        }
    }
}

fn other_group(bar: Bar) -> Bar {
    Bar { group: "h".into(), ..bar }
}

#[test]
fn no_text_overlaps_another_or_leaves_the_figure() {
    assert_nothing_overlaps(&realistic(), CAPTION);
    assert_nothing_overlaps(&[bar("one", "mmap", 0.001_234)], "");
    let small = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|engine| bar("g", engine, 0.000_123));
    assert_nothing_overlaps(&[small.clone(), small.map(other_group)].concat(), "");
    let wide: Vec<_> = (0..60)
        .map(|i| {
            bar(&format!("group {} {}", i / 9, "word".repeat(i / 9)), "", 10f64.powi(i as i32 % 6))
        })
        .enumerate()
        .map(|(i, bar)| Bar { engine: format!("an engine with a long name {}", i % 9), ..bar })
        .collect();
    assert_nothing_overlaps(&wide, &"caption ".repeat(200));
}

#[test]
fn groups_far_apart_get_scales_of_their_own() {
    let units = |data: &[Bar]| {
        let scene = scene(data, "").unwrap();
        texts(&scene).iter().filter(|text| **text == "GB/s").count()
    };
    assert_eq!(units(&[bar("a", "x", 2.0), bar("b", "x", 7.0)]), 1);
    assert_eq!(units(&[bar("a", "x", 2.0), bar("b", "x", 20.0), bar("c", "x", 25.0)]), 2);
}

#[test]
fn the_svg_holds_the_scene() {
    let scene = scene(&realistic(), "a < b & \u{1}c").unwrap();
    let svg = scene.svg().unwrap();
    assert!(!svg.contains("NaN") && !svg.contains("inf"));
    assert_eq!(svg.matches("<text").count(), scene.labels.len());
    let page = 1;
    assert_eq!(svg.matches("<rect").count(), page + scene.bars.len() + scene.swatches.len());
    assert!(svg.contains("a &lt; b &amp; \u{fffd}c"));
    for label in ["GB/s", "memmap2", "warm tmpfs", "28.1"] {
        assert!(svg.contains(&format!(">\n{label}\n</text>")), "{label}");
    }
}

/// The colour of a pixel.
fn pixel(scene: &Scene, pixels: &[u8], x: i32, y: i32) -> RGBColor {
    let at = ((y * scene.width + x) * 3) as usize;
    RGBColor(pixels[at], pixels[at + 1], pixels[at + 2])
}

#[test]
fn the_pixels_show_the_scene() {
    let scene = scene(&realistic(), CAPTION).unwrap();
    let pixels = scene.pixels().unwrap();
    let base = scene.bars[0].bottom - 3;
    let row: Vec<_> = (0..scene.width).map(|x| pixel(&scene, &pixels, x, base)).collect();
    let series: Vec<_> = scene.bars.iter().map(|block| block.color).collect();
    let edges = row.windows(2).filter(|two| two[0] != two[1] && series.contains(&two[1]));
    assert_eq!(edges.count(), 12, "bars seen just above the base line");
    for label in &scene.labels {
        let (left, top, right, bottom) = label.bounds();
        let inked = (top..bottom)
            .flat_map(|y| (left..right).map(move |x| (x, y)))
            .filter(|(x, y)| pixel(&scene, &pixels, *x, *y) != PAPER)
            .count();
        assert!(inked > 10, "`{}` is not to be seen", label.text);
    }
}

#[test]
fn text_stands_on_its_baseline_in_the_bitmap() {
    let scene = scene(&realistic(), CAPTION).unwrap();
    let pixels = scene.pixels().unwrap();
    let title = scene.labels.iter().find(|label| label.align == Align::Left).unwrap();
    let (left, _, right, _) = title.bounds();
    let ink = |y| (left..right).filter(|x| pixel(&scene, &pixels, *x, y) != PAPER).count();
    assert!(ink(title.baseline - 2) > 20 && ink(title.baseline + 2) < 10, "{title:?}");
}

#[test]
fn damaged_input_is_refused_in_words() {
    let refused = |bar: Bar| scene(&[bar], "").unwrap_err().to_string();
    let good = bar("g", "e", 2.0);
    for value in [f64::NAN, f64::INFINITY, 0.0, -1.0, -0.0, 1e300, 1e-300] {
        assert!(refused(Bar { gb_per_s: value, ..good.clone() }).contains("median is"), "{value}");
        assert!(refused(Bar { low: value, ..good.clone() }).contains("low is"), "{value}");
        assert!(refused(Bar { high: value, ..good.clone() }).contains("high is"), "{value}");
    }
    let message = refused(Bar { low: 3.0, high: 4.0, ..good.clone() });
    assert_eq!(message, "result `e` in `g`: median 2 is outside its interval 3 to 4");
    assert!(matches!(scene(&[], ""), Err(Error::Empty)));
    let twice = scene(&[good.clone(), good.clone()], "").unwrap_err();
    assert_eq!(twice.to_string(), "result `e` in `g`: appears twice");
    let many: Vec<_> = (0..61).map(|i| bar(&i.to_string(), "e", 1.0)).collect();
    assert!(matches!(scene(&many, ""), Err(Error::TooMany { count: 61, .. })));
}

#[test]
fn both_files_are_written_and_only_for_good_data() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("not/yet");
    assert!(draw(&[], "", &out).is_err());
    assert!(!out.exists(), "nothing is written for bad data");
    draw(&realistic(), CAPTION, &out).unwrap();
    let png = std::fs::read(out.join("demo.png")).unwrap();
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    assert!(std::fs::read_to_string(out.join("demo.svg")).unwrap().ends_with("</svg>\n"));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = draw(&realistic(), "", &file.join("out")).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot write {}", file.display())), "{error}");
}

/// `MMAP_AHEAD_PLOTS_TRY=DIR cargo test -p mmap-ahead-plots` leaves the realistic figure in DIR.
#[test]
fn the_realistic_figure_can_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let out = std::env::var_os("MMAP_AHEAD_PLOTS_TRY");
    let out = out.as_deref().map_or(dir.path(), Path::new);
    draw(&realistic(), CAPTION, out).unwrap();
}
