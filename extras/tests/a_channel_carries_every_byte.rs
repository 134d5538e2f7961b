//! Whatever is sent is received, in order and once: between threads, across a fork, through a file
//! with a name; the ring wraps, and nothing runs ahead of its bounds.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use mmap_ahead::lab::ForkedChild;
use mmap_ahead_bench::random::{Rng, mix};
use mmap_ahead_extras::shm::{CAPACITY_MIN, Channel, Receiver, Sender, ShmError};

const TOTAL: u64 = 3 << 20;

fn byte(at: u64) -> u8 {
    mix(at / 8).to_le_bytes()[(at % 8) as usize]
}

fn bytes(at: u64, len: u64) -> Vec<u8> {
    (at..at + len).map(byte).collect()
}

/// Pieces of any length, also longer than the channel.
fn send_all(sender: &mut Sender, seed: u64) {
    let mut rng = Rng::new(seed);
    while sender.sent() < TOTAL {
        let at = sender.sent();
        let len = rng.below(3 * CAPACITY_MIN as u64).min(TOTAL - at);
        sender.send(&bytes(at, len)).unwrap();
        assert_eq!(sender.sent(), at + len);
    }
}

fn receive_all(receiver: &mut Receiver, seed: u64) {
    let mut rng = Rng::new(seed);
    let mut at = 0;
    loop {
        let mut buffer = vec![0; rng.below(3 * CAPACITY_MIN as u64) as usize + 1];
        let len = receiver.receive(&mut buffer).unwrap();
        if len == 0 {
            break;
        }
        assert_eq!(buffer[..len], bytes(at, len as u64), "from byte {at}");
        at += len as u64;
        assert_eq!(receiver.received(), at);
    }
    assert_eq!(at, TOTAL);
}

#[test]
fn between_threads_at_every_size() {
    for capacity in [CAPACITY_MIN, 1 << 16, 1 << 20] {
        let channel = Channel::anonymous(capacity).unwrap();
        let (mut sender, mut receiver) = (channel.sender().unwrap(), channel.receiver().unwrap());
        let thread = std::thread::spawn(move || send_all(&mut sender, 1));
        receive_all(&mut receiver, 2);
        thread.join().unwrap();
    }
}

#[test]
fn across_a_fork() {
    let channel = Channel::anonymous(1 << 14).unwrap();
    let child = ForkedChild::start(|| {
        send_all(&mut channel.sender().unwrap(), 3);
        0
    });
    receive_all(&mut channel.receiver().unwrap(), 4);
    assert!(child.unwrap().wait().unwrap().success());
}

#[test]
fn through_a_file_that_the_other_process_opens() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("channel");
    let channel = Channel::create(&path, 1 << 14).unwrap();
    let child = ForkedChild::start(|| {
        receive_all(&mut Channel::open(&path).unwrap().receiver().unwrap(), 5);
        0
    });
    send_all(&mut channel.sender().unwrap(), 6);
    assert!(child.unwrap().wait().unwrap().success());
}

#[test]
fn it_holds_its_capacity_and_not_a_byte_more() {
    let channel = Channel::anonymous(CAPACITY_MIN).unwrap();
    let (mut sender, mut receiver) = (channel.sender().unwrap(), channel.receiver().unwrap());
    assert_eq!(sender.send_some(&bytes(0, 5000)).unwrap(), CAPACITY_MIN);
    let mut buffer = [0; 100];
    receiver.receive_exact(&mut buffer).unwrap();
    assert_eq!(sender.send_some(&bytes(CAPACITY_MIN as u64, 5000)).unwrap(), 100);
    let mut rest = vec![0; CAPACITY_MIN];
    receiver.receive_exact(&mut rest).unwrap();
    assert_eq!(rest, bytes(100, CAPACITY_MIN as u64));
    assert_eq!((sender.write(&[]).unwrap(), receiver.read(&mut []).unwrap()), (0, 0));
}

#[test]
fn the_end_is_told_at_once_to_whoever_sleeps() {
    for _ in 0..20 {
        let channel = Channel::anonymous(CAPACITY_MIN).unwrap();
        let (sender, mut receiver) = (channel.sender().unwrap(), channel.receiver().unwrap());
        let thread = std::thread::spawn(move || receiver.receive(&mut [0]).map(|_| Instant::now()));
        std::thread::sleep(Duration::from_millis(5));
        let closed = Instant::now();
        drop(sender);
        let woken = thread.join().unwrap().unwrap();
        assert!(woken - closed < Duration::from_millis(50), "{:?}", woken - closed);
    }
    let channel = Channel::anonymous(CAPACITY_MIN).unwrap();
    let (mut sender, receiver) = (channel.sender().unwrap(), channel.receiver().unwrap());
    sender.send(&bytes(0, CAPACITY_MIN as u64)).unwrap();
    let thread = std::thread::spawn(move || sender.send(&[1]));
    std::thread::sleep(Duration::from_millis(5));
    drop(receiver);
    assert!(matches!(thread.join().unwrap(), Err(ShmError::Closed)));
}

#[test]
fn what_was_sent_before_the_end_is_received_after_it() {
    let channel = Channel::anonymous(CAPACITY_MIN).unwrap();
    let mut receiver = channel.receiver().unwrap();
    channel.sender().unwrap().send(b"last words").unwrap();
    let mut text = String::new();
    receiver.read_to_string(&mut text).unwrap();
    assert_eq!(text, "last words");
}

#[test]
fn who_waits_sleeps() {
    let channel = Channel::anonymous(CAPACITY_MIN).unwrap();
    let mut receiver = channel.receiver().unwrap();
    let _sender = channel.sender().unwrap();
    let child = ForkedChild::start(move || {
        let _ = receiver.receive(&mut [0]);
        1
    })
    .unwrap();
    let used = || ticks_used(child.id());
    let before = used();
    std::thread::sleep(Duration::from_secs(1));
    // In units of 10 ms: a busy core would be 100 of them.
    assert!(used() - before <= 2, "{} ticks in a second", used() - before);
}

/// User and system time of a process. Source: proc_pid_stat(5), fields 14 and 15.
fn ticks_used(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}
