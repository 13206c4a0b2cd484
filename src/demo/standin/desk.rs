//! Decides what becomes of a request: script first, then the vendor's rules. It holds what the
//! vendors know, and moves no bytes.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "this floor touches the world")]

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::demo::standin::account::Account;
use crate::demo::standin::exchange::{Asked, Claims, Grant, Reply};
use crate::demo::standin::fault::{Fault, RetryAfter, Script};
use crate::demo::standin::journal::{Arrival, Event, Fingerprint, Issue, Journal};
use crate::demo::standin::mint::Mint;
use crate::demo::standin::vendor::{Clients, Vendor};
use crate::time::Timestamp;

/// What is to be sent.
pub(super) enum Outgoing {
    /// An answer.
    Whole(Reply),
    /// An answer, a byte at a time.
    Drip(Reply, Duration),
    /// Half of an answer.
    Half(Reply),
    /// An answer whose body is the beginning of 1 GiB.
    Endless(Reply),
    /// Nothing.
    Silence,
    /// Not even an end.
    Reset,
}

/// Where requests are decided.
pub(super) struct Desk {
    pub(super) clients: Clients,
    pub(super) script: Script,
    pub(super) journal: Journal,
    pub(super) lifetimes: BTreeMap<Vendor, Duration>,
    pub(super) lifetime: Duration,
    mint: Mint,
    newest: HashMap<Account, (String, Timestamp)>,
}

impl Desk {
    /// A desk without clients.
    pub(super) fn new(lifetime: Duration, lifetimes: BTreeMap<Vendor, Duration>) -> Self {
        Self {
            clients: Clients::default(),
            script: Script::default(),
            journal: Journal::default(),
            lifetimes,
            lifetime,
            mint: Mint::new(),
            newest: HashMap::new(),
        }
    }

    /// Decides one request, and notes it.
    pub(super) fn serve(
        &mut self,
        asked: &Asked<'_>,
        account: &Account,
        fault: Option<&Fault>,
        now: Timestamp,
    ) -> Outgoing {
        if let Some((fault, outgoing)) = fault.and_then(|fault| Some((fault, instead(fault, account.vendor)?))) {
            self.journal.note(now, account, Event::Disturbed(fault.name()));
            return outgoing;
        }
        let judged = match fault {
            Some(Fault::RefuseCredentials) => Err(account.vendor.wrong_secret()),
            _ => account.vendor.judge(asked, &self.clients),
        };
        let grant = match judged {
            Ok(grant) => grant,
            Err(refusal) => {
                let event = Event::Refused { status: refusal.status, code: refusal.code.clone() };
                self.journal.note(now, account, event);
                return Outgoing::Whole(refusal);
            }
        };
        let reply = self.grant(account, grant, fault, now);
        match fault {
            Some(Fault::ResetAfter) => Outgoing::Reset,
            Some(Fault::Half) => Outgoing::Half(reply),
            Some(Fault::Drip(pause)) => Outgoing::Drip(reply, *pause),
            _ => Outgoing::Whole(reply),
        }
    }

    fn grant(&mut self, account: &Account, grant: Grant, fault: Option<&Fault>, now: Timestamp) -> Reply {
        if let Some(Fault::SameToken(least)) = fault
            && let Some((access_token, expires_at)) = self.newest.get(account)
            && now.until(*expires_at) > *least
        {
            self.journal.note(now, account, Event::Repeated(Fingerprint::of(access_token)));
            let left = json!(now.until(*expires_at).as_secs());
            let (issued_at, expires_at, expires_in) = (now, *expires_at, &left);
            let scope = grant.scope.as_deref();
            return account.vendor.answer(&Claims { access_token, issued_at, expires_at, expires_in, scope });
        }
        self.issue(account, grant, fault, now)
    }

    fn issue(&mut self, account: &Account, grant: Grant, fault: Option<&Fault>, now: Timestamp) -> Reply {
        let lifetime = self.lifetimes.get(&account.vendor).copied().unwrap_or(self.lifetime);
        let shown = shown_by_its_clock(now, fault);
        let mut access_token = self.mint.make(account, grant.scope.as_deref(), shown, shown + lifetime);
        if fault == Some(&Fault::LineFeed) {
            access_token.insert(access_token.len() / 2, '\n');
        }
        let expires_in = match fault {
            Some(Fault::ExpiresIn(said)) => said.clone(),
            _ => Value::from(lifetime.as_secs()),
        };
        let reply = account.vendor.answer(&Claims {
            access_token: &access_token,
            issued_at: shown,
            expires_at: shown + lifetime,
            expires_in: &expires_in,
            scope: grant.scope.as_deref(),
        });
        let arrival = if fault.is_some_and(Fault::spoils) { Arrival::Spoiled } else { Arrival::Sent };
        let (fingerprint, expires_at) = (Fingerprint::of(&access_token), now + lifetime);
        let issue = Issue { fingerprint, scope: grant.scope, expires_at, arrival };
        self.journal.note(now, account, Event::Issued(issue));
        self.newest.insert(account.clone(), (access_token, expires_at));
        match fault {
            Some(Fault::ClockAhead(_)) => reply.with("date", http_date(shown)),
            _ => reply,
        }
    }
}

/// What comes in place of an answer, if the fault is of that kind.
fn instead(fault: &Fault, vendor: Vendor) -> Option<Outgoing> {
    let json = |status, body: &str| Reply::new(status, "application/json", body.to_owned());
    let reply = match fault {
        Fault::Hang => return Some(Outgoing::Silence),
        Fault::ResetBefore => return Some(Outgoing::Reset),
        Fault::Endless => return Some(Outgoing::Endless(json(200, ""))),
        Fault::Status(status, body) => json(*status, body),
        Fault::TooMany(after) => later(vendor.trouble(429), *after),
        Fault::Unavailable(after) => later(vendor.trouble(503), *after),
        Fault::Redirect(to) => json(307, "").with("location", to),
        Fault::Html => Reply::new(200, "text/html; charset=utf-8", PORTAL.into()),
        _ => return None,
    };
    Some(Outgoing::Whole(reply))
}

const PORTAL: &str = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head>\
                      <body><p>Please accept the terms of use.</p></body></html>\n";

fn later(reply: Reply, after: Option<RetryAfter>) -> Reply {
    match after {
        None => reply,
        Some(RetryAfter::Seconds(seconds)) => reply.with("retry-after", seconds.to_string()),
        Some(RetryAfter::Date(ahead)) => reply.with("retry-after", httpdate::fmt_http_date(SystemTime::now() + ahead)),
    }
}

fn shown_by_its_clock(now: Timestamp, fault: Option<&Fault>) -> Timestamp {
    match fault {
        Some(Fault::ClockAhead(seconds)) => Timestamp::from_millis(now.as_millis() + seconds * 1000),
        _ => now,
    }
}

fn http_date(at: Timestamp) -> String {
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Timestamp::EPOCH.until(at))
}
