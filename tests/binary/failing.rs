//! Providers that refuse, hang, lie or break: nothing bad is ever delivered, the daemon says what
//! is the matter in words for a person, and goes on when it is over.

use std::time::Duration;

use serde_json::{Value, json};
use tokend::demo::standin::{Fault, RetryAfter, Target, Vendor};
use tokend::status::{StandingState, TokenState};

use crate::setup::{Setup, wait_for, wait_until};

/// The name of a client, what its provider does to it, how the failure is classed, and the words
/// that a person must find.
type Case = (&'static str, Fault, &'static str, &'static [&'static str]);

const EXPIRY: &str = "expiry that cannot be used";

fn cases() -> Vec<Case> {
    let busy = "unreachable or busy";
    let says = |value: Value| Fault::ExpiresIn(value);
    let lines = Fault::Status(200, "[1, 2]".into());
    let server_error = Fault::Status(500, json!({ "error": "server_error" }).to_string());
    let forbidden = Fault::Status(403, json!({ "error": "unauthorized_client" }).to_string());
    vec![
        ("refused", Fault::RefuseCredentials, "refused", &["refused with HTTP 401, invalid_client"]),
        ("forbidden", forbidden, "refused", &["refused with HTTP 403, unauthorized_client"]),
        ("hang", Fault::Hang, busy, &["no answer from 127.0.0.1:", "within 1s"]),
        ("reset", Fault::ResetBefore, busy, &["closed before an answer came"]),
        ("lost", Fault::ResetAfter, busy, &["closed before an answer came"]),
        ("drip", Fault::Drip(Duration::from_millis(50)), busy, &["within 1s"]),
        (
            "html",
            Fault::Html,
            busy,
            &["HTTP 200 with an HTML page instead of JSON: is the URL right, or a proxy in the way?"],
        ),
        ("array", lines, busy, &["HTTP 200"]),
        ("half", Fault::Half, busy, &["closed in the middle of the answer"]),
        ("gigabyte", Fault::Endless, busy, &["1 MiB"]),
        (
            "redirect",
            Fault::Redirect("https://evil.example/x?secret=1".into()),
            busy,
            &["HTTP 307, a redirect to evil.example, which is not followed"],
        ),
        ("negative", says(json!(-5)), busy, &[EXPIRY, "zero or below"]),
        ("zero", says(json!(0)), busy, &[EXPIRY, "zero or below"]),
        ("letters", says(json!("3600abc")), busy, &[EXPIRY, "expires_in is not a number"]),
        ("eternal", says(json!(1e30)), busy, &[EXPIRY, "100 years"]),
        ("newline", Fault::LineFeed, busy, &["access token"]),
        ("busy", Fault::TooMany(Some(RetryAfter::Seconds(1))), busy, &["HTTP 429 Too Many Requests"]),
        ("down", Fault::Unavailable(None), busy, &["HTTP 503 Service Unavailable"]),
        ("broken", server_error, busy, &["HTTP 500 Internal Server Error", "server_error"]),
    ]
}

fn setup() -> Setup {
    let setup = Setup::new();
    let part = |name: &str| setup.oauth2(name, "timeout = \"1s\"") + &setup.token(name, name, "");
    let parts: Vec<String> = cases().iter().map(|(name, ..)| part(name)).collect();
    setup.configure(&parts);
    setup
}

fn client(name: &str) -> Target {
    Target::client(Vendor::OAuth2, name)
}

