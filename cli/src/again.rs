//! The commands that make the same again.

use std::path::Path;

use mmap_ahead_bench::environment::Environment;

use crate::report::RESULTS;

/// What a report tells its reader to type: the same commit, the same arguments, and the figures
/// alone.
pub(crate) fn commands(environment: &Environment, out: &Path) -> Vec<String> {
    let arguments: Vec<String> = std::env::args().skip(1).map(|word| quoted(&word)).collect();
    let commit = environment.commit.as_deref().filter(|commit| !commit.ends_with("-dirty"));
    let checkout = commit.map(|commit| format!("git checkout {commit}"));
    let results = quoted(&out.join(RESULTS).to_string_lossy());
    let out = quoted(&out.to_string_lossy());
    checkout
        .into_iter()
        .chain([
            format!("cargo run --release -- {}", arguments.join(" ")),
            format!("cargo run --release -- plot {results} -o {out}"),
        ])
        .collect()
}

/// `word` as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gets_the_words_back() {
        assert_eq!(quoted("stride:64KiB"), "stride:64KiB");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), "'it'\\''s'");
        assert_eq!(quoted(""), "''");
    }
}
