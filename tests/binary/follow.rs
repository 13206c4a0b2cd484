//! A token that follows: what another daemon wrote to a file, here taken and served. The provider of
//! the one that follows would count whoever asks it.

use std::fs;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokend::demo::standin::Vendor;

use crate::setup::{Setup, wait_for, wait_until};

/// One that asks: the token `api` in `tokens/api.json` for others, and in `tokens/api`.
fn issuer(lifetime: Duration) -> Setup {
    let issuer = Setup::with_lifetime(lifetime);
    let json = format!("{{ file = \"{}\", format = \"json\" }}", issuer.path("tokens/api.json").display());
    let raw = format!("{{ file = \"{}\" }}", issuer.path("tokens/api").display());
    let token = format!("[tokens.api]\nprovider = \"api\"\nsinks = [{json}, {raw}]\n");
    issuer.configure(&[issuer.oauth2("api", ""), token]);
    issuer
}

/// One that follows what `issuer` writes.
fn follower(issuer: &Setup) -> Setup {
    let follower = Setup::new();
    let file = issuer.path("tokens/api.json");
    let sink = follower.path("tokens/api");
    let sinks = format!("sinks = [{{ file = \"{}\" }}]", sink.display());
    follower.configure(&[format!("[tokens.api]\nfollow = {{ file = \"{}\" }}\n{sinks}\n", file.display())]);
    follower
}

/// Nobody asked the stand-ins of the one that follows.
fn has_asked(follower: &Setup) -> bool {
    follower.standin.look(|journal| !journal.entries().is_empty())
}

#[test]
fn what_the_issuer_writes_is_taken_with_its_number_and_nobody_is_asked() {
    let issuer = issuer(crate::setup::HOUR);
    let follower = follower(&issuer);
    let there = issuer.run_ready();
    let here = follower.run_ready();
    for generation in 1..=3 {
        wait_until("it is taken", || here.get("/v1/tokens/api").json()["generation"] == generation);
        let (mine, its) = (here.get("/v1/tokens/api").json(), there.get("/v1/tokens/api").json());
        wait_until("it is delivered", || follower.read("tokens/api").as_deref() == its["access_token"].as_str());
        for field in ["access_token", "token_type", "scope", "expires_at", "issued_at", "generation"] {
            assert_eq!(mine[field], its[field], "{field}");
        }
        assert_eq!(mine["slot"], "follow/api");
        there.post("/v1/tokens/api/refresh");
    }
    assert_eq!(issuer.issued(Vendor::OAuth2), 4);
    assert!(!has_asked(&follower));
    let metrics = here.get("/metrics").body;
    assert!(!metrics.contains("tokend_issues_total{slot=\"follow/api\""), "{metrics}");
}

#[test]
fn a_restart_serves_at_once_what_is_held_and_says_that_the_place_is_gone() {
    let issuer = issuer(crate::setup::HOUR);
    let follower = follower(&issuer);
    let there = issuer.run_ready();
    follower.run_ready().stop();
    let held = follower.read("tokens/api").unwrap();
    there.stop();
    fs::remove_file(issuer.path("tokens/api.json")).unwrap();
    fs::remove_file(follower.path("tokens/api")).unwrap();
    let here = follower.run_ready();
    assert_eq!(follower.read("tokens/api").unwrap(), held);
    let error = here.wait_failing("api");
    assert!(
        error.reason.ends_with("there is no such file; has the other tokend a sink there, and has it been started?")
    );
    let status = follower.tokend(&["status"]);
    assert_eq!(status.code, 0, "the token held is valid and not due: {status:?}");
    assert!(status.out.contains("there is no such file"), "{status:?}");
    let there = issuer.run_ready();
    wait_until("it is well again", || here.slot("api").last_error.is_none());
    assert_eq!((follower.read("tokens/api").unwrap(), issuer.issued(Vendor::OAuth2)), (held, 1));
    drop(there);
}

#[test]
fn an_issuer_that_stops_is_late_and_its_next_token_is_taken_when_it_comes() {
    let issuer = issuer(Duration::from_secs(8));
    let follower = follower(&issuer);
    issuer.run_ready().stop();
    let here = follower.run();
    let slot = wait_for("the issuer is late", || Some(here.slot("api")).filter(|slot| slot.last_error.is_some()));
    let reason = slot.last_error.unwrap().reason;
    let place = issuer.path("tokens/api.json").display().to_string();
    assert!(reason.starts_with(&format!("the issuer is late: {place} holds generation 1, which expire")), "{reason}");
    assert!(reason.ends_with("look at `tokend status` on the host that writes there"), "{reason}");
    let follows = slot.follows.unwrap();
    assert_eq!((follows.place, follows.generation.unwrap().0), (place, 1));
    assert!(follows.late_since.is_some() && follows.looked_at.is_some());
    wait_until("it has expired", || here.get("/v1/tokens/api").status == 503);
    follower.tokend(&["status"]).must_fail(75, &[]);
    let there = issuer.run_ready();
    wait_until("the next one is taken", || here.get("/v1/tokens/api").status == 200);
    assert!(here.get("/v1/tokens/api").json()["generation"].as_u64() >= Some(2));
    assert!(!has_asked(&follower));
    drop(there);
}

