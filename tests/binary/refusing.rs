//! What the program will not start with, and with which words and exit codes it says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use tokend::demo::standin::Vendor;

use crate::setup::{Said, Setup};

const WRONG: &str = r#"
[daemon]
state_dir = "@DIR@/state"
socket = "@DIR@/tokend.sock"
persit = "off"

[providers.op]
preset = "open-payments"
client_secret = { env = "NONE" }
timeout = "10 parsecs"

[tokens.a]
provider = "op"
psu_context = "corporat"
scopes = ["bankgiroinformation"]
sinks = [{ file = "relative", mode = 640 }]

[tokens.b]
provider = "nobody"
sinks = [{ file = "@DIR@/tokens/b", formt = "json" }]
"#;

/// To `check` the problems are the result, which goes to standard output; to others they are not.
fn problems_to_stderr(command: &[&str], said: Said) -> Said {
    if command == ["check"] { Said { out: said.err, err: said.out, ..said } } else { said }
}

#[test]
fn all_problems_of_a_configuration_are_told_at_once_with_their_places_and_nothing_is_started() {
    let setup = Setup::new();
    setup.write_config(WRONG);
    for command in [&["run"][..], &["run", "--once"], &["check"], &["plan"], &["fetch", "a"]] {
        let said = problems_to_stderr(command, setup.tokend(command));
        said.must_fail(78, &["did you mean \"persist\"?", "client_id", "nobody", "did you mean \"corporate\"?"]);
        let config = setup.path("tokend.toml").display().to_string();
        assert!(said.err.lines().count() >= 8, "{said:?}");
        for line in said.err.lines() {
            let rest = line.strip_prefix(&format!("{config}:")).unwrap_or_else(|| panic!("no place in {line:?}"));
            let mut parts = rest.splitn(3, ':');
            let mut number = || parts.next().unwrap().parse::<usize>().unwrap();
            assert!(number() > 0 && number() > 0, "{line}");
            assert!(parts.next().unwrap().len() > 10, "{line}");
        }
        assert_eq!(said.out, "");
        assert!(!setup.path("state").exists(), "{command:?} made the state directory");
        assert!(!setup.path("tokend.sock").exists());
    }
}

#[test]
fn two_tables_for_one_exclusive_account_are_refused_with_both_names() {
    let setup = Setup::new();
    let (first, second) = (setup.open_payments("first", ""), setup.open_payments("second", ""));
    let second = second.replace("client_id = \"second\"", "client_id = \"first\"");
    let keys = "psu_context = \"corporate\"\nscopes = [\"accountinformation\"]";
    setup.configure(&[first, second, setup.token("a", "first", keys), setup.token("b", "second", keys)]);
    let words = ["[providers.second]", "[providers.first]", "one account", "exclusive"];
    setup.tokend(&["run"]).must_fail(78, &words);
}

#[test]
fn a_configuration_that_is_not_there_is_named_with_the_remedy() {
    let setup = Setup::new();
    let said = problems_to_stderr(&["check"], setup.tokend(&["check"]));
    said.must_fail(78, &["tokend.toml", "there is no such file", "--config PATH"]);
    setup.write_config("[daemon]\nstate_dir = \"@DIR@/state\"\n");
    setup.tokend(&["run"]).must_fail(78, &["token"]);
}

