//! What the counters come to, in a few lines.

use std::fmt;

use super::Stats;

/// The lines that have something to say, with a break between each two.
impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = LINES.iter().filter_map(|line| line(self)).collect();
        match lines.is_empty() {
            true => f.write_str("nothing was read ahead"),
            false => f.write_str(&lines.join("\n")),
        }
    }
}

/// A line each, where there is something to say.
const LINES: [fn(&Stats) -> Option<String>; 9] =
    [ahead, used, wasted, coverage, timeliness, guard, held_back, refused, explicit];

fn ahead(stats: &Stats) -> Option<String> {
    let ways = [("read", stats.pages_read_ahead), ("mapped", stats.pages_mapped)];
    let ways = listed(ways.map(|(how, count)| count_of(count, &format!("were {how}"))));
    let pages = counted(stats.pages_ahead, "page")?;
    Some(format!("ahead: {pages} of which {}", ways.unwrap_or_else(|| "none is there yet".into())))
}

fn used(stats: &Stats) -> Option<String> {
    let share = stats.accuracy()?;
    let pages = counted(stats.pages_used, "page").unwrap_or_else(|| "none".into());
    Some(format!("used: {pages}, {} of what was fetched", percent(share)))
}

fn wasted(stats: &Stats) -> Option<String> {
    let bytes = (stats.bytes_wasted > 0).then(|| bytes(stats.bytes_wasted))?;
    Some(format!("not used, or not yet: {bytes} read from the disk"))
}

fn coverage(stats: &Stats) -> Option<String> {
    let share = stats.coverage()?;
    let passed = counted(stats.pages_passed, "page")?;
    let line = format!("covered: {} of the {passed} that were passed", percent(share));
    let left = stats.pages_passed.saturating_sub(stats.pages_covered);
    Some(match counted(left, "page") {
        Some(left) => format!("{line}; {left} not mapped ahead"),
        None => line,
    })
}

fn timeliness(stats: &Stats) -> Option<String> {
    let share = stats.timeliness()?;
    let late = listed([
        count_of(stats.arrived_late_100us, "within 100 us"),
        count_of(stats.arrived_late_1ms, "within 1 ms"),
        count_of(stats.arrived_late_10ms, "within 10 ms"),
        count_of(stats.arrived_late_longer, "later"),
    ]);
    let line = format!("in time: {} of the reads that were looked out for", percent(share));
    Some(match late {
        Some(late) => format!("{line}; of the others {late}"),
        None => line,
    })
}

fn guard(stats: &Stats) -> Option<String> {
    let trips = counted(stats.trips, "trip")?;
    let dropped = count_of(stats.trips_dropped, "not reported");
    Some(format!("guard: {trips}{}", dropped.map_or(String::new(), |words| format!(", {words}"))))
}

fn held_back(stats: &Stats) -> Option<String> {
    listed([
        counted(stats.pressures, "time").map(|times| format!("{times} when memory was short")),
        counted(stats.over_budget, "plan").map(|plans| format!("{plans} cut by the budget")),
    ])
    .map(|words| format!("held back: {words}"))
}

fn refused(stats: &Stats) -> Option<String> {
    let fetches = counted(stats.refused, "fetch")?;
    Some(format!("refused by the kernel: {fetches}"))
}

fn explicit(stats: &Stats) -> Option<String> {
    listed([
        counted(stats.prefetches, "prefetch"),
        count_of(stats.prefetches_refused, "turned away"),
    ])
    .map(|words| format!("asked for: {words}"))
}

/// `3 pages`; none for 0.
fn counted(count: u64, noun: &str) -> Option<String> {
    let ending = match (count, noun.ends_with("ch")) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    (count > 0).then(|| format!("{count} {noun}{ending}"))
}

/// `3 words`; none for 0.
fn count_of(count: u64, words: &str) -> Option<String> {
    (count > 0).then(|| format!("{count} {words}"))
}

/// Those that are there, as people list them.
fn listed<const N: usize>(words: [Option<String>; N]) -> Option<String> {
    let words: Vec<String> = words.into_iter().flatten().collect();
    let (last, others) = words.split_last()?;
    match others {
        [] => Some(last.clone()),
        others => Some(format!("{} and {last}", others.join(", "))),
    }
}

/// A share in percent; 100% and 0% only where it is all or nothing.
fn percent(share: f64) -> String {
    let rounded = format!("{:.1}", share * 100.0);
    match rounded.as_str() {
        "100.0" if share < 1.0 => "over 99.9%".to_owned(),
        "0.0" if share > 0.0 => "under 0.1%".to_owned(),
        rounded => format!("{}%", rounded.trim_end_matches(".0")),
    }
}

fn bytes(count: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(size, _)| count >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", count as f64 / *size as f64),
        None => format!("{count} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_happen_is_not_told() {
        assert_eq!(Stats::default().to_string(), "nothing was read ahead");
        let polls = Stats { polls: 7, touches: 2, ..Stats::default() };
        assert_eq!(polls.to_string(), "nothing was read ahead");
        let refused = Stats { refused: 1, ..Stats::default() };
        assert_eq!(refused.to_string(), "refused by the kernel: 1 fetch");
    }

    #[test]
    fn a_run_is_summed_up_in_a_few_lines() {
        let stats = Stats {
            pages_ahead: 16_384,
            pages_read_ahead: 16_000,
            pages_mapped: 15_000,
            pages_used: 16_200,
            bytes_wasted: 3 << 19,
            pages_passed: 16_300,
            pages_covered: 14_900,
            arrived_in_time: 38,
            arrived_late_100us: 1,
            arrived_late_10ms: 1,
            prefetches: 1,
            ..Stats::default()
        };
        let lines = "ahead: 16384 pages of which 16000 were read and 15000 were mapped
used: 16200 pages, 98.9% of what was fetched
not used, or not yet: 1.5 MiB read from the disk
covered: 91.4% of the 16300 pages that were passed; 1400 pages not mapped ahead
in time: 95% of the reads that were looked out for; of the others 1 within 100 us and 1 within 10 ms
asked for: 1 prefetch";
        assert_eq!(stats.to_string(), lines);
    }

    #[test]
    fn all_and_nothing_are_not_said_of_parts() {
        let shares = [0.0, 0.0001, 0.5, 0.9999, 1.0].map(percent);
        assert_eq!(shares, ["0%", "under 0.1%", "50%", "over 99.9%", "100%"]);
        assert_eq!([5, 2048, 5 << 30].map(bytes), ["5 bytes", "2.0 KiB", "5.0 GiB"]);
        assert_eq!(counted(2, "fetch").as_deref(), Some("2 fetches"));
    }
}
