//! `doctor`: what this kernel and this user may do, and what to change.

use mmap_ahead_bench::Error;
use serde::Serialize;

use crate::output;
use crate::probe::{Probe, State, probe};

/// Say what this kernel and this user may do, and what to change
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    kind: &'static str,
    #[serde(flatten)]
    probe: &'a Probe,
}

pub(crate) fn doctor(arguments: &Arguments) -> Result<(), Error> {
    let probes = probe();
    if arguments.json {
        return probes
            .iter()
            .try_for_each(|probe| output::json_line(&Line { kind: "probe", probe }));
    }
    let width = probes.iter().map(|probe| probe.name.len()).max().unwrap_or(0);
    for probe in &probes {
        output::line(&describe(probe, width))?;
    }
    output::line(&summary(&probes))
}

fn describe(probe: &Probe, width: usize) -> String {
    let state = match probe.state {
        State::Available => "yes ",
        State::Missing => "no  ",
        State::Note => "    ",
    };
    let mut text = format!("{state} {:<width$}  {}", probe.name, probe.detail);
    if let Some(change) = &probe.change {
        text += &format!("\n     {:<width$}  To change it: {change}", "");
    }
    text
}

fn summary(probes: &[Probe]) -> String {
    let missing: Vec<_> = probes
        .iter()
        .filter(|probe| probe.state == State::Missing)
        .map(|probe| probe.name.as_str())
        .collect();
    match missing.as_slice() {
        [] => "\nNothing is missing.".to_owned(),
        names => format!(
            "\nMissing: {}. Reading ahead falls back to what there is; nothing fails because of it.",
            names.join(", ")
        ),
    }
}
