//! One slot, many scopes: when a union grows, shrinks, or is refused.

use tokend::demo::standin::{Client, Fault, Vendor};
use tokend::status::{StandingState, TokenState};

use crate::setup::{PATIENCE, Setup, secret_of, wait_until};

fn token(setup: &Setup, name: &str, scope: &str) -> String {
    setup.token(name, "op", &format!("psu_context = \"corporate\"\nscopes = [\"{scope}\"]"))
}

fn narrow(setup: &Setup) {
    setup.configure(&[setup.open_payments("op", ""), token(setup, "accounts", "accountinformation")]);
}

fn wide(setup: &Setup) {
    setup.configure(&[
        setup.open_payments("op", ""),
        token(setup, "accounts", "accountinformation"),
        token(setup, "payments", "paymentinitiation"),
    ]);
}

fn reload(setup: &Setup) {
    setup.tokend(&["reload"]).out();
}

#[test]
fn a_wider_union_asks_at_once_and_a_narrower_one_for_nothing() {
    let setup = Setup::new();
    narrow(&setup);
    let daemon = setup.run_ready();
    let first = setup.read("tokens/accounts").unwrap();
    wide(&setup);
    reload(&setup);
    wait_until("both are delivered", || {
        let now = setup.read("tokens/payments");
        now.is_some() && now == setup.read("tokens/accounts")
    });
    assert_ne!(setup.read("tokens/accounts").unwrap(), first);
    assert_eq!(daemon.slot("payments").scope, "accountinformation paymentinitiation corporate");
    assert_eq!((daemon.slot("accounts").generation.0, setup.issued(Vendor::OpenPayments)), (2, 2));

    narrow(&setup);
    reload(&setup);
    wait_until("the file goes with its token", || setup.read("tokens/payments").is_none());
    assert_eq!(daemon.slot("accounts").generation.0, 2);
    wide(&setup);
    reload(&setup);
    wait_until("taking the edit back delivers what is held", || setup.read("tokens/payments").is_some());
    assert_eq!(setup.issued(Vendor::OpenPayments), 2);
}

#[test]
fn a_wider_union_asks_at_once_after_a_restart_too() {
    let setup = Setup::new();
    narrow(&setup);
    setup.run_ready().stop();
    wide(&setup);
    let daemon = setup.run_ready();
    assert_eq!((daemon.slot("payments").generation.0, setup.issued(Vendor::OpenPayments)), (2, 2));
    daemon.stop();
    narrow(&setup);
    let daemon = setup.run_ready();
    assert_eq!((daemon.slot("accounts").generation.0, setup.issued(Vendor::OpenPayments)), (2, 2));
}

#[test]
fn a_refused_union_leaves_those_served_who_need_no_more() {
    let setup = Setup::new();
    narrow(&setup);
    let daemon = setup.run_ready();
    let held = setup.read("tokens/accounts").unwrap();
    wide(&setup);
    let client = Client::new(Vendor::OpenPayments, "op", &secret_of("op")).with_scopes(&["accountinformation"]);
    setup.register(client.clone());
    reload(&setup);
    wait_until("the refusal is told", || {
        let slot = daemon.slot("payments");
        slot.tokens.iter().any(|token| token.name == "payments" && token.state == TokenState::Refused)
            && setup.standin.journal().tally(Vendor::OpenPayments).refused > 0
    });
    let slot = daemon.slot("payments");
    let find = |name: &str| slot.tokens.iter().find(|token| token.name == name).unwrap().clone();
    assert_eq!((find("accounts").state, find("accounts").reason), (TokenState::Valid, None));
    let reason = find("payments").reason.unwrap();
    assert!(
        reason.contains("paymentinitiation") && reason.contains("the provider refused it (invalid_scope)"),
        "{reason}"
    );
    assert_eq!(setup.read("tokens/accounts").as_deref(), Some(held.as_str()));
    assert_eq!(setup.read("tokens/payments"), None);
    assert_eq!(daemon.get("/v1/tokens/accounts").status, 200);
    let answer = daemon.get("/v1/tokens/payments");
    assert_eq!(answer.status, 503);
    assert!(answer.detail().contains("paymentinitiation"), "{answer:?}");
    let shown = setup.tokend(&["status"]);
    assert!(shown.code == 75 && shown.out.contains("REFUSED"), "{shown:?}");
    assert_eq!(slot.standing, StandingState::Good, "what is held can be renewed");

    let answer = daemon.post("/v1/tokens/accounts/refresh");
    assert_eq!((answer.status, setup.issued(Vendor::OpenPayments)), (200, 2), "{answer:?}");
    let requests = setup.standin.journal().entries().len();
    assert_eq!(requests, 3, "asked once for the union, then for what was granted");
    assert!(setup.log().contains("does not grant these scopes"), "{}", setup.log());
}

#[test]
fn a_kill_while_a_wider_union_is_asked_for_repeats_nothing_before_it_is_due() {
    let setup = Setup::new();
    narrow(&setup);
    setup.run_ready().stop();
    wide(&setup);
    setup.standin.fault_once(Vendor::OpenPayments, Fault::Hang);
    let daemon = setup.run();
    assert!(setup.standin.block_until(PATIENCE, |journal| journal.tally(Vendor::OpenPayments).in_flight > 0).unwrap());
    daemon.kill();
    for _ in 0..2 {
        setup.tokend(&["run", "--once"]).must_fail(75, &["payments"]);
        assert_eq!(setup.issued(Vendor::OpenPayments), 1);
    }
    let budget = setup.run().slot("accounts").budget.unwrap();
    assert_eq!((budget.issued, budget.possibly_issued), (1, 1));
}
