//! Another configuration while the daemon runs: however its files are written and whoever asks, it is
//! taken whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;
use tokend::demo::standin::Vendor;
use tokend::status::{ConfigStatus, StandingState, Watching};

use crate::setup::{Daemon, LOG, PATIENCE, Setup, secret_of, wait_for, wait_until};

/// How a program writes the configuration.
type Habit = fn(&Setup, &str);

/// The configuration with these tokens, as text.
fn text_with(setup: &Setup, names: &[&str]) -> String {
    let parts: Vec<String> = names.iter().map(|name| setup.oauth2(name, "") + &setup.token(name, name, "")).collect();
    setup.configuration(&parts)
}

fn config_of(daemon: &Daemon<'_>) -> ConfigStatus {
    daemon.status().config.unwrap()
}

fn has_tokens(daemon: &Daemon<'_>, names: &[&str]) -> bool {
    let mut held: Vec<String> =
        daemon.status().slots.into_iter().flat_map(|slot| slot.tokens).map(|token| token.name).collect();
    held.sort();
    held == names
}

fn wait_watching(daemon: &Daemon<'_>) {
    wait_until("it watches", || config_of(daemon).watching == Watching::Watching);
}

/// A daemon with the token `a` that watches its files.
fn watching(setup: &Setup) -> Daemon<'_> {
    let daemon = setup.run_ready();
    wait_watching(&daemon);
    daemon
}

/// The token `b` came, and nothing else was asked for.
fn must_be_taken(setup: &Setup, daemon: &Daemon<'_>, what: &str) {
    wait_until(what, || has_tokens(daemon, &["a", "b"]));
    daemon.wait_ready();
    assert!(setup.standin.is_active(&setup.read("tokens/b").unwrap()), "{what}");
    assert_eq!(daemon.slot("a").generation.0, 1, "{what}");
}

#[test]
fn however_an_editor_writes_it_is_taken() {
    let habits: [(&str, Habit); 5] = [
        ("in place", |setup, text| setup.write("tokend.toml", text)),
        ("a new file in its place", |setup, text| {
            setup.write("tokend.toml.new", text);
            fs::rename(setup.path("tokend.toml.new"), setup.path("tokend.toml")).unwrap();
        }),
        ("the old one aside, then a new one", |setup, text| {
            fs::rename(setup.path("tokend.toml"), setup.path("tokend.toml~")).unwrap();
            setup.write("tokend.toml", text);
            fs::remove_file(setup.path("tokend.toml~")).unwrap();
        }),
        ("a copy aside, then in place", |setup, text| {
            fs::copy(setup.path("tokend.toml"), setup.path("#tokend.toml#")).unwrap();
            setup.write("tokend.toml", text);
            fs::remove_file(setup.path("#tokend.toml#")).unwrap();
        }),
        ("removed and made anew", |setup, text| {
            fs::remove_file(setup.path("tokend.toml")).unwrap();
            setup.write("tokend.toml", text);
        }),
    ];
    for (habit, write) in habits {
        let setup = Setup::with_tokens(&["a"]);
        let daemon = watching(&setup);
        let before = config_of(&daemon);
        write(&setup, &text_with(&setup, &["a", "b"]));
        must_be_taken(&setup, &daemon, habit);
        let now = config_of(&daemon);
        assert_ne!(now.fingerprint, before.fingerprint, "{habit}");
        assert_eq!((now.refused, now.restart_needed), (None, vec![]), "{habit}");
    }
}

#[test]
fn what_is_half_written_is_not_taken() {
    let setup = Setup::with_tokens(&["a", "b"]);
    let daemon = watching(&setup);
    let whole = text_with(&setup, &["a", "b", "c"]);
    // Up to the end of the first token: right by itself, and without `b`.
    let (half, rest) = whole.split_at(whole.find("[providers.b]").unwrap());
    let mut file = OpenOptions::new().write(true).truncate(true).open(setup.path("tokend.toml")).unwrap();
    file.write_all(half.as_bytes()).unwrap();
    // The writer has not closed the file yet.
    let began = Instant::now();
    wait_until("longer than it is waited for a stir", || began.elapsed().as_millis() > 600);
    assert!(has_tokens(&daemon, &["a", "b"]));
    file.write_all(rest.as_bytes()).unwrap();
    drop(file);
    wait_until("the whole is taken", || has_tokens(&daemon, &["a", "b", "c"]));
    assert_eq!(setup.log().matches("configuration taken").count(), 1, "{}", setup.log());
}

