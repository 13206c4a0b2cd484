//! Wrong configurations and what is said of them, word for word.

use super::*;

fn says(text: &str, expected: &str) {
    assert_eq!(told(parse(text)).trim_end(), expected.trim(), "\n{text}");
}

/// Adds `lines` to a configuration that is right.
fn says_of(lines: &str, expected: &str) {
    let first = GOOD.lines().count() + 1;
    let text = format!("{GOOD}{lines}");
    let shift = |line: &str| {
        let (number, rest) = line.split_once(':').unwrap();
        format!("t.toml:{}:{rest}", number.parse::<usize>().unwrap() + first - 1)
    };
    let expected: Vec<String> = expected.trim().lines().map(|line| shift(line.trim())).collect();
    says(&text, &expected.join("\n"));
}

#[test]
fn a_configuration_that_is_right_has_no_problems() {
    says(GOOD, "");
}

#[test]
fn a_configuration_without_a_token_is_an_error() {
    says("", "t.toml:1:1: there is no token to keep fresh; add a [tokens.NAME] table");
    says("[tokens]\n", "t.toml:1:1: there is no token to keep fresh; add a [tokens.NAME] table");
}

#[test]
fn admins_are_lists_of_names() {
    says_of(
        "\n[daemon]\nadmins = { users = \"alice\", group = [1] }\n",
        r#"
3:20: users: expected a list of strings such as ["a", "b"], found a string
3:29: unknown key "group"; did you mean "groups"?
"#,
    );
}

