//! What was asked for on the command line.

use std::path::PathBuf;

const USAGE: &str = "\
usage: serve_files [--files N] [--requests N] [--rounds N] [--seed N] [--answer sum|send] [--bars] [DIR..]
  --files N     how many files of 64 KiB to 1 MiB (default: 10000)
  --requests N  how many are asked for in a round (default: 1000)
  --rounds N    how many rounds are measured (default: 41)
  --seed N      another seed, other files and requests (default: 1)
  --answer A    send: what a web server does, the bytes go to a client over TCP;
                sum: the program itself looks at every byte (default: both)
  --bars        exit with 1 unless the cache is as fast as is said of it
  DIR           where the files are made and removed again (default: /dev/shm /var/tmp)";

/// What is done with the bytes of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Added up: the cheapest way to look at every byte.
    Sum,
    /// Sent to a client.
    Send,
}

pub(crate) struct Plan {
    pub(crate) files: u64,
    pub(crate) requests: u64,
    pub(crate) rounds: u64,
    pub(crate) seed: u64,
    pub(crate) answers: Vec<Answer>,
    /// Whether a bar that fails is an error.
    pub(crate) is_judged: bool,
    pub(crate) places: Vec<PathBuf>,
}

impl Plan {
    /// Of the words of the command line; does not return when they are wrong.
    pub(crate) fn of(words: impl Iterator<Item = String>) -> Plan {
        Plan::parse(words).unwrap_or_else(|what| {
            eprintln!("serve_files: {what}\n{USAGE}");
            std::process::exit(2)
        })
    }

    fn parse(mut words: impl Iterator<Item = String>) -> Result<Plan, String> {
        let mut plan = Plan {
            files: 10_000,
            requests: 1_000,
            rounds: 41,
            seed: 1,
            answers: vec![Answer::Send, Answer::Sum],
            is_judged: false,
            places: Vec::new(),
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--files" => plan.files = number(&word, &value()?)?,
                "--requests" => plan.requests = number(&word, &value()?)?,
                "--rounds" => plan.rounds = number(&word, &value()?)?,
                "--seed" => plan.seed = number(&word, &value()?)?,
                "--answer" => plan.answers = vec![answer(&value()?)?],
                "--bars" => plan.is_judged = true,
                "--help" | "-h" => {
                    println!("{USAGE}");
                    std::process::exit(0);
                }
                option if option.starts_with('-') => return Err(format!("{option} is unknown")),
                place => plan.places.push(PathBuf::from(place)),
            }
        }
        if plan.places.is_empty() {
            plan.places = ["/dev/shm", "/var/tmp"].map(PathBuf::from).to_vec();
        }
        match plan.places.iter().find(|place| !place.is_dir()) {
            Some(place) => Err(format!("{} is no directory", place.display())),
            None => Ok(plan),
        }
    }
}

fn number(option: &str, text: &str) -> Result<u64, String> {
    let number = text.parse().ok().filter(|&number| number > 0);
    number.ok_or(format!("{option} wants a whole number from 1 on, not `{text}`"))
}

fn answer(text: &str) -> Result<Answer, String> {
    match text {
        "sum" => Ok(Answer::Sum),
        "send" => Ok(Answer::Send),
        _ => Err(format!("--answer is sum or send, not `{text}`")),
    }
}
