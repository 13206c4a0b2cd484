//! Says in the log what changed outside, what will be tried again, and what a person must do; and
//! tells the service manager. The same failure is told again only as it goes on: the 1st, 2nd,
//! 4th, 8th … time.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use tracing::{debug, error, info, warn};

use crate::access_token::AccessToken;
use crate::daemon::Seen;
use crate::failure::{Class, Failure};
use crate::job::{JobResult, Outcome};
use crate::keeper::{Case, Keeper};
use crate::ledger::{Entry, Retry, Standing};
use crate::name::Name;
use crate::plan::{next_issue, renewal_of};
use crate::slot::Slot;
use crate::systemd::Service;
use crate::task::Task;
use crate::time::{Timestamp, for_people};

/// What was told already.
#[derive(Debug)]
pub(crate) struct Telling {
    service: Service,
    arrived: Option<Arrived>,
    writable: bool,
    told_stopping: bool,
}

/// What is remembered of an outcome until it was recorded.
#[derive(Debug)]
enum Arrived {
    Issue { generation: u64, failing: Option<Discriminant<Failure>> },
    Delivery { line: Option<(String, Result<u64, String>)> },
    Withdrawal { sink: String, result: Result<(), String> },
    Recall,
}

impl Telling {
    pub(crate) fn new(service: Service) -> Self {
        Self { service, arrived: None, writable: true, told_stopping: false }
    }

    /// When the service manager is to be told something whatever happens.
    pub(crate) fn deadline(&self) -> Timestamp {
        self.service.deadline()
    }

    #[expect(clippy::unused_self, reason = "told where the rest is told")]
    pub(crate) fn starting(&self, task: &Task) {
        match task {
            Task::Issue(slot, ask) => {
                debug!(slot = %slot.id, scope = ask.scopes.join(" "), forced = ask.forced, "asking the provider");
            }
            Task::Deliver(delivery) => debug!(slot = %delivery.slot.id, sink = %delivery.sink().id, "delivering"),
            Task::Recall(slot) => debug!(slot = %slot.id, "reading the generation that the sinks hold"),
            Task::Withdraw { sink, .. } => debug!(%sink, "withdrawing"),
        }
    }

    pub(crate) fn observe(&mut self, keeper: &Keeper, seen: &Seen<'_>, now: Timestamp) {
        match seen {
            Seen::Arriving(outcome) => self.arrived = Some(remember(keeper, outcome)),
            Seen::Recorded(identity) => {
                if let (Some(arrived), Some(case)) = (self.arrived.take(), keeper.case_of(identity)) {
                    tell(&arrived, keeper, case, now);
                }
            }
            Seen::NotSaved(reason) => self.not_saved(reason),
            Seen::ClockSet(step) => {
                self.service.follow_clock(*step);
                info!(by = %step, "the wall clock was set; every deadline moves with it");
            }
            Seen::Paused(name) => info!(slot = slot_id(keeper, name), "paused: no requests until it is resumed"),
            Seen::Resumed(name) => info!(slot = slot_id(keeper, name), "resumed"),
            Seen::Reloaded => debug!(tokens = keeper.config().tokens.len(), "planning for another configuration"),
            Seen::StatusWanted => tell_status(keeper, now),
            Seen::Turned => self.turned(keeper, now),
        }
    }

    fn not_saved(&mut self, reason: &str) {
        if self.writable {
            self.writable = false;
            error!(reason, "the state cannot be written; access tokens are kept in memory until it can");
        }
    }

