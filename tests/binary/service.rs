//! The daemon as a service: what it tells the service manager, the socket that it is passed, the
//! drop-in that it asks for, and its life as the first process of a container.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use tokend::demo::standin::{Fault, Vendor};

use crate::setup::{HOUR, PATIENCE, Setup, wait_for, wait_until};

/// What the service manager is told.
struct Notices(UnixDatagram);

impl Notices {
    fn of(setup: &Setup) -> Self {
        let notices = UnixDatagram::bind(setup.path("notify")).unwrap();
        notices.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(notices)
    }

    /// The next one that says `wanted`.
    fn next(&self, wanted: &str) -> String {
        let mut notice = [0; 4096];
        loop {
            let length = self.0.recv(&mut notice).unwrap();
            let text = String::from_utf8_lossy(&notice[..length]).into_owned();
            if text.contains(wanted) {
                return text;
            }
        }
    }
}

#[test]
fn the_watchdog_is_fed_for_as_long_as_the_loop_turns() {
    let setup = Setup::with_tokens(&["a"]);
    let notices = Notices::of(&setup);
    let socket = setup.path("notify").display().to_string();
    let _daemon = setup.run_with(&[("NOTIFY_SOCKET", socket.as_str()), ("WATCHDOG_USEC", "300000")]);
    notices.next("READY=1");
    for _ in 0..5 {
        notices.next("WATCHDOG=1");
    }
}

#[test]
fn ready_is_told_with_the_status_and_in_the_end_with_the_reason() {
    let setup = Setup::with_tokens(&["a"]);
    setup.standin.fault(Vendor::OAuth2, Fault::RefuseCredentials);
    setup.write(
        "tokend.toml",
        &format!("{}\n", setup.read("tokend.toml").unwrap().replace("[daemon]", "[daemon]\nready_timeout = \"1s\"")),
    );
    let notices = Notices::of(&setup);
    let socket = setup.path("notify").display().to_string();
    let _daemon = setup.run_with(&[("NOTIFY_SOCKET", socket.as_str())]);
    notices.next("EXTEND_TIMEOUT_USEC=");
    let ready = notices.next("READY=1");
    assert!(ready.contains("STATUS=1 token, 1 of 1 slots lack a required one"), "{ready}");
    assert!(ready.contains("a (a/a): it has no access token yet: ") && ready.contains("invalid_client"), "{ready}");
}

/// Passes a listening socket at the path after it to the command that follows, as systemd does.
const PASS: &str = r#"
import os, socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
listener.bind(sys.argv[1])
listener.listen()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="tokend.socket")
os.execv(sys.argv[2], sys.argv[2:])
"#;

#[test]
fn a_socket_that_is_passed_is_served_and_not_removed() {
    let setup = Setup::with_tokens(&["a"]);
    let inner = setup.command(&["run"]);
    if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return eprintln!("skipped: python3 is not here to pass a socket");
    }
    let mut command = Command::new("python3");
    command.args(["-c", PASS]).arg(setup.path("tokend.sock")).arg(inner.get_program()).args(inner.get_args());
    command.env_clear();
    let daemon = setup.run_command(command);
    daemon.wait_ready();
    assert_eq!(setup.tokend(&["get", "a"]).out(), setup.read("tokens/a").unwrap());
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(setup.path("tokend.sock").exists(), "it is the service manager's");
    assert!(!setup.log().contains("differ"), "{}", setup.log());
}

