//! A server in trouble holds up its own sinks alone, is not swamped, and gets the newest when it is back.

use std::net::TcpListener;

use crate::bao::Bao;
use crate::setup::{Setup, wait_until};
use crate::sinks::{token, vault_with_token};

fn both(setup: &Setup) -> String {
    let file = setup.path("tokens/api");
    token("api", &format!("{{ vault = \"secret/psd2/api\" }}, {{ file = \"{}\" }}", file.display()))
}

#[test]
fn a_sealed_server_delays_its_own_sinks_alone() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    setup.configure(&[vault_with_token(&setup, &bao, ""), setup.oauth2("api", ""), both(&setup)]);
    let daemon = setup.run_ready();
    let before = setup.read("tokens/api");
    bao.run(&["operator", "seal"]);
    daemon.post("/v1/tokens/api/refresh");
    wait_until("the file has the next", || setup.read("tokens/api") != before);
    wait_until("status says why", || {
        let sinks = daemon.slot("api").tokens[0].sinks.clone();
        sinks.iter().any(|sink| sink.error.as_ref().is_some_and(|why| why.contains("is sealed: unseal it")))
    });
    assert_eq!(daemon.get("/readyz").status, 200, "the older generation in Vault is still valid");
}

#[test]
fn policies_taken_away_are_named_and_given_back_are_noticed() {
    let Some(bao) = Bao::or_skip() else { return };
    let (role, secret_id) = bao.app_role("secret/data/psd2/*", &[]);
    let setup = Setup::new();
    setup.write("secrets/role", &role);
    setup.write("secrets/secret-id", &secret_id);
    let auth = "method = \"approle\", role_id = { file = \"@DIR@/secrets/role\" }, \
                secret_id = { file = \"@DIR@/secrets/secret-id\" }";
    let vault = format!("[vaults.main]\naddress = \"{}\"\nauth = {{ {auth} }}\n", bao.address());
    setup.configure(&[vault, setup.oauth2("api", ""), both(&setup)]);
    let daemon = setup.run_ready();
    bao.policy("tokend", "path \"secret/other\" { capabilities = [\"read\"] }");
    daemon.post("/v1/tokens/api/refresh");
    wait_until("status says why", || {
        let sinks = daemon.slot("api").tokens[0].sinks.clone();
        sinks.iter().any(|sink| sink.error.as_ref().is_some_and(|why| why.contains("need read and update")))
    });
    bao.app_role("secret/data/psd2/*", &[]);
    wait_until("the next generation is there", || bao.secret("secret/psd2/api")["generation"] == 2);
}

#[test]
fn a_server_that_accepts_and_never_answers_holds_up_nothing_else() {
    let setup = Setup::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    setup.write("secrets/token", "hvs.something");
    let vault = format!(
        "[vaults.main]\naddress = \"http://{}\"\nauth = {{ method = \"token\", token = {{ file = \"@DIR@/secrets/token\" }} }}\n",
        silent.local_addr().unwrap()
    );
    let file = setup.path("tokens/api");
    let sinks = format!("{{ vault = \"secret/api\", required = false }}, {{ file = \"{}\" }}", file.display());
    setup.configure(&[vault, setup.oauth2("api", ""), token("api", &sinks)]);
    let daemon = setup.run_ready();
    let before = setup.read("tokens/api");
    daemon.post("/v1/tokens/api/refresh");
    wait_until("the file has the next", || setup.read("tokens/api") != before);
    wait_until("status says why", || {
        let sinks = daemon.slot("api").tokens[0].sinks.clone();
        sinks.iter().any(|sink| sink.error.as_ref().is_some_and(|why| why.contains("no answer from 127.0.0.1")))
    });
    assert!(daemon.stop().success());
}

#[test]
fn a_secret_that_others_write_at_the_same_moment_is_read_again() {
    let Some(bao) = Bao::or_skip() else { return };
    let setup = Setup::new();
    setup.configure(&[vault_with_token(&setup, &bao, ""), setup.oauth2("api", ""), both(&setup)]);
    let daemon = setup.run_ready();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..20 {
                bao.run(&["kv", "put", "secret/psd2/api", &format!("other={number}")]);
            }
        });
        for _ in 0..5 {
            daemon.post("/v1/tokens/api/refresh");
        }
    });
    daemon.post("/v1/tokens/api/refresh");
    let held = daemon.get("/v1/tokens/api").json();
    wait_until("the newest is there", || bao.secret("secret/psd2/api")["generation"] == held["generation"]);
}
