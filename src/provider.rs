//! Asks a provider for an access token: once, without retry, without a word to the log. When it
//! is asked is decided elsewhere, and the clock is handed in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::access_token::Issued;
use crate::failure::Failure;
use crate::http::{Connections, Http, Incoming, Outgoing, Profile};
use crate::job::Ask;
use crate::preset::{Answer, Asking, Secrets};
use crate::provider::headers::{date, location_host, retry_after};
use crate::secret::Secret;
use crate::settings::{Endpoint, Provider};
use crate::slot::Slot;
use crate::time::{Timestamp, parse_duration};

mod discovery;
pub mod headers;

/// The secrets of a request.
#[derive(Default)]
pub struct Chosen {
    /// Those that are sent, by parameter.
    pub secrets: Secrets,
    /// Others of their lists.
    pub others: Vec<Secret>,
}

/// The edge to all providers. Clones share connections and what was discovered.
#[derive(Clone, Default)]
pub struct Providers {
    http: Http,
    /// Token URLs by issuer, until one of them fails.
    discovered: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Providers {
    /// Providers that are asked through `http`.
    #[must_use]
    pub fn new(http: Http) -> Self {
        Self { http, discovered: Arc::default() }
    }

    /// Asks for the access token of `slot` as `ask` says, with the values of the provider's secrets.
    /// Also returns when the request was sent: the token's life counts from there.
    ///
    /// Errors: why there is none, and whether one may have been issued all the same.
    pub async fn ask(
        &self,
        slot: &Slot,
        ask: &Ask,
        chosen: &Chosen,
        now: &(dyn Fn() -> Timestamp + Sync),
    ) -> (Timestamp, Result<Issued, Failure>) {
        let provider = &slot.provider;
        let profile = profile(slot);
        let token_url = match self.token_url(provider, &profile, now).await {
            Ok(url) => url,
            Err(failure) => return (now(), Err(failure)),
        };
        let asking = Asking {
            token_url: &token_url,
            parameters: &provider.parameters,
            secrets: &chosen.secrets,
            others: &chosen.others,
            scopes: &ask.scopes,
            context: slot.context.as_deref(),
            ttl: ttl(provider),
        };
        let asked_at = now();
        let answer = match outgoing(provider, &asking) {
            Ok(outgoing) => self.http.send(&profile, &outgoing).await,
            Err(failure) => Err(failure),
        };
        let result = answer.and_then(|incoming| read(provider, &asking, incoming, asked_at, now()));
        if let (Endpoint::Issuer(issuer), Err(_)) = (&provider.endpoint, &result) {
            self.discovered().remove(issuer);
        }
        (asked_at, result)
    }

    async fn token_url(
        &self,
        provider: &Provider,
        profile: &Profile,
        now: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<String, Failure> {
        let issuer = match &provider.endpoint {
            Endpoint::TokenUrl(url) => return Ok(url.clone()),
            Endpoint::Issuer(issuer) => issuer,
            Endpoint::Followed(followed) => {
                return Err(Failure::NotReady(format!("{} is followed: no provider is asked", followed.id)));
            }
        };
        if let Some(known) = self.discovered().get(issuer) {
            return Ok(known.clone());
        }
        let token_url = discovery::discover(&self.http, profile, issuer, provider.timeout, now).await?;
        self.discovered().insert(issuer.clone(), token_url.clone());
        Ok(token_url)
    }

    fn discovered(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.discovered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Exclusive slots never share a connection: one that was idle may break so that nobody knows
/// whether the request was acted on.
fn profile(slot: &Slot) -> Profile {
    Profile {
        tls: slot.provider.tls.clone(),
        proxy: slot.provider.proxy.clone(),
        connections: if slot.policy.exclusive { Connections::Fresh } else { Connections::Kept },
    }
}

/// The provider's own `ttl`, which any preset takes.
fn ttl(provider: &Provider) -> Option<Duration> {
    parse_duration(provider.parameters.get("ttl")?.as_str()?).ok()
}

fn outgoing(provider: &Provider, asking: &Asking<'_>) -> Result<Outgoing, Failure> {
    let request = provider.preset.request(asking).map_err(Failure::NotReady)?;
    Ok(Outgoing {
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: request.body,
        timeout: provider.timeout,
    })
}

/// What `incoming`, the answer to `asking`, means.
///
/// Errors: why there is no access token in it.
pub fn read(
    provider: &Provider,
    asking: &Asking<'_>,
    incoming: Incoming,
    asked_at: Timestamp,
    answered_at: Timestamp,
) -> Result<Issued, Failure> {
    let packed = headers::is_packed(&incoming.headers);
    if packed && (200..300).contains(&incoming.status) {
        let reason = format!("HTTP {} with a compressed body, which was not asked for", incoming.status);
        return Err(Failure::Malformed(reason));
    }
    let answer = Answer {
        status: incoming.status,
        date: date(&incoming.headers),
        retry_after: retry_after(&incoming.headers, answered_at),
        location_host: location_host(&incoming.headers, asking.token_url),
        body: if packed { Vec::new() } else { incoming.body },
    };
    provider.preset.read(asking, &answer, asked_at, answered_at)
}
