//! A slot: what is asked of a provider. Where the preset is exclusive, all tokens of one account
//! and one PSU context share one slot; elsewhere each token has a slot of its own.

use std::sync::Arc;
use std::time::Duration;

use crate::name::{Identity, Name, SinkId, SlotId};
use crate::schedule::Schedule;
use crate::settings::{Budget, Endpoint, Followed, Persist, Provider, SinkSettings, TokenSettings};

/// What is asked of a provider, and who gets it. Compiled from the configuration; never changed.
#[derive(Clone, Debug)]
pub struct Slot {
    /// How it is printed: `provider/context` or `provider/token`.
    pub id: SlotId,
    /// What makes its access tokens *these* ones.
    pub identity: Identity,
    /// Whom to ask: also the place where another tokend writes, see [`Slot::follows`].
    pub provider: Arc<Provider>,
    /// The PSU context, where the preset has them.
    pub context: Option<String>,
    /// The union of its tokens' API scopes in the order in which they are asked, without the context.
    pub scopes: Vec<String>,
    /// The tokens that it serves, by name.
    pub tokens: Vec<TokenSettings>,
    /// When and how often it may ask.
    pub policy: Policy,
    /// When a fresh access token is wanted besides; never where it is exclusive.
    pub schedule: Option<Arc<Schedule>>,
}

/// When and how often a slot may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether the provider wants one active access token for it.
    pub exclusive: bool,
    /// `refresh.lead`, where it is given.
    pub lead: Option<Duration>,
    /// The longest lead that the preset allows.
    pub max_lead: Option<Duration>,
    /// How many access tokens may be issued in how long.
    pub budget: Option<Budget>,
    /// Whether the access token is kept over restarts.
    pub persist: Persist,
    /// The lifetime that the provider's documentation promises; for forecasts only.
    pub expected_lifetime: Duration,
}

impl Slot {
    /// Whether both ask and give the same.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        let same_provider = || Arc::ptr_eq(&self.provider, &other.provider) || self.provider.same_as(&other.provider);
        self.id == other.id
            && self.identity == other.identity
            && self.context == other.context
            && self.scopes == other.scopes
            && self.policy == other.policy
            && self.tokens == other.tokens
            && self.schedule.as_deref().map(Schedule::as_str) == other.schedule.as_deref().map(Schedule::as_str)
            && same_provider()
    }

    /// All places where its tokens are delivered, with the token of each.
    pub fn sinks(&self) -> impl Iterator<Item = (&TokenSettings, &SinkSettings)> {
        self.tokens.iter().flat_map(|token| token.sinks.iter().map(move |sink| (token, sink)))
    }

    /// The sink called `id`, with its token.
    #[must_use]
    pub fn sink(&self, id: &SinkId) -> Option<(&TokenSettings, &SinkSettings)> {
        self.sinks().find(|(_, sink)| &sink.id == id)
    }

    /// Where in the slot the sink called `id` is: the index of its token, and its own in that.
    #[must_use]
    pub fn place_of(&self, id: &SinkId) -> Option<(usize, usize)> {
        self.tokens.iter().enumerate().find_map(|(token_index, token)| {
            let sink_index = token.sinks.iter().position(|sink| &sink.id == id)?;
            Some((token_index, sink_index))
        })
    }

    /// Whether requests are counted, so that one that is about to leave must be on disk first.
    #[must_use]
    pub fn counts_issues(&self) -> bool {
        self.policy.exclusive || self.policy.budget.is_some()
    }

    /// The token called `name`.
    #[must_use]
    pub fn token(&self, name: &Name) -> Option<&TokenSettings> {
        self.tokens.iter().find(|token| &token.name == name)
    }

    /// Where another tokend writes what this slot takes; `None` where it asks a provider itself.
    #[must_use]
    pub fn follows(&self) -> Option<&Followed> {
        match &self.provider.endpoint {
            Endpoint::Followed(followed) => Some(followed),
            Endpoint::TokenUrl(_) | Endpoint::Issuer(_) => None,
        }
    }

    /// The endpoint that it asks; limits are held for it.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.provider.endpoint
    }
}
