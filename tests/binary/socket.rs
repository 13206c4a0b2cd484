//! What the socket answers, to whom, and that other programs can speak to it.

use std::process::Command;

use tokend::demo::standin::{Fault, Vendor};

use crate::setup::{Setup, wait_for, wait_until};

#[test]
fn a_token_is_served_as_json_or_text_under_its_generation() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = setup.run_ready();
    let held = setup.read("tokens/a").unwrap();
    let answer = daemon.get("/v1/tokens/a");
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.header("etag"), Some("\"1\""));
    let json = answer.json();
    assert_eq!((json["access_token"].as_str(), json["generation"].as_u64()), (Some(held.as_str()), Some(1)));
    assert_eq!((json["name"].as_str(), json["slot"].as_str()), (Some("a"), Some("a/a")));
    let left = json["expires_in"].as_u64().unwrap();
    assert!((3500..=3600).contains(&left), "{left}");

    let text = daemon.ask("GET", "/v1/tokens/a", "Accept: text/plain\r\n");
    assert_eq!((text.status, text.body.as_str()), (200, held.as_str()));
    assert!(text.header("content-type").unwrap().starts_with("text/plain"));

    for (condition, status) in
        [("\"1\"", 304), ("W/\"1\"", 304), ("*", 304), ("\"7\"", 200), ("\"7\", \"1\"", 304), ("1", 200)]
    {
        let answer = daemon.ask("GET", "/v1/tokens/a", &format!("If-None-Match: {condition}\r\n"));
        assert_eq!(answer.status, status, "{condition}");
        assert_eq!(answer.header("etag"), Some("\"1\""));
        assert_eq!(answer.body.is_empty(), status == 304);
    }
    let list = daemon.get("/v1/tokens").json();
    assert_eq!((list["tokens"][0]["name"].as_str(), list["tokens"][0]["valid"].as_bool()), (Some("a"), Some(true)));
    assert!(!list.to_string().contains(&held[..20]), "no secrets in metadata");
}

#[test]
fn what_is_not_there_is_told_as_a_problem() {
    let setup = Setup::with_tokens(&["a"]);
    setup.standin.fault(Vendor::OAuth2, Fault::Unavailable(None));
    let daemon = setup.run();
    daemon.wait_failing("a");
    for (method, path, status, words) in [
        ("GET", "/v1/tokens/b", 404, "\"b\""),
        ("POST", "/v1/tokens/b/refresh", 404, "\"b\""),
        ("GET", "/v1/tokens/..%2f..", 404, "no token"),
        ("GET", "/v2/tokens", 404, "nothing at this path"),
        ("DELETE", "/v1/tokens/a", 405, "method"),
        ("GET", "/v1/tokens/a/refresh", 405, "method"),
        ("GET", "/v1/tokens/a", 503, "HTTP 503 Service Unavailable"),
    ] {
        let answer = daemon.ask(method, path, "");
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert!(answer.detail().contains(words), "{method} {path}: {answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
        assert_eq!(answer.header("vary"), Some("Accept"), "{answer:?}");
    }
    let patience: u64 = daemon.get("/v1/tokens/a").header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&patience), "{patience}");
    setup.tokend(&["get", "a"]).must_fail(75, &["a", "no access token yet", "HTTP 503"]);
}

#[test]
fn ready_and_healthy_say_how_it_is() {
    let setup = Setup::with_tokens(&["a"]);
    setup.standin.fault(Vendor::OAuth2, Fault::Unavailable(None));
    let daemon = setup.run();
    daemon.wait_failing("a");
    assert_eq!(daemon.get("/healthz").status, 200);
    let answer = daemon.get("/readyz");
    assert_eq!((answer.status, answer.json()["ready"].as_bool()), (503, Some(false)));
    assert!(answer.json()["reasons"][0].as_str().unwrap().contains("HTTP 503"), "{answer:?}");
    setup.standin.clear(Vendor::OAuth2);
    daemon.wait_ready();
    let answer = daemon.get("/readyz");
    assert_eq!((answer.status, answer.json()["ready"].as_bool()), (200, Some(true)));
    assert_eq!(answer.json()["state_writable"].as_bool(), Some(true));
}

#[test]
fn a_refresh_is_answered_when_it_is_decided() {
    let setup = Setup::new();
    let keys = "psu_context = \"private\"\nscopes = [\"accountinformation\"]";
    let budget = "budget = { issues = 3, per = \"1h\" }";
    setup.configure(&[setup.open_payments("op", budget), setup.token("a", "op", keys)]);
    let daemon = setup.run_ready();
    let first = setup.read("tokens/a").unwrap();
    let answer = daemon.post("/v1/tokens/a/refresh");
    assert_eq!((answer.status, answer.json()["generation"].as_u64()), (200, Some(2)), "{answer:?}");
    assert!(!answer.body.contains("access_token\""), "metadata alone: {answer:?}");
    let second = wait_for("the file is replaced", || setup.read("tokens/a").filter(|now| *now != first));
    assert!(setup.standin.is_active(&second));

    let answer = daemon.post("/v1/tokens/a/refresh");
    assert_eq!(answer.status, 429, "the last place is kept for the renewal: {answer:?}");
    let patience: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((3500..=3600).contains(&patience), "{patience}");
    assert!(answer.detail().contains("budget") && answer.detail().contains("renewal"), "{answer:?}");
    setup.tokend(&["refresh", "a"]).must_fail(75, &["budget"]);
    assert_eq!(setup.issued(Vendor::OpenPayments), 2);
}

#[test]
fn a_refused_refresh_says_the_class_and_the_reason() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = setup.run_ready();
    setup.standin.accept_only(Vendor::OAuth2, "a", "another");
    let answer = daemon.post("/v1/tokens/a/refresh");
    assert_eq!((answer.status, answer.json()["class"].as_str()), (502, Some("refused")), "{answer:?}");
    assert!(answer.detail().contains("invalid_client"), "{answer:?}");
    assert_eq!(answer.json()["reason"], answer.json()["detail"]);
    setup.tokend(&["refresh", "a"]).must_fail(75, &["invalid_client"]);
    assert_eq!(setup.tokend(&["get", "a"]).out(), setup.read("tokens/a").unwrap());
}

#[test]
fn an_expired_token_is_never_served() {
    let setup = Setup::with_tokens(&["a"]);
    setup.standin.set_lifetime(Vendor::OAuth2, std::time::Duration::from_secs(2));
    let daemon = setup.run_ready();
    setup.standin.fault(Vendor::OAuth2, Fault::Unavailable(None));
    wait_until("it is no longer served", || daemon.get("/v1/tokens/a").status == 503);
    assert!(daemon.get("/v1/tokens/a").detail().contains("expired"));
    setup.tokend(&["get", "a"]).must_fail(75, &["expired"]);
    assert!(setup.read("tokens/a").is_some(), "in files it stays");
}

#[test]
fn curl_reads_a_token() {
    let setup = Setup::with_tokens(&["a"]);
    let _daemon = setup.run_ready();
    let socket = setup.path("tokend.sock");
    let curl = Command::new("curl")
        .args(["--silent", "--fail", "--header", "Accept: text/plain", "--unix-socket"])
        .arg(socket)
        .arg("http://localhost/v1/tokens/a")
        .output();
    let Ok(output) = curl else { return eprintln!("skipped: there is no curl here") };
    assert_eq!(String::from_utf8(output.stdout).unwrap(), setup.read("tokens/a").unwrap());
}
