//! `pm`: the four ways to make a small store durable, timed.

use std::io::Write;
use std::path::{Path, PathBuf};

use mmap_ahead_bench::{Error, cleanup, device};
use mmap_ahead_extras::pmem::{BLOCK_LEN, Pmem, STORE_LEN, StoreWay, WhyNot};
use serde::Serialize;

use crate::output;

/// The length of a file that is made for it.
const MADE_LEN: usize = 1 << 20;

/// Time the four ways to make a small store durable, on the file system of FILE
///
/// Where there is no such file, one is made and removed again. A file that is there gets the bytes it
/// already holds stored over them, in its first MiB: nobody else may write to it meanwhile.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The file
    file: PathBuf,
    /// How many measurements of each way
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    stores: u32,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Whether a store is still there after a loss of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Durable {
    Yes,
    No,
    Unknown,
}

/// One way, as it went.
#[derive(Serialize)]
struct Line {
    kind: &'static str,
    way: &'static str,
    file_system: String,
    /// Whether the file lies on persistent memory.
    map_sync: bool,
    durable: Durable,
    why: &'static str,
    median_ns: Option<f64>,
    p99_ns: Option<f64>,
    /// Why there are no times.
    refused: Option<String>,
}

/// What decides what is durable.
struct Place {
    file_system: String,
    is_pmem: bool,
    flush: &'static str,
    /// Where it is no persistent memory.
    why_not: Option<WhyNot>,
}

pub(crate) fn pm(arguments: &Arguments) -> Result<(), Error> {
    let path = &arguments.file;
    let _removed = if path.exists() { None } else { Some(make(path)?) };
    let place = Place::of(path)?;
    let measure = |way: StoreWay| place.line(way, way.time(path, arguments.stores as usize));
    let lines: Vec<Line> = StoreWay::ALL.into_iter().map(measure).collect();
    if arguments.json {
        return lines.iter().try_for_each(output::json_line);
    }
    output::line(&place.title(path))?;
    output::line(&table(&lines))
}

/// A file of its own, whose blocks are there: the first write to a hole costs more than those after it.
fn make(path: &Path) -> Result<cleanup::OnExit, Error> {
    let mut options = std::fs::File::options();
    let mut file = options.write(true).create_new(true).open(path).map_err(Error::at(path))?;
    let removed = {
        let path = path.to_owned();
        cleanup::on_exit(move || drop(std::fs::remove_file(path)))
    };
    file.write_all(&vec![1; MADE_LEN]).map_err(Error::at(path))?;
    file.sync_all().map_err(Error::at(path))?;
    Ok(removed)
}

impl Place {
    fn of(path: &Path) -> Result<Place, Error> {
        let mut options = std::fs::File::options();
        let file = options.read(true).write(true).open(path).map_err(Error::at(path))?;
        let facts = file.metadata().map_err(Error::at(path))?;
        if !facts.is_file() || facts.len() < BLOCK_LEN as u64 {
            let path = path.display();
            return Err(Error::failed(format!("{path}: not a file of {BLOCK_LEN} bytes or more")));
        }
        let pmem = Pmem::map(&file).map_err(Error::at(path))?;
        let (is_pmem, flush, why_not) = (pmem.is_pmem(), pmem.way(), pmem.why_not());
        Ok(Place { file_system: device::file_system(path)?, is_pmem, flush, why_not })
    }

    fn title(&self, path: &Path) -> String {
        let kind = match self.why_not {
            None => format!("on persistent memory, lines written back by {}", self.flush),
            Some(why) => format!("not on persistent memory ({why})"),
        };
        let (path, file_system) = (path.display(), &self.file_system);
        format!("{path}: {file_system}, {kind}; stores of {STORE_LEN} bytes\n")
    }

    fn line(&self, way: StoreWay, times: std::io::Result<Vec<f64>>) -> Line {
        let (durable, why) = self.durable(way);
        let mut line = Line {
            kind: "pm",
            way: way.name(),
            file_system: self.file_system.clone(),
            map_sync: self.is_pmem,
            durable,
            why,
            median_ns: None,
            p99_ns: None,
            refused: None,
        };
        match times {
            Ok(mut times) => {
                times.sort_by(f64::total_cmp);
                line.median_ns = Some(times[times.len() / 2]);
                line.p99_ns = Some(times[times.len() * 99 / 100]);
            }
            Err(error) => line.refused = Some(error.to_string()),
        }
        line
    }

    fn durable(&self, way: StoreWay) -> (Durable, &'static str) {
        let in_memory = device::is_memory(&self.file_system);
        match way {
            StoreWay::NoSync => (Durable::No, "left in a cache: survives the program only"),
            _ if in_memory => (Durable::No, "this file system is in memory"),
            _ if self.is_pmem => (Durable::Yes, "persistent memory"),
            StoreWay::FlushFence => {
                (Durable::No, "it reaches the page cache only: not persistent memory")
            }
            _ if !is_disk(&self.file_system) => {
                (Durable::Unknown, "as the server or layer below makes it")
            }
            _ => (Durable::Yes, "unless the disk says done too early"),
        }
    }
}

/// File systems that hand a sync on to a disk of their own.
fn is_disk(file_system: &str) -> bool {
    ["ext4", "xfs", "btrfs", "f2fs", "zfs"].contains(&file_system)
}

fn table(lines: &[Line]) -> String {
    let row = |line: &Line| {
        let time = |nanos: Option<f64>| nanos.map_or_else(|| "-".to_owned(), duration);
        let durable = match line.durable {
            Durable::Yes => "yes",
            Durable::No => "no",
            Durable::Unknown => "unknown",
        };
        let times = [time(line.median_ns), time(line.p99_ns)];
        let why =
            line.refused.as_ref().map_or(line.why.to_owned(), |why| format!("refused: {why}"));
        let [median, p99] = times;
        vec![line.way.to_owned(), median, p99, durable.to_owned(), why]
    };
    let rows: Vec<_> = lines.iter().map(row).collect();
    output::table(&["way", "median", "99th percentile", "durable", "because"], &rows)
}

fn duration(nanos: f64) -> String {
    match nanos {
        small if small < 1e3 => format!("{small:.1} ns"),
        middle if middle < 1e6 => format!("{:.2} us", middle / 1e3),
        large => format!("{:.2} ms", large / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(file_system: &str, is_pmem: bool) -> [Durable; 4] {
        let why_not = (!is_pmem).then_some(WhyNot::NoDax);
        let place = Place { file_system: file_system.to_owned(), is_pmem, flush: "CLWB", why_not };
        [StoreWay::NoSync, StoreWay::FlushFence, StoreWay::Msync, StoreWay::DirectWrite]
            .map(|way| place.durable(way).0)
    }

    #[test]
    fn what_is_durable_depends_on_what_is_under_the_file() {
        use Durable::{No, Unknown, Yes};
        assert_eq!(verdicts("ext4", false), [No, No, Yes, Yes]);
        assert_eq!(verdicts("ext4", true), [No, Yes, Yes, Yes]);
        assert_eq!(verdicts("tmpfs", false), [No, No, No, No]);
        assert_eq!(verdicts("nfs", false), [No, No, Unknown, Unknown]);
    }

    #[test]
    fn durations_have_fitting_units() {
        assert_eq!([3.25, 1500.0, 2.5e6].map(duration), ["3.2 ns", "1.50 us", "2.50 ms"]);
    }
}