    fn turned(&mut self, keeper: &Keeper, now: Timestamp) {
        if !self.writable && keeper.everything_is_saved() {
            self.writable = true;
            info!("the state can be written again; nothing was lost");
        }
        if keeper.is_stopping() && !self.told_stopping {
            self.told_stopping = true;
            self.service.stop(now);
            info!(under_way = keeper.in_flight(), "stopping");
        }
        let ready = keeper.is_ready();
        self.service.feed_watchdog(now);
        self.service.extend(now);
        if self.service.ready_is_due(ready, now) {
            self.service.send_ready(status_line(keeper, self.writable, now));
            if ready {
                info!(tokens = keeper.config().tokens.len(), "ready: every required token is valid and delivered");
            } else {
                let (missing, reason) = (keeper.unready_count(), keeper.unready_reason(now));
                warn!(missing, reason, "started without all required tokens; see `tokend status`");
            }
        }
        if self.service.status_is_due(now) {
            self.service.show(status_line(keeper, self.writable, now));
        }
    }
}

/// For `systemctl status`: how many there are, and the first thing that is the matter.
fn status_line(keeper: &Keeper, writable: bool, now: Timestamp) -> String {
    let (tokens, slots) = (keeper.config().tokens.len(), keeper.config().slots.len());
    let state = match keeper.state_notice() {
        _ if !writable => "; THE STATE CANNOT BE WRITTEN",
        Some(_) => "; THE STATE WAS LOST: see tokend status",
        None => "",
    };
    let tokens = if tokens == 1 { "1 token".to_owned() } else { format!("{tokens} tokens") };
    match keeper.unready_reason(now) {
        None => format!("{tokens}, all required ones valid and delivered{state}"),
        Some(reason) => {
            let missing = keeper.unready_count();
            format!("{tokens}, {missing} of {slots} slots lack a required one, see tokend status: {reason}{state}")
        }
    }
}

fn slot_id<'a>(keeper: &'a Keeper, name: &Name) -> Option<&'a str> {
    keeper.config().slot_of(name).map(|slot| slot.id.as_str())
}

fn remember(keeper: &Keeper, outcome: &Outcome) -> Arrived {
    match &outcome.result {
        JobResult::Issued { .. } => {
            let entry = keeper.case_of(&outcome.identity).map(|case| &case.entry);
            let failing = entry.and_then(|entry| match &entry.standing {
                Standing::Failing(retry) => Some(discriminant(&retry.failure)),
                Standing::Good => None,
            });
            Arrived::Issue { generation: entry.map_or(0, |entry| entry.generation.0), failing }
        }
        JobResult::Recalled(_) => Arrived::Recall,
        JobResult::Withdrawn { sink, result } => Arrived::Withdrawal { sink: sink.to_string(), result: result.clone() },
        JobResult::Delivered { sink, generation, result, .. } => {
            let line = match result {
                Ok(delivered) if !delivered.written => None,
                Ok(_) => Some((sink.to_string(), Ok(generation.0))),
                Err(reason) => Some((sink.to_string(), Err(reason.clone()))),
            };
            Arrived::Delivery { line }
        }
    }
}

fn tell(arrived: &Arrived, keeper: &Keeper, case: &Case, now: Timestamp) {
    let slot = case.slot.as_deref();
    match arrived {
        Arrived::Recall | Arrived::Delivery { line: None } => {}
        Arrived::Issue { generation, failing } => {
            if let Some(slot) = slot {
                let next = next_issue(slot, &case.entry, now).0.max(keeper.queued_until(slot));
                match &case.entry.standing {
                    Standing::Failing(retry) => {
                        let is_another = *failing != Some(discriminant(&retry.failure));
                        if is_another || worth_telling(retry.attempts.unreachable + retry.attempts.refused) {
                            tell_failure(slot, &case.entry, retry, next, now);
                        }
                    }
                    Standing::Good => tell_issue(slot, &case.entry, *generation, next),
                }
            }
        }
        Arrived::Delivery { line: Some((sink, Ok(generation))) } => info!(sink, generation, "delivered"),
        Arrived::Delivery { line: Some((sink, Err(reason))) } => {
            tell_sink_failure(case, sink, reason, "not delivered", now);
        }
        Arrived::Withdrawal { sink, result: Ok(()) } => info!(sink, "withdrawn"),
        Arrived::Withdrawal { sink, result: Err(reason) } => {
            tell_sink_failure(case, sink, reason, "could not be withdrawn", now);
        }
    }
}

