//! What would happen if every provider answered as documented: when each slot is refreshed, and
//! how many access tokens that makes per hour and day, beside the vendor's rule. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::access_token::{AccessToken, Clock, Generation};
use crate::config::Config;
use crate::plan::{lead, renewal_of};
use crate::secret::Secret;
use crate::slot::Slot;
use crate::time::{Timestamp, for_people};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What would happen from one moment to another.
#[derive(Clone, Debug, Serialize)]
pub struct Forecast {
    /// From when.
    pub from: String,
    /// Until when.
    pub until: String,
    /// Every slot, by id.
    pub slots: Vec<SlotForecast>,
    /// All slots of one account and PSU context together, where the preset is exclusive.
    pub psu_contexts: Vec<GroupForecast>,
    /// All slots of one endpoint together.
    pub endpoints: Vec<GroupForecast>,
    /// What the operator must see to, because no program can.
    pub notes: Vec<String>,
}

/// One slot.
#[derive(Clone, Debug, Serialize)]
pub struct SlotForecast {
    /// `provider/context` or `provider/token`.
    pub slot: String,
    /// The tokens that share it.
    pub tokens: Vec<String>,
    /// Where another tokend writes, where no provider is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follows: Option<String>,
    /// What is asked, with the PSU context.
    pub scope: String,
    /// The lifetime that the vendor documents, in seconds.
    pub lifetime_seconds: u64,
    /// How long before expiry the next access token is asked for, in seconds.
    pub lead_seconds: f64,
    /// The cron line and time zone by which it is asked besides, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// When it is asked: at the beginning, and then before every expiry.
    pub refreshes: Vec<String>,
    /// The most in any 60 minutes.
    pub issues_per_hour: usize,
    /// The most in any 24 hours, counted on from what the forecast covers.
    pub issues_per_day: usize,
    /// The budget that holds issues, where there is one.
    pub budget: Option<String>,
}

/// Several slots together.
#[derive(Clone, Debug, Serialize)]
pub struct GroupForecast {
    /// The account and context, or the endpoint.
    pub group: String,
    /// The slots in it.
    pub slots: Vec<String>,
    /// The most in any 60 minutes.
    pub issues_per_hour: usize,
    /// The most in any 24 hours.
    pub issues_per_day: usize,
    /// What the vendor asks for.
    pub rule: Option<String>,
}

/// Forecasts `config` from `from` for `span`, starting with nothing held.
#[must_use]
pub fn forecast(config: &Config, from: Timestamp, span: Duration) -> Forecast {
    let horizon = from + span.max(DAY);
    let courses: Vec<Course<'_>> = config.slots.iter().map(|slot| course(slot, from, horizon)).collect();
    let issuing = || courses.iter().filter(|course| course.slot.follows().is_none());
    let exclusive = courses.iter().filter(|course| course.slot.policy.exclusive);
    Forecast {
        from: from.to_string(),
        until: (from + span).to_string(),
        slots: courses.iter().map(|course| slot_forecast(course, from + span)).collect(),
        psu_contexts: groups(exclusive.clone(), context_of),
        endpoints: groups(issuing(), |slot| slot.endpoint().shown().to_owned()),
        notes: notes(&courses),
    }
}

/// What would become of one slot.
struct Course<'a> {
    slot: &'a Slot,
    /// When its provider is asked: never, where it follows.
    moments: Vec<Timestamp>,
    /// The first time in which it has no valid access token, because of its budget.
    gap: Option<(Timestamp, Timestamp)>,
}

fn course(slot: &Slot, from: Timestamp, horizon: Timestamp) -> Course<'_> {
    let (mut moments, mut gap) = (Vec::new(), None);
    let mut at = if slot.follows().is_some() { horizon } else { from };
    while at < horizon && moments.len() < MOST_MOMENTS {
        moments.push(at);
        let token = imagined(slot, at, moments.len() as u64);
        let next = next_request(slot, &token, &moments).max(at + Duration::from_secs(1));
        if next > token.expires_at {
            gap.get_or_insert((token.expires_at, next));
        }
        at = next;
    }
    Course { slot, moments, gap }
}

