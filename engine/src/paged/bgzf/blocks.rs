//! Where the blocks of a file in block gzip are, and what they say of themselves.

use std::fmt::Display;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Where a block starts, in bytes.
#[derive(Clone, Copy)]
pub(super) struct Start {
    /// In the file.
    pub(super) compressed: u64,
    /// In what the file holds.
    pub(super) uncompressed: u64,
}

/// What a block says of itself before its data, in bytes.
pub(super) struct Header {
    /// How long this is.
    pub(super) len: usize,
    /// How long the block is with its header and trailer.
    pub(super) block_len: usize,
}

/// gzip, deflate, and the flag that says that extra fields follow: what a block begins with.
const MAGIC: [u8; 4] = [31, 139, 8, 4];
/// The header before the extra fields, and with the one that everybody writes and no other.
const FIXED_LEN: usize = 12;
pub(super) const HEADER_LEN: usize = 18;
/// CRC32 and ISIZE, after the data.
pub(super) const TRAILER_LEN: usize = 8;
/// What a block holds at most.
pub(super) const UNCOMPRESSED_LEN_MAX: usize = 1 << 16;
/// The empty block that ends every complete file.
pub(super) const EOF_MARKER: [u8; 28] =
    [31, 139, 8, 4, 0, 0, 0, 0, 0, 255, 6, 0, 66, 67, 2, 0, 27, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Finds the blocks of a file of `file_len` bytes.
pub(super) fn scan(file: &File, file_len: u64) -> io::Result<Vec<Start>> {
    let mut starts = Vec::new();
    let mut at = Start { compressed: 0, uncompressed: 0 };
    while at.compressed < file_len {
        starts.push(at);
        let rest = file_len - at.compressed;
        let block_len = header_at(file, at.compressed, rest)?.block_len as u64;
        if block_len > rest {
            let what = format!("{block_len} bytes long, but the file is truncated after {rest}");
            return Err(broken(at.compressed, what));
        }
        let mut isize = [0; 4];
        file.read_exact_at(&mut isize, at.compressed + block_len - 4)?;
        let isize = u32::from_le_bytes(isize);
        if isize as usize > UNCOMPRESSED_LEN_MAX {
            return Err(broken(at.compressed, format!("claims to hold {isize} bytes")));
        }
        at.compressed += block_len;
        at.uncompressed += u64::from(isize);
    }
    if !ends_with_marker(file, starts.last(), file_len)? {
        let what = format!("truncated: no end-of-file block before offset {file_len}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    starts.push(at);
    Ok(starts)
}

/// Reads the header of the block at `offset`, of which the file has `rest` bytes.
fn header_at(file: &File, offset: u64, rest: u64) -> io::Result<Header> {
    let mut usual = [0; HEADER_LEN];
    let usual = &mut usual[..rest.min(HEADER_LEN as u64) as usize];
    file.read_exact_at(usual, offset)?;
    let magic = &usual[..usual.len().min(MAGIC.len())];
    if !MAGIC.starts_with(magic) {
        return Err(broken(offset, "not BGZF"));
    }
    let truncated = || broken(offset, format!("the file is truncated after {rest} bytes of it"));
    let len = header_len(usual).ok_or_else(truncated)?;
    if len as u64 > rest {
        return Err(truncated());
    }
    if len <= usual.len() {
        return Header::parse(usual).map_err(|what| broken(offset, what));
    }
    let mut longer = vec![0; len];
    file.read_exact_at(&mut longer, offset)?;
    Header::parse(&longer).map_err(|what| broken(offset, what))
}

/// How long the header is that starts with `bytes`, if they go as far as to say so.
fn header_len(bytes: &[u8]) -> Option<usize> {
    let extra_len = bytes.get(FIXED_LEN - 2..FIXED_LEN)?;
    Some(FIXED_LEN + usize::from(u16::from_le_bytes([extra_len[0], extra_len[1]])))
}

impl Header {
    /// Reads what `bytes` start with. The length of the block is in the extra field `BC`, and there
    /// may be others.
    pub(super) fn parse(bytes: &[u8]) -> Result<Header, &'static str> {
        let extra = header_len(bytes).and_then(|len| bytes.get(FIXED_LEN..len));
        let Some(mut extra) = extra.filter(|_| bytes.starts_with(&MAGIC)) else {
            return Err("not BGZF");
        };
        let len = FIXED_LEN + extra.len();
        while let [id1, id2, low, high, rest @ ..] = extra {
            let field_len = usize::from(u16::from_le_bytes([*low, *high]));
            let Some((field, others)) = rest.split_at_checked(field_len) else { break };
            if let (b'B', b'C', [low, high]) = (id1, id2, field) {
                let block_len = usize::from(u16::from_le_bytes([*low, *high])) + 1;
                let fits = block_len > len + TRAILER_LEN;
                return fits.then_some(Header { len, block_len }).ok_or("shorter than its header");
            }
            extra = others;
        }
        Err("not BGZF: gzip without the length of the block")
    }
}

/// Whether the file ends with the empty block, and that is one of its blocks.
fn ends_with_marker(file: &File, last: Option<&Start>, file_len: u64) -> io::Result<bool> {
    let Some(last) = last.filter(|last| file_len - last.compressed == EOF_MARKER.len() as u64)
    else {
        return Ok(false);
    };
    let mut bytes = [0; EOF_MARKER.len()];
    file.read_exact_at(&mut bytes, last.compressed)?;
    Ok(bytes == EOF_MARKER)
}

pub(super) fn broken(offset: u64, what: impl Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("block at offset {offset}: {what}"))
}