#[test]
fn a_socket_that_is_said_to_be_passed_and_is_not_there_is_refused() {
    let setup = Setup::with_tokens(&["a"]);
    let inner = setup.command(&["run"]);
    let mut command = Command::new("sh");
    command
        .args(["-c", "LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"", "sh"])
        .arg(inner.get_program())
        .args(inner.get_args());
    let said = command.env_clear().output().unwrap();
    let err = String::from_utf8(said.stderr).unwrap();
    assert!(said.status.code() == Some(73) && err.contains("sockets of the service manager"), "{err}");
}

#[test]
fn sockets_that_were_passed_to_another_process_are_none_of_its_business() {
    let setup = Setup::with_tokens(&["a"]);
    let mut command = setup.command(&["run", "--once"]);
    let foreign = [("LISTEN_PID", "1"), ("LISTEN_FDS", "1"), ("LISTEN_FDNAMES", "x")];
    assert_eq!(command.envs(foreign).status().unwrap().code(), Some(0));
}

#[test]
fn a_log_that_nobody_reads_stops_nothing_else() {
    let setup = Setup::with_tokens(&["a"]);
    let place = setup.path("pipe");
    mknodat(CWD, &place, FileType::Fifo, Mode::from(0o600), 0).unwrap();
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let mut pipe = OpenOptions::new().read(true).write(true).custom_flags(flags).open(&place).unwrap();
    while pipe.write(&[b'x'; 4096]).is_ok() {}
    let inner = setup.command(&["run"]);
    let mut command = Command::new("sh");
    command.args(["-c", "exec \"$@\" 2<>pipe", "sh"]).arg(inner.get_program()).args(inner.get_args());
    command.env_clear().current_dir(setup.dir());
    let daemon = setup.run_command(command);
    daemon.wait_ready();
    let before = setup.read("tokens/a");
    assert_eq!(daemon.post("/v1/tokens/a/refresh").status, 200);
    wait_until("the file has the next", || setup.read("tokens/a") != before);
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn the_drop_in_that_a_configuration_needs_is_printed_alone() {
    let setup = Setup::with_tokens(&["a"]);
    let said = setup.tokend(&["check", "--unit"]);
    let out = said.out();
    assert!(out.contains("\n[Service]\n") && out.contains(&format!("Paths=-{}", setup.dir().display())), "{out}");
    assert_eq!(said.err, "");
    setup.write("tokend.toml", "wrong");
    let said = setup.tokend(&["check", "--unit"]);
    assert_eq!((said.code, said.out.as_str()), (78, ""), "nothing wrong gets into a file: {said:?}");
}

#[test]
fn the_first_process_of_a_container_buries_orphans_and_passes_signals_on() {
    let setup = Setup::with_lifetime(HOUR);
    // What it starts outlives it, in a session of its own.
    let orphan = "command = [\"sh\", \"-c\", \"setsid sh -c 'echo > @DIR@/orphan' & cat @DIR@/secrets/a\"]";
    let provider = setup.oauth2("a", "").replace("file = \"@DIR@/secrets/a\"", orphan);
    setup.configure(&[provider, setup.token("a", "a", "")]);
    let inner = setup.command(&["run"]);
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
    if !Command::new("unshare").args(["--pid", "--fork", "--mount-proc", "true"]).status().is_ok_and(|s| s.success()) {
        return eprintln!("skipped: no process namespace can be made here");
    }
    command.arg(inner.get_program()).args(inner.get_args()).env_clear().env("PATH", "/usr/bin:/bin");
    let daemon = setup.run_command(command);
    daemon.wait_ready();
    wait_until("the orphan is done", || setup.path("orphan").exists());
    let first = wait_for("the first process", || children(daemon.pid()).first().copied());
    let inner = wait_for("the daemon", || children(first).first().copied());
    wait_until("nothing but the daemon is left", || children(first) == [inner]);
    setup.write("tokend.toml", &format!("{}\n# touched\n", setup.read("tokend.toml").unwrap()));
    kill(first, "HUP");
    wait_until("it read its configuration", || setup.log().contains("SIGHUP from pid 1"));
    kill(first, "TERM");
    assert_eq!(daemon.wait_end().code(), Some(0));
    assert!(setup.log().contains("stopped"), "{}", setup.log());
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace().map(|child| child.parse().unwrap()).collect()
}

fn kill(pid: u32, signal: &str) {
    assert!(Command::new("kill").args(["-s", signal, &pid.to_string()]).status().unwrap().success());
}
