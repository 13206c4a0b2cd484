//! Tokens in secrets of a KV engine: what is written, what is left alone, what others do meanwhile.

use serde_json::json;
use tokend::demo::standin::Vendor;

use crate::bao::{Bao, ROOT};
use crate::setup::{Setup, wait_until};

/// A Vault server that is logged in to with the operator's token.
pub fn vault_with_token(setup: &Setup, bao: &Bao, keys: &str) -> String {
    setup.write("secrets/vault-token", bao.root());
    format!(
        "[vaults.main]\naddress = \"{}\"\nauth = {{ method = \"token\", token = {{ file = \"@DIR@/secrets/vault-token\" }} }}\n{keys}\n",
        bao.address()
    )
}

/// A token `name` that goes to `sinks`.
pub fn token(name: &str, sinks: &str) -> String {
    format!("[tokens.{name}]\nprovider = \"{name}\"\nsinks = [{sinks}]\n")
}

#[test]
fn a_secret_has_the_fields_of_the_json_object_and_is_not_written_again() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let parts =
        [vault_with_token(&setup, &bao, ""), setup.oauth2("api", ""), token("api", "{ vault = \"secret/psd2/api\" }")];
    setup.configure(&parts);
    let daemon = setup.run_ready();
    let secret = bao.secret("secret/psd2/api");
    let document = daemon.get("/v1/tokens/api").json();
    for field in ["access_token", "token_type", "scope", "expires_at", "issued_at", "generation", "name", "slot"] {
        assert_eq!(secret[field], document[field], "{field}");
    }
    assert_eq!(daemon.slot("api").tokens[0].sinks[0].sink, "vault:main/secret/psd2/api");
    daemon.stop();
    let daemon = setup.run_ready();
    assert_eq!(bao.version("secret/psd2/api"), 1, "the same is not written again");
    daemon.post("/v1/tokens/api/refresh");
    wait_until("the next generation is there", || bao.secret("secret/psd2/api")["generation"] == 2);
    assert_eq!(bao.version("secret/psd2/api"), 2);
}

#[test]
fn fields_can_be_chosen_and_the_generation_is_always_among_them() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let sink = "{ vault = \"secret/chosen\", server = \"main\", fields = { TOKEN = \"{{ access_token }}\", \
                HEADER = \"{{ token_type }} {{ access_token }}\" } }";
    setup.configure(&[vault_with_token(&setup, &bao, ""), setup.oauth2("api", ""), token("api", sink)]);
    let daemon = setup.run_ready();
    let held = daemon.get("/v1/tokens/api").json()["access_token"].as_str().unwrap().to_owned();
    let expected = json!({ "TOKEN": held, "HEADER": format!("Bearer {held}"), "generation": 1 });
    assert_eq!(bao.secret("secret/chosen"), expected);
}

#[test]
fn an_engine_without_versions_holds_the_same() {
    let Some(bao) = Bao::or_skip() else { return };
    bao.run(&["secrets", "enable", "-path=team/plain", "-version=1", "kv"]);
    let setup = Setup::new();
    let sink = "{ vault = \"team/plain/api\", mount = \"team/plain\" }";
    setup.configure(&[vault_with_token(&setup, &bao, "kv = 1"), setup.oauth2("api", ""), token("api", sink)]);
    let daemon = setup.run_ready();
    let held = daemon.get("/v1/tokens/api").json()["access_token"].clone();
    assert_eq!(bao.secret("team/plain/api")["access_token"], held);
}

#[test]
fn a_secret_that_was_deleted_is_written_again_above_its_version() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let parts =
        [vault_with_token(&setup, &bao, ""), setup.oauth2("api", ""), token("api", "{ vault = \"secret/gone\" }")];
    setup.configure(&parts);
    let daemon = setup.run_ready();
    bao.run(&["kv", "delete", "secret/gone"]);
    daemon.post("/v1/tokens/api/refresh");
    wait_until("it is back", || bao.secret("secret/gone")["generation"] == 2);
    assert_eq!(bao.version("secret/gone"), 2);
}

