//! Which file a mapping is of, asked when it matters: a mapping keeps no descriptor.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io, ops};

use crate::sys;

/// The kernel writes this behind the name of a file that has none any more.
const DELETED: &[u8] = b" (deleted)";

/// The file of a mapping: its descriptor where one is kept, and its name where it has one.
#[derive(Debug, Default)]
pub(super) struct Whose {
    kept: Option<Arc<File>>,
    named: Mutex<Named>,
}

/// What /proc/self/maps said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Named {
    #[default]
    Unasked,
    /// Something that cannot be found again: removed, a memfd, no file at all.
    Nameless(Option<PathBuf>),
    Known {
        path: PathBuf,
        inode: u64,
    },
}

impl Whose {
    pub(super) fn new(kept: Option<Arc<File>>) -> Whose {
        Whose { kept, named: Mutex::default() }
    }

    pub(super) fn kept(&self) -> Option<Arc<File>> {
        self.kept.clone()
    }

    /// Learns the name, unless it is known: reads /proc/self/maps.
    pub(super) fn ask(&self, addresses: &ops::Range<usize>) {
        let mut named = self.named();
        if *named == Named::Unasked
            && let Ok(found) = look_up(addresses)
        {
            *named = found;
        }
    }

    /// Learns the name from the descriptor that is being mapped, which is faster.
    pub(super) fn ask_descriptor(&self, file: RawFd) {
        let link = format!("/proc/self/fd/{file}");
        if let (Ok(path), Ok(facts)) = (fs::read_link(&link), fs::metadata(&link)) {
            *self.named() = Named::of(path.as_os_str().as_bytes(), facts.ino());
        }
    }

    fn named(&self) -> MutexGuard<'_, Named> {
        self.named.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The length of the file now; `None` where nobody can tell. `addresses`: those of the mapping.
    ///
    /// # Errors
    /// Those of [`look_up`]; the next time may do better.
    pub(super) fn len(&self, addresses: &ops::Range<usize>) -> io::Result<Option<u64>> {
        if let Some(kept) = &self.kept {
            return Ok(sys::regular_len(kept.as_raw_fd()));
        }
        let mut named = self.named();
        // One answer may be out of date: the file was renamed, or another took its name.
        let known = named.len();
        if known.is_some() || matches!(*named, Named::Nameless(_)) {
            return Ok(known);
        }
        *named = look_up(addresses)?;
        let known = named.len();
        if let (None, Named::Known { path, .. }) = (known, &*named) {
            *named = Named::Nameless(Some(path.clone()));
        }
        Ok(known)
    }

    /// How to call the file in a message.
    pub(super) fn name(&self, addresses: &ops::Range<usize>) -> PathBuf {
        self.ask(addresses);
        match &*self.named() {
            Named::Known { path, .. } | Named::Nameless(Some(path)) => path.clone(),
            Named::Nameless(None) | Named::Unasked => PathBuf::from("a file without a name"),
        }
    }
}

impl Named {
    /// From a name as the kernel writes it.
    fn of(name: &[u8], inode: u64) -> Named {
        match name.strip_suffix(DELETED) {
            Some(name) => Named::Nameless(Some(path(name))),
            None if name.first() != Some(&b'/') => Named::Nameless(None),
            None => Named::Known { path: path(name), inode },
        }
    }

    /// The length of the file of that name, if it is still the same and a regular one.
    ///
    /// Only the inode is compared: the device number in /proc/self/maps is another than stat's on
    /// btrfs and overlayfs.
    fn len(&self) -> Option<u64> {
        let Named::Known { path, inode } = self else { return None };
        let facts = fs::metadata(path).ok()?;
        (facts.ino() == *inode && facts.is_file()).then_some(facts.len())
    }
}

/// # Errors
/// EMFILE, ENFILE, ENOMEM: another time it may be asked. Where there is no /proc, nobody can tell.
fn look_up(addresses: &ops::Range<usize>) -> io::Result<Named> {
    let maps = match fs::read("/proc/self/maps") {
        Err(error)
            if matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM)) =>
        {
            return Err(error);
        }
        read => read.unwrap_or_default(),
    };
    let lines = maps.split(|&byte| byte == b'\n');
    let line = lines.filter_map(parse).find(|line| overlap(&line.0, addresses));
    let named = line.map(|(_, inode, name)| Named::of(&unescaped(name), inode));
    Ok(named.unwrap_or(Named::Nameless(None)))
}

fn overlap(one: &ops::Range<usize>, other: &ops::Range<usize>) -> bool {
    one.start < other.end && other.start < one.end
}

/// A line of /proc/self/maps that is of a file: addresses, inode, name. Source: proc(5).
fn parse(line: &[u8]) -> Option<(ops::Range<usize>, u64, &[u8])> {
    let mut rest = line;
    let mut field = || {
        let start = rest.iter().position(|&byte| byte != b' ')?;
        let end = rest[start..].iter().position(|&byte| byte == b' ');
        let end = end.map_or(rest.len(), |len| start + len);
        let field = std::str::from_utf8(&rest[start..end]).ok()?;
        rest = &rest[end..];
        Some(field)
    };
    let (start, end) = field()?.split_once('-')?;
    let address = |digits| usize::from_str_radix(digits, 16).ok();
    let addresses = address(start)?..address(end)?;
    let (_protection, _offset, _device) = (field()?, field()?, field()?);
    let inode = field()?.parse().ok().filter(|&inode| inode != 0)?;
    let start = rest.iter().position(|&byte| byte != b' ')?;
    Some((addresses, inode, &rest[start..]))
}

fn path(name: &[u8]) -> PathBuf {
    OsString::from_vec(name.to_vec()).into()
}

/// The kernel writes a line feed in a name as `\012` there, and nothing else in another way.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        let feed = rest.strip_prefix(br"\012");
        bytes.push(if feed.is_some() { b'\n' } else { *first });
        rest = feed.unwrap_or(tail);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_files_are_read_and_others_are_not() {
        let line = b"7f00-8000 r--s 00001000 fe:00 42                     /a dir/two\\012lines";
        let (addresses, inode, name) = parse(line).unwrap();
        assert_eq!((addresses, inode), (0x7f00..0x8000, 42));
        assert_eq!(path(&unescaped(name)), PathBuf::from("/a dir/two\nlines"));
        assert!(parse(b"7f00-8000 rw-p 00000000 00:00 0      [heap]").is_none());
        assert!(parse(b"7f00-8000 rw-p 00000000 00:00 0").is_none());
        assert!(parse(b"7f00-8000 rw-p").is_none());
        assert!(parse(b"").is_none());
    }
}
