//! Who shares a slot, and what slots are known by.

use std::time::Duration;

use super::*;
use crate::settings::Persist::{Encrypted, Off};
use crate::settings::{Budget, Endpoint, SecretSource};

/// Identities of all slots by id.
fn identities(config: &Config) -> Vec<(&str, &str)> {
    config.slots.iter().map(|slot| (slot.id.as_str(), slot.identity.as_str())).collect()
}

const SHARED: &str = r#"
[providers.op]
preset = "open-payments"
client_id = "me"
client_secret = { credential = "op" }
token_url = "https://AS.example:443/token/"
budget = { issues = 3, per = "1h" }

[tokens.pay]
provider = "op"
psu_context = "corporate"
scopes = ["paymentinitiation"]
sinks = [{ file = "/run/pay" }]

[tokens.giro]
provider = "op"
psu_context = "corporate"
scopes = ["bankgiroinformation", "accountinformation"]
refresh = { lead = "30s" }
sinks = [{ file = "/run/giro", format = "json" }]

[tokens.home]
provider = "op"
psu_context = "private"
scopes = ["accountinformation"]
"#;

#[test]
fn tokens_of_one_exclusive_account_and_context_share_one_slot_with_the_union_of_scopes() {
    let config = parse(SHARED).unwrap();
    let expected = [
        ("op/corporate", "https://as.example/token|me|corporate"),
        ("op/private", "https://as.example/token|me|private"),
    ];
    assert_eq!(identities(&config), expected);
    let slot = &config.slots[0];
    assert_eq!(slot.scopes, ["accountinformation", "paymentinitiation", "bankgiroinformation"]);
    assert_eq!(slot.tokens.iter().map(|token| token.name.as_str()).collect::<Vec<_>>(), ["giro", "pay"]);
    assert_eq!(slot.policy.lead, Some(Duration::from_secs(30)));
    assert_eq!(slot.policy.budget, Some(Budget { issues: 3, per: Duration::from_hours(1) }));
    assert_eq!(slot.endpoint(), &Endpoint::TokenUrl("https://as.example/token/".into()));
    assert_eq!(config.slots[1].policy.lead, None);
    let name = |text| Name::parse(text).unwrap();
    assert_eq!(config.tokens, [(name("giro"), 0), (name("home"), 1), (name("pay"), 0)].into());
    assert_eq!(config.sinks, [(SinkId::new("/run/giro"), 0), (SinkId::new("/run/pay"), 0)].into());
    assert_eq!(config.slot_of(&name("home")).unwrap().id.as_str(), "op/private");
}

#[test]
fn a_renamed_table_leaves_an_exclusive_slot_what_it_is() {
    let renamed = SHARED.replace("providers.op", "providers.bank").replace("\"op\"", "\"bank\"");
    let renamed = renamed.replace("tokens.pay", "tokens.payments").replace("AS.example:443/token/", "as.example/token");
    let (before, after) = (parse(SHARED).unwrap(), parse(&renamed).unwrap());
    for (a, b) in before.slots.iter().zip(&after.slots) {
        assert_eq!(a.identity, b.identity);
        assert_ne!(a.id, b.id);
    }
}

const SINGLE: &str = r#"
[providers.x]
preset = "oauth2"
issuer = "https://as.example"
client_id = "me"
client_secret = [{ env = "A" }, { env = "B" }]

[providers.y]
preset = "oauth2"
issuer = "https://as.example/"
client_id = "me"
client_secret = { env = "A" }
ttl = "10m"

[tokens.b]
provider = "x"
scopes = ["z", "a"]

[tokens.a]
provider = "x"
refresh.lead = "1s"

[tokens.c]
provider = "y"
refresh.lead = "2s"
"#;

#[test]
fn elsewhere_each_token_has_a_slot_of_its_own() {
    let config = parse(SINGLE).unwrap();
    let expected =
        [("x/a", "https://as.example|me|a"), ("x/b", "https://as.example|me|b"), ("y/c", "https://as.example|me|c")];
    assert_eq!(identities(&config), expected);
    assert_eq!(config.slots[1].scopes, ["z", "a"]);
    assert_eq!(config.slots[0].provider.secret_choices(), 2);
    let mut both = (*config.slots[0].provider).clone();
    both.secrets.insert("subscription_key".into(), both.secrets["client_secret"].clone());
    assert_eq!(both.secret_choices(), 4, "each with each");
    let chosen = |choice| {
        let index_of = |(name, source): (&str, &SecretSource)| {
            both.secrets[name].iter().position(|listed| std::ptr::eq(listed, source)).unwrap()
        };
        both.chosen_secrets(choice).map(index_of).collect::<Vec<_>>()
    };
    assert_eq!([0, 1, 2, 3].map(chosen), [[0, 0], [1, 0], [0, 1], [1, 1]]);
    assert_eq!(config.slots[0].endpoint(), &Endpoint::Issuer("https://as.example".into()));
    assert_eq!(config.slots[2].provider.parameters["ttl"], "10m");
    assert_eq!(config.slots[2].policy.expected_lifetime, Duration::from_mins(10));
}

