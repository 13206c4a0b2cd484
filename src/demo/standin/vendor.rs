//! The vendors that are stood in for, and the clients they know.

use std::collections::BTreeMap;

/// Whose token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Vendor {
    /// Open Payments: `IdentityServer`, one access token per PSU context.
    OpenPayments,
    /// The core banking API: JSON in, JSON out.
    CoreBanking,
    /// Vipps `MobilePay`: credentials in headers, numbers as strings.
    Vipps,
    /// Vipps `MobilePay` for partners: raw Basic authentication.
    VippsPartner,
    /// `PlainID`: form in, JSON out.
    PlainId,
    /// A plain OAuth 2 server (RFC 6749 §4.4) with metadata (RFC 8414).
    OAuth2,
}

impl Vendor {
    /// Every vendor.
    pub const ALL: [Self; 6] =
        [Self::OpenPayments, Self::CoreBanking, Self::Vipps, Self::VippsPartner, Self::PlainId, Self::OAuth2];

    /// The preset that speaks to it.
    #[must_use]
    pub const fn preset(self) -> &'static str {
        match self {
            Self::OpenPayments => "open-payments",
            Self::CoreBanking => "core-banking",
            Self::Vipps => "vipps",
            Self::VippsPartner => "vipps-partner",
            Self::PlainId => "plainid",
            Self::OAuth2 => "oauth2",
        }
    }

    /// The path of its token endpoint.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::OpenPayments => "/connect/token",
            Self::CoreBanking => "/api/auth/v1/authenticate",
            Self::Vipps => "/accesstoken/get",
            Self::VippsPartner => "/miami/v1/token",
            Self::PlainId => "/api/1.0/api-key/token",
            Self::OAuth2 => "/oauth2/token",
        }
    }

    /// The vendor whose token endpoint is at `path`.
    pub(super) fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vendor| vendor.path() == path)
    }
}

/// A client as a vendor knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Where it is registered.
    pub vendor: Vendor,
    /// Its client id.
    pub id: String,
    /// Its secret; empty at the plain OAuth 2 server: a public client.
    pub secret: String,
    /// Its subscription keys, any one of which is accepted (Vipps).
    pub subscription_keys: Vec<String>,
    /// The API scopes it may have; none at all: any.
    pub scopes: Vec<String>,
}

impl Client {
    /// The client that every stand-in knows. Its secret has the characters that the vendor's
    /// request makes hard to carry.
    #[must_use]
    pub fn demo(vendor: Vendor) -> Self {
        let (id, secret) = match vendor {
            Vendor::OpenPayments => (OPEN_PAYMENTS.0, OPEN_PAYMENTS.1),
            Vendor::CoreBanking => (CORE_BANKING.0, CORE_BANKING.1),
            Vendor::Vipps => (VIPPS.0, VIPPS.1),
            Vendor::VippsPartner => (VIPPS_PARTNER.0, VIPPS_PARTNER.1),
            Vendor::PlainId => (PLAIN_ID.0, PLAIN_ID.1),
            Vendor::OAuth2 => (OAUTH2.0, OAUTH2.1),
        };
        let client = Self::new(vendor, id, secret);
        match vendor {
            Vendor::Vipps => Self { subscription_keys: VIPPS_SUBSCRIPTION_KEYS.map(String::from).to_vec(), ..client },
            Vendor::OpenPayments => client.with_scopes(&OPEN_PAYMENTS_SCOPES),
            _ => client,
        }
    }

    /// A client with an id and a secret alone.
    #[must_use]
    pub fn new(vendor: Vendor, id: &str, secret: &str) -> Self {
        Self { vendor, id: id.into(), secret: secret.into(), subscription_keys: Vec::new(), scopes: Vec::new() }
    }

    /// The same client, provisioned for these API scopes alone.
    #[must_use]
    pub fn with_scopes(self, scopes: &[&str]) -> Self {
        Self { scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(), ..self }
    }

    /// Whether it may have this API scope.
    pub(super) fn may_have(&self, scope: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|known| known == scope)
    }
}

/// Client id and secret of the demo client at Open Payments.
pub const OPEN_PAYMENTS: (&str, &str) =
    ("555510ad-da62-4e6d-80b8-e18967eabf0b", "demo+aHR0cHM6/Ly9hdXRo==&scope=100%25:a b");
/// The API scopes that there are.
pub(super) const OPEN_PAYMENTS_SCOPES: [&str; 4] =
    ["aspspinformation", "accountinformation", "paymentinitiation", "bankgiroinformation"];
/// Client id and secret of the demo client at the core banking API.
pub const CORE_BANKING: (&str, &str) = ("demo-core-banking", "demo \"quoted\" back\\slash {é} +/=%:&");
/// Client id and secret of the demo client at Vipps.
pub const VIPPS: (&str, &str) = ("fb492b5e-7907-4d83-ba20-c7fb60ca35de", "demo+Y8Kteew6/GE2Z%3D:me&yc Et6egg==");
/// The subscription keys of the demo client at Vipps, primary and secondary.
pub const VIPPS_SUBSCRIPTION_KEYS: [&str; 2] = ["0f14ebcab0ec4b29ae0cb90d91b4a84a", "da7d5b0e18a84aeda961c0c31b75c2a9"];
/// Client id and secret of the demo client at Vipps for partners.
pub const VIPPS_PARTNER: (&str, &str) = ("2ef2a4c5-6b37-4b0e-9f6e-94ed1e1b9e3a", "demo:with:colons+/=%26& ==");
/// Client id and secret of the demo client at `PlainID`.
pub const PLAIN_ID: (&str, &str) = ("PVNTYSTFE2L9R4OJ9YY5", "demo2TdbqLnCyUAAKhj6+/=%26:& ABCD");
/// Client id and secret of the demo client at the plain OAuth 2 server.
pub const OAUTH2: (&str, &str) = ("demo-client", "demo+secret/=%25:& of \"OAuth\"");

/// The clients of all vendors.
#[derive(Debug, Default)]
pub(super) struct Clients(BTreeMap<(Vendor, String), Client>);

impl Clients {
    /// Adds a client, or takes it in place of the one with its id.
    pub(super) fn register(&mut self, client: Client) {
        self.0.insert((client.vendor, client.id.clone()), client);
    }

    /// The client with this id.
    pub(super) fn find(&self, vendor: Vendor, id: &str) -> Option<&Client> {
        self.0.get(&(vendor, id.to_owned()))
    }

    /// The client with this id, if this is its secret.
    pub(super) fn check(&self, vendor: Vendor, id: &str, secret: &str) -> Option<&Client> {
        self.find(vendor, id).filter(|client| client.secret == secret)
    }

    /// Whether any client of Vipps has this subscription key.
    pub(super) fn know_subscription(&self, key: &str) -> bool {
        self.0.values().any(|client| client.subscription_keys.iter().any(|known| known == key))
    }
}