#[test]
fn bad_answers_are_never_delivered_are_told_in_words_and_are_overcome() {
    let setup = setup();
    for (name, fault, ..) in cases() {
        setup.standin.fault(client(name), fault);
    }
    let daemon = setup.run();
    for (name, _, class, words) in cases() {
        let error = daemon.wait_failing(name);
        assert_eq!(error.class, class, "{name}: {}", error.reason);
        for word in words {
            assert!(error.reason.contains(word), "{name}: {word:?} is missing in {:?}", error.reason);
        }
        assert!(!error.reason.contains("secret=1"), "{name}: {}", error.reason);
        assert_eq!(setup.read(&format!("tokens/{name}")), None, "{name}");
        let slot = daemon.slot(name);
        assert_eq!((slot.state, slot.generation.0), (TokenState::Missing, 0), "{name}");
    }
    let shown = setup.tokend(&["status"]);
    assert_eq!(shown.code, 75, "{shown:?}");
    let json = setup.tokend(&["status", "--json"]);
    assert_eq!(json.code, 75);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    let error = json["slots"].as_array().unwrap().iter().find(|slot| slot["slot"] == "redirect/redirect").unwrap();
    assert_eq!(error["last_error"]["class"], "unreachable or busy");

    for (name, ..) in cases() {
        setup.standin.clear(client(name));
    }
    for (name, ..) in cases() {
        let access_token = wait_for(&format!("{name} recovers"), || setup.read(&format!("tokens/{name}")));
        assert!(setup.standin.is_active(&access_token), "{name}");
    }
    wait_until("all is well", || setup.tokend(&["status"]).code == 0);
}

#[test]
fn a_failing_refresh_takes_no_live_token_from_anyone() {
    let setup = setup();
    let daemon = setup.run_ready();
    for (name, fault, class, words) in cases() {
        let held = setup.read(&format!("tokens/{name}")).unwrap();
        setup.standin.fault(client(name), fault);
        let answer = daemon.post(&format!("/v1/tokens/{name}/refresh"));
        assert_eq!((answer.status, answer.json()["class"].as_str()), (502, Some(class)), "{name}: {answer:?}");
        for word in words {
            assert!(answer.detail().contains(word), "{name}: {word:?} is missing in {answer:?}");
        }
        assert_eq!(setup.read(&format!("tokens/{name}")).as_deref(), Some(held.as_str()), "{name}");
        let served = daemon.ask("GET", &format!("/v1/tokens/{name}"), "Accept: text/plain\r\n");
        assert_eq!((served.status, served.body), (200, held), "{name}");
        assert_eq!(daemon.slot(name).state, TokenState::Valid, "{name}");
    }
    assert_eq!(daemon.get("/readyz").status, 200);
    let said = setup.tokend(&["status"]);
    assert_eq!(said.code, 0, "nothing is due: {said:?}");
    let slot = daemon.slot("refused");
    assert_eq!(slot.last_error.unwrap().next_attempt, slot.next_refresh, "not before it is due");
}

#[test]
fn retry_after_is_told_and_a_refresh_before_it_is_turned_away() {
    let setup = Setup::with_tokens(&["a"]);
    setup.standin.fault(Vendor::OAuth2, Fault::TooMany(Some(RetryAfter::Seconds(300))));
    let daemon = setup.run();
    let error = daemon.wait_failing("a");
    assert_eq!(error.attempts, 1);
    let answer = daemon.post("/v1/tokens/a/refresh");
    assert_eq!(answer.status, 429);
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((200..=300).contains(&seconds), "{answer:?}");
    setup.tokend(&["refresh", "a"]).must_fail(75, &["asked for patience"]);
    let answer = daemon.get("/v1/tokens/a");
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(answer.status == 503 && (200..=300).contains(&seconds), "{answer:?}");
    assert!(answer.detail().contains("HTTP 429 Too Many Requests"), "{answer:?}");
}