/// When the provider is asked after it issued `token`, the last of `issues`: what is early is not given the
/// last place of the budget (L5).
fn next_request(slot: &Slot, token: &AccessToken, issues: &[Timestamp]) -> Timestamp {
    let held = |due: Timestamp, kept: usize| {
        let Some(budget) = slot.policy.budget else { return due };
        let places = (budget.issues as usize).saturating_sub(kept);
        if places == 0 {
            return Timestamp::NEVER;
        }
        let place_again = |nth: usize| issues[nth] + budget.per;
        issues.len().checked_sub(places).map_or(due, |nth| due.max(place_again(nth)))
    };
    let scheduled = slot.schedule.as_ref().and_then(|schedule| schedule.next_after(token.issued_at));
    held(renewal_of(slot, token), 0).min(scheduled.map_or(Timestamp::NEVER, |at| held(at, 1)))
}

/// What to say of `slot` where its budget leaves it without a valid access token, counted from `from`.
#[must_use]
pub fn runs_dry(slot: &Slot, from: Timestamp) -> Option<String> {
    let budget = slot.policy.budget?;
    dryness(&course(slot, from, from + budget.per.max(DAY)))
}

fn dryness(course: &Course<'_>) -> Option<String> {
    let Course { slot, gap, .. } = course;
    let (budget, (since, until)) = (slot.policy.budget?, (*gap)?);
    let without = for_people(since.until(until));
    Some(format!(
        "{}: its budget of {} in {} is too small for access tokens that live {}: it is without one for {without} at a time",
        slot.id,
        budget.issues,
        for_people(budget.per),
        for_people(slot.policy.expected_lifetime),
    ))
}

/// Bounds a forecast whose tokens live for seconds.
const MOST_MOMENTS: usize = 100_000;

fn imagined(slot: &Slot, issued_at: Timestamp, generation: u64) -> AccessToken {
    AccessToken {
        secret: Secret::new(String::new()),
        token_type: String::new(),
        scopes: Vec::new(),
        issued_at,
        expires_at: issued_at + slot.policy.expected_lifetime,
        generation: Generation(generation),
        extra: BTreeMap::new(),
        clock: Clock::Boot,
    }
}

fn slot_forecast(course: &Course<'_>, until: Timestamp) -> SlotForecast {
    let Course { slot, moments, .. } = course;
    let lifetime = slot.policy.expected_lifetime;
    let scope: Vec<&str> = slot.scopes.iter().chain(&slot.context).map(String::as_str).collect();
    SlotForecast {
        slot: slot.id.to_string(),
        tokens: slot.tokens.iter().map(|token| token.name.to_string()).collect(),
        follows: slot.follows().map(|followed| followed.id.to_string()),
        scope: scope.join(" "),
        lifetime_seconds: lifetime.as_secs(),
        lead_seconds: lead(&slot.policy, lifetime).as_secs_f64(),
        schedule: slot.schedule.as_ref().map(|schedule| schedule.as_str().to_owned()),
        refreshes: moments.iter().filter(|at| **at < until).map(ToString::to_string).collect(),
        issues_per_hour: most_within(moments, HOUR),
        issues_per_day: most_within(moments, DAY),
        budget: slot.policy.budget.map(|budget| format!("{} in {}", budget.issues, for_people(budget.per))),
    }
}

/// The most moments that lie within any stretch of `span`. `moments` are in order.
fn most_within(moments: &[Timestamp], span: Duration) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (index, at) in moments.iter().enumerate() {
        while moments[first] + span <= *at {
            first += 1;
        }
        most = most.max(index + 1 - first);
    }
    most
}

fn context_of(slot: &Slot) -> String {
    let context = slot.context.as_deref().unwrap_or("account");
    let host = slot.endpoint().as_str().split('/').nth(2).unwrap_or_default();
    format!("{context} of {} at {host}", slot.provider.client_id())
}

