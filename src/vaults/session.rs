//! One login to one server. Who wants something of the server waits for the login that is under way;
//! after one that failed nobody tries again before its time.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::http::Http;
use crate::inbox::Inbox;
use crate::secret::Secret;
use crate::settings::{VaultMethod, VaultPlace, VaultServer};
use crate::sink::vault::Written;
use crate::time::for_people;
use crate::vault::{Lease, Trouble, Vault};
use crate::vaults::keeping::{Keeping, Kept};
use crate::vaults::patience::Patience;
use crate::vaults::reading::Read;
use crate::vaults::refusal::{Account, Refusals, account_at};
use crate::vaults::waits::{MARGIN, end_of_use, renewal_after, wait, whole_wait};
use crate::vaults::wrapping::Unwrapped;

/// How many requests are under way at one server at most.
const AT_A_TIME: usize = 8;

/// What all servers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) http: Http,
    pub(crate) keeping: Arc<Keeping>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) unwrapped: Arc<Unwrapped>,
    /// Who is told that a server lets us in again.
    pub(crate) listener: Arc<OnceLock<Inbox>>,
}

/// A server and how we stand with it.
pub(crate) struct Session {
    pub(super) server: Arc<VaultServer>,
    pub(super) common: Common,
    standing: Mutex<Standing>,
    pub(super) places: Semaphore,
    pub(super) patience: Patience,
    account: Account,
    /// Whether the token that somebody gave us holds no more.
    pub(super) spent: AtomicBool,
    /// What we wrote last: over that the next generation goes without reading first.
    pub(super) written: std::sync::Mutex<BTreeMap<VaultPlace, Written>>,
    this: Weak<Session>,
}

#[derive(Default)]
struct Standing {
    token: Option<Token>,
    /// Whether what was kept from before was looked at.
    recalled: bool,
    failed: Option<Failed>,
}

#[derive(Clone)]
struct Token {
    secret: Secret,
    /// When it is not used any more.
    ends: Option<Instant>,
}

/// A login that failed.
struct Failed {
    why: String,
    attempts: u32,
    not_before: Instant,
}

