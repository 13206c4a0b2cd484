//! Strict stand-ins of the vendors' token endpoints on loopback: what the vendors' guides show is
//! accepted, everything else is refused as the vendor refuses it. They count and note what they do,
//! and go wrong on demand. For `tokend demo` and for tests; they protect nothing.
//!
//! A request goes `server` (bytes) → `desk` (script, journal) → the vendor's own file (rules).

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

mod account;
mod core_banking;
mod desk;
mod exchange;
mod fault;
mod journal;
mod mint;
mod oauth2;
mod open_payments;
mod plain_id;
mod rules;
mod server;
#[cfg(test)]
mod tests;
mod vendor;
mod vipps;
mod vipps_partner;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::timeout;

pub use crate::demo::standin::account::{Account, Target};
pub use crate::demo::standin::fault::{Fault, RetryAfter};
pub use crate::demo::standin::journal::{Arrival, Entry, Event, Fingerprint, Issue, Journal, Tally};
pub use crate::demo::standin::vendor::{
    CORE_BANKING, Client, OAUTH2, OPEN_PAYMENTS, PLAIN_ID, VIPPS, VIPPS_PARTNER, VIPPS_SUBSCRIPTION_KEYS, Vendor,
};

use crate::clock::now;
use crate::demo::standin::desk::Desk;
use crate::demo::standin::server::Shared;

/// How stand-ins start.
#[derive(Clone, Debug)]
pub struct StandinConfig {
    /// The port on 127.0.0.1; 0: any free one.
    pub port: u16,
    /// How long access tokens live.
    pub lifetime: Duration,
    /// How long they live at vendors where that differs.
    pub lifetimes: BTreeMap<Vendor, Duration>,
    /// Who is known; at first the demo client of every vendor.
    pub clients: Vec<Client>,
}

impl Default for StandinConfig {
    fn default() -> Self {
        Self {
            port: 0,
            lifetime: Duration::from_mins(1),
            lifetimes: BTreeMap::new(),
            clients: Vendor::ALL.map(Client::demo).to_vec(),
        }
    }
}

/// All vendors on one port. They stop when this is dropped.
pub struct Standin {
    shared: Arc<Shared>,
    life: Life,
}

/// What keeps the stand-ins running.
enum Life {
    Task(AbortHandle),
    Thread { stop: Option<oneshot::Sender<()>>, thread: Option<JoinHandle<()>> },
}

impl Standin {
    /// Starts the stand-ins as a task of the tokio runtime that this is called in.
    ///
    /// Errors: the port cannot be had.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn start(config: StandinConfig) -> io::Result<Self> {
        let (listener, shared) = open(config)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let task = tokio::spawn(server::run(listener, Arc::clone(&shared)));
        Ok(Self { shared, life: Life::Task(task.abort_handle()) })
    }

    /// Starts the stand-ins on a thread of their own.
    ///
    /// Errors: the port or the thread cannot be had.
    pub fn start_on_thread(config: StandinConfig) -> io::Result<Self> {
        let (listener, shared) = open(config)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = Arc::clone(&shared);
        let thread = thread::Builder::new().name("standin".into()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                tokio::select! {
                    _ = server::run(listener, serving) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { shared, life: Life::Thread { stop: Some(stop), thread: Some(thread) } })
    }

    /// `http://127.0.0.1:PORT`; the issuer of the plain OAuth 2 server.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.shared.base
    }

    /// A vendor's token endpoint.
    #[must_use]
    pub fn url(&self, vendor: Vendor) -> String {
        format!("{}{}", self.base(), vendor.path())
    }

    /// From now on every request of these accounts meets this fault.
    pub fn fault(&self, target: impl Into<Target>, fault: Fault) {
        self.shared.desk().script.stand(target.into(), fault);
    }

    /// One more request of these accounts meets this fault: before a standing one, after others scripted so.
    pub fn fault_once(&self, target: impl Into<Target>, fault: Fault) {
        self.shared.desk().script.push(target.into(), fault);
    }

    /// Forgets the faults that were set for exactly this target. What hangs goes on hanging.
    pub fn clear(&self, target: impl Into<Target>) {
        self.shared.desk().script.clear(&target.into());
    }

    /// Adds a client, or takes it in place of the one with its id: other scopes, another secret. What
    /// it was issued stays active.
    pub fn register(&self, client: Client) {
        self.shared.desk().clients.register(client);
    }

    /// From now on the client's secret is this one alone. No effect on a client that is not known.
    pub fn accept_only(&self, vendor: Vendor, client_id: &str, secret: &str) {
        let mut desk = self.shared.desk();
        if let Some(client) = desk.clients.find(vendor, client_id).cloned() {
            desk.clients.register(Client { secret: secret.to_owned(), ..client });
        }
    }

    /// From now on the vendor's access tokens live so long.
    pub fn set_lifetime(&self, vendor: Vendor, lifetime: Duration) {
        self.shared.desk().lifetimes.insert(vendor, lifetime);
    }

    /// Whether an access token was issued here and has not expired.
    #[must_use]
    pub fn is_active(&self, access_token: &str) -> bool {
        self.shared.desk().journal.is_active(access_token, now())
    }

    /// A copy of everything that happened so far.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.look(Journal::clone)
    }

    /// Looks at everything that happened so far, without a copy; requests wait meanwhile.
    pub fn look<T>(&self, at: impl FnOnce(&Journal) -> T) -> T {
        at(&self.shared.desk().journal)
    }

    /// Waits until the journal is as wanted; `false` when that has not come `within` the time.
    pub async fn wait_until(&self, within: Duration, wanted: impl Fn(&Journal) -> bool) -> bool {
        let mut changes = self.shared.bell.subscribe();
        let wait = async {
            // The bell lives as long as this stand-in, so that waiting for it cannot fail.
            while !wanted(&self.shared.desk().journal) && changes.changed().await.is_ok() {}
        };
        timeout(within, wait).await.is_ok()
    }

    /// As [`Self::wait_until`], for threads without a tokio runtime.
    ///
    /// Errors: a runtime cannot be made.
    pub fn block_until(&self, within: Duration, wanted: impl Fn(&Journal) -> bool) -> io::Result<bool> {
        let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
        Ok(runtime.block_on(self.wait_until(within, wanted)))
    }
}

impl Drop for Standin {
    fn drop(&mut self) {
        match &mut self.life {
            Life::Task(task) => task.abort(),
            Life::Thread { stop, thread } => {
                drop(stop.take());
                // A panic over there was reported there.
                let _ = thread.take().map(JoinHandle::join);
            }
        }
    }
}

fn open(config: StandinConfig) -> io::Result<(TcpListener, Arc<Shared>)> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, config.port)))?;
    listener.set_nonblocking(true)?;
    let base = format!("http://{}", listener.local_addr()?);
    let mut desk = Desk::new(config.lifetime, config.lifetimes);
    for client in config.clients {
        desk.clients.register(client);
    }
    Ok((listener, Arc::new(Shared::new(base, desk))))
}
