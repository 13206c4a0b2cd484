//! Who may read over the socket: other users, their groups, and units of the system manager. Only
//! root can become somebody else; the tests say when they are skipped.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use tokend::demo::standin::{Fault, Vendor};

use crate::setup::{Answer, Setup};

/// Nobody, as most hosts number it.
const STRANGER: &str = "65534";

/// A setup whose socket others can reach; `None` where nobody can become another user.
fn setup(tokens: &[(&str, &str)]) -> Option<Setup> {
    let ready = rustix::process::geteuid().is_root() && Command::new("setpriv").arg("--version").output().is_ok();
    if !ready || Command::new("curl").arg("--version").output().is_err() {
        eprintln!("skipped: it takes root, setpriv and curl");
        return None;
    }
    let setup = Setup::new();
    configure(&setup, "", tokens);
    fs::set_permissions(setup.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    Some(setup)
}

fn configure(setup: &Setup, daemon: &str, tokens: &[(&str, &str)]) {
    let mut parts = vec![setup.oauth2("p", "")];
    parts.extend(tokens.iter().map(|(name, keys)| setup.token(name, "p", keys)));
    let text = setup.configuration(&parts).replacen("[daemon]\n", &format!("[daemon]\n{daemon}"), 1);
    setup.write("tokend.toml", &text);
}

/// `curl` as the user 65534 in the group 65533, run by `run` in front of it.
fn command(setup: &Setup, run: &[&str], path: &str) -> Command {
    let socket = setup.path("tokend.sock").display().to_string();
    let url = format!("http://localhost{path}");
    let become_stranger = ["setpriv", "--reuid", STRANGER, "--regid", STRANGER, "--groups", "65533"];
    let ask = ["curl", "--silent", "--include", "--max-time", "30", "--unix-socket", &socket, &url];
    let words = [run, &become_stranger, &ask].concat();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

fn ask(setup: &Setup, path: &str) -> Answer {
    said(&command(setup, &[], path).output().unwrap())
}

fn said(output: &Output) -> Answer {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Answer::parse(&String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n").replacen("\n\n", "\r\n\r\n", 1))
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|token| token["name"].as_str().unwrap()).collect()
}

const BY_USER: (&str, &str) = ("by-user", "readers = { users = [\"65534\"], groups = [\"no-such-group\"] }");
const BY_GROUP: (&str, &str) = ("by-group", "readers = { users = [\"no-such-user\"], groups = [\"65533\"] }");
const OF_OTHERS: (&str, &str) = ("of-others", "readers = { users = [\"65533\"], units = [\"api.service\"] }");
const OF_NOBODY: (&str, &str) = ("of-nobody", "");

#[test]
fn an_unprivileged_user_reads_what_it_may_and_nothing_else() {
    let Some(setup) = setup(&[BY_USER, BY_GROUP, OF_OTHERS, OF_NOBODY]) else { return };
    let _daemon = setup.run_ready();
    for name in ["by-user", "by-group"] {
        let answer = ask(&setup, &format!("/v1/tokens/{name}"));
        let held = setup.read(&format!("tokens/{name}")).unwrap();
        assert_eq!((answer.status, answer.json()["access_token"].as_str()), (200, Some(held.as_str())), "{answer:?}");
    }
    for name in ["of-others", "of-nobody"] {
        let answer = ask(&setup, &format!("/v1/tokens/{name}"));
        assert_eq!(answer.status, 403);
        assert!(answer.body.contains(name) && answer.body.contains("readers"), "{answer:?}");
        assert!(!answer.body.contains(&setup.read(&format!("tokens/{name}")).unwrap()));
    }
    assert_eq!(ask(&setup, "/v1/tokens/unknown").status, 404);
    assert_eq!(names(&ask(&setup, "/v1/tokens").json()["tokens"]), ["by-group", "by-user"]);
    assert_eq!(ask(&setup, "/readyz").status, 200, "anybody may ask whether it is ready");

    let status = ask(&setup, "/v1/status").json();
    let slots = status["slots"].as_array().unwrap();
    let seen: Vec<&str> = slots.iter().flat_map(|slot| names(&slot["tokens"])).collect();
    assert_eq!(seen, ["by-group", "by-user"], "{status}");
    assert_eq!(status["counts"]["tokens"].as_u64(), Some(4), "{status}");
    assert!(status["config"].is_null(), "{status}");
    let log = setup.log();
    assert_eq!(log.matches("read denied").count(), 1, "once a minute: {log}");
    assert!(log.contains("uid 65534, pid "), "{log}");
}

#[test]
fn who_may_not_see_a_token_is_told_that_something_is_not_ready_but_not_what() {
    let Some(setup) = setup(&[OF_NOBODY]) else { return };
    setup.standin.fault(Vendor::OAuth2, Fault::Hang);
    let _daemon = setup.run();
    let answer = ask(&setup, "/readyz");
    let reason = answer.json()["reasons"][0].as_str().unwrap_or_default().to_owned();
    assert!(answer.status == 503 && reason.contains("daemon.admins"), "{answer:?}");
    assert!(!answer.body.contains("of-nobody"), "{answer:?}");
}

#[test]
fn who_leaves_readers_may_read_no_longer_at_once() {
    let Some(setup) = setup(&[BY_USER]) else { return };
    let _daemon = setup.run_ready();
    assert_eq!(ask(&setup, "/v1/tokens/by-user").status, 200);
    configure(&setup, "", &[("by-user", "readers = { users = [\"root\"] }")]);
    setup.tokend(&["reload"]).out();
    assert_eq!(ask(&setup, "/v1/tokens/by-user").status, 403);
    configure(&setup, "audit_reads = true\n", &[BY_USER]);
    setup.tokend(&["reload"]).out();
    assert!(!setup.log().contains(" read token="), "reads are not told unless it is wanted");
    assert_eq!(ask(&setup, "/v1/tokens/by-user").status, 200);
    let log = setup.log();
    let line = log.lines().find(|line| line.contains(" read token=") && line.contains("uid 65534")).unwrap();
    assert!(line.contains("by-user") && line.contains("generation=1"), "{line}");
    assert_eq!(setup.issued(Vendor::OAuth2), 1, "readers are no reason to ask");
}

/// A control group below the root of version 2, removed when it is dropped.
struct ControlGroup {
    root: PathBuf,
    path: String,
}

impl ControlGroup {
    fn make(path: &str) -> Option<Self> {
        let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.procs").exists());
        // Not below a process's own group: there it would not be the first component.
        let made = root.filter(|root| fs::create_dir_all(root.join(path)).is_ok());
        if made.is_none() {
            eprintln!("skipped: no control groups can be made here");
        }
        made.map(|root| Self { root: root.to_owned(), path: path.to_owned() })
    }

    /// What runs a command in it.
    fn enter(&self) -> [String; 4] {
        let procs = self.root.join(&self.path).join("cgroup.procs");
        let script = format!("echo $$ > {} && exec \"$@\"", procs.display());
        ["sh".into(), "-c".into(), script, "sh".into()]
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let mut path = Path::new(&self.path);
        while !path.as_os_str().is_empty() && fs::remove_dir(self.root.join(path)).is_ok() {
            path = path.parent().unwrap();
        }
    }
}

fn ask_from(setup: &Setup, group: &ControlGroup, path: &str) -> Answer {
    let enter = group.enter();
    let enter: Vec<&str> = enter.iter().map(String::as_str).collect();
    said(&command(setup, &enter, path).output().unwrap())
}

const UNIT: &str = "tokend-test-api.service";

#[test]
fn a_unit_of_the_system_manager_reads_and_one_of_a_user_does_not() {
    let keys = format!("readers = {{ units = [{UNIT:?}] }}");
    let Some(setup) = setup(&[("a", &keys), OF_OTHERS]) else { return };
    let Some(group) = ControlGroup::make(&format!("tokend-test.slice/{UNIT}/worker")) else { return };
    let user = format!("user.slice/user-65534.slice/user@65534.service/tokend.slice/{UNIT}");
    let Some(of_user) = ControlGroup::make(&user) else { return };
    let _daemon = setup.run_ready();
    if !tokend::peer::can_tell_units() {
        assert_eq!(ask_from(&setup, &group, "/v1/tokens/a").status, 403);
        return eprintln!("skipped: this kernel cannot prove who asks");
    }
    assert_eq!(ask_from(&setup, &group, "/v1/tokens/a").status, 200);
    assert_eq!(names(&ask_from(&setup, &group, "/v1/tokens").json()["tokens"]), ["a"]);
    assert_eq!(ask_from(&setup, &group, "/v1/tokens/of-others").status, 403);
    assert_eq!(ask_from(&setup, &of_user, "/v1/tokens/a").status, 403, "its own manager is not the system's");
    assert_eq!(ask(&setup, "/v1/tokens/a").status, 403);
}

/// Connects, leaves the connection to a child, and ends; the child asks over it.
const BEQUEATH: &str = "
import os, socket, sys, time
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
parent = os.getpid()
if os.fork():
    os._exit(0)
while os.getppid() == parent:
    time.sleep(0.001)
peer.sendall(b'GET /v1/tokens/a HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n')
while data := peer.recv(65536):
    sys.stdout.buffer.write(data)
";

#[test]
fn a_process_that_ended_proves_nothing_of_who_has_its_connection() {
    let keys = format!("readers = {{ units = [{:?}] }}", "tokend-test-heir.service");
    let Some(setup) = setup(&[("a", &keys)]) else { return };
    let Some(group) = ControlGroup::make("tokend-test.slice/tokend-test-heir.service") else { return };
    let _daemon = setup.run_ready();
    let enter = group.enter();
    let mut command = Command::new(&enter[0]);
    command.args(&enter[1..]).args(["setpriv", "--reuid", STRANGER, "--clear-groups", "/usr/bin/env", "python3", "-c"]);
    let output = command.arg(BEQUEATH).arg(setup.path("tokend.sock")).output().unwrap();
    if !output.status.success() {
        return eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr));
    }
    let answer = Answer::parse(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(answer.status, 403, "{answer:?}");
}

#[test]
fn where_users_cannot_be_told_apart_readers_let_nobody_in_and_check_says_why() {
    let setup = Setup::new();
    configure(&setup, "", &[BY_USER]);
    let check = setup.command(&["check"]);
    let mut unshare = Command::new("unshare");
    let output = unshare.args(["--user", "--map-root-user"]).arg(check.get_program()).args(check.get_args()).output();
    let Ok(output) = output else { return eprintln!("skipped: there is no unshare here") };
    let said = String::from_utf8_lossy(&output.stdout);
    if said.is_empty() {
        return eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(said.contains("note: readers: ") && said.contains("user namespace that does not map all users"), "{said}");
    assert!(output.status.success(), "it is no error of the configuration");
}

#[test]
fn check_names_readers_whom_nobody_knows() {
    let setup = Setup::new();
    configure(&setup, "", &[("a", "readers = { users = [\"no-such-user\"], groups = [\"no-such-group\", \"root\"] }")]);
    let said = setup.tokend(&["check"]);
    for word in ["tokens.a.readers: there is no user \"no-such-user\"", "no group \"no-such-group\"", "nobody in"] {
        assert!(said.out().contains(word), "{word} is missing in {said:?}");
    }
    assert!(!said.out().contains("root"), "{said:?}");
}
