//! What a trace, a setup or a sheet of costs can get wrong.

/// Why nothing was simulated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
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
    /// Something that is to be measured cannot be.
    #[error("{0}")]
    Calibrate(String),
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
    /// A sheet of costs is not whole.
    #[error("costs: {0}")]
    Costs(String),
    /// A name that nothing answers to.
    #[error("{0}")]
    Unknown(String),
    /// A file of results cannot be read, written or continued.
    #[error("{0}")]
    Results(String),
}
