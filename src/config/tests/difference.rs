//! What one configuration changes of another.

use super::*;
use crate::settings::Persist;

const TWO: &str = r#"
[presets.own]
request = { method = "POST", url = "https://own.example/token" }
answer = { access_token = "/t", expires_in = "/e" }

[providers.op]
preset = "open-payments"
client_id = "me"
client_secret = ["hunter2", { file = "/s" }]
token_url = "https://as.example/token"

[tokens.a]
provider = "op"
psu_context = "private"
scopes = ["accountinformation"]
sinks = [{ file = "/a" }]

[tokens.b]
provider = "op"
psu_context = "corporate"
scopes = ["accountinformation"]
sinks = [{ file = "/b", mode = "0600" }]
"#;

fn counts(before: &str, after: &str) -> (usize, usize, usize) {
    let (before, mut after) = (parse(before).unwrap(), parse(after).unwrap());
    let Changes { added, removed, changed } = after.settle_on(&before);
    let is_shared = |slot: &Arc<Slot>| before.slots.iter().any(|known| Arc::ptr_eq(known, slot));
    assert_eq!(after.slots.iter().all(is_shared), added + changed == 0, "what is the same is shared");
    (added, removed, changed)
}

#[test]
fn what_says_the_same_in_other_words_changes_nothing() {
    assert_eq!(counts(TWO, TWO), (0, 0, 0));
    let words = TWO.replace("0600", "600").replace("\"0600\"", "\"600\"").replace("as.example/", "AS.example:443/");
    assert_eq!(counts(TWO, &format!("# a remark\n{words}\n[daemon]\nready_timeout = \"1m\"\n")), (0, 0, 0));
}

#[test]
fn a_change_is_counted_for_the_tokens_that_it_concerns() {
    let third = "[tokens.c]\nprovider = \"op\"\npsu_context = \"corporate\"\nscopes = [\"accountinformation\"]\n";
    for (from, to, expected) in [
        ("mode = \"0600\"", "mode = \"0640\"", (0, 0, 1)),
        ("hunter2", "hunter3", (0, 0, 2)),
        ("{ file = \"/s\" }", "{ env = \"S\" }", (0, 0, 2)),
        (", { file = \"/s\" }", "", (0, 0, 2)),
        ("preset = \"open-payments\"", "preset = \"open-payments\"\ntimeout = \"5s\"", (0, 0, 2)),
        ("preset = \"open-payments\"", "preset = \"open-payments\"\nrate = \"1/s\"", (0, 0, 2)),
        ("tokens.b", "tokens.c", (1, 1, 0)),
        ("/a\" }", "/a\" }, { file = \"/aa\" }", (0, 0, 1)),
    ] {
        assert_eq!(counts(TWO, &TWO.replace(from, to)), expected, "{from} → {to}");
    }
    assert_eq!(counts(TWO, &format!("{TWO}{third}")), (1, 0, 1), "it shares the slot of another");
    assert_eq!(counts(&format!("{TWO}{third}"), TWO), (0, 1, 1));
}

#[test]
fn a_change_of_nothing_but_the_schedule_or_its_time_zone_is_one() {
    let with = |keys: &str| {
        format!(
            "[providers.x]\npreset = \"oauth2\"\nclient_id = \"me\"\nclient_auth = \"none\"\n\
             token_url = \"https://as.example/x\"\n[tokens.x]\nprovider = \"x\"\nrefresh = {{ {keys} }}\n"
        )
    };
    let six = with("schedule = \"0 0 6 * * *\", timezone = \"Europe/Oslo\"");
    for (other, changed) in [
        ("schedule = \"0 0 7 * * *\", timezone = \"Europe/Oslo\"", 1),
        ("schedule = \"0 0 6 * * *\", timezone = \"Europe/Helsinki\"", 1),
        ("schedule = \"0 0 6 * * *\"", 1),
        ("lead = \"90s\"", 1),
        ("timezone = \"Europe/Oslo\", schedule = \"0  0 6 * * *\"", 0),
    ] {
        assert_eq!(counts(&six, &with(other)), (0, 0, changed), "{other}");
    }
}

#[test]
fn keys_that_only_a_restart_takes_are_named() {
    let with = |daemon: &str, log: &str| parse(&format!("{TWO}[daemon]\n{daemon}\n[log]\n{log}\n")).unwrap();
    let running = with("state_key = \"a key of the state\"", "");
    for (daemon, log, expected) in [
        ("state_key = \"a key of the state\"\nready_timeout = \"1s\"", "level = \"debug\"", &[][..]),
        ("state_key = \"another key of the state\"", "", &["daemon.state_key"]),
        ("", "format = \"json\"", &["daemon.state_key", "log.format"]),
        (
            "state_key = \"a key of the state\"\nstate_dir = \"/x\"\nsocket = false\nsocket_mode = \"0600\"\nmetrics = \"[::1]:9464\"",
            "",
            &["daemon.state_dir", "daemon.socket", "daemon.socket_mode", "daemon.metrics"],
        ),
    ] {
        assert_eq!(with(daemon, log).needs_restart(&running), expected, "{daemon} {log}");
    }
}

#[test]
fn persist_stays_what_it_was_until_a_restart() {
    let text = "[providers.x]\npreset = \"oauth2\"\nclient_id = \"me\"\nclient_auth = \"none\"\n\
                token_url = \"https://as.example/x\"\n[tokens.x]\nprovider = \"x\"\n";
    let running = parse(text).unwrap();
    let mut other = parse(&format!("{text}[daemon]\npersist = \"off\"\n")).unwrap();
    assert_eq!(other.needs_restart(&running), ["daemon.persist"]);
    other.keep_persist(running.daemon.persist);
    assert_eq!(other.slots[0].policy.persist, Persist::Encrypted);
    assert_eq!(other.settle_on(&running), Changes::default());
}
