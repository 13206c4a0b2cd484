//! Refreshes that an admin asks for.

use std::sync::Arc;

use crate::access_token::AccessToken;
use crate::failure::Failure;
use crate::keeper::Keeper;
use crate::ledger::Standing;
use crate::name::{Identity, Name};
use crate::plan::budget::{Reason, budget_hold, words_of_hold};
use crate::plan::{next_issue, serves};
use crate::record::again::try_denied_again;
use crate::task::{AskerId, RefreshAnswer};
use crate::time::Timestamp;

impl Keeper {
    /// Asks for a fresh access token for `name` before it is due. The answer comes with a release.
    pub fn ask_refresh(&mut self, name: &Name, asker: AskerId, now: Timestamp) {
        match self.try_refresh(name, now) {
            Ok(identity) => self.askers.entry(identity).or_default().push(asker),
            Err(answer) => self.answers.push((None, asker, answer)),
        }
    }

    fn try_refresh(&mut self, name: &Name, now: Timestamp) -> Result<Identity, RefreshAnswer> {
        let slot = self.config.slot_of(name).cloned().ok_or(RefreshAnswer::Abandoned)?;
        let patience = self.queues.held_until(&slot.provider);
        let case = self.cases.get_mut(&slot.identity).filter(|_| !self.stopping).ok_or(RefreshAnswer::Abandoned)?;
        if let Some(since) = case.entry.paused {
            return Err(RefreshAnswer::Paused(since));
        }
        if case.is_asking() {
            return Ok(slot.identity.clone());
        }
        let asked = case.entry.asked_until().max(patience);
        if asked > now {
            return Err(RefreshAnswer::NotBefore(asked, "the provider asked for patience".into()));
        }
        let hold = budget_hold(&slot, &case.entry, Reason::Forced, now);
        if hold > now {
            let (renewal, _) = next_issue(&slot, &case.entry, now);
            let why = words_of_hold(&slot, &case.entry, now);
            return Err(RefreshAnswer::NotBefore(hold.min(renewal.max(now)), why.into()));
        }
        if let Standing::Failing(retry) = &mut case.entry.standing {
            retry.not_before = now;
        }
        let lacks = |held: &Arc<AccessToken>| {
            slot.tokens.iter().any(|token| token.name == *name && !serves(&slot, token, held))
        };
        if case.entry.live(now).is_some_and(lacks) {
            // What was granted last would not help it.
            try_denied_again(&mut case.entry);
        }
        case.entry.forced = true;
        self.changed.insert(slot.identity.clone());
        Ok(slot.identity.clone())
    }

    /// A request to the provider came home, with `failure` or an answer that could be read.
    pub(crate) fn settle_request(&mut self, identity: &Identity, failure: Option<Failure>, now: Timestamp) {
        let Some(case) = self.cases.get_mut(identity) else { return };
        let asked = case.asked.take();
        let retry = match &case.entry.standing {
            Standing::Failing(retry) => Some(retry),
            Standing::Good => None,
        };
        if let Some(provider) = &asked {
            self.queues.leave(provider);
            if let Some(plea) = case.entry.plea {
                self.queues.heed(provider, plea);
            }
        }
        self.to_publish.insert(identity.clone());
        let another_secret_is_tried = retry.is_some_and(|retry| retry.not_before <= now);
        if another_secret_is_tried && case.wanted {
            return;
        }
        let answer = match (failure.or(retry.map(|retry| retry.failure.clone())), &case.entry.access_token) {
            (Some(failure), _) => RefreshAnswer::Failed(failure),
            (None, Some(token)) => RefreshAnswer::Held(token.clone()),
            (None, None) => RefreshAnswer::Abandoned,
        };
        for asker in self.askers.remove(identity).unwrap_or_default() {
            self.answers.push((Some(identity.clone()), asker, answer.clone()));
        }
    }

    /// Answers those who will never get what they asked for.
    pub(crate) fn abandon(&mut self, askers: Vec<AskerId>) {
        self.answers.extend(askers.into_iter().map(|asker| (None, asker, RefreshAnswer::Abandoned)));
    }
}
