//! Whether two settings that may hold secrets say the same.

use crate::settings::{Provider, SecretSource};

impl Provider {
    /// Whether both say the same.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let same_sources = |(a, b): (&Vec<SecretSource>, &Vec<SecretSource>)| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_as(b))
        };
        let same_account = self.name == other.name
            && self.parameters == other.parameters
            && self.endpoint == other.endpoint
            && self.preset.same_as(&other.preset);
        let same_road = self.timeout == other.timeout && self.tls == other.tls && self.proxy == other.proxy;
        let same_limits = self.rate == other.rate && self.budget == other.budget && self.persist == other.persist;
        let same_secrets = self.secrets.keys().eq(other.secrets.keys())
            && self.secrets.values().zip(other.secrets.values()).all(same_sources);
        same_account && same_road && same_limits && same_secrets
    }
}

impl SecretSource {
    /// Whether both say the same.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Inline(a), Self::Inline(b)) => a.same_as(b),
            (Self::File(a), Self::File(b)) => a == b,
            (Self::Env(a), Self::Env(b)) | (Self::Credential(a), Self::Credential(b)) => a == b,
            (Self::Command(a), Self::Command(b)) => a == b,
            (Self::Vault(a, field), Self::Vault(b, other)) => a == b && field == other,
            _ => false,
        }
    }
}
