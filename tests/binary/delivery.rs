//! The main job: access tokens of all vendors in files, shared where they must be, renewed in time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;
use tokend::demo::standin::{
    CORE_BANKING, Client, OAUTH2, OPEN_PAYMENTS, PLAIN_ID, Target, VIPPS, VIPPS_PARTNER, VIPPS_SUBSCRIPTION_KEYS,
    Vendor,
};

use crate::setup::{HOUR, Setup, wait_until};

/// Every vendor with the demo client's credentials, every format, one slot shared by two tokens.
const ALL_PRESETS: &str = r#"
[daemon]
state_dir = "@DIR@/state"
socket = "@DIR@/tokend.sock"

[providers.op]
preset = "open-payments"
environment = "sandbox"
client_id = "@OP_ID@"
client_secret = { file = "@DIR@/secrets/@OP_ID@" }
token_url = "@BASE@/connect/token"
budget = { issues = 1000, per = "1h" }

[tokens.accounts]
provider = "op"
psu_context = "corporate"
scopes = ["accountinformation"]
sinks = [{ file = "@DIR@/tokens/accounts" }, { file = "@DIR@/tokens/accounts.json", format = "json" }]

[tokens.payments]
provider = "op"
psu_context = "corporate"
scopes = ["paymentinitiation"]
sinks = [{ file = "@DIR@/tokens/payments.json", format = "json", mode = "0640" }]

[tokens.private]
provider = "op"
psu_context = "private"
scopes = ["accountinformation"]
sinks = [{ file = "@DIR@/tokens/private", format = "header", mode = "0644" }]

[providers.core]
preset = "core-banking"
base_url = "@BASE@"
client_id = "@CORE_ID@"
client_secret = { file = "@DIR@/secrets/@CORE_ID@" }
[tokens.core-bank]
provider = "core"
sinks = [{ file = "@DIR@/tokens/core", format = "env" }]

[providers.vipps]
preset = "vipps"
environment = "test"
client_id = "@VIPPS_ID@"
client_secret = { file = "@DIR@/secrets/@VIPPS_ID@" }
subscription_key = "@VIPPS_KEY@"
merchant_serial_number = "123456"
token_url = "@BASE@/accesstoken/get"
[tokens.vipps]
provider = "vipps"
sinks = [{ file = "@DIR@/tokens/vipps" }]

[providers.partner]
preset = "vipps-partner"
environment = "test"
client_id = "@PARTNER_ID@"
client_secret = { file = "@DIR@/secrets/@PARTNER_ID@" }
token_url = "@BASE@/miami/v1/token"
[tokens.partner]
provider = "partner"
sinks = [{ file = "@DIR@/tokens/partner" }]

[providers.plainid]
preset = "plainid"
region = "eu1"
client_id = "@PLAIN_ID@"
client_secret = { file = "@DIR@/secrets/@PLAIN_ID@" }
token_url = "@BASE@/api/1.0/api-key/token"
[tokens.plainid]
provider = "plainid"
sinks = [{ file = "@DIR@/tokens/plainid" }]

[providers.oauth]
preset = "oauth2"
issuer = "@BASE@"
client_id = "@OAUTH_ID@"
client_secret = { file = "@DIR@/secrets/@OAUTH_ID@" }
[tokens.oauth]
provider = "oauth"
scopes = ["read", "write"]
sinks = [{ file = "@DIR@/tokens/oauth.json", format = "json" }]
"#;

pub fn with_all_presets(lifetime: Duration) -> Setup {
    let setup = Setup::with_lifetime(lifetime);
    let ids = [
        ("@OP_ID@", OPEN_PAYMENTS),
        ("@CORE_ID@", CORE_BANKING),
        ("@VIPPS_ID@", VIPPS),
        ("@PARTNER_ID@", VIPPS_PARTNER),
        ("@PLAIN_ID@", PLAIN_ID),
        ("@OAUTH_ID@", OAUTH2),
    ];
    let mut text = ALL_PRESETS.replace("@VIPPS_KEY@", VIPPS_SUBSCRIPTION_KEYS[0]);
    for (mark, (id, secret)) in ids {
        setup.write(&format!("secrets/{id}"), &format!("{secret}\n"));
        text = text.replace(mark, id);
    }
    setup.write_config(&text);
    setup
}

/// The access tokens in the files of `with_all_presets`, by file.
pub fn delivered(setup: &Setup) -> BTreeMap<String, String> {
    let header = |text: String| text.strip_prefix("Authorization: Bearer ").unwrap().trim_end_matches('\n').to_owned();
    let json =
        |text: String| serde_json::from_str::<Value>(&text).unwrap()["access_token"].as_str().unwrap().to_owned();
    let env =
        |text: String| text.lines().next().unwrap().split_once('=').unwrap().1.trim_matches(['"', '\'']).to_owned();
    let files = fs::read_dir(setup.path("tokens")).unwrap().map(|file| file.unwrap().file_name());
    let names = files.map(|name| name.into_string().unwrap()).filter(|name| !name.starts_with('.'));
    names
        .map(|name| {
            let text = setup.read(&format!("tokens/{name}")).unwrap();
            let access_token = match name.as_str() {
                "private" => header(text),
                "core" => env(text),
                "accounts.json" | "payments.json" | "oauth.json" => json(text),
                _ => text,
            };
            (name, access_token)
        })
        .collect()
}

