//! A hostile, damaged or truncated file is an error, never a crash: random headers and lengths, and a
//! peer that writes nonsense while the channel is in use (TRAPS 24).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mmap_ahead_extras::shm::{CAPACITY_MIN, Channel, Latch, ShmError};
use proptest::prelude::*;

const HEADER_LEN: usize = 4096;
const FIELDS: [u64; 13] = [0, 8, 16, 20, 128, 136, 140, 144, 256, 264, 268, 272, 132];

/// Magic numbers, or none.
const KINDS: [&[u8]; 3] = [b"", b"mmahchn\x01", b"mmahlat\x01"];

/// A good file of either kind, to be damaged.
fn good(dir: &Path, kind: &str) -> PathBuf {
    let path = dir.join(kind);
    match kind {
        "channel" => drop(Channel::create(&path, CAPACITY_MIN).unwrap()),
        _ => drop(Latch::create(&path, 3).unwrap()),
    }
    path
}

/// Uses whatever can be opened, with short waits only.
fn use_it(path: &Path) -> Vec<ShmError> {
    let mut errors = Vec::new();
    let mut note = |result: Result<(), ShmError>| errors.extend(result.err());
    match Channel::open(path) {
        Err(error) => note(Err(error)),
        Ok(channel) => {
            let (sender, receiver) = (channel.sender(), channel.receiver());
            // Both are there, so that nobody waits for ever.
            if let (Ok(mut sender), Ok(mut receiver)) = (sender, receiver) {
                note(sender.send_some(&[7; 100]).map(drop));
                note(receiver.receive(&mut [0; 100]).map(drop));
            }
        }
    }
    match Latch::open(path) {
        Err(error) => note(Err(error)),
        Ok(latch) => {
            note(latch.is_open().map(drop));
            note(latch.wait(Some(Duration::from_millis(1))).map(drop));
            note(latch.join().map(|party| party.arrive()));
        }
    }
    errors
}

/// Numbers that are near something: bounds, powers of two, what the fields hold.
fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..5_u64,
        (0..64_u32, 0..3_u64).prop_map(|(bit, near)| (1 << bit) + near - 1),
        Just(CAPACITY_MIN as u64),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn fields_of_a_good_header_are_overwritten(
        writes in prop::collection::vec((prop::sample::select(&FIELDS[..]), number()), 1..5),
        kind in prop::sample::select(&["channel", "latch"][..]),
    ) {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = good(dir.path(), kind);
        let file = File::options().write(true).open(&path).unwrap();
        for (at, value) in writes {
            file.write_all_at(&value.to_ne_bytes(), at).unwrap();
        }
        use_it(&path);
    }

    #[test]
    fn any_bytes_of_any_length(
        header in prop::collection::vec(any::<u8>(), 0..400),
        len in prop_oneof![0..10_000_u64, Just(2 * CAPACITY_MIN as u64), Just(HEADER_LEN as u64)],
        kind in prop::sample::select(&KINDS[..]),
    ) {
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = dir.path().join("file");
        let file = File::create(&path).unwrap();
        file.write_all_at(&header, 0).unwrap();
        file.write_all_at(kind, 0).unwrap();
        file.set_len(len).unwrap();
        let errors = use_it(&path);
        prop_assert!(!errors.is_empty(), "one of the two kinds at least is not in it");
    }
}

#[test]
fn a_truncated_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    for kind in ["channel", "latch"] {
        let path = good(dir.path(), kind);
        let len = std::fs::metadata(&path).unwrap().len();
        for cut in [0, 1, 7, 8, 100, HEADER_LEN as u64 - 1, len - 1] {
            File::options().write(true).open(&path).unwrap().set_len(cut).unwrap();
            for error in [Channel::open(&path).err().unwrap(), Latch::open(&path).err().unwrap()] {
                assert!(matches!(error, ShmError::NotOurs { .. }), "{kind} {cut}: {error}");
            }
            std::fs::remove_file(&path).unwrap();
            good(dir.path(), kind);
        }
    }
}

#[test]
fn what_is_no_file_is_an_error_and_blocks_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    if !made.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: there is no mkfifo");
        return;
    }
    for path in [dir.path(), &pipe, Path::new("/dev/null"), Path::new("/no/such/file")] {
        assert!(Channel::open(path).is_err(), "{}", path.display());
    }
}

#[test]
fn a_capacity_that_is_none_is_refused() {
    for capacity in [0, 1, CAPACITY_MIN - 1, CAPACITY_MIN + 1, 3 * CAPACITY_MIN, usize::MAX] {
        let error = Channel::anonymous(capacity).unwrap_err();
        assert!(matches!(error, ShmError::Configuration { .. }), "{capacity}: {error}");
    }
    for parties in [0, 65] {
        assert!(matches!(Latch::anonymous(parties), Err(ShmError::Configuration { .. })));
    }
}

