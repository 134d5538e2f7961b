//! The engine as it ships: its policies, through its own trait, told by the marker observer and
//! carried out by helpers.

use std::str::FromStr;
use std::sync::Arc;

use mmap_ahead::PolicyKind;
use mmap_ahead::page::PageCount;
use mmap_ahead::policy::Geometry;

use super::{Ahead, Bound, Carrier, Entry, Sees, Strategy, Takes};
use crate::Error;

pub(super) const ENTRY: Entry = Entry {
    name: "engine",
    takes: Takes { window: false, distance: true },
    make: |argument, knobs| {
        let kind = PolicyKind::from_str(argument.unwrap_or_default());
        let kind = kind.map_err(|error| Error::Unknown(error.to_string()))?;
        // A single reader gets half the budget ahead of it.
        let budget = knobs.distance.map(|distance| PageCount(distance.0.saturating_mul(2)));
        let policy = Arc::new(move |geometry: Geometry| {
            let budget = budget.unwrap_or(geometry.budget);
            kind.build(Geometry { budget, ..geometry })
        });
        let (sees, carrier, bound) = (Sees::Markers, Carrier::Helper, Bound::Budget);
        let ahead = Ahead { sees, carrier, bound, policy };
        Ok(Strategy { ahead: Some(ahead), ..Strategy::default() })
    },
};

/// The policies' names; with `engine:` before those that another strategy has too.
pub(super) fn names() -> impl Iterator<Item = String> {
    PolicyKind::ALL.into_iter().map(|kind| match kind {
        PolicyKind::MapAhead => format!("engine:{}", kind.name()),
        _ => kind.name().to_owned(),
    })
}