impl Session {
    pub(crate) fn new(server: Arc<VaultServer>, common: Common) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            account: account_at(&server),
            server,
            common,
            standing: Mutex::default(),
            places: Semaphore::new(AT_A_TIME),
            patience: Patience::default(),
            spent: AtomicBool::new(false),
            written: std::sync::Mutex::default(),
            this: this.clone(),
        })
    }

    pub(crate) fn server(&self) -> &VaultServer {
        &self.server
    }

    /// A person may have put right why there is no login.
    pub(crate) fn try_again(&self) {
        // Else one is under way.
        if let Ok(mut standing) = self.standing.try_lock()
            && let Some(failed) = &mut standing.failed
        {
            failed.not_before = Instant::now();
        }
    }

    /// A token that holds, as far as is known, other than `spent`.
    pub(super) async fn token(&self, spent: Option<&Secret>) -> Result<Secret, String> {
        let mut standing = self.standing.lock().await;
        if !standing.recalled && self.common.keeping.has_begun() {
            standing.recalled = true;
            let kept = self.common.keeping.find(&self.server);
            standing.token = standing.token.take().or_else(|| kept.map(|kept| self.take(kept)));
        }
        let is_spent = |token: &Token| {
            spent.is_some_and(|spent| spent.same_as(&token.secret))
                || token.ends.is_some_and(|ends| ends <= Instant::now())
        };
        if standing.token.as_ref().is_some_and(is_spent) {
            standing.token = None;
            self.common.keeping.forget(&self.server);
        }
        if let Some(token) = &standing.token {
            return Ok(token.secret.clone());
        }
        if let Some(failed) = standing.failed.as_ref().filter(|failed| failed.not_before > Instant::now()) {
            return Err(failed.why.clone());
        }
        let read = match Read::of(&self.server.login.method).await {
            Ok(read) => read,
            Err(why) => return Err(self.note_failure(&mut standing, &why)),
        };
        if let Some(left) = self.common.refusals.hold_back(&self.account, &read, Instant::now()) {
            let attempts = standing.failed.as_ref().map_or(1, |failed| failed.attempts);
            let why = standing.failed.take().map_or_else(|| self.held_back(left), |failed| failed.why);
            let not_before = Instant::now() + whole_wait(attempts) / 2;
            standing.failed = Some(Failed { why: why.clone(), attempts, not_before });
            return Err(why);
        }
        match self.log_in(read).await {
            Ok(lease) => {
                if self.server.login.method.is_given() {
                    debug!(vault = %self.server.name, "a token for Vault was read");
                } else {
                    info!(vault = %self.server.name, "logged in to Vault");
                }
                let token =
                    self.take(Kept { token: lease.token, lifetime: lease.lifetime, renewable: lease.renewable });
                if standing.failed.take().is_some() {
                    self.tell();
                }
                standing.token = Some(token.clone());
                Ok(token.secret)
            }
            Err(why) => Err(self.note_failure(&mut standing, &why)),
        }
    }

    /// What waits for a login need not wait any longer.
    pub(super) fn tell(&self) {
        if let Some(inbox) = self.common.listener.get().cloned() {
            let name = self.server.name.clone();
            tokio::spawn(async move { inbox.logged_in(name).await });
        }
    }

    fn note_failure(&self, standing: &mut Standing, why: &str) -> String {
        let attempts = standing.failed.as_ref().map_or(0, |failed| failed.attempts) + 1;
        let why = format!("vault {}: the login failed: {why}", self.server.name);
        if attempts.is_power_of_two() {
            warn!(vault = %self.server.name, attempts, reason = why, "no login to Vault");
        }
        // No longer than any sink waits: one that tries again finds that the login is tried as well.
        let not_before = self.patience.until().max(Some(Instant::now() + whole_wait(attempts) / 2));
        let not_before = not_before.unwrap_or_else(Instant::now);
        standing.failed = Some(Failed { why: why.clone(), attempts, not_before });
        why
    }

    fn held_back(&self, left: Duration) -> String {
        let left = for_people(left);
        format!("vault {}: the login was refused; the same credentials are tried again in {left}", self.server.name)
    }

    async fn log_in(&self, read: Read) -> Result<Lease, String> {
        let VaultServer { login, .. } = &*self.server;
        if let VaultMethod::Agent = login.method {
            return Ok(Lease { token: Secret::new(String::new()), lifetime: None, renewable: false });
        }
        let token = match &read {
            Read::Token(token) => Some(token),
            _ => None,
        };
        let vault = Vault::new(&self.common.http, &self.server, token).map_err(|trouble| trouble.to_string())?;
        let lease = match self.common.unwrapped.shown(&vault, &login.method, &read).await {
            Ok(shown) => vault.login(&login.mount, shown.credentials(&login.method)).await,
            Err(trouble) => Err(trouble),
        };
        self.patience.heed(vault.unwelcome());
        match (lease, read) {
            (Ok(lease), _) => Ok(lease),
            // It need not be allowed to look at itself.
            (Err(Trouble::Denied(_)), Read::Token(token)) => Ok(Lease { token, lifetime: None, renewable: false }),
            (Err(trouble @ (Trouble::Denied(_) | Trouble::Refused(_))), read) => {
                let held_back = !matches!(read, Read::Nothing);
                let again = for_people(self.common.refusals.note(&self.account, read, Instant::now()));
                let again = if held_back {
                    format!("; the same credentials are tried again {again} later")
                } else {
                    String::new()
                };
                let locked = match trouble {
                    Trouble::Denied(_) => "; is the account locked for a while after refusals?",
                    _ => "",
                };
                Err(format!("{trouble}{locked}{again}"))
            }
            (Err(trouble), _) => Err(trouble.to_string()),
        }
    }

    /// Takes a token into use: it is kept, and renewed in time.
    fn take(&self, kept: Kept) -> Token {
        let ends = kept.lifetime.map(end_of_use);
        let token = Token { secret: kept.token.clone(), ends };
        // A token that somebody gave us is where they keep it.
        if !self.server.login.method.is_given() {
            self.common.keeping.keep(&self.server, &kept);
        }
        if let (Some(lifetime), true) = (kept.lifetime, kept.renewable) {
            tokio::spawn(renew_in_time(self.this.clone(), kept.token, lifetime));
        }
        token
    }

    /// Renews `secret` if it is still the one in use. Says when to look again.
    async fn renew(&self, secret: &Secret, failures: &mut u32) -> Option<Instant> {
        let ends = {
            let standing = self.standing.lock().await;
            standing.token.as_ref().filter(|token| token.secret.same_as(secret))?.ends?
        };
        if let Some(until) = self.patience.until() {
            return (until < ends).then_some(until);
        }
        let renewed = match Vault::new(&self.common.http, &self.server, Some(secret)) {
            Ok(vault) => {
                let renewed = vault.renew().await;
                self.patience.heed(vault.unwelcome());
                renewed
            }
            Err(trouble) => Err(trouble),
        };
        let mut standing = self.standing.lock().await;
        let token = standing.token.as_mut().filter(|token| token.secret.same_as(secret))?;
        match renewed {
            Ok(lease) => {
                *failures = 0;
                let lifetime = lease.lifetime?;
                token.ends = Some(end_of_use(lifetime));
                let kept = Kept { token: secret.clone(), lifetime: Some(lifetime), renewable: true };
                if !self.server.login.method.is_given() {
                    self.common.keeping.keep(&self.server, &kept);
                }
                // Near its longest life it is renewed for less and less: the next use logs in anew.
                (lifetime > 2 * MARGIN).then(|| renewal_after(self.server.name.as_str(), lifetime))
            }
            Err(Trouble::Denied(_) | Trouble::Refused(_)) => {
                standing.token = None;
                self.common.keeping.forget(&self.server);
                None
            }
            Err(_) => {
                *failures += 1;
                let next = Instant::now() + wait(self.server.name.as_str(), *failures);
                (next < ends).then_some(next)
            }
        }
    }
}

/// Renews the token called `secret` as long as it is in use.
async fn renew_in_time(session: Weak<Session>, secret: Secret, lifetime: Duration) {
    let Some(name) = session.upgrade().map(|session| session.server.name.clone()) else { return };
    let mut next = Some(renewal_after(name.as_str(), lifetime));
    let mut failures = 0;
    while let Some(at) = next {
        sleep_until(at).await;
        let Some(session) = session.upgrade() else { return };
        next = session.renew(&secret, &mut failures).await;
    }
}
