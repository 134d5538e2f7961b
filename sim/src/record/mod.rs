//! Records the page faults of any program, its threads and its children, as a trace.
//!
//! [`events`] takes the kernel's records apart, [`order`] puts those of all processors in order,
//! [`maps`] turns addresses into offsets in files, [`writer`] writes the trace; its format is
//! described in `trace/recorded.rs`.

mod events;
mod maps;
mod order;
mod overhead;
mod rings;
mod writer;

use std::ffi::OsString;
use std::io::Write;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mmap_ahead::lab::{FaultsOf, UsageOf, usage};
use mmap_ahead::page::Nanos;
use rustix::process::{Pid, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};

use crate::Error;
use events::{Event, What};
use maps::Maps;
use order::Order;
use rings::Rings;
use writer::Writer;

/// How long the recorder sleeps between looks at the rings. A ring of 64 KiB holds the faults of
/// this time at 3 us each.
const PAUSE: Duration = Duration::from_millis(5);

/// What was recorded, and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// How long the command ran.
    pub seconds: f64,
    /// Faults on pages of files, as the trace has them.
    pub faults: u64,
    /// Those of them that waited for a disk.
    pub major_faults: u64,
    /// Faults elsewhere: heap, stacks, mappings that were moved.
    pub elsewhere: u64,
    /// Records that the kernel dropped because the ring was full.
    pub lost: u64,
    /// How many files had faults.
    pub files: usize,
    /// Whether faults inside system calls were seen too.
    pub faults_of: FaultsOf,
    /// The ring of each processor, in bytes.
    pub ring_bytes: usize,
    /// What a recorded fault takes longer than others, measured when the command had ended; none where that failed.
    pub event_cost: Option<Nanos>,
    /// CPU time of the recorder itself meanwhile.
    pub recorder_cpu: Duration,
    /// How the command ended.
    pub status: ExitStatus,
}

impl Recorded {
    /// The share of the command's time that recording added to it, about; all its threads' faults
    /// together, as if they had come one after the other.
    #[must_use]
    pub fn overhead(&self) -> Option<f64> {
        let events = (self.faults + self.elsewhere) as f64;
        self.event_cost.map(|cost| events * cost.0 as f64 / 1e9 / self.seconds)
    }
}

/// Runs `command` and writes the faults of it and all it starts to `out`. When `stop` becomes true,
/// the command is asked to end (SIGTERM), and what it did until then is the trace.
///
/// Nothing of this process is recorded. Recording ends with the command, also when a child of it
/// goes on. To be called by a thread that starts nothing else meanwhile.
///
/// # Errors
/// [`Error::Record`] when the kernel forbids it, in words that say what to change; when the command
/// cannot be started; when the trace cannot be written.
///
/// Kernel: 4.1. Source: KERNEL.md 12.
pub fn record(
    command: &[OsString],
    out: Box<dyn Write>,
    stop: &AtomicBool,
) -> Result<Recorded, Error> {
    let [program, arguments @ ..] = command else {
        return Err(failed("no command to record".into()));
    };
    let mut rings = Rings::open()?;
    let cpu_before = cpu_time();
    let started_ns = now_ns();
    let mut session = Session::new(Writer::new(out, command, started_ns)?);
    let child = Command::new(program).args(arguments).spawn();
    let mut child = child.map_err(|error| failed(format!("{}: {error}", program.display())))?;
    let ended = follow(&mut child, &mut rings, &mut session, stop);
    if ended.is_err() {
        // Its faults have nowhere to go; it must not be left behind alone.
        let _ = child.kill();
        let _ = child.wait();
    }
    let (status, ended_ns) = ended?;
    session.handle_rest()?;
    let seconds = ended_ns.saturating_sub(started_ns) as f64 / 1e9;
    let written = session.writer.finish(seconds, session.elsewhere, session.lost)?;
    Ok(Recorded {
        seconds,
        faults: written.faults,
        major_faults: written.major_faults,
        elsewhere: session.elsewhere,
        lost: session.lost,
        files: written.files,
        faults_of: rings.faults_of(),
        ring_bytes: rings.ring_bytes(),
        recorder_cpu: cpu_time().saturating_sub(cpu_before),
        event_cost: overhead::event_cost(rings.faults_of()),
        status,
    })
}

/// Empties the rings until the command has ended; says how and when.
fn follow(
    child: &mut Child,
    rings: &mut Rings,
    session: &mut Session,
    stop: &AtomicBool,
) -> Result<(ExitStatus, u64), Error> {
    let mut asked = false;
    loop {
        let ended = child.try_wait().map_err(|error| failed(error.to_string()))?;
        let round_ns = now_ns();
        rings.drain(|events| session.order.take(events));
        if let Some(status) = ended {
            return Ok((status, round_ns));
        }
        session.handle_settled(round_ns)?;
        if stop.load(Ordering::Relaxed) && !asked {
            asked = true;
            // It may have ended just now: then there is nobody to ask.
            let _ = Pid::from_raw(child.id().cast_signed())
                .map(|child| kill_process(child, Signal::TERM));
        }
        std::thread::sleep(PAUSE);
    }
}

/// What is known between two rounds.
struct Session {
    order: Order,
    maps: Maps,
    writer: Writer,
    elsewhere: u64,
    lost: u64,
}

impl Session {
    fn new(writer: Writer) -> Session {
        let (order, maps) = (Order::default(), Maps::default());
        Session { order, maps, writer, elsewhere: 0, lost: 0 }
    }

    fn handle_settled(&mut self, round_ns: u64) -> Result<(), Error> {
        let events = self.order.settled(round_ns);
        events.into_iter().try_for_each(|event| self.handle(event))
    }

    fn handle_rest(&mut self) -> Result<(), Error> {
        let events = std::mem::take(&mut self.order).rest();
        events.into_iter().try_for_each(|event| self.handle(event))
    }

    fn handle(&mut self, event: Event) -> Result<(), Error> {
        let Event { at_ns, pid, what } = event;
        match what {
            What::Map { start, len, offset, path } => self.maps.map(pid, start, len, offset, &path),
            What::Fork { parent } => self.maps.fork(pid, parent),
            What::Exec => self.maps.forget(pid),
            What::Lost { count } => {
                self.lost += count;
                self.writer.lost(count)?;
            }
            What::Fault { tid, address, is_major } => match self.maps.find(pid, address) {
                Some((path, offset)) => {
                    let fault = writer::Fault { at_ns, pid, tid, offset, is_major };
                    self.writer.fault(path, fault)?;
                }
                None => self.elsewhere += 1,
            },
        }
        Ok(())
    }
}

fn failed(what: String) -> Error {
    Error::Record { what }
}

/// CLOCK_MONOTONIC, as the records have it.
fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()
}

fn cpu_time() -> Duration {
    let used = usage(UsageOf::Thread);
    used.user + used.system
}
