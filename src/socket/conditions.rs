//! The conditions that a reader sets: how long the access token must live, which ones it has already,
//! and how long it waits.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::IF_NONE_MATCH;
use axum::http::{HeaderMap, StatusCode};

use crate::access_token::{AccessToken, Generation};
use crate::plan::lead;
use crate::shelf::Item;
use crate::socket::problem::Problem;
use crate::time::{Timestamp, for_people, parse_duration};

/// No request waits longer; who asks for more gets this.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// What a reader wants of the access token that it is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// It lives at least so long.
    pub(crate) min_valid: Duration,
    /// How long to wait for one.
    pub(crate) wait: Duration,
    /// The entity tags of those that it has (`If-None-Match`), as they stand there.
    has: Vec<String>,
}

/// Whether the conditions hold.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// All do.
    Holds(Arc<AccessToken>),
    /// All but that it is another than the reader has.
    SameAgain(Generation),
    /// A valid one is held, and ends too soon.
    TooShort,
    /// No access token of this slot lives so long when it is renewed: waiting is of no use.
    NeverSoLong(String),
    /// No valid one is held.
    Missing,
}

impl Conditions {
    /// Reads them from the query and the headers.
    ///
    /// Errors: 400, naming the parameter.
    pub(crate) fn parse(query: Option<&str>, headers: &HeaderMap) -> Result<Self, Problem> {
        let wrong = |text: String| Problem::new(StatusCode::BAD_REQUEST, text);
        let (mut min_valid, mut wait) = (None, None);
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let parameter = match &*name {
                "min_valid" => &mut min_valid,
                "wait" => &mut wait,
                _ => {
                    let name: String = name.chars().take(80).collect();
                    return Err(wrong(format!("unknown parameter {name:?}; this takes min_valid and wait")));
                }
            };
            let duration = parse_duration(&value).map_err(|why| wrong(format!("{name}: {why}")))?;
            if parameter.replace(duration).is_some() {
                return Err(wrong(format!("{name}: it is given twice")));
            }
        }
        let values = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let has = values.flat_map(|value| value.split(',')).map(|tag| tag.trim().to_owned()).collect();
        let wait = wait.unwrap_or_default().min(LONGEST_WAIT);
        Ok(Self { min_valid: min_valid.unwrap_or_default(), wait, has })
    }

    /// Holds them against what is on offer.
    pub(crate) fn judge(&self, item: &Item, now: Timestamp) -> Verdict {
        let newest = item.access_token.as_ref();
        let live = newest.filter(|token| token.is_live(now));
        match live.filter(|token| now.until(token.expires_at) >= self.min_valid) {
            Some(token) if self.has(token.generation) => Verdict::SameAgain(token.generation),
            Some(token) => Verdict::Holds(Arc::clone(token)),
            None => match (newest.and_then(|token| self.never_so_long(item, token)), live) {
                (Some(why), _) => Verdict::NeverSoLong(why),
                (None, Some(_)) => Verdict::TooShort,
                (None, None) => Verdict::Missing,
            },
        }
    }

    /// Equality alone counts, weak or not (RFC 9110 §13.1.2).
    fn has(&self, generation: Generation) -> bool {
        let etag = etag(generation);
        self.has.iter().any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
    }

    /// Why no access token like `token` will do: at its renewal it has the lead left.
    fn never_so_long(&self, item: &Item, token: &AccessToken) -> Option<String> {
        let longest = token.lifetime().saturating_sub(lead(&item.slot.policy, token.lifetime()));
        (self.min_valid > longest).then(|| {
            let (wanted, longest) = (for_people(self.min_valid), for_people(longest));
            format!("min_valid: its access tokens are not held for {wanted}; {longest} is the most")
        })
    }
}

/// The entity tag of an access token.
pub(crate) fn etag(generation: Generation) -> String {
    format!("\"{generation}\"")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::fixtures::{own_slot, plain_slot};
    use crate::secret::Secret;
    use crate::slot::Slot;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn parse(query: &str, has: &[&str]) -> Conditions {
        let mut headers = HeaderMap::new();
        for tags in has {
            headers.append(IF_NONE_MATCH, HeaderValue::from_str(tags).unwrap());
        }
        Conditions::parse(Some(query), &headers).unwrap()
    }

    /// The seventh access token of `slot`, of an hour, with so many minutes left.
    fn item(slot: Slot, minutes_left: Option<u64>) -> Item {
        let access_token = minutes_left.map(|minutes| {
            let expires_at = NOW + Duration::from_mins(minutes);
            Arc::new(AccessToken {
                secret: Secret::new("secret".into()),
                token_type: "Bearer".into(),
                scopes: Vec::new(),
                issued_at: expires_at - Duration::from_hours(1),
                expires_at,
                generation: Generation(7),
                extra: std::collections::BTreeMap::default(),
                clock: crate::access_token::Clock::Boot,
            })
        });
        Item::new(Arc::new(slot), access_token)
    }

    fn word(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Holds(_) => "holds",
            Verdict::SameAgain(_) => "same again",
            Verdict::TooShort => "too short",
            Verdict::NeverSoLong(_) => "never so long",
            Verdict::Missing => "missing",
        }
    }

    #[test]
    fn all_three_conditions_hold_or_the_first_that_does_not_decides() {
        for (query, has, left, expected) in [
            ("", &[][..], Some(60), "holds"),
            ("", &[], Some(0), "missing"),
            ("", &[], None, "missing"),
            ("", &["\"7\""], Some(60), "same again"),
            ("", &["\"8\""], Some(60), "holds"), // equality, never order
            ("", &["\"1\", W/\"7\""], Some(60), "same again"),
            ("", &["\"1\"", "\"7\""], Some(60), "same again"),
            ("", &["*"], Some(60), "same again"),
            ("", &["7"], Some(60), "holds"),
            ("", &["\"7\""], Some(0), "missing"),
            ("min_valid=30m", &[], Some(30), "holds"),
            ("min_valid=30m", &[], Some(29), "too short"),
            ("min_valid=30m", &["\"7\""], Some(29), "too short"),
            // With a lead of six minutes its last access token had 54 left at its renewal.
            ("min_valid=54m", &[], Some(29), "too short"),
            ("min_valid=55m", &[], Some(29), "never so long"),
            ("min_valid=55m", &[], Some(0), "never so long"),
            ("min_valid=55m", &[], Some(56), "holds"),
            ("min_valid=55m", &[], None, "missing"),
        ] {
            let verdict = parse(query, has).judge(&item(own_slot("x"), left), NOW);
            assert_eq!(word(&verdict), expected, "{query} {has:?} with {left:?} minutes left");
        }
        let shared = |query| parse(query, &[]).judge(&item(plain_slot(), Some(29)), NOW);
        assert_eq!([word(&shared("min_valid=59m")), word(&shared("min_valid=60m"))], ["too short", "never so long"]);
    }

    #[test]
    fn nobody_waits_longer_than_five_minutes() {
        assert_eq!(parse("wait=100d", &[]).wait, Duration::from_mins(5));
        assert_eq!(parse("min_valid=1h30m&wait=250ms", &[]).wait, Duration::from_millis(250));
        assert_eq!(parse("", &[]), Conditions::default());
    }
}
