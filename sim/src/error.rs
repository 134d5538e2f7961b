//! What a trace or a setup can get wrong.

/// Why nothing was simulated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A trace file does not say what it should.
    #[error("line {line}: {what}")]
    Trace {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it, in words.
        what: String,
    },
    /// A trace file cannot be opened, or says nothing of the file that was asked for.
    #[error("{what}")]
    Read {
        /// Why, in words.
        what: String,
    },
    /// A program's page faults cannot be recorded.
    #[error("{what}")]
    Record {
        /// Why, in words, with what to change.
        what: String,
    },
    /// The modelled machine cannot exist.
    #[error("{what}")]
    Setup {
        /// What is wrong with it, in words.
        what: &'static str,
    },
}
