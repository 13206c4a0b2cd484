//! System calls that fail while the daemon runs: nothing is lost, the words say what and where, and
//! it goes on without a restart when the fault is over.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread;

use tokend::demo::standin::{Client, Vendor};
use tokend::status::SinkState;

use crate::setup::{Daemon, Setup, wait_for, wait_until};
use crate::strace::{Threads, Tracer, can_trace};

/// One exclusive slot with one file. Its secret is in the configuration: reading a file of its own
/// would put calls of the threads that bring files before those that are meant.
fn setup() -> Setup {
    let setup = Setup::new();
    setup.register(Client::new(Vendor::OpenPayments, "op", "inline"));
    let provider = setup.open_payments("op", "budget = { issues = 1000, per = \"1h\" }");
    setup.register(Client::new(Vendor::OpenPayments, "op", "inline"));
    setup.configure(&[
        provider.replace("{ file = \"@DIR@/secrets/op\" }", "\"inline\""),
        setup.token("a", "op", "psu_context = \"private\"\nscopes = [\"accountinformation\"]"),
    ]);
    setup
}

fn refresh(daemon: &Daemon<'_>) {
    let answer = daemon.post("/v1/tokens/a/refresh");
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn inject(call: &str, errno: &str, when: &str) -> Vec<String> {
    let inject = format!("inject={call}:error={errno}:when={when}");
    ["-e".into(), format!("trace={call}"), "-e".into(), inject].into()
}

fn only_at(mut arguments: Vec<String>, paths: &[&Path]) -> Vec<String> {
    for path in paths {
        arguments.extend(["-P".to_owned(), path.display().to_string()]);
    }
    arguments
}

fn holds_whole(setup: &Setup) -> String {
    let held = setup.read("tokens/a").unwrap();
    assert!(setup.standin.is_active(&held), "torn");
    held
}

fn no_litter(setup: &Setup) {
    let names: Vec<_> = fs::read_dir(setup.path("tokens")).unwrap().map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["a"]);
}

// ---- the state

const STATE_FAULTS: [(&str, &str, &str); 5] = [
    ("pwrite64", "ENOSPC", "no space left on its file system; make room there"),
    ("pwrite64", "EIO", "the disk reports an error"),
    ("pwrite64", "EACCES", "the disk reports an error"),
    ("fsync", "EIO", "the disk reports an error"),
    ("fsync", "ENOSPC", "the disk reports an error"),
];

#[test]
fn while_the_state_cannot_be_written_tokens_go_on_and_everything_is_saved_when_it_can() {
    if can_trace() {
        thread::scope(|scope| {
            for (call, errno, words) in STATE_FAULTS {
                scope.spawn(move || unwritable(call, errno, words));
            }
        });
    }
}

fn unwritable(call: &str, errno: &str, words: &str) {
    let setup = setup();
    let manager = UnixDatagram::bind(setup.path("notify")).unwrap();
    manager.set_nonblocking(true).unwrap();
    let daemon = setup.run_with(&[("NOTIFY_SOCKET", setup.path("notify").to_str().unwrap())]);
    daemon.wait_ready();
    let (database, log) = (setup.path("state/state.db"), setup.path("state/state.db-wal"));
    let first = holds_whole(&setup);
    let tracer =
        Tracer::attach(&setup, &daemon, Threads::All, &only_at(inject(call, errno, "1+"), &[&database, &log])).unwrap();

    refresh(&daemon);
    assert!(tracer.has_struck(), "{call} {errno}");
    wait_until("the new token is published all the same", || setup.read("tokens/a").is_some_and(|now| now != first));
    holds_whole(&setup);
    let status = daemon.status();
    assert!(!status.state_writable && status.ready, "{status:?}");
    let readiness = daemon.get("/readyz");
    assert_eq!((readiness.status, readiness.json()["state_writable"].as_bool()), (200, Some(false)), "{readiness:?}");
    let tells = |said: &str| said.contains(words) && said.contains(database.to_str().unwrap());
    assert!(tells(readiness.json()["reasons"][0].as_str().unwrap()), "{call} {errno}: {readiness:?}");
    assert!(tells(&status.state_error.unwrap().reason), "{call} {errno}");
    let log = setup.log();
    let line = |words: &str| log.lines().position(|line| line.contains(words) && tells(line));
    let (first, then) = (line("the state was not saved; trying again"), line("access tokens are kept in memory"));
    assert!(first.is_some() && first < then, "{call} {errno}: {log}");
    let shown = setup.tokend(&["status"]);
    assert!(shown.out.contains("the state cannot be written since") && tells(&shown.out), "{shown:?}");
    wait_for("the service manager is told", || {
        let shown = shown_to(&manager);
        (shown.contains("THE STATE CANNOT BE WRITTEN: ") && tells(&shown)).then_some(())
    });

    tracer.detach();
    wait_until("the state is written again", || daemon.status().state_writable);
    wait_until("and that is told", || setup.log().contains("the state can be written again; nothing was lost"));
    assert_eq!(setup.issued(Vendor::OpenPayments), 2);
    daemon.kill();
    let daemon = setup.run_ready();
    let slot = daemon.slot("a");
    assert_eq!((slot.generation.0, slot.budget.unwrap().issued), (2, 2), "{call} {errno}: nothing was lost");
    assert_eq!(setup.issued(Vendor::OpenPayments), 2, "{call} {errno}: and nothing asked for again");
}

