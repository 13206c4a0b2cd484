//! The command line as a reader: waits, other programs that get tokens, and the status as it changes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokend::demo::standin::{Fault, Vendor};

use crate::setup::{Setup, wait_for};

#[test]
fn get_waits_for_a_token_and_asks_for_one_that_lives() {
    let setup = Setup::with_tokens(&["a"]);
    setup.standin.fault(Vendor::OAuth2, Fault::Unavailable(None));
    let daemon = setup.run();
    daemon.wait_failing("a");
    setup.tokend(&["get", "a", "--wait", "50ms"]).must_fail(75, &["no access token yet"]);
    let waiting = setup.command(&["get", "a", "--wait", "5m"]).stdout(Stdio::piped()).spawn().unwrap();
    setup.standin.clear(Vendor::OAuth2);
    let said = waiting.wait_with_output().unwrap();
    assert!(said.status.success());
    // Who waits is told before the file is written.
    daemon.wait_ready();
    assert_eq!(String::from_utf8(said.stdout).unwrap(), setup.read("tokens/a").unwrap());
    assert_eq!(setup.tokend(&["get", "a", "--min-valid", "30m"]).code, 0);
    setup.tokend(&["get", "a", "--min-valid", "2h", "--wait", "5m"]).must_fail(75, &["min_valid", "2h"]);
    setup.tokend(&["get", "a", "--min-valid", "soon"]).must_fail(64, &["soon"]);
}

#[test]
fn get_speaks_to_kubectl() {
    let setup = Setup::with_tokens(&["a"]);
    let _daemon = setup.run_ready();
    let json = setup.tokend(&["get", "a", "--format", "exec-credential"]).json();
    assert_eq!(json["apiVersion"], "client.authentication.k8s.io/v1");
    assert_eq!(json["kind"], "ExecCredential");
    assert_eq!(json["status"]["token"].as_str(), setup.read("tokens/a").as_deref());
    assert!(json["status"]["expirationTimestamp"].as_str().unwrap().ends_with('Z'), "{json}");
}

#[test]
fn exec_becomes_the_command_with_tokens_in_its_environment() {
    let setup = Setup::with_tokens(&["a", "b"]);
    let _daemon = setup.run_ready();
    let socket = setup.path("tokend.sock").display().to_string();
    let script = "printf '%s %s' \"$ONE\" \"$TWO\"; exit 7";
    let said = setup.tokend(&["exec", "--socket", &socket, "a=ONE", "b=TWO", "--", "/bin/sh", "-c", script]);
    let held = |name: &str| setup.read(&format!("tokens/{name}")).unwrap();
    assert_eq!((said.code, said.out), (7, format!("{} {}", held("a"), held("b"))));
    assert_eq!(said.err, "");
    let exec = |words: &[&str]| setup.tokend(&[&["exec", "--socket", &socket], words].concat());
    exec(&["c=ONE", "--", "/bin/true"]).must_fail(64, &["\"c\""]);
    exec(&["a=1", "--", "/bin/true"]).must_fail(64, &["NAME=ENVVAR"]);
    exec(&["a=ONE"]).must_fail(64, &["COMMAND"]);
    exec(&["a=ONE", "--", "/no/such/program"]).must_fail(127, &["/no/such/program"]);
    exec(&["a=ONE", "--", "/"]).must_fail(126, &["cannot run /"]);
    let refused = exec(&["a=ONE", "--min-valid", "2h", "--", "/bin/echo", "started"]);
    assert_eq!((refused.code, refused.out.as_str()), (75, ""), "nothing runs without its token");
}

#[test]
fn the_status_is_watched_until_a_signal_comes() {
    let setup = Setup::with_tokens(&["a"]);
    setup.tokend(&["status", "--watch"]).must_fail(69, &["tokend.sock"]);
    let daemon = setup.run_ready();
    let mut command = setup.command(&["status", "--watch"]);
    let mut watching = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("ready; 1 of 1 tokens valid")));
    daemon.post("/v1/tokens/a/refresh");
    assert!(lines.any(|line| line.starts_with('a') && line.contains(" 2 ")), "the second generation is shown");
    kill_process(Pid::from_child(&watching), Signal::TERM).unwrap();
    assert!(wait_for("it ends", || watching.try_wait().unwrap()).success());
}

#[test]
fn the_status_is_watched_as_json_a_line_each() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = setup.run_ready();
    let mut command = setup.command(&["status", "--watch", "--json"]);
    let mut watching = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut generations = lines.map(|line| {
        let status: serde_json::Value = serde_json::from_str(&line).unwrap();
        status["slots"][0]["generation"].clone()
    });
    assert_eq!(generations.next().unwrap(), 1);
    daemon.post("/v1/tokens/a/refresh");
    assert!(generations.any(|generation| generation == 2));
    kill_process(Pid::from_child(&watching), Signal::TERM).unwrap();
    assert!(wait_for("it ends", || watching.try_wait().unwrap()).success());
}

#[test]
fn on_a_terminal_q_ends_the_watching_and_the_screen_comes_back() {
    let setup = Setup::with_tokens(&["a"]);
    let _daemon = setup.run_ready();
    let (program, socket) = (env!("CARGO_BIN_EXE_tokend"), setup.path("tokend.sock"));
    let watch = format!("{program} status --watch --socket {}", socket.display());
    let terminal = Command::new("script")
        .args(["--quiet", "--flush", "--return", "--command", &watch, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut terminal) = terminal else { return eprintln!("skipped: there is no script(1) here") };
    let (mut keys, mut screen) = (terminal.stdin.take().unwrap(), terminal.stdout.take().unwrap());
    let mut seen = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&seen).contains("q quits") {
        assert_eq!(screen.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    keys.write_all(b"q").unwrap();
    screen.read_to_end(&mut seen).unwrap();
    assert!(terminal.wait().unwrap().success());
    let seen = String::from_utf8(seen).unwrap();
    assert!(seen.contains("\x1b[32mready"), "in colours: {seen:?}");
    assert!(seen.trim_end().ends_with("\x1b[?7h\x1b[?25h\x1b[?1049l"), "{seen:?}");
}
