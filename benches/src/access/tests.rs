use super::*;
use crate::datafile::{Afterwards, DataFile};
use crate::pattern::Pattern;

const LEN: u64 = (3 << 20) + 5000;

/// Every engine over every pattern: the same bytes.
#[test]
fn all_engines_read_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let file = DataFile::make(dir.path(), LEN, 2, Afterwards::Remove).unwrap();
    let mut cases = 0;
    for name in [
        "seq",
        "reverse",
        "stride:12KiB",
        "streams:5",
        "random",
        "zipf:0.9",
        "blocks:1MiB",
        "blocks:100/9000",
    ] {
        let pattern: Pattern = name.parse().unwrap();
        let steps = Steps::new(&pattern, LEN, None, 6).unwrap();
        let set = dir.path().join("set");
        let setup = Setup { set: Some(set.clone()), ..Setup::default() };
        let tally =
            |engine: Engine| Access::open(engine, file.path(), setup.clone())?.sum(steps.clone());
        let right = tally(Engine::Read(4096)).unwrap();
        assert!(right.bytes > 0 && right.steps > 0);
        assert_eq!(record(file.path(), steps.clone(), &set).unwrap(), right, "recorded {name}");
        for engine in Engine::ALL {
            assert_eq!(tally(engine).unwrap(), right, "{engine} {name}");
            cases += 1;
        }
    }
    assert_eq!(cases, 8 * Engine::ALL.len());
}

#[test]
fn threads_that_share_the_steps_read_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let file = DataFile::make(dir.path(), LEN, 2, Afterwards::Remove).unwrap();
    let steps = Steps::new(&Pattern::Random, LEN, None, 3).unwrap().first(500);
    let tally = |engine, threads| {
        Access::open(engine, file.path(), Setup::default())?.sum_by(&steps, threads)
    };
    let right = tally(Engine::Read(1 << 20), 1).unwrap();
    assert_eq!(right.steps, 500);
    for engine in Engine::ALL {
        match tally(engine, 3) {
            Ok(tally) => assert_eq!(tally, right, "{engine}"),
            Err(error) if engine == Engine::MmapReplay => {
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "it has no set");
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{engine}");
                assert!(
                    matches!(
                        engine,
                        Engine::Reader | Engine::Direct | Engine::BufReader | Engine::Rayon
                    ),
                    "{engine}"
                );
            }
        }
    }
}

#[test]
fn a_file_cut_under_the_steps_is_an_error_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let file = DataFile::make(dir.path(), LEN, 2, Afterwards::Remove).unwrap();
    let steps = Steps::new(&Pattern::Seq, LEN + 4096, None, 0).unwrap();
    for engine in
        [Engine::Read(1 << 20), Engine::Memmap2(lab::Peer::Plain), Engine::Mmap, Engine::Direct]
    {
        let mut access = Access::open(engine, file.path(), Setup::default()).unwrap();
        let error = access.sum(steps.clone()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof, "{engine}");
    }
}
