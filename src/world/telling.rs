//! Says in the log what changed outside, what will be tried again, and what a person must do; and
//! tells the service manager and counts for metrics. The same failure is told again only as it goes
//! on: the 1st, 2nd, 4th, 8th … time.

use std::mem::{Discriminant, discriminant};

use tracing::{debug, error, info, warn};

use crate::daemon::Seen;
use crate::failure::{Class, Failure};
use crate::job::{JobResult, Outcome};
use crate::keeper::{Case, Keeper};
use crate::ledger::Standing;
use crate::metrics::counts::{self, Counts};
use crate::name::{Name, SinkId};
use crate::plan::next_issue;
use crate::settings::HookEvent;
use crate::systemd::Service;
use crate::task::Task;
use crate::time::Timestamp;
use crate::world::telling::counting::count;
use crate::world::telling::lines::{
    names_of, tell_asking, tell_expiry, tell_failure, tell_hook_failure, tell_issue, tell_sink_failure, tell_status,
    worth_telling,
};

mod counting;
mod lines;

/// What was told already.
#[derive(Debug)]
pub(crate) struct Telling {
    service: Service,
    counts: Counts,
    arrived: Option<Arrived>,
    state: Told,
    told_stopping: bool,
}

/// What was told of the state last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Everything is saved.
    Saved,
    /// A save failed, and nothing is published before it succeeds.
    Unsaved,
    /// It goes on from memory.
    InMemory,
}

/// What is remembered of an outcome until it was recorded.
#[derive(Debug)]
enum Arrived {
    Issue { generation: u64, failing: Option<Discriminant<Failure>>, failed: Option<Class> },
    Delivery { sink: SinkId, generation: u64, result: Result<counts::Delivery, String> },
    Withdrawal { sink: SinkId, result: Result<(), String> },
    Hook { token: Name, event: HookEvent, generation: u64, result: Result<(), String> },
    Overtaken { sink: SinkId, generation: u64 },
    Recall,
}

impl Telling {
    pub(crate) fn new(service: Service, counts: Counts) -> Self {
        Self { service, counts, arrived: None, state: Told::Saved, told_stopping: false }
    }

    /// When the service manager is to be told something whatever happens.
    pub(crate) fn deadline(&self) -> Timestamp {
        self.service.deadline()
    }

    #[expect(clippy::unused_self, reason = "told where the rest is told")]
    pub(crate) fn starting(&self, task: &Task) {
        match task {
            Task::Issue(slot, ask) => tell_asking(slot, ask),
            Task::Deliver(delivery) => debug!(slot = %delivery.slot.id, sink = %delivery.sink().id, "delivering"),
            Task::Recall(slot) => debug!(slot = %slot.id, "reading the generation that the sinks hold"),
            Task::Withdraw { sink, .. } => debug!(%sink, "withdrawing"),
            Task::Notify(notification) => {
                let notice = &notification.notice;
                debug!(token = %notice.token, hook = %notice.event.kind(), event = %notice.event, "running a hook");
            }
        }
    }

    pub(crate) fn observe(&mut self, keeper: &Keeper, seen: &Seen<'_>, now: Timestamp) {
        match seen {
            Seen::Arriving(outcome) => self.arrived = Some(remember(keeper, outcome)),
            Seen::Recorded(identity) => {
                if let (Some(arrived), Some(case)) = (self.arrived.take(), keeper.case_of(identity)) {
                    count(&arrived, case, &self.counts);
                    tell(&arrived, keeper, case, now);
                }
            }
            Seen::NotSaved(reason) => debug!(reason, "the state was not saved"),
            Seen::ClockSet(step) => {
                self.service.follow_clock(*step);
                info!(by = %step, "the wall clock was set; every deadline moves with it");
            }
            Seen::Paused(name) => info!(slot = slot_id(keeper, name), "paused: no requests until it is resumed"),
            Seen::Resumed(name) => info!(slot = slot_id(keeper, name), "resumed"),
            Seen::Reloaded => debug!(tokens = keeper.config().tokens.len(), "planning for another configuration"),
            Seen::StatusWanted => tell_status(keeper, now),
            Seen::Turned => self.turned(keeper, now),
            Seen::ReadingsWanted(_) | Seen::LookAgain => {}
        }
    }

    /// Tells each step once: a disk may fail every few seconds for hours.
    fn tell_state(&mut self, keeper: &Keeper, now: Timestamp) {
        let told = match keeper.unsaved() {
            None => Told::Saved,
            Some(_) if keeper.state_is_writable(now) => Told::Unsaved,
            Some(_) => Told::InMemory,
        };
        if told == self.state {
            return;
        }
        self.state = told;
        let reason = keeper.unsaved().map(|unsaved| unsaved.reason.as_str());
        match told {
            Told::Saved => info!("the state can be written again; nothing was lost"),
            Told::Unsaved => {
                warn!(reason, "the state was not saved; trying again before any access token is published");
            }
            Told::InMemory => {
                error!(reason, "the state cannot be written; access tokens are kept in memory until it can");
            }
        }
    }