#[test]
fn a_higher_generation_that_lives_is_left_alone_and_one_that_expired_is_gone_above() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let parts =
        [vault_with_token(&setup, &bao, ""), setup.oauth2("api", ""), token("api", "{ vault = \"secret/two\" }")];
    setup.configure(&parts);
    let daemon = setup.run_ready();
    let other = |expires_at: &str| {
        let fields = ["generation=9", "slot=api/api", "access_token=other", &format!("expires_at={expires_at}")];
        bao.run(&[&["kv", "put", "secret/two"], &fields[..]].concat());
    };
    other("2100-01-01T00:00:00Z");
    daemon.post("/v1/tokens/api/refresh");
    wait_until("status says so", || {
        daemon.slot("api").tokens[0].sinks[0].error.as_ref().is_some_and(|why| why.contains("another tokend writes"))
    });
    assert_eq!(bao.secret("secret/two")["access_token"], "other");
    daemon.stop();
    other("2020-01-01T00:00:00Z");
    let daemon = setup.run_ready();
    wait_until("ours is above", || bao.secret("secret/two")["generation"] == 10);
    assert_eq!(daemon.get("/v1/tokens/api").json()["generation"], 10);
    assert_eq!(setup.issued(Vendor::OAuth2), 2, "nothing was asked for because of it");
}

#[test]
fn a_slot_without_history_counts_on_from_what_vault_holds() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let fields = ["generation=41", "slot=api/api", "access_token=old", "expires_at=2020-01-01T00:00:00Z"];
    bao.run(&[&["kv", "put", "secret/history"], &fields[..]].concat());
    let parts =
        [vault_with_token(&setup, &bao, ""), setup.oauth2("api", ""), token("api", "{ vault = \"secret/history\" }")];
    setup.configure(&parts);
    let daemon = setup.run_ready();
    assert_eq!(daemon.get("/v1/tokens/api").json()["generation"], 42);
}

#[test]
fn a_client_that_nobody_here_wrote_reads_what_was_written() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let parts =
        [vault_with_token(&setup, &bao, ""), setup.oauth2("api", ""), token("api", "{ vault = \"secret/psd2/api\" }")];
    setup.configure(&parts);
    let daemon = setup.run_ready();
    let script = "import hvac, os; c = hvac.Client(url=os.environ['ADDRESS'], token=os.environ['TOKEN']); \
                  print(c.secrets.kv.v2.read_secret_version(path='psd2/api', raise_on_deleted_version=True)\
                  ['data']['data']['access_token'], end='')";
    let output = bao.python(script).env("ADDRESS", bao.address()).env("TOKEN", ROOT).output().unwrap();
    let held = daemon.get("/v1/tokens/api").json()["access_token"].clone();
    assert_eq!(String::from_utf8_lossy(&output.stdout), held.as_str().unwrap(), "{output:?}");
}

#[test]
fn the_environment_of_other_clients_is_not_obeyed() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let parts =
        [vault_with_token(&setup, &bao, ""), setup.oauth2("api", ""), token("api", "{ vault = \"secret/psd2/api\" }")];
    setup.configure(&parts);
    let mut hostile = Vec::new();
    for prefix in ["VAULT", "BAO"] {
        for (key, value) in [
            ("ADDR", "http://192.0.2.1:1"),
            ("TOKEN", "hvs.another"),
            ("NAMESPACE", "no-such-namespace"),
            ("SKIP_VERIFY", ""),
            ("CACERT", "/no/such/file"),
            ("CAPATH", "/no/such/directory"),
            ("CLIENT_CERT", "/no/such/file"),
            ("CLIENT_KEY", "/no/such/file"),
        ] {
            hostile.push((format!("{prefix}_{key}"), value));
        }
    }
    let hostile: Vec<(&str, &str)> = hostile.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    let daemon = setup.run_with(&hostile);
    daemon.wait_ready();
    assert_eq!(bao.secret("secret/psd2/api")["generation"], 1);
}

