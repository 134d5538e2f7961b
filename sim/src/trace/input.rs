//! Opens a trace: what it is compressed with is seen in its first bytes, and its lines are counted.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::Error;

/// The longest line; more is no text, and would be kept in memory whole.
const LINE_MAX: u64 = 1 << 20;

/// Source: RFC 1952, section 2.3.1.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Source: RFC 8878, section 3.1.1.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The lines of a text, with their numbers, one in memory at a time.
pub(super) struct Lines {
    text: Box<dyn BufRead + Send>,
    line: Vec<u8>,
    number: usize,
}

impl Lines {
    /// Of the file at `path`, decompressed where it is gzip or zstd.
    pub(super) fn open(path: &Path) -> Result<Lines, Error> {
        let file = File::open(path).map_err(|error| Error::Read { what: error.to_string() })?;
        Lines::of(file).map_err(|error| Error::Read { what: error.to_string() })
    }

    /// Of any bytes, decompressed likewise.
    pub(super) fn of(bytes: impl Read + Send + 'static) -> io::Result<Lines> {
        let mut bytes = BufReader::with_capacity(1 << 16, bytes);
        let head = bytes.fill_buf()?;
        let text: Box<dyn BufRead + Send> = if head.starts_with(&GZIP_MAGIC) {
            Box::new(BufReader::new(flate2::bufread::MultiGzDecoder::new(bytes)))
        } else if head.starts_with(&ZSTD_MAGIC) {
            let frames = ruzstd::decoding::StreamingDecoder::new(bytes);
            Box::new(BufReader::new(frames.map_err(io::Error::other)?))
        } else {
            Box::new(bytes)
        };
        Ok(Lines { text, line: Vec::new(), number: 0 })
    }

    /// The next line without its end; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<&str>, Error> {
        self.line.clear();
        self.number += 1;
        let at = |what: String| Error::Trace { line: self.number, what };
        let read = (&mut self.text).take(LINE_MAX).read_until(b'\n', &mut self.line);
        let read = read.map_err(|error| at(error.to_string()))?;
        if read as u64 == LINE_MAX {
            return Err(at(format!("it is longer than {LINE_MAX} bytes: this is no text")));
        }
        if read == 0 {
            return Ok(None);
        }
        let text = std::str::from_utf8(&self.line).map_err(|_| at("it is not text".into()))?;
        Ok(Some(text.trim_end_matches(['\n', '\r'])))
    }

    /// An error about the line that was read last.
    pub(super) fn error(&self, what: String) -> Error {
        Error::Trace { line: self.number, what }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn all(bytes: &[u8]) -> Vec<String> {
        let mut lines = Lines::of(io::Cursor::new(bytes.to_vec())).unwrap();
        let mut found = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            found.push(line.to_owned());
        }
        found
    }

    #[test]
    fn compressed_text_is_the_same_text() {
        let text = "one\ntwo\r\n\nthree";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes()).unwrap();
        let gzip = gzip.finish().unwrap();
        let zstd = ruzstd::encoding::compress_to_vec(
            text.as_bytes(),
            ruzstd::encoding::CompressionLevel::Fastest,
        );
        let twice = [gzip.clone(), gzip.clone()].concat();
        for bytes in [text.as_bytes().to_vec(), gzip, zstd] {
            assert_eq!(all(&bytes), ["one", "two", "", "three"]);
        }
        // Two members, as a log that is compressed piece by piece has them.
        assert_eq!(all(&twice), ["one", "two", "", "threeone", "two", "", "three"]);
    }

    fn refused(bytes: Vec<u8>) -> String {
        let mut lines = Lines::of(io::Cursor::new(bytes)).unwrap();
        loop {
            match lines.next() {
                Ok(Some(_)) => {}
                Ok(None) => return "nothing".to_owned(),
                Err(error) => return error.to_string(),
            }
        }
    }

    #[test]
    fn what_is_no_text_is_refused_where_it_stops_being_one() {
        assert_eq!(refused(b"fine\n\xff\xfe\n".to_vec()), "line 2: it is not text");
        assert!(refused(vec![b'x'; 3 << 20]).starts_with("line 1: it is longer than"));
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all("many words\n".repeat(1000).as_bytes()).unwrap();
        let mut cut = gzip.finish().unwrap();
        cut.truncate(cut.len() - 9);
        assert!(refused(cut).starts_with("line "), "a cut gzip file was taken for a whole one");
    }
}
