//! Files and the environment, laid over each other.

use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::settings::{LogFormat, Persist, Proxy, Rate, SecretSource, SocketSetting};

#[test]
fn what_is_not_said_has_a_default() {
    let config = parse(GOOD).unwrap();
    assert_eq!(config.daemon.socket, SocketSetting::Default);
    assert_eq!(config.daemon.socket_mode, Some(0o666));
    assert_eq!(config.daemon.ready_timeout, Some(Duration::from_mins(1)));
    assert_eq!(config.daemon.persist, Persist::Encrypted);
    assert_eq!((config.log.level.as_str(), config.log.format), ("info", LogFormat::Default));
    let provider = config.providers.values().next().unwrap();
    assert_eq!(provider.timeout, Duration::from_secs(10));
    assert_eq!(provider.parameters["environment"], "production");
    let token = &config.slots[0].tokens[0];
    assert!(token.required && token.sinks[0].required);
    assert_eq!(token.sinks[0].file().unwrap().mode, 0o600);
}

#[test]
fn a_variable_wins_over_a_file_and_a_file_over_a_default() {
    let text = format!("{GOOD}[daemon]\nready_timeout = \"5s\"\nsocket = \"/run/x\"\n[log]\nlevel = \"warn\"\n");
    let environment = [
        ("TOKEND_DAEMON__READY_TIMEOUT", "30s"),
        ("TOKEND_DAEMON__SOCKET", "false"),
        ("TOKEND_DAEMON__STATE_KEY__ENV", "KEY"),
        ("TOKEND_LOG__LEVEL", "debug"),
        ("TOKEND_PROVIDERS__OP__CLIENT_ID", "007"),
        ("TOKEND_PROVIDERS__OP__CLIENT_SECRET", "hunter2"),
        ("TOKEND_PROVIDERS__OP__BUDGET__ISSUES", "2"),
        ("TOKEND_PROVIDERS__OP__BUDGET__PER", "1h"),
        ("TOKEND_PROVIDERS__OP__RATE", "10/s"),
        ("TOKEND_PROVIDERS__OP__PROXY", "environment"),
        ("TOKEND_CONFIG", "not ours: no two underscores"),
        ("OTHER_LOG__LEVEL", "not ours"),
    ];
    let config = parse_all(&[source("t.toml", &text)], &environment).unwrap();
    assert_eq!(config.daemon.ready_timeout, Some(Duration::from_secs(30)));
    assert_eq!(config.daemon.socket, SocketSetting::Off);
    assert!(matches!(&config.daemon.state_key, Some(SecretSource::Env(name)) if name == "KEY"));
    assert_eq!(config.log.level, "debug");
    let provider = config.providers.values().next().unwrap();
    assert_eq!(provider.client_id(), "007");
    assert!(matches!(provider.secrets["client_secret"][..], [SecretSource::Inline(_)]));
    assert_eq!(provider.budget.unwrap().issues, 2);
    assert_eq!(provider.rate, Some(Rate { requests: 10, per: Duration::from_secs(1) }));
    assert_eq!(provider.proxy, Proxy::Environment);
}

