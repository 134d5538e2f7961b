use super::*;
use crate::testing::file;

fn all() -> Results {
    let mut results = file("compare.jsonl");
    for name in ["watched", "choi", "sim", "sweep", "validate"] {
        results.append(file(&format!("{name}.jsonl")));
    }
    results
}

fn told() -> Told {
    Told {
        commands: vec!["cargo run --release -- demo --size 1GiB".into()],
        files: vec!["results.jsonl".into()],
        left_out: vec!["warm <tmpfs>: not enough memory".into()],
    }
}

#[test]
fn the_page_holds_every_figure_and_needs_nothing_else() {
    let results = all();
    let drawings = crate::draw(&results).unwrap();
    assert_eq!(drawings.len(), 13, "every figure has something to show");
    let page = html(&results, &drawings, &told()).unwrap();
    assert_eq!(page.matches("<svg").count(), 26);
    assert_eq!(page.matches("<figure").count(), 13);
    let foreign = page.replace("http://www.w3.org/2000/svg", "");
    for outside in ["http:", "https:", "<script", "src=", "@import", "url("] {
        assert!(!foreign.contains(outside), "the page asks for `{outside}`");
    }
    for text in [
        "2.00 times as fast where it helped most: with the file on the disk (cold ext4, read-ahead 128 KiB)",
        "<dt>memmap2</dt>\n<dd>plain memory mapping",
        "<dt>tmpfs</dt>",
        "95 of 100 intervals",
        "page fault",
        "<td>1.93 to 2.06</td>",
        "Linux 6.18.44",
        "cargo run --release -- demo --size 1GiB",
        "warm &lt;tmpfs&gt;: not enough memory",
        "results.jsonl",
    ] {
        assert!(page.contains(text), "no `{text}` in the page");
    }
    assert!(!page.contains("NaN"));
}

#[test]
fn few_runs_are_said_to_be_few() {
    let mut results = all();
    results.ratios.iter_mut().for_each(|ratio| (ratio.runs, ratio.ci_coverage) = (3, 0.75));
    let page = html(&results, &[], &told()).unwrap();
    assert!(page.contains("75 of 100 intervals") && !page.contains("95 of 100"));
    assert!(words::lead(&results).contains("3 runs are few"), "{}", words::lead(&results));
    results.ratios.iter_mut().for_each(|ratio| ratio.ci_coverage = 0.0);
    assert!(words::lead(&results).contains("nothing for sure"), "{}", words::lead(&results));
}

#[test]
fn a_changed_tree_is_said_to_be_one() {
    let mut results = all();
    assert!(!words::again(&results).contains("cannot be had"));
    let environment = results.runs[0].environment.as_mut().unwrap();
    environment.commit = Some("abc-dirty".into());
    assert!(words::again(&results).contains("after commit abc: exactly"));
}

#[test]
fn every_tag_of_the_page_is_closed() {
    let results = all();
    let page = html(&results, &crate::draw(&results).unwrap(), &told()).unwrap();
    for tag in [
        "main", "figure", "div", "svg", "text", "table", "tbody", "tr", "td", "p", "ul", "li",
        "pre", "dl", "dt", "dd",
    ] {
        let opened =
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "<{tag}>");
    }
}

#[test]
fn words_claim_no_more_than_the_interval() {
    assert!(verdict(1.5, [1.4, 1.6], 0.95).contains("1.50 times as fast"));
    assert!(verdict(0.8, [0.7, 0.9], 0.95).contains("costs time here, 25%"));
    assert!(verdict(1.0, [0.98, 1.02], 0.95).contains("no difference"));
    assert!(verdict(1.2, [0.9, 1.6], 0.95).contains("vary too much"));
    assert!(verdict(1.5, [1.5, 1.5], 0.0).contains("too few runs"));
    let mut results = all();
    results.ratios.iter_mut().for_each(|ratio| ratio.speedup_ci95 = [0.9, 2.1]);
    assert!(words::lead(&results).contains("no difference that the runs are sure of"));
    results.ratios[0].speedup_ci95 = [0.5, 0.6];
    results.ratios[3].speedup_ci95 = [1.7, 1.9];
    assert!(
        words::lead(&results).contains("In one case it was slower"),
        "{}",
        words::lead(&results)
    );
}

/// `MMAP_AHEAD_PLOTS_TRY=DIR cargo test -p mmap-ahead-plots` leaves page and figures in DIR.
#[test]
fn the_page_and_its_figures_can_be_looked_at() {
    let dir = tempfile::tempdir().unwrap();
    let out = std::env::var_os("MMAP_AHEAD_PLOTS_TRY");
    let out = out.as_deref().map_or(dir.path(), Path::new).join("page");
    let results = all();
    let drawings = crate::draw(&results).unwrap();
    let page = write(&results, &drawings, &told(), &out).unwrap();
    assert!(std::fs::metadata(page).unwrap().len() > 10_000);
    for drawing in &drawings {
        let [svg, png] = drawing.write(&out).unwrap();
        assert!(std::fs::read_to_string(svg).unwrap().ends_with("</svg>\n"));
        assert_eq!(std::fs::read(png).unwrap()[..8], *b"\x89PNG\r\n\x1a\n");
    }
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = write(&all(), &[], &told(), &file.join("out")).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot write {}", file.display())), "{error}");
}
