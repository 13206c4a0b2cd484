//! Presets as the tests need them: the real ones, of which messages name three.

use crate::config::presets::BuiltIn;
use crate::preset::Preset;

pub fn built_in() -> BuiltIn<'static> {
    BuiltIn { names: &["core-banking", "oauth2", "open-payments"], find: &Preset::built_in }
}
