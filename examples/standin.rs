//! Runs the stand-ins by hand: `cargo run --example standin [PORT [SECONDS]]`, for access tokens
//! that live a minute or so many seconds. Prints what they are asked, a line each, until Ctrl-C.
#![allow(clippy::disallowed_methods, reason = "a program by hand reads its arguments")]

use std::error::Error;
use std::time::Duration;

use tokend::demo::standin::{Client, Entry, Event, Standin, StandinConfig, Vendor};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(4180), |port| port.parse())?;
    let lifetime = arguments.next().map_or(Ok(60), |seconds| seconds.parse())?;
    let lifetime = Duration::from_secs(lifetime);
    let standin = Standin::start_on_thread(StandinConfig { port, lifetime, ..StandinConfig::default() })?;
    for vendor in Vendor::ALL {
        let Client { id, secret, .. } = Client::demo(vendor);
        println!("{:14} {}  id {id}  secret {secret}", vendor.preset(), standin.url(vendor));
    }
    let mut seen = 0;
    loop {
        standin.block_until(Duration::from_hours(1), |journal| journal.entries().len() > seen)?;
        let lines: Vec<String> = standin.look(|journal| journal.entries()[seen..].iter().map(line).collect());
        seen += lines.len();
        println!("{}", lines.join("\n"));
    }
}

fn line(entry: &Entry) -> String {
    let account = &entry.account;
    let event = match &entry.event {
        Event::Issued(issue) => {
            let scope = issue.scope.as_deref().unwrap_or("-");
            format!("issued {} until {} for {scope}", issue.fingerprint, issue.expires_at)
        }
        Event::Repeated(fingerprint) => format!("repeated {fingerprint}"),
        Event::Refused { status, code } => format!("refused {status} {code}"),
        Event::Disturbed(fault) => format!("disturbed: {fault}"),
    };
    format!("{} {} {} {} {event}", entry.at, account.vendor.preset(), account.client_id, account.context)
}
