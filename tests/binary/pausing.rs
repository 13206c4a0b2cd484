//! `pause` and `resume`: no requests, also over restarts, until somebody wants them again.

use tokend::demo::standin::Vendor;
use tokend::status::StandingState;

use crate::setup::{Setup, wait_until};

#[test]
fn a_paused_token_is_not_refreshed_over_a_restart_and_is_when_it_is_resumed() {
    let setup = Setup::with_tokens(&["one"]);
    let daemon = setup.run_ready();
    let paused = setup.tokend(&["pause", "one"]);
    assert!(paused.out().starts_with("one: one/one is paused since "), "{paused:?}");
    assert_eq!(setup.tokend(&["pause", "one"]).out(), paused.out(), "once more changes nothing");
    setup.tokend(&["refresh", "one"]).must_fail(75, &["one is paused since", "tokend resume one"]);
    assert_eq!(daemon.post("/v1/tokens/one/refresh").status, 409);
    assert_eq!(daemon.get("/v1/tokens/one").status, 200, "what is held is served");
    assert!(setup.tokend(&["status"]).out().contains("one/one: paused since "));
    setup.tokend(&["fetch", "one"]).must_fail(75, &["was not asked: it is paused since", "tokend resume one"]);
    assert_eq!(setup.issued(Vendor::OAuth2), 1, "also without the daemon nobody asks");
    daemon.kill();

    let daemon = setup.run_ready();
    let slot = daemon.slot("one");
    assert_eq!((slot.standing, slot.next_refresh), (StandingState::Paused, None));
    setup.tokend(&["refresh", "one"]).must_fail(75, &["one is paused since"]);
    assert_eq!(setup.issued(Vendor::OAuth2), 1);
    for _ in 0..2 {
        assert_eq!(setup.tokend(&["resume", "one"]).out(), "one: one/one is not paused\n");
    }
    assert_eq!(setup.tokend(&["refresh", "one"]).code, 0);
    wait_until("the new one is in place", || daemon.slot("one").generation.0 == 2);
}

#[test]
fn pausing_what_is_not_there_says_so() {
    let setup = Setup::with_tokens(&["one"]);
    for command in ["pause", "resume"] {
        setup.tokend(&[command, "one"]).must_fail(69, &[]);
    }
    let _daemon = setup.run_ready();
    for command in ["pause", "resume"] {
        setup.tokend(&[command, "other"]).must_fail(64, &["other"]);
        setup.tokend(&[command, "no/name"]).must_fail(64, &["no/name"]);
    }
}