#[test]
fn hooks_are_checked() {
    let of_hook = |lines: &str, expected: &str| says_of(&format!("{lines}\n"), expected);
    of_hook("on_change = 1", "1:13: on_change: expected a table, found an integer");
    of_hook(
        "on_change = {}\non_failure = {}",
        r#"
1:13: on_change needs a unit or a command: { reload_unit = "api.service" } or { command = ["/path/of/program", "argument"] }
2:14: on_failure needs a command: { command = ["/path/of/program", "argument"] }
"#,
    );
    of_hook(
        r#"on_change = { reload_unit = "api.service", command = ["/bin/true"] }"#,
        "1:54: command: it stands beside reload_unit; keep one (a command may run systemctl itself)",
    );
    of_hook(
        r#"on_failure = { reload_unit = "api.service" }"#,
        r#"1:16: unknown key "reload_unit"; on_failure takes command"#,
    );
    of_hook(r#"on_change = { comand = ["/bin/true"] }"#, r#"1:15: unknown key "comand"; did you mean "command"?"#);
    let empty = "it is empty; write [\"/path/of/program\", \"argument\"]";
    of_hook("on_failure = { command = [] }", &format!("1:26: command: {empty}"));
    let relative = "the program's path is not absolute; begin it with /";
    of_hook(r#"on_change = { command = ["systemctl", "x"] }"#, &format!("1:26: command: {relative}"));
    of_hook(r#"on_change = { command = ["/usr/"] }"#, "1:26: command: the path names a directory; name the program");
}

#[test]
fn a_unit_is_named_whole() {
    let of_unit = |unit: &str, said: &str| {
        let told = told(parse(&format!("{GOOD}on_change = {{ reload_unit = '{unit}' }}\n")));
        assert!(told.contains(said) && told.is_empty() == said.is_empty(), "{unit}: {told}");
    };
    for good in ["api.service", "api@7.service", "a-b_c:d\\x20.socket"] {
        of_unit(good, "");
    }
    of_unit("api", "\"api\" is not the whole name of a unit; write it like \"api.service\"");
    of_unit(".service", "is not the whole name of a unit");
    of_unit("a.slice", "is not the whole name of a unit");
    of_unit("api@.service", "\"api@.service\" is a template; name an instance of it");
    for bad in ["--now.service", "a b.service", "a/b.service", "å.service", &format!("{}.service", "x".repeat(250))] {
        of_unit(bad, "is not the name of a unit");
    }
}

#[test]
fn the_daemon_and_the_log_are_checked() {
    says_of(
        r#"
[daemon]
state_dri = "/x"
socket = true
socket_mode = 666
persist = "of"
ready_timeout = 30
metrics = "localhost:9464"
colour = 1
state_key = 1
state_dir = "var/lib"

[log]
level = "warning"
format = 3
"#,
        r#"
3:1: unknown key "state_dri"; did you mean "state_dir"?
4:10: socket: give a path, or false to switch it off
5:15: socket_mode: a mode is a string of octal digits; write "0666" in quotes
6:11: persist: "of" is not accepted here; did you mean "off"?
7:17: ready_timeout: expected a duration in quotes such as "90s", found an integer
8:11: metrics: "localhost:9464" is not an address; write an IP address and a port, such as "127.0.0.1:9464"
9:1: unknown key "colour"; [daemon] takes state_dir, socket, socket_mode, metrics, persist, state_key, ready_timeout, admins, audit_reads
10:13: state_key: expected a secret: a string, or { file = "/path" }, { credential = "name" }, { env = "NAME" } or { command = ["/path"] }, found an integer
11:13: state_dir: the path is not absolute; begin it with /
14:9: level: "warning" is not a level; did you mean "warn"?
15:10: format: expected "text" or "json" or "journald", found an integer
"#,
    );
    for (level, said) in [("info,tokend::plan=debug", ""), ("", "it is empty"), ("a=b=info", "\"b=info\" is not")] {
        let told = told(parse(&format!("{GOOD}[log]\nlevel = {level:?}\n")));
        assert!(told.contains(said) && told.is_empty() == said.is_empty(), "{told}");
    }
}

#[test]
fn sections_that_are_unknown_or_of_the_wrong_type_are_named() {
    says(
        "providers = 1\ndaemon = 2\ncolour = 3\n[token.a]\n[vaults.main]\n[tokens]\nx = 3\n",
        r#"
t.toml:1:1: providers takes tables with names, such as [providers.NAME]
t.toml:2:10: daemon: expected a table, found an integer
t.toml:3:1: unknown section "colour"; choose one of daemon, log, presets, providers, tokens, vaults
t.toml:4:2: unknown section "token"; did you mean "tokens"?
t.toml:5:1: a Vault server needs address: address = "https://…"
t.toml:5:1: a Vault server needs auth: auth = { method = "approle", … }
t.toml:7:5: x: expected a table, found an integer
"#,
    );
}

#[test]
fn every_line_that_is_not_toml_is_named_and_none_is_quoted() {
    says(
        "mode = 0640\na = 007\nb = tru\nsecret = hunter2\nc = \"x\nd =\nf = [1, 2\n[g]\na=1\n",
        r#"
t.toml:1:8: a mode is a string of octal digits; write "0640" in quotes
t.toml:2:5: a number cannot begin with 0; if it is a text, write it in quotes
t.toml:3:5: a text is not in quotes, or true or false is misspelt
t.toml:4:10: a value is missing, or a text is not in quotes
t.toml:5:7: not TOML: invalid basic string, expected `"`
t.toml:6:4: a value is missing, or a text is not in quotes
t.toml:8:1: not TOML: missing comma between array elements, expected `,`
"#,
    );
    says(
        "[log]\nlevel = \"info\"\nlevel = \"debug\"\n",
        "t.toml:3:1: this key is set already in this file; keep one of them",
    );
}

#[test]
fn provider_tables_are_checked_whole() {
    says_of(
        r#"
[providers.x]
preset = "open-payments"
client_secret = "hunter2"
environment = "sandbx"
client_secert = "hunter2"
timeout = "0s"
rate = "10"
budget = { issues = 0 }
proxy = "ftp://x"
persist = "off"
tls = { cert_file = "x", pin = 1 }
ttl = "1x"
token_url = "http://as.example/"
"#,
        r#"
2:1: preset "open-payments" needs client_id (Client ID of the application in the Developer Portal)
5:15: environment: "sandbx" is not accepted here; did you mean "sandbox"?
6:1: unknown key "client_secert"; did you mean "client_secret"?
7:11: timeout: it must be longer than 0s
8:8: rate: "10" is not a rate; write it like "10/s", "100/m" or "1000/h"
9:10: a budget needs per: { issues = 3, per = "1h" }
9:21: issues: expected a whole number of at least 1
10:9: proxy: a proxy's URL begins with http:// or https://
11:11: persist: "off" would ask for a new access token at every restart, and the accounts of [providers.x] are exclusive; give it persist = "encrypted"
12:9: cert_file needs key_file beside it
12:21: cert_file: the path is not absolute; begin it with /
12:26: unknown key "pin"; tls takes ca_file, cert_file, key_file
13:7: ttl: "1x" is not a duration; write it like "90s", "5m" or "1h30m"
14:13: token_url: http:// is accepted for loopback addresses only; use https://
"#,
    );
}

#[test]
fn presets_and_names_of_providers_are_checked() {
    says(
        r#"[providers.op]
preset = "open-payment"
[providers."b c"]
preset = "oauth2"
client_id = "x"
client_secret = { env = "X" }
issuer = "https://as.example"
[providers.c]
client_id = 1
[tokens.a]
provider = "po"
[tokens.b]
provider = "op"
[tokens.c]
"#,
        r#"
t.toml:2:10: preset: there is no preset "open-payment"; did you mean "open-payments"?
t.toml:3:1: "b c" is not a name: 1 to 64 of A-Z a-z 0-9 . _ - and the first a letter or digit
t.toml:8:1: a provider needs a preset; write preset = "NAME"; `tokend presets` lists them
t.toml:11:12: provider: there is no [providers.po]; did you mean "op"?
t.toml:14:1: a token needs a provider: provider = "NAME" of a [providers.NAME]
"#,
    );
}

#[test]
fn parameters_are_held_against_their_preset() {
    let long = "x".repeat(101);
    says_of(
        &format!(
            r#"
[providers.c]
preset = "core-banking"
base_url = "as.example"
client_id = {long:?}
client_secret = {long:?}
[providers.o]
preset = "oauth2"
client_id = 7
client_secret = {{ file = "/run/secret" }}
token_url = "https://as.example/token"
resource = [1, ""]
extra = {{ a = 1, b = "c\u0000" }}
exclusive = "yes"
[providers.e]
preset = "oauth2"
client_id = "e"
client_secret = {{ env = "E" }}
issuer = "http://as.example"
timeout = 1
"#
        ),
        r#"
4:12: base_url: it does not match https?://.+
5:13: client_id: it is longer than 100 characters
6:17: client_secret: it is longer than 100 characters
9:13: client_id: expected a string in quotes, found an integer
12:13: resource: expected a string in quotes, found an integer
12:16: resource: it is empty
13:15: a: expected a string in quotes, found an integer
13:22: b: it holds a control character
14:13: exclusive: expected true or false, found a string
19:10: issuer: http:// is accepted for loopback addresses only; use https://
20:11: timeout: expected a duration in quotes such as "90s", found an integer
"#,
    );
}

#[test]
fn secrets_are_checked_and_never_quoted() {
    says_of(
        r#"
[providers.a]
preset = "oauth2"
client_id = "a"
issuer = "https://as.example"
client_secret = { file = "a", env = "b" }
[providers.b]
preset = "oauth2"
client_id = "b"
issuer = "https://as.example"
client_secret = [{ env = "hunter 2" }, { credential = "hunter/2" }, {}, { command = [] }, { command = ["bin/hunter2"] }, { vault = "hunter#2" }, 7, "", "hun\nter2", { file = "hunter2" }, { fil = "hunter2" }]
[providers.c]
preset = "oauth2"
client_secret = []
client_id = "c"
issuer = "https://as.example"
[providers.d]
preset = "oauth2"
client_secret = { file = "/run/secret", server = "main" }
client_id = "d"
issuer = "https://as.example"
extra = { grant_type = "password", ours = "1" }
"#,
        r#"
6:17: client_secret: both env and file are given; keep one of them
11:26: env: it is not the name of a variable: letters, digits and _, the first no digit
11:55: credential: it is not the name of a credential: visible ASCII without / and :
11:69: client_secret needs one of command, credential, env, file, vault
11:85: command: it is empty; write ["/path/of/program", "argument"]
11:103: command: the program's path is not absolute; begin it with /
11:122: which Vault server is meant? add a [vaults.NAME] table
11:132: vault: it needs a path below the mount: "secret/path"
11:146: client_secret: expected a secret: a string, or { file = "/path" }, { credential = "name" }, { env = "NAME" } or { command = ["/path"] }, found an integer
11:149: client_secret: it is empty, and an empty secret is not a secret
11:153: client_secret: it holds a control character (a newline inside, or binary data)
11:175: file: the path is not absolute; begin it with /
11:188: client_secret needs one of command, credential, env, file, vault
11:190: unknown key "fil"; did you mean "file"?
14:17: client_secret: the list is empty; name at least one secret
19:41: server: only a secret in vault has a server
22:1: extra.grant_type is sent already, by the preset itself
"#,
    );
}

#[test]
fn a_secret_may_stand_only_in_a_file_that_others_cannot_read() {
    let text = GOOD.replace("{ credential = \"op\" }", "\"hunter2\"");
    let with = |privacy| told(parse_all(&[SourceText { privacy, ..source("t.toml", &text) }], &[]));
    assert_eq!(with(Privacy::Private), "");
    let remedy = "so no secret may stand in it; chmod 0600 the file and chown it to the daemon's user, or keep the \
                  secret elsewhere: { file = \"/path\" } or { credential = \"name\" }\n";
    assert_eq!(
        with(Privacy::World),
        format!("t.toml:5:17: client_secret: everyone on this host can read this file, {remedy}")
    );
    assert_eq!(
        with(Privacy::Group),
        format!("t.toml:5:17: client_secret: a group other than the daemon's own can read this file, {remedy}")
    );
}

#[test]
fn a_file_whose_next_content_would_find_no_name_is_refused() {
    let token = |length| {
        let name = "x".repeat(length);
        format!(
            "[tokens.b]\nprovider = \"op\"\npsu_context = \"private\"\nscopes = [\"aspspinformation\"]\nsinks = [{{ file = \"/t/{name}\" }}]\n"
        )
    };
    says_of(&token(240), "");
    says_of(&token(241), "5:19: file: the file's name is longer than 240 bytes; give it a shorter one");
}

#[test]
fn no_sink_is_a_file_that_the_daemon_needs() {
    let text = |path: &str| {
        format!(
            "daemon = {{ state_dir = \"/s\", socket = \"/r/t.sock\", state_key = {{ file = \"/k\" }} }}\n\
             [providers.a]\npreset = \"oauth2\"\ntoken_url = \"https://as.example/t\"\nclient_id = \"me\"\n\
             client_secret = [{{ file = \"/e/secret\" }}]\ntls = {{ ca_file = \"/e/ca.pem\" }}\n\
             [vaults.v]\naddress = \"https://v.example\"\n\
             auth = {{ method = \"token\", token = {{ file = \"/e/vault\" }} }}\n\
             [tokens.b]\nprovider = \"a\"\nsinks = [{{ file = \"/t/b\", template_file = \"/e/b.tmpl\" }}]\n\
             [tokens.c]\nprovider = \"a\"\nsinks = [{{ file = {path:?} }}]\n"
        )
    };
    for (path, what) in [
        ("/s/state.db-wal", "a file of the daemon's state"),
        ("/s/tokend.lock", "a file of the daemon's state"),
        ("/r/t.sock", "the daemon's socket"),
        ("/k", "the key of the state"),
        ("/e/secret", "a secret of [providers.a]"),
        ("/e/ca.pem", "a certificate or key of [providers.a]"),
        ("/e/vault", "a secret of [vaults.v]"),
        ("/e/b.tmpl", "a template"),
    ] {
        let expected =
            format!("t.toml:16:12: file: this is {what}, and would be lost; give the token a file of its own");
        says(&text(path), &expected);
    }
    for path in ["/s/made/state.db", "/s/token", "/e/secret.json", "/t/c"] {
        says(&text(path), "");
    }
    let state_elsewhere = GOOD.replace("/run/tokend/tokens/a", "/srv/t/state.db");
    let elsewhere = |state_directory: &str| {
        told(parse_all(&[source("t.toml", &state_elsewhere)], &[("STATE_DIRECTORY", state_directory)]))
    };
    assert_eq!(elsewhere("/srv/u"), "");
    assert!(elsewhere("/srv/t:/srv/u").contains("a file of the daemon's state"));
}

#[test]
fn token_tables_are_checked_whole() {
    says_of(
        r#"
[tokens.b]
provider = "op"
[tokens.c]
provider = "op"
psu_context = "privat"
scopes = ["bankgiroinformation", "corporate", "accountinfo", "a b", "paymentinitiation", "paymentinitiation", 3]
sinks = [{ file = "x" }, { file = "/x/../y", mode = 640, format = "yaml" }, { mode = "0666", file = "/x/" }, { vault = "x" }, {}, 1]
refresh = { lead = 60, schedule = "x" }
on_expired = "delete"
readers = { user = ["a"], groups = "b", units = ["api", "x.slice", "w@.service", "a.servic", "a b.service", "ok.scope"] }
required = "true"
[tokens."/"]
provider = "op"
psu_context = "private"
scopes = []
sinks = { file = "/a" }
[tokens.d]
follow = "/x"
"#,
        r#"
2:1: preset "open-payments" needs a psu_context: private or corporate
2:1: preset "open-payments" needs at least one scope: scopes = ["aspspinformation"]
6:15: psu_context: "privat" is no PSU context; did you mean "private"?
7:11: scopes: "bankgiroinformation" is granted only together with "accountinformation"; list both
7:34: scopes: "corporate" is a PSU context; write psu_context = "corporate"
7:47: scopes: unknown scope "accountinfo"; did you mean "accountinformation"?
7:62: scopes: "a b" holds a space; write each scope as a string of its own
7:90: scopes: "paymentinitiation" is listed twice; remove one
7:111: scopes: expected a string in quotes, found an integer
8:19: file: the path is not absolute; begin it with /
8:35: file: the path contains ..; write it without
8:53: mode: a mode is a string of octal digits; write "0640" in quotes
8:67: format: "yaml" is not accepted here; choose one of raw, header, json, env
8:86: mode: "0666" lets everyone replace the token; write "0664" or less
8:101: file: the path names a directory; name the file
8:110: which Vault server is meant? add a [vaults.NAME] table
8:120: vault: it needs a path below the mount: "secret/path"
8:127: a sink needs a file: { file = "/run/tokend/tokens/name" }
8:131: sinks: expected a table, found an integer
9:20: lead: expected a duration in quotes such as "90s", found an integer
9:35: schedule: write six fields: second, minute, hour, day of the month, month, day of the week ("0 0 6 * * *")
10:14: on_expired: "delete" is not accepted here; choose one of keep, remove
11:13: unknown key "user"; did you mean "users"?
11:36: groups: expected a list of strings such as ["a", "b"], found a string
11:50: units: "api" has no kind of unit at its end; write "api.service"
11:57: units: "x.slice" is a slice; name the services in it
11:68: units: "w@.service" is a template; name its instances, such as "w@1.service"
11:82: units: "a.servic" is not the name of a unit; did you mean "a.service"?
11:94: units: "a b.service" is not the name of a unit
12:12: required: expected true or false, found a string
13:1: "/" is not a name: 1 to 64 of A-Z a-z 0-9 . _ - and the first a letter or digit
16:1: scopes: list at least one
17:9: sinks: expected a list of tables such as [{ file = "/run/tokend/tokens/name" }], found a table
19:10: follow: expected a table, found a string
"#,
    );
}

#[test]
fn modes_are_three_or_four_octal_digits() {
    for (mode, said) in [
        ("\"640\"", ""),
        ("\"0640\"", ""),
        ("\"0604\"", ""),
        ("\"0o640\"", "mode: \"0o640\" is not a mode; a mode is a string of octal digits such as \"0640\""),
        ("\"0680\"", "mode: \"0680\" is not a mode; a mode is a string of octal digits such as \"0640\""),
        ("\"-600\"", "mode: \"-600\" is not a mode; a mode is a string of octal digits such as \"0640\""),
        ("\"6\"", "mode: \"6\" is not a mode; a mode is a string of octal digits such as \"0640\""),
        ("\"4600\"", "mode: \"4600\" sets special bits; the highest mode is \"0777\""),
        ("0o640", "mode: a mode is a string of octal digits; write it like \"0640\", in quotes"),
        ("true", "mode: a mode is a string of octal digits; write it like \"0640\", in quotes"),
        ("\"0602\"", "mode: \"0602\" lets everyone replace the token; write \"0600\" or less"),
    ] {
        let told = told(parse(&GOOD.replace("tokens/a\"", &format!("tokens/a\", mode = {mode}"))));
        let expected = if said.is_empty() { String::new() } else { format!("t.toml:12:50: {said}\n") };
        assert_eq!(told, expected);
    }
}

#[test]
fn a_file_belongs_to_one_sink_of_one_token() {
    says_of(
        r#"
[tokens.b]
provider = "op"
psu_context = "private"
scopes = ["accountinformation"]
sinks = [{ file = "/run//tokend/./tokens/a" }, { file = "/run/b" }, { file = "/run/b", format = "json" }]
"#,
        r"
6:12: b and a would write one file (also at t.toml:12:12); give each a file of its own
6:71: b has this file as a sink already at t.toml:18:50; remove one
",
    );
}

#[test]
fn schedules_are_cron_lines_with_seconds_in_a_time_zone_where_nothing_is_exclusive() {
    says_of(
        r#"
[providers.own]
preset = "oauth2"
client_id = "me"
client_secret = { credential = "own" }
token_url = "https://own.example/token"
[tokens.b]
provider = "own"
refresh = { schedule = "0 0 6 * * *", timezone = "Europe/Olso" }
[tokens.c]
provider = "own"
refresh = { schedule = "0 0 25 * * *", timezone = "Europe/Oslo" }
[tokens.d]
provider = "own"
refresh = { schedule = "0 0 6 31 2 *" }
[tokens.e]
provider = "own"
refresh = { timezone = "UTC" }
[tokens.f]
provider = "op"
psu_context = "private"
scopes = ["accountinformation"]
refresh = { schedule = "0 0 6 * * *" }
"#,
        r#"
9:50: timezone: there is no time zone "Europe/Olso"; did you mean "Europe/Oslo"?
12:24: schedule: "0 0 25 * * *" is no cron line; write six fields: second, minute, hour, day of the month, month, day of the week ("0 0 6 * * *")
15:24: schedule: it never comes: no day is like that
18:13: timezone: it is for a schedule, and there is none; remove it
23:24: schedule: all tokens of this account and context share one access token, which is asked for only when it is due; remove it
"#,
    );
}

#[test]
fn tokens_that_share_a_slot_agree_on_the_lead() {
    says_of(
        r#"
[tokens.b]
provider = "op"
psu_context = "private"
scopes = ["accountinformation"]
refresh = { lead = "30s" }
[tokens.c]
provider = "op"
psu_context = "private"
scopes = ["paymentinitiation"]
refresh.lead = "60s"
[tokens.d]
provider = "op"
psu_context = "corporate"
scopes = ["paymentinitiation"]
refresh.lead = "60s"
"#,
        "11:16: lead: c and b (at t.toml:18:20) share one slot; give them the same lead",
    );
}

#[test]
fn two_tables_with_one_exclusive_account_are_refused() {
    says_of(
        r#"
[providers.again]
preset = "open-payments"
client_id = "me"
client_secret = { credential = "op" }
token_url = "HTTPS://AS.example:443/token/"
[providers.other]
preset = "open-payments"
client_id = "you"
client_secret = { credential = "op" }
token_url = "https://as.example/token"
"#,
        "2:1: [providers.again] and [providers.op] at t.toml:2:1 are one account (the same token URL and client_id), \
         which is exclusive; keep one of them for all tokens",
    );
}

#[test]
fn what_is_missing_is_not_told_while_a_file_cannot_be_understood() {
    let sources =
        [source("t.toml", "[tokens.a]\nprovider = \"op\"\nscops = []\n"), source("conf.d/a.toml", "[providers.op\n")];
    assert_eq!(
        told(parse_all(&sources, &[])),
        "t.toml:3:1: unknown key \"scops\"; did you mean \"scopes\"?\n\
         conf.d/a.toml:1:14: not TOML: unclosed table, expected `]`\n"
    );
}

#[test]
fn presets_of_ones_own_are_checked_in_their_place() {
    says_of(
        r#"
[presets.mine]
colour = 1
descripton = "x"
[presets.mine.request]
url = "https://as.example/token"
frm = {}
metod = "GET"
method = "get"
form = "x"
[presets.mine.parameters.client_id]
required = 3
[[presets.mine.errors]]
status = 401
[[presets.mine.errors]]
status = true
[presets.oauth2.request]
url = "https://as.example/token"
[presets.unused.request]
url = "{{ nothing }}"
[providers.m]
preset = "mine"
[providers.n]
preset = "mines"
"#,
        r#"
3:1: unknown key "colour"; [presets.NAME] takes description, source, parameters, context, request, answer, error, errors, refresh
4:1: unknown key "descripton"; did you mean "description"?
7:1: unknown key "frm"; did you mean "form"?
8:1: unknown key "metod"; did you mean "method"?
9:10: method: "get" is not accepted here; did you mean "GET"?
10:8: form: expected list of tables, found a string
12:12: required: expected true, false or template, found an integer
16:10: status: expected number or list of numbers, found a boolean
17:10: preset "oauth2" is built in; give yours another name
20:1: `nothing` is not a parameter of this preset
24:10: preset: there is no preset "mines"; did you mean "mine"?
"#,
    );
}

#[test]
fn presets_of_ones_own_are_used_like_those_that_are_built_in() {
    let text = r#"
[presets.mine]
parameters.key = { required = true, secret = true }
parameters.region = { pattern = "[a-z]+" }
request = { url = "https://{{ region }}.example/token", headers = { X-Key = "{{ key }}" } }
[tokens.a]
provider = "m"
[providers.m]
preset = "mine"
key = { env = "KEY" }
region = "eu"
"#;
    let config = parse(text).unwrap();
    assert_eq!(config.slots[0].identity.as_str(), "https://eu.example/token||a");
    says(
        &text.replace("\"eu\"", "\"Eu\"").replace("key = { env = \"KEY\" }", ""),
        "t.toml:8:1: preset \"mine\" needs key; write key = { file = \"/path\" } or { credential = \"name\" }\n\
         t.toml:11:10: region: it does not match [a-z]+",
    );
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*", toml in "([\\[\\]a-z\"=.{},0-9 \n]|tokens|providers|daemon|presets|sinks)*") {
        let _ = parse(&text);
        let _ = parse(&toml);
        let _ = parse(&format!("{GOOD}{toml}"));
    }

    #[test]
    fn no_variable_makes_it_panic(key in "[A-Z_]*", value in "\\PC*") {
        for section in ["DAEMON__", "LOG__", "PROVIDERS__OP__", ""] {
            let _ = parse_all(&[source("t.toml", GOOD)], &[(&format!("TOKEND_{section}{key}"), &value)]);
        }
    }
}
