//! Whatever fails, at the most talkative level: no secret, no access token and no piece of one is
//! told, logged, handed to a child, left in a file or to be read out of the process.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustix::process::{Signal, geteuid};
use serde_json::json;
use tokend::demo::standin::{Fault, Target, Vendor};
use tokend::preset::Preset;

use crate::canary::Canary;
use crate::setup::{Daemon, PATIENCE, Setup, secret_of, wait_for, wait_until};

const TALKATIVE: [(&str, &str); 2] = [
    ("TOKEND_LOG__LEVEL", "debug,tokend=debug,hyper=debug,reqwest=debug,rustls=debug,axum=debug"),
    ("KEY", ENV_SECRET),
];
const ENV_SECRET: &str = "secret+of/the=environment&%25: 0123456789abcdef";
const INLINE_SECRET: &str = "secret+of/the=configuration&%25: 0123456789abcdef";
/// It has no piece in common with the others, which would be blanked with those.
const OTHER_SECRET: &str = "Quite.Another.One~7719";
const MISPLACED: &str = "secret+in/the=wrong&%25: 0123456789 place";

/// What goes wrong at the provider of which token.
fn faults() -> Vec<(&'static str, Fault)> {
    let echo = |status, name: &str, text: String| {
        let told = format!("we do not know {text}!");
        let body = json!({ "error": "invalid_client", "error_description": told, "message": name });
        Fault::Status(status, body.to_string())
    };
    let basic = BASE64_STANDARD.encode(format!("echo-basic:{}", secret_of("echo-basic")));
    let query = format!("https://elsewhere.example/?key={}", secret_of("redirect"));
    vec![
        ("refused", Fault::RefuseCredentials),
        ("hang", Fault::Hang),
        ("reset", Fault::ResetBefore),
        ("lost", Fault::ResetAfter),
        ("half", Fault::Half),
        ("html", Fault::Html),
        ("endless", Fault::Endless),
        ("drip", Fault::Drip(Duration::from_millis(50))),
        ("line-feed", Fault::LineFeed),
        ("letters", Fault::ExpiresIn(json!("3600abc"))),
        ("busy", Fault::TooMany(None)),
        ("down", Fault::Unavailable(None)),
        ("redirect", Fault::Redirect(query)),
        ("echo", echo(401, "echo", secret_of("echo"))),
        ("echo-busy", echo(503, "echo-busy", secret_of("echo-busy"))),
        ("echo-basic", echo(400, "echo-basic", basic)),
        ("echo-other", echo(401, "echo-other", OTHER_SECRET.into())),
        ("echo-piece", echo(400, "echo-piece", secret_of("echo-piece")[..24].to_owned())),
    ]
}

