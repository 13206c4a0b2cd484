//! Rules that hold for every number: durations, times, leads, waits. Nothing here touches the world.
#![allow(clippy::unwrap_used, reason = "a test may")]

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokend::config::{Config, Privacy, SourceText};
use tokend::failure::{Failure, Reach, Refusal};
use tokend::job::{Ask, JobResult};
use tokend::ledger::{Entry, Standing};
use tokend::plan::{lead, renewal_of};
use tokend::preset::{Answer, Asking, Parameters, Preset, Secrets};
use tokend::record::record;
use tokend::slot::Slot;
use tokend::spread::share;
use tokend::store::row::decode;
use tokend::time::{Timestamp, for_people, parse_duration};

const NOW: Timestamp = Timestamp::from_secs(1_795_244_400);
const MINUTE: Duration = Duration::from_mins(1);
const HUNDRED_YEARS: u64 = 36_525 * 24 * 3600;

/// The slot of the only token, whose keys are `keys`, of an account that is `exclusive` or not.
fn slot(exclusive: bool, keys: &str) -> Arc<Slot> {
    let text = format!(
        "[providers.p]\npreset = \"oauth2\"\ntoken_url = \"https://idp.example/token\"\nclient_id = \"one\"\n\
         client_secret = [\"first\", \"second\"]\nexclusive = {exclusive}\n\
         [tokens.a]\nprovider = \"p\"\nsinks = []\n{keys}\n"
    );
    let source = SourceText { path: "t.toml".into(), text, privacy: Privacy::Private };
    Arc::clone(&Config::parse(&[source], &[]).unwrap().slots[0])
}

/// What is known after an access token was issued at `NOW` for `lifetime`.
fn holding(slot: &Slot, lifetime: Duration, generation: u64) -> Entry {
    let ends = (NOW + lifetime).as_millis();
    let token = json!({"type": "Bearer", "scopes": [], "issued_at": NOW, "expires_at": ends, "generation": generation});
    let facts = json!({"generation": generation, "access_token": token}).to_string();
    let row = [&b"\x03\0\0\0tok"[..], facts.as_bytes()].concat();
    decode(slot.identity.clone(), &row).unwrap()
}

/// When the next attempt may be made after `attempts` failures in a row at `NOW`.
fn wait_after(slot: &Slot, mut entry: Entry, failure: &Failure, attempts: u32) -> Duration {
    let ask = Ask { scopes: Vec::new(), secret_choice: 0, refused: 0, forced: false };
    for _ in 0..attempts {
        let result = JobResult::Issued { ask: ask.clone(), asked_at: NOW, answer: Err(failure.clone()) };
        let _ = record(slot, &mut entry, result, NOW);
    }
    match &entry.standing {
        Standing::Failing(retry) => NOW.until(retry.not_before),
        Standing::Good => panic!("a failure was forgotten"),
    }
}

/// How long an access token lives whose answer holds `members` besides.
fn lifetime(members: &Value) -> Result<Duration, Failure> {
    let text = "[request]\nurl = \"https://x.example/\"\n[answer]\nexpires_at = \"/expires_at\"";
    let preset = Preset::from_table("mine", &text.parse().unwrap()).unwrap();
    let mut body = json!({"access_token": "t"});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let body = body.to_string().into_bytes();
    let answer = Answer { status: 200, body, date: None, retry_after: None, location_host: None };
    let (parameters, secrets) = (Parameters::new(), Secrets::new());
    let token_url = "https://x.example/";
    let asking = Asking {
        token_url,
        parameters: &parameters,
        secrets: &secrets,
        others: &[],
        scopes: &[],
        context: None,
        ttl: None,
    };
    preset.read(&asking, &answer, NOW, NOW).map(|issued| issued.expires_at.since(issued.issued_at))
}

/// A duration as a person writes it, in the units that `chosen` names.
fn written(span: u64, chosen: u8) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    let (mut rest, mut text) = (span, String::new());
    for (bit, (unit, millis)) in units.into_iter().enumerate() {
        if chosen & (1 << bit) != 0 || millis == 1 {
            write!(text, "{}{unit}", rest / millis).unwrap();
            rest %= millis;
        }
    }
    text
}