#[test]
fn the_tokens_of_all_vendors_are_in_their_files_in_all_formats() {
    let setup = with_all_presets(HOUR);
    let daemon = setup.run_ready();
    let delivered = delivered(&setup);
    assert_eq!(delivered.len(), 9, "{:?}", delivered.keys());
    for (file, access_token) in &delivered {
        assert!(setup.standin.is_active(access_token), "{file}");
    }
    let modes = [("accounts", 0o600), ("payments.json", 0o640), ("private", 0o644), ("core", 0o600)];
    for (file, mode) in modes {
        let found = fs::metadata(setup.path("tokens").join(file)).unwrap().permissions().mode() & 0o7777;
        assert_eq!(found, mode, "{file}: {found:o}");
    }
    let core = setup.read("tokens/core").unwrap();
    assert!(core.starts_with("CORE_BANK_ACCESS_TOKEN=") && core.contains("\nCORE_BANK_EXPIRES_AT="), "{core}");
    let json: Value = serde_json::from_str(&setup.read("tokens/oauth.json").unwrap()).unwrap();
    assert_eq!((json["name"].as_str(), json["slot"].as_str()), (Some("oauth"), Some("oauth/oauth")), "{json}");
    assert_eq!((json["scope"].as_str(), json["expires_in"].as_u64()), (Some("read write"), Some(3600)), "{json}");
    let counts = daemon.status().counts;
    assert_eq!((counts.slots, counts.tokens, counts.valid, counts.failing), (7, 8, 8, 0));
    assert!(setup.log().contains("every required token is valid and delivered"), "{}", setup.log());
}

#[test]
fn tokens_of_one_account_and_context_carry_one_access_token_and_generation() {
    let setup = with_all_presets(HOUR);
    let _daemon = setup.run_ready();
    let delivered = delivered(&setup);
    assert_eq!(delivered["accounts"], delivered["payments.json"]);
    assert_ne!(delivered["accounts"], delivered["private"]);
    let generation = |file: &str| {
        let json: Value = serde_json::from_str(&setup.read(file).unwrap()).unwrap();
        (json["generation"].as_u64().unwrap(), json["slot"].as_str().unwrap().to_owned())
    };
    assert_eq!(generation("tokens/accounts.json"), generation("tokens/payments.json"));
    assert_eq!(generation("tokens/accounts.json"), (1, "op/corporate".into()));
    let journal = setup.standin.journal();
    let corporate = Target::client(Vendor::OpenPayments, OPEN_PAYMENTS.0).context("corporate");
    let scopes: Vec<_> = journal.issues(corporate).map(|(_, issue)| issue.scope.clone().unwrap()).collect();
    assert_eq!(scopes, ["accountinformation paymentinitiation corporate"]);
}

#[test]
fn every_access_token_is_renewed_before_it_ends_and_asked_for_one_at_a_time() {
    let setup = with_all_presets(Duration::from_secs(5));
    let daemon = setup.run_ready();
    let first = delivered(&setup);
    wait_until("every file holds a newer access token", || {
        let now = delivered(&setup);
        first.iter().all(|(file, access_token)| now[file] != *access_token)
    });
    for slot in daemon.status().slots {
        assert!(slot.generation.0 >= 2 && slot.last_error.is_none(), "{slot:?}");
    }
    for (file, access_token) in delivered(&setup) {
        assert!(setup.standin.is_active(&access_token), "{file}");
    }
    for account in setup.standin.journal().accounts() {
        assert_eq!(setup.standin.journal().tally(account).most_in_flight, 1, "{account:?}");
    }
    wait_until("both files of one slot hold the same", || {
        let now = delivered(&setup);
        now["accounts"] == now["payments.json"]
    });
}

#[test]
fn once_brings_everything_up_to_date_and_ends_well() {
    let setup = with_all_presets(HOUR);
    let said = setup.tokend(&["run", "--once"]);
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{said:?}");
    assert_eq!(delivered(&setup).len(), 9);
    assert!(!setup.path("tokend.sock").exists());
    let said = setup.tokend(&["run", "--once"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(setup.issued(Vendor::OpenPayments), 2, "a second run asks for nothing that is held");
}

#[test]
fn once_names_what_failed_and_ends_with_75() {
    let setup = Setup::with_tokens(&["good", "bad", "lost"]);
    setup.register(Client::new(Vendor::OAuth2, "bad", "another"));
    setup.write("secrets/bad", "wrong");
    fs::create_dir(setup.path("tokens/lost")).unwrap();
    let said = setup.tokend(&["run", "--once"]);
    said.must_fail(75, &["bad/bad: refused with HTTP 401, invalid_client", "is a directory", "tokens/lost"]);
    assert!(setup.standin.is_active(&setup.read("tokens/good").unwrap()));
    assert_eq!(setup.read("tokens/bad"), None);
}