#[test]
fn two_swaps_of_mounted_files_in_a_row_are_both_seen() {
    let setup = Setup::with_tokens(&["a"]);
    let text = setup.read("tokend.toml").unwrap();
    let swap = |version: &str, text: &str| {
        let old = fs::read_link(setup.path("..data"));
        fs::create_dir(setup.path(version)).unwrap();
        setup.write(&format!("{version}/tokend.toml"), text);
        symlink(version, setup.path("..data_tmp")).unwrap();
        fs::rename(setup.path("..data_tmp"), setup.path("..data")).unwrap();
        if let Ok(old) = old {
            fs::remove_dir_all(setup.dir().join(old)).unwrap();
        }
    };
    swap("..1", &text);
    fs::remove_file(setup.path("tokend.toml")).unwrap();
    symlink("..data/tokend.toml", setup.path("tokend.toml")).unwrap();
    let daemon = watching(&setup);
    let with = |name: &str| text.clone() + &setup.token(name, "a", "");
    swap("..2", &with("b"));
    wait_until("the first", || has_tokens(&daemon, &["a", "b"]));
    swap("..3", &with("c"));
    wait_until("the second", || has_tokens(&daemon, &["a", "c"]));
    swap("..4", &with("d"));
    wait_until("the third", || has_tokens(&daemon, &["a", "d"]));
}

#[test]
fn conf_d_may_come_later_and_a_directory_may_be_made_anew() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = watching(&setup);
    let part = |name: &str| setup.token(name, "a", "");
    for round in 0..2 {
        fs::create_dir(setup.path("conf.d")).unwrap();
        setup.write("conf.d/b.toml", &part("b"));
        wait_until("the first file", || has_tokens(&daemon, &["a", "b"]));
        setup.write("conf.d/c.toml", &part("c"));
        wait_until("another", || has_tokens(&daemon, &["a", "b", "c"]));
        fs::remove_dir_all(setup.path("conf.d")).unwrap();
        wait_until("all are gone", || has_tokens(&daemon, &["a"]));
        assert_eq!(daemon.slot("a").generation.0, 1, "{round}");
    }
}

#[test]
fn a_secret_that_is_put_right_wakes_its_slot_and_no_other() {
    let setup = Setup::with_tokens(&["a", "b"]);
    for name in ["a", "b"] {
        setup.write(&format!("secrets/{name}"), "wrong");
    }
    let daemon = setup.run();
    wait_watching(&daemon);
    let refused = |name: &str, times| {
        wait_for("it was refused often enough to wait for long", || {
            let error = daemon.slot(name).last_error.filter(|error| error.attempts >= times)?;
            (daemon.slot(name).standing == StandingState::Refused).then_some(error)
        })
    };
    let other = refused("b", 2);
    let mine = refused("a", 2);
    // The next attempt is 20 s away: shorter than the patience of this test.
    setup.write("secrets/a", &secret_of("a"));
    wait_until("it recovers", || daemon.slot("a").last_error.is_none());
    assert!(Some(daemon.status().now) < mine.next_attempt, "by the file, not by itself");
    let delivered = wait_for("it is delivered", || setup.read("tokens/a"));
    assert!(setup.standin.is_active(&delivered));
    assert_eq!(daemon.slot("b").last_error.unwrap().attempts, other.attempts);
    assert!(setup.log().contains("a file was changed; what waits for it is tried at once providers=\"a\""));
}

