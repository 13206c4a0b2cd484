//! Refreshes that an admin asks for.

use crate::failure::Failure;
use crate::keeper::Keeper;
use crate::ledger::Standing;
use crate::name::{Identity, Name};
use crate::plan::{Reason, budget_hold};
use crate::task::{AskerId, RefreshAnswer};
use crate::time::Timestamp;

impl Keeper {
    /// Asks for a fresh access token for `name` before it is due. The answer comes with a release.
    pub fn ask_refresh(&mut self, name: &Name, asker: AskerId, now: Timestamp) {
        match self.try_refresh(name, now) {
            Ok(identity) => self.askers.entry(identity).or_default().push(asker),
            Err(answer) => self.answers.push((asker, answer)),
        }
    }

    fn try_refresh(&mut self, name: &Name, now: Timestamp) -> Result<Identity, RefreshAnswer> {
        let slot = self.config.slot_of(name).cloned().ok_or(RefreshAnswer::Abandoned)?;
        let case = self.cases.get_mut(&slot.identity).filter(|_| !self.stopping).ok_or(RefreshAnswer::Abandoned)?;
        if case.is_asking() {
            return Ok(slot.identity.clone());
        }
        if let Standing::Failing(retry) = &mut case.entry.standing {
            if let Some(until) = retry.asked_until.filter(|until| *until > now) {
                return Err(RefreshAnswer::NotBefore(until, "the provider asked for patience (Retry-After)".into()));
            }
            retry.not_before = now;
        }
        let hold = budget_hold(&slot, &case.entry, Reason::Forced, now);
        if hold > now {
            let why = "the budget of access tokens is used up; its last place is kept for the renewal";
            return Err(RefreshAnswer::NotBefore(hold, why.into()));
        }
        case.entry.forced = true;
        self.changed.insert(slot.identity.clone());
        Ok(slot.identity.clone())
    }

    /// Tells those who wait for `identity` what came of it, unless another secret is tried at once.
    pub(crate) fn answer_askers(&mut self, identity: &Identity, failure: Option<Failure>, now: Timestamp) {
        let Some(case) = self.cases.get(identity) else { return };
        let tried_at_once = matches!(&case.entry.standing, Standing::Failing(retry) if retry.not_before <= now);
        if failure.is_some() && tried_at_once {
            return;
        }
        let answer = match (failure, &case.entry.access_token) {
            (Some(failure), _) => RefreshAnswer::Failed(failure),
            (None, Some(token)) => RefreshAnswer::Held(token.clone()),
            (None, None) => RefreshAnswer::Abandoned,
        };
        let askers = self.askers.remove(identity).unwrap_or_default();
        self.answers.extend(askers.into_iter().map(|asker| (asker, answer.clone())));
    }
}