#[test]
fn check_tells_notes_and_a_summary_and_ends_well() {
    let setup = Setup::with_tokens(&["a", "b"]);
    fs::remove_file(setup.path("secrets/a")).unwrap();
    fs::set_permissions(setup.path("secrets/b"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::remove_dir(setup.path("tokens")).unwrap();
    let said = setup.tokend(&["check"]);
    let out = said.out();
    assert!(out.contains("note: provider a: client_secret: the file"), "{out}");
    assert!(out.contains("note: provider b: client_secret: everyone on this host can read"), "{out}");
    assert!(out.contains("tokens does not exist: create it"), "{out}");
    assert!(out.ends_with("ok: 2 providers, 2 tokens in 2 slots (0 exclusive), 2 sinks\n"), "{out}");
    assert_eq!(setup.standin.journal().entries().len(), 0, "no network");
}

#[test]
fn check_notes_what_is_missing_for_a_login_and_for_the_state() {
    let setup = Setup::new();
    let vault = "[vaults.main]\naddress = \"https://vault.example:8200\"\nca_file = \"/nope/ca\"\n\
                 auth = { method = \"approle\", role_id = \"r\", secret_id = { file = \"/nope/secret-id\" } }\n";
    let token = setup.token("follower", "", "follow = { vault = \"secret/a\" }").replacen("provider = \"\"\n", "", 1);
    let text = setup.configuration(&[vault.to_owned(), token]);
    setup.write("tokend.toml", &text.replacen("[daemon]\n", "[daemon]\nstate_key = { file = \"/nope/key\" }\n", 1));
    let said = setup.tokend(&["check"]);
    let out = said.out();
    assert!(out.contains("note: daemon.state_key: the file /nope/key does not exist"), "{out}");
    assert!(out.contains("note: vault main: auth: the file /nope/secret-id does not exist"), "{out}");
    assert!(out.contains("note: vault main: tls: /nope/ca does not exist"), "{out}");
}

#[test]
fn a_token_that_takes_what_this_daemon_writes_is_a_warning() {
    let setup = Setup::with_tokens(&["a"]);
    let path = setup.path("tokens/a");
    let follower = format!("\n[tokens.follower]\nfollow = {{ file = \"{}\" }}\n", path.display());
    let text = fs::read_to_string(setup.path("tokend.toml")).unwrap();
    setup.write("tokend.toml", &(text + &follower));
    let said = setup.tokend(&["check"]);
    let out = said.out();
    assert!(
        out.contains("warning: token follower: follow: a writes this itself on this host; read a instead"),
        "{out}"
    );
}

#[test]
fn wrong_usage_ends_with_64() {
    let setup = Setup::new();
    for (arguments, word) in
        [(&["run", "--twice"][..], "--twice"), (&[], "Usage"), (&["start"], "start"), (&["get"], "NAME")]
    {
        setup.tokend(arguments).must_fail(64, &[word]);
    }
    for arguments in [&["--version"][..], &["--help"], &["help", "run"]] {
        assert!(setup.tokend(arguments).out().contains("tokend"), "{arguments:?}");
    }
}

#[test]
fn an_unknown_token_ends_with_64() {
    let setup = Setup::with_tokens(&["known"]);
    let _daemon = setup.run_ready();
    for command in ["get", "refresh", "fetch"] {
        setup.tokend(&[command, "unknown"]).must_fail(64, &["no token", "unknown", "configuration"]);
        setup.tokend(&[command, "no/name at all"]).must_fail(64, &["no token"]);
    }
}

#[test]
fn without_a_daemon_its_clients_end_with_69_and_name_the_socket_and_the_remedy() {
    let setup = Setup::with_tokens(&["a"]);
    for command in [&["status"][..], &["get", "a"], &["refresh", "a"]] {
        let socket = setup.path("tokend.sock").display().to_string();
        setup.tokend(command).must_fail(69, &[&socket, "is tokend running?", "systemctl status tokend"]);
    }
}

#[test]
fn a_state_directory_that_cannot_be_had_ends_with_73_and_its_name() {
    let setup = Setup::with_tokens(&["a"]);
    let config = setup.read("tokend.toml").unwrap();
    setup.write("file", "");
    setup.write_config(&config.replace("/state\"", "/file/state\""));
    let path = setup.path("file").display().to_string();
    setup.tokend(&["run"]).must_fail(73, &[&path, "not a directory"]);
    setup.tokend(&["run", "--once"]).must_fail(73, &[&path]);

    fs::create_dir(setup.path("open")).unwrap();
    fs::set_permissions(setup.path("open"), fs::Permissions::from_mode(0o777)).unwrap();
    setup.write_config(&config.replace("/state\"", "/open\""));
    let path = setup.path("open").display().to_string();
    setup.tokend(&["run"]).must_fail(73, &[&path, "everybody can replace files", "chmod o-w"]);
    assert_eq!(setup.issued(Vendor::OAuth2), 0);
}

#[test]
fn a_state_directory_that_is_not_ours_to_write_ends_with_73_and_the_remedy() {
    let setup = Setup::with_tokens(&["a"]);
    if !rustix::process::geteuid().is_root() {
        return eprintln!("skipped: only root can become another user");
    }
    for (path, mode) in [("", 0o755), ("tokend.toml", 0o644)] {
        fs::set_permissions(setup.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let program = setup.path("program");
    fs::copy(env!("CARGO_BIN_EXE_tokend"), &program).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program).args(["run", "--config"]);
    let output = match command.arg(setup.path("tokend.toml")).output() {
        Ok(output) => output,
        Err(error) => return eprintln!("skipped: setpriv: {error}"),
    };
    let (said, state) = (String::from_utf8(output.stderr).unwrap(), setup.path("state").display().to_string());
    assert_eq!(output.status.code(), Some(73), "{said}");
    assert!(said.contains(&format!("cannot create {state}: permission denied; let tokend's user")), "{said}");
}

#[test]
fn a_socket_on_which_another_daemon_answers_ends_with_73_and_its_name() {
    let setup = Setup::with_tokens(&["a"]);
    let daemon = setup.run_ready();
    let config = setup.read("tokend.toml").unwrap();
    setup.write_config(&config.replace("/state\"", "/other\""));
    let socket = setup.path("tokend.sock").display().to_string();
    setup.tokend(&["run"]).must_fail(73, &[&socket, "another program already answers"]);
    assert_eq!(daemon.get("/healthz").status, 200, "the first one keeps its socket");
    assert_eq!(setup.issued(Vendor::OAuth2), 1);
}

#[test]
fn a_socket_that_cannot_be_had_ends_with_73_and_its_name() {
    let setup = Setup::with_tokens(&["a"]);
    let config = setup.read("tokend.toml").unwrap();
    setup.write_config(&config.replace("/tokend.sock\"", "/nowhere/tokend.sock\""));
    setup.tokend(&["run"]).must_fail(73, &["nowhere", "does not exist: create it"]);
    assert_eq!(setup.issued(Vendor::OAuth2), 0);
}