    fn turned(&mut self, keeper: &Keeper, now: Timestamp) {
        self.tell_state(keeper, now);
        keeper.expired().iter().filter_map(|identity| keeper.case_of(identity)).for_each(|case| {
            tell_expiry(keeper, case, now);
        });
        if keeper.is_stopping() && !self.told_stopping {
            self.told_stopping = true;
            self.service.stop(now);
            info!(under_way = keeper.in_flight(), "stopping");
        }
        let ready = keeper.is_ready();
        self.service.feed_watchdog(now);
        self.service.extend(now);
        if self.service.ready_is_due(ready, now) {
            self.service.send_ready(status_line(keeper, now));
            if ready {
                info!(tokens = keeper.config().tokens.len(), "ready: every required token is valid and delivered");
            } else {
                let (missing, reason) = (keeper.unready_count(), keeper.unready_reason(now));
                warn!(missing, reason, "started without all required tokens; see `tokend status`");
            }
        }
        if self.service.status_is_due(now) {
            self.service.show(status_line(keeper, now));
        }
    }
}

/// For `systemctl status`: how many there are, and the first thing that is the matter.
fn status_line(keeper: &Keeper, now: Timestamp) -> String {
    let (tokens, slots) = (keeper.config().tokens.len(), keeper.config().slots.len());
    let state = match (keeper.unsaved(), keeper.state_notice()) {
        (Some(unsaved), _) if !keeper.state_is_writable(now) => {
            format!("; THE STATE CANNOT BE WRITTEN: {}", unsaved.reason)
        }
        (_, Some(_)) => "; THE STATE WAS LOST: see tokend status".to_owned(),
        (_, None) => String::new(),
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
        JobResult::Issued { .. } | JobResult::Looked { .. } => {
            let entry = keeper.case_of(&outcome.identity).map(|case| &case.entry);
            let failing = entry.and_then(|entry| match &entry.standing {
                Standing::Failing(retry) => Some(discriminant(&retry.failure)),
                Standing::Good => None,
            });
            let failure = match &outcome.result {
                JobResult::Issued { answer, .. } => answer.as_ref().err(),
                JobResult::Looked { found, .. } => found.as_ref().err(),
                _ => None,
            };
            let failed = failure.map(Failure::class);
            Arrived::Issue { generation: entry.map_or(0, |entry| entry.generation.0), failing, failed }
        }
        JobResult::Recalled(_) => Arrived::Recall,
        JobResult::Notified { token, event, generation, result } => {
            Arrived::Hook { token: token.clone(), event: *event, generation: generation.0, result: result.clone() }
        }
        JobResult::Overtaken { sink, generation, .. } => {
            Arrived::Overtaken { sink: sink.clone(), generation: generation.0 }
        }
        JobResult::Withdrawn { sink, result } => Arrived::Withdrawal { sink: sink.clone(), result: result.clone() },
        JobResult::Delivered { sink, generation, result, .. } => {
            let result = match result {
                Ok(delivered) if delivered.written => Ok(counts::Delivery::Delivered),
                Ok(_) => Ok(counts::Delivery::Unchanged),
                Err(reason) => Err(reason.clone()),
            };
            Arrived::Delivery { sink: sink.clone(), generation: generation.0, result }
        }
    }
}

fn tell_withdrawal(sink: &SinkId) {
    if sink.is_file() {
        info!(%sink, "withdrawn");
    } else {
        info!(%sink, "not kept up any more; what is in Vault stays there");
    }
}

fn tell(arrived: &Arrived, keeper: &Keeper, case: &Case, now: Timestamp) {
    let slot = case.slot.as_deref();
    match arrived {
        Arrived::Recall | Arrived::Delivery { result: Ok(counts::Delivery::Unchanged), .. } => {}
        Arrived::Issue { generation, failing, .. } => {
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
        Arrived::Overtaken { sink, generation } => {
            let retry = case.entry.receipts.get(sink).and_then(|receipt| receipt.retry.as_ref());
            if retry.is_none_or(|retry| worth_telling(retry.attempts)) {
                let (token, slot) = names_of(case, sink);
                warn!(token, %sink, generation, slot, "another tokend writes there");
            }
        }
        Arrived::Delivery { sink, generation, result: Ok(_) } => {
            let (token, slot) = names_of(case, sink);
            info!(token, %sink, generation, slot, "delivered");
        }
        Arrived::Delivery { sink, result: Err(reason), .. } => {
            tell_sink_failure(case, sink, reason, "not delivered", now);
        }
        Arrived::Withdrawal { sink, result: Ok(()) } => tell_withdrawal(sink),
        Arrived::Withdrawal { sink, result: Err(reason) } => {
            tell_sink_failure(case, sink, reason, "could not be withdrawn", now);
        }
        Arrived::Hook { token, event, generation, result: Ok(()) } => {
            info!(%token, hook = %event.kind(), %event, generation, "hook run");
        }
        Arrived::Hook { token, event, result: Err(reason), .. } => tell_hook_failure(case, token, *event, reason, now),
    }
}
