//! What the operator says of a token that another tokend asks for: where that one writes it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::name::{Name, SinkId};
use crate::preset::Preset;
use crate::settings::{Endpoint, Persist, Provider, Proxy, TlsFiles, VaultPlace};

/// `follow = { file = "/path" }` or `follow = { vault = "secret/path", server = "main" }`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Followed {
    /// How it is printed, as the sink there would be.
    pub id: SinkId,
    /// Where it is.
    pub place: FollowedPlace,
}

/// Where another tokend writes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FollowedPlace {
    /// A file in format `json`.
    File(PathBuf),
    /// A secret in Vault with the fields of the `json` object.
    Vault(VaultPlace),
}

impl Followed {
    /// The file at `path`.
    #[must_use]
    pub fn file(path: PathBuf) -> Self {
        Self { id: SinkId::new(&path.to_string_lossy()), place: FollowedPlace::File(path) }
    }

    /// The secret at `place`.
    #[must_use]
    pub fn vault(place: VaultPlace) -> Self {
        Self { id: SinkId::new(&place.to_string()), place: FollowedPlace::Vault(place) }
    }
}

impl Provider {
    /// Whom a token asks that follows: nobody but the place where another tokend writes. There is no
    /// account, no secret and no limit.
    #[must_use]
    pub fn followed(followed: Followed, persist: Persist) -> Self {
        Self {
            name: Name::of_followers(),
            preset: Preset::of_followers(),
            parameters: BTreeMap::new(),
            secrets: BTreeMap::new(),
            endpoint: Endpoint::Followed(followed),
            timeout: Duration::ZERO,
            tls: TlsFiles::default(),
            proxy: Proxy::None,
            rate: None,
            budget: None,
            persist,
        }
    }
}
