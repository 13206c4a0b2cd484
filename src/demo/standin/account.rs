//! Who asks, and how to name some of those who do.

use crate::demo::standin::vendor::Vendor;

/// Who asks: what is counted separately.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// Where.
    pub vendor: Vendor,
    /// As the request says; empty when it cannot be read.
    pub client_id: String,
    /// The PSU context at Open Payments; empty elsewhere.
    pub context: String,
}

/// Some accounts: all of a vendor, those of one client, or one alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    vendor: Vendor,
    client_id: Option<String>,
    context: Option<String>,
}

impl Target {
    /// The accounts of one client.
    #[must_use]
    pub fn client(vendor: Vendor, client_id: &str) -> Self {
        Self { client_id: Some(client_id.to_owned()), ..Self::from(vendor) }
    }

    /// Of these, those in one PSU context.
    #[must_use]
    pub fn context(self, context: &str) -> Self {
        Self { context: Some(context.to_owned()), ..self }
    }

    /// Whether `account` is one of these.
    #[must_use]
    pub fn covers(&self, account: &Account) -> bool {
        self.vendor == account.vendor
            && self.client_id.as_ref().is_none_or(|id| *id == account.client_id)
            && self.context.as_ref().is_none_or(|context| *context == account.context)
    }

    /// How narrow it is: the narrowest of several has its way.
    pub(super) fn narrowness(&self) -> usize {
        usize::from(self.client_id.is_some()) + usize::from(self.context.is_some())
    }
}

/// One account alone.
impl From<&Account> for Target {
    fn from(account: &Account) -> Self {
        Self::client(account.vendor, &account.client_id).context(&account.context)
    }
}

/// All accounts of a vendor.
impl From<Vendor> for Target {
    fn from(vendor: Vendor) -> Self {
        Self { vendor, client_id: None, context: None }
    }
}
