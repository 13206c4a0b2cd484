//! What can be made to go wrong, and the script that says when.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::Value;

use crate::demo::standin::account::{Account, Target};

/// Something that goes wrong.
///
/// Those of the first kind come in place of an answer, whatever the request says; nothing is
/// issued. Those of the second kind meet a request that the vendor would grant: an access token is
/// issued and noted; a request that is wrong is refused as ever.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Nothing is issued: this status with this body as JSON.
    Status(u16, String),
    /// Nothing is issued: 429 in the vendor's words.
    TooMany(Option<RetryAfter>),
    /// Nothing is issued: 503 in the vendor's words.
    Unavailable(Option<RetryAfter>),
    /// Nothing is issued: 307 to this URL.
    Redirect(String),
    /// Nothing is issued: 200 with a page for people, as a captive portal sends it.
    Html,
    /// Nothing is issued: 200 with a document of 1 GiB.
    Endless,
    /// Nothing is issued: no answer, the connection stays.
    Hang,
    /// Nothing is issued: the connection is reset.
    ResetBefore,
    /// Nothing is issued: the vendor's own refusal of wrong credentials.
    RefuseCredentials,

    /// Issued: the connection is reset instead of an answer.
    ResetAfter,
    /// Issued: half of the answer, then the connection ends.
    Half,
    /// Issued: the answer comes a byte at a time with a pause before each.
    Drip(Duration),
    /// Issued: the answer comes after a pause.
    Slow(Duration),
    /// Issued: the answer's relative field says this; the access token lives as ever.
    ExpiresIn(Value),
    /// Issued: a line feed inside the access token.
    LineFeed,
    /// Issued by a clock that is this many seconds ahead: `Date`, absolute fields, the JWT.
    ClockAhead(i64),
    /// The access token of the account again, with what is left of its life, while more than this is left.
    SameToken(Duration),
}

impl Fault {
    /// One word for the journal.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Status(..) => "status",
            Self::TooMany(_) => "too many",
            Self::Unavailable(_) => "unavailable",
            Self::Redirect(_) => "redirect",
            Self::Html => "html",
            Self::Endless => "endless",
            Self::Hang => "hang",
            Self::ResetBefore => "reset before",
            Self::RefuseCredentials => "refuse credentials",
            Self::ResetAfter => "reset after",
            Self::Half => "half",
            Self::Drip(_) => "drip",
            Self::Slow(_) => "slow",
            Self::ExpiresIn(_) => "expires_in",
            Self::LineFeed => "line feed",
            Self::ClockAhead(_) => "clock ahead",
            Self::SameToken(_) => "same token",
        }
    }

    /// Whether it spoils an access token that was issued: the client cannot use it.
    pub(super) fn spoils(&self) -> bool {
        matches!(self, Self::ResetAfter | Self::Half | Self::LineFeed)
    }
}

/// What `Retry-After` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u64),
    /// The HTTP date that is so far ahead.
    Date(Duration),
}

/// What goes wrong when.
#[derive(Debug, Default)]
pub(super) struct Script(Vec<Scene>);

#[derive(Debug)]
struct Scene {
    target: Target,
    next: VecDeque<Fault>,
    standing: Option<Fault>,
}

impl Script {
    /// From now on, every request of these accounts meets this fault.
    pub(super) fn stand(&mut self, target: Target, fault: Fault) {
        self.scene(target).standing = Some(fault);
    }

    /// One more request of these accounts meets this fault, after those that were scripted before.
    pub(super) fn push(&mut self, target: Target, fault: Fault) {
        self.scene(target).next.push_back(fault);
    }

    /// Forgets all faults that were set for exactly this target.
    pub(super) fn clear(&mut self, target: &Target) {
        self.0.retain(|scene| scene.target != *target);
    }

    /// The fault that a request of this account meets: the narrowest target's, scripted before standing.
    pub(super) fn next(&mut self, account: &Account) -> Option<Fault> {
        let told = |scene: &&mut Scene| scene.target.covers(account) && !scene.is_over();
        let scene = self.0.iter_mut().filter(told).max_by_key(|scene| scene.target.narrowness())?;
        scene.next.pop_front().or_else(|| scene.standing.clone())
    }

    fn scene(&mut self, target: Target) -> &mut Scene {
        let at = self.0.iter().position(|scene| scene.target == target).unwrap_or(self.0.len());
        if at == self.0.len() {
            self.0.push(Scene { target, next: VecDeque::new(), standing: None });
        }
        &mut self.0[at]
    }
}

impl Scene {
    fn is_over(&self) -> bool {
        self.next.is_empty() && self.standing.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::standin::vendor::Vendor;

    fn account(client_id: &str, context: &str) -> Account {
        Account { vendor: Vendor::OpenPayments, client_id: client_id.into(), context: context.into() }
    }

    #[test]
    fn scripted_faults_come_once_each_and_before_the_standing_one() {
        let mut script = Script::default();
        script.stand(Vendor::OpenPayments.into(), Fault::Hang);
        script.push(Vendor::OpenPayments.into(), Fault::Html);
        script.push(Vendor::OpenPayments.into(), Fault::Half);
        let told: Vec<_> = (0..4).map(|_| script.next(&account("a", ""))).collect();
        assert_eq!(told, [Some(Fault::Html), Some(Fault::Half), Some(Fault::Hang), Some(Fault::Hang)]);
        script.clear(&Vendor::OpenPayments.into());
        assert_eq!(script.next(&account("a", "")), None);
    }

    #[test]
    fn the_narrowest_target_has_its_way() {
        let mut script = Script::default();
        script.stand(Vendor::OpenPayments.into(), Fault::Hang);
        script.stand(Target::client(Vendor::OpenPayments, "a"), Fault::Html);
        script.push(Target::client(Vendor::OpenPayments, "a").context("private"), Fault::Half);
        assert_eq!(script.next(&account("a", "private")), Some(Fault::Half));
        assert_eq!(script.next(&account("a", "private")), Some(Fault::Html));
        assert_eq!(script.next(&account("a", "corporate")), Some(Fault::Html));
        assert_eq!(script.next(&account("b", "private")), Some(Fault::Hang));
    }
}
