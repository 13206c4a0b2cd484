//! What comes home, made fit to be recorded and told.

use crate::job::JobResult;
use crate::keeper::Keeper;
use crate::ledger::Entry;
use crate::preset::redact::without;
use crate::time::Timestamp;

impl Keeper {
    /// What was written to a sink for another slot that had the same name is no reason to leave it alone:
    /// its number alone counts (L3).
    pub(super) fn disown(&mut self, result: JobResult) -> JobResult {
        match result {
            JobResult::Overtaken { sink, generation, .. } if self.taken_over.contains(&sink) => {
                JobResult::Overtaken { sink, generation, expires_at: Timestamp::EPOCH }
            }
            JobResult::Delivered { ref sink, result: Ok(_), .. } => {
                self.taken_over.remove(sink);
                result
            }
            other => other,
        }
    }
}

/// No failure shows the access token held, which its provider knows (L14).
pub(super) fn without_secrets(entry: &Entry, result: JobResult) -> JobResult {
    match (result, &entry.access_token) {
        (JobResult::Issued { ask, asked_at, answer: Err(failure) }, Some(held)) => {
            JobResult::Issued { ask, asked_at, answer: Err(without(failure, &held.secret)) }
        }
        (result, _) => result,
    }
}
