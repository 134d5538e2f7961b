//! How the examples begin and end: usage on wrong words (exit status 2), one clear line on failure (1).

use std::error::Error;
use std::ffi::OsString;
use std::process::{ExitCode, exit};

pub(crate) struct Example {
    pub(crate) name: &'static str,
    /// What comes after the name, and what it means.
    pub(crate) usage: &'static str,
}

impl Example {
    /// The words of the command line, none of which is an option. Does not return when help is asked for.
    pub(crate) fn words(&self, most: usize) -> Vec<OsString> {
        let words: Vec<OsString> = std::env::args_os().skip(1).collect();
        let first =
            words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        match first.as_str() {
            "--help" | "-h" => {
                println!("usage: {} {}", self.name, self.usage);
                exit(0);
            }
            option if option.starts_with('-') => self.wrong(&format!("{option} is unknown")),
            _ if words.len() > most => self.wrong("too many words"),
            _ => words,
        }
    }

    /// Ends with what is wrong with the command line.
    pub(crate) fn wrong(&self, what: &str) -> ! {
        eprintln!("{}: {what}\nusage: {} {}", self.name, self.name, self.usage);
        exit(2)
    }

    /// Ends with what went wrong, if anything did.
    pub(crate) fn end(&self, outcome: Result<(), Box<dyn Error>>) -> ExitCode {
        let Err(error) = outcome else { return ExitCode::SUCCESS };
        eprintln!("{}: {error}", self.name);
        ExitCode::FAILURE
    }
}
