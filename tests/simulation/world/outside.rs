//! What the daemon touches outside, once it is let go: providers and sinks, and how what comes of it
//! comes home.

use std::sync::Arc;

use tokend::access_token::Generation;
use tokend::clock::Timeline;
use tokend::daemon::Happening;
use tokend::job::{Ask, Delivered, JobResult, Outcome, Written};
use tokend::name::{Identity, SinkId};
use tokend::settings::{FileContent, FileFormat};
use tokend::slot::Slot;
use tokend::task::Delivery;

use super::Simulated;
use crate::simulation::moment::Ms;
use crate::simulation::oracle::Content;
use crate::simulation::oracle::deliveries::Handed;
use crate::simulation::oracle::requests::OnDisk;
use crate::simulation::oracle::watches::TIMEOUT;
use crate::simulation::provider::{Situation, Verdict, guess, hear, listen};
use crate::simulation::rng::Rng;
use crate::simulation::spec::sink_at;

/// What comes home, and when; `effect` is what happens outside just before.
pub(super) struct Coming {
    timeline: Timeline,
    outcome: Outcome,
    slot: usize,
    verdict: Option<Verdict>,
    write: Option<(SinkId, Content)>,
    remove: Option<(SinkId, [u8; 16])>,
}

impl Coming {
    /// Nothing happens outside when it comes.
    pub(super) fn plain(timeline: Timeline, slot: usize, outcome: Outcome) -> Self {
        Self { timeline, outcome, slot, verdict: None, write: None, remove: None }
    }
}

impl Simulated {
    pub(super) fn later(&mut self, after: Ms, coming: Coming) {
        self.sent += 1;
        self.coming.insert((self.now + after.max(1), self.sent), coming);
    }

    pub(super) fn ask(&mut self, slot: &Arc<Slot>, ask: Ask) {
        let index = self.slots[&slot.identity];
        let wire = listen(slot, &ask, self.scenario.speaks);
        let on_disk = self.disk.get(&slot.identity);
        let has_intention = on_disk.is_some_and(|(entry, _)| entry.intention.is_some());
        self.judge.request(index, &wire, OnDisk { has_intention });
        self.tally.requests += 1;
        let number: usize = slot.provider.client_id().trim_start_matches("client").parse().unwrap();
        let account = &self.spec.accounts[number];
        let mood = self.sky.mood(account.endpoint, number, self.now);
        let situation = Situation { account, mood, now: self.now, timeout: TIMEOUT };
        let mut rng = Rng::of(self.scenario.seed, &[1, self.now as u64, index as u64]);
        let key = self.judge.key(index).to_owned();
        let reply = self.desks.entry(index).or_default().answer(&key, &wire, situation, &mut rng);
        let silent = account.silent;
        self.judge.issued(index, &reply);
        self.tally.issued += u64::from(reply.issued.is_some());
        self.digest(&[1, index as u64, reply.after as u64]);
        self.tell(|| format!("request for {key}, {:?}; in {} ms: {:?}", wire.scopes, reply.after, reply.verdict));
        let asked_at = self.clocks.now(self.now);
        let answered_at = asked_at + std::time::Duration::from_millis(reply.after as u64);
        let answer = if self.scenario.speaks {
            hear(slot, &ask, &reply.verdict, silent, (asked_at, answered_at))
        } else {
            guess(&reply.verdict, silent, asked_at)
        };
        let result = JobResult::Issued { ask, asked_at, answer };
        let outcome = Outcome { identity: slot.identity.clone(), result };
        let coming = Coming::plain(self.clocks.timeline(), index, outcome);
        self.later(reply.after, Coming { verdict: Some(reply.verdict), ..coming });
    }

    pub(super) fn deliver(&mut self, delivery: &Delivery) {
        let index = self.slots[&delivery.slot.identity];
        let (sink, token) = (delivery.sink().id.clone(), &delivery.access_token);
        let expires_at = self.clocks.true_time(token.expires_at);
        let handed = Handed { text: token.secret.expose(), generation: token.generation.0, expires_at };
        self.judge.delivering(index, delivery.token().name.as_str(), sink.as_str(), handed);
        self.tally.deliveries += 1;
        self.digest(&[2, index as u64, token.generation.0]);
        self.tell(|| format!("deliver generation {} to {sink}", token.generation));
        let content = content_of(delivery, index, expires_at);
        let result = |result| JobResult::Delivered {
            sink: sink.clone(),
            generation: token.generation,
            expires_at: token.expires_at,
            result,
        };
        let outcome = |result| Outcome { identity: delivery.slot.identity.clone(), result };
        let mut rng = self.rng(2);
        let done = Ok(Delivered { written: true, fingerprint: content.fingerprint });
        let broken = || Err("no space left on device".to_owned());
        let (after, done, write) = match self.sky.sink(sink_at(sink.as_str()), self.now) {
            Some((_, false)) => (5, broken(), None),
            Some((until, true)) if rng.chance(50) => (until - self.now, broken(), None),
            Some((until, true)) => (until - self.now, done, Some(content)),
            None if rng.chance(50) => {
                self.judge.written(sink.as_str(), content);
                (rng.between(1, 50), done, None)
            }
            None => (rng.between(1, 50), done, Some(content)),
        };
        let write = write.map(|content| (sink.clone(), content));
        self.later(after, Coming { write, ..Coming::plain(self.clocks.timeline(), index, outcome(result(done))) });
    }

