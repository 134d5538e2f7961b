//! `sim choi`: the paper's experiments, side by side.

use mmap_ahead_bench::{Error, size};
use mmap_ahead_sim::Sheet;
use mmap_ahead_sim::choi::{self, Component, Gain, HoldOut, Repeated, Sensitivity};
use serde::Serialize;

use super::wrong;
use crate::output;

/// Reproduce Choi, Kim and Han (HotStorage 2017): Figure 1, the techniques' gains, the assumptions
///
/// Everything random in it has the seed 1. Exit status 1 when a bar of Figure 1 is not as close as it is meant to be, or a technique is
/// faster than the oracle.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// All that `choi` finds.
struct Found {
    sheet: Sheet,
    bars: Vec<Component>,
    gains: Vec<Gain>,
    repeated: Vec<Repeated>,
    sensitivity: Vec<Sensitivity>,
    hold_out: HoldOut,
}

pub(crate) fn choi(arguments: &Arguments) -> Result<(), Error> {
    let sheet = choi::fit(&choi::assumed()).map_err(wrong)?;
    let found = Found {
        bars: choi::bars(&sheet).map_err(wrong)?,
        gains: choi::gains(&sheet).map_err(wrong)?,
        repeated: choi::repeated(&sheet).map_err(wrong)?,
        sensitivity: choi::sensitivity().map_err(wrong)?,
        hold_out: choi::hold_out(),
        sheet,
    };
    if arguments.json {
        json(&found)?
    } else {
        output::line(&text(&found))?
    }
    judge(&found)
}

fn judge(found: &Found) -> Result<(), Error> {
    if let Some(off) = found.bars.iter().find(|bar| !bar.within) {
        let Component { case, component, paper_s, sim_s, .. } = off;
        let what = format!("{case}, {component}: {sim_s:.3} s, the paper has {paper_s:.3} s");
        return Err(Error::failed(what));
    }
    let oracle = |gain: &Gain| {
        let cell =
            |other: &&Gain| (other.order, other.record_bytes) == (gain.order, gain.record_bytes);
        found.gains.iter().filter(cell).find(|other| other.strategy == "oracle").map(|o| o.gain)
    };
    match found.gains.iter().find(|gain| oracle(gain).is_some_and(|oracle| gain.gain > oracle)) {
        Some(Gain { strategy, .. }) => Err(Error::failed(format!("{strategy} passes the oracle"))),
        None => Ok(()),
    }
}

#[derive(Serialize)]
struct Parameter<'a> {
    kind: &'static str,
    name: &'a str,
    #[serde(flatten)]
    cost: &'a mmap_ahead_sim::costs::Cost,
}

