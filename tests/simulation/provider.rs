//! Virtual providers: what each says to a request, and what it has issued. They speak through the
//! real presets: a request is read from its text, an answer is a document with a status.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokend::access_token::Issued;
use tokend::failure::{Failure, Reach, Refusal};
use tokend::job::Ask;
use tokend::preset::{Answer, Asking, Secrets};
use tokend::secret::Secret;
use tokend::settings::{Endpoint, SecretSource};
use tokend::slot::Slot;
use tokend::time::Timestamp;

use super::moment::{Ms, SECOND};
use super::rng::Rng;
use super::sky::Mood;
use super::spec::Account;

/// A request as it arrives at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    pub scopes: BTreeSet<String>,
    pub secret: usize,
}

/// What the provider says.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// An access token: its text, how many seconds it says that it lives, and for what.
    Grant { text: String, seconds: Ms, scopes: BTreeSet<String> },
    /// A no, or a plea for patience: status, OAuth error code, `Retry-After`.
    No { status: u16, code: &'static str, patience: Option<u64> },
    /// 200, and nothing that could be used.
    Junk(String),
    /// No answer; whether the request was taken.
    Silence { taken: bool },
}

/// An access token as the provider knows it.
#[derive(Clone, Debug)]
pub struct Truth {
    pub text: String,
    pub expires_at: Ms,
    pub scopes: BTreeSet<String>,
    /// Whether the daemon cannot know how long it lives.
    pub lied: bool,
}

/// What comes of a request.
#[derive(Clone, Debug)]
pub struct Reply {
    pub after: Ms,
    pub verdict: Verdict,
    /// The access token that was issued for it, whether or not it arrives.
    pub issued: Option<Truth>,
}

/// What the provider takes into account.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    pub account: &'a Account,
    pub mood: Option<Mood>,
    pub now: Ms,
    pub timeout: Ms,
}

const JUNK: [&str; 8] = [
    "",
    "<html>Sign in to the hotel's network</html>",
    "{\"token_type\":\"Bearer\",\"expires_in\":3600}",
    "{\"access_token\":\"\",\"expires_in\":3600}",
    "{\"access_token\":\"two\\nlines\",\"expires_in\":3600}",
    "{\"access_token\":17,\"expires_in\":3600}",
    "{\"access_token\":\"abc\",\"expires_in\":0}",
    "{\"access_token\":\"abc\",\"expires_in\":\"3600abc\"}",
];

/// What the provider knows of one slot.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    issued: u64,
    current: Option<Truth>,
}

impl Desk {
    /// Answers a request of the slot with this key.
    pub fn answer(&mut self, key: &str, wire: &Wire, situation: Situation<'_>, rng: &mut Rng) -> Reply {
        let Situation { account, mood, now, timeout } = situation;
        let latency = rng.between(account.latency / 2, account.latency * 3 / 2);
        let no = |status, code, patience| Verdict::No { status, code, patience };
        let plain = |after, verdict| Reply { after, verdict, issued: None };
        match mood {
            Some(Mood::Unreachable) => plain(rng.between(0, 50), Verdict::Silence { taken: false }),
            Some(Mood::TimesOut) => {
                let issued = rng.chance(50).then(|| self.issue(key, wire, situation, now));
                Reply { after: timeout, verdict: Verdict::Silence { taken: true }, issued }
            }
            Some(Mood::Loses) => {
                let issued = Some(self.issue(key, wire, situation, now + latency / 2));
                Reply { after: latency, verdict: Verdict::Silence { taken: true }, issued }
            }
            Some(Mood::Junk) => plain(latency, Verdict::Junk(rng.pick(&JUNK).to_owned())),
            Some(Mood::Busy(status)) => plain(latency, no(status, "", None)),
            Some(Mood::Patience(seconds)) => plain(latency, no(429, "", Some(seconds))),
            Some(Mood::Closed(seconds)) => plain(latency, no(503, "", Some(seconds))),
            Some(Mood::Forgets(secret)) if secret == wire.secret => plain(latency, no(400, "invalid_client", None)),
            Some(Mood::Denies(scope)) if wire.scopes.contains(account.scope(scope)) => {
                plain(latency, no(400, "invalid_scope", None))
            }
            Some(Mood::Slow(after)) => self.grant(key, wire, situation, after),
            _ => self.grant(key, wire, situation, latency),
        }
    }

    fn grant(&mut self, key: &str, wire: &Wire, situation: Situation<'_>, latency: Ms) -> Reply {
        let moment = situation.now + latency / 2;
        let again = self.current.as_ref().filter(|held| {
            let left = held.expires_at - moment;
            let again = situation.account.same_until.is_some_and(|until| left > until.max(2 * SECOND));
            again && !held.lied && held.scopes == wire.scopes
        });
        let (truth, issued) = if let Some(held) = again {
            (held.clone(), None)
        } else {
            let truth = self.issue(key, wire, situation, moment);
            (truth.clone(), Some(truth))
        };
        let factor = if truth.lied { 10 } else { 1 };
        let seconds = factor * (truth.expires_at - moment) / SECOND;
        let scopes = truth.scopes.clone();
        Reply { after: latency, verdict: Verdict::Grant { text: truth.text, seconds, scopes }, issued }
    }

