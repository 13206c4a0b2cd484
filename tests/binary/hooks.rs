//! Hooks: run for a new access token when all its files hold it, once, over restarts; told when
//! none comes; run again when they fail.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tokend::demo::standin::{Fault, Vendor};
use tokend::status::{HookState, HookStatus};

use crate::setup::{Daemon, HOUR, Setup, wait_for, wait_until};

/// Writes a program that adds a line to `told`: what it is told, and whether `tokens/a` holds the
/// same as `tokens/second`. It fails while `broken` is there.
fn program(setup: &Setup) -> String {
    let dir = setup.dir().display();
    let text = format!(
        "#!/bin/sh\ntest -e {dir}/broken && exit 3\ncmp -s {dir}/tokens/a {dir}/tokens/second && same=same\n\
         echo \"$TOKEND_EVENT $TOKEND_TOKEN $TOKEND_SLOT $TOKEND_GENERATION $same $TOKEND_CLASS\" >> {dir}/told\n"
    );
    fs::write(setup.path("hook"), text).unwrap();
    fs::set_permissions(setup.path("hook"), fs::Permissions::from_mode(0o755)).unwrap();
    setup.path("hook").display().to_string()
}

/// A token with two files and both hooks.
fn with_hooks(lifetime: Duration) -> Setup {
    let setup = Setup::with_lifetime(lifetime);
    let program = program(&setup);
    let files = "sinks = [{ file = \"@DIR@/tokens/a\" }, { file = \"@DIR@/tokens/second\" }]";
    let hooks = format!("on_change = {{ command = [\"{program}\"] }}\non_failure = {{ command = [\"{program}\"] }}");
    let token = format!("[tokens.a]\nprovider = \"a\"\n{files}\n{hooks}\n");
    setup.configure(&[setup.oauth2("a", ""), token]);
    setup
}

fn told(setup: &Setup) -> Vec<String> {
    setup.read("told").unwrap_or_default().lines().map(|line| line.trim_end().to_owned()).collect()
}

fn hook(daemon: &Daemon<'_>, place: usize) -> HookStatus {
    daemon.slot("a").tokens[0].hooks[place].clone()
}

/// Waits until `on_change` was run for `generation` and that is known.
fn wait_run(daemon: &Daemon<'_>, generation: u64) {
    wait_until("the hook ends well", || {
        let hook = hook(daemon, 0);
        hook.state == HookState::Idle && hook.generation.is_some_and(|ran| ran.0 == generation)
    });
}

#[test]
fn a_hook_is_run_once_for_every_access_token_over_restarts_reloads_and_kills() {
    let setup = with_hooks(HOUR);
    let daemon = setup.run_ready();
    wait_run(&daemon, 1);
    assert_eq!(told(&setup), ["changed a a/a 1 same"]);
    daemon.kill();
    let daemon = setup.run_ready();
    wait_run(&daemon, 1);
    setup.tokend(&["reload"]).out();
    assert!(daemon.stop().success());
    let daemon = setup.run_ready();
    setup.tokend(&["refresh", "a"]).out();
    wait_run(&daemon, 2);
    assert_eq!(told(&setup), ["changed a a/a 1 same", "changed a a/a 2 same"]);
    let log = setup.log();
    assert_eq!(log.matches("hook run").count(), 2, "{log}");
}

#[test]
fn a_hook_waits_for_the_file_that_cannot_be_written() {
    let setup = with_hooks(HOUR);
    fs::create_dir(setup.path("tokens/second")).unwrap();
    let daemon = setup.run();
    wait_until("the first file is there", || setup.read("tokens/a").is_some());
    assert_eq!(hook(&daemon, 0).state, HookState::Waiting);
    assert_eq!(told(&setup), [""; 0]);
    fs::remove_dir(setup.path("tokens/second")).unwrap();
    wait_run(&daemon, 1);
    assert_eq!(told(&setup), ["changed a a/a 1 same"]);
}

#[test]
fn a_hook_that_fails_is_named_and_run_again() {
    let setup = with_hooks(HOUR);
    setup.write("broken", "");
    let daemon = setup.run_ready();
    let failing = wait_for("the hook fails", || Some(hook(&daemon, 0)).filter(|hook| hook.attempts > 1));
    assert_eq!(failing.state, HookState::Failing);
    let said = failing.error.unwrap();
    assert!(said.ends_with("/hook: it failed (exit status: 3)"), "{said}");
    assert!(failing.failing_since.is_some() && failing.next_attempt.is_some());
    let shown = setup.tokend(&["status"]);
    assert!(shown.out().contains("a: on_change failed: /"), "{shown:?}");
    assert!(setup.log().contains("hook failed"), "{}", setup.log());
    fs::remove_file(setup.path("broken")).unwrap();
    wait_run(&daemon, 1);
    assert_eq!(told(&setup), ["changed a a/a 1 same"]);
}

#[test]
fn who_runs_it_once_is_told_of_a_hook_that_failed() {
    let setup = with_hooks(HOUR);
    setup.write("broken", "");
    let said = setup.tokend(&["run", "--once"]);
    said.must_fail(75, &["a: on_change: /", "exit status: 3"]);
    fs::remove_file(setup.path("broken")).unwrap();
    setup.tokend(&["run", "--once"]).out();
    setup.tokend(&["run", "--once"]).out();
    assert_eq!(told(&setup), ["changed a a/a 1 same"]);
}

#[test]
fn on_failure_is_told_once_before_expiry_and_once_at_it() {
    let setup = with_hooks(Duration::from_secs(6));
    let daemon = setup.run_ready();
    wait_run(&daemon, 1);
    setup.standin.fault(Vendor::OAuth2, Fault::RefuseCredentials);
    wait_until("both were told", || told(&setup).iter().any(|line| line.starts_with("expired")));
    let generation = daemon.slot("a").generation;
    let failures: Vec<String> = told(&setup).into_iter().filter(|line| !line.starts_with("changed")).collect();
    let expected = ["failing", "expired"].map(|event| format!("{event} a a/a {generation} same refused"));
    assert_eq!(failures, expected);
    daemon.kill();
    let daemon = setup.run();
    daemon.wait_failing("a");
    assert_eq!(told(&setup).iter().filter(|line| !line.starts_with("changed")).count(), 2);
}

#[test]
fn a_unit_that_cannot_be_reloaded_is_a_state_of_the_hook_with_the_remedy() {
    let setup = Setup::new();
    let hook_line = "on_change = { reload_unit = \"tokend-no-such-unit.service\" }";
    setup.configure(&[setup.oauth2("a", ""), setup.token("a", "a", hook_line)]);
    let notes = setup.tokend(&["check"]);
    assert!(notes.out().contains("note: token a: on_change: the daemon's user needs the right to manage"), "{notes:?}");
    let daemon = setup.run_ready();
    let failing = wait_for("the reload fails", || hook(&daemon, 0).error);
    assert!(failing.starts_with("reload of tokend-no-such-unit.service: "), "{failing}");
}

#[test]
fn a_program_that_is_missing_is_a_note() {
    let setup = with_hooks(HOUR);
    fs::remove_file(setup.path("hook")).unwrap();
    let notes = setup.tokend(&["check"]);
    assert!(notes.out().contains("/hook does not exist"), "{notes:?}");
}