#[test]
fn an_exclusive_account_without_contexts_has_one_slot() {
    let text = SINGLE.replace("client_secret = [", "exclusive = true\nclient_secret = [");
    assert!(
        told(parse(&text)).starts_with("t.toml:9:1: [providers.y] and [providers.x] at t.toml:2:1 are one account")
    );
    let config = parse(&text.replace("as.example/\"", "other.example\"")).unwrap();
    let expected = [("x/account", "https://as.example|me|"), ("y/c", "https://other.example|me|c")];
    assert_eq!(identities(&config), expected);
    assert_eq!(config.slots[0].scopes, ["z", "a"]);
}

#[test]
fn tokens_are_kept_in_memory_only_where_that_issues_nothing_more() {
    let text = format!("{SINGLE}[daemon]\npersist = \"off\"\n[providers.op]\npersist = \"encrypted\"\n");
    let text = text + SHARED.split_once('\n').unwrap().1.split_once('\n').unwrap().1;
    let config = parse(&text).unwrap();
    let persist: Vec<_> = config.slots.iter().map(|slot| (slot.id.as_str(), slot.policy.persist)).collect();
    assert_eq!(
        persist,
        [("op/corporate", Encrypted), ("op/private", Encrypted), ("x/a", Off), ("x/b", Off), ("y/c", Off)]
    );
    let inherited = text.replace("persist = \"encrypted\"\n", "");
    assert!(told(parse(&inherited)).contains("persist: \"off\" would ask for a new access token at every restart"));
}

/// 10,000 tokens in 100 files.
fn many() -> Vec<SourceText> {
    let mut sources = vec![source("t.toml", GOOD)];
    for file in 0..100 {
        let mut text = String::new();
        for number in file * 100..(file + 1) * 100 {
            writeln!(
                text,
                "[tokens.t{number}]\nprovider = \"op{}\"\nscopes = [\"a\", \"b\"]\nsinks = [\n  {{ file = \"/run/tokend/t{number}\", \
                 mode = \"0640\", group = \"api\" }},\n]\nrefresh = {{ lead = \"60s\" }}\n",
                file % 10
            )
            .unwrap();
        }
        sources.push(source(&format!("conf.d/{file:03}.toml"), &text));
    }
    for number in 0..10 {
        writeln!(
            sources[0].text,
            "[providers.op{number}]\npreset = \"oauth2\"\nissuer = \"https://as{number}.example\"\nclient_id = \"me\"\n\
             client_secret = {{ env = \"X\" }}"
        )
        .unwrap();
    }
    sources
}

#[test]
fn ten_thousand_tokens_in_a_hundred_files_are_read() {
    let sources = many();
    let config = parse_all(&sources, &[]).unwrap();
    assert_eq!((config.slots.len(), config.tokens.len(), config.sinks.len()), (10_001, 10_001, 10_001));
}

#[test]
fn ten_thousand_problems_are_told() {
    let mut sources = many();
    for source in &mut sources {
        source.text = source.text.replace("lead =", "led =");
    }
    assert_eq!(parse_all(&sources, &[]).unwrap_err().len(), 10_000);
}

#[test]
fn ten_thousand_names_that_dangle_among_ten_thousand_providers_are_told() {
    let mut text = String::new();
    for number in 0..10_000 {
        writeln!(text, "[providers.p{number}]\n[tokens.t{number}]\nprovider = \"x{number}\"").unwrap();
    }
    let problems = parse(&text).unwrap_err();
    assert_eq!(problems.len(), 20_000);
}

#[test]
fn a_schedule_is_in_utc_unless_said_otherwise() {
    let text = |timezone: &str| {
        format!(
            "[providers.own]\npreset = \"oauth2\"\nclient_id = \"me\"\nclient_secret = {{ credential = \"own\" }}\n\
             token_url = \"https://own.example/token\"\n[tokens.b]\nprovider = \"own\"\n\
             refresh = {{ schedule = \"0 0  6 * * *\"{timezone} }}\n"
        )
    };
    let schedule = |timezone: &str| parse(&text(timezone)).unwrap().slots[0].schedule.clone().unwrap();
    assert_eq!(schedule("").as_str(), "0 0 6 * * * UTC");
    assert_eq!(schedule(", timezone = \"Europe/Oslo\"").as_str(), "0 0 6 * * * Europe/Oslo");
}
