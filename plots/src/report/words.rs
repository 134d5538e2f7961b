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

pub(super) const MEASURED: &str = "One file was read from its beginning to its end, or in the order that a heading names, by the \
     same code in several ways, in turn and many times. All of them computed the same checksum. What \
     the ways are called:";

pub(super) const HEADINGS: &str = "And what the headings say:";

pub(super) const TIMES: &str = "In the table, 1 is as fast as plain memory mapping, 2 takes half its time, 0.5 twice its time.";

const AGAIN: &str = "These commands, in the project's folder, measure it anew (they need Rust and \
                     Linux and nothing else); the last one only draws the figures again.";

/// Under 3% nobody would notice.
const NOTICED: f64 = 1.03;

/// What an interval covers from 6 runs on; a hair less, for the rounding of what was written.
const SURE: f64 = 0.949;

/// Below that, as with one run or two, an interval says nothing.
const UNSURE: f64 = 0.51;

/// What it comes to, in one sentence or two.
pub(super) fn lead(results: &Results) -> String {
    let ours: Vec<&Ratio> = results.ratios.iter().filter(|ratio| ratio.engine == "mmap").collect();
    let best = ours.iter().max_by(|a, b| a.speedup_ci95[0].total_cmp(&b.speedup_ci95[0]));
    let Some(best) = best else {
        return "What came of reading one file in several ways.".to_owned();
    };
    let (times, [low, high]) = (best.speedup_median, best.speedup_ci95);
    let place = format!("{} ({})", where_the_file_was(best), best.scenario());
    if best.ci_coverage < UNSURE {
        return format!(
            "Having a file read ahead took {times:.2} times the speed, {place}, but so few runs say \
             nothing for sure: ask for more with --runs."
        );
    }
    let rest = if low > NOTICED {
        let slower = ours.iter().filter(|ratio| ratio.speedup_ci95[1] < 1.0 / NOTICED).count();
        let slower = match slower {
            0 => "Nowhere here was it slower.".to_owned(),
            1 => "In one case it was slower; it is below.".to_owned(),
            slower => format!("In {slower} cases it was slower; they are below."),
        };
        format!(
            "On this machine, having a file read ahead made the same program {times:.2} times as \
             fast where it helped most: {place}. {slower}"
        )
    } else {
        format!(
            "On this machine, in what was measured here, having a file read ahead made no \
             difference that the runs are sure of: it was between {low:.2} and {high:.2} times as \
             fast at best, {place}."
        )
    };
    format!("{rest}{}", few(best.runs, best.ci_coverage))
}

fn where_the_file_was(ratio: &Ratio) -> &'static str {
    match ratio.cache.as_str() {
        "cold" => "with the file on the disk",
        "warm" => "with the file in memory already",
        _ => "with the file as it was",
    }
}

/// A sentence where there were too few runs for 95%.
fn few(runs: u32, coverage: f64) -> String {
    if coverage >= SURE {
        return String::new();
    }
    format!(" ({runs} runs are few: an interval is {:.0}% sure, not 95%.)", coverage * 100.0)
}

/// What an interval is, and how sure these are.
pub(super) fn intervals(results: &Results) -> String {
    let least = results.ratios.iter().min_by(|a, b| a.ci_coverage.total_cmp(&b.ci_coverage));
    let percent = match least {
        Some(ratio) if ratio.ci_coverage < SURE => (ratio.ci_coverage * 100.0).round(),
        _ => 95.0,
    };
    let few = least.map_or(String::new(), |ratio| few(ratio.runs, ratio.ci_coverage));
    format!(
        "No two runs take the same time. The interval says how sure a number is: made in this way, \
         {percent} of 100 intervals hold the true value. An interval that holds 1 means: these runs \
         cannot tell a difference.{few}"
    )
}

/// How to get the same again.
pub(super) fn again(results: &Results) -> String {
    let environments = results.runs.iter().filter_map(|run| run.environment.as_ref());
    let mut commits = environments.filter_map(|environment| environment.commit.as_deref());
    match commits.find_map(|commit| commit.strip_suffix("-dirty")) {
        None => AGAIN.to_owned(),
        Some(commit) => format!(
            "{AGAIN} The project's files were changed after commit {commit}: exactly this program \
             cannot be had again."
        ),
    }
}

/// A sentence for each ratio of our own mapping.
pub(super) fn sentences(results: &Results) -> Vec<String> {
    let ours = results.ratios.iter().filter(|ratio| ratio.engine == "mmap");
    ours.map(|ratio| {
        let said = verdict(ratio.speedup_median, ratio.speedup_ci95, ratio.ci_coverage);
        format!("{}: {said}.", ratio.scenario())
    })
    .collect()
}

/// What a ratio and its interval allow to say, and no more; the interval holds the true value with the chance
/// `coverage`.
#[must_use]
pub fn verdict(times: f64, [low, high]: [f64; 2], coverage: f64) -> String {
    if coverage < UNSURE {
        format!("{times:.2} times, in too few runs to say more")
    } else if low > NOTICED {
        format!("reading ahead makes the same code {times:.2} times as fast")
    } else if high < 0.97 {
        format!("reading ahead costs time here, {:.0}%", (1.0 / times - 1.0) * 100.0)
    } else if low >= 0.97 && high <= NOTICED {
        "no difference; the kernel leaves nothing to win".to_owned()
    } else {
        format!("{times:.2} times, but the runs vary too much to be sure of a difference")
    }
}
