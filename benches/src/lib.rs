//! The laboratory: reads one file through several engines, in turn, and says which is faster.
//!
//! - [`pattern`] and [`steps`] say which bytes are read in which order, [`checksum`] that all of
//!   them were read and none was mistaken for another;
//! - [`datafile`] makes the file, [`cache`] brings it into or out of the page cache;
//! - [`engine`] names the engines, [`access`] reads through one, or lets a [`job`] do so, [`run`] times it;
//! - [`compare`] runs the engines in turn, each in a fresh child process ([`spawn`]), and
//!   [`interval`] and [`wilcoxon`] say how sure the ratios are;
//! - [`watch`] makes runs that are looked at instead of timed;
//! - [`matrix`] is the page of all patterns on all file systems, some of them made by [`loop_fs`];
//! - [`environment`], [`device`], [`read_ahead`] say on what machine, and [`cleanup`] puts
//!   everything back on every exit.

#![forbid(unsafe_code)]

pub mod access;
pub mod busy;
pub mod cache;
pub mod checksum;
pub mod cleanup;
pub mod compare;
pub mod datafile;
pub mod device;
pub mod engine;
pub mod environment;
mod error;
pub mod free_memory;
pub mod interval;
pub mod job;
pub mod loop_fs;
pub mod matrix;
pub mod pattern;
pub mod random;
pub mod read_ahead;
pub mod recorded;
pub mod result;
pub mod run;
pub mod size;
pub mod spawn;
pub mod steps;
pub mod watch;
pub mod wilcoxon;

pub use error::Error;