    pub(super) fn withdraw(&mut self, identity: Identity, sink: SinkId, written: &Written) {
        let index = self.slots[&identity];
        self.judge.withdrawing(sink.as_str());
        self.digest(&[3, index as u64]);
        self.tell(|| format!("withdraw {sink}"));
        let (after, result) = match self.sky.sink(sink_at(sink.as_str()), self.now) {
            Some((until, hangs)) => (if hangs { until - self.now } else { 5 }, Err("read-only file system".to_owned())),
            None => (self.rng(3).between(1, 50), Ok(())),
        };
        let is_ours = |content: &&Content| {
            let token = written.access_token.as_ref();
            written.fingerprint == Some(content.fingerprint)
                || token.is_some_and(|token| token.secret.expose() == content.text)
        };
        let there = self.judge.contents.get(&sink_at(sink.as_str())).filter(is_ours);
        let fingerprint = there.map(|content| content.fingerprint).filter(|_| result.is_ok());
        let remove = fingerprint.map(|fingerprint| (sink.clone(), fingerprint));
        let outcome = Outcome { identity, result: JobResult::Withdrawn { sink, result } };
        self.later(after, Coming { remove, ..Coming::plain(self.clocks.timeline(), index, outcome) });
    }

    pub(super) fn recall(&mut self, slot: &Slot) {
        let index = self.slots[&slot.identity];
        let json = |sink: &SinkId| self.judge.contents.get(&sink_at(sink.as_str())).filter(|content| content.json);
        let highest = slot.sinks().filter_map(|(_, sink)| json(&sink.id)).map(|content| content.generation).max();
        let result = JobResult::Recalled(Generation(highest.unwrap_or(0)));
        self.tell(|| format!("recall {}: {highest:?}", slot.id));
        let outcome = Outcome { identity: slot.identity.clone(), result };
        self.later(3, Coming::plain(self.clocks.timeline(), index, outcome));
    }

    /// What comes home now takes its effect outside, and is seen by the judge.
    pub(super) fn arrive(&mut self, coming: Coming) -> Happening {
        let Coming { timeline, mut outcome, slot, verdict, write, remove } = coming;
        outcome.follow_clock(timeline.step_to(self.clocks.timeline()));
        self.lanes.remove(&(slot, outcome.result.lane()));
        if let Some((sink, content)) = write {
            self.judge.written(sink.as_str(), content);
        }
        if let Some((sink, fingerprint)) = remove {
            self.judge.withdrawn(sink.as_str(), fingerprint);
        }
        if let Some(verdict) = verdict {
            self.judge.answer(slot, &verdict);
        }
        if let JobResult::Delivered { sink, generation, result: Ok(_), .. } = &outcome.result {
            self.judge.reported(slot, sink.as_str(), generation.0);
        }
        if let JobResult::Notified { token, generation, result, .. } = &outcome.result {
            self.judge.hook_ended(slot, token.as_str(), generation.0, result.is_ok());
        }
        if let JobResult::Delivered { sink, result: Err(_), .. } = &outcome.result {
            self.judge.failed(sink.as_str());
        }
        Happening::Outcome(outcome)
    }
}

fn content_of(delivery: &Delivery, slot: usize, expires_at: Ms) -> Content {
    let json = delivery.sink().file().is_some_and(|file| file.content == FileContent::Format(FileFormat::Json));
    let token = &delivery.access_token;
    let mut hash = Rng::of(
        u64::from(json),
        &[token.generation.0, token.expires_at.as_millis() as u64 * u64::from(json), slot as u64],
    );
    let mut fingerprint = [0; 16];
    token
        .secret
        .expose()
        .bytes()
        .enumerate()
        .for_each(|(n, byte)| fingerprint[8 + n % 8] ^= byte.rotate_left(n as u32 / 8));
    fingerprint[..8].copy_from_slice(&hash.next().to_le_bytes());
    let text = token.secret.expose().to_owned();
    Content {
        slot,
        text,
        generation: token.generation.0,
        expires_at,
        says: token.expires_at.as_millis(),
        json,
        fingerprint,
    }
}