/// Tokens whose trouble is on this host, and one of each place where secrets come from.
fn configuration(setup: &Setup) -> Vec<String> {
    let list = "[{ file = \"@DIR@/secrets/echo-other\" }, { file = \"@DIR@/secrets/other\" }]";
    let provider = |name: &str| {
        let provider = setup.oauth2(name, "timeout = \"1s\"");
        provider.replace("{ file = \"@DIR@/secrets/echo-other\" }", list)
    };
    let mut parts: Vec<String> =
        faults().iter().map(|(name, _)| provider(name) + &setup.token(name, name, "")).collect();
    let from = |name: &str, source: &str| {
        let provider = setup.oauth2(name, "").replace(&format!("{{ file = \"@DIR@/secrets/{name}\" }}"), source);
        provider + &setup.token(name, name, "")
    };
    setup.write(
        "ask",
        "#!/bin/sh\ncat /proc/self/environ /proc/$$/cmdline > \"${0%/*}/child\"\ncat \"${0%/*}/secrets/command\"\n",
    );
    fs::set_permissions(setup.path("ask"), fs::Permissions::from_mode(0o700)).unwrap();
    parts.extend([
        from("good", "{ file = \"@DIR@/secrets/good\" }"),
        from("command", "{ command = [\"@DIR@/ask\"] }"),
        from("broken-command", "{ command = [\"/bin/sh\", \"-c\", \"cat @DIR@/secrets/broken-command; exit 3\"] }"),
        from("list", "[{ file = \"@DIR@/secrets/old\" }, { file = \"@DIR@/secrets/list\" }]"),
        from("env", "{ env = \"KEY\" }"),
        from("inline", &format!("\"{INLINE_SECRET}\"")),
        from("open", "{ file = \"@DIR@/secrets/open\" }"),
        from("two-lines", "{ file = \"@DIR@/secrets/two-lines\" }"),
        from("no-directory", "{ file = \"@DIR@/secrets/no-directory\" }").replace("/tokens/", "/nowhere/"),
        from("directory", "{ file = \"@DIR@/secrets/directory\" }"),
    ]);
    setup.write("secrets/old", &secret_of("last year"));
    setup.write("secrets/other", OTHER_SECRET);
    setup.write("secrets/two-lines", &format!("{}\n{}\n", secret_of("two-lines"), secret_of("two-lines")));
    fs::set_permissions(setup.path("secrets/open"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(setup.path("tokens/directory")).unwrap();
    parts
}

fn names() -> Vec<&'static str> {
    let own = ["good", "command", "broken-command", "list", "env", "inline", "open", "two-lines", "no-directory"];
    faults().into_iter().map(|(name, _)| name).chain(own).chain(["directory"]).collect()
}

/// Everything that is said when everybody is asked everything.
fn ask_everything(setup: &Setup, daemon: &Daemon<'_>) -> String {
    let mut said = String::new();
    let mut run = |arguments: &[&str]| {
        let mut command = setup.command(arguments);
        let output = command.env("KEY", ENV_SECRET).stdin(Stdio::null()).output().unwrap();
        writeln!(said, "$ tokend {arguments:?}").unwrap();
        said += &String::from_utf8(output.stdout).unwrap();
        said += &String::from_utf8(output.stderr).unwrap();
    };
    for command in [&["check"][..], &["plan"], &["plan", "--json"], &["status"], &["status", "--json"], &["run"]] {
        run(command);
    }
    for preset in Preset::built_in_names() {
        run(&["presets", preset]);
    }
    for name in names() {
        run(&["refresh", name]);
        run(&["fetch", name]);
    }
    for name in ["refused", "two-lines", "nobody"] {
        run(&["get", name]);
    }
    for path in ["/v1/tokens", "/v1/status", "/healthz", "/readyz", "/metrics", "/v1/tokens/refused", "/v1/tokens/%00"]
    {
        let answer = daemon.get(path);
        writeln!(said, "{}\n{}", answer.head, answer.body).unwrap();
    }
    said
}

/// The access tokens in files.
fn delivered(setup: &Setup) -> Vec<String> {
    ["good", "command", "list", "env", "inline"].map(|name| setup.read(&format!("tokens/{name}")).unwrap()).into()
}

/// A configuration with secrets where none belong.
fn misplace_secrets(setup: &Setup) {
    let good = setup.read("tokend.toml").unwrap();
    let wrong = format!(
        "\n[providers.wrong]\npreset = \"vipps\"\nclient_secrt = \"{MISPLACED}\"\nclient_secret = [[\"{MISPLACED}\"]]\n\
         subscription_key = {{ fil = \"{MISPLACED}\" }}\ntimeout = [\"{MISPLACED}\"]\n[providers.bad]\npreset = \
         \"core-banking\"\nclient_secret = \"{}\"\nclient_id = {{ file = \"{MISPLACED}\" }}\n",
        MISPLACED.repeat(9)
    );
    setup.write("tokend.toml", &(good + &wrong));
}

#[test]
fn whatever_fails_no_secret_and_no_piece_of_one_is_told_or_left_anywhere() {
    let setup = Setup::new();
    let parts = configuration(&setup);
    setup.configure(&parts);
    let good = setup.read("tokend.toml").unwrap();
    for (name, secret) in [("env", ENV_SECRET), ("inline", INLINE_SECRET)] {
        setup.standin.register(tokend::demo::standin::Client::new(Vendor::OAuth2, name, secret));
    }
    for (name, fault) in faults() {
        setup.standin.fault(Target::client(Vendor::OAuth2, name), fault);
    }
    let daemon = setup.run_with(&TALKATIVE);
    wait_until("tokens are delivered", || {
        ["good", "command", "list", "env", "inline"].iter().all(|name| setup.read(&format!("tokens/{name}")).is_some())
    });
    let mut seen = delivered(&setup);
    let mut said = ask_everything(&setup, &daemon);
    misplace_secrets(&setup);
    daemon.signal(Signal::HUP);
    wait_until("the reload is refused", || setup.log().contains("the old one stays"));
    for command in ["check", "run", "plan"] {
        said += &setup.tokend(&[command]).out;
        said += &setup.tokend(&[command]).err;
    }
    setup.write("tokend.toml", &good);
    seen.extend(delivered(&setup));
    let cmdline = fs::read(format!("/proc/{}/cmdline", daemon.pid())).unwrap();
    daemon.stop();

    // The state is damaged, and the log is made of JSON.
    let state = setup.path("state/state.db");
    fs::write(&state, [&fs::read(&state).unwrap()[..4096], &[0x5a; 4096]].concat()).unwrap();
    let daemon = setup.run_with(&[TALKATIVE[0], TALKATIVE[1], ("TOKEND_LOG__FORMAT", "json")]);
    wait_until("the damage is told", || setup.log().contains("starting without what was known before"));
    wait_for("every provider was asked again", || daemon.slot("echo-piece").last_error);
    wait_until("tokens are delivered", || delivered(&setup) != seen[..5]);
    said += &ask_everything(&setup, &daemon);
    seen.extend(delivered(&setup));

    let ids = names().into_iter().filter(|name| !["env", "inline"].contains(name)).chain(["last year"]);
    let mut secrets: Vec<String> = ids.map(secret_of).collect();
    secrets.extend([ENV_SECRET, INLINE_SECRET, OTHER_SECRET, MISPLACED].map(str::to_owned));
    let basic = names().into_iter().map(|name| format!("{name}:{}", secret_of(name)));
    secrets.extend(basic.collect::<Vec<_>>());
    let canary = Canary::new(secrets.iter().chain(&seen).map(String::as_str));
    assert!(said.contains("we do not know […]!") && setup.log().contains("we do not know […]!"), "echoes are told");
    assert!(setup.log().contains("DEBUG"), "the level was taken");
    assert!(!said.contains("eyJ") && !setup.log().contains("eyJ"), "the beginning of an access token is told");
    canary.must_not_be_in("what is said", said.as_bytes());
    canary.must_not_be_in("the log", setup.log().as_bytes());
    canary.must_not_be_in("the command line", &cmdline);
    canary.must_not_be_in("what the secret's command was given", &fs::read(setup.path("child")).unwrap());
    let may = |path: &Path| ["secrets", "tokens", "tokend.toml"].iter().any(|name| path == setup.path(name));
    canary.must_not_be_below(setup.dir(), &may);
    must_be_closed(&setup);
    daemon.stop();
    canary.must_not_be_below(&setup.path("state"), &|_| false);
}

/// Only its owner reads the state, and among the tokens lies nothing but what belongs there.
#[track_caller]
fn must_be_closed(setup: &Setup) {
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&setup.path("state")), 0o700);
    for file in fs::read_dir(setup.path("state")).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    for file in fs::read_dir(setup.path("tokens")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(names().contains(&name), "{name} was left among the tokens");
        assert!(name == "directory" || mode(&path) == 0o600, "{name}");
    }
}

