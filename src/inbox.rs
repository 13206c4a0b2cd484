//! How others speak to the loop: a question goes in as an event, its answer comes back.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::access_token::Generation;
use crate::config::Config;
use crate::daemon::Event;
use crate::name::Name;
use crate::settings::FileKind;
use crate::status::Status;
use crate::status::readings::Readings;
use crate::task::{AskerId, RefreshAnswer};

/// The loop is gone, or did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the daemon is stopping")]
pub struct Gone;

/// Where to ask the loop. Cheap to clone: all clones lead to one loop.
#[derive(Clone, Debug)]
pub struct Inbox {
    events: mpsc::Sender<Event>,
    askers: Arc<Askers>,
}

/// Who waits for an answer.
#[derive(Debug, Default)]
pub struct Askers {
    last: AtomicU64,
    waiting: Mutex<HashMap<AskerId, oneshot::Sender<Answer>>>,
}

/// An answer of the loop.
#[derive(Debug)]
pub enum Answer {
    /// To what was asked or said of one token.
    Refresh(RefreshAnswer),
    /// To `status`.
    Status(Box<Status>),
    /// To `readings`.
    Readings(Readings),
}

impl Inbox {
    /// An inbox, the events that arrive in it, and those who wait for answers.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Event>, Arc<Askers>) {
        let (events, arriving) = mpsc::channel(64);
        let askers = Arc::new(Askers::default());
        (Self { events, askers: Arc::clone(&askers) }, arriving, askers)
    }

    /// How things stand.
    pub async fn status(&self) -> Result<Status, Gone> {
        self.ask_status(Event::Status).await
    }

    /// How things stand with the slot of the token called `name`.
    pub async fn status_of(&self, name: Name) -> Result<Status, Gone> {
        self.ask_status(|asker| Event::StatusOf(name, asker)).await
    }

    /// How things stand, in numbers.
    pub async fn readings(&self) -> Result<Readings, Gone> {
        match self.ask(Event::Readings).await? {
            Answer::Readings(readings) => Ok(readings),
            Answer::Refresh(_) | Answer::Status(_) => Err(Gone),
        }
    }

    /// Asks for a fresh access token for the token called `name`.
    pub async fn refresh(&self, name: Name) -> Result<RefreshAnswer, Gone> {
        self.order(|asker| Event::Refresh(name, asker)).await
    }

    /// Says that the token called `name` is wanted with a life of at least `min_valid`.
    pub async fn want_longer(&self, name: Name, min_valid: Duration) -> Result<RefreshAnswer, Gone> {
        self.order(|asker| Event::WantLonger(name, min_valid, asker)).await
    }

    /// Says that an API refused the access token of `generation`.
    pub async fn invalidate(&self, name: Name, generation: Generation) -> Result<RefreshAnswer, Gone> {
        self.order(|asker| Event::Invalidate(name, generation, asker)).await
    }

    /// Asks for no requests for the slot of the token called `name`.
    pub async fn pause(&self, name: Name) -> Result<RefreshAnswer, Gone> {
        self.order(|asker| Event::Pause(name, asker)).await
    }

    /// Asks for requests for the slot of the token called `name` again.
    pub async fn resume(&self, name: Name) -> Result<RefreshAnswer, Gone> {
        self.order(|asker| Event::Resume(name, asker)).await
    }

    /// Hands over another configuration; returns when it is in force.
    pub async fn reload(&self, config: Arc<Config>) -> Result<(), Gone> {
        self.events.send(Event::Reload(config)).await.map_err(|_| Gone)?;
        self.catch_up().await
    }

    /// Has every sink looked at again.
    pub async fn look_again(&self) -> Result<(), Gone> {
        self.events.send(Event::LookAgain).await.map_err(|_| Gone)
    }

    /// Says that the Vault server called `server` let us in after it had not.
    pub async fn logged_in(&self, server: Name) -> Result<(), Gone> {
        self.events.send(Event::LoggedIn(server)).await.map_err(|_| Gone)
    }

    /// Says that a file was written which providers name; of a template, which tokens name.
    pub async fn files_changed(&self, providers: BTreeSet<Name>, file: FileKind) -> Result<(), Gone> {
        self.events.send(Event::FilesChanged(providers, file)).await.map_err(|_| Gone)
    }

    /// Returns when the loop has done what it was asked before: it takes one thing after the other.
    pub async fn catch_up(&self) -> Result<(), Gone> {
        // A name that costs nothing to answer for, whether or not a token has it.
        let Ok(anybody) = Name::parse("healthz") else { return Err(Gone) };
        self.status_of(anybody).await.map(|_| ())
    }

    /// Says that a moment of `schedule` has come.
    pub async fn moment(&self, schedule: String) -> Result<(), Gone> {
        self.events.send(Event::Moment(schedule)).await.map_err(|_| Gone)
    }

    /// Asks for the status in the log.
    pub async fn log_status(&self) {
        let _ = self.events.send(Event::LogStatus).await;
    }

    /// Asks the loop to end.
    pub async fn stop(&self) {
        let _ = self.events.send(Event::Stop).await;
    }

    async fn order(&self, event: impl FnOnce(AskerId) -> Event) -> Result<RefreshAnswer, Gone> {
        match self.ask(event).await? {
            Answer::Refresh(answer) => Ok(answer),
            Answer::Status(_) | Answer::Readings(_) => Err(Gone),
        }
    }

    async fn ask_status(&self, event: impl FnOnce(AskerId) -> Event) -> Result<Status, Gone> {
        match self.ask(event).await? {
            Answer::Status(status) => Ok(*status),
            Answer::Refresh(_) | Answer::Readings(_) => Err(Gone),
        }
    }

    async fn ask(&self, event: impl FnOnce(AskerId) -> Event) -> Result<Answer, Gone> {
        let (asker, answer) = self.askers.enter();
        self.events.send(event(asker)).await.map_err(|_| Gone)?;
        answer.await.map_err(|_| Gone)
    }
}

impl Askers {
    fn enter(&self) -> (AskerId, oneshot::Receiver<Answer>) {
        let asker = self.last.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, sender| !sender.is_closed());
        waiting.insert(asker, sender);
        (asker, answer)
    }

    /// Tells all who wait that the loop is gone.
    pub fn dismiss(&self) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Gives `asker` its answer; nothing happens when nobody waits for it any more.
    pub fn answer(&self, asker: AskerId, answer: Answer) {
        let sender = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&asker);
        if let Some(sender) = sender {
            let _ = sender.send(answer);
        }
    }
}
