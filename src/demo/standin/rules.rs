//! Which vendor's rules a request meets: the one place that knows all vendors' files.

use crate::demo::standin::account::Account;
use crate::demo::standin::core_banking;
use crate::demo::standin::exchange::{Asked, Claims, Grant, Reply};
use crate::demo::standin::oauth2;
use crate::demo::standin::open_payments;
use crate::demo::standin::plain_id;
use crate::demo::standin::vendor::{Clients, Vendor};
use crate::demo::standin::vipps;
use crate::demo::standin::vipps_partner;

impl Vendor {
    /// Whom a request seems to be for, right or wrong.
    pub(super) fn account(self, asked: &Asked<'_>) -> Account {
        let (client_id, context) = match self {
            Self::OpenPayments => open_payments::account(asked),
            Self::CoreBanking => (core_banking::client_id(asked), String::new()),
            Self::Vipps => (vipps::client_id(asked), String::new()),
            Self::VippsPartner => (vipps_partner::client_id(asked), String::new()),
            Self::PlainId => (plain_id::client_id(asked), String::new()),
            Self::OAuth2 => (oauth2::client_id(asked), String::new()),
        };
        Account { vendor: self, client_id, context }
    }

    /// Whether the request is granted; if not, what the vendor says to it.
    pub(super) fn judge(self, asked: &Asked<'_>, clients: &Clients) -> Result<Grant, Reply> {
        match self {
            Self::OpenPayments => open_payments::judge(asked, clients),
            Self::CoreBanking => core_banking::judge(asked, clients),
            Self::Vipps => vipps::judge(asked, clients),
            Self::VippsPartner => vipps_partner::judge(asked, clients),
            Self::PlainId => plain_id::judge(asked, clients),
            Self::OAuth2 => oauth2::judge(asked, clients),
        }
    }

    /// The answer that carries an access token.
    pub(super) fn answer(self, claims: &Claims<'_>) -> Reply {
        match self {
            Self::OpenPayments => open_payments::answer(claims),
            Self::CoreBanking => core_banking::answer(claims),
            Self::Vipps => vipps::answer(claims),
            Self::VippsPartner => vipps_partner::answer(claims),
            Self::PlainId => plain_id::answer(claims),
            Self::OAuth2 => oauth2::answer(claims),
        }
    }

    /// What the vendor says to a wrong secret.
    pub(super) fn wrong_secret(self) -> Reply {
        match self {
            Self::OpenPayments => open_payments::error(400, "invalid_client"),
            Self::CoreBanking => core_banking::wrong_secret(),
            Self::Vipps => vipps::wrong_secret(),
            Self::VippsPartner => vipps_partner::invalid_client(),
            Self::PlainId => plain_id::unauthorized(),
            Self::OAuth2 => oauth2::invalid_client(401),
        }
    }

    /// What the vendor (or the gateway before it) says when it is in trouble: 429, 503.
    pub(super) fn trouble(self, status: u16) -> Reply {
        match self {
            Self::OpenPayments => open_payments::error(status, "temporarily_unavailable"),
            Self::VippsPartner => vipps_partner::error(status, "temporarily_unavailable"),
            Self::OAuth2 => oauth2::error(status, "temporarily_unavailable"),
            Self::CoreBanking => core_banking::error(status, "UNAVAILABLE", "Please try again later."),
            Self::PlainId => plain_id::error(status, "unavailable", "Please try again later."),
            Self::Vipps if status == 429 => vipps::gateway(status, "Rate limit is exceeded. Try again later."),
            Self::Vipps => vipps::gateway(status, "Service Unavailable"),
        }
    }
}
