//! Files that cannot be written, that others touch, and that go with their token.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::Duration;

use rustix::process::Signal;
use tokend::demo::standin::{Fault, Vendor};
use tokend::status::{SinkState, SinkStatus};

use crate::setup::{Daemon, Setup, wait_for, wait_until};

fn failing_sink(daemon: &Daemon<'_>, name: &str) -> SinkStatus {
    wait_for("the delivery fails", || {
        let slot = daemon.slot(name);
        let token = slot.tokens.iter().find(|token| token.name == name).unwrap();
        token.sinks.iter().find(|sink| sink.state == SinkState::Failing).cloned()
    })
}

#[test]
fn a_directory_that_is_missing_is_told_and_the_token_comes_when_it_is_made() {
    let setup = Setup::with_tokens(&["a"]);
    fs::remove_dir(setup.path("tokens")).unwrap();
    let daemon = setup.run();
    let error = failing_sink(&daemon, "a").error.unwrap();
    assert!(error.contains("tokens does not exist: create it"), "{error}");
    let shown = setup.tokend(&["status"]);
    assert!(shown.code == 75 && shown.out.contains(&error), "{shown:?}");
    assert_eq!(daemon.get("/v1/tokens/a").status, 200, "the socket serves it meanwhile");
    fs::create_dir(setup.path("tokens")).unwrap();
    daemon.wait_ready();
    assert!(setup.standin.is_active(&setup.read("tokens/a").unwrap()));
    assert_eq!(setup.issued(Vendor::OAuth2), 1);
}

#[test]
fn what_somebody_did_to_files_is_put_right_when_a_reload_is_asked_for() {
    let setup = Setup::with_tokens(&["gone", "other", "moved"]);
    let daemon = setup.run_ready();
    let names = ["gone", "other", "moved"].map(|name| format!("tokens/{name}"));
    let before = names.each_ref().map(|name| setup.read(name));
    fs::remove_file(setup.path(&names[0])).unwrap();
    setup.write(&names[1], "not a token");
    fs::remove_file(setup.path(&names[2])).unwrap();
    fs::create_dir(setup.path(&names[2])).unwrap();
    setup.tokend(&["reload"]).out();
    wait_until("two are as before", || names[..2].iter().map(|name| setup.read(name)).eq(before[..2].iter().cloned()));
    assert!(failing_sink(&daemon, "moved").error.unwrap().contains("is a directory"));
    fs::remove_dir(setup.path(&names[2])).unwrap();
    daemon.signal(Signal::HUP);
    wait_until("so is the third", || setup.read(&names[2]) == before[2]);
    assert_eq!(setup.issued(Vendor::OAuth2), 3, "nothing was asked for");
}

#[test]
fn directories_below_the_state_directory_are_made() {
    let setup = Setup::new();
    let token = setup.token("a", "a", "").replace("/tokens/a", "/state/made/for/a");
    setup.configure(&[setup.oauth2("a", ""), token]);
    let _daemon = setup.run_ready();
    assert!(setup.read("state/made/for/a").is_some());
}

#[test]
fn what_is_no_regular_file_at_the_target_is_left_alone_and_told() {
    let setup = Setup::with_tokens(&["link", "directory"]);
    setup.write("elsewhere", "precious");
    symlink(setup.path("elsewhere"), setup.path("tokens/link")).unwrap();
    fs::create_dir(setup.path("tokens/directory")).unwrap();
    let daemon = setup.run();
    for (name, words) in [("link", "is a symbolic link"), ("directory", "is a directory")] {
        let error = failing_sink(&daemon, name).error.unwrap();
        assert!(error.contains(words) && error.contains("remove it, or name another path"), "{error}");
    }
    assert_eq!(setup.read("elsewhere").as_deref(), Some("precious"));
    fs::remove_file(setup.path("tokens/link")).unwrap();
    fs::remove_dir(setup.path("tokens/directory")).unwrap();
    daemon.wait_ready();
}

#[test]
fn a_group_that_does_not_exist_is_told_with_the_remedy() {
    let setup = Setup::new();
    let token = setup.token("a", "a", "").replace(" }]", ", group = \"no-such-group\" }]");
    setup.configure(&[setup.oauth2("a", ""), token]);
    let checked = setup.tokend(&["check"]);
    assert!(checked.out().contains("no-such-group"), "{checked:?}");
    let daemon = setup.run();
    let error = failing_sink(&daemon, "a").error.unwrap();
    assert!(error.contains("no-such-group") && error.contains("create it, or correct `group`"), "{error}");
    assert_eq!(setup.read("tokens/a"), None, "not even without its group");
}