#[test]
fn a_ca_file_that_appears_wakes_what_waits_for_it() {
    let setup = Setup::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("token_url = \"https://{nobody}/token\"\ntls = {{ ca_file = \"@DIR@/ca.pem\" }}\n");
    let provider = setup.oauth2("a", &url);
    let provider: String = provider
        .lines()
        .filter(|line| !line.contains("\"http://"))
        .fold(String::new(), |text, line| text + line + "\n");
    setup.configure(&[provider, setup.token("a", "a", "")]);
    let daemon = setup.run();
    wait_watching(&daemon);
    let missing = wait_for("it waits for seconds", || daemon.slot("a").last_error.filter(|error| error.attempts > 3));
    assert_eq!(missing.class, "not ready");
    let ca = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/provider/certificates/ca.pem");
    fs::copy(ca, setup.path("ca.pem")).unwrap();
    let other = wait_for("it is read", || daemon.slot("a").last_error.filter(|error| error.class != missing.class));
    assert!(other.reason.contains("refused"), "{other:?}");
    assert!(Some(daemon.status().now) < missing.next_attempt, "by the file, not by itself");
}

#[test]
fn what_is_wrong_or_empty_is_refused_and_told_everywhere() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = watching(&setup);
    let good = setup.read("tokend.toml").unwrap();
    let before = config_of(&daemon);
    setup.write("tokend.toml", "");
    let refused = wait_for("the empty one is refused", || config_of(&daemon).refused);
    assert!(refused.problems[0].contains("there is no token to keep fresh"), "{refused:?}");
    setup.write_config("[tokens.b]\nprovider = \"nobody\"\n[log]\nlevel = \"loud\"\n");
    let place = format!("{}:2:12: ", setup.path("tokend.toml").display());
    let refused = wait_for("the wrong one is refused", || config_of(&daemon).refused.filter(|r| r.problems.len() == 2));
    assert!(refused.problems[0].starts_with(&place), "{refused:?}");

    let said = setup.tokend(&["reload"]);
    said.must_fail(78, &[&place, "tokend.toml:4:9: "]);
    assert_eq!((said.err.lines().count(), said.out.as_str()), (2, ""), "{said:?}");
    let answer = daemon.post("/v1/reload");
    assert_eq!(answer.status, 422);
    assert!(answer.detail().contains("the old one stays"), "{answer:?}");
    assert_eq!(answer.json()["problems"].as_array().unwrap().len(), 2);
    let shown = setup.tokend(&["status"]);
    assert!(shown.out().contains("was not taken") && shown.out().contains(&place), "{shown:?}");
    assert_eq!(daemon.get("/readyz").status, 200);
    assert!(has_tokens(&daemon, &["a"]));
    let now = config_of(&daemon);
    assert_eq!((now.fingerprint, now.applied_at), (before.fingerprint, before.applied_at));

    setup.write("tokend.toml", &good);
    wait_until("what holds is in the file again", || config_of(&daemon).refused.is_none());
    assert_eq!(setup.issued(Vendor::OAuth2), 1);
}

#[test]
fn signal_command_and_request_do_the_same() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = watching(&setup);
    let text = |names: &[&str]| text_with(&setup, names);
    setup.write("tokend.toml", &text(&["a", "b"]));
    let said = setup.tokend(&["reload"]);
    assert!(said.out().contains(": 2 tokens, 1 added, 0 removed, 0 changed"), "{said:?}");
    assert!(has_tokens(&daemon, &["a", "b"]), "when it says so it is in force");
    let said = setup.tokend(&["reload"]);
    assert!(said.out().contains(": 2 tokens, no token changed"), "{said:?}");

    setup.write("tokend.toml", &text(&["a", "b", "c"]));
    let answer = daemon.post("/v1/reload");
    assert_eq!((answer.status, answer.json()["changed"]["added"].as_u64()), (200, Some(1)), "{answer:?}");
    assert_eq!(answer.json()["fingerprint"].as_str(), Some(config_of(&daemon).fingerprint.as_str()));
    assert_ne!(daemon.get("/v1/tokens/c").status, 404, "when it says so it is in force");

    setup.write("tokend.toml", &text(&["a"]));
    daemon.signal(Signal::HUP);
    wait_until("the signal is heeded", || has_tokens(&daemon, &["a"]));
    assert!(setup.log().contains("by=\"SIGHUP from pid"), "{}", setup.log());
    drop(daemon);
    setup.tokend(&["reload"]).must_fail(69, &["does not answer"]);
}