proptest! {
    #[test]
    fn a_duration_is_the_same_in_whatever_units_it_is_written(span in 0..100 * 366 * 86_400_000_u64, units in any::<u8>()) {
        let read = parse_duration(&written(span, units));
        prop_assert_eq!(read, Ok(Duration::from_millis(span)));
    }

    #[test]
    fn people_are_shown_a_duration_that_is_true_to_its_smaller_unit(seconds in 0..HUNDRED_YEARS) {
        let shown = for_people(Duration::from_secs(seconds));
        let read = parse_duration(&shown.replace(' ', "")).unwrap().as_secs();
        let fine = match seconds { 0..3600 => 1, 3600..86_400 => 60, _ => 3600 };
        prop_assert!(read <= seconds && seconds - read < fine, "{seconds} s are shown as {shown}");
    }

    #[test]
    fn a_moment_is_read_as_it_is_shown_in_every_offset(
        seconds in -62_135_596_800..253_402_300_800_i64, offset in -23_i64..=23,
    ) {
        let moment = Timestamp::from_secs(seconds);
        prop_assert_eq!(Timestamp::parse_rfc3339(&moment.to_string()), Some(moment));
        let local = Timestamp::from_secs(seconds - offset * 3600).to_string();
        if local.starts_with(|c: char| c.is_ascii_digit()) {
            for colon in ["", ":"] {
                let text = local.replace('Z', &format!("{:+03}{colon}00", -offset));
                prop_assert_eq!(Timestamp::parse_rfc3339(&text), Some(moment), "{}", text);
            }
        }
    }

    #[test]
    fn a_share_is_at_least_0_and_below_1_whatever_it_is_of(name in "\\PC*", number in any::<u64>()) {
        prop_assert!((0.0..1.0).contains(&share(&name, number)));
    }

    #[test]
    fn a_lead_is_at_most_half_of_a_life_and_what_the_rules_say(
        life in 1..HUNDRED_YEARS * 1000, exclusive in any::<bool>(), given in proptest::option::of(0..100_000_u64),
        generation in any::<u64>(),
    ) {
        let life = Duration::from_millis(life);
        let keys = given.map_or(String::new(), |seconds| format!("refresh = {{ lead = \"{seconds}s\" }}"));
        let slot = slot(exclusive, &keys);
        let lead = lead(&slot.policy, life);
        prop_assert!(lead <= life / 2);
        match (given, exclusive) {
            (Some(given), _) => prop_assert_eq!(lead, Duration::from_secs(given).min(life / 2)),
            (None, true) => prop_assert_eq!(lead, (life / 10).min(MINUTE)),
            (None, false) => prop_assert_eq!(lead, (life / 10).max(MINUTE).min(10 * MINUTE).min(life / 2)),
        }
        let token = holding(&slot, life, generation).access_token.unwrap();
        let before = renewal_of(&slot, &token).until(token.expires_at);
        if exclusive {
            prop_assert_eq!(before, Duration::from_millis(u64::try_from(lead.as_millis()).unwrap()));
        } else {
            let tick = Duration::from_millis(1);
            prop_assert!(before <= lead && before + tick >= lead / 2, "{before:?} of {lead:?}");
        }
    }

    #[test]
    fn waits_after_failures_grow_to_a_minute_and_shrink_while_a_token_is_held(
        attempts in 1..40_u32, left in 1..100_000_u64, held in any::<bool>(),
    ) {
        let slot = slot(false, "");
        let failure = Failure::Unreachable { reason: "nobody answers".into(), reach: Reach::NotSent };
        let entry = if held { holding(&slot, Duration::from_secs(left), 1) } else { Entry::new(slot.identity.clone()) };
        let wait = wait_after(&slot, entry, &failure, attempts);
        let whole = Duration::from_secs(1 << (attempts - 1).min(6)).min(MINUTE);
        let longest = Duration::from_millis(left * 500).max(Duration::from_secs(5));
        let longest = if held { longest } else { Duration::MAX };
        let tick = Duration::from_millis(1);
        prop_assert!(wait <= whole.min(longest) && wait + tick >= (whole / 2).min(longest), "{wait:?}");
    }

    #[test]
    fn waits_after_refusals_grow_to_an_hour_and_patience_that_was_asked_for_is_kept(
        attempts in 1..40_u32, patience in 0..100_000_u64,
    ) {
        let slot = slot(false, "");
        let refusal = Refusal { status: 403, code: None, description: None, credentials: false, retry_after: None };
        let wait = wait_after(&slot, Entry::new(slot.identity.clone()), &Failure::Refused(refusal), attempts).as_secs();
        let expected = match attempts { 1 => 5, 2 => 20, more => (60 << (more - 3).min(6)).min(3600) };
        prop_assert_eq!(wait, expected);
        let retry_after = Some(Duration::from_secs(patience));
        let busy = Failure::Busy { reason: "HTTP 503".into(), status: 503, retry_after };
        let wait = wait_after(&slot, Entry::new(slot.identity.clone()), &busy, attempts);
        prop_assert!(wait >= Duration::from_secs(patience.min(3600)) && wait <= Duration::from_secs(patience.clamp(60, 3600)));
    }

    #[test]
    fn a_life_is_the_same_in_whatever_way_an_answer_says_it(seconds in 1..HUNDRED_YEARS) {
        let expected = Ok(Duration::from_secs(seconds));
        let ends = NOW.as_secs().unsigned_abs() + seconds;
        prop_assert_eq!(lifetime(&json!({"expires_in": seconds})), expected.clone());
        #[allow(clippy::cast_precision_loss, reason = "a hundred years are exact")]
        let float = seconds as f64;
        for value in [json!(float), json!(seconds.to_string()), json!(format!("{seconds}.0"))] {
            prop_assert_eq!(lifetime(&json!({"expires_in": value})), expected.clone());
        }
        let moment = Timestamp::from_secs(i64::try_from(ends).unwrap()).to_string();
        for value in [json!(ends), json!(ends.to_string()), json!(ends * 1000), json!((ends * 1000).to_string()), json!(moment)] {
            prop_assert_eq!(lifetime(&json!({"expires_at": value})), expected.clone());
            let both = json!({"expires_in": seconds + 1, "expires_at": value});
            let nearer = if seconds >= seconds.div_ceil(2) { seconds } else { seconds + 1 };
            prop_assert_eq!(lifetime(&both), Ok(Duration::from_secs(nearer)));
        }
    }

    #[test]
    fn no_life_is_zero_or_longer_than_a_hundred_years(number in prop_oneof![any::<f64>(), -10.0..1e13_f64]) {
        for members in [json!({"expires_in": number}), json!({"expires_at": number}), json!({"expires_in": number.to_string()})] {
            if let Ok(life) = lifetime(&members) {
                prop_assert!(!life.is_zero() && life <= Duration::from_secs(HUNDRED_YEARS), "{members}: {life:?}");
            }
        }
    }
}
