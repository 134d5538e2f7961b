//! On a cold disk at the usual read_ahead_kb, what the kernel does not see coming is read ahead: each
//! page of a stride alone, blocks as blocks, backward runs backwards.
//!
//! It fails when a pattern is not found, when pages around a step are read with it, and when random
//! touches lead to reads.

#![forbid(unsafe_code)]

mod support;

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use mmap_ahead_bench::device::Disk;
use rustix::process::geteuid;
use serde_json::Value;
use support::{PROGRAM, in_memory, scratch};

const MIB: u64 = 1 << 20;

/// The disk's setting belongs to the machine: one comparison at a time.
static SETTING: Mutex<()> = Mutex::new(());

/// The last run of memmap2 and of ours; none, aloud, where the disk cannot be set up.
fn compare(pattern: &str, touch: &str) -> Option<(Value, Value)> {
    let _one_at_a_time = SETTING.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = scratch();
    if !geteuid().is_root() || in_memory(dir.path()) || Disk::under(dir.path()).is_none() {
        eprintln!("SKIPPED: not root, or no disk under {}", dir.path().display());
        return None;
    }
    let mut command = Command::new(PROGRAM);
    command.args(["compare", "--json", "--runs", "3", "--engines", "memmap2,mmap"]);
    command.args(["--cache", "cold", "--read-ahead-kb", "128", "--size", "256MiB"]);
    command.args(["--pattern", pattern, "--touch", touch, "--dir"]).arg(dir.path());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = |engine: &str| {
        let is_run = |line: &&Value| line["kind"] == "run" && line["engine"] == engine;
        lines.iter().rev().find(is_run).unwrap().clone()
    };
    Some((last("memmap2"), last("mmap")))
}

fn read_bytes(run: &Value) -> u64 {
    run["read_bytes"].as_u64().unwrap()
}

fn read_ahead(run: &Value) -> u64 {
    run["stats"]["pages_read_ahead"].as_u64().unwrap() * 4096
}

#[test]
fn the_pages_of_a_stride_are_read_alone() {
    let Some((plain, ours)) = compare("stride:256KiB", "4KiB") else { return };
    let (plain, all) = (read_bytes(&plain), read_bytes(&ours));
    println!("stride: {plain} bytes plain, {all} ours, {} of them ahead", read_ahead(&ours));
    assert!(read_ahead(&ours) >= 2 * MIB, "half of the 4 MiB that are touched: {ours}");
    assert!(all < plain / 3, "{all} of {plain}: what lies around the steps is read too");
    let (quality, wasted) = (&ours["quality"], &ours["stats"]["bytes_wasted"]);
    println!("stride: {quality}, {wasted} bytes wasted");
    assert!(quality["accuracy"].as_f64().unwrap() > 0.9 && quality["timeliness"].is_f64());
    assert!(wasted.as_u64().unwrap() * 20 <= all, "at most 5% of what is read: {ours}");
}

#[test]
fn blocks_are_read_as_blocks() {
    let Some((_, ours)) = compare("blocks:64KiB/1MiB", "64KiB") else { return };
    println!("blocks: {} bytes, {} of them ahead", read_bytes(&ours), read_ahead(&ours));
    assert!(read_ahead(&ours) >= 8 * MIB, "half of the 16 MiB that are touched: {ours}");
    assert!(read_bytes(&ours) <= 32 * MIB, "half of what the kernel reads: {ours}");
}

#[test]
fn backward_runs_are_read_backwards() {
    let Some((_, ours)) = compare("reverse", "64KiB") else { return };
    println!("reverse: {} bytes, {} of them ahead", read_bytes(&ours), read_ahead(&ours));
    assert!(read_ahead(&ours) >= 128 * MIB, "half of the file: {ours}");
    assert!(read_bytes(&ours) <= 258 * MIB, "nothing twice: {ours}");
}

#[test]
fn random_touches_lead_to_no_reads() {
    let Some((_, ours)) = compare("random", "4KiB") else { return };
    println!("random: {} bytes read ahead", read_ahead(&ours));
    assert!(read_ahead(&ours) <= 16 * MIB, "{ours}");
}

#[test]
fn what_was_recorded_is_replayed() {
    let _one_at_a_time = SETTING.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = scratch();
    if in_memory(dir.path()) {
        eprintln!("SKIPPED: no disk under {}", dir.path().display());
        return;
    }
    let mut command = Command::new(PROGRAM);
    command.args(["compare", "--json", "--runs", "1", "--engines", "memmap2,mmap+replay"]);
    command.args(["--cache", "cold", "--size", "256MiB", "--pattern", "random", "--steps", "1000"]);
    let output = command.arg("--dir").arg(dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let replay = lines.iter().find(|line| line["engine"] == "mmap+replay").unwrap();
    let pages = read_bytes(replay) / 4096;
    println!("replay: {} pages read, {}", pages, lines.last().unwrap()["speedup_median"]);
    assert_eq!(replay["stats"]["prefetches"], 1);
    // 1,000 touches of 65,536 pages hit some pages twice. A touch that comes before its page has been
    // asked for has the kernel read around it, up to 8 MiB.
    assert!((950..=1100 + 4 * 2048).contains(&pages), "each page alone: {replay}");
}
