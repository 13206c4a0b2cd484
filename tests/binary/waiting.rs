//! What readers may ask besides what is held now: a longer life, another one, some patience; and what
//! they may say: that their API refused it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokend::demo::standin::{Fault, Target, Vendor};

use crate::setup::{Answer, Daemon, Setup, wait_until};

fn rest_of(mut stream: UnixStream) -> Answer {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    Answer::parse(&answer)
}

fn invalidate(daemon: &Daemon<'_>, body: &str) -> Answer {
    let mut stream = daemon.send("POST", "/v1/tokens/a/invalidate", &format!("Content-Length: {}\r\n", body.len()));
    stream.write_all(body.as_bytes()).unwrap();
    rest_of(stream)
}

/// Waits until somebody waits: the daemon has answered what came after.
fn has_arrived(daemon: &Daemon<'_>) {
    assert_eq!(daemon.get("/healthz").status, 200);
}

#[test]
fn conditions_that_hold_are_answered_at_once_and_others_say_what_is_missing() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = setup.run_ready();
    for (query, has, status) in [
        ("min_valid=5m", "\"7\"", 200),
        ("min_valid=59m", "\"7\"", 200),
        ("min_valid=5m&wait=5m", "\"7\"", 200),
        ("min_valid=5m", "\"1\"", 304),
        ("wait=10ms", "\"1\"", 304),
        ("min_valid=61m&wait=5m", "\"7\"", 503),
        ("min_valid=61m&wait=5m", "\"1\"", 503),
        ("min_valid=100d", "\"7\"", 503),
    ] {
        let answer = daemon.ask("GET", &format!("/v1/tokens/a?{query}"), &format!("If-None-Match: {has}\r\n"));
        assert_eq!(answer.status, status, "{query} {has}: {answer:?}");
        assert_eq!(answer.header("retry-after").is_some(), status == 503, "{answer:?}");
    }
    for (query, words) in [
        ("min_valid=soon", "min_valid"),
        ("wait=5", "wait"),
        ("wait=", "wait"),
        ("wait=1s&wait=2s", "wait: it is given twice"),
        ("minvalid=5m", "\"minvalid\""),
    ] {
        let answer = daemon.get(&format!("/v1/tokens/a?{query}"));
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        assert!(answer.detail().contains(words), "{query}: {answer:?}");
    }
    assert_eq!(setup.issued(Vendor::OAuth2), 1);
}

#[test]
fn who_waits_is_answered_when_another_comes() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = setup.run_ready();
    let waiting = daemon.send("GET", "/v1/tokens/a?wait=5m", "If-None-Match: \"1\"\r\n");
    has_arrived(&daemon);
    assert_eq!(daemon.post("/v1/tokens/a/refresh").status, 200);
    let answer = rest_of(waiting);
    assert_eq!((answer.status, answer.header("etag")), (200, Some("\"2\"")), "{answer:?}");
}

#[test]
fn who_waits_for_the_first_one_gets_it_and_without_patience_is_told_when_to_come_again() {
    let setup = Setup::with_tokens(&["a"]);
    setup.standin.fault(Vendor::OAuth2, Fault::Unavailable(None));
    let daemon = setup.run();
    daemon.wait_failing("a");
    assert_eq!(daemon.get("/v1/tokens/a?wait=100ms").status, 503);
    let waiting = daemon.send("GET", "/v1/tokens/a?wait=5m", "Accept: text/plain\r\n");
    has_arrived(&daemon);
    setup.standin.clear(Vendor::OAuth2);
    let answer = rest_of(waiting);
    assert_eq!(answer.status, 200);
    assert!(setup.standin.is_active(&answer.body));
}

#[test]
fn who_has_said_all_it_had_to_say_gets_its_answer() {
    let setup = Setup::with_tokens(&["a", "b"]);
    setup.standin.fault(Target::client(Vendor::OAuth2, "b"), Fault::Unavailable(None));
    let daemon = setup.run();
    wait_until("the first is there", || setup.read("tokens/a").is_some());
    daemon.wait_failing("b");
    let ask = |path: &str, headers: &str| {
        let asking = daemon.send("GET", path, headers);
        asking.shutdown(Shutdown::Write).unwrap();
        asking
    };
    assert_eq!(rest_of(ask("/v1/tokens/a", "")).status, 200);
    assert_eq!(rest_of(ask("/v1/tokens/a", "If-None-Match: \"1\"\r\n")).status, 304);
    assert_eq!(rest_of(ask("/v1/tokens/b", "")).status, 503);
    let open = || std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    let many: Vec<UnixStream> = (0..20).map(|_| ask("/v1/tokens/b?wait=5m", "")).collect();
    has_arrived(&daemon);
    let with_many = open();
    drop(many);
    wait_until("the places of those who have gone are free again", || open() + 15 < with_many);
    let waiting = ask("/v1/tokens/b?wait=5m", "");
    has_arrived(&daemon);
    setup.standin.clear(Target::client(Vendor::OAuth2, "b"));
    assert_eq!(daemon.post("/v1/tokens/b/refresh").status, 200);
    assert_eq!(rest_of(waiting).status, 200);
}