    fn issue(&mut self, key: &str, wire: &Wire, situation: Situation<'_>, moment: Ms) -> Truth {
        self.issued += 1;
        let mut scopes = wire.scopes.clone();
        if let Some(Mood::Withholds(scope)) = situation.mood
            && scopes.len() > 2
        {
            scopes.remove(situation.account.scope(scope));
        }
        let truth = Truth {
            text: format!("token-of-{key}-number-{}", self.issued),
            expires_at: moment + situation.account.lifetime,
            scopes,
            lied: situation.mood == Some(Mood::Lies),
        };
        self.current = Some(truth.clone());
        truth
    }
}

/// The request that `slot` sends for `ask`, as the provider reads it.
pub fn listen(slot: &Slot, ask: &Ask, speaks: bool) -> Wire {
    let secrets = secrets_of(slot, ask);
    if !speaks {
        let scopes = ask.scopes.iter().chain(&slot.context).cloned().collect();
        return Wire { scopes, secret: secret_in(secrets.values().next().map_or("", Secret::expose)) };
    }
    let request = slot.provider.preset.request(&asking(slot, ask, &secrets)).unwrap();
    let body = request.body.unwrap();
    let fields: BTreeMap<String, String> = url::form_urlencoded::parse(body.expose().as_bytes()).into_owned().collect();
    let scopes = fields.get("scope").map(|scopes| scopes.split(' ').map(str::to_owned).collect()).unwrap_or_default();
    Wire { scopes, secret: secret_in(&fields["client_secret"]) }
}

fn secret_in(text: &str) -> usize {
    text.trim_start_matches("secret").parse().unwrap()
}

fn secrets_of(slot: &Slot, ask: &Ask) -> Secrets {
    let secret = |source: &SecretSource| match source {
        SecretSource::Inline(secret) => secret.clone(),
        other => panic!("the simulation writes its secrets in the configuration, not {other:?}"),
    };
    let chosen = slot.provider.chosen_secrets(ask.secret_choice);
    chosen.map(|(name, source)| (name.to_owned(), secret(source))).collect()
}

fn asking<'a>(slot: &'a Slot, ask: &'a Ask, secrets: &'a Secrets) -> Asking<'a> {
    let Endpoint::TokenUrl(token_url) = &slot.provider.endpoint else { panic!("{:?}", slot.provider.endpoint) };
    Asking {
        token_url,
        parameters: &slot.provider.parameters,
        secrets,
        others: &[],
        scopes: &ask.scopes,
        context: slot.context.as_deref(),
        ttl: None,
    }
}

/// What the daemon makes of `verdict`.
pub fn hear(
    slot: &Slot,
    ask: &Ask,
    verdict: &Verdict,
    silent: bool,
    (asked_at, answered_at): (Timestamp, Timestamp),
) -> Result<Issued, Failure> {
    let (status, retry_after, body) = match verdict {
        Verdict::Silence { taken } => {
            let reach = if *taken { Reach::Sent } else { Reach::NotSent };
            return Err(Failure::Unreachable { reason: "no answer".into(), reach });
        }
        Verdict::Grant { text, seconds, scopes } => {
            let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
            let scope = if silent { String::new() } else { format!(",\"scope\":\"{}\"", scopes.join(" ")) };
            (200, None, format!("{{\"access_token\":\"{text}\",\"expires_in\":{seconds}{scope}}}"))
        }
        Verdict::Junk(body) => (200, None, body.clone()),
        Verdict::No { status, code, patience } => {
            (*status, patience.map(Duration::from_secs), format!("{{\"error\":\"{code}\"}}"))
        }
    };
    let secrets = secrets_of(slot, ask);
    let answer = Answer { status, body: body.into_bytes(), date: None, retry_after, location_host: None };
    slot.provider.preset.read(&asking(slot, ask, &secrets), &answer, asked_at, answered_at)
}

/// The same without the text, for runs that are too long to speak.
pub fn guess(verdict: &Verdict, silent: bool, asked_at: Timestamp) -> Result<Issued, Failure> {
    match verdict {
        Verdict::Silence { taken } => {
            let reach = if *taken { Reach::Sent } else { Reach::NotSent };
            Err(Failure::Unreachable { reason: "no answer".into(), reach })
        }
        Verdict::Grant { text, seconds, scopes } => Ok(Issued {
            secret: Secret::new(text.clone()),
            token_type: "Bearer".into(),
            scopes: (!silent).then(|| scopes.iter().cloned().collect()),
            issued_at: asked_at,
            expires_at: asked_at + Duration::from_secs(u64::try_from(*seconds).unwrap_or(0)),
            extra: BTreeMap::new(),
            warning: None,
        }),
        Verdict::Junk(_) => Err(Failure::Malformed("junk".into())),
        Verdict::No { status: 400, code, .. } => {
            let credentials = *code == "invalid_client";
            let code = Some((*code).to_owned());
            Err(Failure::Refused(Refusal { status: 400, code, description: None, credentials, retry_after: None }))
        }
        Verdict::No { status, patience, .. } => {
            let retry_after = patience.map(Duration::from_secs);
            Err(Failure::Busy { reason: format!("HTTP {status}"), status: *status, retry_after })
        }
    }
}
