//! What has to be assumed where the paper is silent, with the range that `sim choi` tries.

use crate::costs::Sheet;

/// The costs that Figure 1 does not give: `assumed.toml`, written before the first run.
///
/// # Panics
/// Never: a test reads the file.
#[must_use]
pub fn assumed() -> Sheet {
    Sheet::parse(include_str!("assumed.toml")).expect("assumed.toml is a sheet")
}