#[test]
fn what_leaves_is_withdrawn_a_little_later_unless_it_comes_back() {
    let setup = Setup::with_tokens(&["a", "b"]);
    let daemon = watching(&setup);
    let (both, one) = (text_with(&setup, &["a", "b"]), text_with(&setup, &["a"]));
    let inode = || fs::metadata(setup.path("tokens/b")).map(|data| data.ino()).ok();
    let before = inode().unwrap();
    setup.write("tokend.toml", &one);
    wait_until("it leaves", || has_tokens(&daemon, &["a"]));
    setup.write("tokend.toml", &both);
    wait_until("it comes back", || has_tokens(&daemon, &["a", "b"]));
    setup.write("tokend.toml", &one);
    wait_until("it leaves again", || has_tokens(&daemon, &["a"]));
    assert_eq!(inode(), Some(before), "neither withdrawn nor written anew");
    wait_until("the file goes", || inode().is_none());
    assert_eq!(setup.issued(Vendor::OAuth2), 2);
}

#[test]
fn keys_that_only_a_restart_takes_are_named_until_they_are_taken_back() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = watching(&setup);
    let good = setup.read("tokend.toml").unwrap();
    let other = good.replace("tokend.sock", "other.sock").replace("/state\"", "/elsewhere\"\npersist = \"off\"")
        + "\n[log]\nformat = \"json\"\nlevel = \"debug\"\n";
    setup.write("tokend.toml", &other);
    let said = setup.tokend(&["reload"]);
    let keys = "daemon.state_dir, daemon.socket, daemon.persist, log.format";
    assert!(said.out().contains(&format!("restart needed for {keys}")), "{said:?}");
    assert!(said.out().contains("no token changed"), "persist stays what it is: {said:?}");
    assert_eq!(config_of(&daemon).restart_needed.join(", "), keys);
    let shown = setup.tokend(&["status"]);
    assert!(shown.out().contains(&format!("restart needed for {keys}")), "{shown:?}");
    daemon.post("/v1/tokens/a/refresh");
    assert!(setup.log().contains("DEBUG"), "the level is taken at once");
    setup.write("tokend.toml", &good);
    assert!(!setup.tokend(&["reload"]).out().contains("restart"));
    assert_eq!(config_of(&daemon).restart_needed, [""; 0]);
}

#[test]
fn a_reload_that_changes_nothing_does_nothing() {
    let setup = Setup::with_tokens(&["a", "b"]);
    let daemon = watching(&setup);
    let stands = || (config_of(&daemon), fs::metadata(setup.path("tokens/a")).unwrap().ctime_nsec());
    let before = stands();
    let text = setup.read("tokend.toml").unwrap();
    setup.write("tokend.toml", &text);
    for _ in 0..3 {
        assert_eq!(daemon.post("/v1/reload").status, 200);
    }
    assert_eq!(stands(), before);
    assert_eq!(setup.issued(Vendor::OAuth2), 2);
    assert!(!setup.log().contains("configuration taken"), "{}", setup.log());
}

#[test]
fn the_service_manager_is_told_of_a_reload_when_it_begins_and_ends() {
    let setup = Setup::with_tokens(&["a"]);
    let notices = UnixDatagram::bind(setup.path("notify")).unwrap();
    notices.set_read_timeout(Some(PATIENCE)).unwrap();
    let next = |wanted: &str| {
        let mut notice = [0; 4096];
        loop {
            let length = notices.recv(&mut notice).unwrap();
            let text = String::from_utf8_lossy(&notice[..length]).into_owned();
            if text.contains(wanted) {
                return text;
            }
        }
    };
    let _daemon = setup.run_with(&[("NOTIFY_SOCKET", setup.path("notify").to_str().unwrap())]);
    next("READY=1");
    for text in [text_with(&setup, &["a", "b"]), "wrong".into()] {
        setup.write("tokend.toml", &text);
        setup.tokend(&["reload"]);
        assert!(next("RELOADING=1").contains("MONOTONIC_USEC="));
        next("READY=1");
    }
}

