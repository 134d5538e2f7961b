//! Sizes as people write them: `4096`, `64KiB`, `1GiB`.

use crate::Error;

/// The units, largest first.
const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];

/// Reads a size in bytes: a whole number, with KiB, MiB, GiB or TiB after it or nothing.
///
/// # Errors
/// [`Error::Usage`] when it is not such a number, is 0, or does not fit into 64 bits.
pub fn parse(text: &str) -> Result<u64, Error> {
    let wrong = || Error::Usage(format!("`{text}` is not a size; write 4096, 64KiB, 8MiB, 1GiB"));
    let (digits, shift) = UNITS
        .iter()
        .find_map(|(unit, shift)| text.strip_suffix(unit).map(|digits| (digits, *shift)))
        .unwrap_or((text.strip_suffix('B').unwrap_or(text), 0));
    let number: u64 = digits.trim_end().parse().map_err(|_| wrong())?;
    let bytes = number.checked_mul(1 << shift).ok_or_else(wrong)?;
    if bytes == 0 { Err(wrong()) } else { Ok(bytes) }
}

/// Writes a size with the largest unit that divides it: `parse` takes it back unchanged.
#[must_use]
pub fn exact(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, shift)| bytes > 0 && bytes.trailing_zeros() >= *shift);
    match unit {
        Some((unit, shift)) => format!("{}{unit}", bytes >> shift),
        None => bytes.to_string(),
    }
}

/// Writes a size with one decimal and a unit, for people.
#[must_use]
pub fn rounded(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, shift)| bytes >> shift > 0);
    match unit {
        Some((unit, shift)) => format!("{:.1} {unit}", bytes as f64 / (1u64 << shift) as f64),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_back() {
        let cases = [("4096", 4096), ("64KiB", 65536), ("1GiB", 1 << 30), ("3MiB", 3 << 20)];
        for (text, bytes) in cases {
            assert_eq!(parse(text).unwrap(), bytes);
            assert_eq!(parse(&exact(bytes)).unwrap(), bytes);
        }
        assert_eq!(exact(4096), "4KiB");
        assert_eq!(exact(5000), "5000");
        assert_eq!(rounded(1536), "1.5 KiB");
    }

    #[test]
    fn nonsense_is_wrong_usage() {
        for text in ["", "0", "GiB", "-1", "1.5GiB", "1gb", "99999999999GiB", "4 k"] {
            assert!(matches!(parse(text), Err(Error::Usage(_))), "{text} was taken");
        }
    }
}
