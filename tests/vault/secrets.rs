//! Secrets of providers that are kept in Vault.

use tokend::demo::standin::{Client, Vendor};

use crate::bao::Bao;
use crate::setup::{Setup, wait_until};
use crate::sinks::{token, vault_with_token};

#[test]
fn a_providers_secret_comes_from_vault_and_a_changed_one_is_taken() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    setup.register(Client::new(Vendor::OAuth2, "api", "the right one"));
    bao.run(&["kv", "put", "secret/clients/api", "client_secret=a wrong one"]);
    let provider = format!(
        "[providers.api]\npreset = \"oauth2\"\nclient_id = \"api\"\ntoken_url = \"{}\"\n\
         client_secret = {{ vault = \"secret/clients/api#client_secret\", server = \"main\" }}\n",
        setup.standin.url(Vendor::OAuth2)
    );
    setup.configure(&[vault_with_token(&setup, &bao, ""), provider, setup.token("api", "api", "")]);
    let daemon = setup.run();
    assert_eq!(daemon.wait_failing("api").class, "refused");
    bao.run(&["kv", "put", "secret/clients/api", "client_secret=the right one"]);
    wait_until("the token is there", || setup.read("tokens/api").is_some());
    assert_eq!(setup.issued(Vendor::OAuth2), 1);
    assert!(!setup.log().contains("right one") && !setup.log().contains("wrong one"));
}

#[test]
fn a_field_that_is_missing_is_named() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    let provider = "[providers.api]\npreset = \"oauth2\"\nclient_id = \"api\"\ntoken_url = \"@BASE@/oauth2/token\"\n\
                    client_secret = { vault = \"secret/clients/none#client_secret\" }\n";
    setup.configure(&[vault_with_token(&setup, &bao, ""), provider.into(), setup.token("api", "api", "")]);
    let daemon = setup.run();
    let why = daemon.wait_failing("api").reason;
    let expected = "client_secret: vault:main/secret/clients/none has no text called client_secret; write it, or \
                    correct the name";
    assert_eq!(why, expected);
}

#[test]
fn a_secret_is_read_once_for_all_slots_and_outlives_a_server_that_is_sealed() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    bao.run(&["kv", "put", "secret/clients/all", "client_secret=the right one"]);
    let mut parts = vec![vault_with_token(&setup, &bao, "")];
    for number in 0..20 {
        let name = format!("api-{number}");
        setup.register(Client::new(Vendor::OAuth2, &name, "the right one"));
        parts.push(format!(
            "[providers.{name}]\npreset = \"oauth2\"\nclient_id = \"{name}\"\ntoken_url = \"{}\"\n\
             client_secret = {{ vault = \"secret/clients/all#client_secret\", server = \"main\" }}\n{}",
            setup.standin.url(Vendor::OAuth2),
            setup.token(&name, &name, "")
        ));
    }
    setup.configure(&parts);
    let daemon = setup.run_ready();
    let reads = || bao.requests().iter().filter(|path| *path == "secret/data/clients/all").count();
    assert_eq!(reads(), 2, "written by the test, read once");
    bao.run(&["operator", "seal"]);
    assert_eq!(daemon.post("/v1/tokens/api-7/refresh").status, 200, "what was read is still known");
    let state = std::fs::read(setup.path("state/state.db")).unwrap();
    assert!(!state.windows(13).any(|part| part == b"the right one"), "it is on no disk");
    assert!(!setup.log().contains("the right one"));
}

#[test]
fn the_policy_that_is_shipped_is_enough_and_no_wider() {
    let Some(bao) = Bao::or_skip() else { return };
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let (role, secret_id) =
        bao.app_role("secret/none", &["token_ttl=12s", "token_max_ttl=1h", "token_no_default_policy=true"]);
    bao.policy("tokend", &std::fs::read_to_string(root.join("packaging/vault/tokend.hcl")).unwrap());
    let setup = Setup::new();
    setup.write("secrets/role", &role);
    setup.write("secrets/secret-id", &secret_id);
    setup.register(Client::new(Vendor::OAuth2, "api", "the right one"));
    bao.run(&["kv", "put", "secret/clients/api", "client_secret=the right one"]);
    let vault = format!(
        "[vaults.main]\naddress = \"{}\"\nauth = {{ method = \"approle\", role_id = {{ file = \
         \"@DIR@/secrets/role\" }}, secret_id = {{ file = \"@DIR@/secrets/secret-id\" }} }}\n",
        bao.address()
    );
    let provider = format!(
        "[providers.api]\npreset = \"oauth2\"\nclient_id = \"api\"\ntoken_url = \"{}\"\n\
         client_secret = {{ vault = \"secret/clients/api#client_secret\" }}\n",
        setup.standin.url(Vendor::OAuth2)
    );
    let sinks = "{ vault = \"secret/psd2/api\" }, { vault = \"secret/elsewhere\", required = false }";
    setup.configure(&[vault, provider, token("api", sinks)]);
    let checked = setup.tokend(&["check"]);
    for path in ["secret/data/psd2/api", "secret/data/clients/api"] {
        assert!(checked.out().contains(path) || checked.err.contains(path), "{path}: {checked:?}");
    }
    let daemon = setup.run_ready();
    wait_until("its login is renewed", || bao.requests().iter().any(|path| path == "auth/token/renew-self"));
    wait_until("what it does not allow is told", || {
        let sinks = daemon.slot("api").tokens[0].sinks.clone();
        sinks.iter().any(|sink| sink.error.as_ref().is_some_and(|why| why.contains("need read and update there")))
    });
    let logins = bao.requests().iter().filter(|path| path.ends_with("login")).count();
    assert_eq!(logins, 1, "it may look at its own token: no denial is taken for a spent login");
}
