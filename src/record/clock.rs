//! Moves what is known with the wall clock when that is set: every deadline stays as far away as it
//! was, and every time that is told is a time of the present clock (L9).

use std::sync::Arc;

use crate::ledger::{Entry, HookReceipt, Receipt, Standing};
use crate::record::schedule::correct_schedule;
use crate::time::{Step, Timestamp};

/// The wall clock, which showed `before`, was set by `step`. What lies in the future of that clock
/// although it has happened is from before a reboot into a wrong time, and is right as it is.
pub fn follow_clock(entry: &mut Entry, step: Step, before: Timestamp) {
    let past = |at: &mut Timestamp| *at = if *at > before { *at } else { at.moved(step) };
    let of_token = entry.access_token.as_ref().map_or(step, |token| token.step(step, before));
    if let Some(token) = &mut entry.access_token {
        *token = Arc::new(token.follow_clock(step, before));
    }
    entry.issues.iter_mut().map(|issue| &mut issue.at).for_each(past);
    entry.intention.iter_mut().map(|intention| &mut intention.at).for_each(past);
    entry.paused.iter_mut().for_each(past);
    if let Some(plea) = &mut entry.plea {
        (plea.at, plea.until) = (plea.at.moved(step), plea.until.moved(step));
    }
    // What is followed speaks of the right time: it is looked at again.
    entry.looked = None;
    entry.longer_at.iter_mut().for_each(past);
    entry.invalidated.iter_mut().map(|last| &mut last.at).for_each(past);
    entry.denied.iter_mut().map(|denied| &mut denied.at).for_each(past);
    entry.waiting_since.iter_mut().for_each(past);
    let hooks = entry.hooks.values_mut().flat_map(|receipts| [&mut receipts.change, &mut receipts.failure]);
    hooks.for_each(|receipt| follow_hook(receipt, step, past));
    entry.secret.again = entry.secret.again.map(|at| at.moved(step));
    entry.same_again = entry.same_again.map(|at| at.moved(of_token));
    correct_schedule(entry, before.moved(step));
    if let Standing::Failing(retry) = &mut entry.standing {
        retry.since = retry.since.moved(step);
        retry.not_before = retry.not_before.moved(step);
        retry.asked_until = retry.asked_until.map(|until| until.moved(step));
    }
    entry.receipts.values_mut().for_each(|receipt| follow(receipt, of_token, step));
}

fn follow_hook(receipt: &mut HookReceipt, step: Step, past: impl Fn(&mut Timestamp)) {
    receipt.ran.iter_mut().filter_map(|ran| ran.at.as_mut()).for_each(past);
    if let Some(retry) = &mut receipt.retry {
        retry.since = retry.since.moved(step);
        retry.not_before = retry.not_before.moved(step);
    }
}

fn follow(receipt: &mut Receipt, of_token: Step, step: Step) {
    if let Some(held) = &mut receipt.held {
        held.expires_at = held.expires_at.moved(of_token);
        receipt.restate = true;
    }
    if let Some(retry) = &mut receipt.retry {
        retry.not_before = retry.not_before.moved(step);
        if let Some(ahead) = &mut retry.ahead {
            ahead.expires_at = ahead.expires_at.moved(step);
        }
    }
    receipt.gone_since = receipt.gone_since.map(|since| since.moved(step));
}