#[test]
fn what_is_older_or_no_token_of_a_tokend_is_left_where_it_is() {
    let issuer = issuer(crate::setup::HOUR);
    let follower = follower(&issuer);
    let file = issuer.path("tokens/api.json");
    let write = |generation: u64, token: &str| {
        let content = json!({ "access_token": token, "expires_at": "2100-01-01T00:00:00Z", "generation": generation });
        issuer.write("tokens/new", &content.to_string());
        fs::rename(issuer.path("tokens/new"), &file).unwrap();
    };
    write(7, "seven");
    let here = follower.run_ready();
    assert_eq!(follower.read("tokens/api").unwrap(), "seven");
    write(6, "six");
    let warning = wait_for("it is told", || here.slot("api").warning);
    assert!(warning.contains("holds generation 6, and 7 was held here already: it is not taken"), "{warning}");
    issuer.write("tokens/api.json", "{\"access_token\": \"eight\", \"expires_at\": \"2100-01-01T00:00:00Z\"}");
    let error = here.wait_failing("api");
    assert!(error.reason.contains("api.json: it has no generation: only a tokend writes one"), "{error:?}");
    assert_eq!(here.get("/v1/tokens/api").json()["generation"], 7);
    write(8, "eight");
    wait_until("the next one is taken", || follower.read("tokens/api").as_deref() == Some("eight"));
    assert!(!follower.log().contains("seven") && !follower.log().contains("eight"));
}

#[test]
fn the_commands_look_where_others_ask() {
    let issuer = issuer(crate::setup::HOUR);
    let follower = follower(&issuer);
    let place = issuer.path("tokens/api.json").display().to_string();
    let check = follower.tokend(&["check"]);
    assert!(
        check.out().contains(&format!("follow: {place} does not exist; another tokend is to write it")),
        "{check:?}"
    );
    assert!(check.out().contains("(0 exclusive, 1 following another tokend)"), "{check:?}");
    follower.tokend(&["fetch", "api"]).must_fail(75, &["there is no such file"]);
    let plan = follower.tokend(&["plan"]);
    assert!(plan.out().contains(&format!("follows    {place}; asks no provider")), "{plan:?}");
    assert!(!plan.out().contains("ENDPOINT") && !plan.out().contains("only one that asks"), "{plan:?}");
    let there = issuer.run_ready();
    let fetched = follower.tokend(&["fetch", "api"]);
    assert!(fetched.out().starts_with(&format!("followed      {place}\n")), "{fetched:?}");
    let here = follower.run_ready();
    assert_eq!(follower.tokend(&["refresh", "api"]).code, 0, "a look");
    assert_eq!(here.get("/v1/tokens/api").json()["generation"], 1);
    let body = "{\"generation\":1}";
    let headers = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(here.ask("POST", "/v1/tokens/api/invalidate", &headers).status, 202);
    wait_until("it was looked at", || here.slot("api").follows.unwrap().looked_at.is_some());
    assert_eq!(here.get("/v1/tokens/api").status, 200, "the one that was refused is served until there is another");
    here.signal(Signal::TERM);
    drop(there);
    assert_eq!(issuer.issued(Vendor::OAuth2), 1);
}

#[test]
fn the_hooks_of_a_token_that_follows_are_run_and_a_late_issuer_is_a_failure() {
    let issuer = issuer(Duration::from_secs(8));
    let follower = Setup::new();
    let told = follower.path("told");
    let hook = |event: &str| format!("{{ command = [\"/bin/sh\", \"-c\", \"echo {event} >> {}\"] }}", told.display());
    let token = format!(
        "[tokens.api]\nfollow = {{ file = \"{}\" }}\non_change = {}\non_failure = {}\n",
        issuer.path("tokens/api.json").display(),
        hook("change"),
        hook("failure")
    );
    follower.configure(&[token]);
    issuer.run_ready().stop();
    let here = follower.run();
    let told = || follower.read("told").unwrap_or_default();
    wait_until("the change is told", || told().contains("change\n"));
    wait_until("the failure is told, at half of the lead or at expiry", || told().contains("failure\n"));
    drop(here);
}