#[test]
fn a_path_may_hold_all_that_the_configuration_takes() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let path = "psd2/-._~!$&'()*+,;=:@/x";
    let sink = format!("{{ vault = \"secret/{path}\" }}");
    setup.configure(&[vault_with_token(&setup, &bao, ""), setup.oauth2("api", ""), token("api", &sink)]);
    let daemon = setup.run_ready();
    let script = "import hvac, os; c = hvac.Client(url=os.environ['ADDRESS'], token=os.environ['TOKEN']); \
                  print(c.secrets.kv.v2.read_secret_version(path=os.environ['AT'], raise_on_deleted_version=True)\
                  ['data']['data']['access_token'], end='')";
    let python = bao.python(script).env("ADDRESS", bao.address()).env("TOKEN", ROOT).env("AT", path).output();
    let held = daemon.get("/v1/tokens/api").json()["access_token"].clone();
    assert_eq!(String::from_utf8_lossy(&python.unwrap().stdout), held.as_str().unwrap());
}

#[test]
fn two_that_write_fields_without_an_expiry_do_not_outbid_each_other() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let sink = "{ vault = \"secret/own\", fields = { TOKEN = \"{{ access_token }}\" } }";
    setup.configure(&[vault_with_token(&setup, &bao, ""), setup.oauth2("api", ""), token("api", sink)]);
    let daemon = setup.run_ready();
    bao.run(&["kv", "put", "secret/own", "generation=9", "TOKEN=another"]);
    daemon.post("/v1/tokens/api/refresh");
    wait_until("status says so", || {
        daemon.slot("api").tokens[0].sinks[0].error.as_ref().is_some_and(|why| why.contains("another tokend writes"))
    });
    assert_eq!(bao.secret("secret/own")["TOKEN"], "another");
}

#[test]
fn another_place_behind_the_name_of_a_server_is_written_at_once() {
    let Some(bao) = Bao::or_skip() else { return };
    bao.run(&["namespace", "create", "team-b"]);
    bao.run(&["secrets", "enable", "-namespace=team-b", "-path=secret", "-version=2", "kv"]);
    let setup = Setup::new();
    let parts = |keys: &str| {
        let sink = "{ vault = \"secret/psd2/api\" }";
        [vault_with_token(&setup, &bao, keys), setup.oauth2("api", ""), token("api", sink)].concat()
    };
    setup.configure(&[parts("")]);
    let daemon = setup.run_ready();
    setup.configure(&[parts("namespace = \"team-b\"")]);
    let there = ["kv", "get", "-namespace=team-b", "secret/psd2/api"];
    wait_until("it is there", || bao.command(&there).output().unwrap().status.success());
    let secret = bao.json(&there)["data"]["data"].clone();
    assert_eq!(secret["access_token"], daemon.get("/v1/tokens/api").json()["access_token"]);
    assert_eq!(setup.issued(Vendor::OAuth2), 1);
}

#[test]
fn an_engine_without_versions_that_is_taken_for_one_with_them_is_told_and_left_as_it_was() {
    let Some(bao) = Bao::or_skip() else { return };
    bao.run(&["secrets", "enable", "-path=plain", "-version=1", "kv"]);
    let setup = Setup::new();
    let sink = "{ vault = \"plain/api\" }";
    setup.configure(&[vault_with_token(&setup, &bao, ""), setup.oauth2("api", ""), token("api", sink)]);
    let daemon = setup.run();
    let told = || daemon.slot("api").tokens[0].sinks[0].error.clone();
    wait_until("it is told", || told().is_some_and(|why| why.contains("plain/ has no versions: write kv = 1")));
    let left = bao.command(&["list", "plain/data"]).output().unwrap();
    assert!(!left.status.success(), "no token lies where nobody looks: {left:?}");
}
