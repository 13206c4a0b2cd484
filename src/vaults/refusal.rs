//! What a server refused to let in is shown to it rarely: many let nobody in for a quarter of an hour
//! after the fifth refusal within another, and a right secret that comes then finds a locked door.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::settings::{VaultMethod, VaultServer};
use crate::vaults::reading::Read;

/// After these it is tried again, and again after each last one: never a fifth time within 15 minutes.
const WAITS: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(20), Duration::from_mins(5), Duration::from_mins(15)];

/// What was not tried for so long may be tried as if for the first time.
const FORGOTTEN: Duration = Duration::from_hours(1);

/// What servers refused lately, through whatever table.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<Vec<Refused>>);

/// Where somebody logs in, and as whom as far as that is no secret.
pub(crate) type Account = String;

struct Refused {
    account: Account,
    credentials: Read,
    times: usize,
    /// When they are tried again.
    again: Instant,
}

impl Refusals {
    /// For how long these are still to be held back. Others never are.
    pub(crate) fn hold_back(&self, account: &Account, credentials: &Read, now: Instant) -> Option<Duration> {
        let refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = refused.iter().find(|refused| refused.is(account, credentials))?;
        (same.again > now).then(|| same.again - now)
    }

    /// The server refused these; says how long they are held back.
    pub(crate) fn note(&self, account: &Account, credentials: Read, now: Instant) -> Duration {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|refused| now < refused.again + FORGOTTEN);
        let before = refused.iter().position(|refused| refused.is(account, &credentials));
        let times = before.map_or(0, |index| refused.swap_remove(index).times);
        let wait = WAITS.get(times).or(WAITS.last()).copied().unwrap_or_default();
        refused.push(Refused { account: account.clone(), credentials, times: times + 1, again: now + wait });
        wait
    }

    /// A person may have put it right: what comes next is let through.
    pub(crate) fn doubt_all(&self, now: Instant) {
        let mut refused = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        refused.iter_mut().for_each(|refused| refused.again = refused.again.min(now));
    }
}

impl Refused {
    fn is(&self, account: &Account, credentials: &Read) -> bool {
        self.account == *account && self.credentials.same_as(credentials)
    }
}

/// Whose login at `server` it is.
pub(crate) fn account_at(server: &VaultServer) -> Account {
    let VaultServer { address, namespace, login, .. } = server;
    let user = match &login.method {
        VaultMethod::Userpass { username, .. } => username.as_str(),
        VaultMethod::Jwt { role, .. } => role,
        _ => "",
    };
    format!("{address:?} {} {} {user}", namespace.as_deref().unwrap_or_default(), login.mount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn secret_id(text: &str) -> Read {
        Read::AppRole(Secret::new("role".to_owned()), Some(Secret::new(text.to_owned())))
    }

    #[test]
    fn the_same_are_tried_four_times_in_a_quarter_of_an_hour_and_others_at_once() {
        let (refusals, began) = (Refusals::default(), Instant::now());
        let account = Account::from("here");
        let is_held_back = |text, now| refusals.hold_back(&account, &secret_id(text), now).is_some();
        let mut tried = Vec::new();
        for second in 0..3600 {
            let now = began + Duration::from_secs(second);
            if !is_held_back("wrong", now) {
                tried.push(second);
                refusals.note(&account, secret_id("wrong"), now);
            }
            assert!(!is_held_back("right", now));
        }
        assert_eq!(tried, [0, 5, 25, 325, 1225, 2125, 3025]);
        refusals.doubt_all(began);
        assert!(!is_held_back("wrong", began));
    }

    #[test]
    fn a_certificate_is_never_held_back() {
        let (refusals, account, now) = (Refusals::default(), Account::from("here"), Instant::now());
        refusals.note(&account, Read::Nothing, now);
        assert_eq!(refusals.hold_back(&account, &Read::Nothing, now), None, "the file may hold another one by now");
    }
}