/// Whether a process of this user can look into the process `pid`.
fn can_be_looked_into(pid: u32, user: &str) -> bool {
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), "--regid=65534", "--clear-groups", "--bounding-set=-all"]);
    let reads = |file: &str| format!("head -c 1 /proc/{pid}/{file} >/dev/null 2>&1");
    let script = format!("{} || exec 3</proc/{pid}/mem", reads("environ"));
    command.args(["/bin/sh", "-c", &script]).stderr(Stdio::null()).status().unwrap().success()
}

#[test]
fn the_process_cannot_be_looked_into_by_its_own_user() {
    if !geteuid().is_root() || Command::new("setpriv").arg("--version").output().is_err() {
        return eprintln!("skipped: only root can become another user, by setpriv");
    }
    let setup = Setup::with_tokens(&["a"]);
    let program = setup.path("program");
    fs::copy(env!("CARGO_BIN_EXE_tokend"), &program).unwrap();
    assert!(Command::new("chown").args(["-R", "65534:65534"]).arg(setup.dir()).status().unwrap().success());
    let as_nobody = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"]).arg(program);
        command.args(arguments).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Killed(command.spawn().unwrap())
    };
    let config = setup.path("tokend.toml");
    let daemon = as_nobody(&program, &["run", "--config", config.to_str().unwrap()]);
    let seconds = PATIENCE.as_secs().to_string();
    let other = as_nobody(Path::new("/bin/sleep"), &[&seconds]);
    wait_until("the token is delivered", || setup.read("tokens/a").is_some());
    assert!(can_be_looked_into(other.0.id(), "65534"), "another process of the same user can be");
    assert!(!can_be_looked_into(daemon.0.id(), "65534"));
}

/// A program that does not outlive its test.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
