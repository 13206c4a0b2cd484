//! Watches the wall clock for the moments of schedules, and tells the loop which has come. One job
//! for each distinct schedule, however many slots have it. It decides nothing: the loop would look
//! at its next nap anyway, and asks only for what is due.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tracing::warn;

use crate::config::Config;
use crate::inbox::Inbox;
use crate::schedule::Schedule;

/// Schedules by their text.
pub type Schedules = BTreeMap<String, Arc<Schedule>>;

/// The scheduler's channels lose what does not fit when many are due at once: so many messages a job.
const MESSAGES: usize = 4;
const FEWEST_MESSAGES: usize = 1024;

/// The schedules that `config` names.
#[must_use]
pub fn schedules(config: &Config) -> Schedules {
    let named = config.slots.iter().filter_map(|slot| slot.schedule.as_ref());
    named.map(|schedule| (schedule.as_str().to_owned(), Arc::clone(schedule))).collect()
}

/// Tells `inbox` of every moment of what is `wanted`, until nobody wants anything any more. Where
/// no schedule exists nothing runs.
pub async fn watch_schedules(mut wanted: watch::Receiver<Schedules>, inbox: Inbox) {
    let mut watching = None;
    loop {
        let schedules = wanted.borrow_and_update().clone();
        if watching.as_ref().map_or(&Schedules::new(), |watching: &Watching| &watching.schedules) != &schedules {
            stop(watching.take()).await;
            let started = Watching::start(schedules).await;
            watching = started.map_err(|error| warn!(%error, "schedules are {LESS}")).ok().flatten();
        }
        tokio::select! {
            changed = wanted.changed() => match changed {
                Ok(()) => {}
                Err(_) => return stop(watching).await,
            },
            () = tell(watching.as_mut(), &inbox) => return stop(watching).await,
        }
    }
}

/// What holds where the scheduler fails.
const LESS: &str = "looked at every 30 seconds only";

/// Tells `inbox` of every moment that comes; ends when nobody listens.
async fn tell(watching: Option<&mut Watching>, inbox: &Inbox) {
    let Some(watching) = watching else { return std::future::pending().await };
    while let Some(key) = watching.coming.recv().await {
        if let Err(error) = watching.add_again(&key).await {
            warn!(%error, schedule = key, "this schedule is {LESS}");
        }
        if inbox.moment(key).await.is_err() {
            return;
        }
    }
}

/// A scheduler with one job for each schedule.
struct Watching {
    scheduler: JobScheduler,
    schedules: Schedules,
    jobs: BTreeMap<String, Job>,
    come: mpsc::UnboundedSender<String>,
    coming: mpsc::UnboundedReceiver<String>,
}

impl Watching {
    /// Starts to watch `wanted`; `None` where there is nothing.
    async fn start(wanted: Schedules) -> Result<Option<Self>, JobSchedulerError> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let messages = (MESSAGES * wanted.len()).max(FEWEST_MESSAGES);
        let scheduler = JobScheduler::new_with_channel_size(messages).await?;
        let (come, coming) = mpsc::unbounded_channel();
        let keys: Vec<String> = wanted.keys().cloned().collect();
        let mut watching = Self { scheduler, schedules: wanted, jobs: BTreeMap::new(), come, coming };
        for key in keys {
            watching.add(&key).await?;
        }
        watching.scheduler.start().await?;
        Ok(Some(watching))
    }

    async fn add(&mut self, key: &str) -> Result<(), JobSchedulerError> {
        let Some(schedule) = self.schedules.get(key) else { return Ok(()) };
        let (told, come) = (key.to_owned(), self.come.clone());
        let job = Job::new_tz(schedule.line(), schedule.zone(), move |_, _| {
            let _ = come.send(told.clone());
        })?;
        self.scheduler.add(job.clone()).await?;
        self.jobs.insert(key.to_owned(), job);
        Ok(())
    }

    /// A job that has run reckons its next moment with the offset of its zone at its first: it is
    /// an hour off once the clocks have changed. A new one is not.
    async fn add_again(&mut self, key: &str) -> Result<(), JobSchedulerError> {
        if let Some(job) = self.jobs.remove(key) {
            self.scheduler.remove(&job.guid()).await?;
        }
        self.add(key).await
    }
}

async fn stop(watching: Option<Watching>) {
    if let Some(mut watching) = watching {
        // What it cannot end it has no hold on.
        let _ = watching.scheduler.shutdown().await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::daemon::Event;
    use crate::schedule::zone;

    /// Every second: the moments of one schedule, as often as they are told.
    fn every_second(zone_name: &str) -> (String, Arc<Schedule>) {
        let schedule = Schedule::parse("* * * * * *", zone(zone_name).unwrap()).unwrap();
        (schedule.as_str().to_owned(), Arc::new(schedule))
    }

    #[test]
    fn every_moment_is_told_and_the_next_as_well_until_it_is_wanted_no_more() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (inbox, mut events, _) = Inbox::new();
            let (tell, wanted) = watch::channel(Schedules::new());
            let watching = tokio::spawn(watch_schedules(wanted, inbox));
            let (oslo, utc) = (every_second("Europe/Oslo"), every_second("UTC"));
            let keys = [oslo.0.clone(), utc.0.clone()];
            tell.send(Schedules::from([oslo, utc])).unwrap();
            let mut told = BTreeMap::<String, usize>::new();
            while keys.iter().any(|key| told.get(key).is_none_or(|count| *count < 2)) {
                let Some(Event::Moment(key)) = events.recv().await else { panic!("only moments") };
                *told.entry(key).or_default() += 1;
            }
            drop(tell);
            watching.await.unwrap();
        });
    }
}
