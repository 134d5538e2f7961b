//! The rings of all processors, and what to say when the kernel gives none.

use std::fs;
use std::io;

use mmap_ahead::lab::{FaultEvents, FaultsOf};
use rustix::io::Errno;

use super::events::{Event, events};
use super::failed;
use crate::Error;

/// The ring of a processor: what is asked for first, and the least that is tried. 4 MiB hold
/// 100,000 faults.
const RING_BYTES: usize = 4 << 20;
const RING_BYTES_MIN: usize = 64 << 10;

pub(super) struct Rings {
    rings: Vec<FaultEvents>,
    faults_of: FaultsOf,
    ring_bytes: usize,
    /// Used again for every ring.
    buffer: Vec<u8>,
}

impl Rings {
    /// As much as the kernel allows: faults inside system calls too, and long rings.
    pub(super) fn open() -> Result<Rings, Error> {
        let cpus = online_cpus();
        let mut refusal = io::Error::from(io::ErrorKind::PermissionDenied);
        for faults_of in [FaultsOf::UserAndKernel, FaultsOf::User] {
            let mut ring_bytes = RING_BYTES;
            while ring_bytes >= RING_BYTES_MIN {
                let open = |&cpu: &u32| FaultEvents::of_children(cpu, faults_of, ring_bytes);
                match cpus.iter().map(open).collect::<io::Result<Vec<_>>>() {
                    Ok(rings) => {
                        return Ok(Rings { rings, faults_of, ring_bytes, buffer: Vec::new() });
                    }
                    Err(error) => refusal = error,
                }
                ring_bytes /= 2;
            }
        }
        Err(failed(explain(&refusal, paranoid())))
    }

    pub(super) fn faults_of(&self) -> FaultsOf {
        self.faults_of
    }

    pub(super) fn ring_bytes(&self) -> usize {
        self.ring_bytes
    }

    /// Hands on the events of every ring, one ring after the other.
    pub(super) fn drain(&mut self, mut take: impl FnMut(Vec<Event>)) {
        for ring in &mut self.rings {
            self.buffer.clear();
            ring.drain(&mut self.buffer);
            take(events(&self.buffer, ring.major_id()).collect());
        }
    }
}

/// Why there is no recording, and what to change.
pub(super) fn explain(refusal: &io::Error, paranoid: Option<i64>) -> String {
    let what = "the kernel does not let page faults be recorded (perf_event_open";
    let missing = Some(Errno::NOSYS.raw_os_error());
    let remedy = match paranoid {
        _ if refusal.raw_os_error() == missing => {
            "this kernel has no perf events, or a container or sandbox hides them".to_owned()
        }
        Some(level) if level > 2 => format!(
            "kernel.perf_event_paranoid is {level}; allow it with `sudo sysctl \
             kernel.perf_event_paranoid=2`, or run with CAP_PERFMON"
        ),
        _ => "a container or sandbox forbids it: allow the system call perf_event_open in its \
              seccomp profile, or run outside of it"
            .to_owned(),
    };
    format!("{what}: {refusal}): {remedy}")
}

fn paranoid() -> Option<i64> {
    fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok()?.trim().parse().ok()
}

/// The processors that are there: a list like `0-3,6`.
fn online_cpus() -> Vec<u32> {
    let list = fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    let cpus = parse_cpus(list.trim());
    if !cpus.is_empty() {
        return cpus;
    }
    let count = std::thread::available_parallelism().map_or(1, |count| count.get());
    (0..u32::try_from(count).unwrap_or(1)).collect()
}

fn parse_cpus(list: &str) -> Vec<u32> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse::<u32>().ok()?..=last.parse().ok()?)
    };
    list.split(',').filter_map(range).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_processors() {
        assert_eq!(parse_cpus("0-3,6"), [0, 1, 2, 3, 6]);
        assert_eq!(parse_cpus("0"), [0]);
        assert!(parse_cpus("").is_empty());
    }

    #[test]
    fn a_refusal_says_what_to_change() {
        let denied = io::Error::from_raw_os_error(13);
        let text = explain(&denied, Some(3));
        assert!(text.contains("paranoid is 3") && text.contains("paranoid=2"), "{text}");
        let text = explain(&io::Error::from_raw_os_error(1), Some(2));
        assert!(text.contains("seccomp"), "{text}");
        let text = explain(&io::Error::from_raw_os_error(38), Some(2));
        assert!(text.contains("no perf events"), "{text}");
    }
}
