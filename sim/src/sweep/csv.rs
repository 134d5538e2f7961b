//! Results as CSV, a line for each cell.

use super::cell::Read;
use super::results::Results;

const HEAD: &str = "index,machine,workload,strategy,window_pages,distance_pages,seed,\
                    virtual_seconds,minor_faults,major_faults,ios,io_bytes,coverage,accuracy,\
                    timeliness,pollution\n";

/// The cells as CSV, with a line of names.
#[must_use]
pub fn csv(results: &Results) -> String {
    results.cells().map(line).fold(HEAD.to_owned(), |text, line| text + &line)
}

fn line(cell: &Read) -> String {
    let whole = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
    let share = |share: Option<f64>| share.map_or(String::new(), |share| share.to_string());
    let fields = [
        cell.index.to_string(),
        quoted(&cell.machine),
        quoted(&cell.workload),
        quoted(&cell.strategy),
        whole(cell.window_pages),
        whole(cell.distance_pages),
        cell.seed.to_string(),
        cell.virtual_seconds.to_string(),
        cell.minor_faults.to_string(),
        cell.major_faults.to_string(),
        cell.ios.to_string(),
        cell.io_bytes.to_string(),
        cell.coverage.to_string(),
        share(cell.accuracy),
        share(cell.timeliness),
        share(cell.pollution),
    ];
    fields.join(",") + "\n"
}

/// A field as RFC 4180 has it.
fn quoted(text: &str) -> String {
    match text.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_with_commas_are_quoted() {
        assert_eq!(super::quoted("streams:8"), "streams:8");
        assert_eq!(super::quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