fn groups<'a>(courses: impl Iterator<Item = &'a Course<'a>>, group_of: impl Fn(&Slot) -> String) -> Vec<GroupForecast> {
    let mut members: BTreeMap<String, Vec<&Course<'_>>> = BTreeMap::new();
    for course in courses {
        members.entry(group_of(course.slot)).or_default().push(course);
    }
    members.into_iter().map(|(group, courses)| group_forecast(group, &courses)).collect()
}

fn group_forecast(group: String, courses: &[&Course<'_>]) -> GroupForecast {
    let mut moments: Vec<Timestamp> = courses.iter().flat_map(|course| course.moments.iter().copied()).collect();
    moments.sort_unstable();
    GroupForecast {
        group,
        slots: courses.iter().map(|course| course.slot.id.to_string()).collect(),
        issues_per_hour: most_within(&moments, HOUR),
        issues_per_day: most_within(&moments, DAY),
        rule: courses.iter().find_map(|course| course.slot.provider.preset.context.rule.clone()),
    }
}

/// What the operator must see to, each once.
fn notes(courses: &[Course<'_>]) -> Vec<String> {
    let mut notes: BTreeSet<String> = courses.iter().filter_map(dryness).collect();
    for Course { slot, moments, .. } in courses.iter().filter(|course| course.slot.policy.exclusive) {
        notes.insert(only_issuer(slot));
        let lifetime = slot.policy.expected_lifetime;
        if lifetime >= HOUR && most_within(moments, HOUR) > 1 {
            let lead = for_people(lead(&slot.policy, lifetime));
            notes.insert(format!(
                "{}: renewed {lead} before the end, so two issues lie within some hours; refresh.lead = \"0s\" makes it one",
                slot.id,
            ));
        }
    }
    notes.into_iter().collect()
}

fn only_issuer(slot: &Slot) -> String {
    format!(
        "this host must be the only one that asks {} for client {}: a second issuer would break the rule",
        slot.endpoint().shown(),
        slot.provider.client_id(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{at, budget, config, plain_slot};

    #[test]
    fn a_budget_that_is_too_small_is_kept_and_told() {
        let with = |issues, per: Duration| {
            let mut slot = plain_slot();
            slot.policy.expected_lifetime = HOUR;
            slot.policy.budget = Some(budget(issues, per.as_secs()));
            forecast(&config(&[slot]), at(0), DAY)
        };
        let dry = |forecast: &Forecast| forecast.notes.iter().filter(|note| note.contains("too small")).count();
        let enough = with(3, HOUR);
        assert_eq!((enough.slots[0].issues_per_day, dry(&enough)), (25, 0));
        let small = with(1, DAY);
        assert_eq!((small.slots[0].refreshes.len(), small.slots[0].issues_per_day, dry(&small)), (1, 1, 1));
        let note = "bank/corporate: its budget of 1 in 1d is too small for access tokens that live 1h: it is without one \
                    for 23h at a time";
        assert!(small.notes.iter().any(|said| said == note), "{:?}", small.notes);
        let two = with(2, 6 * HOUR);
        assert_eq!(
            &two.slots[0].refreshes[..3],
            ["2027-01-15T08:00:00Z", "2027-01-15T08:59:00Z", "2027-01-15T14:00:00Z"]
        );
    }

    #[test]
    fn the_most_within_an_hour_is_counted_over_every_hour() {
        let at = |minutes: i64| Timestamp::from_secs(minutes * 60);
        assert_eq!(most_within(&[], HOUR), 0);
        assert_eq!(most_within(&[at(0), at(59), at(118)], HOUR), 2);
        assert_eq!(most_within(&[at(0), at(60), at(120)], HOUR), 1);
        assert_eq!(most_within(&[at(0), at(50), at(55), at(59), at(100)], HOUR), 4);
    }
}