#[test]
fn a_peer_that_writes_nonsense_is_told_on() {
    // The sender's position, which is 10: beyond the ring, far beyond, back before what was received,
    // and back before what was sent.
    for nonsense in [CAPACITY_MIN as u64 + 11, u64::MAX, 3, 7] {
        let dir = tempfile::tempdir().unwrap();
        let path = good(dir.path(), "channel");
        let channel = Channel::open(&path).unwrap();
        let (mut sender, mut receiver) = (channel.sender().unwrap(), channel.receiver().unwrap());
        sender.send(&[1; 10]).unwrap();
        receiver.receive_exact(&mut [0; 5]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(&nonsense.to_ne_bytes(), 128).unwrap();
        // And told on again, also to whoever wants more than the ring holds.
        for wanted in [10, 3 * CAPACITY_MIN] {
            let error = receiver.receive(&mut vec![0; wanted]).unwrap_err();
            assert!(matches!(error, ShmError::Corrupt { .. }), "{nonsense}: {error}");
        }
    }
    // The receiver's position, beyond what was sent.
    let dir = tempfile::tempdir().unwrap();
    let path = good(dir.path(), "channel");
    let channel = Channel::open(&path).unwrap();
    let mut sender = channel.sender().unwrap();
    sender.send(&vec![1; CAPACITY_MIN]).unwrap();
    let file = File::options().write(true).open(&path).unwrap();
    file.write_all_at(&(CAPACITY_MIN as u64 + 1).to_ne_bytes(), 256).unwrap();
    for _ in 0..2 {
        let error = sender.send(&[1; 10]).unwrap_err();
        assert!(matches!(error, ShmError::Corrupt { .. }), "{error}");
    }
}

#[test]
fn nobody_cuts_an_anonymous_channel_short() {
    let channel = Channel::anonymous(CAPACITY_MIN).unwrap();
    let ours = format!("/proc/{}/fd", std::process::id());
    let is_it = |path: &PathBuf| {
        let name = std::fs::read_link(path).unwrap_or_default();
        name.to_string_lossy().starts_with("/memfd:mmap-ahead-shm")
    };
    let found = std::fs::read_dir(ours).unwrap().map(|entry| entry.unwrap().path()).filter(is_it);
    let files: Vec<PathBuf> = found.collect();
    assert!(!files.is_empty());
    for path in files {
        // Another test's may be gone by now.
        let Ok(file) = File::options().write(true).open(path) else { continue };
        assert_eq!(file.set_len(0).unwrap_err().raw_os_error(), Some(1), "EPERM");
        assert!(file.set_len(1 << 20).is_err());
    }
    drop(channel);
}

/// Every place where one of the two may be when the file goes: in the ring, at the end, asleep.
#[test]
fn a_file_cut_short_in_use_is_an_error_under_the_guard() {
    let dir = tempfile::tempdir().unwrap();
    for cut in [0, 100, HEADER_LEN as u64, HEADER_LEN as u64 + 100] {
        let path = good(dir.path(), "channel");
        let channel = Channel::open(&path).unwrap().guard_sigbus().unwrap();
        let (mut sender, mut receiver) = (channel.sender().unwrap(), channel.receiver().unwrap());
        sender.send(&[1; 10]).unwrap();
        receiver.receive_exact(&mut [0; 10]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let cutter = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(30));
            file.set_len(cut).unwrap();
        });
        let pump = std::thread::spawn(move || {
            loop {
                if let Err(error) = sender.send(&[1; 3000]) {
                    return error;
                }
            }
        });
        let error = loop {
            let mut buffer = [0; 1000];
            match receiver.receive(&mut buffer) {
                // The sender was the first to notice, and left.
                Ok(0) => break None,
                // In the page that holds the new end the kernel gives zeros without any signal.
                Ok(len) if cut % 4096 == 0 => assert!(buffer[..len].iter().all(|&byte| byte == 1)),
                Ok(_) if cutter.is_finished() && cut > HEADER_LEN as u64 => break None,
                Ok(_) => {}
                Err(error) => break Some(error),
            }
        };
        drop(receiver);
        let others = pump.join().unwrap();
        cutter.join().unwrap();
        if let Some(error) = error {
            assert!(is_of_a_cut(&error), "cut to {cut}: {error}");
        }
        assert!(is_of_a_cut(&others), "cut to {cut}: {others}");
        std::fs::remove_file(&path).unwrap();
    }
}

/// Zeros that the kernel gave without any signal look like nonsense, or like a peer that left.
fn is_of_a_cut(error: &ShmError) -> bool {
    matches!(error, ShmError::CutShort | ShmError::Corrupt { .. } | ShmError::Closed)
}

#[test]
fn a_latch_cut_short_is_an_error_under_the_guard() {
    let dir = tempfile::tempdir().unwrap();
    let path = good(dir.path(), "latch");
    let latch = Latch::open(&path).unwrap().guard_sigbus().unwrap();
    let party = latch.join().unwrap();
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    let error = latch.wait(Some(Duration::from_secs(5))).unwrap_err();
    assert!(matches!(error, ShmError::CutShort), "{error}");
    party.arrive();
}
