//! When an access token expires, whatever way the answer says it (L6).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::preset::language::UnitText;
use crate::preset::program::AnswerPlan;
use crate::time::Timestamp;

/// A lifetime beyond this is a mistake.
const LONGEST: Duration = Duration::from_hours(36_525 * 24);
/// A clock difference up to this is none.
const NO_DIFFERENCE: Duration = Duration::from_secs(5);
/// Epoch times from here on are in milliseconds: as seconds they would be beyond the year 5000.
const MILLISECONDS_FROM: f64 = 1e11;

/// When a request was made and answered.
#[derive(Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) asked_at: Timestamp,
    pub(crate) answered_at: Timestamp,
    /// The `Date` header of the answer.
    pub(crate) date: Option<Timestamp>,
}

impl Timing {
    /// The moment on our clock from which a time of the server's clock counts as the request's
    /// sending: with the clocks apart, the answer's `Date` stands for it. Of what the round trip
    /// leaves open this is the earlier expiry.
    fn asked_on_their_clock(&self) -> Timestamp {
        match self.date {
            Some(date) if date.since(self.answered_at) > NO_DIFFERENCE => date,
            Some(date) if self.asked_at.since(date) > NO_DIFFERENCE => date,
            _ => self.asked_at,
        }
    }

    /// How long after the request the server's clock will show `moment`.
    fn lifetime_until(&self, moment: Timestamp) -> Duration {
        moment.since(self.asked_on_their_clock())
    }
}

/// When a token expires, and what a person should know of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Expiry {
    pub(crate) at: Timestamp,
    pub(crate) warning: Option<String>,
}

/// Reads the expiry of `token` from the answer's `document`.
///
/// Errors: what is wrong with the answer, without its values.
pub(crate) fn read(
    plan: &AnswerPlan,
    document: &Value,
    token: &str,
    ttl: Option<Duration>,
    timing: Timing,
) -> Result<Expiry, String> {
    let relative = relative(plan, document)?;
    let absolute = absolute(plan, document).map(|moment| moment.map(|moment| (moment, timing.lifetime_until(moment))));
    let (lifetime, warning) = match (relative, absolute) {
        (Some(relative), Ok(Some((moment, absolute)))) => choose(plan, relative, absolute, moment),
        (Some(relative), Ok(None)) => (relative, None),
        // The relative one is enough: a token that works is not thrown away for the other.
        (Some(relative), Err(wrong)) => (relative, Some(format!("{wrong}; {} is taken", field(&plan.expires_in)))),
        (None, Ok(Some((_, absolute)))) => (absolute, None),
        (None, Err(wrong)) => return Err(wrong),
        (None, Ok(None)) => (implied(token, timing).or(ttl).ok_or_else(|| nowhere(plan))?, None),
    };
    bounded(lifetime).map(|lifetime| Expiry { at: timing.asked_at + lifetime, warning })
}

/// Both are given: the earlier one, unless it cannot be meant.
fn choose(plan: &AnswerPlan, relative: Duration, absolute: Duration, moment: Timestamp) -> (Duration, Option<String>) {
    if absolute >= relative / 2 {
        return (relative.min(absolute), None);
    }
    let at = plan.expires_at.as_deref().map(field).unwrap_or_default();
    let within = field(&plan.expires_in);
    let warning = format!("{within} says {}s but {at} says {moment}: {within} is taken", relative.as_secs());
    (relative, Some(warning))
}

fn relative(plan: &AnswerPlan, document: &Value) -> Result<Option<Duration>, String> {
    let Some(value) = given(document, &plan.expires_in) else { return Ok(None) };
    let name = field(&plan.expires_in);
    let number = number(value).ok_or_else(|| format!("{name} is not a number"))?;
    let seconds = match plan.expires_in_unit {
        UnitText::Seconds => number,
        UnitText::Milliseconds => number / 1000.0,
    };
    if seconds <= 0.0 {
        return Err(format!("{name} is zero or below: the token would have expired already"));
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| too_long()).and_then(bounded).map(Some)
}

fn absolute(plan: &AnswerPlan, document: &Value) -> Result<Option<Timestamp>, String> {
    let Some(pointer) = plan.expires_at.as_deref() else { return Ok(None) };
    let Some(value) = given(document, pointer) else { return Ok(None) };
    let date = || value.as_str().and_then(Timestamp::parse_rfc3339);
    let moment = number(value).and_then(epoch).or_else(date);
    moment.map(Some).ok_or_else(|| format!("{} is not a time", field(pointer)))
}

/// What a JWT says of itself: `exp` − `iat`, else until `exp`.
fn implied(token: &str, timing: Timing) -> Option<Duration> {
    let mut parts = token.split('.');
    let payload = parts.nth(1).filter(|_| parts.clone().count() == 1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok()?).ok()?;
    let moment = |name: &str| claims.get(name).and_then(number).and_then(epoch);
    let expires = moment("exp")?;
    Some(moment("iat").map_or_else(|| timing.lifetime_until(expires), |issued| expires.since(issued)))
}

fn given<'a>(document: &'a Value, pointer: &str) -> Option<&'a Value> {
    document.pointer(pointer).filter(|value| !value.is_null())
}

/// An integer, a float or a numeric string.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .filter(|number| number.is_finite())
}

fn epoch(number: f64) -> Option<Timestamp> {
    let millis = if number >= MILLISECONDS_FROM { number } else { number * 1000.0 };
    // Beyond the year 9999 a number is no date.
    #[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
    (0.0..253_402_300_800_000.0).contains(&millis).then_some(Timestamp::from_millis(millis as i64))
}

fn bounded(lifetime: Duration) -> Result<Duration, String> {
    match lifetime {
        lifetime if lifetime.as_millis() == 0 => {
            Err("the token has expired already; is this host's clock right?".into())
        }
        lifetime if lifetime > LONGEST => Err(too_long()),
        lifetime => Ok(lifetime),
    }
}

fn too_long() -> String {
    "the token would live longer than 100 years".into()
}

fn nowhere(plan: &AnswerPlan) -> String {
    format!("no {} and no other expiry; say how long its tokens live: ttl = \"1h\"", field(&plan.expires_in))
}

/// `/data/expires_in` → `data.expires_in`.
fn field(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}