#[test]
fn where_files_cannot_be_watched_they_are_looked_at_and_it_is_said() {
    let setup = Setup::with_tokens(&["a"]);
    // A user namespace has limits of its own.
    let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"";
    let unshare = ["--user", "--map-root-user", "sh", "-c", script, "sh"];
    let works = Command::new("unshare").args(unshare).arg("true").output();
    if !works.is_ok_and(|output| output.status.success()) {
        return eprintln!("skipped: no user namespace can be made here");
    }
    let inner = setup.command(&["run"]);
    let log = OpenOptions::new().create(true).append(true).open(setup.path(LOG)).unwrap();
    let mut command = Command::new("unshare");
    command.args(unshare).arg(inner.get_program()).args(inner.get_args()).env_clear().stderr(log);
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let daemon = setup.run_command(command);
    daemon.wait_ready();
    let config = wait_for("it looks", || Some(config_of(&daemon)).filter(|c| c.watching == Watching::Polling));
    assert!(config.watching_problem.unwrap().contains("fs.inotify.max_user_instances"));
    setup.write("tokend.toml", &text_with(&setup, &["a", "b"]));
    must_be_taken(&setup, &daemon, "the next look");
    assert_eq!(setup.log().matches("files cannot be watched").count(), 1, "said once: {}", setup.log());
    assert!(setup.tokend(&["status"]).out().contains("files are looked at every few seconds"));
}

#[test]
fn admins_may_reload_and_refresh_and_see_the_status_and_strangers_may_not() {
    let setup = Setup::with_tokens(&["a"]);
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can become another user");
    }
    let daemon = watching(&setup);
    fs::set_permissions(setup.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let ask = |who: &[&str], method: &str, path: &str| {
        let (socket, url) = (setup.path("tokend.sock").display().to_string(), format!("http://localhost{path}"));
        let curl = ["curl", "--silent", "--include", "--request", method, "--unix-socket", &socket, &url];
        let output = Command::new("setpriv").args(who).args(curl).output();
        output.ok().map(|output| String::from_utf8(output.stdout).unwrap()).filter(|answer| !answer.is_empty())
    };
    let stranger = ["--reuid=65533", "--regid=65533", "--clear-groups"];
    let user = ["--reuid=65532", "--regid=65533", "--clear-groups"];
    let primary = ["--reuid=65533", "--regid=65531", "--clear-groups"];
    let member = ["--reuid=65533", "--regid=65533", "--groups=65530,65529"];
    if ask(&stranger, "GET", "/readyz").is_none() {
        return eprintln!("skipped: there is no setpriv or curl here");
    }
    let asks = [("POST", "/v1/reload"), ("POST", "/v1/tokens/a/refresh"), ("POST", "/v1/tokens/a/pause")];
    let sees_all = |who: &[&str]| ask(who, "GET", "/v1/status").unwrap().contains("\"slot\":\"a/a\"");
    let status = |who: &[&str], (method, path)| ask(who, method, path).unwrap()[9..12].to_owned();
    for who in [stranger, user, primary, member] {
        for request in asks {
            assert_eq!((&*status(&who, request), sees_all(&who)), ("403", false), "{who:?} {request:?}");
        }
    }
    let said = ask(&stranger, "POST", "/v1/reload").unwrap();
    assert!(said.contains("application/problem+json") && said.contains("daemon.admins"), "{said}");

    let admins = "[daemon]\nadmins = { users = [\"65532\", \"no-such-user\"], groups = [\"65531\", \"65529\"] }\n";
    setup.write("tokend.toml", &setup.read("tokend.toml").unwrap().replace("[daemon]\n", admins));
    let checked = setup.tokend(&["check"]);
    assert!(checked.out().contains("note: daemon.admins: there is no user \"no-such-user\""), "{checked:?}");
    setup.tokend(&["reload"]).out();
    for request in asks {
        assert_eq!((&*status(&stranger, request), sees_all(&stranger)), ("403", false), "{request:?}");
        for who in [user, primary, member] {
            assert_eq!((&*status(&who, request), sees_all(&who)), ("200", true), "{who:?} {request:?}");
        }
    }
    assert_eq!(status(&user, ("GET", "/v1/tokens/a")), "403", "an admin is no reader");
    drop(daemon);
}