/// Why there is no new access token, and when the provider is asked again: what the schedule of
/// retries, the budget and the provider's patience make together.
fn tell_failure(slot: &Slot, entry: &Entry, retry: &Retry, next: Timestamp, now: Timestamp) {
    let attempts = retry.attempts.unreachable + retry.attempts.refused;
    let next = if entry.paused.is_some() { "never: it is paused".to_owned() } else { pause_until(next, now) };
    let held = entry.live(now).map(|held| for_people(now.until(held.expires_at)));
    let held = held.map_or("none".to_owned(), |left| format!("valid for {left}"));
    let (reason, class) = (retry.failure.to_string(), retry.failure.class().to_string());
    match retry.failure.class() {
        Class::Unreachable => {
            warn!(slot = %slot.id, class, reason, attempts, next_attempt_in = next, held, "no new access token");
        }
        Class::Refused | Class::NotReady => {
            error!(slot = %slot.id, class, reason, attempts, next_attempt_in = next, held, "no new access token");
        }
    }
}

fn tell_issue(slot: &Slot, entry: &Entry, before: u64, next: Timestamp) {
    let Some(token) = &entry.access_token else { return };
    let denied = entry.denied.as_ref().map(|denied| denied.scopes.join(" "));
    match denied {
        _ if token.generation.0 > before => tell_new_token(slot, entry, token, next),
        Some(scope) => {
            error!(slot = %slot.id, scope, "the provider does not grant these scopes together; renewing what it granted last");
        }
        None => debug!(slot = %slot.id, "the provider answered with the access token already held"),
    }
}

fn tell_new_token(slot: &Slot, entry: &Entry, token: &AccessToken, next: Timestamp) {
    info!(slot = %slot.id, generation = token.generation.0, expires_at = %token.expires_at,
        scope = token.scopes.join(" "), "access token issued");
    if let Some(warning) = &entry.warning {
        warn!(slot = %slot.id, warning, "the answer was usable, but");
    }
    let due = renewal_of(slot, token);
    if slot.policy.budget.is_some() && due < next && next < Timestamp::NEVER {
        warn!(slot = %slot.id, %due, next_refresh = %next, "the budget of access tokens is used up: its renewal will have to wait");
    }
}

fn tell_sink_failure(case: &Case, sink: &str, reason: &str, what: &str, now: Timestamp) {
    let retry = case.entry.receipts.iter().find(|(id, _)| id.as_str() == sink).and_then(|(_, r)| r.retry.as_ref());
    let Some(retry) = retry.filter(|retry| worth_telling(retry.attempts)) else { return };
    let next = pause_until(retry.not_before, now);
    warn!(sink, reason, attempts = retry.attempts, next_attempt_in = next, "{what}");
}

/// How long until `moment`, in whole seconds: a pause of half a second is not none.
fn pause_until(moment: Timestamp, now: Timestamp) -> String {
    let pause = now.until(moment);
    for_people(Duration::from_secs(pause.as_secs() + u64::from(pause.subsec_nanos() > 0)))
}

/// The 1st, 2nd, 4th, 8th … time.
fn worth_telling(attempts: u32) -> bool {
    attempts.is_power_of_two() || attempts == 0
}

/// Logs one line for each slot: what SIGUSR1 asks for.
fn tell_status(keeper: &Keeper, now: Timestamp) {
    let status = keeper.status(now);
    info!(ready = status.ready, tokens = status.counts.tokens, valid = status.counts.valid, "status");
    for slot in &status.slots {
        let error = slot.last_error.as_ref().map(|error| error.reason.as_str());
        info!(
            slot = slot.slot,
            generation = slot.generation.0,
            expires_at = slot.expires_at,
            next_refresh = slot.next_refresh,
            last_error = error,
            "status"
        );
    }
}