/// What the service manager was told since it was asked last.
fn shown_to(manager: &UnixDatagram) -> String {
    let (mut all, mut room) = (String::new(), [0; 4096]);
    while let Ok(length) = manager.recv(&mut room) {
        all += &String::from_utf8_lossy(&room[..length]);
    }
    all
}

/// Its sync does not return for longer than any test takes: the loop turns all the same.
#[test]
fn a_state_disk_that_hangs_starves_no_watchdog() {
    if !can_trace() {
        return;
    }
    let setup = setup();
    let manager = UnixDatagram::bind(setup.path("notify")).unwrap();
    manager.set_nonblocking(true).unwrap();
    let socket = setup.path("notify").display().to_string();
    let daemon = setup.run_with(&[("NOTIFY_SOCKET", socket.as_str()), ("WATCHDOG_USEC", "900000")]);
    daemon.wait_ready();
    let first = holds_whole(&setup);
    let log = setup.path("state/state.db-wal");
    let hang = ["-e", "trace=fsync", "-e", "inject=fsync:delay_enter=60s"].map(String::from).to_vec();
    let tracer = Tracer::attach(&setup, &daemon, Threads::All, &only_at(hang, &[&log])).unwrap();

    refresh(&daemon);
    wait_until("the new token is published all the same", || setup.read("tokens/a").is_some_and(|now| now != first));
    assert!(!daemon.status().state_writable);
    shown_to(&manager);
    for _ in 0..3 {
        wait_until("the watchdog is fed", || shown_to(&manager).contains("WATCHDOG=1"));
    }
    tracer.detach();
}

#[test]
fn a_state_that_is_written_at_the_second_try_is_no_news_to_anyone_but_the_log() {
    if !can_trace() {
        return;
    }
    let setup = setup();
    let daemon = setup.run_ready();
    let log = setup.path("state/state.db-wal");
    for (call, errno) in [("pwrite64", "EIO"), ("fsync", "EIO")] {
        let tracer =
            Tracer::attach(&setup, &daemon, Threads::All, &only_at(inject(call, errno, "1"), &[&log])).unwrap();
        refresh(&daemon);
        assert!(tracer.has_struck() && daemon.status().state_writable, "{call} {errno}");
    }
    daemon.kill();
    assert_eq!(setup.run_ready().slot("a").generation.0, 3);
    assert_eq!(setup.issued(Vendor::OpenPayments), 3);
}

#[test]
fn an_interrupted_call_is_invisible() {
    if !can_trace() {
        return;
    }
    let setup = setup();
    let daemon = setup.run_ready();
    let state = [setup.path("state/state.db"), setup.path("state/state.db-wal")];
    let calls = [("pwrite64", "1"), ("pwrite64", "2"), ("fsync", "1"), ("fsync", "2")];
    for (call, when) in calls {
        let arguments = only_at(inject(call, "EINTR", when), &[&state[0], &state[1]]);
        let tracer = Tracer::attach(&setup, &daemon, Threads::All, &arguments).unwrap();
        refresh(&daemon);
        assert!(tracer.has_struck(), "{call} {when}");
    }
    // On the way to the directory, the old file, the new one.
    let names = setup.path("tokens").components().count();
    for number in 1..=names + 2 {
        strike_courier(&setup, &daemon, &inject("openat", "EINTR", &number.to_string()));
    }
    for (call, when) in [("write", "1"), ("fchmod", "1"), ("fsync", "1"), ("renameat", "1"), ("fsync", "2")] {
        strike_courier(&setup, &daemon, &inject(call, "EINTR", when));
    }
    let log = setup.log();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    assert_eq!(setup.issued(Vendor::OpenPayments), daemon.slot("a").generation.0);
}