#[test]
fn who_waits_is_answered_when_the_daemon_stops() {
    let setup = Setup::with_tokens(&["a", "b"]);
    let daemon = setup.run_ready();
    setup.standin.fault(Vendor::OAuth2, Fault::Unavailable(None));
    let same = daemon.send("GET", "/v1/tokens/a?wait=5m", "If-None-Match: \"1\"\r\n");
    let other = daemon.send("GET", "/v1/tokens/b?wait=5m", "If-None-Match: \"1\"\r\n");
    has_arrived(&daemon);
    assert!(daemon.stop().success());
    assert_eq!((rest_of(same).status, rest_of(other).status), (304, 304));
}

#[test]
fn who_waits_for_a_token_that_leaves_is_told_so() {
    let setup = Setup::with_tokens(&["a", "b"]);
    let daemon = setup.run_ready();
    let waiting = daemon.send("GET", "/v1/tokens/b?wait=5m", "If-None-Match: \"1\"\r\n");
    has_arrived(&daemon);
    setup.configure(&[setup.oauth2("a", ""), setup.token("a", "a", "")]);
    setup.tokend(&["reload"]).out();
    assert_eq!(rest_of(waiting).status, 404);
}

#[test]
fn a_thousand_wait_at_once_and_all_are_answered() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum.map(|most| most.min(8192)), ..limit };
    setrlimit(Resource::Nofile, wanted).unwrap();
    if wanted.current.is_some_and(|most| most < 4096) {
        return eprintln!("skipped: too few descriptors may be open here");
    }
    let setup = Setup::with_tokens(&["a"]);
    let daemon = setup.run_ready();
    let ask = || daemon.send("GET", "/v1/tokens/a?wait=5m", "If-None-Match: \"1\"\r\n");
    let waiting: Vec<UnixStream> = (0..1000).map(|_| ask()).collect();
    has_arrived(&daemon);
    assert_eq!(daemon.post("/v1/tokens/a/refresh").status, 200);
    for stream in waiting {
        let answer = rest_of(stream);
        assert_eq!((answer.status, answer.header("etag")), (200, Some("\"2\"")), "{answer:?}");
    }
}

#[test]
fn what_an_api_refused_is_replaced_and_not_too_often() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = setup.run_ready();
    for body in ["", "{}", "{\"generation\": \"1\"}", "{\"generation\": 1, \"more\": 2}", "[1]", "{\"generation\": -1}"]
    {
        let answer = invalidate(&daemon, body);
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(answer.detail().contains("generation"), "{answer:?}");
    }
    assert_eq!(invalidate(&daemon, &" ".repeat(5000)).status, 413);
    let first = setup.read("tokens/a").unwrap();
    let waiting = daemon.send("GET", "/v1/tokens/a?wait=5m", "If-None-Match: \"1\"\r\nAccept: text/plain\r\n");
    let answer = invalidate(&daemon, "{\"generation\": 1}");
    assert_eq!((answer.status, answer.json()["generation"].as_u64()), (202, Some(1)), "{answer:?}");
    let second = rest_of(waiting).body;
    assert!(second != first && setup.standin.is_active(&second));

    let answer = invalidate(&daemon, "{\"generation\": 1}");
    assert_eq!((answer.status, answer.json()["generation"].as_u64()), (409, Some(2)), "{answer:?}");
    let answer = invalidate(&daemon, "{\"generation\": 2}");
    assert_eq!(answer.status, 429, "{answer:?}");
    let patience: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&patience), "{answer:?}");
    assert_eq!(daemon.get("/v1/tokens/a").status, 200, "the one held is served");
    wait_until("it is told", || setup.log().contains("invalidated by a reader"));
    assert_eq!(setup.issued(Vendor::OAuth2), 2);
}
