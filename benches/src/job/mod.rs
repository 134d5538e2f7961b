//! Real jobs in place of sums: the same code over a plain `&[u8]`, whichever engine lends it.
//!
//! Behind the feature `jobs`, so that a plain build stays light.

#[cfg(feature = "jobs")]
mod files;
#[cfg(feature = "jobs")]
mod work;

use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;

use crate::Error;
use crate::datafile::{Afterwards, DataFile};

/// Something that programs do with a whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    /// Counts the lines of a text (memchr).
    Lines,
    /// BLAKE3 of the file, on one thread (blake3).
    Blake3,
    /// Parses a CSV file and sums a column (csv).
    Csv,
    /// Reads every record batch of an Arrow IPC file and sums a column (arrow-ipc).
    Arrow,
    /// Sums every tensor of a safetensors file (safetensors).
    Tensors,
}

impl Job {
    /// Every job.
    pub const ALL: [Job; 5] = [Job::Lines, Job::Blake3, Job::Csv, Job::Arrow, Job::Tensors];

    /// The name that [`Job::from_str`] takes back.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Job::Lines => "lines",
            Job::Blake3 => "blake3",
            Job::Csv => "csv",
            Job::Arrow => "arrow",
            Job::Tensors => "tensors",
        }
    }

    /// Does the job; what comes out is the same whoever lends the bytes.
    ///
    /// # Errors
    /// When the bytes are not what the job reads; [`io::ErrorKind::Unsupported`] without the
    /// feature `jobs`.
    pub fn work(self, bytes: &[u8]) -> io::Result<u64> {
        #[cfg(feature = "jobs")]
        return work::work(self, bytes);
        #[cfg(not(feature = "jobs"))]
        {
            let _ = bytes;
            Err(io::Error::new(io::ErrorKind::Unsupported, BUILT_WITHOUT))
        }
    }

    /// A file of about `len` bytes that the job can read, in `dir`.
    ///
    /// # Errors
    /// As [`DataFile::make`]; [`Error::Usage`] without the feature `jobs`.
    pub fn file(
        self,
        dir: &Path,
        len: u64,
        seed: u64,
        afterwards: Afterwards,
    ) -> Result<DataFile, Error> {
        #[cfg(feature = "jobs")]
        return files::file(self, dir, len, seed, afterwards);
        #[cfg(not(feature = "jobs"))]
        {
            let _ = (dir, len, seed, afterwards);
            Err(Error::Usage(BUILT_WITHOUT.to_owned()))
        }
    }
}

#[cfg(not(feature = "jobs"))]
const BUILT_WITHOUT: &str =
    "built without jobs; run: cargo run --release --features jobs -- compare --job ..";

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Job {
    type Err = Error;

    fn from_str(name: &str) -> Result<Job, Error> {
        Job::ALL.into_iter().find(|job| job.name() == name).ok_or_else(|| {
            let known: Vec<_> = Job::ALL.iter().map(|job| job.name()).collect();
            Error::Usage(format!("unknown job `{name}`; known: {}", known.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_back() {
        for job in Job::ALL {
            assert_eq!(job.name().parse::<Job>().unwrap(), job);
        }
        assert!(matches!("line".parse::<Job>(), Err(Error::Usage(_))));
    }

    #[cfg(not(feature = "jobs"))]
    #[test]
    fn without_the_feature_the_answer_is_how_to_get_it() {
        let error = Job::Csv.work(b"1,2\n").unwrap_err();
        assert!(error.to_string().contains("--features jobs"), "{error}");
    }

    #[cfg(feature = "jobs")]
    #[test]
    fn every_job_reads_its_own_file_and_notices_another() {
        let dir = tempfile::tempdir().unwrap();
        for job in Job::ALL {
            let file = job.file(dir.path(), 3 << 20, 7, Afterwards::Remove).unwrap();
            let mut bytes = std::fs::read(file.path()).unwrap();
            assert!((2 << 20..5 << 20).contains(&bytes.len()), "{job}: {}", bytes.len());
            let right = job.work(&bytes).unwrap();
            assert_eq!(job.work(&bytes).unwrap(), right, "{job}");
            let middle = bytes.len() / 2;
            bytes[middle..middle + (1 << 20)].fill(b'\n');
            assert_ne!(job.work(&bytes).ok(), Some(right), "{job} does not read the middle");
        }
    }
}
