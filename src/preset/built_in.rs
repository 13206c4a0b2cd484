//! The presets that are shipped. Each is read when it is first asked for and kept.

use std::sync::{Arc, OnceLock};

use crate::preset::Preset;

/// Names in the order in which they are listed.
pub(crate) const NAMES: [&str; 6] = ["open-payments", "core-banking", "vipps", "vipps-partner", "plainid", "oauth2"];

const TEXTS: [&str; NAMES.len()] = [
    include_str!("../presets/open-payments.toml"),
    include_str!("../presets/core-banking.toml"),
    include_str!("../presets/vipps.toml"),
    include_str!("../presets/vipps-partner.toml"),
    include_str!("../presets/plainid.toml"),
    include_str!("../presets/oauth2.toml"),
];

static PRESETS: [OnceLock<Option<Arc<Preset>>>; NAMES.len()] = [const { OnceLock::new() }; NAMES.len()];

pub(crate) fn preset(name: &str) -> Option<Arc<Preset>> {
    let index = index_of(name)?;
    PRESETS[index].get_or_init(|| read(NAMES[index], TEXTS[index])).clone()
}

pub(crate) fn text(name: &str) -> Option<&'static str> {
    index_of(name).map(|index| TEXTS[index])
}

fn index_of(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

/// `None` only for a shipped text that cannot be read, which a test rules out.
fn read(name: &str, text: &str) -> Option<Arc<Preset>> {
    let table = text.parse::<toml::Table>().ok()?;
    Preset::from_table(name, &table).ok().map(Arc::new)
}
