//! Placeholder until the reader lands.

use std::fs::File;
use std::io;
use std::path::Path;

/// Placeholder.
#[derive(Debug)]
pub struct Reader(File);

impl Reader {
    /// Placeholder.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Reader> {
        File::open(path).map(Reader)
    }
}

impl io::Read for Reader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}