#[test]
fn a_used_up_budget_stops_the_slot_and_says_so() {
    let setup = Setup::with_lifetime(Duration::from_secs(2));
    let keys = "psu_context = \"private\"\nscopes = [\"accountinformation\"]";
    let budget = "budget = { issues = 2, per = \"1h\" }";
    setup.configure(&[setup.open_payments("op", budget), setup.token("a", "op", keys)]);
    let daemon = setup.run_ready();
    wait_until("the last token of the budget expires", || daemon.slot("a").state == TokenState::Expired);
    let slot = daemon.slot("a");
    let budget = slot.budget.unwrap();
    assert_eq!((budget.issued, budget.issues, slot.standing), (2, 2, StandingState::WaitingForBudget));
    assert_eq!(setup.issued(Vendor::OpenPayments), 2);
    let shown = setup.tokend(&["status"]);
    assert_eq!(shown.code, 75);
    assert!(shown.out.contains("waits for its budget (2 of 2 issued in 1h"), "{}", shown.out);
    let json: Value = serde_json::from_str(&setup.tokend(&["status", "--json"]).out).unwrap();
    assert_eq!(json["slots"][0]["standing"], "waiting-for-budget");
    let answer = daemon.get("/v1/tokens/a");
    assert_eq!(answer.status, 503, "an expired token is not served");
    assert!(answer.detail().contains("budget"), "{answer:?}");
}

#[test]
fn possibly_issued_tokens_space_the_requests_from_the_moment_they_reach_the_budget() {
    let setup = Setup::new();
    let keys = "psu_context = \"private\"\nscopes = [\"accountinformation\"]";
    let budget = "budget = { issues = 2, per = \"1h\" }";
    setup.configure(&[setup.open_payments("op", budget), setup.token("a", "op", keys)]);
    setup.standin.fault(Vendor::OpenPayments, Fault::ResetAfter);
    let daemon = setup.run();
    wait_until("the budget is reached", || daemon.slot("a").standing == StandingState::WaitingForBudget);
    let budget = daemon.slot("a").budget.unwrap();
    assert_eq!((budget.issued, budget.possibly_issued), (0, 2));
    let patience: u64 = daemon.get("/v1/tokens/a").header("retry-after").unwrap().parse().unwrap();
    assert!((30..=60).contains(&patience), "{patience} s");
    assert_eq!(setup.issued(Vendor::OpenPayments), 2);
}

/// The lines of the log that say all of `words`.
fn told(setup: &Setup, words: &[&str]) -> usize {
    setup.log().lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

#[test]
fn another_failure_is_told_at_once_and_the_same_one_at_growing_intervals() {
    let setup = Setup::with_tokens(&["one"]);
    setup.standin.fault(Vendor::OAuth2, Fault::Unavailable(None));
    let daemon = setup.run();
    wait_until("it has failed twice", || daemon.slot("one").last_error.is_some_and(|error| error.attempts == 2));
    setup.standin.fault(Vendor::OAuth2, Fault::RefuseCredentials);
    wait_until("it is refused", || daemon.slot("one").standing == StandingState::Refused);
    assert_eq!(told(&setup, &["no new access token", "503"]), 2);
    let third = ["no new access token", "slot=one/one", "class=\"refused\"", "attempts=3", "next_attempt_in=", "held="];
    assert_eq!(told(&setup, &third), 1, "{}", setup.log());
    setup.standin.fault(Vendor::OAuth2, Fault::Unavailable(None));
    let fails_on = || daemon.slot("one").last_error.is_some_and(|error| error.attempts >= 7);
    wait_until("it goes on failing", || {
        daemon.post("/v1/tokens/one/refresh");
        fails_on()
    });
    assert_eq!(told(&setup, &["no new access token", "503"]), 3, "the 1st, the 2nd, and the 4th as another one");
}

#[test]
fn a_renewal_that_will_have_to_wait_for_its_budget_is_told_when_that_is_used_up() {
    let setup = Setup::new();
    let shared = "psu_context = \"corporate\"\nscopes = [\"accountinformation\"]";
    let budget = "budget = { issues = 1, per = \"2h\" }";
    setup.configure(&[setup.open_payments("op", budget), setup.token("shared", "op", shared)]);
    let daemon = setup.run_ready();
    assert_eq!(told(&setup, &["budget", "slot=op/corporate", "due=", "next_refresh="]), 1);
    drop(daemon);
}
