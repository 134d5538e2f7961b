//! The tables of the page.

use std::fmt::Write as _;

use mmap_ahead_bench::size;

use super::escape;
use crate::axis::three_digits;
use crate::figures::{different, engines, grouped, median};
use crate::results::{Environment, Results, Run, place};

/// Medians and ratios, scenario by scenario.
pub(super) fn speeds(results: &Results) -> String {
    let mut html = String::from(
        "<table>\n<thead><tr><th></th><th>GB/s</th><th>times as fast</th><th>its interval</th></tr></thead>\n",
    );
    for (scenario, runs) in grouped(&results.runs, Run::scenario) {
        let heading = escape(&scenario);
        let _ = writeln!(html, "<tbody>\n<tr><th colspan=\"4\">{heading}</th></tr>");
        for engine in engines(runs.iter().map(|run| run.engine.as_str())) {
            let speed = median(&runs, engine).map_or(0.0, |median| median.value);
            let speed = three_digits(speed);
            let ratio = results.ratios.iter();
            let ratio =
                ratio.filter(|ratio| ratio.engine == engine && ratio.scenario() == scenario);
            let mut ratio = ratio;
            let [times, interval] = ratio.next_back().map_or(["", ""].map(String::from), |ratio| {
                let [low, high] = ratio.speedup_ci95;
                [format!("{:.2}", ratio.speedup_median), format!("{low:.2} to {high:.2}")]
            });
            let engine = escape(engine);
            let _ = writeln!(
                html,
                "<tr><td>{engine}</td><td>{speed}</td><td>{times}</td><td>{interval}</td></tr>"
            );
        }
        html.push_str("</tbody>\n");
    }
    html + "</table>\n"
}

/// What is known of the machine; several values where the results are of several.
pub(super) fn machine(results: &Results) -> String {
    let environments = environments(results);
    if environments.is_empty() {
        return "<p>Nothing here was measured on a machine.</p>\n".to_owned();
    }
    let mut html = String::from("<table class=\"machine\">\n<tbody>\n");
    let mut row = |name: &str, of: &dyn Fn(&Environment) -> Option<String>| {
        let values: Vec<String> = environments.iter().filter_map(|e| of(e)).collect();
        let values = different(values.iter().map(String::as_str)).join("; ");
        if !values.is_empty() {
            let _ = writeln!(html, "<tr><td>{name}</td><td>{}</td></tr>", escape(&values));
        }
    };
    row("Kernel", &|e| (!e.kernel.is_empty()).then(|| format!("Linux {}", e.kernel)));
    row("Processor", &|e| (!e.cpu.is_empty()).then(|| format!("{} of {}", e.cpus, e.cpu)));
    row("Memory", &|e| (e.memory_bytes > 0).then(|| size::rounded(e.memory_bytes)));
    row("File system", &|e| (!e.file_system.is_empty()).then(|| place(e)));
    row("The kernel's own read-ahead", &|e| e.read_ahead_kb.map(|kib| format!("{kib} KiB")));
    row("Transparent huge pages", &|e| e.thp.clone());
    row("Busy readers beside", &|e| (e.busy > 0).then(|| e.busy.to_string()));
    row("Commit of this project", &|e| e.commit.clone());
    html + "</tbody>\n</table>\n"
}

fn environments(results: &Results) -> Vec<&Environment> {
    let runs = results.runs.iter().map(|line| &line.environment);
    let ratios = results.ratios.iter().map(|line| &line.environment);
    let latencies = results.latencies.iter().map(|line| &line.environment);
    let memories = results.memories.iter().map(|line| &line.environment);
    let validations = results.validations.iter().map(|line| &line.environment);
    let all = runs.chain(ratios).chain(latencies).chain(memories).chain(validations);
    all.flatten().collect()
}
