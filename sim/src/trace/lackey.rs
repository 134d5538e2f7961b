//! `valgrind --tool=lackey --trace-mem=yes`: every access to memory, by address.
//!
//! ```text
//! ==123== a remark of valgrind's
//! I  04016b80,3        an instruction: passed over
//!  L 1ffefffe7c,8      a load: address in hexadecimal, size
//!  S 1ffefffe70,8      a store
//!  M 0421c7cc,4        a load and then a store
//! ```
//! What another program printed in between (a line that begins with none of these) is passed over,
//! as valgrind's own documentation warns of it; a line that begins like one and goes on otherwise is
//! an error. All addresses are one file, without a name.
//! Source: lackey/lk_main.c's opening comment, and the Valgrind manual, "Lackey".

use super::access::{Access, Files, Operation, check_extent};

/// Whether a trace whose first line is this one may be Lackey's.
pub(super) fn begins(line: &str) -> bool {
    line.starts_with("==") || operation(line).is_some()
}

pub(super) fn line(line: &str, files: &mut Files) -> Result<Option<Access>, String> {
    let Some((kind, rest)) = operation(line) else { return Ok(None) };
    let extent = rest.split_once(',').and_then(|(address, size)| {
        Some((u64::from_str_radix(address, 16).ok()?, size.parse().ok()?))
    });
    let Some((offset, len)) = extent else {
        return Err(format!("expected `ADDRESS,SIZE`, found `{rest}`"));
    };
    check_extent(offset, len)?;
    let Some(operation) = kind else { return Ok(None) };
    Ok(Some(Access { at: None, thread: 0, file: files.index_of(""), offset, len, operation }))
}

/// What a line begins with: none when it is not Lackey's; `Some(None)` for an instruction.
fn operation(line: &str) -> Option<(Option<Operation>, &str)> {
    let kinds = [
        ("I  ", None),
        (" L ", Some(Operation::Read)),
        (" S ", Some(Operation::Write)),
        (" M ", Some(Operation::Write)),
    ];
    kinds.into_iter().find_map(|(start, kind)| Some((kind, line.strip_prefix(start)?)))
}
