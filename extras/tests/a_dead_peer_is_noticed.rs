//! A peer that was killed is an error for whoever waits for it, within a fraction of a second, and
//! what it had sent before is received first.

use std::time::{Duration, Instant};

use mmap_ahead::lab::ForkedChild;
use mmap_ahead_extras::shm::{CAPACITY_MIN, Channel, Latch, ShmError};

/// [`mmap_ahead_extras::shm::DEATH_NOTICED_WITHIN`] and what a busy machine adds.
const SOON: Duration = Duration::from_secs(2);

fn sleep_for_ever() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(60));
    }
}

#[test]
fn the_sender_is_killed_while_the_receiver_waits() {
    let channel = Channel::anonymous(CAPACITY_MIN).unwrap();
    let child = ForkedChild::start(|| {
        let mut sender = channel.sender().unwrap();
        sender.send(b"last words").unwrap();
        sleep_for_ever()
    })
    .unwrap();
    let mut receiver = channel.receiver().unwrap();
    let mut words = [0; 10];
    receiver.receive_exact(&mut words).unwrap();
    assert_eq!(&words, b"last words");
    let killed = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(150));
        child.kill();
        Instant::now()
    });
    let error = receiver.receive(&mut words).unwrap_err();
    assert!(matches!(error, ShmError::PeerDied), "{error}");
    let noticed = Instant::now() - killed.join().unwrap();
    assert!(noticed < SOON, "{noticed:?}");
    // And it stays so.
    assert!(matches!(receiver.receive(&mut words), Err(ShmError::PeerDied)));
}

#[test]
fn what_a_dead_sender_had_sent_is_received_first() {
    let channel = Channel::anonymous(CAPACITY_MIN).unwrap();
    let mut receiver = channel.receiver().unwrap();
    let child = ForkedChild::start(|| {
        let mut sender = channel.sender().unwrap();
        sender.send(b"last words").unwrap();
        std::mem::forget(sender);
        0
    });
    assert!(child.unwrap().wait().unwrap().success());
    let mut words = [0; 20];
    assert_eq!(receiver.receive(&mut words).unwrap(), 10);
    assert!(matches!(receiver.receive(&mut words), Err(ShmError::PeerDied)));
}

#[test]
fn the_receiver_is_killed_while_the_channel_is_full() {
    let channel = Channel::anonymous(CAPACITY_MIN).unwrap();
    let child = ForkedChild::start(|| {
        let _receiver = channel.receiver().unwrap();
        sleep_for_ever()
    })
    .unwrap();
    let mut sender = channel.sender().unwrap();
    let killed = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(150));
        child.kill();
    });
    let error = sender.send(&vec![1; 2 * CAPACITY_MIN]).unwrap_err();
    assert!(matches!(error, ShmError::PeerDied), "{error}");
    killed.join().unwrap();
}

#[test]
fn a_peer_that_is_late_or_slow_is_not_a_dead_one() {
    let channel = Channel::anonymous(CAPACITY_MIN).unwrap();
    let mut receiver = channel.receiver().unwrap();
    let child = ForkedChild::start(|| {
        std::thread::sleep(Duration::from_millis(300));
        let mut sender = channel.sender().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        sender.send(b"x").unwrap();
        drop(sender);
        0
    });
    let mut words = [0; 20];
    assert_eq!(receiver.receive(&mut words).unwrap(), 1);
    assert_eq!(receiver.receive(&mut words).unwrap(), 0);
    assert!(child.unwrap().wait().unwrap().success());
}

#[test]
fn a_side_is_taken_once() {
    let channel = Channel::anonymous(CAPACITY_MIN).unwrap();
    let sender = channel.sender().unwrap();
    assert!(matches!(channel.sender(), Err(ShmError::Taken { role: "sender" })));
    drop(sender);
    assert!(matches!(channel.sender(), Err(ShmError::Taken { role: "sender" })));
    channel.receiver().unwrap();
}

#[test]
fn a_latch_opens_when_the_last_party_has_arrived() {
    let latch = Latch::anonymous(3).unwrap();
    let children: Vec<_> = (0..3)
        .map(|number| {
            let child = ForkedChild::start(|| {
                let party = latch.join().unwrap();
                std::thread::sleep(Duration::from_millis(50 * number));
                party.arrive();
                0
            });
            child.unwrap()
        })
        .collect();
    assert!(latch.wait(None).unwrap());
    assert!(latch.wait(Some(Duration::ZERO)).unwrap(), "it stays open");
    for child in children {
        assert!(child.wait().unwrap().success());
    }
    assert!(matches!(latch.join(), Err(ShmError::Taken { .. })));
}

#[test]
fn a_latch_stays_shut_for_those_who_are_missing() {
    let latch = Latch::anonymous(2).unwrap();
    latch.join().unwrap().arrive();
    assert!(!latch.wait(Some(Duration::from_millis(120))).unwrap());
    let party = latch.join().unwrap();
    drop(party);
    assert!(matches!(latch.wait(None), Err(ShmError::GaveUp)));
}

#[test]
fn a_party_that_is_killed_is_noticed() {
    let latch = Latch::anonymous(2).unwrap();
    latch.join().unwrap().arrive();
    let child = ForkedChild::start(|| {
        let _party = latch.join().unwrap();
        sleep_for_ever()
    })
    .unwrap();
    let killed = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(150));
        child.kill();
    });
    assert!(matches!(latch.wait(None), Err(ShmError::PeerDied)));
    killed.join().unwrap();
}

/// Killed anywhere in a stream of numbers, in the middle of one as well: what comes is the beginning of the stream.
#[test]
fn a_sender_that_is_killed_in_the_middle_leaves_the_beginning() {
    for round in 0..40 {
        let channel = Channel::anonymous(CAPACITY_MIN).unwrap();
        let mut receiver = channel.receiver().unwrap();
        let child = ForkedChild::start(|| {
            let mut sender = channel.sender().unwrap();
            // Of no length that divides the ring.
            let numbers = |from: u64| (from..from + 999).flat_map(u64::to_ne_bytes);
            for block in 0.. {
                let message: Vec<u8> = numbers(block * 999).collect();
                if sender.send(&message).is_err() {
                    return 1;
                }
            }
            0
        });
        let mut child = Some(child.unwrap());
        let (mut all, mut buffer) = (Vec::new(), [0; 777]);
        let error = loop {
            match receiver.receive(&mut buffer) {
                Ok(len) => all.extend_from_slice(&buffer[..len]),
                Err(error) => break error,
            }
            if all.len() > 3001 * round {
                child.take().inspect(ForkedChild::kill);
            }
        };
        assert!(matches!(error, ShmError::PeerDied), "{error}");
        let (words, rest) = all.as_chunks::<8>();
        assert!((0..).zip(words).all(|(at, word)| u64::from_ne_bytes(*word) == at));
        let next = (words.len() as u64).to_ne_bytes();
        assert_eq!(rest, &next[..rest.len()]);
    }
}
