//! The end in the middle of everything: requests come home, nothing is lost, and nothing that hangs
//! holds it up for longer than it is allowed to.

use std::time::Duration;

use rustix::process::Signal;
use tokend::demo::standin::{Fault, Vendor};
use tokend::status::SinkState;

use crate::setup::{PATIENCE, Setup, wait_until};
use crate::strace::{Threads, Tracer, can_trace};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// So many tokens of accounts of their own, exclusive or not by turns.
fn setup() -> Setup {
    let setup = Setup::new();
    let part = |(number, name): (usize, &&str)| {
        let keys = format!("timeout = \"20s\"\nexclusive = {}", number % 2 == 0);
        setup.oauth2(name, &keys) + &setup.token(name, name, "")
    };
    let parts: Vec<String> = NAMES.iter().enumerate().map(part).collect();
    setup.configure(&parts);
    setup
}

fn wait_for_requests(setup: &Setup) {
    let all = |journal: &tokend::demo::standin::Journal| journal.tally(Vendor::OAuth2).in_flight == 6;
    assert!(setup.standin.block_until(PATIENCE, all).unwrap());
}

#[test]
fn on_sigterm_all_requests_come_home_are_published_and_none_is_lost_or_repeated() {
    let setup = setup();
    let daemon = setup.run_ready();
    setup.standin.fault(Vendor::OAuth2, Fault::Slow(Duration::from_secs(1)));
    let asking: Vec<_> = NAMES
        .iter()
        .map(|name| daemon.send("POST", &format!("/v1/tokens/{name}/refresh"), "Content-Length: 0\r\n"))
        .collect();
    wait_for_requests(&setup);
    assert_eq!(daemon.stop().code(), Some(0));
    drop(asking);
    assert_eq!(setup.issued(Vendor::OAuth2), 12);
    assert!(setup.log().contains("stopping under_way=6"), "{}", setup.log());
    setup.standin.clear(Vendor::OAuth2);
    let published = NAMES.map(|name| setup.read(&format!("tokens/{name}")).unwrap());
    let daemon = setup.run_ready();
    for name in NAMES {
        assert_eq!(daemon.slot(name).generation.0, 2, "{name}");
        let current = || daemon.slot(name).tokens[0].sinks[0].state == SinkState::Current;
        wait_until("it is delivered", current);
        let held = setup.read(&format!("tokens/{name}")).unwrap();
        let served = daemon.ask("GET", &format!("/v1/tokens/{name}"), "Accept: text/plain\r\n");
        assert_eq!(held, served.body, "{name}");
        assert!(published.contains(&held), "{name} was published before the end");
    }
    assert_eq!(setup.issued(Vendor::OAuth2), 12, "nothing is asked for again");
}

#[test]
fn a_second_sigterm_ends_at_once_and_what_was_under_way_counts_as_possibly_issued() {
    let setup = Setup::new();
    let keys = "psu_context = \"private\"\nscopes = [\"accountinformation\"]";
    setup.configure(&[setup.open_payments("op", "timeout = \"25s\""), setup.token("a", "op", keys)]);
    let daemon = setup.run_ready();
    let held = setup.read("tokens/a");
    setup.standin.fault_once(Vendor::OpenPayments, Fault::Hang);
    let _asking = daemon.send("POST", "/v1/tokens/a/refresh", "Content-Length: 0\r\n");
    assert!(setup.standin.block_until(PATIENCE, |journal| journal.tally(Vendor::OpenPayments).in_flight == 1).unwrap());
    daemon.signal(Signal::TERM);
    wait_until("it is stopping", || setup.log().contains("stopping"));
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait_end().code(), None, "ended by the signal");
    assert!(!setup.log().contains("stopped"), "without waiting");
    let daemon = setup.run_ready();
    let budget = daemon.slot("a").budget.unwrap();
    assert_eq!((budget.issued, budget.possibly_issued), (1, 1));
    assert_eq!((setup.read("tokens/a"), setup.issued(Vendor::OpenPayments)), (held, 1));
}

/// A directory that hangs, as one of a dead file server does: its sync does not return for longer
/// than any test takes.
#[test]
fn on_sigterm_a_sink_that_hangs_is_waited_for_for_seconds_and_not_for_ever() {
    if !can_trace() {
        return;
    }
    let setup = setup();
    let daemon = setup.run_ready();
    let slow = setup.path("tokens").display().to_string();
    let hang = ["-P", &slow, "-e", "trace=fsync", "-e", "inject=fsync:delay_enter=60s"].map(String::from);
    let tracer = Tracer::attach(&setup, &daemon, Threads::All, &hang).unwrap();
    assert_eq!(daemon.post("/v1/tokens/a/refresh").status, 200);
    wait_until("it hangs", || daemon.slot("a").tokens[0].sinks[0].generation.is_some_and(|held| held.0 == 1));
    assert_eq!(daemon.post("/v1/tokens/b/refresh").status, 200, "and delays no request");
    daemon.signal(Signal::TERM);
    wait_until("it stops", || setup.log().contains("INFO stopped"));
    tracer.detach();
    assert_eq!(daemon.wait_end().code(), Some(0));
    let daemon = setup.run_ready();
    assert_eq!((daemon.slot("a").generation.0, daemon.slot("b").generation.0), (2, 2));
    assert_eq!(setup.issued(Vendor::OAuth2), 8);
}