#[derive(Serialize)]
struct HoldOutLine {
    kind: &'static str,
    case: &'static str,
    fitted_on: [&'static str; 2],
    low_s: f64,
    high_s: f64,
    paper_s: f64,
    access_disturbance: &'static str,
}

const DISTURBANCE: &str = "not in these two bars: default-mmap's file access alone does not say how \
                           much of it is disturbance. The 230 ns of the fit are default-mmap's file \
                           access less populate-mmap's";

fn json(found: &Found) -> Result<(), Error> {
    found.bars.iter().try_for_each(output::json_line)?;
    let HoldOut { low_s, high_s, paper_s } = found.hold_out;
    output::json_line(&HoldOutLine {
        kind: "choi_hold_out",
        case: "populate-mmap",
        fitted_on: ["default-mmap", "read"],
        low_s,
        high_s,
        paper_s,
        access_disturbance: DISTURBANCE,
    })?;
    found.gains.iter().try_for_each(output::json_line)?;
    found.repeated.iter().try_for_each(output::json_line)?;
    for (name, cost) in &found.sheet.costs {
        output::json_line(&Parameter { kind: "choi_parameter", name, cost })?;
    }
    choi::assumptions().iter().try_for_each(output::json_line)?;
    found.sensitivity.iter().try_for_each(output::json_line)
}

fn text(found: &Found) -> String {
    let HoldOut { low_s, high_s, paper_s } = found.hold_out;
    [
        "Figure 1: 4 GiB front to back in records of 4 KiB, Ext4-DAX, seconds (seed 1)".to_owned(),
        bars(&found.bars),
        format!(
            "\nHold-out: default-mmap and read alone allow populate-mmap {low_s:.3} to {high_s:.3} s; \
             the paper has {paper_s:.3} s.\nThe access disturbance is {DISTURBANCE}."
        ),
        "\nGains over default-mmap (throughput; the abstract says 38 to 70% and not where)".to_owned(),
        gains(&found.gains),
        best(&found.gains),
        "\nMapping cache, times as fast".to_owned(),
        repeated(&found.repeated),
        "\nSequential 4 KiB gains with one assumption changed, the rest refitted".to_owned(),
        sensitivity(&found.sensitivity),
        "\nAssumptions".to_owned(),
        assumptions(),
        "\nCosts (sources and ranges: --json)".to_owned(),
        parameters(&found.sheet),
    ]
    .join("\n")
}

fn percent(share: f64) -> String {
    format!("{:+.1}%", share * 100.0)
}

fn bars(bars: &[Component]) -> String {
    let row = |bar: &Component| {
        let error = match bar.paper_s > 0.0 {
            true => percent(bar.error),
            false => format!("{:+.3} s", bar.error),
        };
        let name = format!("{}, {}", bar.case, bar.component);
        let verdict = if bar.within { "holds" } else { "FAILS" };
        let [paper, sim] = [bar.paper_s, bar.sim_s].map(|seconds| format!("{seconds:.3}"));
        vec![name, paper, sim, error, verdict.to_owned()]
    };
    let rows: Vec<_> = bars.iter().map(row).collect();
    output::table(&["", "paper", "simulated", "error", ""], &rows)
}

fn gains(gains: &[Gain]) -> String {
    let cells: Vec<&[Gain]> = gains.chunk_by(|a, b| same_cell(a, b)).collect();
    let mut head = vec!["order, record"];
    head.extend(cells.first().into_iter().flat_map(|cell| cell.iter().map(|gain| gain.strategy)));
    let row = |cell: &&[Gain]| {
        let order = format!("{:?}", cell[0].order).to_lowercase();
        let mut row = vec![format!("{order}, {}", size::exact(cell[0].record_bytes))];
        row.extend(cell.iter().map(|gain| percent(gain.gain)));
        row
    };
    output::table(&head, &cells.iter().map(row).collect::<Vec<_>>())
}

fn same_cell(a: &Gain, b: &Gain) -> bool {
    (a.order, a.record_bytes) == (b.order, b.record_bytes)
}

fn best(gains: &[Gain]) -> String {
    let map_ahead = |gain: &&Gain| {
        gain.order == choi::Order::Sequential
            && gain.record_bytes == 4096
            && gain.strategy.contains("map-ahead")
    };
    let best = gains.iter().filter(map_ahead).max_by(|a, b| a.gain.total_cmp(&b.gain));
    best.map_or(String::new(), |gain| {
        let second_hand = choi::EXTENDED_MADVISE_SECOND_HAND;
        format!(
            "Sequential 4 KiB, the best map-ahead variant: {}, {}, under the assumptions below.\n\
             A note on the slides (second hand) has {second_hand} times default-mmap for extended madvise.",
            gain.strategy,
            percent(gain.gain)
        )
    })
}

fn repeated(repeated: &[Repeated]) -> String {
    let row = |one: &Repeated| {
        let paper = one.paper_speedup.map_or("-".to_owned(), |paper| format!("{paper:.2}"));
        let name = format!("{} over {} ({})", one.case, one.baseline, one.workload);
        vec![name, paper, format!("{:.2}", one.sim_speedup)]
    };
    let rows: Vec<_> = repeated.iter().map(row).collect();
    output::table(&["", "paper", "simulated"], &rows)
}

fn sensitivity(all: &[Sensitivity]) -> String {
    let row = |one: &Sensitivity| {
        let name = match one.assumption {
            "none" => "as assumed".to_owned(),
            name => format!("{name} {} {}", one.value, one.unit),
        };
        let gains = [one.map_ahead, one.async_map_ahead, one.extended_madvise];
        [name].into_iter().chain(gains.map(percent)).collect()
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    output::table(&["", "map-ahead", "async-map-ahead", "extended-madvise"], &rows)
}

fn assumptions() -> String {
    let line = |one: &choi::Assumption| format!("- {}: {}", one.about, one.text);
    choi::assumptions().iter().map(line).collect::<Vec<_>>().join("\n")
}

fn parameters(sheet: &Sheet) -> String {
    let row = |(name, cost): (&String, &mmap_ahead_sim::costs::Cost)| {
        vec![name.clone(), format!("{:.3} {}", cost.value, cost.unit.text())]
    };
    let rows: Vec<_> = sheet.costs.iter().map(row).collect();
    output::table(&["cost", "value"], &rows)
}
