use super::*;

fn refused(text: &str) -> String {
    Results::parse("r.jsonl", text).unwrap_err().to_string()
}

const GOOD: &str = r#"{"kind":"run","engine":"mmap","pattern":"seq","cache":"warm","bytes":4096,"seconds":1.0,"gb_per_s":2.0}"#;

#[test]
fn every_committed_file_is_read_whole() {
    let count = |name: &str| {
        let results = crate::testing::file(name);
        let measured = results.runs.len() + results.ratios.len() + results.latencies.len();
        let watched = results.fault_maps.len() + results.memories.len();
        let modelled = results.choi.len() + results.sims.len() + results.sweeps.len();
        measured + watched + modelled + results.validations.len()
    };
    let names = ["compare", "watched", "choi", "sim", "sweep", "validate"];
    for name in names.map(|name| format!("{name}.jsonl")) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(&name);
        let text = std::fs::read_to_string(path).unwrap();
        let company =
            |line: &&str| line.contains(r#""kind":"sweep""#) || line.contains(r#""kind":"cell""#);
        let lines = text.lines().filter(|line| !company(line)).count();
        assert_eq!(count(&name), lines, "{name}");
    }
}

#[test]
fn a_damaged_line_is_named() {
    let cut = &GOOD[..GOOD.len() - 4];
    assert!(refused(&format!("{GOOD}\n\n{cut}\n")).starts_with("r.jsonl: line 3: column "));
    assert!(refused("no json").starts_with("r.jsonl: line 1: "));
    assert!(refused(r#"{"engine":"mmap"}"#).contains("missing field `kind`"));
    let missing = GOOD.replace(r#""seconds":1.0,"#, "");
    assert!(
        refused(&missing).contains("line 1: column") && refused(&missing).contains("`seconds`")
    );
    let unknown = refused(r#"{"kind":"novel","pages":300}"#);
    assert_eq!(unknown, "r.jsonl: line 1: `novel` is no kind of result that can be drawn");
}

#[test]
fn values_that_nothing_can_measure_are_named() {
    for value in ["0.0", "-1.0", "1e999", "null", "\"2\""] {
        let line = GOOD.replace(r#""gb_per_s":2.0"#, &format!(r#""gb_per_s":{value}"#));
        assert!(refused(&line).starts_with("r.jsonl: line 1: "), "{value}");
    }
    let ratio = r#"{"kind":"ratio","engine":"e","baseline":"b","speedup_median":3.0,"speedup_ci95":[1.0,2.0],"runs":7}"#;
    assert!(refused(ratio).contains("outside of its interval 1 to 2"), "{}", refused(ratio));
    let sim = r#"{"kind":"sim","workload":"w","strategy":"s","virtual_seconds":1.0,"reader_ns":9,"breakdown":{"a_ns":5}}"#;
    assert!(refused(sim).contains("adds up to 5 ns, not to 9 ns"), "{}", refused(sim));
    let share =
        r#"{"kind":"sim","workload":"t","strategy":"p","virtual_seconds":1.0,"accuracy":1.5}"#;
    assert!(refused(share).contains("accuracy is 1.5"), "{}", refused(share));
    let map = r#"{"kind":"fault_map","engine":"e","policy":"","pattern":"seq","cache":"cold","pages":4,"page_bytes":4096,"seconds":1.0,"touches":[[0,4]],"faults":[],"fetched":[],"wasted":[],"frontier":[]}"#;
    assert!(refused(map).contains("a touched page 4 lies beyond the file"), "{}", refused(map));
}

#[test]
fn an_empty_file_has_nothing_to_draw() {
    assert_eq!(refused("\n \n"), "r.jsonl: holds no results");
}

#[test]
fn what_is_no_text_and_what_has_no_end_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.jsonl");
    std::fs::write(&path, [GOOD.as_bytes(), b"\n\xff\xfe\n"].concat()).unwrap();
    let refused = |path: &Path| Results::read(path).unwrap_err().to_string();
    assert_eq!(refused(&path), "r.jsonl: line 2: it is no text (UTF-8)");
    assert!(refused(dir.path()).ends_with("Is a directory (os error 21)"));
    assert!(refused(Path::new("/dev/zero")).contains("/dev/zero: it is longer than"));
}

#[test]
fn numbers_beyond_all_measure_are_named_and_none_overflows() {
    let most = u64::MAX;
    let sim = format!(
        r#"{{"kind":"sim","workload":"w","strategy":"s","virtual_seconds":1.0,"breakdown":{{"a_ns":{most},"b_ns":{most}}}}}"#
    );
    assert!(refused(&sim).contains("longer than any run"), "{}", refused(&sim));
    assert!(refused(&GOOD.replace("4096", "0")).contains("bytes is 0"));
    assert!(refused(&GOOD.replace("2.0", "1e300")).contains("which nothing can measure"));
    let mean = r#"{"kind":"summary","machine":"m","workload":"w","strategy":"s","window_pages":1,"distance_pages":1,"runs":1,"seconds":{"mean":3.0,"ci95":[1.0,2.0]}}"#;
    assert!(refused(mean).contains("the mean 3 is outside"), "{}", refused(mean));
    let latency = format!(
        r#"{{"kind":"touch_latency","engine":"e","pattern":"seq","cache":"cold","touch":1,"counts":[[0,{most}],[{most},{most}]]}}"#
    );
    let many = 1_000_000_000_000_000_u64;
    let sweep = format!(
        r#"{{"kind":"summary","machine":"m","workload":"w","strategy":"s","window_pages":{many},"distance_pages":{many},"runs":1,"seconds":{{"mean":1.0,"ci95":null}}}}"#
    );
    let results = Results::parse("r.jsonl", &format!("{latency}\n{sweep}\n{GOOD}")).unwrap();
    assert!(crate::draw(&results).is_ok());
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Results::read(Path::new("/no/such/results.jsonl")).unwrap_err().to_string();
    assert!(error.starts_with("cannot read /no/such/results.jsonl"), "{error}");
}

#[test]
fn the_company_of_a_known_kind_is_left_alone() {
    let company = r#"{"kind":"choi_gain","strategy":"map-ahead","gain":0.5}"#;
    let results = Results::parse("r", &format!("{company}\n{GOOD}")).unwrap();
    assert_eq!(results.runs.len(), 1);
    assert!(refused(r#"{"kind":"choir_gain"}"#).contains("no kind of result"));
}
