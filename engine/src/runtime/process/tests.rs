use super::*;

const NOW: Nanos = Nanos(1_000_000_000_000);

fn budget_of(bytes: u64) -> &'static Process {
    let process: &'static Process = Box::leak(Box::new(Process::new()));
    process.set_limit(bytes);
    process
}

#[test]
fn one_alone_has_half_and_several_leave_room_for_the_next() {
    let process = budget_of(1000);
    let first = process.join();
    assert_eq!(first.take(100, NOW), 100);
    assert_eq!(first.take(1000, NOW), 400);
    assert_eq!(first.take(1, NOW), 0);
    let second = process.join();
    assert_eq!(second.take(1000, NOW), 250);
    assert_eq!((first.take(1, NOW), second.take(1, NOW)), (0, 0));
    first.settle(100, NOW);
    assert_eq!(process.stats().ahead, ByteLen(350));
    assert!(second.take(1000, NOW) > 0 && process.join().take(1, NOW) == 1);
}

#[test]
fn a_little_is_granted_before_the_memory_is_asked_for_unless_a_limit_was_set() {
    let process: &'static Process = Box::leak(Box::new(Process::new()));
    let hold = process.join();
    assert_eq!(hold.take(LITTLE_BYTES, NOW), LITTLE_BYTES);
    assert!(process.default.get().is_none(), "nobody has asked");
    hold.take(1, NOW);
    assert!(process.default.get().is_some());
    let limited = budget_of(1000);
    assert_eq!(limited.join().take(LITTLE_BYTES, NOW), 500);
}

#[test]
fn what_readers_pass_is_given_back_and_so_is_what_a_dropped_mapping_held() {
    let process = budget_of(1000);
    let hold = process.join();
    hold.take(300, NOW);
    hold.settle(200, NOW);
    assert_eq!(process.stats().ahead, ByteLen(200));
    hold.settle(250, NOW);
    assert_eq!(process.stats().ahead, ByteLen(200), "nobody has taken more");
    drop(hold);
    assert_eq!((process.stats().ahead, process.stats().ahead_most), (ByteLen(0), ByteLen(300)));
}

#[test]
fn a_lower_limit_holds_from_the_next_fetch_on() {
    let process = budget_of(1000);
    let hold = process.join();
    hold.take(400, NOW);
    process.set_limit(500);
    assert_eq!(hold.take(1, NOW), 0);
    hold.settle(100, NOW);
    assert_eq!(hold.take(1000, NOW), 150);
    process.set_limit(0);
    assert_eq!(process.join().take(1, NOW), 0);
}

#[test]
fn who_idles_gives_up_what_others_need() {
    let process = budget_of(1000);
    let later = |nanos: u64| Nanos(NOW.0 + nanos);
    let idle: Vec<_> = (0..3).map(|_| process.join()).collect();
    idle.iter().for_each(|hold| assert!(hold.take(1000, NOW) > 100));
    idle[0].settle(500, later(ROUND_NANOS * 5));
    let hold = process.join();
    let before = hold.take(1000, later(IDLE_NANOS - 1));
    assert!(before < 100, "{before}");
    // The round is not due yet.
    assert_eq!(hold.take(1000, later(IDLE_NANOS)), 0);
    let after = hold.take(1000, later(IDLE_NANOS + ROUND_NANOS));
    let stats = process.stats();
    assert!(before + after == 250, "{before} {after} {stats:?}");
    assert_eq!((stats.given_up, stats.ahead), (ByteLen(375), ByteLen(750)));
    // It comes back, and what it had is not there twice.
    idle[1].settle(250, later(IDLE_NANOS + ROUND_NANOS));
    assert_eq!(process.stats().ahead, ByteLen(750));
}

#[test]
fn whoever_takes_at_once_the_limit_holds_and_all_comes_back() {
    let process = budget_of(10_000);
    std::thread::scope(|scope| {
        for seed in 1..=4u64 {
            scope.spawn(move || {
                let hold = process.join();
                let (mut random, mut own) = (seed, 0);
                for _ in 0..50_000 {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    own += hold.take(random >> 52, NOW);
                    if random & (1 << 40) == 0 {
                        own /= 2;
                        hold.settle(own, NOW);
                    }
                }
            });
        }
    });
    let stats = process.stats();
    assert!(stats.ahead_most <= ByteLen(10_000), "{stats:?}");
    assert_eq!(stats.ahead, ByteLen(0));
}

#[test]
fn the_default_is_a_share_of_what_this_machine_has() {
    let budget = Process::new().stats().budget.0;
    let available = memory::available().unwrap();
    assert!(budget > available / 16 && budget < available / 4, "{budget} of {available}");
}