#[test]
fn a_token_that_leaves_the_configuration_takes_along_what_was_not_changed() {
    let setup = Setup::with_tokens(&["stays", "goes", "changed"]);
    setup.run_ready().stop();
    setup.write("tokens/changed", "mine now");
    setup.configure(&[setup.oauth2("stays", ""), setup.token("stays", "stays", "")]);
    let daemon = setup.run_ready();
    assert!(setup.read("tokens/goes").is_some(), "not at once");
    wait_until("the file goes", || setup.read("tokens/goes").is_none());
    wait_until("the other is told", || setup.log().contains("was changed by somebody else and is left"));
    assert_eq!(setup.read("tokens/changed").as_deref(), Some("mine now"));
    assert!(setup.read("tokens/stays").is_some());
    assert_eq!(daemon.status().counts.tokens, 1);
}

#[test]
fn an_edit_taken_back_in_time_withdraws_nothing() {
    let setup = Setup::with_tokens(&["stays", "flickers"]);
    let whole = setup.read("tokend.toml").unwrap();
    let daemon = setup.run_ready();
    let inode = || fs::metadata(setup.path("tokens/flickers")).unwrap().ino();
    let before = inode();
    setup.configure(&[setup.oauth2("stays", ""), setup.token("stays", "stays", "")]);
    setup.tokend(&["reload"]).out();
    assert_eq!(daemon.get("/v1/tokens/flickers").status, 404);
    setup.write("tokend.toml", &whole);
    setup.tokend(&["reload"]).out();
    assert_eq!(daemon.get("/v1/tokens/flickers").status, 200);
    assert_eq!(inode(), before);
    assert_eq!(setup.issued(Vendor::OAuth2), 2);
}

#[test]
fn a_reload_that_is_wrong_changes_nothing() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = setup.run_ready();
    setup.write_config("[tokens.b]\nprovider = \"nobody\"\n");
    daemon.signal(Signal::HUP);
    wait_until("it is told", || setup.log().contains("the configuration was not taken; the old one stays"));
    assert!(setup.log().contains("tokend.toml:2:12: "), "{}", setup.log());
    assert_eq!(daemon.get("/v1/tokens/a").status, 200);
    assert!(setup.read("tokens/a").is_some());
}

#[test]
fn a_reload_tells_all_problems_in_the_log_at_once() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = setup.run_ready();
    setup.write_config("[tokens.b]\nprovider = \"nobody\"\n[tokens.c]\nprovder = \"nobody\"\n");
    daemon.signal(Signal::HUP);
    wait_until("both are told", || {
        let log = setup.log();
        log.contains("tokend.toml:2:12: ") && log.contains("did you mean \\\"provider\\\"?")
    });
    assert_eq!(daemon.get("/readyz").status, 200);
}

#[test]
fn what_was_changed_on_disk_is_put_right_at_the_next_start_without_asking() {
    let setup = Setup::with_tokens(&["a", "b"]);
    setup.run_ready().stop();
    let held = setup.read("tokens/b");
    let inode = fs::metadata(setup.path("tokens/b")).unwrap().ino();
    setup.write("tokens/a", "garbage");
    let _daemon = setup.run_ready();
    assert!(setup.standin.is_active(&setup.read("tokens/a").unwrap()));
    assert_eq!(setup.read("tokens/b"), held);
    assert_eq!(fs::metadata(setup.path("tokens/b")).unwrap().ino(), inode, "what is right is not rewritten");
    assert_eq!(setup.issued(Vendor::OAuth2), 2);
}

#[test]
fn what_a_killed_daemon_left_half_written_is_swept() {
    let setup = Setup::with_tokens(&["a"]);
    setup.write("tokens/.a.tokend-x1Y2z3", "half");
    setup.write("tokens/.other.tokend-x1Y2z3", "not ours");
    let daemon = setup.run_ready();
    assert_eq!(setup.read("tokens/.a.tokend-x1Y2z3"), None);
    assert!(setup.read("tokens/.other.tokend-x1Y2z3").is_some());
    drop(daemon);
    // One whose token has left the configuration meanwhile.
    setup.write("tokens/.a.tokend-x1Y2z3", "half");
    setup.configure(&[setup.oauth2("b", ""), setup.token("b", "b", "")]);
    let _daemon = setup.run_ready();
    assert_eq!(setup.read("tokens/.a.tokend-x1Y2z3"), None);
}

#[test]
fn an_expired_token_is_removed_where_the_configuration_says_so() {
    let setup = Setup::with_lifetime(Duration::from_secs(2));
    setup.configure(&[
        setup.oauth2("gone", ""),
        setup.token("gone", "gone", "on_expired = \"remove\""),
        setup.oauth2("kept", ""),
        setup.token("kept", "kept", ""),
    ]);
    let daemon = setup.run_ready();
    setup.standin.fault(Vendor::OAuth2, Fault::Unavailable(None));
    wait_until("the file goes", || setup.read("tokens/gone").is_none());
    wait_until("both have expired", || daemon.status().counts.valid == 0);
    assert!(setup.read("tokens/kept").is_some());
    setup.standin.clear(Vendor::OAuth2);
    wait_until("it comes back", || setup.read("tokens/gone").is_some());
}
