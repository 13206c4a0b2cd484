//! Client secrets: lists, files that change, files that are missing or open to all.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use tokend::demo::standin::Vendor;
use tokend::status::StandingState;

use crate::setup::{Setup, secret_of, wait_until};

#[test]
fn when_the_first_secret_of_a_list_is_refused_the_next_is_tried_at_once() {
    let setup = Setup::new();
    let provider = setup.oauth2("a", "");
    let list = "[{ file = \"@DIR@/secrets/old\" }, { file = \"@DIR@/secrets/a\" }]";
    setup.configure(&[provider.replace("{ file = \"@DIR@/secrets/a\" }", list), setup.token("a", "a", "")]);
    setup.write("secrets/old", "the secret of last year");
    let daemon = setup.run_ready();
    let tally = setup.standin.journal().tally(Vendor::OAuth2);
    assert_eq!((tally.refused, tally.issued), (1, 1));
    assert_eq!(daemon.post("/v1/tokens/a/refresh").status, 200);
    assert_eq!(setup.standin.journal().tally(Vendor::OAuth2).refused, 1, "the one that worked comes first");
    drop(daemon);
    let daemon = setup.run_ready();
    assert_eq!(daemon.post("/v1/tokens/a/refresh").status, 200);
    assert_eq!(setup.standin.journal().tally(Vendor::OAuth2).refused, 1, "also after a restart");
}

#[test]
fn a_secret_that_cannot_be_read_is_passed_over_for_the_next_of_its_list() {
    let setup = Setup::new();
    let provider = setup.oauth2("a", "");
    let list = "[{ file = \"@DIR@/secrets/new\" }, { file = \"@DIR@/secrets/old\" }, { file = \"@DIR@/secrets/a\" }]";
    setup.configure(&[provider.replace("{ file = \"@DIR@/secrets/a\" }", list), setup.token("a", "a", "")]);
    setup.write("secrets/old", "the secret of last year");
    let _daemon = setup.run_ready();
    let tally = setup.standin.journal().tally(Vendor::OAuth2);
    assert_eq!((tally.refused, tally.issued), (1, 1), "none is shown twice");
    let said = setup.log();
    assert!(said.contains("secrets/new: there is no such file") && said.contains("another one of its list"), "{said}");
}

#[test]
fn a_secret_that_was_wrong_and_is_put_right_is_taken() {
    let setup = Setup::with_tokens(&["a"]);
    setup.write("secrets/a", "wrong");
    let daemon = setup.run();
    let error = daemon.wait_failing("a");
    assert_eq!((error.class.as_str(), daemon.slot("a").standing), ("refused", StandingState::Refused));
    assert!(error.reason.contains("are client_id and client_secret right?"), "{}", error.reason);
    setup.write("secrets/a", &secret_of("a"));
    daemon.signal(Signal::HUP);
    daemon.wait_ready();
    assert!(setup.standin.is_active(&setup.read("tokens/a").unwrap()));
}

#[test]
fn a_missing_secret_file_is_a_state_and_overcome_when_it_appears() {
    let setup = Setup::with_tokens(&["a", "b"]);
    fs::remove_file(setup.path("secrets/a")).unwrap();
    assert_eq!(setup.tokend(&["check"]).code, 0);
    let daemon = setup.run();
    let error = daemon.wait_failing("a");
    let path = setup.path("secrets/a").display().to_string();
    assert!(error.reason.starts_with(&format!("client_secret: {path}: there is no such file; write")), "{error:?}");
    wait_until("the other is delivered", || setup.read("tokens/b").is_some());
    setup.write("secrets/a", &secret_of("a"));
    daemon.wait_ready();
}

#[test]
fn a_secret_file_that_all_can_read_is_refused_with_the_remedy() {
    let setup = Setup::with_tokens(&["a"]);
    fs::set_permissions(setup.path("secrets/a"), fs::Permissions::from_mode(0o644)).unwrap();
    let daemon = setup.run();
    let error = daemon.wait_failing("a");
    assert!(error.reason.contains("everyone on this host can read it; chmod 0600"), "{error:?}");
    assert!(setup.standin.journal().entries().is_empty(), "nothing was sent");
    fs::set_permissions(setup.path("secrets/a"), fs::Permissions::from_mode(0o600)).unwrap();
    daemon.wait_ready();
}

#[test]
fn a_secret_in_a_configuration_that_all_can_read_is_refused() {
    let setup = Setup::new();
    let provider = setup.oauth2("a", "").replace("{ file = \"@DIR@/secrets/a\" }", "\"in-the-open\"");
    setup.configure(&[provider, setup.token("a", "a", "")]);
    fs::set_permissions(setup.path("tokend.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = setup.tokend(&["run"]);
    said.must_fail(78, &["client_secret: everyone on this host can read this file", "chmod 0600"]);
    assert!(!said.err.contains("in-the-open"), "{said:?}");
}