// ---- the files

/// Has a token refreshed while the threads that bring files are traced, until that has struck, and
/// then lets go.
fn strike_courier(setup: &Setup, daemon: &Daemon<'_>, arguments: &[String]) {
    wait_for("the fault strikes", || {
        let tracer = trace_couriers(setup, daemon, arguments);
        let before = setup.read("tokens/a");
        refresh(daemon);
        wait_until("it is delivered", || setup.read("tokens/a") != before && is_current(daemon));
        tracer.has_struck().then_some(())
    });
}

/// They end when they have nothing to do for a while: then they are given something first.
fn trace_couriers(setup: &Setup, daemon: &Daemon<'_>, arguments: &[String]) -> Tracer {
    wait_for("somebody brings files", || {
        let traced = Tracer::attach(setup, daemon, Threads::Couriers, arguments);
        if traced.is_none() {
            refresh(daemon);
        }
        traced
    })
}

fn is_current(daemon: &Daemon<'_>) -> bool {
    daemon.slot("a").tokens[0].sinks[0].state == SinkState::Current
}

const FILE_FAULTS: [(&str, &str, &str); 8] = [
    ("fsync", "EIO", "Input/output error"),
    ("fsync", "ENOSPC", "no space left on its file system; make room there"),
    ("renameat", "EIO", "Input/output error"),
    ("renameat", "EACCES", "permission denied; let tokend's user read and write that directory"),
    ("renameat", "ENOSPC", "no space left on its file system; make room there"),
    ("openat", "EIO", "Input/output error"),
    ("openat", "EACCES", "permission denied; let tokend's user read and write that directory"),
    ("fchmod", "EIO", "Input/output error"),
];

#[test]
fn a_file_that_cannot_be_written_stays_whole_is_told_and_follows_when_it_can() {
    if !can_trace() {
        return;
    }
    let setup = setup();
    let daemon = setup.run_ready();
    for (call, errno, words) in FILE_FAULTS {
        let issued = setup.issued(Vendor::OpenPayments);
        let tracer = wait_for("the fault strikes", || {
            let tracer = trace_couriers(&setup, &daemon, &inject(call, errno, "1+"));
            wait_until("all is well before", || is_current(&daemon) || tracer.has_struck());
            refresh(&daemon);
            wait_until("it is tried", || tracer.has_struck() || is_current(&daemon));
            tracer.has_struck().then_some(tracer)
        });
        let sink = wait_for("status tells", || {
            let sink = daemon.slot("a").tokens[0].sinks[0].clone();
            (sink.state == SinkState::Failing).then_some(sink)
        });
        let error = sink.error.unwrap();
        let place =
            if call == "openat" { "cannot open /".to_owned() } else { setup.path("tokens").display().to_string() };
        assert!(error.contains(words) && error.contains(&place), "{call} {errno}: {error}");
        assert!(sink.next_attempt.is_some());
        holds_whole(&setup);
        let served = daemon.ask("GET", "/v1/tokens/a", "Accept: text/plain\r\n");
        assert!(served.status == 200 && setup.standin.is_active(&served.body), "the socket goes on");
        let log = setup.log();
        assert!(log.contains(&error) && log.contains("next_attempt_in"), "{call} {errno}: {log}");
        assert_eq!(daemon.get("/readyz").status, 200, "the older generation is valid");

        tracer.detach();
        wait_until("the file follows", || is_current(&daemon) && holds_whole(&setup) == served.body);
        no_litter(&setup);
        let generation = daemon.slot("a").generation.0;
        assert_eq!(setup.issued(Vendor::OpenPayments), generation, "{call} {errno}");
        assert!(generation > issued);
    }
}

#[test]
fn a_write_that_fails_in_the_middle_leaves_the_old_file_and_no_litter() {
    if !can_trace() {
        return;
    }
    let setup = setup();
    let daemon = setup.run_ready();
    for (errno, words) in [("ENOSPC", "no space left on its file system"), ("EIO", "Input/output error")] {
        strike_courier(&setup, &daemon, &inject("write", errno, "1"));
        let told = format!("cannot write {}: {words}", setup.path("tokens/a").display());
        assert!(setup.log().contains(&told), "{}", setup.log());
        holds_whole(&setup);
        no_litter(&setup);
    }
}
