//! The story, in words: what does not change, and what the results allow to say.

use crate::results::{Ratio, Results};

pub(super) const TITLE: &str = "Reading a file before it is asked for";

pub(super) const ABOUT: &[&str] = &[
    "A program that reads a file can copy it, piece by piece, into memory of its own. Or it can ask \
     the system to pretend that the file is memory already: that is a memory-mapped file. Nothing \
     is copied and the program's code stays simple. But the system brings the file in only when \
     the program first looks at a piece of it. The program runs into a wall, so to speak: it \
     stops, the system fetches the piece (4096 bytes, called a page), and the program goes on until \
     the next wall. Each such stop is a page fault.",
    "When the page lies on a disk, the program waits for the disk, and most of that wait is the way \
     there and back: disks are built to answer many questions at once, and a program that stops at \
     every page asks one at a time. When the page is in memory already (the system keeps \
     what was read lately: the page cache), the stop is short, but there are very many of them.",
    "mmap-ahead watches how the program walks through its file, guesses what it will look at next, \
     and has these pages fetched by a helper before the program comes there. The program itself is \
     not changed: it sees the same bytes, and it meets fewer walls.",
];

pub(super) const MEASURED: &[&str] = &[
    "One file was read from its beginning to its end, or in the order that the heading names, by \
     the same code through different doors, in turn and many times: memmap2 is plain memory \
     mapping as programs use it today; mmap is this project with nothing else changed; read is \
     copying into a buffer; direct is the most that the disk can give. Cold: nothing of the file \
     was in memory before. Warm: all of it was. All of them computed the same checksum.",
    "No two runs take the same time. The interval says how sure a number is: made in this way, 95 \
     of 100 intervals hold the true value. An interval that holds 1 means: these runs cannot tell \
     a difference.",
];

pub(super) const AGAIN: &[&str] = &["These commands, in the project's folder, measure it anew:"];

/// What it comes to, in one sentence.
pub(super) fn lead(results: &Results) -> String {
    let ours: Vec<&Ratio> = results.ratios.iter().filter(|ratio| ratio.engine == "mmap").collect();
    let best = ours.iter().max_by(|a, b| a.speedup_ci95[0].total_cmp(&b.speedup_ci95[0]));
    match best {
        Some(best) if best.speedup_ci95[0] > NOTICED => {
            let (times, where_) = (best.speedup_median, best.scenario());
            let rest =
                match ours.iter().filter(|ratio| ratio.speedup_ci95[1] < 1.0 / NOTICED).count() {
                    0 => "Nowhere here was it slower.".to_owned(),
                    1 => "In one case it was slower; it is below.".to_owned(),
                    slower => format!("In {slower} cases it was slower; they are below."),
                };
            format!(
                "On this machine, having a file read ahead made the same program {times:.2} times \
                 as fast where it helped most ({where_}). {rest}"
            )
        }
        Some(_) => "On this machine, in what was measured here, having a file read ahead made no \
                    difference that the runs are sure of."
            .to_owned(),
        None => "What came of reading one file in several ways.".to_owned(),
    }
}

/// A sentence for each ratio of our own mapping.
pub(super) fn sentences(results: &Results) -> Vec<String> {
    let ours = results.ratios.iter().filter(|ratio| ratio.engine == "mmap");
    ours.map(|ratio| {
        let said = verdict(ratio.speedup_median, ratio.speedup_ci95);
        format!("{}: {said}.", ratio.scenario())
    })
    .collect()
}

/// Under 3% nobody would notice.
const NOTICED: f64 = 1.03;

/// What a ratio and its 95% interval allow to say, and no more.
#[must_use]
pub fn verdict(times: f64, [low, high]: [f64; 2]) -> String {
    if low > NOTICED {
        format!("reading ahead makes the same code {times:.2} times as fast")
    } else if high < 0.97 {
        format!("reading ahead costs time here, {:.0}%", (1.0 / times - 1.0) * 100.0)
    } else if low >= 0.97 && high <= NOTICED {
        "no difference; the kernel leaves nothing to win".to_owned()
    } else {
        format!("{times:.2} times, but the runs vary too much to be sure of a difference")
    }
}
