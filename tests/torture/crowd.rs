//! A thousand tokens at once, and a configuration that changes under a request.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;
use tokend::demo::standin::{Event, Fault, Journal, RetryAfter, Vendor};

use crate::setup::{Daemon, PATIENCE, Setup, wait_until};

const CROWD: usize = 1000;
/// Half of it is lead, a quarter of it spread: far above what a thousand answers take.
const LIFETIME: Duration = Duration::from_secs(40);
/// How long the provider wants to be left alone: until all are due.
const REST: u64 = 20;

/// How the provider comes back: so that requests meet.
const UNHURRIED: Fault = Fault::Slow(Duration::from_millis(10));

/// Tokens of one account, each known at the stand-in by its scope.
fn crowd(setup: &Setup, numbers: std::ops::Range<usize>) {
    let token = |number: usize| {
        let sinks = if number.is_multiple_of(100) {
            format!("sinks = [{{ file = \"{}\" }}]", setup.path("tokens").join(format!("t{number:03}")).display())
        } else {
            String::new()
        };
        format!(
            "[tokens.t{number:03}]\nprovider = \"crowd\"\nscopes = [\"s{number:03}\"]\n{sinks}\nrefresh = {{ lead = \"20s\" }}\n"
        )
    };
    let parts: Vec<String> = [setup.oauth2("crowd", "")].into_iter().chain(numbers.map(token)).collect();
    setup.configure(&parts);
}

fn wait_for_issues(setup: &Setup, count: usize) {
    let enough = |journal: &Journal| journal.tally(Vendor::OAuth2).issued >= count as u64;
    assert!(setup.standin.block_until(3 * PATIENCE, enough).unwrap());
}

fn issued_scopes(setup: &Setup) -> Vec<String> {
    setup
        .standin
        .look(|journal| journal.issues(Vendor::OAuth2).map(|(_, issue)| issue.scope.clone().unwrap()).collect())
}

fn disturbed(setup: &Setup) -> usize {
    setup
        .standin
        .look(|journal| journal.entries().iter().filter(|entry| matches!(entry.event, Event::Disturbed(_))).count())
}

fn valid(daemon: &Daemon<'_>) -> usize {
    daemon.status().counts.valid
}

#[test]
fn a_thousand_tokens_due_at_once_are_asked_for_eight_at_a_time_and_the_nearest_expiry_first() {
    let setup = Setup::with_lifetime(LIFETIME);
    // Those that come last by name come first by expiry.
    crowd(&setup, CROWD / 2..CROWD);
    let daemon = setup.run();
    wait_for_issues(&setup, CROWD / 2);
    crowd(&setup, 0..CROWD);
    daemon.signal(Signal::HUP);
    wait_for_issues(&setup, CROWD);
    wait_until("all are there", || valid(&daemon) == CROWD);
    assert_eq!(setup.issued(Vendor::OAuth2), CROWD as u64);

    // The first that are due are asked for patience until all are due.
    setup.standin.fault(Vendor::OAuth2, Fault::Unavailable(Some(RetryAfter::Seconds(REST))));
    assert!(setup.standin.block_until(2 * PATIENCE, |journal| journal.tally(Vendor::OAuth2).disturbed > 0).unwrap());
    setup.standin.fault(Vendor::OAuth2, UNHURRIED);
    wait_for_issues(&setup, 2 * CROWD);

    assert!(disturbed(&setup) <= 8, "an endpoint that asked for patience is left alone");
    let tally = setup.standin.journal().tally(Vendor::OAuth2);
    assert_eq!(tally.most_in_flight, 8);
    let scopes = issued_scopes(&setup);
    let second: BTreeSet<&String> = scopes[CROWD..2 * CROWD].iter().collect();
    assert_eq!(second.len(), CROWD, "everyone once");
    let late = scopes[CROWD..CROWD + CROWD / 2].iter().filter(|scope| scope.as_str() < "s500").count();
    assert!(late <= 16, "{late} of the second half by expiry were asked for in the first half");
    wait_until("all is well", || valid(&daemon) == CROWD);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn in_an_outage_a_thousand_tokens_are_tried_a_bounded_number_of_times_and_all_come_back() {
    let setup = Setup::new();
    crowd(&setup, 0..CROWD);
    setup.standin.fault(Vendor::OAuth2, Fault::Unavailable(None));
    let daemon = setup.run();
    let failed = |journal: &Journal| journal.tally(Vendor::OAuth2).disturbed >= 2 * CROWD as u64;
    assert!(setup.standin.block_until(PATIENCE, failed).unwrap());
    setup.standin.fault(Vendor::OAuth2, UNHURRIED);
    wait_for_issues(&setup, CROWD);
    wait_until("all come back", || valid(&daemon) == CROWD);
    let tally = setup.standin.journal().tally(Vendor::OAuth2);
    assert_eq!((tally.issued, tally.most_in_flight), (CROWD as u64, 8));
    assert!(tally.disturbed <= 12 * CROWD as u64, "{tally:?}");
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn a_reload_in_the_middle_of_a_request_neither_loses_nor_doubles_it() {
    let setup = Setup::new();
    let keys = "psu_context = \"private\"\nscopes = [\"accountinformation\"]";
    let provider = setup.open_payments("op", "budget = { issues = 1000, per = \"1h\" }");
    let renamed = |text: &str| text.replace("providers.op", "providers.renamed");
    let configurations = [
        vec![provider.clone(), setup.token("a", "op", keys)],
        vec![renamed(&provider), setup.token("a", "renamed", keys)],
        vec![provider.clone(), setup.token("a", "op", keys), setup.token("b", "op", keys)],
        vec![provider, setup.token("a", "op", keys)],
    ];
    setup.configure(&configurations[0]);
    let daemon = setup.run_ready();
    for (round, configuration) in configurations[1..].iter().enumerate() {
        setup.standin.fault_once(Vendor::OpenPayments, Fault::Slow(Duration::from_millis(500)));
        let taken = || setup.log().matches("configuration taken").count();
        let before = taken();
        let _asking = daemon.send("POST", "/v1/tokens/a/refresh", "Content-Length: 0\r\n");
        let under_way = |journal: &Journal| journal.tally(Vendor::OpenPayments).in_flight == 1;
        assert!(setup.standin.block_until(PATIENCE, under_way).unwrap());
        setup.configure(configuration);
        daemon.signal(Signal::HUP);
        wait_until("the configuration is taken", || taken() > before);
        wait_until("the answer comes home", || daemon.slot("a").generation.0 == round as u64 + 2);
        daemon.wait_ready();
        assert_eq!(setup.issued(Vendor::OpenPayments), round as u64 + 2);
        let served = daemon.ask("GET", "/v1/tokens/a", "Accept: text/plain\r\n").body;
        wait_until("the file follows", || setup.read("tokens/a").as_ref() == Some(&served));
    }
    assert_eq!(setup.standin.journal().tally(Vendor::OpenPayments).most_in_flight, 1);
}