#[test]
fn a_variable_is_read_as_the_type_of_its_key() {
    let text = r#"
[providers.my__idp]
preset = "oauth2"
issuer = "https://as.example"
client_secret = { env = "X" }
[tokens.a]
provider = "my__idp"
"#;
    let environment = [
        ("TOKEND_PROVIDERS__MY__IDP__CLIENT_ID", "me"),
        ("TOKEND_PROVIDERS__MY__IDP__EXCLUSIVE", "true"),
        ("TOKEND_PROVIDERS__MY__IDP__RESOURCE", "https://a https://b"),
        ("TOKEND_PROVIDERS__MY__IDP__EXTRA__FIELD", "value"),
        ("TOKEND_PROVIDERS__MY__IDP__TLS__CA_FILE", "/ca.pem"),
        ("TOKEND_DAEMON__ADMINS__USERS", r#"["alice", 'bob']"#),
    ];
    let config = parse_all(&[source("t.toml", text)], &environment).unwrap();
    let provider = config.providers.values().next().unwrap();
    assert_eq!(provider.parameters["exclusive"], true);
    assert_eq!(provider.parameters["resource"], serde_json::json!(["https://a", "https://b"]));
    assert_eq!(provider.parameters["extra"], serde_json::json!({ "field": "value" }));
    assert_eq!(provider.tls.ca_file, Some(PathBuf::from("/ca.pem")));
    assert_eq!(config.daemon.admins.users, ["alice", "bob"]);
    let broken = [("TOKEND_DAEMON__ADMINS__USERS", "[\"alice\"")];
    let why = "TOKEND_DAEMON__ADMINS__USERS: expected words with spaces between them, or a list [\"a\", \"b\"]";
    let problems = parse_all(&[source("t.toml", text)], &broken).unwrap_err();
    assert!(problems.iter().any(|problem| problem.to_string() == why), "{problems:?}");
}

#[test]
fn variables_that_set_nothing_are_named() {
    let environment = [
        ("TOKEND_DAEMON__READY_TIMEOUT", "soon"),
        ("TOKEND_DAEMON__SOCKET_MODE", "666x"),
        ("TOKEND_DAEMON__STATE_DRI", "/x"),
        ("TOKEND_LOG__", "x"),
        ("TOKEND_LOG__level", "x"),
        ("TOKEND_LOGS__LEVEL", "x"),
        ("TOKEND_PROVIDERS__OP", "x"),
        ("TOKEND_PROVIDERS__OPS__CLIENT_ID", "x"),
        ("TOKEND_PROVIDERS__OP__CLIENT_SECRET__FIL", "hunter2"),
        ("TOKEND_PROVIDERS__OP__TLS", "x"),
        ("TOKEND_PROVIDERS__OP__TLS__CA_FILE", "/x"),
        ("TOKEND_TOKENS__A__REQUIRED", "x"),
        ("TOKEND_VAULTS__MAIN__ADDRESS", "x"),
        ("TOKEND__X", "x"),
        ("TOKEND__\u{1b}[2J", "x"),
    ];
    let expected = r#"
TOKEND_DAEMON__READY_TIMEOUT: "soon" is not a duration; write it like "90s", "5m" or "1h30m"
TOKEND_DAEMON__SOCKET_MODE: "666x" is not a mode; a mode is a string of octal digits such as "0640"
TOKEND_DAEMON__STATE_DRI: unknown key "state_dri"; did you mean "state_dir"?
TOKEND_LOGS__LEVEL: unknown section "logs"; did you mean "log"?
TOKEND_LOG__: it names no key; write TOKEND_SECTION__KEY
TOKEND_LOG__level: write its name in capitals: TOKEND_LOG__LEVEL
TOKEND_PROVIDERS__OP: write TOKEND_PROVIDERS__NAME__KEY
TOKEND_PROVIDERS__OPS__CLIENT_ID: a provider needs a preset; no file has this provider; check its name in the variable
TOKEND_PROVIDERS__OP__CLIENT_SECRET__FIL: unknown key "fil"; did you mean "file"?
TOKEND_PROVIDERS__OP__TLS: expected a table, found a string
TOKEND_PROVIDERS__OP__TLS__CA_FILE: another variable sets tls as a whole; keep one of them
TOKEND_TOKENS__A__REQUIRED: variables do not reach [tokens.*]; set it in a file
TOKEND_VAULTS__MAIN__ADDRESS: a Vault server needs auth: auth = { method = "approle", … }
TOKEND_VAULTS__MAIN__ADDRESS: not a URL: relative URL without a base
TOKEND__\u{1b}[2J: unknown section "_\u{1b}[2j"; choose one of daemon, log, providers, vaults
TOKEND__X: unknown section "_x"; choose one of daemon, log, providers, vaults
"#;
    assert_eq!(told(parse_all(&[source("t.toml", GOOD)], &environment)).trim(), expected.trim());
}

#[test]
fn tables_merge_by_name_across_files() {
    let sources = [
        source(
            "t.toml",
            "[log]\nlevel = \"warn\"\n[providers.op]\npreset = \"open-payments\"\ntls.ca_file = \"/ca\"\n",
        ),
        source(
            "conf.d/1.toml",
            "[providers.op]\nclient_id = \"me\"\nclient_secret = { env = \"X\" }\n[log]\nformat = \"json\"\n",
        ),
        source(
            "conf.d/2.toml",
            "[tokens.a]\nprovider = \"op\"\npsu_context = \"private\"\n[providers.op.tls]\ncert_file = \"/c\"\nkey_file = \"/k\"\n",
        ),
        source(
            "conf.d/3.toml",
            "[tokens]\na.scopes = [\"accountinformation\"]\n[providers.op]\ntoken_url = \"https://x\"\n",
        ),
    ];
    let config = parse_all(&sources, &[]).unwrap();
    assert_eq!((config.log.level.as_str(), config.log.format), ("warn", LogFormat::Json));
    let provider = config.providers.values().next().unwrap();
    assert_eq!(provider.tls.ca_file, Some("/ca".into()));
    assert_eq!(provider.tls.key_file, Some("/k".into()));
    assert_eq!(config.slots[0].scopes, ["accountinformation"]);
}

#[test]
fn one_key_set_in_two_files_names_both_places() {
    let sources = [
        source("t.toml", GOOD),
        source("conf.d/1.toml", "[tokens.a]\nrequired = false\nscopes = []\n[log]\nlevel = \"info\"\n"),
        source("conf.d/2.toml", "tokens.a.required = false\nlog.level = \"debug\"\nproviders.op = 1\n"),
    ];
    assert_eq!(
        told(parse_all(&sources, &[])),
        "conf.d/1.toml:3:1: scopes: set already at t.toml:11:1; keep one of them\n\
         conf.d/2.toml:1:10: required: set already at conf.d/1.toml:2:1; keep one of them\n\
         conf.d/2.toml:2:5: level: set already at conf.d/1.toml:5:1; keep one of them\n\
         conf.d/2.toml:3:11: op: set already at t.toml:2:12; keep one of them\n"
    );
}
